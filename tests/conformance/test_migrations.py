"""A journal of an earlier version goes on in this one.

``tests/samples/journal`` has what earlier versions left in their tables: of
six events one has succeeded, one has failed, two are running, one waits, and
one waits behind a running one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.conformance import journals
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance.journal import SUCCESS
from virtdc_agent.contract.events import State
from virtdc_agent.journal import keeping
from virtdc_agent.journal import migrate
from virtdc_agent.scheduling import Lane

SAMPLES = Path(__file__).parent.parent / 'samples' / 'journal'


def load(engine: Any, version: str) -> None:
    """Make a database as an earlier version left it."""
    former = sa.MetaData()
    former.reflect(engine)
    former.drop_all(engine)
    migrate.sync(engine, version)
    old = sa.MetaData()
    old.reflect(engine)
    rows = json.loads((SAMPLES / f'{version}.json').read_text())
    with engine.begin() as connection:
        connection.execute(old.tables['counters'].delete())
        for name, found in rows.items():
            connection.execute(old.tables[name].insert(), found)


class MigrationRules:
    """For each kind of database."""

    def setUp(self) -> None:
        super().setUp()
        self.engine = self.storage
        load(self.engine, '0001')
        self.addCleanup(self.repair)

    def repair(self) -> None:
        migrate.sync(self.engine)
        journals.empty(self.engine)

    def check(self):
        return keeping.SqlKeeping(self.engine, clock=FakeClock()).check()

    def test_nothing_is_lost(self) -> None:
        migrate.sync(self.engine)
        migrate.check(self.engine)
        journal = self.open_journal(self.engine, 'agent')
        self.addCleanup(journal.close)
        latest = journal.get_latest([f'e{n}' for n in range(1, 7)])
        self.assertEqual(
            [
                *(State.SUCCESS, State.FAILED, State.RUNNING),
                *(State.RUNNING, State.WAITING, State.WAITING),
            ],
            [latest[f'e{n}'].state for n in range(1, 7)],
        )
        changes = journal.get_changes(0, 1000)
        self.assertEqual(
            list(range(1, len(changes.transitions) + 1)),
            [one.sequence for one in changes.transitions],
        )
        self.assertEqual(
            (2, 2, 2),
            (
                journal.count().waiting,
                journal.count().running,
                journal.count().finished,
            ),
        )
        self.assertEqual([], list(self.check()))

    def test_what_was_open_is_finished_in_order(self) -> None:
        migrate.sync(self.engine)
        journal = self.open_journal(self.engine, 'agent')
        self.addCleanup(journal.close)
        journal.join()
        journal.take_over()
        ended = []
        while True:
            suspect = journal.claim_suspect(Lane.QUICK)
            claims = [suspect] if suspect else journal.claim(Lane.QUICK, 1)
            if not claims:
                break
            for claim in claims:
                journal.settle(claim, SUCCESS)
                ended.append(claim.event.event_id)
        self.assertEqual({'e3', 'e4', 'e5', 'e6'}, set(ended))
        self.assertLess(ended.index('e4'), ended.index('e5'))
        self.assertEqual([], list(self.check()))


class TestSqlite(MigrationRules, journals.OnSqlite):
    pass


class TestPostgresql(MigrationRules, journals.OnPostgresql):
    pass


class TestMariadb(MigrationRules, journals.OnMariadb):
    pass


del MigrationRules
