"""Snapshots of several volumes at once in the backend "memory"."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib

from virtdc_agent.backends.faults import Step
from virtdc_agent.backends import layout
from virtdc_agent.backends.memory_copies import MemoryCopies
from virtdc_agent.backends.memory_copies import no_volume
from virtdc_agent.backends.memory_copies import snapshot_facts
from virtdc_agent.backends.memory_copies import snapshot_taken
from virtdc_agent.backends.memory_storage import MemorySnapshot
from virtdc_agent.contract.events import Operation
from virtdc_agent import interfaces
from virtdc_agent import model


class MemoryGroups(MemoryCopies):
    """Takes all snapshots of a group in one step. Faults name its first."""

    def snapshot_group(
        self,
        snapshots: Mapping[str, str],
        context: interfaces.OperationContext,
    ) -> Sequence[model.SnapshotFacts]:
        """See the interface."""
        operation = Operation.SNAPSHOT_GROUP
        pairs = sorted(snapshots.items())
        for volume_id, snapshot_id in pairs:
            layout.check_identifier(volume_id)
            layout.check_identifier(snapshot_id)
        with contextlib.ExitStack() as stack:
            for volume_id, _ in pairs:
                stack.enter_context(
                    self._recorded(operation, volume_id, context)
                )
            first = pairs[0][0]
            self._strike(Step.BEGUN, operation, first, context)
            if not self._is_taken(pairs, context):
                self._prepare_group(pairs, context)
                self._take_group(pairs, context)
                self._strike(Step.VISIBLE, operation, first, context)
                for volume_id, _ in pairs:
                    self._clear(volume_id, context)
            with self.storage.lock:
                return [
                    snapshot_facts(one, self.storage.snapshots[one])
                    for _, one in pairs
                ]

    def _is_taken(
        self,
        pairs: Sequence[tuple[str, str]],
        context: interfaces.OperationContext,
    ) -> bool:
        """Say whether an earlier attempt has done it.

        :raises EventRejected: something else has a name.
        """
        found = 0
        for volume_id, snapshot_id in pairs:
            present = self._kept(snapshot_id)
            if present is None:
                continue
            found += 1
            if (present.event_id, present.volume_id) != (
                context.event_id,
                volume_id,
            ):
                raise snapshot_taken(snapshot_id)
        return found == len(pairs)

    def _prepare_group(
        self,
        pairs: Sequence[tuple[str, str]],
        context: interfaces.OperationContext,
    ) -> None:
        """Do all that nobody sees, and get leave for the rest."""
        first = pairs[0][0]
        try:
            for done, (volume_id, _) in enumerate(pairs):
                if self._present(volume_id) is None:
                    raise no_volume(volume_id)
                with self.storage.lock:
                    self.storage.leftovers[volume_id] = context.fence
                context.check()
                context.report(done, len(pairs), 'copying')
            self._strike(
                *(Step.PREPARED, Operation.SNAPSHOT_GROUP, first, context)
            )
            context.begin_commit()
            self._strike(
                *(Step.COMMITTED, Operation.SNAPSHOT_GROUP, first, context)
            )
        except Exception:
            for volume_id, _ in pairs:
                self._clear(volume_id, context)
            raise

    def _take_group(
        self,
        pairs: Sequence[tuple[str, str]],
        context: interfaces.OperationContext,
    ) -> None:
        with contextlib.ExitStack() as stack:
            for volume_id, _ in pairs:
                stack.enter_context(self._acting(volume_id, context))
            taken = {}
            for volume_id, snapshot_id in pairs:
                if self._is_snapshot_taken(snapshot_id):
                    raise snapshot_taken(snapshot_id)
                volume = self.storage.volumes[volume_id]
                taken[snapshot_id] = MemorySnapshot(
                    event_id=context.event_id,
                    volume_id=volume_id,
                    size_bytes=volume.size_bytes,
                    format=volume.format,
                    provisioning=volume.provisioning,
                    written=dict(volume.written),
                )
            self.storage.snapshots.update(taken)
