"""Snapshots and clones of volumes that are files: whole files of their own.

None has another behind it, so that each may go before the others, and a
damaged one damages no other. What it costs is time where the file system
cannot share blocks, and space.

The copy is made as a temporary file, which takes as long as it takes and
holds no lock: the journal lets no other operation at the volume meanwhile. It
is published as a new volume is, in the turn of the volume: who was overtaken
while it copied cannot publish, and what it has copied is swept.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os

from virtdc_agent.backends import copying
from virtdc_agent.backends import finding
from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends.importing import Importer
from virtdc_agent.backends import layout
from virtdc_agent.backends import publishing
from virtdc_agent.backends import qcow2
from virtdc_agent.backends.turn import Turn
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model


class Copies:
    """Copies volumes in an open folder. Safe from any thread.

    :param importer: makes volumes of what is in another format.
    :param can_share: whether its file system has ``copying.share``.
    """

    def __init__(
        self,
        images: finding.Images,
        *,
        importer: Importer,
        can_share: bool,
    ) -> None:
        self._images = images
        self._importer = importer
        self._can_share = can_share

    def snapshot(
        self,
        folder: OpenFolder,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> model.SnapshotFacts:
        """Copy a volume into a snapshot, which is thin: nobody writes to it.

        It remembers how its volume was provisioned, for clones of it.
        """
        if self.adopt_snapshot(folder, volume_id, snapshot_id, context):
            facts = self.find_snapshot(folder, snapshot_id)
            if facts is None:
                raise exceptions.OperationCancelled('it was deleted since')
            return facts
        with self.prepared_snapshot(
            folder, volume_id, snapshot_id, context
        ) as prepared:
            publishing.publish_all(folder, [prepared], context)
            return _facts(
                snapshot_id, prepared.size_bytes, prepared.label.format
            )

    def adopt_snapshot(
        self,
        folder: OpenFolder,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> bool:
        """Say whether an earlier attempt of this event has made a snapshot.

        Earlier attempts can make none of this volume any more.

        :raises EventRejected: something else has the name.
        """
        place = layout.snapshot(snapshot_id)
        with Turn(
            folder.fences, volume_id, context, also=(place.label,)
        ).held():
            _revoke(folder, volume_id, context)
            present = publishing.adopt(
                folder, place, context, snapshot_of=volume_id
            )
        return present is not None

    @contextlib.contextmanager
    def prepared_snapshot(
        self,
        folder: OpenFolder,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> Iterator[publishing.Prepared]:
        """Have a snapshot that lacks only its name, while the body runs."""
        place = layout.snapshot(snapshot_id)
        with contextlib.ExitStack() as stack:
            with self.opened(folder, volume_id, None) as source:
                draft = publishing.Draft(
                    place=place,
                    scratch=_scratch(volume_id, context),
                    format=source.label.format,
                    provisioning=source.label.provisioning,
                    snapshot_of=volume_id,
                )

                def fill(descriptor: int) -> None:
                    self._copy(
                        *(folder, source, descriptor, source.size_bytes),
                        *(Provisioning.THIN, draft.scratch, context),
                    )

                prepared = stack.enter_context(
                    publishing.prepared(
                        folder,
                        Turn(
                            *(folder.fences, volume_id, context),
                            also=(place.label,),
                        ),
                        draft,
                        fill,
                        context,
                        size_bytes=source.size_bytes,
                    )
                )
            yield prepared

    def size_of(self, folder: OpenFolder, volume_id: str) -> int:
        """Return the size of a volume.

        :raises EventRejected: there is none.
        """
        with self.opened(folder, volume_id, None) as volume:
            return volume.size_bytes

    def delete_snapshot(
        self,
        folder: OpenFolder,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> None:
        """Remove a snapshot as a volume is removed."""
        place = layout.snapshot(snapshot_id)
        publishing.remove(
            folder,
            Turn(folder.fences, volume_id, context, also=(place.label,)),
            place,
            _scratch(volume_id, context),
            context,
            snapshot_of=volume_id,
        )

    def find_snapshot(
        self, folder: OpenFolder, snapshot_id: str
    ) -> model.SnapshotFacts | None:
        """Return what is there under this id, or ``None``."""
        place = layout.snapshot(snapshot_id)
        found = finding.look(folder, place)
        if found is None or found.label is None:
            return None
        try:
            with (
                folder.opened(place.file, os.O_RDONLY) as descriptor,
                finding.damage_told(place),
            ):
                image = self._images[found.label.format]
                size_bytes = image.measure(descriptor)
        except FileNotFoundError:
            # Deleted since.
            return None
        return _facts(snapshot_id, size_bytes, found.label.format)

    def revert(
        self,
        folder: OpenFolder,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """Copy a snapshot, as large as the volume is, over the volume."""
        turn = Turn(folder.fences, volume_id, context)
        with turn.held():
            _revoke(folder, volume_id, context)
        with (
            self.opened(folder, volume_id, None) as volume,
            self.opened(folder, volume_id, snapshot_id) as snapshot,
        ):
            label, size_bytes = volume.label, volume.size_bytes
            # A volume of the same id may have been made since.
            if snapshot.label.format is not label.format:
                raise exceptions.EventRejected(
                    f'Snapshot {snapshot_id} is in format '
                    f'{snapshot.label.format}, and volume {volume_id} in '
                    f'{label.format}: make a new volume of the snapshot.'
                )
            if snapshot.size_bytes > size_bytes:
                raise exceptions.EventRejected(
                    f'Snapshot {snapshot_id} has {snapshot.size_bytes} bytes, '
                    f'more than the {size_bytes} of volume {volume_id}.'
                )
            scratch = _scratch(volume_id, context)

            def fill(descriptor: int) -> None:
                self._copy(
                    *(folder, snapshot, descriptor, size_bytes),
                    *(label.provisioning, scratch, context),
                )

            publishing.replace(
                *(folder, turn, layout.volume(volume_id), volume),
                *(scratch, fill, context),
            )
        return model.VolumeFacts(
            volume_id=volume_id,
            size_bytes=size_bytes,
            format=label.format,
            provisioning=label.provisioning,
        )

    def clone(
        self,
        folder: OpenFolder,
        turn: Turn,
        volume_id: str,
        parameters: CloneParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """Copy a volume or a snapshot into a new volume.

        Formats and provisionings that the storage does not have are refused
        already, and no earlier attempt has made it.
        """
        with self.opened(
            folder, parameters.source_id, parameters.snapshot_id
        ) as source:
            _check_fits(source, parameters)
            size_bytes = parameters.size_bytes
            format_ = parameters.format or source.label.format
            self._images[format_].check_size(size_bytes)
            copy = (
                self._copy if format_ is source.label.format else self._convert
            )
            draft = publishing.Draft(
                place=layout.volume(volume_id),
                scratch=_scratch(volume_id, context),
                format=format_,
                provisioning=(
                    parameters.provisioning or source.label.provisioning
                ),
            )

            def fill(descriptor: int) -> None:
                copy(
                    *(folder, source, descriptor, size_bytes),
                    *(draft.provisioning, draft.scratch, context),
                )

            publishing.make(folder, turn, draft, fill, context)
        return model.VolumeFacts(
            volume_id=volume_id,
            size_bytes=size_bytes,
            format=draft.format,
            provisioning=draft.provisioning,
        )

    def opened(
        self, folder: OpenFolder, volume_id: str, snapshot_id: str | None
    ) -> contextlib.AbstractContextManager[finding.Opened]:
        """Open a volume, or a snapshot of it, while the body runs.

        :raises EventRejected: there is none.
        """
        if snapshot_id is None:
            return finding.opened(
                folder, layout.volume(volume_id), self._images
            )
        return finding.opened(
            folder,
            layout.snapshot(snapshot_id),
            self._images,
            snapshot_of=volume_id,
        )

    def _copy(
        self,
        folder: OpenFolder,
        source: finding.Opened,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        scratch: str,
        context: interfaces.OperationContext,
    ) -> None:
        """Fill an empty file with what is open."""
        original = self._original(source)
        with contextlib.ExitStack() as stack:
            if (
                self._can_share
                and not source.label.snapshot_of
                and original.must_move(provisioning)
            ):
                original = stack.enter_context(
                    _frozen(folder, original, scratch)
                )
            with _damage_told():
                self._images[source.label.format].fill_from(
                    original, descriptor, size_bytes, provisioning, context
                )

    def _convert(
        self,
        folder: OpenFolder,
        source: finding.Opened,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        scratch: str,
        context: interfaces.OperationContext,
    ) -> None:
        """Fill an empty file with what is open, in another format.

        As images are converted, and as carefully: whoever can write to the
        file of a qcow2 volume could have it refer to a file of this host.
        """
        original = self._original(source)
        with contextlib.ExitStack() as stack:
            if self._can_share and not source.label.snapshot_of:
                original = stack.enter_context(
                    _frozen(folder, original, scratch)
                )
            if source.label.format is Format.QCOW2:
                with _damage_told():
                    qcow2.check_stands_alone(original.descriptor)
            self._importer.fill(
                model.OpenImage(
                    descriptor=original.descriptor,
                    format=source.label.format,
                    size_bytes=source.size_bytes,
                ),
                descriptor,
                size_bytes,
                _other(source.label.format),
                provisioning,
                context,
            )

    def _original(self, source: finding.Opened) -> copying.Original:
        return copying.Original(
            descriptor=source.descriptor,
            provisioning=source.label.provisioning,
            keeps_blocks=(
                source.label.provisioning is Provisioning.THICK
                and not source.label.snapshot_of
            ),
            can_share=self._can_share,
        )


def _other(format_: Format) -> Format:
    """Return the one of the two formats that this is not."""
    return Format.RAW if format_ is Format.QCOW2 else Format.QCOW2


@contextlib.contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        raise exceptions.BackendError(
            f'What is to be copied is damaged ({exc}); the operator of the '
            'storage has to look at it.'
        ) from exc


@contextlib.contextmanager
def _frozen(
    folder: OpenFolder, original: copying.Original, scratch: str
) -> Iterator[copying.Original]:
    """Hold a volume as it is at one instant, while its bytes are copied.

    It may be in use: the backend says that it copies at once. Meanwhile the
    two share their blocks, and a thick volume's writes need new space.
    """
    name = layout.frozen_of(scratch)
    descriptor = folder.make_temporary(name)
    try:
        copying.share(original.descriptor, descriptor)
        yield copying.Original(
            descriptor=descriptor,
            provisioning=original.provisioning,
            keeps_blocks=True,
            can_share=original.can_share,
        )
    finally:
        os.close(descriptor)
        folder.drop_temporary(name)


def _check_fits(source: finding.Opened, parameters: CloneParameters) -> None:
    if parameters.size_bytes < source.size_bytes:
        raise exceptions.EventRejected(
            f'A copy of {source.size_bytes} bytes does not fit into '
            f'{parameters.size_bytes}: ask for as much or more.'
        )


def _revoke(
    folder: OpenFolder, volume_id: str, context: interfaces.OperationContext
) -> None:
    if context.attempt > 1:
        folder.revoke(volume_id, context.event_id, context.fence)


def _scratch(volume_id: str, context: interfaces.OperationContext) -> str:
    return layout.scratch_name(volume_id, context.event_id, context.fence)


def _facts(
    snapshot_id: str, size_bytes: int, format_: Format
) -> model.SnapshotFacts:
    return model.SnapshotFacts(
        snapshot_id=snapshot_id, size_bytes=size_bytes, format=format_
    )
