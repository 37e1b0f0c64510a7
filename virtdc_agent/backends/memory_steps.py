"""How the backend "memory" takes the steps of its operations.

What all of them have in common: they are recorded, struck by faults, fenced,
prepared where nobody sees it, and done in one step.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections import Counter
import contextlib
import dataclasses

from virtdc_agent.backends.faults import Faults
from virtdc_agent.backends.faults import Step
from virtdc_agent.backends import layout
from virtdc_agent.backends.memory_storage import MemoryStorage
from virtdc_agent.backends.memory_storage import MemoryVolume
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

DEFAULT_TOTAL_BYTES = 1024**4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operation that was asked for."""

    operation: Operation
    volume_id: str
    event_id: str
    attempt: int


class MemorySteps:
    """Takes steps; see ``memory.MemoryBackend`` for what it records."""

    def __init__(
        self,
        storage: MemoryStorage | None = None,
        *,
        total_bytes: int = DEFAULT_TOTAL_BYTES,
        max_over_subscription_ratio: float = 20.0,
        reserved_percentage: int = 0,
    ) -> None:
        self.storage = storage or MemoryStorage()
        self.faults = Faults()
        self.calls: list[Call] = []
        self.most_at_once = 0
        self.overlaps: set[str] = set()
        self._running: Counter[str] = Counter()
        self._total_bytes = total_bytes
        self._ratio = max_over_subscription_ratio
        self._reserved_percentage = reserved_percentage

    def space(self) -> model.StorageSpace:
        """See the interface. Only thick volumes take space."""
        with self.storage.lock:
            taken_bytes = self.storage.thick_bytes
        return model.StorageSpace(
            total_bytes=self._total_bytes,
            free_bytes=max(0, self._total_bytes - taken_bytes),
            max_over_subscription_ratio=self._ratio,
            reserved_percentage=self._reserved_percentage,
        )

    def _take(self, volume: MemoryVolume, more_bytes: int) -> None:
        if volume.provisioning is Provisioning.THICK:
            self.storage.thick_bytes += more_bytes

    def _present(self, volume_id: str) -> MemoryVolume | None:
        with self.storage.lock:
            return self.storage.volumes.get(volume_id)

    def _adopted(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> model.VolumeFacts | None:
        """Return what an earlier attempt of this event has made, if it has.

        :raises EventRejected: something else has the name.
        """
        present = self._present(volume_id)
        if present is None:
            return None
        if present.event_id != context.event_id:
            raise taken(volume_id)
        return facts_of(volume_id, present)

    def _add(self, volume_id: str, volume: MemoryVolume) -> None:
        """Make a volume visible; the storage is locked.

        :raises EventRejected: something has the name.
        """
        if self._is_strange(volume_id) or volume_id in self.storage.volumes:
            raise taken(volume_id)
        self.storage.volumes[volume_id] = volume
        self._take(volume, volume.size_bytes)

    def _is_strange(self, volume_id: str) -> bool:
        with self.storage.lock:
            return (
                volume_id in self.storage.strangers
                or f'volume-{volume_id}' in self.storage.manageable
            )

    def _prepare(
        self,
        operation: Operation,
        volume_id: str,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Do all that nobody sees, and get leave for the rest."""
        with self.storage.lock:
            self.storage.leftovers[volume_id] = context.fence
        try:
            if (
                provisioning is Provisioning.THICK
                and size_bytes > self.space().free_bytes
            ):
                raise exceptions.BackendUnavailable(
                    f'Volume {volume_id}: the storage is full; delete '
                    'volumes or have the operator add space.'
                )
            for part in range(5):
                context.check()
                context.report(size_bytes * part // 4, size_bytes, 'zeroing')
            self._strike(Step.PREPARED, operation, volume_id, context)
            context.begin_commit()
            self._strike(Step.COMMITTED, operation, volume_id, context)
        except Exception:
            self._clear(volume_id, context)
            raise

    def _clear(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        with self.storage.lock:
            if self.storage.leftovers.get(volume_id) == context.fence:
                del self.storage.leftovers[volume_id]

    def _note_fence(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """Refuse who has been overtaken; let nobody earlier act any more."""
        with self.storage.lock:
            if self.storage.fences.get(volume_id, 0) > context.fence:
                raise exceptions.OperationCancelled(
                    'a later operation has begun on this volume'
                )
            self.storage.fences[volume_id] = context.fence

    @contextlib.contextmanager
    def _acting(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> Iterator[None]:
        """Do the step that others see; undo nothing if it is refused."""
        with self.storage.lock:
            try:
                self._note_fence(volume_id, context)
                if self.storage.leftovers.get(volume_id) != context.fence:
                    raise exceptions.OperationCancelled(
                        'what it had prepared was swept away'
                    )
                yield
            except Exception:
                self._clear(volume_id, context)
                raise

    def _remove(
        self,
        volume_id: str,
        context: interfaces.OperationContext,
        take: Callable[[MemoryVolume], None],
    ) -> None:
        """Take a volume from where it is seen; one that is gone is fine.

        :param take: what becomes of it; called in the step that others see.
        """
        layout.check_identifier(volume_id)
        with self._recorded(Operation.DELETE, volume_id, context):
            self._strike(Step.BEGUN, Operation.DELETE, volume_id, context)
            if self._is_strange(volume_id):
                raise exceptions.EventRejected(
                    f'What has the name of volume {volume_id} is not ours.'
                )
            if self._present(volume_id) is None:
                return
            self._prepare(
                Operation.DELETE, volume_id, 0, Provisioning.THIN, context
            )
            with self._acting(volume_id, context):
                gone = self.storage.volumes.pop(volume_id, None)
                if gone is not None:
                    take(gone)
            self._strike(Step.VISIBLE, Operation.DELETE, volume_id, context)
            self._clear(volume_id, context)

    def _strike(
        self,
        step: Step,
        operation: Operation,
        volume_id: str,
        context: interfaces.OperationContext,
    ) -> None:
        self.faults.strike(step, operation, volume_id, context)

    @contextlib.contextmanager
    def _recorded(
        self,
        operation: Operation,
        volume_id: str,
        context: interfaces.OperationContext,
    ) -> Iterator[None]:
        with self.storage.lock:
            self.calls.append(
                Call(
                    operation=operation,
                    volume_id=volume_id,
                    event_id=context.event_id,
                    attempt=context.attempt,
                )
            )
            self._running[volume_id] += 1
            if self._running[volume_id] > 1:
                self.overlaps.add(volume_id)
            self.most_at_once = max(self.most_at_once, self._running.total())
        try:
            self._note_fence(volume_id, context)
            yield
        finally:
            with self.storage.lock:
                self._running[volume_id] -= 1


def facts_of(volume_id: str, volume: MemoryVolume) -> model.VolumeFacts:
    return model.VolumeFacts(
        volume_id=volume_id,
        size_bytes=volume.size_bytes,
        format=volume.format,
        provisioning=volume.provisioning,
    )


def taken(volume_id: str) -> exceptions.EventRejected:
    return exceptions.EventRejected(
        f'A volume {volume_id} exists already in the storage and was not '
        'made by this event: choose another id.'
    )
