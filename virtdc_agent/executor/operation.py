"""One operation while it runs: its deadline, withdrawal and progress."""

from __future__ import annotations

from collections.abc import Callable
import enum
import threading

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model


class Withdrawal(enum.Enum):
    """Why an operation is not to go on."""

    TIMEOUT = 'its time was up'
    CANCELLED = 'it was cancelled'
    INTERRUPTED = 'the agent is stopping'
    LEASE_LOST = 'another agent has taken it'


class RunningOperation(interfaces.OperationContext):
    """What the backend, the worker and the watch share about one claim.

    Two decisions are made here, each exactly once, whoever comes first:
    whether the operation commits or is withdrawn, and who ends the event,
    the worker that finished it or the watch that gave it up.

    :param deadline: on ``clock.monotonic()``'s scale.
    """

    def __init__(
        self,
        claim: model.Claim,
        *,
        clock: interfaces.Clock,
        deadline: float,
        in_flight: int = 1,
    ) -> None:
        self.claim = claim
        self.deadline = deadline
        self.started = clock.monotonic()
        self.in_flight = in_flight
        self.abandoned = threading.Event()
        """Set once the journal knows that the watch has given it up."""
        self._clock = clock
        self._lock = threading.Lock()
        self._withdrawal: Withdrawal | None = None
        self._committing = False
        self._end_taken = False
        self._cancel: Callable[[], None] | None = None
        self._progress = model.Progress()

    @property
    def event_id(self) -> str:
        """See the interface."""
        return self.claim.event.event_id

    @property
    def attempt(self) -> int:
        """See the interface."""
        return self.claim.attempt

    @property
    def progress(self) -> model.Progress:
        """What was reported last."""
        with self._lock:
            return self._progress

    @property
    def withdrawal(self) -> Withdrawal | None:
        """Why it is not to go on, if so."""
        with self._lock:
            return self._withdrawal

    def check(self) -> None:
        """See the interface."""
        if self._clock.monotonic() >= self.deadline:
            self.withdraw(Withdrawal.TIMEOUT)
        with self._lock:
            self._raise_if_withdrawn()

    def begin_commit(self) -> None:
        """See the interface."""
        self.check()
        with self._lock:
            self._raise_if_withdrawn()
            self._committing = True

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """See the interface."""
        with self._lock:
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
        with self._lock:
            self._progress = progress

    def withdraw(self, withdrawal: Withdrawal) -> bool:
        """Ask the operation to stop, unless it has begun to commit.

        The first withdrawal stays; later ones change nothing.

        :returns: whether the operation is withdrawn now.
        """
        with self._lock:
            if self._committing:
                return False
            if self._withdrawal is not None:
                return True
            self._withdrawal = withdrawal
            callback = self._cancel
        if callback is not None:
            callback()
        return True

    def take_end(self) -> bool:
        """Say whether the caller is the one who ends the event."""
        with self._lock:
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
