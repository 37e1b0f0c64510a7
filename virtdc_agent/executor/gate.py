"""Admits operations under a limit, and knows how many there are."""

from __future__ import annotations

from collections.abc import Callable
import threading

from virtdc_agent import interfaces

MAX_ABANDONED = 64
"""With so many operations that a storage does not let go of, no new one is
started: each holds a thread, and more work will not help such a storage."""

MAX_PAUSED = 256
"""So many may pause before another attempt without keeping their slot: each
holds a thread."""


class Gate:
    """Counts what runs in one lane. Safe from any thread.

    ``changed`` is notified whenever there may be room again.

    :param changed: the condition to notify; its lock guards the counts.
    """

    def __init__(
        self, changed: threading.Condition, clock: interfaces.Clock
    ) -> None:
        self._changed = changed
        self._clock = clock
        self._in_flight = 0
        self._abandoned = 0
        self._paused = 0
        self._returning = 0
        self._area = 0.0
        self._area_at = clock.monotonic()

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

    @property
    def paused(self) -> int:
        """How many wait, without a slot, to be tried again."""
        with self._changed:
            return self._paused

    @property
    def area(self) -> float:
        """How many ran, times seconds, since the beginning.

        Its growth over a span, divided by the span's length, is how many
        ran on average.
        """
        with self._changed:
            return self._integrate()

    def room(self, limit: int) -> int:
        """Return how many may be started now under ``limit``."""
        with self._changed:
            if self._abandoned >= MAX_ABANDONED:
                return 0
            return max(0, limit - self._in_flight - self._returning)

    def enter(self) -> None:
        """Count one in."""
        with self._changed:
            self._move(1)

    def leave(self) -> None:
        """Count one out that ended."""
        with self._changed:
            self._move(-1)
            self._changed.notify_all()

    def abandon(self) -> None:
        """Count one out that was given up while it still runs."""
        with self._changed:
            self._move(-1)
            self._abandoned += 1
            self._changed.notify_all()

    def let_go(self) -> None:
        """Count out one of the abandoned, which has ended after all."""
        with self._changed:
            self._abandoned -= 1
            self._changed.notify_all()

    def pause(self) -> bool:
        """Give back the slot of what will be tried again.

        :returns: whether it was given back; if not, too many pause already,
            and it has to be kept.
        """
        with self._changed:
            if self._paused >= MAX_PAUSED:
                return False
            self._move(-1)
            self._paused += 1
            self._changed.notify_all()
            return True

    def resume(self, limit: Callable[[], int], until: float) -> None:
        """Take a slot again after ``pause``, before any that has not begun.

        :param until: when not to wait for one any longer: it is taken then.
        """
        with self._changed:
            self._returning += 1
            while self._in_flight >= max(1, limit()):
                remaining_s = until - self._clock.monotonic()
                if remaining_s <= 0:
                    break
                self._clock.wait(self._changed, remaining_s)
            self._returning -= 1
            self._paused -= 1
            self._move(1)

    def _move(self, step: int) -> None:
        self._integrate()
        self._in_flight += step

    def _integrate(self) -> float:
        now = self._clock.monotonic()
        self._area += self._in_flight * (now - self._area_at)
        self._area_at = now
        return self._area
