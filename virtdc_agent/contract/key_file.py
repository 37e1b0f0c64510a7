"""A file of keys, see ``signing``, that may change while it is in use."""

from __future__ import annotations

from collections.abc import Callable
import logging
import os
import stat
import threading

from virtdc_agent.contract.signing import Keyring

LOG = logging.getLogger(__name__)

_LOOK_AGAIN_S = 2.0


class KeyFile:
    """Keys in a file, which may change while this process runs.

    While a changed file cannot be used, the former keys hold, and the log
    says so.

    :raises ValueError: it cannot be used; the message begins with its path.
    """

    def __init__(self, path: str, *, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stamp, self._keyring = self._read()
        self._look_at = monotonic() + _LOOK_AGAIN_S

    def current(self) -> Keyring:
        """See the protocol."""
        with self._lock:
            now = self._monotonic()
            if now >= self._look_at:
                self._look_at = now + _LOOK_AGAIN_S
                self._look()
            return self._keyring

    def _look(self) -> None:
        try:
            if _stamp(os.stat(self._path)) == self._stamp:
                return
            self._stamp, self._keyring = self._read()
        except (OSError, ValueError) as exc:
            LOG.warning('The former keys hold: %s', exc)
        else:
            LOG.info('The keys of %s have changed.', self._path)

    def _read(self) -> tuple[tuple[int, ...], Keyring]:
        try:
            with open(self._path, encoding='ascii') as file:
                found = os.fstat(file.fileno())
                if found.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
                    raise ValueError(
                        'others may read or change it: set its mode to 0640 '
                        'or less'
                    )
                return _stamp(found), Keyring.from_text(file.read())
        except (OSError, ValueError) as exc:
            text = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise ValueError(f'{self._path}: {text}') from None


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (
        found.st_dev,
        found.st_ino,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
