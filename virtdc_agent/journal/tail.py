"""The end of the history, as this agent has written it."""

from __future__ import annotations

from collections.abc import Sequence
from collections import deque
import itertools
import threading

from virtdc_agent.contract.events import Transition

_KEPT = 4096


class Tail:
    """Remembers the last transitions, to be told without asking for them.

    It never stands in for the journal: of what others wrote, or what is
    older than it remembers, it says that it does not know. Safe from any
    thread.
    """

    def __init__(self, size: int = _KEPT) -> None:
        self._lock = threading.Lock()
        self._kept: deque[Transition] = deque(maxlen=size)

    def add(self, transitions: Sequence[Transition]) -> None:
        """Note what a commit has written, in order of ``sequence``."""
        with self._lock:
            for one in transitions:
                if self._kept and one.sequence != self._kept[-1].sequence + 1:
                    # Somebody else has written in between.
                    self._kept.clear()
                self._kept.append(one)

    def following(self, after: int, limit: int) -> Sequence[Transition]:
        """Return the first transitions after a sequence, without a gap.

        None does not mean that there are none.
        """
        with self._lock:
            if not self._kept:
                return []
            at = after + 1 - self._kept[0].sequence
            if at < 0:
                return []
            return list(itertools.islice(self._kept, at, at + limit))
