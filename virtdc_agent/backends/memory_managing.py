"""Taking over and giving up in the backend "memory"."""

from __future__ import annotations

from collections.abc import Iterable

from virtdc_agent.backends.faults import Step
from virtdc_agent.backends import layout
from virtdc_agent.backends.memory_copies import check_whose
from virtdc_agent.backends.memory_copies import MemoryCopies
from virtdc_agent.backends.memory_copies import no_volume
from virtdc_agent.backends.memory_copies import snapshot_facts
from virtdc_agent.backends.memory_copies import snapshot_taken
from virtdc_agent.backends.memory_steps import facts_of
from virtdc_agent.backends.memory_storage import MemorySnapshot
from virtdc_agent.backends.memory_storage import MemoryStranger
from virtdc_agent.backends.memory_storage import MemoryVolume
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import ManageParameters
from virtdc_agent.contract.events import ManageSnapshotParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

_MANAGED = 'It is managed already.'


class MemoryManaging(MemoryCopies):
    """Names what is there as the backend "file" does."""

    def list_manageable(
        self, marker: str | None, limit: int
    ) -> list[Manageable]:
        """See the interface."""
        with self.storage.lock:
            volumes = [
                _managed(f'volume-{volume_id}', volume, volume_id)
                for volume_id, volume in self.storage.volumes.items()
            ]
            loose = [
                _loose(name, stranger)
                for name, stranger in self.storage.manageable.items()
                if not stranger.snapshot_of
            ]
        return _page([*volumes, *loose], marker, limit)

    def find_manageable(self, reference: str) -> Manageable | None:
        """See the interface."""
        with self.storage.lock:
            stranger = self.storage.manageable.get(self._named(reference))
            if stranger is not None:
                return _loose(self._named(reference), stranger)
            volume_id = layout.volume_id_of(reference) or reference
            volume = self._present(volume_id)
            if volume is None:
                return None
            return _managed(f'volume-{volume_id}', volume, volume_id)

    def manage(
        self,
        volume_id: str,
        parameters: ManageParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        operation = Operation.MANAGE
        layout.check_identifier(volume_id)
        with self._recorded(operation, volume_id, context):
            self._strike(Step.BEGUN, operation, volume_id, context)
            present = self._adopted(volume_id, context)
            if present is not None:
                return present
            name = self._named(parameters.reference)
            stranger = self._stranger(name)
            _check_fits(name, stranger, parameters)
            if parameters.format not in (None, stranger.format):
                raise _refused(name, f'It is in format {stranger.format}.')
            if parameters.provisioning not in (None, stranger.provisioning):
                raise _refused(name, f'It is {stranger.provisioning}.')
            volume = MemoryVolume(
                event_id=context.event_id,
                size_bytes=parameters.size_bytes,
                format=stranger.format,
                provisioning=stranger.provisioning,
                written=stranger.written,
                lineage=stranger.lineage,
            )
            self._prepare(
                *(operation, volume_id, volume.size_bytes),
                *(Provisioning.THIN, context),
            )
            with self._acting(volume_id, context):
                if self.storage.manageable.get(name) is not stranger:
                    raise _refused(name, 'It is another one now.')
                del self.storage.manageable[name]
                try:
                    self._add(volume_id, volume)
                except exceptions.EventRejected:
                    self.storage.manageable[name] = stranger
                    raise
            self._strike(Step.VISIBLE, operation, volume_id, context)
            self._clear(volume_id, context)
            return facts_of(volume_id, volume)

    def unmanage(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""
        operation = Operation.UNMANAGE
        layout.check_identifier(volume_id)
        with self._recorded(operation, volume_id, context):
            self._strike(Step.BEGUN, operation, volume_id, context)
            if self._present(volume_id) is None:
                return
            self._prepare(operation, volume_id, 0, Provisioning.THIN, context)
            with self._acting(volume_id, context):
                volume = self.storage.volumes.pop(volume_id)
                self._take(volume, -volume.size_bytes)
                self.storage.manageable[f'volume-{volume_id}'] = (
                    MemoryStranger(
                        size_bytes=volume.size_bytes,
                        format=volume.format,
                        provisioning=volume.provisioning,
                        written=volume.written,
                        lineage=volume.lineage or volume_id,
                    )
                )
            self._strike(Step.VISIBLE, operation, volume_id, context)
            self._clear(volume_id, context)

    def list_manageable_snapshots(
        self, marker: str | None, limit: int
    ) -> list[Manageable]:
        """See the interface."""
        with self.storage.lock:
            names = [
                *(f'snapshot-{one}' for one in self.storage.snapshots),
                *(
                    name
                    for name, stranger in self.storage.manageable.items()
                    if stranger.snapshot_of
                ),
            ]
            found = [self.find_manageable_snapshot(name) for name in names]
        return _page([one for one in found if one], marker, limit)

    def find_manageable_snapshot(self, reference: str) -> Manageable | None:
        """See the interface."""
        with self.storage.lock:
            name = self._named(reference, 'snapshot')
            stranger = self.storage.manageable.get(name)
            if stranger is not None:
                return self._loose_snapshot(name, stranger)
            snapshot_id = layout.snapshot_id_of(reference) or reference
            snapshot = self._kept(snapshot_id)
        if snapshot is None:
            return None
        return Manageable(
            reference=f'snapshot-{snapshot_id}',
            size_bytes=snapshot.size_bytes,
            format=snapshot.format,
            is_safe=False,
            reason=_MANAGED,
            volume_id=snapshot.volume_id,
            snapshot_id=snapshot_id,
        )

    def manage_snapshot(
        self,
        volume_id: str,
        parameters: ManageSnapshotParameters,
        context: interfaces.OperationContext,
    ) -> model.SnapshotFacts:
        """See the interface."""
        operation, snapshot_id = (
            Operation.MANAGE_SNAPSHOT,
            parameters.snapshot_id,
        )
        layout.check_identifier(volume_id)
        layout.check_identifier(snapshot_id)
        with self._recorded(operation, volume_id, context):
            self._strike(Step.BEGUN, operation, volume_id, context)
            present = self._kept(snapshot_id)
            if present is not None:
                if (present.event_id, present.volume_id) != (
                    context.event_id,
                    volume_id,
                ):
                    raise snapshot_taken(snapshot_id)
                return snapshot_facts(snapshot_id, present)
            volume = self._present(volume_id)
            if volume is None:
                raise no_volume(volume_id)
            name = self._named(parameters.reference, 'snapshot')
            stranger = self._stranger(name)
            _check_fits(name, stranger, parameters)
            if stranger.snapshot_of != (volume.lineage or volume_id):
                raise _refused(name, 'It was no snapshot of this volume.')
            if parameters.size_bytes > volume.size_bytes:
                raise _refused(name, 'It would be larger than its volume.')
            self._prepare(
                *(operation, volume_id, parameters.size_bytes),
                *(Provisioning.THIN, context),
            )
            snapshot = MemorySnapshot(
                event_id=context.event_id,
                volume_id=volume_id,
                size_bytes=parameters.size_bytes,
                format=stranger.format,
                provisioning=stranger.provisioning,
                written=stranger.written,
            )
            with self._acting(volume_id, context):
                if self.storage.manageable.get(name) is not stranger:
                    raise _refused(name, 'It is another one now.')
                if (
                    name != f'snapshot-{snapshot_id}'
                    and self._is_snapshot_taken(snapshot_id)
                ):
                    raise snapshot_taken(snapshot_id)
                del self.storage.manageable[name]
                self.storage.snapshots[snapshot_id] = snapshot
            self._strike(Step.VISIBLE, operation, volume_id, context)
            self._clear(volume_id, context)
            return snapshot_facts(snapshot_id, snapshot)

    def unmanage_snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> None:
        """See the interface."""
        operation = Operation.UNMANAGE_SNAPSHOT
        layout.check_identifier(volume_id)
        layout.check_identifier(snapshot_id)
        with self._recorded(operation, volume_id, context):
            self._strike(Step.BEGUN, operation, volume_id, context)
            present = self._kept(snapshot_id)
            if present is None:
                return
            check_whose(snapshot_id, present, volume_id)
            self._prepare(operation, volume_id, 0, Provisioning.THIN, context)
            with self._acting(volume_id, context):
                del self.storage.snapshots[snapshot_id]
                volume = self._present(volume_id)
                self.storage.manageable[f'snapshot-{snapshot_id}'] = (
                    MemoryStranger(
                        size_bytes=present.size_bytes,
                        format=present.format,
                        provisioning=present.provisioning,
                        written=present.written,
                        snapshot_of=volume_id
                        if volume is None
                        else volume.lineage or volume_id,
                    )
                )
            self._strike(Step.VISIBLE, operation, volume_id, context)
            self._clear(volume_id, context)

    def _named(self, reference: str, kind: str = 'volume') -> str:
        """Return the name that a reference, which may be an id, stands for."""
        with self.storage.lock:
            former = f'{kind}-{reference}'
            if (
                reference not in self.storage.manageable
                and former in self.storage.manageable
            ):
                return former
            return reference

    def _stranger(self, name: str) -> MemoryStranger:
        with self.storage.lock:
            stranger = self.storage.manageable.get(name)
            volume_id = layout.volume_id_of(name)
            snapshot_id = layout.snapshot_id_of(name)
            if stranger is None:
                is_managed = (
                    volume_id in self.storage.volumes
                    or snapshot_id in self.storage.snapshots
                )
                raise _refused(
                    name, _MANAGED if is_managed else 'It is not there.'
                )
            if stranger.reason:
                raise _refused(name, stranger.reason)
            return stranger

    def _loose_snapshot(
        self, name: str, stranger: MemoryStranger
    ) -> Manageable:
        volume_id = next(
            (
                volume_id
                for volume_id, volume in self.storage.volumes.items()
                if (volume.lineage or volume_id) == stranger.snapshot_of
            ),
            None,
        )
        reason = stranger.reason
        if not stranger.snapshot_of:
            reason = reason or 'It was no snapshot of any volume here.'
        elif volume_id is None:
            reason = reason or 'Its volume is not managed.'
        return Manageable(
            reference=name,
            size_bytes=stranger.size_bytes,
            format=stranger.format,
            is_safe=not reason,
            reason=reason,
            volume_id=volume_id or stranger.snapshot_of or None,
        )


def _loose(name: str, stranger: MemoryStranger) -> Manageable:
    return Manageable(
        reference=name,
        size_bytes=stranger.size_bytes,
        format=stranger.format,
        is_safe=not stranger.reason,
        reason=stranger.reason,
    )


def _managed(name: str, volume: MemoryVolume, volume_id: str) -> Manageable:
    return Manageable(
        reference=name,
        size_bytes=volume.size_bytes,
        format=volume.format,
        is_safe=False,
        reason=_MANAGED,
        volume_id=volume_id,
    )


def _page(
    found: Iterable[Manageable], marker: str | None, limit: int
) -> list[Manageable]:
    ordered = sorted(found, key=lambda one: one.reference)
    return [
        one for one in ordered if marker is None or one.reference > marker
    ][:limit]


def _check_fits(
    name: str,
    stranger: MemoryStranger,
    parameters: ManageParameters | ManageSnapshotParameters,
) -> None:
    if stranger.size_bytes > parameters.size_bytes:
        raise _refused(
            name,
            f'It has {stranger.size_bytes} bytes, more than the '
            f'{parameters.size_bytes} that were asked for.',
        )


def _refused(name: str, why: str) -> exceptions.EventRejected:
    return exceptions.EventRejected(f'{name} cannot be managed: {why}')
