"""How a file gets its name in the folder, is replaced, and loses its name.

The same for volumes and snapshots. Each is durable before the next: the
temporary file is made, filled and synced; its label is written; leave is
asked; the file gets its name. To be removed: leave is asked; the file is
renamed into the trash; trash and label are removed. All that others can see
is done in the volume's turn.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import logging
import os

from virtdc_agent.backends import finding
from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends.label import ANY_INODE
from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.backends.turn import Turn
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)

Fill = Callable[[int], None]
"""Gives the empty file of a descriptor its content."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be made, under which name.

    :param scratch: a name of its own for temporary files and trash.
    :param snapshot_of: the volume of which it is a snapshot, or empty.
    """

    place: layout.Place
    scratch: str
    format: Format
    provisioning: Provisioning
    snapshot_of: str = ''


def adopt(
    folder: OpenFolder,
    place: layout.Place,
    context: interfaces.OperationContext,
    *,
    snapshot_of: str = '',
) -> Label | None:
    """Return the label of what an earlier attempt of this event has made.

    ``None`` if it has made nothing. The turn is held.

    :raises EventRejected: something else has the name.
    """
    found = finding.look(folder, place)
    if found is None:
        return None
    present = found.label
    if (
        present is None
        or present.event_id != context.event_id
        or present.snapshot_of != snapshot_of
    ):
        raise taken(place)
    if present.inode not in (ANY_INODE, found.status.st_ino):
        # Our label; but something else took the name before us.
        folder.remove_label(place.label)
        raise taken(place)
    # The earlier attempt may have ended before this.
    folder.sync()
    return present


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is durable, and lacks only its name.

    :param size_bytes: as its users see it; 0 if that is of no matter.
    """

    turn: Turn
    draft: Draft
    label: Label
    size_bytes: int = 0


def make(
    folder: OpenFolder,
    turn: Turn,
    draft: Draft,
    fill: Fill,
    context: interfaces.OperationContext,
) -> Label:
    """Make what is drafted; return its label.

    :raises EventRejected: something has the name.
    :raises OperationCancelled: it is too late; nothing is left.
    """
    with prepared(folder, turn, draft, fill, context) as made:
        publish_all(folder, [made], context)
        return made.label


@contextlib.contextmanager
def prepared(
    folder: OpenFolder,
    turn: Turn,
    draft: Draft,
    fill: Fill,
    context: interfaces.OperationContext,
    *,
    size_bytes: int = 0,
) -> Iterator[Prepared]:
    """Have what is drafted, without its name, while the body runs."""
    with _filled(folder, draft.scratch, fill) as status:
        yield Prepared(
            turn=turn,
            draft=draft,
            label=Label(
                event_id=context.event_id,
                inode=status.st_ino,
                format=draft.format,
                provisioning=draft.provisioning,
                snapshot_of=draft.snapshot_of,
            ),
            size_bytes=size_bytes,
        )


def publish_all(
    folder: OpenFolder,
    every: Sequence[Prepared],
    context: interfaces.OperationContext,
    *,
    is_committed: bool = False,
) -> None:
    """Give what is prepared its names, one after the other.

    Leave is asked once, before the first. What has its name when the next
    one cannot get it is for the caller to retract.

    :param is_committed: whether leave was given already.
    :raises EventRejected: something has a name.
    :raises OperationCancelled: it is too late; nothing is left.
    """
    for one in every[1:]:
        # Seen before leave is asked, nothing has to be taken back.
        with one.turn.held():
            if folder.find(one.draft.place.file) is not None:
                raise taken(one.draft.place)
    for one in every:
        leave = _granted if is_committed else context.begin_commit
        try:
            with one.turn.held():
                _publish(folder, one.draft, one.label, leave)
        except FileExistsError as exc:
            raise taken(one.draft.place) from exc
        is_committed = True


def retract(
    folder: OpenFolder,
    turn: Turn,
    place: layout.Place,
    scratch: str,
    event_id: str,
    *,
    snapshot_of: str = '',
) -> None:
    """Take away what an event has made, if it is there and is its own.

    :raises OperationCancelled: a later operation has begun.
    """
    with turn.held():
        found = finding.look(folder, place)
        if (
            found is None
            or found.label is None
            or (found.label.event_id, found.label.snapshot_of)
            != (event_id, snapshot_of)
            or found.label.inode not in (ANY_INODE, found.status.st_ino)
        ):
            return
        _drop(folder, place, scratch)
    with forgiven(place):
        folder.empty_trash(scratch)


def replace(
    folder: OpenFolder,
    turn: Turn,
    place: layout.Place,
    present: finding.Opened,
    scratch: str,
    fill: Fill,
    context: interfaces.OperationContext,
) -> None:
    """Put another file in the place of one that is there, at once.

    Its label stays, but for the number of its file: written before the file
    is replaced, it has to be right before and after.

    :param scratch: a name of its own for temporary files.
    :raises OperationCancelled: it is too late; nothing is left.
    """
    with _filled(folder, scratch, fill), turn.held():
        found = finding.look(folder, place)
        if (
            found is None
            or found.label is None
            or not os.path.samestat(found.status, present.status)
        ):
            raise exceptions.OperationCancelled(
                f'{place.words} is another one now'
            )
        if found.label.inode != ANY_INODE:
            folder.write_label(
                place.label,
                dataclasses.replace(found.label, inode=ANY_INODE),
                layout.label_of(scratch),
            )
        context.begin_commit()
        try:
            folder.replace(scratch, place.file)
        except FileNotFoundError as exc:
            raise _swept() from exc


def remove(
    folder: OpenFolder,
    turn: Turn,
    place: layout.Place,
    scratch: str,
    context: interfaces.OperationContext,
    *,
    snapshot_of: str = '',
) -> None:
    """Take a file's name away and free its space; none there is fine.

    :raises EventRejected: what has the name is not ours, or it is a snapshot
        of another volume.
    """
    with turn.held():
        found = finding.look(folder, place)
        if found is None:
            # The earlier attempt may have ended before this.
            folder.sync()
            folder.remove_label(place.label)
            return
        if found.label is None:
            raise exceptions.EventRejected(
                f'What has the name of {place.words} in the storage was not '
                'made by this agent and is left alone; its operator may '
                'remove it.'
            )
        finding.check_whose(found.label, place, snapshot_of)
        context.begin_commit()
        _drop(folder, place, scratch)
    with forgiven(place):
        folder.empty_trash(scratch)


def _drop(folder: OpenFolder, place: layout.Place, scratch: str) -> None:
    """Take a name away, and then its label; the turn is held."""
    folder.throw_away(place.file, scratch)
    with forgiven(place):
        folder.remove_label(place.label)


@contextlib.contextmanager
def _filled(
    folder: OpenFolder, scratch: str, fill: Fill
) -> Iterator[os.stat_result]:
    """Have a temporary file with its content, durable, while the body runs."""
    try:
        descriptor = folder.make_temporary(scratch)
        try:
            fill(descriptor)
            os.fsync(descriptor)
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        yield status
    finally:
        folder.drop_temporary(scratch)
        folder.drop_temporary(layout.label_of(scratch))


def _publish(
    folder: OpenFolder,
    draft: Draft,
    label: Label,
    leave: Callable[[], None],
) -> None:
    """Give a temporary file its name; the turn is held."""
    place = draft.place
    if folder.find(place.file) is not None:
        raise FileExistsError(place.file)
    try:
        folder.write_label(place.label, label, layout.label_of(draft.scratch))
        leave()
        folder.publish(draft.scratch, place.file)
    except BaseException as exc:
        with contextlib.suppress(OSError):
            folder.remove_label(place.label)
        if isinstance(exc, FileNotFoundError):
            raise _swept() from exc
        raise


@contextlib.contextmanager
def forgiven(place: layout.Place) -> Iterator[None]:
    """Go on if what is left over cannot be cleared away yet."""
    try:
        yield
    except OSError:
        LOG.warning(
            '%s: what is left over is cleared away with the next sweep.',
            place.subject,
            exc_info=True,
        )


def _granted() -> None:
    """Go on: leave was given."""


def _swept() -> exceptions.OperationCancelled:
    return exceptions.OperationCancelled('what it had prepared was swept away')


def taken(place: layout.Place) -> exceptions.EventRejected:
    return exceptions.EventRejected(
        f'A {place.words} exists already in the storage and was not made by '
        'this event: choose another id.'
    )
