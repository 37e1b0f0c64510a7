"""Looks after what runs: deadlines, progress, cancellation."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import logging
import math
import threading

from virtdc_agent import exceptions
from virtdc_agent.executor.operation import RunningOperation
from virtdc_agent.executor.operation import Withdrawal
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)

HEARTBEAT_S = 8.0
"""An operation that says nothing new is reported again so often: with the
progress interval added, never more than 10 s pass without a sign of life."""


@dataclasses.dataclass(slots=True)
class _Watched:
    operation: RunningOperation
    reported: model.Progress
    reported_at: float


class Watch:
    """One thread for all running operations.

    It wakes at the next deadline, and while operations run that are older
    than ``progress_interval_s`` at every such interval. What takes longer
    than a moment it hands on.

    :param give_up: ends an event whose operation does not stop; called in
        this thread, and must not block.
    """

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        clock: interfaces.Clock,
        give_up: Callable[[RunningOperation], None],
        progress_interval_s: float,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._give_up = give_up
        self._interval_s = progress_interval_s
        self._changed = threading.Condition()
        self._watched: dict[int, _Watched] = {}
        self._stopped = False
        self._wakes_at = math.inf
        self._thread = threading.Thread(
            target=self._run, name='watch', daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def add(self, operation: RunningOperation) -> None:
        """Look after an operation from now on."""
        with self._changed:
            self._watched[id(operation)] = _Watched(
                operation=operation,
                reported=operation.progress,
                reported_at=operation.started,
            )
            # To wake the thread for each would cost more than all it does.
            if operation.deadline < self._wakes_at:
                self._changed.notify_all()

    def remove(self, operation: RunningOperation) -> None:
        """Look after it no longer. It may be gone already."""
        with self._changed:
            self._watched.pop(id(operation), None)

    def look(self) -> list[model.RunningFacts]:
        """Return how what runs is doing, the oldest first."""
        with self._changed:
            operations = [item.operation for item in self._watched.values()]
        now = self._clock.monotonic()
        return [
            model.RunningFacts(
                event=one.claim.event,
                lane=one.claim.lane,
                attempt=one.attempt,
                age_s=now - one.started,
                progress=one.progress,
                withdrawn=one.withdrawal.value if one.withdrawal else '',
            )
            for one in sorted(operations, key=lambda one: one.started)
        ]

    def withdraw_all(self, withdrawal: Withdrawal) -> None:
        """Ask everything that runs to stop."""
        with self._changed:
            operations = [item.operation for item in self._watched.values()]
        for operation in operations:
            operation.withdraw(withdrawal)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._stopped:
                    wait_s = self._next_s()
                    self._wakes_at = (
                        math.inf
                        if wait_s is None
                        else self._clock.monotonic() + wait_s
                    )
                    self._clock.wait(self._changed, wait_s)
                if self._stopped:
                    return
                watched = list(self._watched.values())
            try:
                self._look(watched)
            except exceptions.JournalUnavailable as exc:
                # What is missed now is made up for at the next tick; the
                # workers say that the journal is away.
                LOG.debug('Watch skipped a tick: %s', exc)
            except Exception:
                LOG.exception('Unexpected error while watching operations')

    def _next_s(self) -> float | None:
        """Return seconds until there is something to do; lock held."""
        if not self._watched:
            return None
        now = self._clock.monotonic()
        deadline = min(
            item.operation.deadline for item in self._watched.values()
        )
        return max(0.001, min(self._interval_s, deadline - now))

    def _look(self, watched: list[_Watched]) -> None:
        now = self._clock.monotonic()
        for item in watched:
            if now >= item.operation.deadline:
                self._expire(item.operation)
        old = [
            item
            for item in watched
            if now - item.operation.started >= self._interval_s
            and now < item.operation.deadline
        ]
        if not old:
            return
        for item in old:
            self._report(item, now)
        running = {item.operation.event_id: item.operation for item in old}
        claims = [item.operation.claim for item in old]
        for claim in self._journal.get_cancelled(claims):
            running[claim.event.event_id].withdraw(Withdrawal.CANCELLED)

    def _expire(self, operation: RunningOperation) -> None:
        self.remove(operation)
        operation.withdraw(Withdrawal.TIMEOUT)
        if operation.take_end():
            self._give_up(operation)

    def _report(self, item: _Watched, now: float) -> None:
        progress = item.operation.progress
        moved = (
            progress.percent != item.reported.percent
            or progress.phase != item.reported.phase
        )
        since_s = now - item.reported_at
        if not (moved and since_s >= self._interval_s) and (
            since_s < HEARTBEAT_S
        ):
            return
        item.reported, item.reported_at = progress, now
        try:
            self._journal.record_progress(item.operation.claim, progress)
        except exceptions.LeaseLost:
            pass  # It has just ended, or is about to learn why not.
