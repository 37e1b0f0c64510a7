"""Backends that take snapshots of groups, and break one rule each."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.backends.memory_storage import MemorySnapshot
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

Context = interfaces.OperationContext
Facts = Sequence[model.SnapshotFacts]


class TellsBackwards(MemoryBackend):
    """Tells of the last volume first."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        return super().snapshot_group(snapshots, context)[::-1]


class TakesAnew(MemoryBackend):
    """Keeps on a later attempt what is there then."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        for snapshot_id in snapshots.values():
            present = self.storage.snapshots.get(snapshot_id)
            if present and present.event_id == context.event_id == 'group':
                del self.storage.snapshots[snapshot_id]
        return super().snapshot_group(snapshots, context)


class DropsTogether(MemoryBackend):
    """Removes the whole group with one of its snapshots."""

    def delete_snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> None:
        super().delete_snapshot(volume_id, snapshot_id, context)
        self.storage.snapshots.clear()


class TakesOneByOne(MemoryBackend):
    """Takes snapshots as if each were alone."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        return [
            self.snapshot(volume_id, snapshot_id, context)
            for volume_id, snapshot_id in snapshots.items()
        ]


class PassesOverTheMissing(MemoryBackend):
    """Takes snapshots of those that there are."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        there = {
            volume_id: one
            for volume_id, one in snapshots.items()
            if volume_id in self.storage.volumes
            or one not in ('of-first', 'of-second')
        }
        return super().snapshot_group(there or snapshots, context)


class TakesAnyName(MemoryBackend):
    """Replaces what it does not like in a name."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        clean = {
            volume_id: one.replace('/', '_').lstrip('.-@')
            for volume_id, one in snapshots.items()
        }
        return super().snapshot_group(clean, context)


class LosesVolumes(MemoryBackend):
    """Sweeps the volumes with what was made of them."""

    def sweep(self, held) -> Sequence[str]:
        swept = super().sweep(held)
        for volume_id in swept:
            self.storage.volumes.pop(volume_id)
        return swept


class CompletesWithNothing(MemoryBackend):
    """Makes empty snapshots in the place of those that a crash prevented."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        facts = super().snapshot_group(snapshots, context)
        if (context.event_id, context.attempt) == ('crashed', 2):
            for one in facts:
                empty: MemorySnapshot = dataclasses.replace(
                    self.storage.snapshots[one.snapshot_id], written={}
                )
                self.storage.snapshots[one.snapshot_id] = empty
        return facts


class KeepsWhatWasWithdrawn(MemoryBackend):
    """Leaves a snapshot behind when it is withdrawn at the end."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        try:
            return super().snapshot_group(snapshots, context)
        except exceptions.OperationCancelled:
            if context.attempt == 2:
                volume_id, snapshot_id = next(iter(snapshots.items()))
                volume = self.storage.volumes[volume_id]
                self.storage.snapshots[snapshot_id] = MemorySnapshot(
                    event_id=context.event_id,
                    volume_id=volume_id,
                    size_bytes=volume.size_bytes,
                    format=volume.format,
                    provisioning=volume.provisioning,
                    written={},
                )
            raise


class GoesBackwards(MemoryBackend):
    """Begins anew to count with each volume."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        facts = super().snapshot_group(snapshots, context)
        context.report(0, len(snapshots), 'copying')
        return facts


class LetsTheLateIn(MemoryBackend):
    """Does not look whose turn it is."""

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: Context
    ) -> Facts:
        if context.event_id == 'late':
            self.storage.fences.clear()
            self.storage.snapshots.clear()
        return super().snapshot_group(snapshots, context)
