"""A backend whose operations a test holds in the middle and ends at will."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import threading
from typing import Self

from virtdc_agent.contract import events
from virtdc_agent import interfaces
from virtdc_agent import model

WAIT_S = 10.0


class Held:
    """An operation that has begun in the backend."""

    def __init__(self, context: interfaces.OperationContext) -> None:
        self.context = context
        self.cancelled = threading.Event()
        self._go = threading.Event()
        self._error: Exception | None = None
        self._commits_first = False
        context.on_cancel(self.cancelled.set)

    def finish(self) -> None:
        """Let it end well."""
        self._go.set()

    def fail(self, error: Exception) -> None:
        """Let it end with an error."""
        self._error = error
        self._go.set()

    def run(self, commit_first: bool) -> None:
        """Wait for the test's word; begin to commit before or after it."""
        if commit_first:
            self.context.begin_commit()
        if not self._go.wait(WAIT_S):
            raise AssertionError('the test forgot an operation')
        if self._error is not None:
            raise self._error
        if not commit_first:
            self.context.begin_commit()


class ScriptedBackend(interfaces.Backend):
    """Holds operations on volumes in ``hold``; does the others at once.

    :param commits_first: held operations have begun to commit, and so
        cannot be withdrawn.
    """

    operations = frozenset(
        {
            events.Operation.CREATE,
            events.Operation.DELETE,
            events.Operation.EXTEND,
        }
    )
    formats = frozenset({events.Format.RAW})
    provisionings = frozenset(events.Provisioning)

    def __init__(self, *, total_bytes: int = 2**50) -> None:
        self.sizes: dict[str, int] = {}
        self.hold: set[str] = set()
        self.hold_all = False
        self.commits_first = False
        self.started: list[tuple[str, str]] = []
        self.most_at_once = 0
        self._running = 0
        self._total_bytes = total_bytes
        self._changed = threading.Condition()
        self._held: dict[str, Held] = {}

    def held(self, volume_id: str) -> Held:
        """Return the held operation of a volume, once it has begun."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: volume_id in self._held, WAIT_S
            ):
                raise AssertionError(f'nothing began on {volume_id}')
            return self._held[volume_id]

    def held_now(self) -> list[str]:
        """Return the volumes whose operation is held now."""
        with self._changed:
            return sorted(self._held)

    def await_held(self, count: int) -> list[str]:
        """Return the held volumes once there are so many."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: len(self._held) >= count, WAIT_S
            ):
                raise AssertionError(f'only {len(self._held)} began')
            return sorted(self._held)

    @classmethod
    def from_config(cls, conf, *, clock, section='') -> Self:
        """See the interface."""
        return cls()

    def start(self) -> None:
        """See the interface."""

    def sweep(self, held) -> Sequence[str]:
        """See the interface."""
        return ()

    def space(self) -> model.StorageSpace:
        """See the interface."""
        return model.StorageSpace(
            total_bytes=self._total_bytes,
            free_bytes=self._total_bytes,
            max_over_subscription_ratio=1.0,
        )

    def create(
        self,
        volume_id: str,
        parameters: events.CreateParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        self._do('create', volume_id, context)
        self.sizes[volume_id] = parameters.size_bytes
        return self._facts(volume_id)

    def delete(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""
        self._do('delete', volume_id, context)
        self.sizes.pop(volume_id, None)

    def extend(
        self,
        volume_id: str,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        self._do('extend', volume_id, context)
        self.sizes[volume_id] = size_bytes
        return self._facts(volume_id)

    def find(self, volume_id: str) -> model.VolumeFacts | None:
        """See the interface."""
        return self._facts(volume_id) if volume_id in self.sizes else None

    def scan(self) -> Iterable[model.VolumeFacts]:
        """See the interface."""
        return [self._facts(volume_id) for volume_id in self.sizes]

    def _facts(self, volume_id: str) -> model.VolumeFacts:
        return model.VolumeFacts(
            volume_id=volume_id,
            size_bytes=self.sizes[volume_id],
            format=events.Format.RAW,
            provisioning=events.Provisioning.THIN,
        )

    def _do(
        self,
        operation: str,
        volume_id: str,
        context: interfaces.OperationContext,
    ) -> None:
        with self._changed:
            self.started.append((operation, volume_id))
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            held = None
            if self.hold_all or volume_id in self.hold:
                held = self._held[volume_id] = Held(context)
            self._changed.notify_all()
        try:
            if held is None:
                context.begin_commit()
            else:
                held.run(self.commits_first)
        finally:
            with self._changed:
                self._running -= 1
                self._held.pop(volume_id, None)
                self._changed.notify_all()
