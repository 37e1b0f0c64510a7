"""``virtdc-agent``: executes events on the data centre's storage."""

from __future__ import annotations

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
from virtdc_agent.monitoring import systemd
from virtdc_agent import opts

LOG = logging.getLogger(__name__)

EXIT_CONFIG = 78
"""As sysexits.h's EX_CONFIG: starting again changes nothing."""


def main() -> int:
    """Run until SIGTERM or SIGINT; a second one ends it at once.

    SIGHUP has the configuration read again.
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
    while wishes.wait():
        agent.reload()
    notifier.stopping()
    if not agent.stop():
        # A thread that the storage holds would keep the process for ever.
        logging.shutdown()
        os._exit(1)
    return int(usurped.is_set())


class _Wishes:
    """What the signals ask for that have come.

    A handler may interrupt any other code, also a lock's, so that it must
    take none: ``SimpleQueue.put`` is made for that.
    """

    def __init__(self) -> None:
        self._goes_on: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._is_stopping = False
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)

    def wait(self) -> bool:
        """Wait for a wish: ``True`` to reload, ``False`` to stop."""
        return self._goes_on.get() and not self._is_stopping

    def stop(self) -> None:
        """Have it stopped. From any thread."""
        self._is_stopping = True
        self._goes_on.put(False)

    def _on_stop(self, number: int, frame: object) -> None:
        if self._is_stopping:
            os._exit(1)
        self.stop()

    def _on_reload(self, number: int, frame: object) -> None:
        self._goes_on.put(True)


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
