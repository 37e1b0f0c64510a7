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

    __slots__ = ('_turn', 'change', 'error', 'is_done', 'result')

    def __init__(self, change: C) -> None:
        self.change = change
        self.is_done = False
        self.result: Any = None
        self.error: Exception | None = None
        # A lock as a signal: cheaper than an event, and there are many.
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self) -> None:
        """Wait until it is done, or is the first of those that are not."""
        self._turn.acquire()

    def wake(self) -> None:
        """End the wait. To be called once."""
        self._turn.release()


class GroupCommit(Generic[C]):
    """Gathers changes. Safe from any thread.

    :param commit: carries out requests in one transaction, and fills in
        ``result`` or ``error`` of each. If it raises, nothing was written,
        and all of them get that error.
    """

    def __init__(self, commit: Callable[[Sequence[Request[C]]], None]) -> None:
        self._commit = commit
        self._lock = threading.Lock()
        self._queue: deque[Request[C]] = deque()
        self._is_led = False

    def run(self, change: C) -> Any:
        """Carry out a change; return its result when it is committed.

        :raises Exception: what the change raised, which then wrote nothing,
            or why the transaction failed.
        """
        request = Request(change)
        with self._lock:
            self._queue.append(request)
            waits = self._is_led
            self._is_led = True
        if waits:
            request.wait()
        if not request.is_done:
            self._lead(request)
        if request.error is not None:
            raise request.error
        return request.result

    def _lead(self, leader: Request[C]) -> None:
        """Carry out what there is, beginning with the leader's own."""
        with self._lock:
            count = min(len(self._queue), MAX_TOGETHER)
            together = [self._queue.popleft() for _ in range(count)]
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
            self._hand_over()
            for request in together:
                request.is_done = True
                if request is not leader:
                    request.wake()

    def _hand_over(self) -> None:
        """Have the first of those that came meanwhile lead."""
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._is_led = following is not None
        if following is not None:
            following.wake()
