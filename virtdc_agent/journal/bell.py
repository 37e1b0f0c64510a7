"""Tells those who wait that something was committed."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import threading

from virtdc_agent.scheduling import Lane


class Bell:
    """Knows whom to call, and what for. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: tuple[
            tuple[Callable[[], None], Lane | None], ...
        ] = ()

    def subscribe(
        self, callback: Callable[[], None], lane: Lane | None = None
    ) -> None:
        """Have ``callback`` called from now on; see the journal."""
        with self._lock:
            self._callbacks = (*self._callbacks, (callback, lane))

    def ring(self, woken: Collection[Lane]) -> None:
        """Call those who want to hear of this commit.

        :param woken: lanes in which something may begin.
        """
        for callback, lane in self._callbacks:
            if lane is None or lane in woken:
                callback()
