"""What people look for in a journal: lists in an order, and places in line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from virtdc_agent.contract.events import Snapshot
from virtdc_agent import exceptions
from virtdc_agent.journal.reading import Reader
from virtdc_agent.journal import rows
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import SNAPSHOTS
from virtdc_agent.journal.tables import VOLUMES
from virtdc_agent import model
from virtdc_agent.model import VolumeSort

_KEYS: Mapping[VolumeSort, Any] = {
    VolumeSort.ID: VOLUMES.c.volume_id,
    VolumeSort.NAME: VOLUMES.c.name,
    VolumeSort.SIZE: VOLUMES.c.size_bytes,
    VolumeSort.CREATED: VOLUMES.c.created,
}


def get_volume_page(
    reader: Reader, query: model.VolumeQuery
) -> model.VolumeListing:
    """See ``JournalKeeping.get_volume_page``."""
    key, volume_id = _KEYS[query.sort], VOLUMES.c.volume_id
    wanted = sa.select(VOLUMES.c.body, volume_id, key.label('place'))
    for column, exactly in (
        (VOLUMES.c.project_id, query.project_id),
        (VOLUMES.c.name, query.name),
    ):
        if exactly is not None:
            wanted = wanted.where(column == exactly)
    if query.search:
        wanted = wanted.where(
            VOLUMES.c.name.contains(query.search, autoescape=True)
            | volume_id.startswith(query.search, autoescape=True)
        )
    if query.marker is not None:
        value, last = query.marker.value, query.marker.volume_id
        if query.descending:
            follows = (key < value) | ((key == value) & (volume_id < last))
        else:
            follows = (key > value) | ((key == value) & (volume_id > last))
        wanted = wanted.where(follows)
    order = (
        (key.desc(), volume_id.desc())
        if query.descending
        else (key, volume_id)
    )
    found = reader.ask(wanted.order_by(*order).limit(query.limit + 1))
    page = found[: query.limit]
    return model.VolumeListing(
        volumes=[rows.volume_from(row.body) for row in page],
        next_marker=(
            model.Place(value=page[-1].place, volume_id=page[-1].volume_id)
            if len(found) > query.limit
            else None
        ),
    )


def get_snapshot(reader: Reader, snapshot_id: str) -> Snapshot:
    """See ``JournalKeeping.get_snapshot``."""
    for found in reader.ask(
        sa.select(SNAPSHOTS.c.body).where(
            SNAPSHOTS.c.snapshot_id == snapshot_id
        )
    ):
        return rows.snapshot_from(found.body)
    raise exceptions.SnapshotNotFound(
        f'The data centre has no snapshot {snapshot_id}.'
    )


def get_snapshot_page(
    reader: Reader, query: model.SnapshotQuery
) -> model.SnapshotPage:
    """See ``JournalKeeping.get_snapshot_page``."""
    wanted = sa.select(SNAPSHOTS.c.body)
    for column, value in (
        (SNAPSHOTS.c.project_id, query.project_id),
        (SNAPSHOTS.c.volume_id, query.volume_id),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if query.marker is not None:
        wanted = wanted.where(SNAPSHOTS.c.snapshot_id > query.marker)
    found = reader.ask(
        wanted.order_by(SNAPSHOTS.c.snapshot_id).limit(query.limit + 1)
    )
    snapshots = [rows.snapshot_from(row.body) for row in found[: query.limit]]
    return model.SnapshotPage(
        snapshots=snapshots,
        next_marker=(
            snapshots[-1].snapshot_id if len(found) > query.limit else None
        ),
    )


def count_ahead(reader: Reader, event_id: str, most: int) -> int | None:
    """See ``JournalKeeping.count_ahead``."""
    columns = EVENTS.c
    own = reader.ask(
        sa.select(
            *(columns.state, columns.lane, columns.urgency, columns.tag),
            columns.id,
        ).where(columns.event_id == event_id)
    )
    if not own:
        raise exceptions.EventNotFound(f'There is no event {event_id}.')
    (row,) = own
    if row.state != 'waiting':
        return None
    ahead = (
        sa.select(columns.id)
        .where(
            columns.state == 'waiting',
            columns.lane == row.lane,
            sa.tuple_(columns.urgency, columns.tag, columns.id)
            < sa.tuple_(row.urgency, row.tag, row.id),
        )
        .limit(most)
        .subquery()
    )
    ((count,),) = reader.ask(sa.select(sa.func.count()).select_from(ahead))
    return int(count)
