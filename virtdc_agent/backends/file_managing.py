"""What the backend "file" does with files that are not its own yet."""

from __future__ import annotations

import abc
from collections.abc import Iterable
import contextlib

from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends import layout
from virtdc_agent.backends.managing import Managing
from virtdc_agent.backends.managing import Wish
from virtdc_agent.backends.turn import Turn
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import ManageParameters
from virtdc_agent.contract.events import ManageSnapshotParameters
from virtdc_agent import interfaces
from virtdc_agent import model


class FileManaging(abc.ABC):
    """A part of ``file.FileBackend``; see the interface for the promises."""

    _managing: Managing

    @abc.abstractmethod
    def _opened(
        self, subject: str
    ) -> contextlib.AbstractContextManager[OpenFolder]:
        """Hold the folder open."""

    def list_manageable(
        self, marker: str | None, limit: int
    ) -> list[Manageable]:
        """See the interface. Snapshots are not among them."""
        with self._opened('The list of what can be managed') as folder:
            found: list[Manageable] = []
            for name in _following(folder.names(), marker):
                one = self._managing.look(folder, name)
                if one is not None and not self._managing.is_snapshot(
                    folder, name
                ):
                    found.append(one)
                if len(found) == limit:
                    break
            return found

    def find_manageable(self, reference: str) -> Manageable | None:
        """See the interface."""
        with self._opened('What is to be managed') as folder:
            found = self._managing.look(folder, reference)
            if found is None and layout.is_identifier(reference):
                former = layout.volume(reference)
                found = self._managing.look(folder, former.file)
            return found

    def manage(
        self,
        volume_id: str,
        parameters: ManageParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        layout.check_identifier(context.event_id)
        wish = Wish(
            place=layout.volume(volume_id),
            reference=parameters.reference,
            size_bytes=parameters.size_bytes,
            format=parameters.format,
            provisioning=parameters.provisioning,
        )
        with self._opened(f'Volume {volume_id}') as folder:
            label, size_bytes = self._managing.take(
                folder, volume_id, wish, context
            )
        return model.VolumeFacts(
            volume_id=volume_id,
            size_bytes=size_bytes,
            format=label.format,
            provisioning=label.provisioning,
        )

    def unmanage(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""
        layout.check_identifier(volume_id)
        layout.check_identifier(context.event_id)
        with self._opened(f'Volume {volume_id}') as folder:
            self._managing.give_up(
                folder,
                Turn(folder.fences, volume_id, context),
                layout.volume(volume_id),
                _scratch(volume_id, context),
                context,
            )

    def list_manageable_snapshots(
        self, marker: str | None, limit: int
    ) -> list[Manageable]:
        """See the interface."""
        with self._opened('The list of what can be managed') as folder:
            found: list[Manageable] = []
            for name in _following(folder.names(), marker):
                if not self._managing.is_snapshot(folder, name):
                    continue
                one = self._managing.look_as_snapshot(folder, name)
                if one is not None:
                    found.append(one)
                if len(found) == limit:
                    break
            return found

    def find_manageable_snapshot(self, reference: str) -> Manageable | None:
        """See the interface."""
        with self._opened('What is to be managed') as folder:
            found = self._managing.look_as_snapshot(folder, reference)
            if found is None and layout.is_identifier(reference):
                former = layout.snapshot(reference)
                found = self._managing.look_as_snapshot(folder, former.file)
            return found

    def manage_snapshot(
        self,
        volume_id: str,
        parameters: ManageSnapshotParameters,
        context: interfaces.OperationContext,
    ) -> model.SnapshotFacts:
        """See the interface."""
        snapshot_id = parameters.snapshot_id
        for name in (volume_id, snapshot_id, context.event_id):
            layout.check_identifier(name)
        wish = Wish(
            place=layout.snapshot(snapshot_id),
            reference=parameters.reference,
            size_bytes=parameters.size_bytes,
            snapshot_of=volume_id,
        )
        with self._opened(f'Snapshot {snapshot_id}') as folder:
            label, size_bytes = self._managing.take(
                folder, volume_id, wish, context
            )
        return model.SnapshotFacts(
            snapshot_id=snapshot_id,
            size_bytes=size_bytes,
            format=label.format,
        )

    def unmanage_snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> None:
        """See the interface."""
        for name in (volume_id, snapshot_id, context.event_id):
            layout.check_identifier(name)
        place = layout.snapshot(snapshot_id)
        with self._opened(f'Snapshot {snapshot_id}') as folder:
            self._managing.give_up(
                folder,
                Turn(folder.fences, volume_id, context, also=(place.label,)),
                place,
                _scratch(volume_id, context),
                context,
                snapshot_of=volume_id,
            )


def _following(names: Iterable[str], marker: str | None) -> list[str]:
    return sorted(name for name in names if marker is None or name > marker)


def _scratch(volume_id: str, context: interfaces.OperationContext) -> str:
    return layout.scratch_name(volume_id, context.event_id, context.fence)
