"""The comparison of both sides that was asked for last."""

from __future__ import annotations

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0008'
down_revision = '0007'

_BIG = sa.BigInteger().with_variant(sa.Integer, 'sqlite')
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')
_SECONDS: Any = sa.Double().with_variant(sa.Float, 'sqlite')


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        'resyncs',
        sa.Column('number', _BIG, primary_key=True, autoincrement=False),
        sa.Column('until', _SECONDS, nullable=False),
        sa.Column('body', _TEXT, nullable=False),
    )
