"""A journal on disk that tests can reopen."""

from __future__ import annotations

from pathlib import Path
import tempfile
import unittest

from virtdc_agent.clock import FakeClock
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import SqlJournal
from virtdc_agent.scheduling import Lane


class SqliteCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / 'journal.sqlite'
        self.clock = FakeClock()
        self.journal = self.open()
        self.journal.join()

    @property
    def url(self) -> str:
        return f'sqlite:///{self.path}'

    def open(self, agent: str = 'agent') -> SqlJournal:
        engine = engines.make_engine(self.url, busy_timeout_s=0.05)
        migrate.sync(engine)
        journal = SqlJournal(
            engine, agent=agent, clock=self.clock, lease_s=60.0
        )
        self.addCleanup(journal.close)
        return journal

    def claim(self, limit: int, lane: Lane = Lane.QUICK):
        """Claim events, suspects before others."""
        suspect = self.journal.claim_suspect(lane)
        if suspect is not None:
            return [suspect]
        return list(self.journal.claim(lane, limit))

    def reopen(self) -> SqlJournal:
        """Return a second view of the disk, as after a crash."""
        self.journal = self.open()
        self.journal.join()
        return self.journal
