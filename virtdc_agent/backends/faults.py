"""Faults on demand, for the backend "memory": hold, fail, crash."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import enum
import threading

from virtdc_agent.contract.events import Operation
from virtdc_agent import interfaces

WAIT_S = 30.0
"""A test that forgets a gate fails after this instead of hanging."""


class Step(enum.IntEnum):
    """Where in an operation a fault can strike, in this order."""

    BEGUN = 1
    """Nothing is done."""
    PREPARED = 2
    """All is done that nobody sees; leave is not yet asked."""
    COMMITTED = 3
    """Leave is given; nothing can be seen yet."""
    VISIBLE = 4
    """The effect is there; what helped to make it is not cleared away."""


class Crash(BaseException):
    """The agent was killed here: nobody cleans up."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which operations a fault is for; ``None`` means any."""

    step: Step
    operation: Operation | None = None
    volume_id: str | None = None

    def fits(self, step: Step, operation: Operation, volume_id: str) -> bool:
        """Say whether this moment is meant."""
        return (
            self.step is step
            and self.operation in (None, operation)
            and self.volume_id in (None, volume_id)
        )


class Gate:
    """Holds operations until a test lets them go. Safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = False
        self._held = 0

    @property
    def held(self) -> int:
        """How many operations wait here now."""
        with self._changed:
            return self._held

    def open(self) -> None:
        """Let all go on, and hold no more."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def await_held(self, count: int = 1) -> None:
        """Return once so many operations wait here.

        :raises TimeoutError: they do not come.
        """
        self._wait(lambda: self._held >= count, f'{count} operations')

    def pass_through(self, context: interfaces.OperationContext) -> None:
        """Wait until the gate is open or the operation is cancelled.

        :raises OperationCancelled: it was, before its commit.
        """
        cancelled = threading.Event()

        def wake() -> None:
            cancelled.set()
            with self._changed:
                self._changed.notify_all()

        with self._changed:
            self._held += 1
            self._changed.notify_all()
        try:
            context.on_cancel(wake)
            self._wait(lambda: self._open or cancelled.is_set(), 'a gate')
        finally:
            with self._changed:
                self._held -= 1
        if cancelled.is_set():
            context.check()

    def _wait(self, predicate: Callable[[], bool], what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(predicate, WAIT_S):
                raise TimeoutError(f'waited {WAIT_S:g} s for {what}')


class Faults:
    """The faults that are asked for. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: list[tuple[Target, Gate]] = []
        self._errors: list[tuple[Target, BaseException]] = []

    def hold(self, target: Target) -> Gate:
        """Hold what fits, until the gate is opened."""
        gate = Gate()
        with self._lock:
            self._gates.append((target, gate))
        return gate

    def fail(self, target: Target, error: BaseException) -> None:
        """Raise ``error`` in the next operation that fits, once."""
        with self._lock:
            self._errors.append((target, error))

    def strike(
        self,
        step: Step,
        operation: Operation,
        volume_id: str,
        context: interfaces.OperationContext,
    ) -> None:
        """Do to an operation at a step what was asked for."""
        with self._lock:
            gates = [
                gate
                for target, gate in self._gates
                if target.fits(step, operation, volume_id)
            ]
            due = [
                entry
                for entry in self._errors
                if entry[0].fits(step, operation, volume_id)
            ][:1]
            for entry in due:
                self._errors.remove(entry)
        for gate in gates:
            gate.pass_through(context)
        for _, error in due:
            raise error
