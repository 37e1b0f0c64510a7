"""Remembers what the policies found lately."""

from __future__ import annotations

import collections
from collections.abc import Sequence
import threading

from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

KEPT = 900
"""Half an hour of windows of 2 s."""


class RecentLimits:
    """A ring for each lane: see ``LimitObserver`` and ``LimitHistory``.

    In memory: it begins anew with the agent. Safe from any thread.

    :param kept: how many windows of each lane.
    """

    def __init__(self, clock: interfaces.Clock, *, kept: int = KEPT) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rings = {
            lane: collections.deque[model.LimitPoint](maxlen=kept)
            for lane in Lane
        }

    def begin(self, lane: Lane, limit: int) -> None:
        """See ``LimitObserver``."""
        self._add(
            lane,
            model.LimitPoint(
                at=self._clock.now(),
                limit=limit,
                taken=0,
                running=0.0,
                is_full=False,
            ),
        )

    def observe(self, lane: Lane, window: model.Window, limit: int) -> None:
        """See ``LimitObserver``."""
        point = model.LimitPoint(
            at=self._clock.now(),
            limit=limit,
            taken=window.taken,
            running=window.concurrency,
            is_full=window.full,
        )
        self._add(lane, point)

    def get_limits(self, lane: Lane) -> Sequence[model.LimitPoint]:
        """See ``LimitHistory``."""
        with self._lock:
            return tuple(self._rings[lane])

    def _add(self, lane: Lane, point: model.LimitPoint) -> None:
        with self._lock:
            self._rings[lane].append(point)


class Watched(interfaces.Policy):
    """A policy whose judgements are told to an observer."""

    def __init__(
        self,
        policy: interfaces.Policy,
        lane: Lane,
        observer: interfaces.LimitObserver,
    ) -> None:
        self._policy = policy
        self._lane = lane
        self._observer = observer
        observer.begin(lane, policy.limit)

    @property
    def limit(self) -> int:
        """See the interface."""
        return self._policy.limit

    def observe(self, window: model.Window) -> int:
        """See the interface."""
        limit = self._policy.observe(window)
        self._observer.observe(self._lane, window, limit)
        return limit
