"""Names in the folder of the backend "file".

::

    .virtdc                  which folder this is: an id, for ever
    volume-<volume id>       a volume, from its first to its last moment
    snapshot-<snapshot id>   a snapshot, a file as independent as a volume's
    .labels/<volume id>      what the volume is: see ``label``
    .labels/@<snapshot id>   what the snapshot is, and of which volume
    .labels/~<file>          what a file was that was given up
    .fences/<volume id>      whose turn it is with the volume: see ``turn``
    .fences/@<snapshot id>   who was last to make or remove the snapshot
    .fences/=<digest>        who takes over the file with a name of this
                             digest
    .temporary/...           what is being made, and is nobody's yet
    .trash/...               what is deleted, and is nobody's any more
    .discarded/<volume id>@<event id>        what can still be restored
    .discarded/<volume id>@<event id>.label  what that is

Other files that somebody put there are strangers: nobody's business until
they are to become volumes. Identifiers hold no slash and begin with a letter
or digit, so that no name made here can leave the folder or meet another kind
of name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re

from virtdc_agent import exceptions

IDENTITY = '.virtdc'
LABELS = '.labels'
FENCES = '.fences'
TEMPORARY = '.temporary'
TRASH = '.trash'
DISCARDED = '.discarded'
FOLDERS = (LABELS, FENCES, TEMPORARY, TRASH, DISCARDED)

_VOLUME = 'volume-'
_SNAPSHOT = 'snapshot-'
_SNAPSHOT_MARK = '@'
_MEMORY_MARK = '~'
_SOURCE_MARK = '='
_MAX_NAME_BYTES = 255
_LABEL_PART = '.label'
_FROZEN_PART = '.frozen'

# What the contract admits. Asked again: names are this backend's own defence.
_IDENTIFIER = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')


def is_identifier(text: str) -> bool:
    """Say whether a text can be part of a file's name."""
    return _IDENTIFIER.fullmatch(text) is not None


def check_identifier(text: str) -> None:
    """Refuse what must not become part of a file's name.

    :raises EventRejected: it is too long, or has other characters.
    """
    if not is_identifier(text):
        raise exceptions.EventRejected(
            f'{text!r} is no identifier: use 1 to 64 letters, digits, dots, '
            'dashes or underscores, beginning with a letter or digit.'
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The names that a volume or a snapshot has.

    :param file: in the folder; hosts know a volume by this too.
    :param label: in the folders of the labels and of the fences.
    :param words: in sentences, as ``volume 1``.
    """

    file: str
    label: str
    words: str

    @property
    def subject(self) -> str:
        """The same at the beginning of a sentence."""
        return self.words[:1].upper() + self.words[1:]


def volume(volume_id: str) -> Place:
    """Return the names of a volume."""
    return Place(
        file=_VOLUME + volume_id,
        label=volume_id,
        words=f'volume {volume_id}',
    )


def snapshot(snapshot_id: str) -> Place:
    """Return the names of a snapshot."""
    return Place(
        file=_SNAPSHOT + snapshot_id,
        label=_SNAPSHOT_MARK + snapshot_id,
        words=f'snapshot {snapshot_id}',
    )


def volume_id_of(name: str) -> str | None:
    """Return the volume that a file's name stands for, if it does."""
    volume_id = name.removeprefix(_VOLUME)
    if volume_id == name or not is_identifier(volume_id):
        return None
    return volume_id


def snapshot_id_of(name: str) -> str | None:
    """Return the snapshot that a file's name stands for, if it does."""
    snapshot_id = name.removeprefix(_SNAPSHOT)
    if snapshot_id == name or not is_identifier(snapshot_id):
        return None
    return snapshot_id


def place_of(name: str) -> Place | None:
    """Return the volume or snapshot that a file's name stands for, if any."""
    volume_id, snapshot_id = volume_id_of(name), snapshot_id_of(name)
    if volume_id is not None:
        return volume(volume_id)
    return None if snapshot_id is None else snapshot(snapshot_id)


def memory_of(name: str) -> str:
    """Return the label of what a file was that was given up."""
    return _MEMORY_MARK + name


def source_of(name: str) -> str:
    """Return the fence of who takes over a file of any name."""
    return _SOURCE_MARK + hashlib.sha256(name.encode()).hexdigest()


def volume_of_label(label: str) -> str | None:
    """Return the volume that a label is of, if it is of one."""
    return label if is_identifier(label) else None


def is_stranger_name(name: str) -> bool:
    """Say whether a file may have this name and become a volume.

    One name in the folder, and none that a terminal would not show.
    """
    return (
        name.isprintable()
        and '/' not in name
        and not name.startswith('.')
        and 0 < len(name.encode()) <= _MAX_NAME_BYTES
    )


def file_of(label: str) -> str:
    """Return the name of the file that a label or fence is of."""
    name = label.removeprefix(_MEMORY_MARK)
    if name != label:
        return name
    snapshot_id = label.removeprefix(_SNAPSHOT_MARK)
    if snapshot_id != label:
        return snapshot(snapshot_id).file
    return volume(label).file


def discarded(volume_id: str, event_id: str) -> str:
    """Return the name of what an event has discarded."""
    return f'{volume_id}{_SNAPSHOT_MARK}{event_id}'


def scratch_name(volume_id: str, event_id: str, fence: int) -> str:
    """Return a name that no other attempt of any event uses."""
    return f'{volume_id}.{event_id}.{fence}'


def label_of(scratch: str) -> str:
    """Return the name of a scratch file's label, before it is in place."""
    return scratch + _LABEL_PART


def labelled_by(label: str) -> str | None:
    """Return the name that a label in its folder is of, if it is one."""
    name = label.removesuffix(_LABEL_PART)
    return None if name == label else name


def frozen_of(scratch: str) -> str:
    """Return the name of what is copied from, if it must be kept still."""
    return scratch + _FROZEN_PART


def fence_of(scratch: str) -> int | None:
    """Return the fence of the operation that a scratch name is of."""
    for part in (_LABEL_PART, _FROZEN_PART):
        scratch = scratch.removesuffix(part)
    fence = scratch.rpartition('.')[2]
    return int(fence) if fence.isascii() and fence.isdigit() else None
