"""One operation while it runs: its deadline, withdrawal and progress."""

from __future__ import annotations

from collections.abc import Callable
import enum
import threading
from typing import Protocol

from virtdc_agent import exceptions
from virtdc_agent.executor.timing import Budget
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent import scheduling


class Withdrawal(enum.Enum):
    """Why an operation is not to go on."""

    TIMEOUT = 'its time was up'
    CANCELLED = 'it was cancelled'
    INTERRUPTED = 'the agent is stopping'
    LEASE_LOST = 'another agent has taken it'


class Standing(Protocol):
    """What an operation asks of its agent's lease."""

    @property
    def is_good(self) -> bool:
        """Whether what the agent holds is surely its own."""


class RunningOperation(interfaces.OperationContext):
    """What the backend, the worker and the watch share about one claim.

    Two decisions are made here, each exactly once, whoever comes first:
    whether the operation commits or is withdrawn, and who ends the event,
    the worker that finished it or the watch that gave it up.

    :param budget: how long it may take.
    :param area: of its gate, at its start.
    """

    def __init__(
        self,
        claim: model.Claim,
        *,
        clock: interfaces.Clock,
        budget: Budget,
        lease: Standing,
        area: float = 0.0,
    ) -> None:
        self.claim = claim
        self.budget = budget
        self.kind = scheduling.kind_of(claim.event, claim.lane)
        self.started = clock.monotonic()
        self.attempt_started = self.started
        self.area = area
        self.abandoned = threading.Event()
        """Set once the journal knows that the watch has given it up."""
        self.on_phase: Callable[[str], None] = lambda name: None
        """Called, by who works, with each phase that begins."""
        self._clock = clock
        self._lease = lease
        self._changed = threading.Condition()
        self._withdrawal: Withdrawal | None = None
        self._committing = False
        self._end_taken = False
        self._switching = False
        self._cancel: Callable[[], None] | None = None
        self._progress = model.Progress()
        self._most_bytes = 0
        self._moved: float | None = None

    @property
    def deadline(self) -> float:
        """When its time is up, on ``clock.monotonic()``'s scale."""
        return self.budget.deadline(self.started, self._moved)

    @property
    def event_id(self) -> str:
        """See the interface."""
        return self.claim.event.event_id

    @property
    def attempt(self) -> int:
        """See the interface."""
        return self.claim.attempt

    @property
    def fence(self) -> int:
        """See the interface."""
        return self.claim.fence

    @property
    def progress(self) -> model.Progress:
        """What was reported last."""
        with self._changed:
            return self._progress

    @property
    def withdrawal(self) -> Withdrawal | None:
        """Why it is not to go on, if so."""
        with self._changed:
            return self._withdrawal

    def check(self) -> None:
        """See the interface."""
        if self._clock.monotonic() >= self.deadline:
            self.withdraw(Withdrawal.TIMEOUT)
        if not self._lease.is_good:
            self.withdraw(Withdrawal.LEASE_LOST)
        with self._changed:
            self._raise_if_withdrawn()

    def begin_commit(self) -> None:
        """See the interface."""
        self.check()
        with self._changed:
            self._raise_if_withdrawn()
            self._committing = True

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """See the interface."""
        with self._changed:
            self._cancel = callback
            withdrawn = self._withdrawal is not None
        if withdrawn:
            callback()

    def report(
        self,
        bytes_done: int | None = None,
        bytes_total: int | None = None,
        phase: str = '',
    ) -> None:
        """See the interface."""
        progress = model.Progress(
            bytes_done=bytes_done, bytes_total=bytes_total, phase=phase
        )
        with self._changed:
            begins = phase and phase != self._progress.phase
            self._progress = progress
            if bytes_done is not None and bytes_done > self._most_bytes:
                self._most_bytes = bytes_done
                self._moved = self._clock.monotonic()
        if begins:
            self.on_phase(phase)

    def withdraw(self, withdrawal: Withdrawal) -> bool:
        """Ask the operation to stop, unless it has begun to commit.

        The first withdrawal stays; later ones change nothing.

        :returns: whether the operation is withdrawn now.
        """
        with self._changed:
            if self._committing:
                return False
            if self._withdrawal is not None:
                return True
            self._withdrawal = withdrawal
            callback = self._cancel
            self._changed.notify_all()
        if callback is not None:
            callback()
        return True

    def pause(self, seconds: float) -> bool:
        """Wait before another attempt.

        :returns: whether there is still a point in one.
        """
        until = self._clock.monotonic() + seconds
        with self._changed:
            while self._withdrawal is None:
                remaining_s = until - self._clock.monotonic()
                if remaining_s <= 0:
                    return True
                self._clock.wait(self._changed, remaining_s)
            return False

    def begin_switch(self) -> bool:
        """Say whether another attempt may begin; then nobody else ends it.

        To be followed by ``begin_again`` or ``end_switch``.
        """
        with self._changed:
            if self._end_taken or self._withdrawal is not None:
                return False
            self._switching = True
            return True

    def end_switch(self) -> None:
        """Go back to the attempt that was."""
        with self._changed:
            self._switching = False

    def begin_again(self, claim: model.Claim, area: float) -> None:
        """Be another attempt, of which nothing has happened yet.

        The time goes on from the first start.
        """
        with self._changed:
            self._switching = False
            self.claim = claim
            self.area = area
            self.attempt_started = self._clock.monotonic()
            self._committing = False
            self._cancel = None
            self._progress = model.Progress()
            self._most_bytes = 0

    def take_end(self) -> bool:
        """Say whether the caller is the one who ends the event."""
        with self._changed:
            if self._switching:
                return False
            taken, self._end_taken = self._end_taken, True
            return not taken

    def _raise_if_withdrawn(self) -> None:
        if self._withdrawal is not None:
            raise exceptions.OperationCancelled(self._withdrawal.value)


class UndoContext(interfaces.OperationContext):
    """The context of removing what came too late: it is never withdrawn."""

    def __init__(self, claim: model.Claim) -> None:
        self._claim = claim

    @property
    def event_id(self) -> str:
        """See the interface."""
        return self._claim.event.event_id

    @property
    def attempt(self) -> int:
        """See the interface."""
        return self._claim.attempt

    @property
    def fence(self) -> int:
        """See the interface."""
        return self._claim.fence

    def check(self) -> None:
        """Go on."""

    def begin_commit(self) -> None:
        """Go on."""

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Forget the callback: there is no cancellation."""

    def report(
        self,
        bytes_done: int | None = None,
        bytes_total: int | None = None,
        phase: str = '',
    ) -> None:
        """Forget the report: the event is over."""
