"""How fast Cinder's API may be asked."""

from __future__ import annotations

import threading

from cinder_virtdc.clock import Clock


class TokenBucket:
    """Lets calls through at a rate, and a few at once after a rest.

    Safe from any thread; those who wait go in the order in which they came.

    :param rate: calls a second; 0: as many as there are.
    :param burst: so many may follow at once on a rest, at least 1.
    """

    def __init__(self, clock: Clock, *, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._lock = threading.Lock()
        self._tokens = self._burst
        self._at = clock.monotonic()

    def take(self) -> None:
        """Wait for a turn."""
        if not self._rate:
            return
        with self._lock:
            now = self._clock.monotonic()
            self._tokens = min(
                self._burst, self._tokens + (now - self._at) * self._rate
            )
            self._at = now
            # Below zero it is the turn of somebody in the future.
            self._tokens -= 1
            wait_s = -self._tokens / self._rate
        if wait_s > 0:
            self._clock.pause(wait_s)
