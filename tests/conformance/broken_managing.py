"""Backends that take over and give up, and break one rule each."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.backends.memory_storage import MemoryStranger
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import ManageParameters
from virtdc_agent.contract.events import ManageSnapshotParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

Context = interfaces.OperationContext


class NeverGivesUp(MemoryBackend):
    """Does not say that it gives up what it takes over."""

    operations = MemoryBackend.operations - {Operation.UNMANAGE}


class ListsAgain(MemoryBackend):
    """Begins a page with what ended the one before."""

    def list_manageable(
        self, marker: str | None, limit: int
    ) -> list[Manageable]:
        every = super().list_manageable(None, 1000)
        rest = [one for one in every if not marker or one.reference >= marker]
        return rest[:limit] if len(rest) > 1 else []


class FindsByPath(MemoryBackend):
    """Takes the last part of a path for a name."""

    def find_manageable(self, reference: str) -> Manageable | None:
        return super().find_manageable(reference.rpartition('/')[2])


class ManagesEmpty(MemoryBackend):
    """Makes a new volume in the place of what is there."""

    def manage(
        self, volume_id: str, parameters: ManageParameters, context: Context
    ) -> model.VolumeFacts:
        facts = super().manage(volume_id, parameters, context)
        if context.attempt == 1:
            self.storage.volumes[volume_id].written.pop(0, None)
        return facts


class ManagesAnew(MemoryBackend):
    """Forgets on a later attempt that it has done it."""

    def manage(
        self, volume_id: str, parameters: ManageParameters, context: Context
    ) -> model.VolumeFacts:
        if context.attempt > 2 and volume_id in self.storage.volumes:
            self.storage.volumes[volume_id].event_id = 'forgotten'
        return super().manage(volume_id, parameters, context)


class KeepsTheSize(MemoryBackend):
    """Does not grow what it takes over."""

    def manage(
        self, volume_id: str, parameters: ManageParameters, context: Context
    ) -> model.VolumeFacts:
        found = self.storage.manageable.get(parameters.reference)
        size_bytes = parameters.size_bytes
        if found and not found.lineage and size_bytes > found.size_bytes:
            parameters = dataclasses.replace(
                parameters, size_bytes=found.size_bytes
            )
        return super().manage(volume_id, parameters, context)


class ManagesTheBeginning(MemoryBackend):
    """Cuts off what does not fit."""

    def manage(
        self, volume_id: str, parameters: ManageParameters, context: Context
    ) -> model.VolumeFacts:
        found = self.storage.manageable.get(parameters.reference)
        if found is not None and found.size_bytes > parameters.size_bytes:
            found.size_bytes = parameters.size_bytes
        return super().manage(volume_id, parameters, context)


class TakesTheName(MemoryBackend):
    """Replaces another event's volume."""

    def manage(
        self, volume_id: str, parameters: ManageParameters, context: Context
    ) -> model.VolumeFacts:
        present = self.storage.volumes.get(volume_id)
        if present is not None and present.event_id == 'create':
            if parameters.reference in self.storage.manageable:
                del self.storage.volumes[volume_id]
        return super().manage(volume_id, parameters, context)


class ManagesTwice(MemoryBackend):
    """Makes a second volume of one that it has."""

    def manage(
        self, volume_id: str, parameters: ManageParameters, context: Context
    ) -> model.VolumeFacts:
        present = self.storage.volumes.get(parameters.reference)
        if present is not None and volume_id == 'other':
            self.storage.manageable[parameters.reference] = MemoryStranger(
                size_bytes=present.size_bytes, written=present.written
            )
        return super().manage(volume_id, parameters, context)


class GivesUpTheBytes(MemoryBackend):
    """Removes what it gives up."""

    def unmanage(self, volume_id: str, context: Context) -> None:
        super().unmanage(volume_id, context)
        found = self.storage.manageable.get(f'volume-{volume_id}')
        if found is not None:
            found.written.pop(found.size_bytes - 1, None)


class MissesWhatIsGone(MemoryBackend):
    """Fails when there is nothing to give up any more."""

    def unmanage(self, volume_id: str, context: Context) -> None:
        if context.attempt > 2 and not self.find(volume_id):
            raise exceptions.EventRejected('there is no such volume')
        super().unmanage(volume_id, context)


class SweepsWhatWasGivenUp(MemoryBackend):
    """Takes what is nobody's for a leftover."""

    def sweep(self, held) -> Sequence[str]:
        for name in [*self.storage.manageable]:
            if name.startswith('volume-'):
                del self.storage.manageable[name]
        return super().sweep(held)


class ForgetsWhose(MemoryBackend):
    """Does not list a snapshot with its volume."""

    def list_manageable_snapshots(
        self, marker: str | None, limit: int
    ) -> list[Manageable]:
        return [
            dataclasses.replace(one, volume_id=None) if one.is_safe else one
            for one in super().list_manageable_snapshots(marker, limit)
        ]


class ForgetsLineage(MemoryBackend):
    """Knows a volume by its present id only."""

    def unmanage(self, volume_id: str, context: Context) -> None:
        super().unmanage(volume_id, context)
        found = self.storage.manageable.get(f'volume-{volume_id}')
        if found is not None:
            found.lineage = ''


class TakesAnySnapshot(MemoryBackend):
    """Does not ask of which volume it was."""

    def manage_snapshot(
        self,
        volume_id: str,
        parameters: ManageSnapshotParameters,
        context: Context,
    ) -> model.SnapshotFacts:
        found = self.storage.manageable.get(f'snapshot-{parameters.reference}')
        if found is not None and volume_id == 'other':
            found.snapshot_of = volume_id
        return super().manage_snapshot(volume_id, parameters, context)


class GivesUpAnySnapshot(MemoryBackend):
    """Gives up any volume's snapshot in any volume's name."""

    def unmanage_snapshot(
        self, volume_id: str, snapshot_id: str, context: Context
    ) -> None:
        present = self.storage.snapshots.get(snapshot_id)
        if present is not None:
            volume_id = present.volume_id
        super().unmanage_snapshot(volume_id, snapshot_id, context)


class AsksLeaveTwice(MemoryBackend):
    """Asks for leave again when all can be seen."""

    def unmanage(self, volume_id: str, context: Context) -> None:
        super().unmanage(volume_id, context)
        context.begin_commit()


class TearsTakingOver(MemoryBackend):
    """Takes a name away before it gives another one."""

    def manage(
        self, volume_id: str, parameters: ManageParameters, context: Context
    ) -> model.VolumeFacts:
        kept = self.storage.manageable.get(parameters.reference)
        try:
            return super().manage(volume_id, parameters, context)
        except BaseException:
            if kept is not None:
                self.storage.manageable.pop(parameters.reference, None)
            raise


class LetsTheLate(MemoryBackend):
    """Knows no fences."""

    def _note_fence(self, volume_id, context) -> None:
        pass
