"""What volumes and snapshots are listed by stands beside their bodies."""

from __future__ import annotations

import datetime
import json
from typing import Any

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

revision = '0006'
down_revision = '0005'

_PAGE = 1000


def _name() -> Any:
    return (
        sa.String(255)
        .with_variant(
            mysql.VARCHAR(255, charset='utf8mb4', collation='utf8mb4_bin'),
            *('mysql', 'mariadb'),
        )
        .with_variant(sa.String(255, collation='C'), 'postgresql')
    )


def _seconds() -> Any:
    return sa.Double().with_variant(sa.Float, 'sqlite')


def upgrade() -> None:
    """Add the columns, and fill them from the bodies."""
    for table, columns in (
        (
            'volumes',
            [
                sa.Column('project_id', _name(), server_default=''),
                sa.Column('name', _name(), server_default=''),
                sa.Column('created', _seconds(), server_default='0'),
            ],
        ),
        ('snapshots', [sa.Column('project_id', _name(), server_default='')]),
    ):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                column.nullable = False
                batch.add_column(column)
    _fill('volumes', 'volume_id', _of_volume)
    _fill('snapshots', 'snapshot_id', _of_snapshot)
    op.create_index(
        'ix_volumes_project', 'volumes', ['project_id', 'volume_id']
    )
    op.create_index(
        'ix_snapshots_project', 'snapshots', ['project_id', 'snapshot_id']
    )


def _of_volume(data: dict[str, Any]) -> dict[str, object]:
    created = datetime.datetime.fromisoformat(data['created_at'])
    return {
        **_of_snapshot(data),
        'name': data.get('name') or '',
        'created': created.timestamp(),
    }


def _of_snapshot(data: dict[str, Any]) -> dict[str, object]:
    return {'project_id': data.get('project_id') or ''}


def _fill(name: str, key_name: str, values_of: Any) -> None:
    connection = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=connection)
    key, last = table.c[key_name], ''
    while True:
        found = connection.execute(
            sa.select(key, table.c.body)
            .where(key > last)
            .order_by(key)
            .limit(_PAGE)
        ).all()
        if not found:
            return
        for one, body in found:
            values = values_of(json.loads(body)['data'])
            connection.execute(table.update().where(key == one).values(values))
        last = found[-1][0]
