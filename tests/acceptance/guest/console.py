"""A shell in the guest, over a serial line that is a Unix socket here."""

from __future__ import annotations

import dataclasses
from pathlib import Path
import socket
import time

CHUNK = 512
"""Bytes sent at once: a serial line loses what nobody has read yet."""
BOOT_S = 240.0
COMMAND_S = 120.0


class GuestError(Exception):
    """A command has failed in the guest, or the guest does not answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    output: str


def line_of(command: str, mark: str) -> bytes:
    """Return what to send: one line, that tells of its end.

    :raises ValueError: the command is not one line.
    """
    if '\n' in command:
        raise ValueError(f'more than one line: {command!r}')
    return f'{{ {command} ; }}; echo "@@{mark} $?"\n'.encode()


def ended(received: str, mark: str) -> Ended | None:
    """Return how the command of a mark ended, once it has.

    :raises ValueError: the end is not understood.
    """
    before, found, after = received.partition(f'@@{mark} ')
    status, end, _ = after.partition('\n')
    if not found or not end:
        return None
    return Ended(int(status), before.replace('\r\n', '\n').strip())


class Console:
    """One guest's shell. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._received = ''
        self._commands = 0

    def connect(self) -> None:
        """Wait until the guest is up.

        :raises GuestError: it does not come up.
        """
        until = time.monotonic() + BOOT_S
        while self._socket is None:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                line.connect(str(self._path))
            except OSError as exc:
                line.close()
                if time.monotonic() > until:
                    raise GuestError('The guest has no serial line.') from exc
                time.sleep(0.05)
            else:
                self._socket = line
        self._wait('ready', until, 'boot')

    def run(self, command: str, *, timeout_s: float = COMMAND_S) -> str:
        """Run a command and return what it printed.

        :raises GuestError: it failed, or did not end in time.
        """
        self._commands += 1
        mark = f'{self._commands}'
        self._send(line_of(command, mark))
        found = self._wait(mark, time.monotonic() + timeout_s, command)
        if found.status:
            raise GuestError(
                f'{command!r} ended with {found.status}: {found.output}'
            )
        return found.output

    def close(self) -> None:
        """Hang up. Idempotent."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, line: bytes) -> None:
        if self._socket is None:
            raise GuestError('The guest is not up.')
        for begin in range(0, len(line), CHUNK):
            self._socket.sendall(line[begin : begin + CHUNK])

    def _wait(self, mark: str, until: float, what: str) -> Ended:
        while True:
            found = ended(self._received, mark)
            if found is not None:
                self._received = ''
                return found
            left = until - time.monotonic()
            if left <= 0 or self._socket is None:
                raise GuestError(
                    f'No end of {what!r}; until now: {self._received!r}'
                )
            self._socket.settimeout(left)
            try:
                received = self._socket.recv(65536)
            except TimeoutError:
                continue
            if not received:
                raise GuestError(f'The guest has ended during {what!r}.')
            self._received += received.decode('utf-8', 'replace')
