"""The classic rule: next time, as many as succeeded this time."""

from __future__ import annotations

from virtdc_agent import interfaces
from virtdc_agent import model


class ShrinkPolicy(interfaces.Policy):
    """Lower N to the number that succeeded, when fewer than N did (R10).

    To the letter, with what follows from the letter: N never grows again;
    it falls when a batch was only half full, or when requests were bad in
    themselves; and after a batch in which nothing succeeded it is 0 and
    nothing is taken any more, until the agent is restarted.

    :param limit: N at first, at least 1.
    """

    may_starve = True

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self._limit = limit

    @property
    def limit(self) -> int:
        """See the interface."""
        return self._limit

    def observe(self, window: model.Window) -> int:
        """Count the successes of a batch that took anything at all."""
        if window.taken:
            succeeded = sum(
                sample.signal is model.Signal.SUCCESS
                for sample in window.samples
            )
            self._limit = min(self._limit, succeeded)
        return self._limit
