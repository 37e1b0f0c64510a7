"""``cinder-virtdc-listener``: shows events of the data centre in Cinder."""

from __future__ import annotations

import logging
import os
import sys

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from pbr import version

from cinder_virtdc import exceptions
from cinder_virtdc import opts
from virtdc_agent.monitoring import report
from virtdc_agent.monitoring.signals import Wish
from virtdc_agent.monitoring.signals import Wishes
from virtdc_agent.monitoring import systemd

LOG = logging.getLogger(__name__)

EXIT_CONFIG = 78
"""As sysexits.h's EX_CONFIG: starting again changes nothing."""


def main() -> int:
    """Run until SIGTERM or SIGINT; a second one ends it at once.

    SIGHUP has the levels of the log read again, SIGUSR2 a report written.
    """
    # Native threads, said before the first import of oslo.messaging, which
    # would choose eventlet.
    backend.init_backend(backend.BackendType.THREADING)
    from cinder_virtdc.listener import service as listener

    # The global object, because oslo.messaging looks for some of its own
    # options there; all our parts are given it.
    conf = cfg.CONF
    notifier = systemd.Notifier(os.environ)
    try:
        _configure(conf, sys.argv[1:])
        wishes = Wishes()
        service = listener.Listener(conf)
    except (cfg.Error, exceptions.ConfigInvalid) as exc:
        LOG.error('The listener cannot start: %s', exc)
        print(f'cinder-virtdc-listener: {exc}', file=sys.stderr)
        return EXIT_CONFIG
    try:
        service.start()
    except exceptions.ConfigInvalid as exc:
        LOG.error('The listener cannot start: %s', exc)
        print(f'cinder-virtdc-listener: {exc}', file=sys.stderr)
        return EXIT_CONFIG
    notifier.ready(service.health)
    meditation = report.Report(
        conf,
        product='cinder-virtdc-listener',
        version=version.VersionInfo('virtdc').version_string(),
        sections=service.sections(),
    )
    while (wish := wishes.wait()) is not Wish.STOP:
        if wish is Wish.RELOAD:
            _reload(conf)
        else:
            meditation.write()
    notifier.stopping()
    service.stop()
    return 0


def _reload(conf: cfg.ConfigOpts) -> None:
    try:
        conf.mutate_config_files()
    except cfg.Error as exc:
        LOG.error('The changed configuration is not used: %s', exc)
    else:
        LOG.info('The configuration was read again.')


def _configure(conf: cfg.ConfigOpts, arguments: list[str]) -> None:
    log.register_options(conf)
    opts.register_listener_opts(conf)
    report.register_opts(conf)
    conf(
        arguments,
        project='cinder-virtdc',
        prog='cinder-virtdc-listener',
        version=version.VersionInfo('virtdc').version_string(),
        description="Shows on Cinder's volumes what becomes of their events "
        'in a virtualization data centre, and keeps the two in step.',
    )
    log.setup(conf, 'cinder-virtdc-listener')


if __name__ == '__main__':
    sys.exit(main())
