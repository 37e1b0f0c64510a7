"""The only place that reads time or waits for it."""

from __future__ import annotations

import datetime
import threading
import time

from virtdc_agent import interfaces


class SystemClock(interfaces.Clock):
    """The machine's clock."""

    def now(self) -> datetime.datetime:
        """See the interface."""
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        """See the interface."""
        return time.monotonic()

    def wait(
        self, condition: threading.Condition, timeout_s: float | None
    ) -> bool:
        """See the interface."""
        return condition.wait(timeout_s)


class FakeClock(interfaces.Clock):
    """A clock that moves only when told to.

    Shipped for tests, the project's own and a plugin's. ``advance`` wakes
    every waiter whose time has come.
    """

    def __init__(
        self,
        start: datetime.datetime = datetime.datetime(
            2026, 1, 1, tzinfo=datetime.UTC
        ),
    ) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._guard = threading.Lock()
        self._waiting: dict[int, tuple[threading.Condition, float]] = {}

    def now(self) -> datetime.datetime:
        """See the interface."""
        return self._start + datetime.timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """See the interface."""
        with self._guard:
            return self._elapsed_s

    def wait(
        self, condition: threading.Condition, timeout_s: float | None
    ) -> bool:
        """See the interface. Virtual time bounds the wait."""
        if timeout_s is None:
            return condition.wait()
        key = threading.get_ident()
        with self._guard:
            until = self._elapsed_s + timeout_s
            if timeout_s <= 0:
                return False
            self._waiting[key] = (condition, until)
        try:
            condition.wait()
        finally:
            with self._guard:
                self._waiting.pop(key, None)
                timed_out = self._elapsed_s >= until
        return not timed_out

    @property
    def waiters(self) -> int:
        """How many threads wait for a time to come."""
        with self._guard:
            return len(self._waiting)

    def advance(self, seconds: float) -> None:
        """Move time forward and wake those whose time has come."""
        with self._guard:
            self._elapsed_s += seconds
            due = [
                condition
                for condition, until in self._waiting.values()
                if until <= self._elapsed_s
            ]
        for condition in due:
            with condition:
                condition.notify_all()
