"""How a file becomes a volume or a snapshot, and is given up again.

To be taken over: the file is looked at; its label is written; leave is asked;
the file gets our name beside its own, which is durable; it is grown, if it is
to be larger; its own name is taken away. Killed in between, it has both names
and a label, and the event's next attempt goes on from there; nobody else
touches a file with two names. What fails before its own name is gone is taken
back, and the file is as it was.

To be given up: what it is is remembered for whoever manages it again; leave
is asked; its label is removed. The file stays under its name.

All is done in the volume's turn, while nobody else takes over this file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os

from virtdc_agent.backends import finding
from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.backends import publishing
from virtdc_agent.backends import strangers
from virtdc_agent.backends.strangers import Stranger
from virtdc_agent.backends.turn import Turn
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces

MANAGED = 'It is managed already.'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to become of a file.

    :param snapshot_of: the volume of which it is to be a snapshot, or empty.
    """

    place: layout.Place
    reference: str
    size_bytes: int
    format: Format | None = None
    provisioning: Provisioning | None = None
    snapshot_of: str = ''


class Managing:
    """Takes over files in an open folder. Safe from any thread."""

    def __init__(self, images: finding.Images) -> None:
        self._images = images

    def look(self, folder: OpenFolder, name: str) -> Manageable | None:
        """Return what a name in the folder is; ``None``: nothing for us."""
        if not layout.is_stranger_name(name):
            return None
        place = layout.place_of(name)
        if place is not None:
            try:
                found = finding.look(folder, place)
            except exceptions.BackendError as exc:
                return _unsafe(name, str(exc))
            if found is not None and found.label is not None:
                return self._managed(folder, name, found.label)
        stranger = strangers.look(folder, name, self._images)
        if stranger is None:
            return None
        return Manageable(
            reference=name,
            size_bytes=stranger.size_bytes,
            format=stranger.format,
            is_safe=not stranger.reason,
            reason=stranger.reason,
        )

    def look_as_snapshot(
        self, folder: OpenFolder, name: str
    ) -> Manageable | None:
        """Likewise, of what is or was a snapshot, or might be one."""
        found = self.look(folder, name)
        if found is None or found.reason:
            return found
        stranger = strangers.look(folder, name, self._images)
        if stranger is None:
            return None
        if stranger.was is None or not stranger.was.snapshot_of:
            return dataclasses.replace(
                found,
                is_safe=False,
                reason='It was no snapshot of any volume here.',
            )
        volume_id = descendant_of(folder, stranger.was.snapshot_of)
        return dataclasses.replace(
            found,
            volume_id=volume_id or stranger.was.snapshot_of,
            is_safe=volume_id is not None,
            reason=(
                ''
                if volume_id is not None
                else 'Its volume is not managed: manage that first.'
            ),
        )

    def is_snapshot(self, folder: OpenFolder, name: str) -> bool:
        """Say whether a file is, or was when it was given up, a snapshot."""
        snapshot_id = layout.snapshot_id_of(name)
        names = [layout.memory_of(name)] if len(name) < 200 else []
        if snapshot_id is not None:
            names.insert(0, layout.snapshot(snapshot_id).label)
        with contextlib.suppress(ValueError):
            for one in names:
                label = folder.read_label(one)
                if label is not None:
                    return bool(label.snapshot_of)
        return False

    def take(
        self,
        folder: OpenFolder,
        volume_id: str,
        wish: Wish,
        context: interfaces.OperationContext,
    ) -> tuple[Label, int]:
        """Make of a file what is wished; return its label and its size.

        :raises EventRejected: it cannot be; says why.
        """
        name = _resolved(folder, wish)
        locks: tuple[str, ...] = (layout.source_of(name),)
        if wish.snapshot_of:
            locks = (wish.place.label, *locks)
        turn = Turn(folder.fences, volume_id, context, also=locks)
        scratch = layout.scratch_name(
            volume_id, context.event_id, context.fence
        )
        with turn.held() as lock:
            if context.attempt > 1:
                folder.revoke(volume_id, context.event_id, context.fence)
            label = None
            if name != wish.place.file or _is_labelled(folder, wish.place):
                label = publishing.adopt(
                    folder,
                    wish.place,
                    context,
                    snapshot_of=wish.snapshot_of,
                )
            if label is None:
                label = self._name(folder, wish, name, scratch, context)
            size_bytes = self._complete(
                folder, wish, label, name, lock, context
            )
            return label, size_bytes

    def give_up(
        self,
        folder: OpenFolder,
        turn: Turn,
        place: layout.Place,
        scratch: str,
        context: interfaces.OperationContext,
        *,
        snapshot_of: str = '',
    ) -> None:
        """Have a file be a stranger; one that is none of ours is fine.

        :raises EventRejected: it is a snapshot of another volume.
        """
        memory = layout.memory_of(place.file)
        with turn.held():
            found = finding.look(folder, place)
            if found is None or found.label is None:
                # The earlier attempt may have ended before this.
                folder.remove_label(place.label)
                folder.sync_labels()
                return
            finding.check_whose(found.label, place, snapshot_of)
            was = dataclasses.replace(
                found.label,
                inode=found.status.st_ino,
                snapshot_of=(
                    lineage_of(folder, snapshot_of) if snapshot_of else ''
                ),
                lineage=(
                    '' if snapshot_of else found.label.lineage or place.label
                ),
            )
            try:
                folder.write_label(memory, was, layout.label_of(scratch))
                context.begin_commit()
                folder.remove_label(place.label)
            except BaseException:
                folder.drop_temporary(layout.label_of(scratch))
                with contextlib.suppress(OSError):
                    folder.remove_label(memory)
                raise
            folder.sync_labels()

    def _managed(
        self, folder: OpenFolder, name: str, label: Label
    ) -> Manageable:
        size_bytes = 0
        with (
            contextlib.suppress(FileNotFoundError, ValueError),
            folder.opened(name, os.O_RDONLY) as descriptor,
        ):
            size_bytes = self._images[label.format].measure(descriptor)
        return Manageable(
            reference=name,
            size_bytes=size_bytes,
            format=label.format,
            is_safe=False,
            reason=MANAGED,
            volume_id=label.snapshot_of or layout.volume_id_of(name),
            snapshot_id=layout.snapshot_id_of(name),
        )

    def _name(
        self,
        folder: OpenFolder,
        wish: Wish,
        name: str,
        scratch: str,
        context: interfaces.OperationContext,
    ) -> Label:
        """Give a file our name and label; return that."""
        stranger = self._checked(folder, wish, name)
        was, place = stranger.was, wish.place
        label = Label(
            event_id=context.event_id,
            inode=stranger.status.st_ino,
            format=stranger.format or Format.RAW,
            provisioning=(
                wish.provisioning
                or (was.provisioning if was else Provisioning.THIN)
            ),
            snapshot_of=wish.snapshot_of,
            lineage=was.lineage if was and not wish.snapshot_of else '',
        )
        is_named = False
        try:
            if name == place.file:
                context.begin_commit()
                folder.write_label(
                    place.label, label, layout.label_of(scratch)
                )
                return label
            folder.write_label(place.label, label, layout.label_of(scratch))
            context.begin_commit()
            folder.link(name, place.file)
            is_named = True
            made = folder.find(place.file)
            if made is None or not os.path.samestat(made, stranger.status):
                raise _refused(name, 'It is another one now.')
            folder.sync()
        except BaseException as exc:
            folder.drop_temporary(layout.label_of(scratch))
            _take_back(folder, place, name, is_named)
            if isinstance(exc, FileExistsError):
                raise publishing.taken(place) from exc
            raise
        return label

    def _checked(self, folder: OpenFolder, wish: Wish, name: str) -> Stranger:
        """Return a file that may become what is wished.

        :raises EventRejected: it may not.
        """
        place = layout.place_of(name)
        if place is not None and _is_labelled(folder, place):
            raise _refused(name, MANAGED)
        stranger = strangers.look(folder, name, self._images)
        if stranger is None:
            raise _refused(name, 'There is no such file.')
        if stranger.reason or stranger.format is None:
            raise _refused(name, stranger.reason)
        if stranger.size_bytes > wish.size_bytes:
            raise _refused(
                name,
                f'It has {stranger.size_bytes} bytes, more than the '
                f'{wish.size_bytes} that were asked for.',
            )
        self._images[stranger.format].check_size(wish.size_bytes)
        if wish.format not in (None, stranger.format):
            raise _refused(
                name, f'It is in format {stranger.format}, not {wish.format}.'
            )
        if wish.provisioning is Provisioning.THICK and not _is_thick(stranger):
            raise _refused(name, 'Not all of its space is reserved.')
        if wish.snapshot_of:
            self._check_snapshot(folder, wish, name, stranger)
        return stranger

    def _check_snapshot(
        self, folder: OpenFolder, wish: Wish, name: str, stranger: Stranger
    ) -> None:
        was = stranger.was
        with finding.opened(
            folder, layout.volume(wish.snapshot_of), self._images
        ) as volume:
            if was is None or was.snapshot_of != (
                volume.label.lineage or wish.snapshot_of
            ):
                raise _refused(
                    name, f'It was no snapshot of volume {wish.snapshot_of}.'
                )
            if (
                stranger.format is not volume.label.format
                or wish.size_bytes > volume.size_bytes
            ):
                raise _refused(
                    name,
                    f'Its format or its size is not that of volume '
                    f'{wish.snapshot_of}.',
                )

    def _complete(
        self,
        folder: OpenFolder,
        wish: Wish,
        label: Label,
        name: str,
        lock: int,
        context: interfaces.OperationContext,
    ) -> int:
        """Grow what has our name, and take its own name away.

        :returns: its size.
        """
        place = wish.place
        image = self._images[label.format]
        try:
            with folder.opened(place.file, os.O_RDWR) as descriptor:
                status = os.fstat(descriptor)
                folder.hand_over(descriptor)
                size_bytes = image.measure(descriptor)
                if size_bytes < wish.size_bytes:
                    image.grow(
                        descriptor,
                        wish.size_bytes,
                        label.provisioning,
                        context,
                        lambda: contextlib.nullcontext(lock),
                    )
                os.fsync(descriptor)
            if name != place.file:
                own = folder.find(name)
                if own is not None and os.path.samestat(own, status):
                    folder.unlink(name)
        except BaseException:
            _take_back(folder, place, name, name != place.file)
            raise
        with publishing.forgiven(place):
            folder.sync()
            folder.remove_label(layout.memory_of(name))
        return max(size_bytes, wish.size_bytes)


def _unsafe(name: str, reason: str) -> Manageable:
    return Manageable(
        reference=name, size_bytes=0, format=None, is_safe=False, reason=reason
    )


def lineage_of(folder: OpenFolder, volume_id: str) -> str:
    """Return the id that a volume had first.

    :raises ValueError: its label is damaged.
    """
    label = folder.read_label(volume_id)
    return label.lineage or volume_id if label else volume_id


def descendant_of(folder: OpenFolder, lineage: str) -> str | None:
    """Return the volume that had an id first, if there is one now."""
    for name in (lineage, *folder.label_names()):
        volume_id = layout.volume_of_label(name)
        if volume_id is None:
            continue
        with contextlib.suppress(ValueError):
            label = folder.read_label(volume_id)
            if label and (label.lineage or volume_id) == lineage:
                return volume_id
    return None


def _resolved(folder: OpenFolder, wish: Wish) -> str:
    """Return the name in the folder that is meant."""
    reference = wish.reference
    if not layout.is_stranger_name(reference):
        raise _refused(
            reference, 'A reference is one name, of a file in the pool.'
        )
    if folder.find(reference) is None and layout.is_identifier(reference):
        former = (
            layout.snapshot(reference)
            if wish.snapshot_of
            else layout.volume(reference)
        )
        if folder.find(former.file) is not None:
            return former.file
    return reference


def _is_labelled(folder: OpenFolder, place: layout.Place) -> bool:
    found = finding.look(folder, place)
    return found is not None and found.label is not None


def _is_thick(stranger: Stranger) -> bool:
    if stranger.format is Format.RAW:
        return stranger.status.st_blocks * 512 >= stranger.size_bytes
    return stranger.was is not None and (
        stranger.was.provisioning is Provisioning.THICK
    )


def _take_back(
    folder: OpenFolder, place: layout.Place, name: str, is_named: bool
) -> None:
    """Have a file be as it was, as far as that can be helped.

    Its bytes are never at stake: our name goes only while it has its own.
    """
    with contextlib.suppress(OSError):
        ours, own = folder.find(place.file), folder.find(name)
        if (
            is_named
            and ours is not None
            and own is not None
            and os.path.samestat(ours, own)
        ):
            folder.unlink(place.file)
            folder.sync()
        elif is_named:
            return
    with contextlib.suppress(OSError):
        folder.remove_label(place.label)


def _refused(name: str, why: str) -> exceptions.EventRejected:
    return exceptions.EventRejected(f'{name} cannot be managed: {why}')
