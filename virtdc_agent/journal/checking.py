"""Whether the journal's tables agree with each other.

Each law is a question that finds what breaks it; a sound journal answers all
of them with nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from virtdc_agent.journal import pool_totals
from virtdc_agent.journal import rows
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import QUEUE
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent.journal.tables import TRASH
from virtdc_agent.journal.tables import VOLUMES

_SHOWN = 10
_UNFINISHED = ('waiting', 'running')


def find_problems(connection: Any) -> Sequence[str]:
    """Return what is wrong, in sentences; at most some of each kind.

    To be asked in one transaction that sees one state of the tables.
    """
    return [
        problem
        for law in (
            *(_totals, _history, _queue, _states, _latest, _volumes),
            _trash,
        )
        for problem in law(connection)
    ]


def _totals(connection: Any) -> Iterator[str]:
    kept = connection.execute(sa.select(TOTALS)).one()
    count = sa.func.count()
    for name, query in (
        ('waiting', sa.select(count).where(EVENTS.c.state == 'waiting')),
        ('running', sa.select(count).where(EVENTS.c.state == 'running')),
        (
            'suspects',
            sa.select(count).where(
                EVENTS.c.state == 'waiting', EVENTS.c.is_suspect
            ),
        ),
        (
            'finished',
            sa.select(count).where(EVENTS.c.state.not_in(_UNFINISHED)),
        ),
        ('volumes', sa.select(count).select_from(VOLUMES)),
        (
            'provisioned_bytes',
            sa.select(_sum(VOLUMES.c.size_bytes) + _sum(TRASH.c.size_bytes)),
        ),
    ):
        found = int(connection.execute(query).scalar())
        noted = getattr(kept, name)
        if found != noted:
            yield f'{name}: {noted} are noted, {found} are there.'
    found_pools: dict[str, tuple[int, int]] = {}
    for table, counted in ((VOLUMES, 1), (TRASH, 0)):
        for pool, volumes, size_bytes in connection.execute(
            sa.select(
                table.c.pool, count, sa.func.sum(table.c.size_bytes)
            ).group_by(table.c.pool)
        ):
            before = found_pools.get(pool, (0, 0))
            found_pools[pool] = (
                before[0] + counted * int(volumes),
                before[1] + int(size_bytes),
            )
    noted_pools = {
        pool: (counts.volumes, counts.provisioned_bytes)
        for pool, counts in pool_totals.read(kept.pools).items()
    }
    for pool in sorted(found_pools.keys() | noted_pools.keys()):
        there = found_pools.get(pool, (0, 0))
        told = noted_pools.get(pool, (0, 0))
        if there != told:
            yield (
                f'pool {pool!r}: {told[0]} volumes of {told[1]} bytes are '
                f'noted, {there[0]} of {there[1]} are there.'
            )
    if kept.published > kept.sequence:
        yield (
            f'published: {kept.published} is noted, but the last sequence '
            f'is {kept.sequence}.'
        )


def _sum(column: Any) -> Any:
    return sa.select(
        sa.func.coalesce(sa.func.sum(column), 0)
    ).scalar_subquery()


def _history(connection: Any) -> Iterator[str]:
    first, last, count = connection.execute(
        sa.select(
            sa.func.min(TRANSITIONS.c.sequence),
            sa.func.max(TRANSITIONS.c.sequence),
            sa.func.count(),
        )
    ).one()
    noted = connection.execute(sa.select(TOTALS.c.sequence)).scalar()
    if not count:
        return
    if last != noted:
        yield f'The history ends at {last}, but {noted} is noted.'
    if last - first + 1 != count:
        yield (
            f'The history from {first} to {last} has {count} transitions: '
            f'{last - first + 1 - count} are missing.'
        )


def _queue(connection: Any) -> Iterator[str]:
    lost = (
        sa.select(QUEUE.c.resource, QUEUE.c.event)
        .select_from(QUEUE.outerjoin(EVENTS, EVENTS.c.id == QUEUE.c.event))
        .where(
            sa.or_(
                EVENTS.c.id.is_(None),
                sa.and_(
                    EVENTS.c.state.not_in(_UNFINISHED), ~EVENTS.c.is_closed
                ),
            )
        )
        .limit(_SHOWN)
    )
    for resource, event in connection.execute(lost):
        yield f'Queue of {resource}: row {event} is in it, but is over.'
    absent = (
        sa.select(EVENTS.c.event_id)
        .select_from(EVENTS.outerjoin(QUEUE, EVENTS.c.id == QUEUE.c.event))
        .where(
            sa.or_(EVENTS.c.state.in_(_UNFINISHED), EVENTS.c.is_closed),
            QUEUE.c.event.is_(None),
        )
        .limit(_SHOWN)
    )
    for event_id in connection.execute(absent).scalars():
        yield f'Event {event_id} is not over, but in no queue.'
    heads = (
        sa.select(QUEUE.c.resource, sa.func.min(QUEUE.c.event).label('head'))
        .group_by(QUEUE.c.resource)
        .subquery()
    )
    behind = (
        sa.select(QUEUE.c.event, sa.func.count().label('count'))
        .select_from(
            QUEUE.join(
                heads,
                sa.and_(
                    heads.c.resource == QUEUE.c.resource,
                    heads.c.head < QUEUE.c.event,
                ),
            )
        )
        .group_by(QUEUE.c.event)
        .subquery()
    )
    expected = sa.func.coalesce(behind.c.count, 0)
    wrong = (
        sa.select(EVENTS.c.event_id, EVENTS.c.blockers, expected)
        .select_from(EVENTS.outerjoin(behind, behind.c.event == EVENTS.c.id))
        .where(
            sa.or_(EVENTS.c.state.in_(_UNFINISHED), EVENTS.c.is_closed),
            EVENTS.c.blockers != expected,
        )
        .limit(_SHOWN)
    )
    for event_id, noted, found in connection.execute(wrong):
        yield (
            f'Event {event_id} waits for {found} others, but {noted} are '
            'noted.'
        )


def _states(connection: Any) -> Iterator[str]:
    for condition, says in (
        (
            sa.and_(EVENTS.c.state == 'running', EVENTS.c.holder.is_(None)),
            'runs, but nobody holds it',
        ),
        (
            sa.and_(EVENTS.c.state == 'running', EVENTS.c.blockers > 0),
            'runs, though another one is before it',
        ),
        (
            sa.and_(EVENTS.c.state == 'waiting', EVENTS.c.holder.is_not(None)),
            'waits, but is held',
        ),
        (
            sa.and_(
                EVENTS.c.state.not_in(_UNFINISHED), EVENTS.c.ended.is_(None)
            ),
            'is over, but has no end',
        ),
        (
            sa.and_(
                EVENTS.c.state.in_(_UNFINISHED),
                sa.or_(EVENTS.c.ended.is_not(None), EVENTS.c.is_closed),
            ),
            'is not over, but has an end',
        ),
    ):
        query = sa.select(EVENTS.c.event_id).where(condition).limit(_SHOWN)
        for event_id in connection.execute(query).scalars():
            yield f'Event {event_id} {says}.'


def _latest(connection: Any) -> Iterator[str]:
    ends = (
        sa.select(
            TRANSITIONS.c.event,
            sa.func.max(TRANSITIONS.c.sequence).label('last'),
        )
        .group_by(TRANSITIONS.c.event)
        .subquery()
    )
    query = (
        sa.select(EVENTS.c.event_id, EVENTS.c.latest, TRANSITIONS.c.body)
        .select_from(
            EVENTS.join(ends, ends.c.event == EVENTS.c.id).join(
                TRANSITIONS, TRANSITIONS.c.sequence == ends.c.last
            )
        )
        .where(EVENTS.c.latest != TRANSITIONS.c.body)
        .limit(_SHOWN)
    )
    for event_id, _, _ in connection.execute(query):
        yield f'Event {event_id}: its latest state is not its last one.'


def _volumes(connection: Any) -> Iterator[str]:
    shown = 0
    for row in connection.execute(sa.select(VOLUMES)):
        volume = rows.volume_from(row.body)
        said = (
            *(volume.volume_id, volume.size_bytes, volume.pool),
            *(volume.project_id, volume.name),
            volume.created_at.timestamp(),
        )
        if said != (
            *(row.volume_id, row.size_bytes, row.pool, row.project_id),
            *(row.name, row.created),
        ):
            yield f'Volume {row.volume_id}: its record says something else.'
            shown += 1
        if shown >= _SHOWN:
            return


def _trash(connection: Any) -> Iterator[str]:
    query = sa.select(TRASH.c.volume_id, TRASH.c.size_bytes, TRASH.c.body)
    for volume_id, size_bytes, body in connection.execute(query.limit(1000)):
        volume = rows.trashed_from(body).volume
        if (volume.volume_id, volume.size_bytes) != (volume_id, size_bytes):
            yield f'Volume {volume_id} in the trash: its record differs.'
