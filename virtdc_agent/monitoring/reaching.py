"""Whether a server can be reached at all."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import logging
import socket
import threading

from virtdc_agent.monitoring.health import Check

LOG = logging.getLogger(__name__)

INTERVAL_S = 15.0
TIMEOUT_S = 3.0


class Reach:
    """Connects now and then to one of several addresses, and hangs up.

    To a message bus this says more than its library does, which hides for
    how long it has been away. Safe from any thread.

    :param addresses: one of them must be reached; none: nothing is asked.
    :param connect: raises ``OSError`` if an address is not reached.
    """

    def __init__(
        self,
        name: str,
        addresses: Sequence[tuple[str, int]],
        *,
        connect: Callable[[tuple[str, int]], None] | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._name = name
        self._addresses = addresses
        self._connect = connect or _connect
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._error = ''
        self._thread = threading.Thread(
            target=self._run, name=f'reach {name}', daemon=True
        )

    def start(self) -> None:
        """Begin to look."""
        if self._addresses:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def check(self) -> Check:
        """Say whether it was reached the last time; the first is to come."""
        return Check(self._name, not self._error, self._error)

    def look(self) -> None:
        """Look now, in this thread."""
        errors = []
        for address in self._addresses:
            try:
                self._connect(address)
            except OSError as exc:
                errors.append(f'{address[0]}:{address[1]}: {exc}')
            else:
                self._error = ''
                return
        self._error = f'not reached ({"; ".join(errors)})'

    def _run(self) -> None:
        while True:
            self.look()
            if self._stopped.wait(self._interval_s):
                return


def _connect(address: tuple[str, int]) -> None:
    socket.create_connection(address, TIMEOUT_S).close()
