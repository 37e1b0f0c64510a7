"""Volumes that only this process remembers: a backend for tests and trials.

It holds every promise of the interface, so that what is tested against it may
be believed, and can be told to hold, to fail and to crash at any step.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Self

from oslo_config import cfg

from virtdc_agent.backends.faults import Step
from virtdc_agent.backends import layout
from virtdc_agent.backends.memory_groups import MemoryGroups
from virtdc_agent.backends.memory_managing import MemoryManaging
from virtdc_agent.backends.memory_steps import facts_of
from virtdc_agent.backends.memory_storage import MemoryVolume
from virtdc_agent.backends.memory_trash import MemoryTrash
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model


class MemoryBackend(
    MemoryManaging, MemoryGroups, MemoryTrash, interfaces.Backend
):
    """See the interface for the promises.

    ``faults`` takes orders to hold, fail or crash. ``calls`` has every
    operation in order of its start, ``most_at_once`` the largest number that
    ran together, ``overlaps`` those volumes on which two ever did.

    :param storage: what an earlier backend left, for a restart.
    """

    operations = frozenset(
        {
            *(Operation.CREATE, Operation.DELETE, Operation.EXTEND),
            *(Operation.SNAPSHOT, Operation.DELETE_SNAPSHOT),
            *(Operation.REVERT, Operation.CLONE, Operation.IMPORT),
            Operation.SNAPSHOT_GROUP,
            Operation.MIGRATE,
            *(Operation.MANAGE, Operation.UNMANAGE),
            *(Operation.MANAGE_SNAPSHOT, Operation.UNMANAGE_SNAPSHOT),
        }
    )
    formats = frozenset({Format.RAW})
    provisionings = frozenset(Provisioning)
    has_instant_copies = True
    has_trash = True

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        *,
        clock: interfaces.Clock,
        section: str = '',
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
            present = self._adopted(volume_id, context)
            if present is not None:
                return present
            self._prepare(
                Operation.CREATE,
                volume_id,
                volume.size_bytes,
                volume.provisioning,
                context,
            )
            with self._acting(volume_id, context):
                self._add(volume_id, volume)
            self._strike(Step.VISIBLE, Operation.CREATE, volume_id, context)
            self._clear(volume_id, context)
            return facts_of(volume_id, volume)

    def delete(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""
        self._remove(
            volume_id,
            context,
            lambda gone: self._take(gone, -gone.size_bytes),
        )

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
            return facts_of(volume_id, volume)

    def find(self, volume_id: str) -> model.VolumeFacts | None:
        """See the interface."""
        with self.storage.lock:
            volume = self._present(volume_id)
            return None if volume is None else facts_of(volume_id, volume)

    def scan(self) -> Iterable[model.VolumeFacts]:
        """See the interface."""
        with self.storage.lock:
            volumes = list(self.storage.volumes.items())
            yield from [facts_of(key, volume) for key, volume in volumes]

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
