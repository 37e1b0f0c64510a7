"""The journal's tables.

``events`` holds every event with its latest transition. ``queue`` holds what
unfinished events need, in their order: an event may start when on none of
its resources an earlier one is left, which ``events.blockers`` counts, so
that to find the next events is a walk along one index, however many wait or
have finished. ``transitions`` is the history and, up to the counter
``published``, the outbox. ``counters`` holds what must not be counted anew.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

_BIG = sa.BigInteger().with_variant(sa.Integer, 'sqlite')
_TEXT = sa.Text().with_variant(sa.Text(16_000_000), 'mysql', 'mariadb')

EVENTS = sa.Table(
    'events',
    METADATA,
    sa.Column('id', _BIG, primary_key=True, autoincrement=True),
    sa.Column('event_id', sa.String(64), nullable=False, unique=True),
    sa.Column('content', _TEXT, nullable=False),
    sa.Column('latest', _TEXT, nullable=False),
    sa.Column('state', sa.String(16), nullable=False),
    sa.Column('blockers', sa.Integer, nullable=False),
    sa.Column('attempt', sa.Integer, nullable=False),
    sa.Column('fence', _BIG, nullable=False),
    sa.Column('holder', sa.String(64)),
    sa.Column('lease_until', sa.Float),
    sa.Column('cancel_requested', sa.Boolean, nullable=False),
    sa.Column('is_closed', sa.Boolean, nullable=False),
    sa.Index('ix_events_next', 'state', 'blockers', 'id'),
    sa.Index('ix_events_closed', 'is_closed', 'holder'),
)

QUEUE = sa.Table(
    'queue',
    METADATA,
    sa.Column('resource', sa.String(64), primary_key=True),
    sa.Column('event', _BIG, primary_key=True, autoincrement=False),
)

TRANSITIONS = sa.Table(
    'transitions',
    METADATA,
    sa.Column('sequence', _BIG, primary_key=True, autoincrement=False),
    sa.Column('body', _TEXT, nullable=False),
)

VOLUMES = sa.Table(
    'volumes',
    METADATA,
    sa.Column('volume_id', sa.String(64), primary_key=True),
    sa.Column('size_bytes', _BIG, nullable=False),
    sa.Column('body', _TEXT, nullable=False),
)

COUNTERS = sa.Table(
    'counters',
    METADATA,
    sa.Column('name', sa.String(32), primary_key=True),
    sa.Column('value', _BIG, nullable=False),
)
