"""Snapshots and clones in the backend "memory"."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import errno
import os

from virtdc_agent.backends.faults import Step
from virtdc_agent.backends import layout
from virtdc_agent.backends.memory_steps import facts_of
from virtdc_agent.backends.memory_steps import MemorySteps
from virtdc_agent.backends.memory_storage import MemorySnapshot
from virtdc_agent.backends.memory_storage import MemoryVolume
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ImportParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

Source = MemoryVolume | MemorySnapshot


class MemoryCopies(MemorySteps):
    """Copies volumes. What is written is copied in the step that is seen."""

    def snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> model.SnapshotFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        layout.check_identifier(snapshot_id)
        with self._recorded(Operation.SNAPSHOT, volume_id, context):
            self._strike(Step.BEGUN, Operation.SNAPSHOT, volume_id, context)
            present = self._kept(snapshot_id)
            if present is not None:
                if (present.event_id, present.volume_id) != (
                    context.event_id,
                    volume_id,
                ):
                    raise snapshot_taken(snapshot_id)
                return snapshot_facts(snapshot_id, present)
            volume = self._source(volume_id, None)
            self._prepare(
                *(Operation.SNAPSHOT, volume_id, volume.size_bytes),
                *(Provisioning.THIN, context),
            )
            with self._acting(volume_id, context):
                if self._is_snapshot_taken(snapshot_id):
                    raise snapshot_taken(snapshot_id)
                snapshot = MemorySnapshot(
                    event_id=context.event_id,
                    volume_id=volume_id,
                    size_bytes=volume.size_bytes,
                    format=volume.format,
                    provisioning=volume.provisioning,
                    written=dict(volume.written),
                )
                self.storage.snapshots[snapshot_id] = snapshot
            self._strike(Step.VISIBLE, Operation.SNAPSHOT, volume_id, context)
            self._clear(volume_id, context)
            return snapshot_facts(snapshot_id, snapshot)

    def delete_snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> None:
        """See the interface."""
        operation = Operation.DELETE_SNAPSHOT
        layout.check_identifier(volume_id)
        layout.check_identifier(snapshot_id)
        with self._recorded(operation, volume_id, context):
            self._strike(Step.BEGUN, operation, volume_id, context)
            with self.storage.lock:
                if (
                    snapshot_id in self.storage.strange_snapshots
                    or f'snapshot-{snapshot_id}' in self.storage.manageable
                ):
                    raise exceptions.EventRejected(
                        f'What has the name of snapshot {snapshot_id} is not '
                        'ours.'
                    )
            present = self._kept(snapshot_id)
            if present is None:
                return
            check_whose(snapshot_id, present, volume_id)
            self._prepare(operation, volume_id, 0, Provisioning.THIN, context)
            with self._acting(volume_id, context):
                self.storage.snapshots.pop(snapshot_id, None)
            self._strike(Step.VISIBLE, operation, volume_id, context)
            self._clear(volume_id, context)

    def find_snapshot(self, snapshot_id: str) -> model.SnapshotFacts | None:
        """See the interface."""
        snapshot = self._kept(snapshot_id)
        if snapshot is None:
            return None
        return snapshot_facts(snapshot_id, snapshot)

    def revert(
        self,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        layout.check_identifier(snapshot_id)
        with self._recorded(Operation.REVERT, volume_id, context):
            self._strike(Step.BEGUN, Operation.REVERT, volume_id, context)
            volume = self._present(volume_id)
            if volume is None:
                raise no_volume(volume_id)
            snapshot = self._source(volume_id, snapshot_id)
            if snapshot.size_bytes > volume.size_bytes:
                raise exceptions.EventRejected(
                    f'Snapshot {snapshot_id} has {snapshot.size_bytes} bytes, '
                    f'more than the {volume.size_bytes} of volume '
                    f'{volume_id}.'
                )
            self._prepare(
                *(Operation.REVERT, volume_id, snapshot.size_bytes),
                *(Provisioning.THIN, context),
            )
            with self._acting(volume_id, context):
                volume.written = dict(snapshot.written)
            self._strike(Step.VISIBLE, Operation.REVERT, volume_id, context)
            self._clear(volume_id, context)
            return facts_of(volume_id, volume)

    def clone(
        self,
        volume_id: str,
        parameters: CloneParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        with self._recorded(Operation.CLONE, volume_id, context):
            self._strike(Step.BEGUN, Operation.CLONE, volume_id, context)
            present = self._adopted(volume_id, context)
            if present is not None:
                return present
            source = self._source(parameters.source_id, parameters.snapshot_id)
            _check_fits(source, parameters)
            volume = MemoryVolume(
                event_id=context.event_id,
                size_bytes=parameters.size_bytes,
                format=parameters.format or source.format,
                provisioning=parameters.provisioning or source.provisioning,
            )
            self._prepare(
                *(Operation.CLONE, volume_id, volume.size_bytes),
                *(volume.provisioning, context),
            )
            with self._acting(volume_id, context):
                volume.written = dict(source.written)
                self._add(volume_id, volume)
            self._strike(Step.VISIBLE, Operation.CLONE, volume_id, context)
            self._clear(volume_id, context)
            return facts_of(volume_id, volume)

    def import_image(
        self,
        volume_id: str,
        parameters: ImportParameters,
        image: model.OpenImage,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface. Reads raw images only."""
        layout.check_identifier(volume_id)
        if image.format is not Format.RAW:
            raise exceptions.EventRejected(
                f'The storage reads no images of the format {image.format}.'
            )
        with self._recorded(Operation.IMPORT, volume_id, context):
            self._strike(Step.BEGUN, Operation.IMPORT, volume_id, context)
            present = self._adopted(volume_id, context)
            if present is not None:
                return present
            volume = MemoryVolume(
                event_id=context.event_id,
                size_bytes=parameters.size_bytes,
                format=Format.RAW,
                provisioning=parameters.provisioning or Provisioning.THIN,
            )
            for start, content in _content(image):
                volume.write(start, content)
            self._prepare(
                *(Operation.IMPORT, volume_id, volume.size_bytes),
                *(volume.provisioning, context),
            )
            with self._acting(volume_id, context):
                self._add(volume_id, volume)
            self._strike(Step.VISIBLE, Operation.IMPORT, volume_id, context)
            self._clear(volume_id, context)
            return facts_of(volume_id, volume)

    @contextlib.contextmanager
    def opened(
        self, volume_id: str, snapshot_id: str | None = None
    ) -> Iterator[model.OpenImage]:
        """See the interface. What is open is a copy."""
        source = self._source(volume_id, snapshot_id)
        descriptor = os.memfd_create(volume_id, os.MFD_CLOEXEC)
        try:
            os.ftruncate(descriptor, source.size_bytes)
            for at, byte in source.written.items():
                os.pwrite(descriptor, bytes([byte]), at)
            yield model.OpenImage(
                descriptor=descriptor,
                format=source.format,
                size_bytes=source.size_bytes,
            )
        finally:
            os.close(descriptor)

    def _is_snapshot_taken(self, snapshot_id: str) -> bool:
        return (
            snapshot_id in self.storage.strange_snapshots
            or snapshot_id in self.storage.snapshots
            or f'snapshot-{snapshot_id}' in self.storage.manageable
        )

    def _kept(self, snapshot_id: str) -> MemorySnapshot | None:
        with self.storage.lock:
            return self.storage.snapshots.get(snapshot_id)

    def _source(self, volume_id: str, snapshot_id: str | None) -> Source:
        """Return what is to be copied.

        :raises EventRejected: there is no such volume, or snapshot of it.
        """
        if snapshot_id is None:
            volume = self._present(volume_id)
            if volume is None:
                raise no_volume(volume_id)
            return volume
        snapshot = self._kept(snapshot_id)
        if snapshot is None:
            raise exceptions.EventRejected(
                f'The storage has no snapshot {snapshot_id}.'
            )
        check_whose(snapshot_id, snapshot, volume_id)
        return snapshot


def _content(image: model.OpenImage) -> Iterator[tuple[int, bytes]]:
    """Yield what a raw image has, and where; its holes are left out."""
    position = 0
    while position < image.size_bytes:
        try:
            start = os.lseek(image.descriptor, position, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:
                return
            raise
        position = os.lseek(image.descriptor, start, os.SEEK_HOLE)
        yield start, os.pread(image.descriptor, position - start, start)


def _check_fits(source: Source, parameters: CloneParameters) -> None:
    if parameters.format not in (None, source.format):
        raise exceptions.EventRejected(
            f'The source is in format {source.format}, and so are copies of '
            f'it: ask for that or leave the choice, not {parameters.format}.'
        )
    if parameters.size_bytes < source.size_bytes:
        raise exceptions.EventRejected(
            f'A copy of {source.size_bytes} bytes does not fit into '
            f'{parameters.size_bytes}: ask for as much or more.'
        )


def check_whose(
    snapshot_id: str, snapshot: MemorySnapshot, volume_id: str
) -> None:
    if snapshot.volume_id != volume_id:
        raise exceptions.EventRejected(
            f'Snapshot {snapshot_id} is of another volume than {volume_id}.'
        )


def snapshot_facts(
    snapshot_id: str, snapshot: MemorySnapshot
) -> model.SnapshotFacts:
    return model.SnapshotFacts(
        snapshot_id=snapshot_id,
        size_bytes=snapshot.size_bytes,
        format=snapshot.format,
    )


def no_volume(volume_id: str) -> exceptions.EventRejected:
    return exceptions.EventRejected(f'The storage has no volume {volume_id}.')


def snapshot_taken(snapshot_id: str) -> exceptions.EventRejected:
    return exceptions.EventRejected(
        f'A snapshot {snapshot_id} exists already in the storage and was not '
        'made by this event: choose another id.'
    )
