"""Names in the folder of the backend "file".

::

    .virtdc                  which folder this is: an id, for ever
    volume-<volume id>       a volume, from its first to its last moment
    .labels/<volume id>      what the volume is: see ``label``
    .fences/<volume id>      whose turn it is with the volume: see ``turn``
    .temporary/...           what is being made, and is nobody's yet
    .trash/...               what is deleted, and is nobody's any more

Identifiers hold no slash and do not begin with a dot, so that no name made
here can leave the folder or meet another kind of name.
"""

from __future__ import annotations

import re

from virtdc_agent import exceptions

IDENTITY = '.virtdc'
LABELS = '.labels'
FENCES = '.fences'
TEMPORARY = '.temporary'
TRASH = '.trash'
FOLDERS = (LABELS, FENCES, TEMPORARY, TRASH)

_PREFIX = 'volume-'
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


def volume_name(volume_id: str) -> str:
    """Return the name of a volume's file; hosts know it by this too."""
    return _PREFIX + volume_id


def volume_id_of(name: str) -> str | None:
    """Return the volume that a file's name stands for, if it does."""
    volume_id = name.removeprefix(_PREFIX)
    if volume_id == name or not is_identifier(volume_id):
        return None
    return volume_id


def scratch_name(volume_id: str, event_id: str, fence: int) -> str:
    """Return a name that no other attempt of any event uses."""
    return f'{volume_id}.{event_id}.{fence}'


def fence_of(scratch: str) -> int | None:
    """Return the fence of the operation that a scratch name is of."""
    fence = scratch.removesuffix('.label').rpartition('.')[2]
    return int(fence) if fence.isascii() and fence.isdigit() else None
