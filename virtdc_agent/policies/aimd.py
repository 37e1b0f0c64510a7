"""Additive increase, multiplicative decrease."""

from __future__ import annotations

from virtdc_agent import interfaces
from virtdc_agent import model

STEP = 1
DECREASE = 0.7


class AimdPolicy(interfaces.Policy):
    """Raise N by 1 while all is well, cut it when the storage is overloaded.

    The rule of TCP's congestion avoidance (Jacobson, "Congestion Avoidance
    and Control", SIGCOMM 1988), of which Chiu and Jain ("Analysis of the
    Increase and Decrease Algorithms for Congestion Avoidance", 1989) show
    that it comes to rest at a fair and efficient point. It knows overload
    only when operations fail of it: it fills the storage until some do, and
    it takes as many windows as there are operations to find a capacity.

    It grows in full windows with a success and no overload; it falls in
    windows with an overload, once in each.
    """

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self._limit = limit
        self._ceiling = ceiling

    @property
    def limit(self) -> int:
        """See the interface."""
        return self._limit

    def observe(self, window: model.Window) -> int:
        """Fall on overload, grow when full and calm."""
        signals = {sample.signal for sample in window.samples}
        if model.Signal.OVERLOADED in signals:
            self._limit = max(1, int(self._limit * DECREASE))
        elif window.full and model.Signal.SUCCESS in signals:
            self._limit = max(
                self._limit, min(self._ceiling, self._limit + STEP)
            )
        return self._limit
