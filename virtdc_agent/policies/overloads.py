"""How many operations fail of load, and how many of them are borne."""

from __future__ import annotations

from virtdc_agent import model
from virtdc_agent.model import Signal

BORNE = 0.005
"""Share of overloads among what ended which is always borne."""
MOST_BORNE = 0.5
MEMORY = 400
"""Ends over which the share is taken."""


class Overloads:
    """Tells overloads that are too many from those that come anyway.

    Not safe for threads.
    """

    def __init__(self) -> None:
        self._since_s = 0.0
        self._ended = 0.0
        self._overloads = 0.0
        self._share = 0.0
        self._borne = BORNE

    def lowered(self) -> None:
        """Learn that the limit was lowered.

        What began before says nothing of the new one.
        """
        self._since_s = 0.0

    def are_too_many(self, window: model.Window) -> bool:
        """Count a window; say whether it was too much for the storage."""
        self._since_s += window.duration_s
        signals = [
            one.signal
            for one in window.samples
            if one.duration_s <= self._since_s
        ]
        overloads = signals.count(Signal.OVERLOADED)
        self._overloads += overloads
        self._ended += overloads + signals.count(Signal.SUCCESS)
        if self._ended > MEMORY:
            self._ended /= 2
            self._overloads /= 2
        if not self._ended:
            return False
        share = self._overloads / self._ended
        self._borne = max(BORNE, min(self._borne, 3 * share))
        if not overloads or share <= self._borne:
            return False
        if window.limit == 1 and share < MOST_BORNE and not window.abandoned:
            # With nothing beside it nothing fails of load.
            self._borne = 2 * share
            return False
        self._share, self._overloads = share, 0.0
        return True

    def come_of_load(self) -> None:
        """Learn that the last ones that were too many came of load."""
        self._borne = BORNE

    def come_anyway(self) -> None:
        """Learn that they came whatever the load: so many are borne."""
        self._borne = min(MOST_BORNE, 2 * self._share)
        self._overloads = self._share * self._ended
