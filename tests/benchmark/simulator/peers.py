"""Policies of others, to compare with: not part of the agent.

Both know how long operations take, and nothing of what gets done. As they are
published they judge single requests; here they judge the mean over a window,
as their windowed variants do.
"""

from __future__ import annotations

import math

from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.model import Signal


def _mean_s(window: model.Window) -> float | None:
    times = [
        one.duration_s
        for one in window.samples
        if one.signal is Signal.SUCCESS
    ]
    return sum(times) / len(times) if times else None


def _is_dropped(window: model.Window) -> bool:
    return any(one.signal is Signal.OVERLOADED for one in window.samples)


class VegasPolicy(interfaces.Policy):
    """Keep a few operations queued, by the shortest duration ever seen.

    TCP Vegas (Brakmo, O'Malley, Peterson, SIGCOMM 1994) with the thresholds
    of Netflix's concurrency-limits: 3 and 6 times the logarithm of the limit.
    The shortest duration is measured anew every ``PROBE`` limits' worth of
    ends.
    """

    PROBE = 30

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self._estimate = float(limit)
        self._ceiling = ceiling
        self._shortest_s: float | None = None
        self._seen = 0

    @property
    def limit(self) -> int:
        """See the interface."""
        return max(1, int(self._estimate))

    def observe(self, window: model.Window) -> int:
        """See the interface."""
        mean_s = _mean_s(window)
        step = max(1.0, math.log10(self._estimate))
        if _is_dropped(window):
            self._set(self._estimate - step)
            return self.limit
        if mean_s is None:
            return self.limit
        self._seen += len(window.samples)
        if self._seen >= self.PROBE * self._estimate:
            self._seen, self._shortest_s = 0, None
        if self._shortest_s is None or mean_s < self._shortest_s:
            self._shortest_s = mean_s
            return self.limit
        if 2 * window.concurrency < self._estimate:
            return self.limit
        queued = math.ceil(self._estimate * (1 - self._shortest_s / mean_s))
        low, high = 3 * step, 6 * step
        if queued <= step:
            self._set(self._estimate + high)
        elif queued < low:
            self._set(self._estimate + step)
        elif queued > high:
            self._set(self._estimate - step)
        return self.limit

    def _set(self, wanted: float) -> None:
        self._estimate = max(1.0, min(float(self._ceiling), wanted))


class Gradient2Policy(interfaces.Policy):
    """Follow the quotient of a long and a short average of durations.

    Gradient2 of Netflix's concurrency-limits, with its constants: an average
    over 600 windows, a queue of 4, a tolerance of 1.5, a smoothing of 0.2.
    """

    LONG = 600
    WARM_UP = 10
    QUEUE = 4
    TOLERANCE = 1.5
    SMOOTHING = 0.2

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self._estimate = float(limit)
        self._ceiling = ceiling
        self._long_s = 0.0
        self._count = 0

    @property
    def limit(self) -> int:
        """See the interface."""
        return max(1, int(self._estimate))

    def observe(self, window: model.Window) -> int:
        """See the interface."""
        short_s = _mean_s(window)
        if short_s is None:
            return self.limit
        self._count += 1
        if self._count <= self.WARM_UP:
            self._long_s += (short_s - self._long_s) / self._count
        else:
            self._long_s += (short_s - self._long_s) * 2 / (self.LONG + 1)
        if self._long_s > 2 * short_s:
            self._long_s *= 0.95
        if window.concurrency < self._estimate / 2:
            return self.limit
        gradient = max(0.5, min(1.0, self.TOLERANCE * self._long_s / short_s))
        wanted = self._estimate * gradient + self.QUEUE
        self._estimate = max(
            1.0,
            min(
                float(self._ceiling),
                self._estimate * (1 - self.SMOOTHING)
                + wanted * self.SMOOTHING,
            ),
        )
        return self.limit
