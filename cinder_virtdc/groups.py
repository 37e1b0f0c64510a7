"""What is done to each of a group, and how Cinder is told of it.

Cinder wants a status for the group and one for each member, and acts on the
worst of them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import logging
from typing import Any, Protocol
import uuid

LOG = logging.getLogger(__name__)

KEPT_NAME = 'For the copy of a group'
"""Of snapshots that stand for a group while it is copied."""

_KEPT = uuid.UUID('6e1c3f0a-9d4b-5c72-8a1f-2b7d90e4c563')


class Member(Protocol):
    """What is used of a volume or snapshot of a group."""

    id: str


Updates = tuple[dict[str, str], list[dict[str, str]]]
"""The group's new status, and that of each member."""


def do_each(
    members: Iterable[Any],
    do: Callable[[Any], object],
    *,
    done: str,
    failed: str,
    expected: type[Exception],
) -> Updates:
    """Do something to each member; one that fails keeps no other from it.

    :param done: the status of those for which it succeeded.
    :param failed: likewise, if it raised what is expected.
    """
    updates = []
    for member in members:
        try:
            do(member)
        except expected as exc:
            LOG.error('%s of a group: %s', member.id, exc)
            updates.append({'id': member.id, 'status': failed})
        else:
            updates.append({'id': member.id, 'status': done})
    bad = any(update['status'] == failed for update in updates)
    return {'status': failed if bad else done}, updates


def all_available(members: Iterable[Member]) -> Updates:
    """Return what tells that a group and all of its members are there."""
    return (
        {'status': 'available'},
        [{'id': member.id, 'status': 'available'} for member in members],
    )


def kept_id(group_id: str, volume_id: str) -> str:
    """Return the id of the snapshot that a group's copy is made from.

    The same whoever asks: what a killed process has left can be removed.
    """
    return str(uuid.uuid5(_KEPT, f'{group_id}/{volume_id}'))
