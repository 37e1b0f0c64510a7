"""Lets writers that come at the same time share one transaction.

A commit waits for the disk, and costs the same for one change as for a
hundred. While one is under way, others queue up; whoever then finds the
queue unattended carries out all of it in one transaction and tells the rest.
There is no extra thread, and who comes alone waits for nobody. The pattern
is flat combining (Hendler, Incze, Shavit, Tzafrir, SPAA 2010).
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from collections import deque
import threading
from typing import Any, Generic, TypeVar

C = TypeVar('C')

MAX_TOGETHER = 256
"""Most changes in one transaction: it bounds what a failure repeats."""


class Request(Generic[C]):
    """One change, and what came of it."""

    __slots__ = ('change', 'done', 'error', 'result')

    def __init__(self, change: C) -> None:
        self.change = change
        self.done = threading.Event()
        self.result: Any = None
        self.error: Exception | None = None


class GroupCommit(Generic[C]):
    """Gathers changes. Safe from any thread.

    :param commit: carries out requests in one transaction, and fills in
        ``result`` or ``error`` of each. If it raises, nothing was written,
        and all of them get that error.
    """

    def __init__(self, commit: Callable[[Sequence[Request[C]]], None]) -> None:
        self._commit = commit
        self._queue: deque[Request[C]] = deque()
        self._leading = threading.Lock()

    def run(self, change: C) -> Any:
        """Carry out a change; return its result when it is committed.

        :raises Exception: what the change raised, which then wrote nothing,
            or why the transaction failed.
        """
        request = Request(change)
        self._queue.append(request)
        # Who gets the lock leads, and may find that the leader before has
        # served it already.
        with self._leading:
            while not request.done.is_set():
                self._lead()
        if request.error is not None:
            raise request.error
        return request.result

    def _lead(self) -> None:
        together: list[Request[C]] = []
        while self._queue and len(together) < MAX_TOGETHER:
            together.append(self._queue.popleft())
        try:
            self._commit(together)
        except Exception as exc:
            for request in together:
                request.error = exc
        except BaseException:
            # This thread is being ended; the others must not take that for
            # a commit.
            for request in together:
                request.error = RuntimeError('the commit was interrupted')
            raise
        finally:
            for request in together:
                request.done.set()
