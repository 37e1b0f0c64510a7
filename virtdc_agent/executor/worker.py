"""Runs one claim to its end, and sees that the journal learns of it."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import logging
import threading
from typing import Protocol

from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor.handlers import Ended
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.operation import RunningOperation
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent.executor.operation import Withdrawal
from virtdc_agent.executor.timing import Retries
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Slot(Protocol):
    """An operation's place under the limit."""

    @property
    def area(self) -> float:
        """See ``Gate.area``."""

    def ended(self, operation: RunningOperation, signal: model.Signal) -> None:
        """Learn how the last attempt ended."""

    def paused(
        self, operation: RunningOperation, signal: model.Signal
    ) -> contextlib.AbstractContextManager[None]:
        """Learn how an attempt ended; lend the slot while the body runs."""


class Worker:
    """The steps from a claim to a final state.

    Stateless but for the stop flag; safe from any thread.

    :param dice: returns random numbers from 0 to 1.
    """

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        handlers: Handlers,
        clock: interfaces.Clock,
        retries: Retries,
        dice: Callable[[], float],
        meter: interfaces.Meter | None = None,
    ) -> None:
        self._journal = journal
        self._handlers = handlers
        self._clock = clock
        self._retries = retries
        self._dice = dice
        self._meter = meter or interfaces.Meter()
        self._stopping = threading.Condition()
        self._stopped = False

    def stop(self) -> None:
        """Give up writing to a journal that does not take it.

        What is then unwritten stays ``running`` in the journal, and is
        taken up again when the agent starts.
        """
        with self._stopping:
            self._stopped = True
            self._stopping.notify_all()

    def run(self, operation: RunningOperation, slot: Slot) -> bool:
        """Execute, again if that may help; then settle, release or reopen.

        :param slot: told of every attempt, and asked for room for the next.
        :returns: whether the event was still this worker's to end.
        """
        retry = 0
        while True:
            ended = self._execute(operation)
            if (
                ended is None
                or not ended.is_retryable
                or retry >= self._retries.most
            ):
                break
            retry += 1
            if not self._begin_again(operation, slot, ended, retry):
                if operation.withdrawal is not None:
                    ended = None
                break
        if not operation.take_end():
            self._reopen(operation, ended)
            return False
        slot.ended(operation, self._end(operation, ended))
        return True

    def _execute(self, operation: RunningOperation) -> Ended | None:
        try:
            return self._handlers.execute(operation.claim, operation)
        except exceptions.OperationCancelled:
            return None

    def _end(
        self, operation: RunningOperation, ended: Ended | None
    ) -> model.Signal:
        """Write the end; return what it says of the storage's load."""
        claim = operation.claim
        if ended is not None:
            self._settle(operation, ended.outcome)
            return ended.signal
        match operation.withdrawal:
            case Withdrawal.TIMEOUT:
                self._settle(operation, self._timed_out(operation))
                return model.Signal.OVERLOADED
            case Withdrawal.CANCELLED:
                self._settle(operation, _cancelled())
            case _:
                # Also if the lease was lost: unless another agent has it
                # by now, it is still this one's to put back.
                self._release(claim)
        return model.Signal.IGNORED

    def _begin_again(
        self,
        operation: RunningOperation,
        slot: Slot,
        ended: Ended,
        retry: int,
    ) -> bool:
        """Pause, then begin another attempt; say whether it has begun.

        If not, what the last one came to stands.
        """
        pause_s = self._retries.pause_s(retry, self._dice())
        if self._clock.monotonic() + pause_s >= operation.deadline:
            return False
        LOG.debug(
            'Event %s is tried again in %.1f s: %s',
            operation.event_id,
            pause_s,
            ended.outcome.message,
        )
        with slot.paused(operation, ended.signal):
            goes_on = operation.pause(pause_s)
        if not goes_on or not operation.begin_switch():
            return False
        try:
            claim = self._journal.retry(operation.claim)
        except (exceptions.LeaseLost, exceptions.JournalUnavailable) as exc:
            LOG.warning(
                'Event %s is not tried again: %s', operation.event_id, exc
            )
            operation.end_switch()
            return False
        operation.begin_again(claim, slot.area)
        self._meter.retried(claim)
        return True

    def give_up(self, operation: RunningOperation) -> None:
        """End an event whose backend goes on beyond its deadline.

        To be called by who holds the operation's end. The volume stays
        closed until the backend lets go.
        """
        claim = operation.claim
        LOG.warning(
            'Event %s (%s of volume %s) is not finished after %.0f s; its '
            'volume stays closed until the storage lets go of it.',
            claim.event.event_id,
            claim.event.operation,
            claim.event.volume_id,
            self._clock.monotonic() - operation.started,
        )
        outcome = self._timed_out(operation)
        if self._write(claim, lambda: self._journal.fence_off(claim, outcome)):
            self._tell_end(operation, outcome)
        operation.abandoned.set()

    def _settle(
        self, operation: RunningOperation, outcome: model.Outcome
    ) -> None:
        claim = operation.claim
        LOG.debug(
            'Event %s (%s of volume %s): %s%s',
            claim.event.event_id,
            claim.event.operation,
            claim.event.volume_id,
            outcome.state,
            f', {outcome.reason}: {outcome.message}' if outcome.reason else '',
        )
        if self._write(claim, lambda: self._journal.settle(claim, outcome)):
            self._tell_end(operation, outcome)

    def _release(self, claim: model.Claim) -> None:
        if self._write(claim, lambda: self._journal.release(claim)):
            self._meter.put_back(claim)

    def _tell_end(
        self, operation: RunningOperation, outcome: model.Outcome
    ) -> None:
        self._meter.ended(
            operation.claim,
            outcome,
            self._clock.monotonic() - operation.started,
        )

    def _reopen(
        self, operation: RunningOperation, ended: Ended | None
    ) -> None:
        """Take back what came too late, and let the next event in."""
        claim = operation.claim
        operation.abandoned.wait()
        change: model.VolumeChange | None = None
        if ended is not None and ended.outcome.state is State.SUCCESS:
            try:
                change = self._handlers.undo(
                    claim, ended.outcome, UndoContext(claim)
                )
            except Exception:
                # The volume must be opened all the same: a delete by its
                # owner is what can still help.
                LOG.exception(
                    'Event %s finished after its deadline, and its %s of '
                    'volume %s could not be taken back: delete the volume '
                    'to free its space.',
                    claim.event.event_id,
                    claim.event.operation,
                    claim.event.volume_id,
                )
        self._write(claim, lambda: self._journal.unfence(claim, change))

    def _write(self, claim: model.Claim, write: Callable[[], object]) -> bool:
        """Write until it is written, the claim is lost, or we stop.

        :returns: whether it is written.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                write()
                return True
            except exceptions.LeaseLost:
                self._lost(claim)
                return False
            except exceptions.JournalUnavailable as exc:
                LOG.warning(
                    'The end of event %s is not in the journal yet (%s); '
                    'trying again in %g s.',
                    claim.event.event_id,
                    exc,
                    pause_s,
                )
            with self._stopping:
                if not self._stopped:
                    self._clock.wait(self._stopping, pause_s)
                if self._stopped:
                    return False
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _lost(self, claim: model.Claim) -> None:
        LOG.warning(
            "Event %s is no longer this agent's; its end is left to "
            'whoever holds it now.',
            claim.event.event_id,
        )

    def _timed_out(self, operation: RunningOperation) -> model.Outcome:
        elapsed_s = self._clock.monotonic() - operation.started
        return model.Outcome(
            state=State.FAILED,
            reason=Reason.TIMEOUT,
            message=(
                f'{operation.budget.explain(elapsed_s)} Nothing of it is '
                'kept; try again when the storage is less busy.'
            ),
        )


def _cancelled() -> model.Outcome:
    return model.Outcome(
        state=State.FAILED,
        reason=Reason.CANCELLED,
        message='Cancelled while it ran; nothing of it is kept.',
    )
