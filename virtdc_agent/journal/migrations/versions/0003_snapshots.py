"""Snapshots of volumes."""

from __future__ import annotations

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0003'
down_revision = '0002'

_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')


def _name() -> Any:
    return (
        sa.String(64)
        .with_variant(
            mysql.VARCHAR(64, charset='utf8mb4', collation='utf8mb4_bin'),
            *('mysql', 'mariadb'),
        )
        .with_variant(sa.String(64, collation='C'), 'postgresql')
    )


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        'snapshots',
        sa.Column('snapshot_id', _name(), primary_key=True),
        sa.Column('volume_id', _name(), nullable=False),
        sa.Column('body', _TEXT, nullable=False),
    )
    op.create_index(
        'ix_snapshots_volume', 'snapshots', ['volume_id', 'snapshot_id']
    )
