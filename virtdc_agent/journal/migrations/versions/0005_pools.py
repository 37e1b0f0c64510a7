"""Pools: which one a volume is in, what is in each; whose journal it is.

Volumes from before are in the pool without a name: an agent takes them for
volumes of its first pool.
"""

from __future__ import annotations

import json
from typing import Any
import uuid

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0005'
down_revision = '0004'

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
    """Add the columns; MySQL has no defaults for long texts."""
    for table in ('volumes', 'trash'):
        op.add_column(
            table,
            sa.Column('pool', _name(), nullable=False, server_default=''),
        )
    op.add_column('totals', sa.Column('pools', _TEXT))
    op.add_column('totals', sa.Column('data_centre', sa.String(64)))
    bind = op.get_bind()
    volumes, size_bytes = bind.execute(
        sa.text('SELECT volumes, provisioned_bytes FROM totals')
    ).one()
    bind.execute(
        sa.text('UPDATE totals SET pools = :pools, data_centre = :id'),
        {
            'pools': json.dumps(
                {'': [volumes, size_bytes]} if size_bytes else {}
            ),
            'id': uuid.uuid4().hex,
        },
    )
    with op.batch_alter_table('totals') as batch:
        batch.alter_column('pools', existing_type=_TEXT, nullable=False)
        batch.alter_column(
            'data_centre', existing_type=sa.String(64), nullable=False
        )
