"""Keeps one caller from taking all there is: a token bucket for each."""

from __future__ import annotations

import collections
import math
import threading

from virtdc_agent import interfaces

MAX_KEYS = 10_000


class Rates:
    """Buckets that fill at a rate. Safe from any thread.

    Of callers that have not been seen for longest it forgets those beyond
    some thousands; theirs would be full again anyway.

    :param per_s: how many requests a second in the long run; 0: no limit.
    :param burst: how many at once after a rest.
    """

    def __init__(
        self, clock: interfaces.Clock, *, per_s: float, burst: int
    ) -> None:
        self._clock = clock
        self.use(per_s=per_s, burst=burst)
        self._lock = threading.Lock()
        self._buckets: collections.OrderedDict[str, tuple[float, float]] = (
            collections.OrderedDict()
        )

    def use(self, *, per_s: float, burst: int) -> None:
        """Fill at another rate from now on."""
        # Together, for who takes one meanwhile.
        self._pace = (per_s, float(burst))

    def take(self, key: str) -> int:
        """Take one; return 0, or in how many seconds there will be one."""
        per_s, burst = self._pace
        if not per_s:
            return 0
        now = self._clock.monotonic()
        with self._lock:
            level, at = self._buckets.pop(key, (burst, now))
            level = min(burst, level + (now - at) * per_s)
            taken = level >= 1
            self._buckets[key] = (level - 1 if taken else level, now)
            if len(self._buckets) > MAX_KEYS:
                self._buckets.popitem(last=False)
        return 0 if taken else max(1, math.ceil((1 - level) / per_s))

    def __len__(self) -> int:
        """Return how many callers are remembered."""
        with self._lock:
            return len(self._buckets)
