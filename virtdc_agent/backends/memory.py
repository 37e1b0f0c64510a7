"""Volumes that only this process remembers: a backend for tests and trials.

It holds every promise of the interface, so that what is tested against it may
be believed, and can be told to hold, to fail and to crash at any step.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from collections import Counter
import contextlib
import dataclasses
import threading
from typing import Self

from oslo_config import cfg

from virtdc_agent.backends.faults import Faults
from virtdc_agent.backends.faults import Step
from virtdc_agent.backends import layout
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

DEFAULT_TOTAL_BYTES = 1024**4


@dataclasses.dataclass(slots=True, kw_only=True)
class MemoryVolume:
    """A volume. ``written`` holds the bytes that are not zero."""

    event_id: str
    size_bytes: int
    format: Format
    provisioning: Provisioning
    written: dict[int, int] = dataclasses.field(default_factory=dict)

    def read(self, offset: int, length: int) -> bytes:
        """Return what the user of the volume would read."""
        end = min(offset + length, self.size_bytes)
        return bytes(self.written.get(at, 0) for at in range(offset, end))

    def write(self, offset: int, content: bytes) -> None:
        """Write as the user of the volume would."""
        if offset + len(content) > self.size_bytes:
            raise ValueError('beyond the end of the volume')
        self.written.update(enumerate(content, offset))


@dataclasses.dataclass(slots=True)
class MemoryStorage:
    """What outlives a backend: its volumes and what crashes left.

    :param leftovers: what is in the making, with the fence of who makes it.
    :param strangers: names taken by what is not a volume.
    :param fences: the highest fence that has acted on each volume.
    :param thick_bytes: what thick volumes take.
    """

    volumes: dict[str, MemoryVolume] = dataclasses.field(default_factory=dict)
    leftovers: dict[str, int] = dataclasses.field(default_factory=dict)
    strangers: set[str] = dataclasses.field(default_factory=set)
    fences: dict[str, int] = dataclasses.field(default_factory=dict)
    thick_bytes: int = 0
    lock: threading.RLock = dataclasses.field(default_factory=threading.RLock)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operation that was asked for."""

    operation: Operation
    volume_id: str
    event_id: str
    attempt: int


class MemoryBackend(interfaces.Backend):
    """See the interface for the promises.

    ``faults`` takes orders to hold, fail or crash. ``calls`` has every
    operation in order of its start, ``most_at_once`` the largest number that
    ran together, ``overlaps`` those volumes on which two ever did.

    :param storage: what an earlier backend left, for a restart.
    """

    operations = frozenset(
        {Operation.CREATE, Operation.DELETE, Operation.EXTEND}
    )
    formats = frozenset({Format.RAW})
    provisionings = frozenset(Provisioning)

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

    @classmethod
    def from_config(
        cls, conf: cfg.ConfigOpts, *, clock: interfaces.Clock
    ) -> Self:
        """Return an empty backend; it has no options."""
        return cls()

    def start(self) -> None:
        """See the interface."""

    def sweep(self, held: Callable[[], Collection[int]]) -> Sequence[str]:
        """See the interface."""
        with self.storage.lock:
            listed = dict(self.storage.leftovers)
        going_on = held()
        swept = []
        with self.storage.lock:
            for volume_id, fence in listed.items():
                if (
                    fence not in going_on
                    and self.storage.leftovers.get(volume_id) == fence
                ):
                    del self.storage.leftovers[volume_id]
                    swept.append(volume_id)
        return sorted(swept)

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

    def create(
        self,
        volume_id: str,
        parameters: CreateParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        volume = self._new_volume(parameters, context)
        with self._recorded(Operation.CREATE, volume_id, context):
            self._strike(Step.BEGUN, Operation.CREATE, volume_id, context)
            present = self._present(volume_id)
            if present is not None:
                if present.event_id != context.event_id:
                    raise _taken(volume_id)
                return _facts(volume_id, present)
            self._prepare(
                Operation.CREATE,
                volume_id,
                volume.size_bytes,
                volume.provisioning,
                context,
            )
            with self._acting(volume_id, context):
                if (
                    self._is_strange(volume_id)
                    or volume_id in self.storage.volumes
                ):
                    raise _taken(volume_id)
                self.storage.volumes[volume_id] = volume
                self._take(volume, volume.size_bytes)
            self._strike(Step.VISIBLE, Operation.CREATE, volume_id, context)
            self._clear(volume_id, context)
            return _facts(volume_id, volume)

    def delete(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""
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
                    self._take(gone, -gone.size_bytes)
            self._strike(Step.VISIBLE, Operation.DELETE, volume_id, context)
            self._clear(volume_id, context)

    def extend(
        self,
        volume_id: str,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        with self._recorded(Operation.EXTEND, volume_id, context):
            self._strike(Step.BEGUN, Operation.EXTEND, volume_id, context)
            volume = self._present(volume_id)
            if volume is None:
                raise exceptions.EventRejected(
                    f'The storage has no volume {volume_id}.'
                )
            if volume.size_bytes > size_bytes:
                raise exceptions.EventRejected(
                    f'Volume {volume_id} has {volume.size_bytes} bytes and '
                    f'cannot shrink to {size_bytes}.'
                )
            if volume.size_bytes < size_bytes:
                self._prepare(
                    Operation.EXTEND,
                    volume_id,
                    size_bytes - volume.size_bytes,
                    volume.provisioning,
                    context,
                )
                with self._acting(volume_id, context):
                    more_bytes = max(0, size_bytes - volume.size_bytes)
                    volume.size_bytes += more_bytes
                    self._take(volume, more_bytes)
                self._strike(
                    Step.VISIBLE, Operation.EXTEND, volume_id, context
                )
                self._clear(volume_id, context)
            return _facts(volume_id, volume)

    def _take(self, volume: MemoryVolume, more_bytes: int) -> None:
        if volume.provisioning is Provisioning.THICK:
            self.storage.thick_bytes += more_bytes

    def find(self, volume_id: str) -> model.VolumeFacts | None:
        """See the interface."""
        with self.storage.lock:
            volume = self._present(volume_id)
            return None if volume is None else _facts(volume_id, volume)

    def scan(self) -> Iterable[model.VolumeFacts]:
        """See the interface."""
        with self.storage.lock:
            volumes = list(self.storage.volumes.items())
            yield from [_facts(key, volume) for key, volume in volumes]

    def _new_volume(
        self,
        parameters: CreateParameters,
        context: interfaces.OperationContext,
    ) -> MemoryVolume:
        volume = MemoryVolume(
            event_id=context.event_id,
            size_bytes=parameters.size_bytes,
            format=parameters.format or Format.RAW,
            provisioning=parameters.provisioning or Provisioning.THIN,
        )
        if (
            volume.format not in self.formats
            or volume.provisioning not in self.provisionings
        ):
            raise exceptions.EventRejected(
                f'The storage offers no {volume.provisioning} volumes in '
                f'format {volume.format}: leave the choice to it.'
            )
        return volume

    def _present(self, volume_id: str) -> MemoryVolume | None:
        with self.storage.lock:
            return self.storage.volumes.get(volume_id)

    def _is_strange(self, volume_id: str) -> bool:
        with self.storage.lock:
            return volume_id in self.storage.strangers

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


def _facts(volume_id: str, volume: MemoryVolume) -> model.VolumeFacts:
    return model.VolumeFacts(
        volume_id=volume_id,
        size_bytes=volume.size_bytes,
        format=volume.format,
        provisioning=volume.provisioning,
    )


def _taken(volume_id: str) -> exceptions.EventRejected:
    return exceptions.EventRejected(
        f'A volume {volume_id} exists already in the storage and was not '
        'made by this event: choose another id.'
    )
