"""The statements of a write transaction.

Written once, with placeholders: to compile one costs more than to carry it
out.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from virtdc_agent.journal.row import CHANGING
from virtdc_agent.journal.row import COLUMNS
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import FLOWS
from virtdc_agent.journal.tables import QUEUE
from virtdc_agent.journal.tables import SNAPSHOTS
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent.journal.tables import TRASH
from virtdc_agent.journal.tables import VOLUMES


def among(column: Any) -> Any:
    """Return the condition that a column is one of ``wanted``."""
    return column.in_(sa.bindparam('wanted', expanding=True))


# Rows of events are locked before the totals, always, and in order of id:
# then no two transactions wait for each other.
LOAD = (
    sa.select(*COLUMNS)
    .where(among(EVENTS.c.event_id))
    .order_by(EVENTS.c.id)
    .with_for_update()
)
LOAD_HELD = (
    sa.select(*COLUMNS)
    .where(among(EVENTS.c.holder))
    .order_by(EVENTS.c.id)
    .with_for_update()
)
CONTENTS = sa.select(EVENTS.c.id, EVENTS.c.content).where(among(EVENTS.c.id))
CANDIDATES = (
    sa.select(*COLUMNS)
    .where(
        EVENTS.c.state == 'waiting',
        EVENTS.c.blockers == 0,
        EVENTS.c.is_suspect == sa.bindparam('suspect', type_=sa.Boolean),
        EVENTS.c.lane == sa.bindparam('lane'),
        EVENTS.c.origin == sa.bindparam('origin'),
    )
    .order_by(EVENTS.c.urgency, EVENTS.c.tag, EVENTS.c.id)
    .limit(sa.bindparam('most', type_=sa.Integer))
)
LOCK_CANDIDATES = CANDIDATES.with_for_update(skip_locked=True)
UPDATE = (
    EVENTS.update()
    .where(EVENTS.c.id == sa.bindparam('row'))
    .values({name: sa.bindparam(f'new_{name}') for name in CHANGING})
)
OCCUPIED = (
    sa.select(QUEUE.c.resource, sa.func.count())
    .where(among(QUEUE.c.resource))
    .group_by(QUEUE.c.resource)
)
FIRST = (
    sa.select(QUEUE.c.resource, sa.func.min(QUEUE.c.event))
    .where(among(QUEUE.c.resource))
    .group_by(QUEUE.c.resource)
)
LEAVE = QUEUE.delete().where(
    QUEUE.c.resource == sa.bindparam('on'), QUEUE.c.event == sa.bindparam('of')
)
UNBLOCK = (
    EVENTS.update()
    .where(EVENTS.c.id == sa.bindparam('row'))
    .values(blockers=EVENTS.c.blockers - 1)
)
FLOW_ENDS = sa.select(FLOWS.c.flow, FLOWS.c.finish).where(among(FLOWS.c.flow))
MOVE_FLOW = (
    FLOWS.update()
    .where(FLOWS.c.flow == sa.bindparam('of'))
    .values(finish=sa.bindparam('to'))
)
VOLUME_BODIES = sa.select(VOLUMES.c.volume_id, VOLUMES.c.body).where(
    among(VOLUMES.c.volume_id)
)
VOLUME_SIZES = sa.select(
    VOLUMES.c.volume_id, VOLUMES.c.size_bytes, VOLUMES.c.pool
).where(among(VOLUMES.c.volume_id))
CHANGE_VOLUME = (
    VOLUMES.update()
    .where(VOLUMES.c.volume_id == sa.bindparam('of'))
    .values(
        {
            column.name: sa.bindparam(f'new_{column.name}')
            for column in VOLUMES.c
            if column.name != 'volume_id'
        }
    )
)
DROP_VOLUME = VOLUMES.delete().where(VOLUMES.c.volume_id == sa.bindparam('of'))
SNAPSHOTS_OF = (
    sa.select(SNAPSHOTS.c.volume_id, SNAPSHOTS.c.body)
    .where(among(SNAPSHOTS.c.volume_id))
    .order_by(SNAPSHOTS.c.volume_id, SNAPSHOTS.c.snapshot_id)
)
DROP_SNAPSHOT = SNAPSHOTS.delete().where(
    SNAPSHOTS.c.snapshot_id == sa.bindparam('of')
)
TRASH_BODIES = sa.select(TRASH.c.volume_id, TRASH.c.body).where(
    among(TRASH.c.volume_id)
)
TRASH_SIZES = sa.select(TRASH.c.size_bytes, TRASH.c.pool).where(
    among(TRASH.c.volume_id)
)
DROP_TRASH = TRASH.delete().where(TRASH.c.volume_id == sa.bindparam('of'))
ADD_TRASH = TRASH.insert()
ADD_EVENTS = EVENTS.insert()
ADD_TRANSITIONS = TRANSITIONS.insert()
JOIN = QUEUE.insert()
ADD_FLOWS = FLOWS.insert()
ADD_VOLUMES = VOLUMES.insert()
ADD_SNAPSHOTS = SNAPSHOTS.insert()
KEEP_TOTALS = (
    TOTALS.update()
    .where(TOTALS.c.id == 1)
    .values(
        {
            column.name: sa.bindparam(f'new_{column.name}')
            for column in TOTALS.c
            if column.name not in ('id', 'data_centre')
        }
    )
)
