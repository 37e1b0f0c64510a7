"""The first schema."""

from __future__ import annotations

from alembic import op
import sqlalchemy as sa

revision = '0001'
down_revision = None

COUNTERS = (
    'sequence',
    'published',
    'waiting',
    'running',
    'volumes',
    'provisioned_bytes',
)


def upgrade() -> None:
    """Make all tables, and set the counters to 0."""
    big = sa.BigInteger().with_variant(sa.Integer, 'sqlite')
    text = sa.Text().with_variant(sa.Text(16_000_000), 'mysql', 'mariadb')
    op.create_table(
        'events',
        sa.Column('id', big, primary_key=True, autoincrement=True),
        sa.Column('event_id', sa.String(64), nullable=False, unique=True),
        sa.Column('content', text, nullable=False),
        sa.Column('latest', text, nullable=False),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('blockers', sa.Integer, nullable=False),
        sa.Column('attempt', sa.Integer, nullable=False),
        sa.Column('fence', big, nullable=False),
        sa.Column('holder', sa.String(64)),
        sa.Column('lease_until', sa.Float),
        sa.Column('cancel_requested', sa.Boolean, nullable=False),
        sa.Column('is_closed', sa.Boolean, nullable=False),
    )
    op.create_index('ix_events_next', 'events', ['state', 'blockers', 'id'])
    op.create_index('ix_events_closed', 'events', ['is_closed', 'holder'])
    op.create_table(
        'queue',
        sa.Column('resource', sa.String(64), primary_key=True),
        sa.Column('event', big, primary_key=True, autoincrement=False),
    )
    op.create_table(
        'transitions',
        sa.Column('sequence', big, primary_key=True, autoincrement=False),
        sa.Column('body', text, nullable=False),
    )
    op.create_table(
        'volumes',
        sa.Column('volume_id', sa.String(64), primary_key=True),
        sa.Column('size_bytes', big, nullable=False),
        sa.Column('body', text, nullable=False),
    )
    counters = op.create_table(
        'counters',
        sa.Column('name', sa.String(32), primary_key=True),
        sa.Column('value', big, nullable=False),
    )
    op.bulk_insert(counters, [{'name': name, 'value': 0} for name in COUNTERS])
