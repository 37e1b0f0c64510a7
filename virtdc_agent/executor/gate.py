"""Admits operations under a limit, and knows how many there are."""

from __future__ import annotations

import threading

MAX_ABANDONED = 64
"""With so many operations that a storage does not let go of, no new one is
started: each holds a thread, and more work will not help such a storage."""


class Gate:
    """Counts what runs. Safe from any thread.

    ``changed`` is notified whenever there may be room again.

    :param changed: the condition to notify; its lock guards the counts.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._in_flight = 0
        self._abandoned = 0

    @property
    def in_flight(self) -> int:
        """How many run under the limit."""
        with self._changed:
            return self._in_flight

    @property
    def abandoned(self) -> int:
        """How many were given up while the backend is still at them."""
        with self._changed:
            return self._abandoned

    def room(self, limit: int) -> int:
        """Return how many may be started now under ``limit``."""
        with self._changed:
            if self._abandoned >= MAX_ABANDONED:
                return 0
            return max(0, limit - self._in_flight)

    def enter(self) -> int:
        """Count one in; return how many run now."""
        with self._changed:
            self._in_flight += 1
            return self._in_flight

    def leave(self) -> None:
        """Count one out that ended."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def abandon(self) -> None:
        """Count one out that was given up while it still runs."""
        with self._changed:
            self._in_flight -= 1
            self._abandoned += 1
            self._changed.notify_all()

    def let_go(self) -> None:
        """Count out one of the abandoned, which has ended after all."""
        with self._changed:
            self._abandoned -= 1
            self._changed.notify_all()
