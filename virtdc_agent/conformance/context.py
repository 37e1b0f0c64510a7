"""The context of an operation, as a test wants it."""

from __future__ import annotations

from collections.abc import Callable
import itertools
import threading

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

_FENCES = itertools.count(1)


class FakeContext(interfaces.OperationContext):
    """Keeps what an operation tells, and cancels it when told to.

    Safe from any thread, as the real one.

    :param fence: a higher one than all made before, unless it is said.
    :param before_commit: called each time when leave to commit is asked, to
        look at the storage as it then is, or to raise.
    :param fail_at_commit: refuse that leave.
    """

    def __init__(
        self,
        event_id: str = 'event-1',
        attempt: int = 1,
        *,
        fence: int | None = None,
        before_commit: Callable[[], object] | None = None,
        fail_at_commit: bool = False,
    ) -> None:
        self._event_id = event_id
        self._attempt = attempt
        self._fence = next(_FENCES) if fence is None else fence
        self.before_commit = before_commit
        self._fail_at_commit = fail_at_commit
        self._lock = threading.Lock()
        self._cancelled = False
        self._committed = False
        self._callback: Callable[[], None] | None = None
        self.checks = 0
        self.reports: list[model.Progress] = []

    @property
    def event_id(self) -> str:
        """See the interface."""
        return self._event_id

    @property
    def attempt(self) -> int:
        """See the interface."""
        return self._attempt

    @property
    def fence(self) -> int:
        """See the interface."""
        return self._fence

    @property
    def committed(self) -> bool:
        """Whether leave to commit was given."""
        with self._lock:
            return self._committed

    def cancel(self) -> None:
        """Cancel the operation, unless it has begun to commit."""
        with self._lock:
            if self._committed:
                return
            self._cancelled = True
            callback = self._callback
        if callback is not None:
            callback()

    def check(self) -> None:
        """See the interface."""
        with self._lock:
            self.checks += 1
            self._raise_if_cancelled()

    def begin_commit(self) -> None:
        """See the interface."""
        if self.before_commit is not None:
            self.before_commit()
        with self._lock:
            self._cancelled |= self._fail_at_commit
            self._raise_if_cancelled()
            self._committed = True

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """See the interface."""
        with self._lock:
            self._callback = callback
            cancelled = self._cancelled
        if cancelled:
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
            self.reports.append(progress)

    def _raise_if_cancelled(self) -> None:
        if self._cancelled:
            raise exceptions.OperationCancelled('the test cancelled it')
