"""Backends that copy, and break one rule each."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses

from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.backends.memory_storage import MemoryStorage
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

Context = interfaces.OperationContext
Facts = model.VolumeFacts
SnapshotFacts = model.SnapshotFacts


class RevertsWithoutSnapshots(MemoryBackend):
    """Does not say that it takes the snapshots that it reverts to."""

    operations = MemoryBackend.operations - {
        Operation.SNAPSHOT,
        Operation.DELETE_SNAPSHOT,
    }


class MeasuresAnew(MemoryBackend):
    """Tells a snapshot's size by what the volume has grown to."""

    def find_snapshot(self, snapshot_id: str) -> SnapshotFacts | None:
        facts = super().find_snapshot(snapshot_id)
        volume = self.storage.volumes.get('first')
        if facts and volume and volume.size_bytes == 2 * facts.size_bytes:
            return dataclasses.replace(facts, size_bytes=volume.size_bytes)
        return facts


class ListsSnapshots(MemoryBackend):
    """Takes snapshots for volumes once it was restarted."""

    def find(self, volume_id: str) -> Facts | None:
        facts = super().find(volume_id)
        snapshot = self.storage.snapshots.get(volume_id)
        if facts is None and snapshot is not None:
            return Facts(
                volume_id=volume_id,
                size_bytes=snapshot.size_bytes,
                format=snapshot.format,
                provisioning=snapshot.provisioning,
            )
        return facts


class FindsAnySnapshot(MemoryBackend):
    """Takes a path for a name."""

    def find_snapshot(self, snapshot_id: str) -> SnapshotFacts | None:
        return super().find_snapshot(snapshot_id.rpartition('/')[2])


class KeepsAnew(MemoryBackend):
    """Takes a snapshot once more on a later attempt."""

    def snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> SnapshotFacts:
        present = self.storage.snapshots.get(snapshot_id)
        if present and present.event_id == context.event_id == 'snapshot':
            if present.volume_id == volume_id:
                del self.storage.snapshots[snapshot_id]
        return super().snapshot(volume_id, snapshot_id, context)


class SharesNames(MemoryBackend):
    """Has one event's snapshot for another volume's."""

    def snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> SnapshotFacts:
        present = self.storage.snapshots.get(snapshot_id)
        if present and present.event_id == context.event_id:
            volume_id = present.volume_id
        return super().snapshot(volume_id, snapshot_id, context)


class KeepsNothing(MemoryBackend):
    """Makes an empty snapshot of a volume that it does not know."""

    def snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> SnapshotFacts:
        if volume_id == 'unknown':
            self.create(volume_id, CreateParameters(size_bytes=1024), context)
        return super().snapshot(volume_id, snapshot_id, context)


class TakesAnySnapshotName(MemoryBackend):
    """Replaces what it does not like in a name."""

    def snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> SnapshotFacts:
        return super().snapshot(
            volume_id, snapshot_id.replace('/', '_'), context
        )


class RemovesStrangeSnapshots(MemoryBackend):
    """Throws away what it does not know."""

    def sweep(self, held) -> Sequence[str]:
        self.storage.strange_snapshots.clear()
        return super().sweep(held)


class DropsAll(MemoryBackend):
    """Removes a volume's other snapshots too."""

    def delete_snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> None:
        super().delete_snapshot(volume_id, snapshot_id, context)
        self.storage.snapshots.clear()


class MissesGoneSnapshots(MemoryBackend):
    """Fails on a later attempt when an earlier one had finished."""

    def delete_snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> None:
        if context.attempt > 2 and not self.find_snapshot(snapshot_id):
            raise exceptions.EventRejected('there is no such snapshot')
        super().delete_snapshot(volume_id, snapshot_id, context)


class IgnoresWhose(MemoryBackend):
    """Removes any volume's snapshot in any volume's name."""

    def delete_snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> None:
        present = self.storage.snapshots.get(snapshot_id)
        if present is not None:
            volume_id = present.volume_id
        super().delete_snapshot(volume_id, snapshot_id, context)


class RevertsInPart(MemoryBackend):
    """Leaves what was written since where nothing was before."""

    def revert(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> Facts:
        volume = self.storage.volumes.get(volume_id)
        since = dict(volume.written) if volume else {}
        facts = super().revert(volume_id, snapshot_id, context)
        half = facts.size_bytes // 2
        volume.written.update(
            {at: byte for at, byte in since.items() if at == half}
        )
        return facts


class ShrinksOnRevert(MemoryBackend):
    """Has the volume's old size back too."""

    def revert(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> Facts:
        super().revert(volume_id, snapshot_id, context)
        volume = self.storage.volumes[volume_id]
        snapshot = self.storage.snapshots[snapshot_id]
        volume.size_bytes = snapshot.size_bytes
        return self.find(volume_id)


class ForgetsWhoMadeIt(MemoryBackend):
    """Takes a reverted volume for the revert's own."""

    def revert(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> Facts:
        facts = super().revert(volume_id, snapshot_id, context)
        self.storage.volumes[volume_id].event_id = context.event_id
        return facts


class RevertsToMore(MemoryBackend):
    """Grows a volume that is smaller than the snapshot."""

    def revert(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> Facts:
        volume = self.storage.volumes.get(volume_id)
        snapshot = self.storage.snapshots.get(snapshot_id)
        if volume and snapshot and snapshot.size_bytes > volume.size_bytes:
            volume.size_bytes = snapshot.size_bytes
        return super().revert(volume_id, snapshot_id, context)


class ClonesAsItsSource(MemoryBackend):
    """Does not do what it was asked."""

    def clone(
        self, volume_id: str, parameters: CloneParameters, context: Context
    ) -> Facts:
        if parameters.provisioning is Provisioning.THIN:
            parameters = dataclasses.replace(parameters, provisioning=None)
        return super().clone(volume_id, parameters, context)


class ClonesWhatIsNow(MemoryBackend):
    """Copies the volume instead of its snapshot."""

    def clone(
        self, volume_id: str, parameters: CloneParameters, context: Context
    ) -> Facts:
        if self.find(parameters.source_id):
            if parameters.snapshot_id in self.storage.snapshots:
                snapshot = self.storage.snapshots[parameters.snapshot_id]
                if snapshot.volume_id == parameters.source_id:
                    parameters = dataclasses.replace(
                        parameters, snapshot_id=None
                    )
        return super().clone(volume_id, parameters, context)


class ClonesInItsOwnFormat(MemoryBackend):
    """Makes raw copies whatever was asked for."""

    def clone(
        self, volume_id: str, parameters: CloneParameters, context: Context
    ) -> Facts:
        parameters = dataclasses.replace(parameters, format=None)
        return super().clone(volume_id, parameters, context)


class LooksForTheSourceFirst(MemoryBackend):
    """Does not find its own work when the source is gone."""

    def clone(
        self, volume_id: str, parameters: CloneParameters, context: Context
    ) -> Facts:
        if not self.find(parameters.source_id) and not parameters.snapshot_id:
            raise exceptions.EventRejected('there is no such source')
        return super().clone(volume_id, parameters, context)


class AdoptsAnothersCopy(MemoryBackend):
    """Takes whatever is there on a second attempt."""

    def clone(
        self, volume_id: str, parameters: CloneParameters, context: Context
    ) -> Facts:
        facts = self.find(volume_id)
        if context.event_id == 'clone' and context.attempt > 1 and facts:
            return facts
        return super().clone(volume_id, parameters, context)


class ClonesTheBeginning(MemoryBackend):
    """Makes a copy that is smaller than its source."""

    def clone(
        self, volume_id: str, parameters: CloneParameters, context: Context
    ) -> Facts:
        source = self.storage.volumes.get(parameters.source_id)
        if source and parameters.size_bytes < source.size_bytes:
            return self.create(
                volume_id,
                CreateParameters(size_bytes=parameters.size_bytes),
                context,
            )
        return super().clone(volume_id, parameters, context)


class SharesWhatIsWritten(MemoryBackend):
    """Forgets to part a reverted volume from its snapshot."""

    def revert(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> Facts:
        facts = super().revert(volume_id, snapshot_id, context)
        volume = self.storage.volumes[volume_id]
        volume.written = self.storage.snapshots[snapshot_id].written
        return facts


class DropsCopiesToo(MemoryBackend):
    """Has a copy's bytes in the snapshot that it was made of."""

    def delete_snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> None:
        super().delete_snapshot(volume_id, snapshot_id, context)
        copy = self.storage.volumes.get('copy')
        if copy is not None:
            copy.written.clear()


class EmptiesSnapshots(MemoryBackend):
    """Has a snapshot's bytes in the volume that it was taken of."""

    def delete(self, volume_id: str, context: Context) -> None:
        super().delete(volume_id, context)
        for snapshot in self.storage.snapshots.values():
            if snapshot.volume_id == volume_id:
                snapshot.written.clear()


class AsksLeaveTwiceToRevert(MemoryBackend):
    """Asks for leave again when all can be seen."""

    def revert(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> Facts:
        facts = super().revert(volume_id, snapshot_id, context)
        context.begin_commit()
        return facts


class LittersOnCancelledCopies(MemoryBackend):
    """Cleans up only after errors of its own."""

    def clone(
        self, volume_id: str, parameters: CloneParameters, context: Context
    ) -> Facts:
        try:
            return super().clone(volume_id, parameters, context)
        except exceptions.OperationCancelled:
            self.storage.leftovers[volume_id] = context.fence
            raise


class CopiesBackwards(MemoryBackend):
    """Starts again from zero."""

    def snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> SnapshotFacts:
        facts = super().snapshot(volume_id, snapshot_id, context)
        context.report(0, facts.size_bytes)
        return facts


class TearsReverts(MemoryBackend):
    """Reverts in two steps that can be seen."""

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        super().__init__(storage)
        # A half-made revert, as another process would find it.
        volume = self.storage.volumes.get('first')
        if 'first' in self.storage.leftovers and volume is not None:
            volume.written.pop(0, None)


class GivesUpCopies(MemoryBackend):
    """Does not finish what it finds begun."""

    def revert(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> Facts:
        facts = self.find(volume_id)
        if facts and context.event_id == 'crashed' and context.attempt > 1:
            return facts
        return super().revert(volume_id, snapshot_id, context)


class SweepsCopiesAgain(MemoryBackend):
    """Names what it has removed before."""

    def sweep(self, held) -> Sequence[str]:
        swept = super().sweep(held)
        self.storage.leftovers.update(
            {name: 0 for name in swept if name == 'copy'}
        )
        return swept


class SweepsTheCopying(MemoryBackend):
    """Does not ask who is at work."""

    def sweep(self, held) -> Sequence[str]:
        return super().sweep(tuple)


class PublishesWhatWasSwept(MemoryBackend):
    """Does not notice that its work was taken away."""

    @contextlib.contextmanager
    def _acting(self, volume_id, context):
        self.storage.leftovers[volume_id] = context.fence
        with super()._acting(volume_id, context):
            yield


class LetsTheLateCopy(MemoryBackend):
    """Knows no fences."""

    def _note_fence(self, volume_id, context) -> None:
        pass
