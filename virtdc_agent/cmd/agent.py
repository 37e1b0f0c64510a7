"""``virtdc-agent``: executes events on the data centre's storage."""

from __future__ import annotations

import logging
import os
import sys
import threading

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from pbr import version

from virtdc_agent import exceptions
from virtdc_agent.monitoring import report
from virtdc_agent.monitoring.signals import Wish
from virtdc_agent.monitoring.signals import Wishes
from virtdc_agent.monitoring import systemd
from virtdc_agent import opts

LOG = logging.getLogger(__name__)

EXIT_CONFIG = 78
"""As sysexits.h's EX_CONFIG: starting again changes nothing."""


def main() -> int:
    """Run until SIGTERM or SIGINT; a second one ends it at once.

    SIGHUP has the configuration read again, SIGUSR2 a report written.
    """
    # Native threads, said before the first import of oslo.messaging, which
    # would choose eventlet.
    backend.init_backend(backend.BackendType.THREADING)
    from virtdc_agent import service

    # The global object, because oslo.messaging looks for some of its own
    # options there; all our parts are given it.
    conf = cfg.CONF
    notifier = systemd.Notifier(os.environ)
    try:
        _configure(conf, sys.argv[1:])
    except cfg.Error as exc:
        print(f'virtdc-agent: {exc}', file=sys.stderr)
        return EXIT_CONFIG
    wishes = Wishes()
    usurped = threading.Event()

    def on_end() -> None:
        usurped.set()
        wishes.stop()

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
    notifier.ready(agent.health)
    meditation = report.Report(
        conf,
        product='virtdc-agent',
        version=version.VersionInfo('virtdc').version_string(),
        sections=agent.sections(),
    )
    while (wish := wishes.wait()) is not Wish.STOP:
        if wish is Wish.RELOAD:
            agent.reload()
        else:
            meditation.write()
    notifier.stopping()
    if not agent.stop():
        # A thread that the storage holds would keep the process for ever.
        logging.shutdown()
        os._exit(1)
    return int(usurped.is_set())


def _configure(conf: cfg.ConfigOpts, arguments: list[str]) -> None:
    log.register_options(conf)
    opts.register_opts(conf)
    report.register_opts(conf)
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
