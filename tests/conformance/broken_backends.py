"""Backends that break one rule each, to show that each rule can fail."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import dataclasses

from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.backends.memory_storage import MemoryStorage
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

Context = interfaces.OperationContext
Facts = model.VolumeFacts


class DeclaresNoDelete(MemoryBackend):
    """Does not say that it can delete."""

    operations = frozenset({Operation.CREATE, Operation.EXTEND})


class HasMoreFreeThanAll(MemoryBackend):
    """Counts something twice."""

    def space(self) -> model.StorageSpace:
        space = super().space()
        return dataclasses.replace(space, free_bytes=2 * space.total_bytes)


class FindsAnything(MemoryBackend):
    """Takes a path for a name."""

    def find(self, volume_id: str) -> Facts | None:
        return super().find(volume_id.rpartition('/')[2] or 'first')


class ListsTwice(MemoryBackend):
    """Repeats itself when there is more than one volume."""

    def scan(self) -> Iterable[Facts]:
        listed = list(super().scan())
        return listed * 2 if 1 < len(listed) < 10 else listed


class LocatesAnything(MemoryBackend):
    """Has a path for what is not there."""

    def locate(self, volume_id: str) -> str | None:
        return '/volumes/' + volume_id


class ForgetsOnRestart(MemoryBackend):
    """Says something else of a volume after a restart."""

    restarted = False

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        super().__init__(storage)
        self.restarted = storage is not None

    def find(self, volume_id: str) -> Facts | None:
        return None if self.restarted else super().find(volume_id)


class AlwaysThin(MemoryBackend):
    """Does not do what it was asked."""

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        if parameters.provisioning is Provisioning.THICK:
            parameters = dataclasses.replace(
                parameters, provisioning=Provisioning.THIN
            )
        return super().create(volume_id, parameters, context)


class RoundsUp(MemoryBackend):
    """Makes volumes in whole MiB."""

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        if parameters.format is None:
            unit = 1024**2
            whole = -(-parameters.size_bytes // unit) * unit
            parameters = dataclasses.replace(parameters, size_bytes=whole)
        return super().create(volume_id, parameters, context)


class TakesAnyFormat(MemoryBackend):
    """Makes raw volumes whatever was asked for."""

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        if parameters.format is Format.QCOW2:
            parameters = dataclasses.replace(parameters, format=Format.RAW)
        return super().create(volume_id, parameters, context)


class TakesAnyName(MemoryBackend):
    """Replaces what it does not like in a name."""

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        return super().create(volume_id.replace('/', '_'), parameters, context)


class ReusesBytes(MemoryBackend):
    """Gives a new volume what another left."""

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        super().__init__(storage)
        self.left: dict[int, int] = {}

    def delete(self, volume_id: str, context: Context) -> None:
        volume = self.storage.volumes.get(volume_id)
        super().delete(volume_id, context)
        self.left = volume.written if volume else {}

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        facts = super().create(volume_id, parameters, context)
        self.storage.volumes[volume_id].written.update(self.left)
        return facts


class RefusesItsOwnWork(MemoryBackend):
    """Takes its own third attempt for another's."""

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        if context.attempt > 2 and self.find(volume_id):
            raise exceptions.EventRejected('exists')
        return super().create(volume_id, parameters, context)


class AdoptsAnothersVolume(MemoryBackend):
    """Takes whatever is there on a second attempt."""

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        facts = self.find(volume_id)
        if context.attempt > 1 and facts:
            return facts
        return super().create(volume_id, parameters, context)


class RemovesStrangers(MemoryBackend):
    """Throws away what it does not know."""

    def sweep(self, held) -> Sequence[str]:
        self.storage.strangers.clear()
        return super().sweep(held)


class LosesConcurrentCreates(MemoryBackend):
    """Keeps few volumes when many are made."""

    def scan(self) -> Iterable[Facts]:
        return list(super().scan())[:31]


class DeletesMore(MemoryBackend):
    """Removes a volume's neighbour too."""

    def delete(self, volume_id: str, context: Context) -> None:
        super().delete(volume_id, context)
        self.storage.volumes.pop('second', None)


class MissesWhatIsGone(MemoryBackend):
    """Fails on a later attempt when an earlier one had finished."""

    def delete(self, volume_id: str, context: Context) -> None:
        if context.attempt > 2 and not self.find(volume_id):
            raise exceptions.EventRejected('there is no such volume')
        super().delete(volume_id, context)


class GrowsTwice(MemoryBackend):
    """Adds to the size what was asked for, once more."""

    def extend(
        self, volume_id: str, size_bytes: int, context: Context
    ) -> Facts:
        facts = self.find(volume_id)
        if (
            context.attempt > 1
            and context.event_id == 'extend'
            and facts
            and facts.size_bytes == size_bytes
        ):
            size_bytes += 1024**2
        return super().extend(volume_id, size_bytes, context)


class ZeroesOnExtend(MemoryBackend):
    """Loses what was written."""

    def extend(
        self, volume_id: str, size_bytes: int, context: Context
    ) -> Facts:
        facts = super().extend(volume_id, size_bytes, context)
        self.storage.volumes[volume_id].written.clear()
        return facts


class Shrinks(MemoryBackend):
    """Sets whatever size it is told."""

    def extend(
        self, volume_id: str, size_bytes: int, context: Context
    ) -> Facts:
        volume = self.storage.volumes.get(volume_id)
        if volume:
            volume.size_bytes = min(volume.size_bytes, size_bytes)
        return super().extend(volume_id, size_bytes, context)


class MakesByExtending(MemoryBackend):
    """Makes the volume that it was to extend."""

    def extend(
        self, volume_id: str, size_bytes: int, context: Context
    ) -> Facts:
        if volume_id == 'unknown':
            parameters = CreateParameters(size_bytes=size_bytes)
            return self.create(volume_id, parameters, context)
        return super().extend(volume_id, size_bytes, context)


class AsksLeaveTwice(MemoryBackend):
    """Asks for leave again when all can be seen."""

    def delete(self, volume_id: str, context: Context) -> None:
        super().delete(volume_id, context)
        context.begin_commit()


class LittersOnCancel(MemoryBackend):
    """Cleans up only after errors of its own."""

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        try:
            return super().create(volume_id, parameters, context)
        except exceptions.OperationCancelled:
            self.storage.leftovers.add(volume_id)
            raise


class ReportsBackwards(MemoryBackend):
    """Starts again from zero."""

    def create(
        self, volume_id: str, parameters: CreateParameters, context: Context
    ) -> Facts:
        facts = super().create(volume_id, parameters, context)
        context.report(0, parameters.size_bytes)
        return facts


class TearsInCrashes(MemoryBackend):
    """Grows a volume in two steps that can be seen."""

    def __init__(self, storage: MemoryStorage | None = None) -> None:
        super().__init__(storage)
        # A half-made growth, as another process would find it.
        for volume in self.storage.volumes.values():
            if 'first' in self.storage.leftovers:
                volume.size_bytes += volume.size_bytes % 512 or 512


class GivesUpAfterCrashes(MemoryBackend):
    """Does not finish what it finds begun."""

    def extend(
        self, volume_id: str, size_bytes: int, context: Context
    ) -> Facts:
        facts = self.find(volume_id)
        if facts and context.event_id == 'crashed' and context.attempt > 1:
            return facts
        return super().extend(volume_id, size_bytes, context)


class SweepsAgainAndAgain(MemoryBackend):
    """Names what it has removed before."""

    def sweep(self, held) -> Sequence[str]:
        swept = super().sweep(held)
        self.storage.leftovers.update(dict.fromkeys(swept, 0))
        return swept


class NeverSweeps(MemoryBackend):
    """Removes nothing, and says that there was nothing."""

    def sweep(self, held) -> Sequence[str]:
        return ()


class LetsTheLateAct(MemoryBackend):
    """Knows no fences."""

    def _note_fence(self, volume_id, context) -> None:
        pass


class ForgetsTheGone(MemoryBackend):
    """Keeps no fence of a volume that is deleted."""

    def delete(self, volume_id, context) -> None:
        super().delete(volume_id, context)
        self.storage.fences.pop(volume_id, None)


class SweepsTheLiving(MemoryBackend):
    """Does not ask who is at work."""

    def sweep(self, held) -> Sequence[str]:
        return super().sweep(tuple)


class CommitsWhatWasSwept(MemoryBackend):
    """Does not notice that its work was taken away."""

    @contextlib.contextmanager
    def _acting(self, volume_id, context):
        self.storage.leftovers[volume_id] = context.fence
        with super()._acting(volume_id, context):
            yield
