"""Runs one claim to its end, and sees that the journal learns of it."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading

from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor.handlers import Ended
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.operation import RunningOperation
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent.executor.operation import Withdrawal
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Worker:
    """The steps from a claim to a final state.

    Stateless but for the stop flag; safe from any thread.

    :param timeout_s: T2, for what a failure says.
    """

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        handlers: Handlers,
        clock: interfaces.Clock,
        timeout_s: float,
    ) -> None:
        self._journal = journal
        self._handlers = handlers
        self._clock = clock
        self._timeout_s = timeout_s
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

    def run(self, operation: RunningOperation) -> tuple[bool, model.Signal]:
        """Execute, then settle, release or reopen.

        :returns: whether the event was still this worker's to end, and what
            the end says of the storage's load.
        """
        ended: Ended | None
        try:
            ended = self._handlers.execute(operation.claim, operation)
        except exceptions.OperationCancelled:
            ended = None
        if not operation.take_end():
            self._reopen(operation, ended)
            return False, model.Signal.OVERLOADED
        if ended is not None:
            self._settle(operation.claim, ended.outcome)
            return True, ended.signal
        match operation.withdrawal:
            case Withdrawal.TIMEOUT:
                self._settle(operation.claim, self._timed_out())
                return True, model.Signal.OVERLOADED
            case Withdrawal.CANCELLED:
                self._settle(operation.claim, _cancelled())
            case Withdrawal.LEASE_LOST:
                self._lost(operation.claim)
            case _:
                self._release(operation.claim)
        return True, model.Signal.IGNORED

    def give_up(self, operation: RunningOperation) -> None:
        """End an event whose backend goes on beyond its deadline.

        To be called by who holds the operation's end. The volume stays
        closed until the backend lets go.
        """
        claim = operation.claim
        LOG.warning(
            'Event %s (%s of volume %s) is not finished after %g s; its '
            'volume stays closed until the storage lets go of it.',
            claim.event.event_id,
            claim.event.operation,
            claim.event.volume_id,
            self._timeout_s,
        )
        self._write(
            claim, lambda: self._journal.fence_off(claim, self._timed_out())
        )
        operation.abandoned.set()

    def _settle(self, claim: model.Claim, outcome: model.Outcome) -> None:
        self._write(claim, lambda: self._journal.settle(claim, outcome))

    def _release(self, claim: model.Claim) -> None:
        self._write(claim, lambda: self._journal.release(claim))

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

    def _write(self, claim: model.Claim, write: Callable[[], object]) -> None:
        """Write until it is written, the claim is lost, or we stop."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                write()
                return
            except exceptions.LeaseLost:
                self._lost(claim)
                return
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
                    return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _lost(self, claim: model.Claim) -> None:
        LOG.warning(
            "Event %s is no longer this agent's; its end is left to "
            'whoever holds it now.',
            claim.event.event_id,
        )

    def _timed_out(self) -> model.Outcome:
        return model.Outcome(
            state=State.FAILED,
            reason=Reason.TIMEOUT,
            message=(
                f'Not finished within {self._timeout_s:g} s. Nothing of it '
                'is kept; try again when the storage is less busy.'
            ),
        )


def _cancelled() -> model.Outcome:
    return model.Outcome(
        state=State.FAILED,
        reason=Reason.CANCELLED,
        message='Cancelled while it ran; nothing of it is kept.',
    )
