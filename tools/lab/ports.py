"""Free TCP ports on loopback that stay ours until they are bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import random
import socket
import threading

from tools.lab import errors

_RANGE_FILE = Path('/proc/sys/net/ipv4/ip_local_port_range')
_LOWEST = 20000
_HIGHEST = 32767
_ENOUGH = 1000
_ATTEMPTS = 500


def ephemeral_range(text: str | None = None) -> tuple[int, int]:
    """Return the ports that the kernel gives to outgoing connections."""
    if text is None:
        try:
            text = _RANGE_FILE.read_text(encoding='ascii')
        except OSError:
            text = '32768 60999'
    low, high = text.split()
    return int(low), int(high)


def candidates(ephemeral: tuple[int, int]) -> range:
    """Return ports worth trying: outside the kernel's own, if there are any.

    A listener within them may find its port taken, at any moment, by any
    outgoing connection. Those below 32768 also avoid every port that
    browsers refuse.
    """
    low, high = ephemeral
    below = range(_LOWEST, min(low, _HIGHEST + 1))
    above = range(max(high + 1, _LOWEST), 65536)
    for ports in (below, above):
        if len(ports) >= _ENOUGH:
            return ports
    return range(_LOWEST, _HIGHEST + 1)


def is_free(port: int) -> bool:
    """Say whether nothing is bound to a port of any local address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Without this, connections that a dead listener left in TIME_WAIT
        # would keep the port from us, though servers may well bind it.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('', port))
        except OSError:
            return False
    return True


class Ports:
    """Hands out free ports; two labs never get the same one.

    Between the choice of a port and its use by a server, nothing binds it:
    the claim is an abstract Unix socket named after the port, which the
    kernel grants once per machine and takes back when this process ends.
    Safe from any thread.
    """

    def __init__(
        self,
        *,
        choose: Callable[[range], int] = random.choice,
        free: Callable[[int], bool] = is_free,
        ephemeral: tuple[int, int] | None = None,
    ) -> None:
        self._choose = choose
        self._free = free
        self._range = candidates(ephemeral or ephemeral_range())
        self._claims: dict[int, socket.socket] = {}
        self._lock = threading.Lock()

    def take(self) -> int:
        """Return a free port and keep it from other labs.

        :raises LabError: none was found.
        """
        with self._lock:
            for _ in range(_ATTEMPTS):
                port = self._choose(self._range)
                if port in self._claims:
                    continue
                claim = _claim(port)
                if claim is None:
                    continue
                if self._free(port):
                    self._claims[port] = claim
                    return port
                claim.close()
        raise errors.LabError(
            f'No free port between {self._range.start} and '
            f'{self._range.stop - 1}; too many servers run here.'
        )

    def release(self) -> None:
        """Give up all claims. Idempotent."""
        with self._lock:
            for claim in self._claims.values():
                claim.close()
            self._claims.clear()


def _claim(port: int) -> socket.socket | None:
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f'\0virtdc-lab-port-{port}')
    except OSError:
        claim.close()
        return None
    return claim
