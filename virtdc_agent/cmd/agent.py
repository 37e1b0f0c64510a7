"""``virtdc-agent``: executes events on the data centre's storage."""

from __future__ import annotations

import enum
import logging
import os
import queue
import signal
import sys
import threading

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from pbr import version

from virtdc_agent import exceptions
from virtdc_agent.monitoring import report
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
    wishes = _Wishes()
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
    while (wish := wishes.wait()) is not _Wish.STOP:
        if wish is _Wish.RELOAD:
            agent.reload()
        else:
            meditation.write()
    notifier.stopping()
    if not agent.stop():
        # A thread that the storage holds would keep the process for ever.
        logging.shutdown()
        os._exit(1)
    return int(usurped.is_set())


class _Wish(enum.Enum):
    STOP = 'stop'
    RELOAD = 'reload'
    REPORT = 'report'


class _Wishes:
    """What the signals ask for that have come.

    A handler may interrupt any other code, also a lock's, so that it must
    take none: ``SimpleQueue.put`` is made for that.
    """

    def __init__(self) -> None:
        self._wishes: queue.SimpleQueue[_Wish] = queue.SimpleQueue()
        self._is_stopping = False
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        signal.signal(signal.SIGUSR2, self._on_report)

    def wait(self) -> _Wish:
        """Wait for a wish, and return it."""
        wish = self._wishes.get()
        return _Wish.STOP if self._is_stopping else wish

    def stop(self) -> None:
        """Have it stopped. From any thread."""
        self._is_stopping = True
        self._wishes.put(_Wish.STOP)

    def _on_stop(self, number: int, frame: object) -> None:
        if self._is_stopping:
            os._exit(1)
        self.stop()

    def _on_reload(self, number: int, frame: object) -> None:
        self._wishes.put(_Wish.RELOAD)

    def _on_report(self, number: int, frame: object) -> None:
        self._wishes.put(_Wish.REPORT)


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
