"""``virtdc-agent``: executes events on the data centre's storage."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from pbr import version

from virtdc_agent import exceptions
from virtdc_agent import opts

LOG = logging.getLogger(__name__)

EXIT_CONFIG = 78
"""As sysexits.h's EX_CONFIG: starting again changes nothing."""


def main() -> int:
    """Run until SIGTERM or SIGINT; a second one ends it at once."""
    # Native threads, said before the first import of oslo.messaging, which
    # would choose eventlet.
    backend.init_backend(backend.BackendType.THREADING)
    from virtdc_agent import service

    # The global object, because oslo.messaging looks for some of its own
    # options there; all our parts are given it.
    conf = cfg.CONF
    try:
        _configure(conf, sys.argv[1:])
    except cfg.Error as exc:
        print(f'virtdc-agent: {exc}', file=sys.stderr)
        return EXIT_CONFIG
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    usurped = threading.Event()

    def on_end() -> None:
        usurped.set()
        stop.set()

    try:
        agent = service.Service(conf, on_end=on_end)
        agent.start()
    except exceptions.ConfigInvalid as exc:
        LOG.error('The agent cannot start: %s', exc)
        print(f'virtdc-agent: {exc}', file=sys.stderr)
        return EXIT_CONFIG
    except exceptions.AgentError as exc:
        LOG.error('The agent cannot start: %s', exc)
        print(f'virtdc-agent: {exc}', file=sys.stderr)
        return 1
    stop.wait()
    if not agent.stop():
        # A thread that the storage holds would keep the process for ever.
        logging.shutdown()
        os._exit(1)
    return int(usurped.is_set())


def _configure(conf: cfg.ConfigOpts, arguments: list[str]) -> None:
    log.register_options(conf)
    opts.register_opts(conf)
    conf(
        arguments,
        project='virtdc',
        prog='virtdc-agent',
        version=version.VersionInfo('virtdc').version_string(),
        description='Executes volume events on the storage of a '
        'virtualization data centre, and tells the cloud how they go.',
    )
    log.setup(conf, 'virtdc-agent')


if __name__ == '__main__':
    sys.exit(main())
