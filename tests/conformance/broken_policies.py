"""Policies that break one rule each, to show that each rule can fail."""

from __future__ import annotations

from virtdc_agent import model
from virtdc_agent.model import Signal
from virtdc_agent.policies.fixed import FixedPolicy


class StartsElsewhere(FixedPolicy):
    """Ignores the configured limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit + 1)
        self._limit = limit + 1

    def observe(self, window: model.Window) -> int:
        # Only the start is wrong.
        if not window.taken:
            self._limit = 10
        return self._limit


class SaysOneThingDoesAnother(FixedPolicy):
    """Returns a limit that is not in force."""

    def observe(self, window: model.Window) -> int:
        signals = {sample.signal for sample in window.samples}
        return self._limit + (signals == {Signal.SUCCESS})


class FallsToZero(FixedPolicy):
    """Reaches 0 without declaring it."""

    def observe(self, window: model.Window) -> int:
        if any(s.signal is Signal.OVERLOADED for s in window.samples):
            self._limit = 0
        return self._limit


class RollsDice(FixedPolicy):
    """Depends on something that is not in the windows."""

    instances = 0

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        RollsDice.instances += 1
        self._luck = RollsDice.instances

    def observe(self, window: model.Window) -> int:
        signals = {sample.signal for sample in window.samples}
        if len(signals) == 2 and Signal.OVERLOADED not in signals:
            self._limit += self._luck
        return self._limit


class DecaysWhenIdle(FixedPolicy):
    """Forgets what it knew when there is nothing to do."""

    def observe(self, window: model.Window) -> int:
        if not window.taken:
            self._limit = max(1, self._limit - 1)
        return self._limit


class GrowsOnOverload(FixedPolicy):
    """Takes overload for a sign to go faster."""

    def observe(self, window: model.Window) -> int:
        if any(s.signal is Signal.OVERLOADED for s in window.samples):
            self._limit += 1
        return self._limit


class BlamesBadRequests(FixedPolicy):
    """Lowers the limit for what is the request's own fault."""

    def observe(self, window: model.Window) -> int:
        if any(s.signal is Signal.IGNORED for s in window.samples):
            self._limit = max(1, self._limit - 1)
        return self._limit


class BlamesHalfEmptyWindows(FixedPolicy):
    """Takes little work for little capacity."""

    def observe(self, window: model.Window) -> int:
        succeeded = sum(s.signal is Signal.SUCCESS for s in window.samples)
        if window.taken == succeeded and 0 < succeeded:
            self._limit = max(1, min(self._limit, succeeded))
        return self._limit
