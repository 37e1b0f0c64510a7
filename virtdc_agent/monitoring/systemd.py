"""Tells systemd that the process is ready, and that it lives."""

from __future__ import annotations

from collections.abc import MutableMapping
import contextlib
import logging
import os
import socket
import threading

from virtdc_agent.monitoring.health import Health

LOG = logging.getLogger(__name__)


class Notifier:
    """What systemd wants to hear, if it is systemd that has started us.

    What it says in the environment is taken out of there, so that programs
    that we start do not speak for us.

    :param environment: of this process.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop('NOTIFY_SOCKET', '')
        usec = environment.pop('WATCHDOG_USEC', '')
        pid = environment.pop('WATCHDOG_PID', '')
        is_ours = pid in ('', str(os.getpid()))
        self.watchdog_s: float | None = (
            int(usec) / 1e6 if usec.isdigit() and is_ours else None
        )
        """Within which it wants to hear of life; ``None``: it does not."""
        self._stopped = threading.Event()

    def ready(self, health: Health) -> None:
        """Say that it is ready, and from now on that it lives, while so.

        :param health: if a loop hangs, nothing is said, and systemd restarts
            the process.
        """
        self._say('READY=1')
        if self.watchdog_s and self._address:
            threading.Thread(
                target=self._watch,
                args=(health, self.watchdog_s / 3),
                name='watchdog',
                daemon=True,
            ).start()

    def stopping(self) -> None:
        """Say that it is stopping, and that it lives no more."""
        self._stopped.set()
        self._say('STOPPING=1')

    def tell(self, health: Health) -> bool:
        """Say that it lives, if so; return whether it does."""
        wrong = [check for check in health.liveness() if not check.ok]
        if wrong:
            text = '; '.join(f'{one.name}: {one.message}' for one in wrong)
            LOG.error('This process does not live: %s', text)
            self._say(f'STATUS={text}')
            return False
        self._say('WATCHDOG=1')
        return True

    def _watch(self, health: Health, interval_s: float) -> None:
        while not self._stopped.wait(interval_s):
            self.tell(health)

    def _say(self, text: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith('@'):
            address = '\0' + address[1:]
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
            contextlib.suppress(OSError),
        ):
            sender.sendto(text.encode(), address)
