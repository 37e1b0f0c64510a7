"""Several agents, lanes, fair shares, alarms.

What was in the tables of the first schema is copied. Events that wait are put
in the order in which they were accepted. The tables are spelled out, and not
taken from ``tables``: that changes, and what this made does not.
"""

from __future__ import annotations

from collections.abc import Iterator
import datetime
import json
from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0002'
down_revision = '0001'

_CHUNK = 500
_BIG = sa.BigInteger().with_variant(sa.Integer, 'sqlite')
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')
_SECONDS: Any = sa.Double().with_variant(sa.Float, 'sqlite')


def _name(length: int = 64) -> Any:
    return (
        sa.String(length)
        .with_variant(
            mysql.VARCHAR(length, charset='utf8mb4', collation='utf8mb4_bin'),
            *('mysql', 'mariadb'),
        )
        .with_variant(sa.String(length, collation='C'), 'postgresql')
    )


def upgrade() -> None:
    """Make the new tables, copy, and drop the old ones."""
    op.drop_index('ix_events_next', 'events')
    op.drop_index('ix_events_closed', 'events')
    old = {
        name: f'{name}_0001'
        for name in ('events', 'queue', 'transitions', 'volumes')
    }
    for name, former in old.items():
        if op.get_bind().dialect.name == 'postgresql':
            # Their names would be in the way of the new ones.
            op.execute(f'ALTER INDEX {name}_pkey RENAME TO {former}_pkey')
        op.rename_table(name, former)
    if op.get_bind().dialect.name == 'postgresql':
        op.execute(
            'ALTER TABLE events_0001 RENAME CONSTRAINT events_event_id_key '
            'TO events_0001_event_id_key'
        )
    _create()
    _copy()
    for former in (*old.values(), 'counters'):
        op.drop_table(former)


def _create() -> None:
    op.create_table(
        'events',
        sa.Column('id', _BIG, primary_key=True, autoincrement=False),
        sa.Column('event_id', _name(), nullable=False, unique=True),
        sa.Column('content', _TEXT, nullable=False),
        sa.Column('latest', _TEXT, nullable=False),
        sa.Column('operation', sa.String(32), nullable=False),
        sa.Column('volume_id', _name(), nullable=False),
        sa.Column('project_id', _name(255), nullable=False),
        sa.Column('origin', sa.String(16), nullable=False),
        sa.Column('lane', sa.String(16), nullable=False),
        sa.Column('urgency', sa.Integer, nullable=False),
        sa.Column('tag', _BIG, nullable=False),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('blockers', sa.Integer, nullable=False),
        sa.Column('attempt', sa.Integer, nullable=False),
        sa.Column('losses', sa.Integer, nullable=False),
        sa.Column('fence', _BIG, nullable=False),
        sa.Column('holder', _name()),
        sa.Column('accepted', _SECONDS, nullable=False),
        sa.Column('ended', _SECONDS),
        sa.Column('is_suspect', sa.Boolean, nullable=False),
        sa.Column('is_closed', sa.Boolean, nullable=False),
        sa.Column('cancel_requested', sa.Boolean, nullable=False),
    )
    op.create_table(
        'queue',
        sa.Column('resource', _name(), primary_key=True),
        sa.Column('event', _BIG, primary_key=True, autoincrement=False),
    )
    op.create_table(
        'flows',
        sa.Column('flow', _name(320), primary_key=True),
        sa.Column('share', sa.String(64), nullable=False),
        sa.Column('finish', _BIG, nullable=False),
    )
    op.create_table(
        'transitions',
        sa.Column('sequence', _BIG, primary_key=True, autoincrement=False),
        sa.Column('event', _BIG, nullable=False),
        sa.Column('occurred', _SECONDS, nullable=False),
        sa.Column('body', _TEXT, nullable=False),
    )
    op.create_table(
        'volumes',
        sa.Column('volume_id', _name(), primary_key=True),
        sa.Column('size_bytes', _BIG, nullable=False),
        sa.Column('body', _TEXT, nullable=False),
    )
    op.create_table(
        'totals',
        sa.Column('id', sa.Integer, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, _BIG, nullable=False)
            for name in (
                *('event', 'sequence', 'published', 'waiting', 'running'),
                *('suspects', 'finished', 'volumes', 'provisioned_bytes'),
            )
        ),
        sa.Column('publisher', _name()),
        sa.Column('shares', _TEXT, nullable=False),
    )
    op.create_table(
        'agents',
        sa.Column('name', _name(), primary_key=True),
        sa.Column('life', sa.String(32), nullable=False),
        sa.Column('host', sa.String(255), nullable=False),
        sa.Column('process_id', sa.Integer, nullable=False),
        sa.Column('version', sa.String(64), nullable=False),
        sa.Column('started', _SECONDS, nullable=False),
        sa.Column('lease_until', _SECONDS, nullable=False),
        sa.Column('is_draining', sa.Boolean, nullable=False),
    )
    op.create_table(
        'alarms',
        sa.Column('kind', sa.String(64), primary_key=True),
        sa.Column('subject', _name(), primary_key=True),
        sa.Column('message', _TEXT, nullable=False),
        sa.Column('raised', _SECONDS, nullable=False),
        sa.Column('updated', _SECONDS, nullable=False),
        sa.Column('count', sa.Integer, nullable=False),
        sa.Column('acknowledged_by', sa.String(255), nullable=False),
        sa.Column('comment', sa.String(1024), nullable=False),
    )
    for index, table, columns in (
        (
            *('ix_events_next', 'events'),
            [
                *('state', 'blockers', 'is_suspect', 'lane', 'origin'),
                *('urgency', 'tag', 'id'),
            ],
        ),
        ('ix_events_holder', 'events', ['holder']),
        ('ix_events_ended', 'events', ['ended']),
        ('ix_events_volume', 'events', ['volume_id', 'id']),
        ('ix_transitions_event', 'transitions', ['event']),
    ):
        op.create_index(index, table, columns)


def _copy() -> None:
    bind = op.get_bind()
    tables = sa.MetaData()
    tables.reflect(bind)
    ids: dict[str, int] = {}
    old = tables.tables['events_0001']
    for found in _pages(bind, old, old.c.id):
        ids |= {row.event_id: row.id for row in found}
        bind.execute(
            tables.tables['events'].insert(), [_event(row) for row in found]
        )
    old = tables.tables['transitions_0001']
    for found in _pages(bind, old, old.c.sequence):
        bodies = [json.loads(row.body) for row in found]
        bind.execute(
            tables.tables['transitions'].insert(),
            [
                {
                    'sequence': row.sequence,
                    'event': ids.get(_data(body)['event_id'], 0),
                    'occurred': _seconds(_data(body)['occurred_at']),
                    'body': row.body,
                }
                for row, body in zip(found, bodies, strict=True)
            ],
        )
    for name, columns in (
        ('queue', ('resource', 'event')),
        ('volumes', ('volume_id', 'size_bytes', 'body')),
    ):
        former, new = (
            sa.table(table, *(sa.column(column) for column in columns))
            for table in (f'{name}_0001', name)
        )
        op.execute(sa.insert(new).from_select(columns, sa.select(*former.c)))
    counters: dict[str, int] = dict(
        bind.execute(sa.text('SELECT name, value FROM counters')).all()
    )
    events = tables.tables['events']
    bind.execute(
        tables.tables['totals'].insert(),
        {
            'id': 1,
            'event': max(ids.values(), default=0),
            'suspects': 0,
            'finished': bind.execute(
                sa.select(sa.func.count()).where(events.c.ended.is_not(None))
            ).scalar(),
            'publisher': None,
            'shares': '{}',
            **counters,
        },
    )


def _pages(bind: Any, table: Any, key: Any) -> Iterator[Any]:
    after = 0
    while True:
        found = bind.execute(
            sa.select(table).where(key > after).order_by(key).limit(_CHUNK)
        ).all()
        if not found:
            return
        yield found
        after = getattr(found[-1], key.name)


def _event(row: Any) -> dict[str, object]:
    content = _data(json.loads(row.content))
    latest = _data(json.loads(row.latest))
    is_attachment = content['operation'] in ('connect', 'disconnect')
    is_thick = content['parameters'].get('provisioning') == 'thick'
    is_over = row.state in ('success', 'failed')
    return {
        **row._mapping,
        'operation': content['operation'],
        'volume_id': content['volume_id'],
        'project_id': (content.get('requested_by') or {}).get(
            'project_id', ''
        ),
        'origin': content['origin'],
        'lane': 'copy' if is_thick else 'quick',
        'urgency': 0 if is_attachment else 1,
        # Before all that come later, and among each other by their ids.
        'tag': 0,
        'losses': 0,
        'accepted': _seconds(content['created_at']),
        'ended': _seconds(latest['occurred_at']) if is_over else None,
        'is_suspect': False,
    }


def _data(envelope: dict[str, Any]) -> dict[str, Any]:
    """Return what is in an envelope of the contract, version 1."""
    data: dict[str, Any] = envelope['data']
    return data


def _seconds(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()
