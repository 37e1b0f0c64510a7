"""What the data centre has made itself, offered to the cloud to manage."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent import interfaces

_MOST_SNAPSHOTS = 1000
"""Of one volume; further ones are not offered."""


def offered_volume(
    found: events.Manageable, journal: interfaces.Journal
) -> events.Manageable:
    """Say of a volume that the cloud may have it, if it may."""
    if found.volume_id is None:
        return found
    try:
        volume = journal.get_volume(found.volume_id)
    except exceptions.VolumeNotFound:
        return found
    return _offered(found, volume, volume.attached_to)


def offered_snapshot(
    found: events.Manageable, journal: interfaces.Journal
) -> events.Manageable:
    """Say of a snapshot that the cloud may have it, if it may."""
    if found.volume_id is None or found.snapshot_id is None:
        return found
    page = journal.get_snapshots(found.volume_id, None, _MOST_SNAPSHOTS)
    for snapshot in page.snapshots:
        if snapshot.snapshot_id == found.snapshot_id:
            return _offered(found, snapshot)
    return found


def _offered(
    found: events.Manageable,
    known: events.Volume | events.Snapshot,
    attached_to: Sequence[str] = (),
) -> events.Manageable:
    if known.origin is events.Origin.CLOUD or known.metadata.get(
        events.CLOUD_ID
    ):
        return found
    if attached_to:
        return dataclasses.replace(
            found, reason=f'It is in use by {", ".join(attached_to)}.'
        )
    return dataclasses.replace(found, is_safe=True, reason='')
