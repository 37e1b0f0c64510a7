"""The only place on the cloud's side that reads time or waits for it.

Works on native threads and, in a process that eventlet has patched, on green
ones: nothing here is made before it is used.
"""

from __future__ import annotations

import abc
import datetime
import threading
import time


_EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class Clock(abc.ABC):
    """Time, so that tests can own it. Safe from any thread."""

    @abc.abstractmethod
    def monotonic(self) -> float:
        """Return seconds that never go back; deadlines are told in these."""

    @abc.abstractmethod
    def now(self) -> datetime.datetime:
        """Return the time of the day, in UTC."""

    @abc.abstractmethod
    def wait(
        self, condition: threading.Condition, timeout_s: float | None
    ) -> None:
        """Wait on a held condition, at most for a time.

        May return early; the caller looks again at what it waits for.
        """

    def pause(self, timeout_s: float) -> None:
        """Let time pass."""
        condition = threading.Condition()
        until = self.monotonic() + timeout_s
        with condition:
            while (remaining_s := until - self.monotonic()) > 0:
                self.wait(condition, remaining_s)


class SystemClock(Clock):
    """The machine's clock."""

    def monotonic(self) -> float:
        """See the base class."""
        return time.monotonic()

    def now(self) -> datetime.datetime:
        """See the base class."""
        return datetime.datetime.now(datetime.UTC)

    def wait(
        self, condition: threading.Condition, timeout_s: float | None
    ) -> None:
        """See the base class."""
        condition.wait(timeout_s)


class FakeClock(Clock):
    """A clock that moves only when told to.

    :param moves_itself: whether a wait with a timeout moves it at once to
        the end of that wait, for tests of a single thread.
    """

    def __init__(self, *, moves_itself: bool = False) -> None:
        self._moves_itself = moves_itself
        self._elapsed_s = 0.0
        self._changed = threading.Condition()
        self._waiting: dict[int, tuple[threading.Condition, float]] = {}

    def monotonic(self) -> float:
        """See the base class."""
        with self._changed:
            return self._elapsed_s

    def now(self) -> datetime.datetime:
        """See the base class. The day begins with the year 2026."""
        return _EPOCH + datetime.timedelta(seconds=self.monotonic())

    def wait(
        self, condition: threading.Condition, timeout_s: float | None
    ) -> None:
        """See the base class. Virtual time bounds the wait."""
        if timeout_s is None:
            condition.wait()
            return
        if timeout_s <= 0:
            return
        if self._moves_itself:
            with self._changed:
                self._elapsed_s += timeout_s
            return
        key = threading.get_ident()
        with self._changed:
            self._waiting[key] = (condition, self._elapsed_s + timeout_s)
            self._changed.notify_all()
        try:
            condition.wait()
        finally:
            with self._changed:
                self._waiting.pop(key, None)

    def await_waiters(self, count: int, timeout_s: float = 10.0) -> bool:
        """Wait, in real time, until so many threads wait for a time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._waiting) >= count, timeout_s
            )

    def advance(self, seconds: float) -> None:
        """Move time forward and wake those whose time has come."""
        with self._changed:
            self._elapsed_s += seconds
            due = [
                condition
                for condition, until in self._waiting.values()
                if until <= self._elapsed_s
            ]
        for condition in due:
            with condition:
                condition.notify_all()
