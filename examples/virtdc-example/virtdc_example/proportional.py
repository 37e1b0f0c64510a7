"""A policy that falls by as much as the storage was overloaded."""

from __future__ import annotations

from virtdc_agent import interfaces
from virtdc_agent import model


class ProportionalPolicy(interfaces.Policy):
    """Grow by one; fall by half of the share that was overloaded.

    The rule of DCTCP (Alizadeh and others, "Data Center TCP", SIGCOMM 2010):
    where one operation of ten meets overload, the limit falls by a twentieth
    and not by half, so that it stays close to what the storage takes.
    """

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self._limit = limit
        self._ceiling = ceiling

    @property
    def limit(self) -> int:
        """See the interface."""
        return self._limit

    def observe(self, window: model.Window) -> int:
        """Judge by what says something of load, and by nothing else."""
        signals = [sample.signal for sample in window.samples]
        overloaded = signals.count(model.Signal.OVERLOADED)
        successful = signals.count(model.Signal.SUCCESS)
        if overloaded:
            share = overloaded / (overloaded + successful)
            self._limit = max(1, int(self._limit * (1 - share / 2)))
        elif successful and window.full:
            # A window that was not full does not show that more would fit.
            self._limit = max(self._limit, min(self._ceiling, self._limit + 1))
        return self._limit
