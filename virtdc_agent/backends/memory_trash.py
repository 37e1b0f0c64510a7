"""What the backend "memory" keeps of what was deleted."""

from __future__ import annotations

from virtdc_agent.backends.faults import Step
from virtdc_agent.backends import layout
from virtdc_agent.backends.memory_steps import facts_of
from virtdc_agent.backends.memory_steps import MemorySteps
from virtdc_agent.backends.memory_steps import taken
from virtdc_agent.backends.memory_storage import MemoryVolume
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model


class MemoryTrash(MemorySteps):
    """Discards, restores and purges; see ``interfaces.Backend``."""

    def discard(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""

        def keep(gone: MemoryVolume) -> None:
            self.storage.discarded[volume_id, context.event_id] = gone

        self._remove(volume_id, context, keep)

    def restore(
        self,
        volume_id: str,
        discarded_by: str,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        key = volume_id, discarded_by
        with self._recorded(Operation.RESTORE, volume_id, context):
            self._strike(Step.BEGUN, Operation.RESTORE, volume_id, context)
            present = self._present(volume_id)
            kept = self.storage.discarded.get(key)
            if self._is_strange(volume_id) or (present and kept):
                raise taken(volume_id)
            if present is not None:
                return facts_of(volume_id, present)
            if kept is None:
                raise exceptions.EventRejected(
                    f'The storage keeps no volume {volume_id}.'
                )
            self._prepare(
                Operation.RESTORE, volume_id, 0, Provisioning.THIN, context
            )
            with self._acting(volume_id, context):
                if self.storage.discarded.pop(key, None) is not None:
                    self.storage.volumes[volume_id] = kept
            self._strike(Step.VISIBLE, Operation.RESTORE, volume_id, context)
            self._clear(volume_id, context)
            return facts_of(volume_id, kept)

    def purge(
        self,
        volume_id: str,
        discarded_by: str,
        context: interfaces.OperationContext,
    ) -> None:
        """See the interface."""
        layout.check_identifier(volume_id)
        key = volume_id, discarded_by
        with self._recorded(Operation.PURGE, volume_id, context):
            self._strike(Step.BEGUN, Operation.PURGE, volume_id, context)
            if key not in self.storage.discarded:
                return
            self._prepare(
                Operation.PURGE, volume_id, 0, Provisioning.THIN, context
            )
            with self._acting(volume_id, context):
                gone = self.storage.discarded.pop(key, None)
                if gone is not None:
                    self._take(gone, -gone.size_bytes)
            self._strike(Step.VISIBLE, Operation.PURGE, volume_id, context)
            self._clear(volume_id, context)
