"""A journal that forgets: for tests, and for trying things out."""

from __future__ import annotations

import functools
import threading

from virtdc_agent import interfaces
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import SqlJournal


class MemoryStorage:
    """What outlives a journal: one connection, used in turn."""

    def __init__(self) -> None:
        self.engine = engines.make_engine('sqlite://')
        with self.engine.connect() as connection:
            connection.connection.driver_connection.deserialize(_template())
        self.turn = threading.RLock()


@functools.cache
def _template() -> bytes:
    """Return an empty database; to copy one is faster than to make one."""
    engine = engines.make_engine('sqlite://')
    migrate.sync(engine)
    with engine.connect() as connection:
        content: bytes = connection.connection.driver_connection.serialize()
    return content


class MemoryJournal(SqlJournal):
    """All promises of the journal but durability.

    :param storage: what an earlier life left, or another agent shares.
    """

    def __init__(
        self,
        storage: MemoryStorage | None = None,
        *,
        agent: str = 'memory',
        clock: interfaces.Clock,
        lease_s: float = 60.0,
        max_losses: int = 3,
    ) -> None:
        self.storage = storage or MemoryStorage()
        super().__init__(
            self.storage.engine,
            agent=agent,
            clock=clock,
            lease_s=lease_s,
            max_losses=max_losses,
            turn=self.storage.turn,
        )
