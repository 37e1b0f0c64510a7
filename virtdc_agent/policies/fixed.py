"""A limit that never moves."""

from __future__ import annotations

from virtdc_agent import interfaces
from virtdc_agent import model


class FixedPolicy(interfaces.Policy):
    """Run up to N at once, whatever happens (R7).

    :param limit: N, at least 1.
    """

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self._limit = limit

    @property
    def limit(self) -> int:
        """See the interface."""
        return self._limit

    def observe(self, window: model.Window) -> int:
        """Return N."""
        return self._limit
