"""The journal's tables.

``events`` holds every event with its latest transition. ``queue`` holds what
unfinished events need, in their order: an event may start when on none of
its resources an earlier one is left, which ``events.blockers`` counts, so
that to find the next events is a walk along one index, however many wait or
have finished; their order in it, ``events.tag``, is given when they are
accepted (see ``fairness``), from the end of their project's ``flows``.
``transitions`` is the history and, beyond ``totals.published``, the outbox.
``totals`` is one row of what must not be counted anew; who holds its lock
gives out sequences. Its ``pools`` has the totals of each pool: here, and not
in a table of their own, they cost no statement. ``volumes`` and ``snapshots``
are what there is now, with what they are listed by beside their bodies.
``trash`` is what was deleted and can still be restored. ``agents`` are those
that may claim, with their leases; ``alarms`` what a person must see, and for
a while what was cleared, so that it can be told. ``marks`` say who does, or
has done, what is to be done once; ``resyncs`` has the comparison that was
asked for last.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

METADATA = sa.MetaData()

BIG = sa.BigInteger().with_variant(sa.Integer, 'sqlite')
TEXT = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')
# MySQL's FLOAT has 24 bits; seconds since 1970 want more.
SECONDS: Any = sa.Double().with_variant(sa.Float, 'sqlite')


def name_type(length: int) -> Any:
    """Return the type of a text that is compared byte by byte."""
    return (
        sa.String(length)
        .with_variant(
            mysql.VARCHAR(length, charset='utf8mb4', collation='utf8mb4_bin'),
            *('mysql', 'mariadb'),
        )
        .with_variant(sa.String(length, collation='C'), 'postgresql')
    )


NAME = name_type(64)

EVENTS = sa.Table(
    'events',
    METADATA,
    sa.Column('id', BIG, primary_key=True, autoincrement=False),
    sa.Column('event_id', NAME, nullable=False, unique=True),
    sa.Column('content', TEXT, nullable=False),
    sa.Column('latest', TEXT, nullable=False),
    sa.Column('operation', sa.String(32), nullable=False),
    sa.Column('volume_id', NAME, nullable=False),
    sa.Column('project_id', name_type(255), nullable=False),
    sa.Column('origin', sa.String(16), nullable=False),
    sa.Column('lane', sa.String(16), nullable=False),
    sa.Column('urgency', sa.Integer, nullable=False),
    sa.Column('tag', BIG, nullable=False),
    sa.Column('state', sa.String(16), nullable=False),
    sa.Column('blockers', sa.Integer, nullable=False),
    sa.Column('attempt', sa.Integer, nullable=False),
    sa.Column('losses', sa.Integer, nullable=False),
    sa.Column('fence', BIG, nullable=False),
    sa.Column('holder', NAME),
    sa.Column('accepted', SECONDS, nullable=False),
    sa.Column('ended', SECONDS),
    sa.Column('is_suspect', sa.Boolean, nullable=False),
    sa.Column('is_closed', sa.Boolean, nullable=False),
    sa.Column('cancel_requested', sa.Boolean, nullable=False),
    sa.Index(
        'ix_events_next',
        *('state', 'blockers', 'is_suspect', 'lane', 'origin'),
        *('urgency', 'tag', 'id'),
    ),
    sa.Index('ix_events_holder', 'holder'),
    sa.Index('ix_events_ended', 'ended'),
    sa.Index('ix_events_volume', 'volume_id', 'id'),
)

QUEUE = sa.Table(
    'queue',
    METADATA,
    sa.Column('resource', NAME, primary_key=True),
    sa.Column('event', BIG, primary_key=True, autoincrement=False),
)

FLOWS = sa.Table(
    'flows',
    METADATA,
    sa.Column('flow', name_type(320), primary_key=True),
    sa.Column('share', sa.String(64), nullable=False),
    sa.Column('finish', BIG, nullable=False),
)

TRANSITIONS = sa.Table(
    'transitions',
    METADATA,
    sa.Column('sequence', BIG, primary_key=True, autoincrement=False),
    sa.Column('event', BIG, nullable=False),
    sa.Column('occurred', SECONDS, nullable=False),
    sa.Column('body', TEXT, nullable=False),
    sa.Index('ix_transitions_event', 'event'),
)

VOLUMES = sa.Table(
    'volumes',
    METADATA,
    sa.Column('volume_id', NAME, primary_key=True),
    sa.Column('size_bytes', BIG, nullable=False),
    sa.Column('pool', NAME, nullable=False, server_default=''),
    sa.Column('body', TEXT, nullable=False),
    sa.Column('project_id', name_type(255), nullable=False),
    sa.Column('name', name_type(255), nullable=False),
    sa.Column('created', SECONDS, nullable=False),
    sa.Index('ix_volumes_project', 'project_id', 'volume_id'),
)

SNAPSHOTS = sa.Table(
    'snapshots',
    METADATA,
    sa.Column('snapshot_id', NAME, primary_key=True),
    sa.Column('volume_id', NAME, nullable=False),
    sa.Column('body', TEXT, nullable=False),
    sa.Column('project_id', name_type(255), nullable=False),
    sa.Index('ix_snapshots_volume', 'volume_id', 'snapshot_id'),
    sa.Index('ix_snapshots_project', 'project_id', 'snapshot_id'),
)

TRASH = sa.Table(
    'trash',
    METADATA,
    sa.Column('volume_id', NAME, primary_key=True),
    sa.Column('size_bytes', BIG, nullable=False),
    sa.Column('pool', NAME, nullable=False, server_default=''),
    sa.Column('until', SECONDS, nullable=False),
    sa.Column('body', TEXT, nullable=False),
    sa.Index('ix_trash_until', 'until'),
)

TOTALS = sa.Table(
    'totals',
    METADATA,
    sa.Column('id', sa.Integer, primary_key=True, autoincrement=False),
    sa.Column('event', BIG, nullable=False),
    sa.Column('sequence', BIG, nullable=False),
    sa.Column('published', BIG, nullable=False),
    sa.Column('waiting', BIG, nullable=False),
    sa.Column('running', BIG, nullable=False),
    sa.Column('suspects', BIG, nullable=False),
    sa.Column('finished', BIG, nullable=False),
    sa.Column('volumes', BIG, nullable=False),
    sa.Column('provisioned_bytes', BIG, nullable=False),
    sa.Column('publisher', NAME),
    sa.Column('scanner', NAME),
    sa.Column('alarm_revision', BIG, nullable=False),
    sa.Column('shares', TEXT, nullable=False),
    sa.Column('pools', TEXT, nullable=False),
    sa.Column('data_centre', sa.String(64), nullable=False),
)

AGENTS = sa.Table(
    'agents',
    METADATA,
    sa.Column('name', NAME, primary_key=True),
    sa.Column('life', sa.String(32), nullable=False),
    sa.Column('host', sa.String(255), nullable=False),
    sa.Column('process_id', sa.Integer, nullable=False),
    sa.Column('version', sa.String(64), nullable=False),
    sa.Column('started', SECONDS, nullable=False),
    sa.Column('lease_until', SECONDS, nullable=False),
    sa.Column('is_draining', sa.Boolean, nullable=False),
)

ALARMS = sa.Table(
    'alarms',
    METADATA,
    sa.Column('kind', sa.String(64), primary_key=True),
    sa.Column('subject', NAME, primary_key=True),
    sa.Column('message', TEXT, nullable=False),
    sa.Column('raised', SECONDS, nullable=False),
    sa.Column('updated', SECONDS, nullable=False),
    sa.Column('count', sa.Integer, nullable=False),
    sa.Column('acknowledged_by', sa.String(255), nullable=False),
    sa.Column('comment', sa.String(1024), nullable=False),
    sa.Column('acknowledged', SECONDS),
    sa.Column('severity', sa.String(16), nullable=False),
    sa.Column('details', TEXT, nullable=False),
    sa.Column('change', sa.String(16), nullable=False),
    sa.Column('cleared', SECONDS),
    sa.Column('revision', BIG, nullable=False),
    sa.Index('ix_alarms_revision', 'revision'),
)

MARKS = sa.Table(
    'marks',
    METADATA,
    sa.Column('name', name_type(255), primary_key=True),
    sa.Column('holder', name_type(255), nullable=False),
    sa.Column('until', SECONDS, nullable=False),
    sa.Column('is_settled', sa.Boolean, nullable=False),
    sa.Index('ix_marks_until', 'until'),
)

RESYNCS = sa.Table(
    'resyncs',
    METADATA,
    sa.Column('number', BIG, primary_key=True, autoincrement=False),
    sa.Column('until', SECONDS, nullable=False),
    sa.Column('body', TEXT, nullable=False),
)
