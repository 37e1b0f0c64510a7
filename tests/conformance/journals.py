"""Journals for the rules, on each kind of storage."""

from __future__ import annotations

import functools
from pathlib import Path
import tempfile
from typing import Any

import sqlalchemy as sa

from tests.conformance import servers
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance import journal
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.journal.memory import MemoryStorage
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import SqlJournal
from virtdc_agent.journal import tables


def end_lease(engine: Any, agent: str) -> None:
    """Have an agent's lease end in the database."""
    with engine.begin() as connection:
        connection.execute(
            tables.AGENTS.update()
            .where(tables.AGENTS.c.name == agent)
            .values(lease_until=0.0)
        )


class OnMemory(journal.JournalCase):
    """In one connection."""

    kind = MemoryJournal
    keeping_kind = SqlKeeping

    def make_storage(self) -> MemoryStorage:
        return MemoryStorage()

    def open_journal(self, storage, agent):
        return self.kind(storage, agent=agent, clock=FakeClock())

    def open_keeping(self, storage):
        return self.keeping_kind(storage.engine, clock=FakeClock())

    def end_lease(self, storage, agent) -> None:
        with storage.turn:
            end_lease(storage.engine, agent)


class OnEngine(journal.JournalCase):
    """In a database that any number of connections may open."""

    def open_journal(self, storage, agent):
        return SqlJournal(
            storage, agent=agent, clock=FakeClock(), lease_s=60.0
        )

    def open_keeping(self, storage):
        return SqlKeeping(storage, clock=FakeClock())

    def end_lease(self, storage, agent) -> None:
        end_lease(storage, agent)


class OnSqlite(OnEngine):
    """In a file."""

    def make_storage(self) -> Any:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        engine = engines.make_engine(
            f'sqlite:///{Path(folder.name) / "journal.sqlite"}'
        )
        migrate.sync(engine)
        return engine


class OnServer(OnEngine):
    """In a database server, in one database that is emptied each time."""

    @staticmethod
    def url() -> str:
        raise NotImplementedError

    def make_storage(self) -> Any:
        engine = _engine_of(self.url())
        empty(engine)
        return engine


class OnPostgresql(OnServer):
    url = staticmethod(servers.postgresql_url)


class OnMariadb(OnServer):
    url = staticmethod(servers.mariadb_url)


@functools.cache
def _engine_of(url: str) -> Any:
    engine = engines.make_engine(url)
    migrate.sync(engine)
    return engine


def empty(engine: Any) -> None:
    """Make a journal as it was after its migrations; faster than anew."""
    with engine.begin() as connection:
        for table in tables.METADATA.sorted_tables:
            if table is not tables.TOTALS:
                connection.execute(table.delete())
        connection.execute(
            tables.TOTALS.update().values(
                {
                    column.name: 0
                    for column in tables.TOTALS.c
                    if isinstance(column.type, sa.BigInteger)
                }
                | dict.fromkeys(('publisher', 'scanner'), sa.null())
                | dict.fromkeys(('shares', 'pools'), '{}')
            )
        )
