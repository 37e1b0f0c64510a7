"""The trash, and what is known of an alarm."""

from __future__ import annotations

from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0004'
down_revision = '0003'

_BIG = sa.BigInteger().with_variant(sa.Integer, 'sqlite')
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), 'mysql', 'mariadb')
_SECONDS: Any = sa.Double().with_variant(sa.Float, 'sqlite')


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
    """Make the table; add the columns."""
    op.create_table(
        'trash',
        sa.Column('volume_id', _name(), primary_key=True),
        sa.Column('size_bytes', _BIG, nullable=False),
        sa.Column('until', _SECONDS, nullable=False),
        sa.Column('body', _TEXT, nullable=False),
    )
    op.create_index('ix_trash_until', 'trash', ['until'])
    op.add_column('totals', sa.Column('scanner', _name()))
    op.add_column(
        'totals',
        sa.Column('alarm_revision', _BIG, nullable=False, server_default='0'),
    )
    # MySQL has no default for a long text, so this one table is made anew.
    op.rename_table('alarms', 'alarms_0003')
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('ALTER INDEX alarms_pkey RENAME TO alarms_0003_pkey')
    alarms = op.create_table(
        'alarms',
        sa.Column('kind', sa.String(64), primary_key=True),
        sa.Column('subject', _name(), primary_key=True),
        sa.Column('message', _TEXT, nullable=False),
        sa.Column('raised', _SECONDS, nullable=False),
        sa.Column('updated', _SECONDS, nullable=False),
        sa.Column('count', sa.Integer, nullable=False),
        sa.Column('acknowledged_by', sa.String(255), nullable=False),
        sa.Column('comment', sa.String(1024), nullable=False),
        sa.Column('acknowledged', _SECONDS),
        sa.Column('severity', sa.String(16), nullable=False),
        sa.Column('details', _TEXT, nullable=False),
        sa.Column('change', sa.String(16), nullable=False),
        sa.Column('cleared', _SECONDS),
        sa.Column('revision', _BIG, nullable=False),
    )
    op.create_index('ix_alarms_revision', 'alarms', ['revision'])
    former = sa.table(
        'alarms_0003',
        *(
            sa.column(name)
            for name in (
                *('kind', 'subject', 'message', 'raised', 'updated'),
                *('count', 'acknowledged_by', 'comment'),
            )
        ),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(former)).all():
        connection.execute(
            alarms.insert(),
            {
                **row._mapping,
                'acknowledged': row.updated if row.acknowledged_by else None,
                'severity': 'major',
                'details': '{}',
                'change': 'raised',
                'revision': 0,
            },
        )
    op.drop_table('alarms_0003')
