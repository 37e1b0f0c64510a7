"""Run by Alembic, with a connection that ``migrate`` has opened."""

from __future__ import annotations

from alembic import context

from virtdc_agent.journal import tables

context.configure(
    connection=context.config.attributes['connection'],
    target_metadata=tables.METADATA,
)
with context.begin_transaction():
    context.run_migrations()
