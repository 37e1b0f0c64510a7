"""Marks: who does what is to be done once."""

from __future__ import annotations

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0007'
down_revision = '0006'

_SECONDS: Any = sa.Double().with_variant(sa.Float, 'sqlite')


def _name(length: int) -> Any:
    return (
        sa.String(length)
        .with_variant(
            mysql.VARCHAR(length, charset='utf8mb4', collation='utf8mb4_bin'),
            *('mysql', 'mariadb'),
        )
        .with_variant(sa.String(length, collation='C'), 'postgresql')
    )


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        'marks',
        sa.Column('name', _name(255), primary_key=True),
        sa.Column('holder', _name(255), nullable=False),
        sa.Column('until', _SECONDS, nullable=False),
        sa.Column('is_settled', sa.Boolean, nullable=False),
        sa.Index('ix_marks_until', 'until'),
    )
