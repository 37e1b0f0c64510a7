"""A journal that forgets: for tests, and for trying things out."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import threading
from typing import Any

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.group_commit import Request
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import SqlJournal
from virtdc_agent.journal.transaction import Transaction


class MemoryJournal(SqlJournal):
    """All promises of the journal but durability.

    Its database is one connection, which readers and writers take in turn.
    """

    def __init__(
        self,
        *,
        agent: str = 'memory',
        clock: interfaces.Clock,
        lease_s: float = 60.0,
    ) -> None:
        engine = engines.make_engine('sqlite://')
        migrate.sync(engine)
        self._turn = threading.RLock()
        super().__init__(engine, agent=agent, clock=clock, lease_s=lease_s)

    def _commit(self, requests: Sequence[Request[Transaction]]) -> None:
        with self._turn:
            super()._commit(requests)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        if self._closed:
            raise exceptions.JournalUnavailable('the journal is closed.')
        with (
            self._turn,
            engines.translated(self._engine.url),
            self._engine.connect() as connection,
            connection.begin(),
        ):
            yield connection
