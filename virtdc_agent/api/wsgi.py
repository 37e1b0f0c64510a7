"""The API as an application for a web server beside the agents.

``virtdc_agent.api.wsgi:application`` reads the agent's configuration as the
agent does, its files named in ``sys.argv`` if they are elsewhere (uWSGI:
``--pyargv``), and works on the same journal. It executes nothing, and knows
nothing of what policies find in the agents.
"""

from __future__ import annotations

from collections.abc import Callable
import sys
from typing import Any

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend

from virtdc_agent import opts


def _make() -> Callable[..., Any]:
    # Native threads, said before the first import of oslo.messaging.
    backend.init_backend(backend.BackendType.THREADING)
    from virtdc_agent import service

    conf = cfg.CONF
    log.register_options(conf)
    opts.register_opts(conf)
    conf(
        sys.argv[1:],
        project='virtdc',
        prog='virtdc-api',
        default_config_files=cfg.find_config_files(
            project='virtdc', prog='virtdc-agent'
        ),
    )
    log.setup(conf, 'virtdc-api')
    return service.Service(conf).make_application()


application = _make()
