"""A journal of an earlier version goes on in this one.

``tests/samples/journal`` has what earlier versions, executed as they were,
left in their tables: of six events one has succeeded, one has failed, two are
running, one waits, and one waits behind a running one. From 0003 on there is
also a snapshot, and from 0004 on a volume in the trash, with its alarm.
"""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.conformance import journals
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance.journal import SUCCESS
from virtdc_agent.contract.events import State
from virtdc_agent.interfaces import Journal
from virtdc_agent.journal import keeping
from virtdc_agent.journal import migrate
from virtdc_agent.scheduling import Lane

SAMPLES = Path(__file__).parent.parent / 'samples' / 'journal'
VERSIONS = sorted(path.stem for path in SAMPLES.glob('*.json'))


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
        for name in ('counters', 'totals'):  # which begin with a row
            if name in old.tables:
                connection.execute(old.tables[name].delete())
        for table in old.sorted_tables:
            if found := rows.get(table.name):
                connection.execute(table.insert(), found)


class MigrationRules:
    """For each kind of database."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.repair)

    def repair(self) -> None:
        migrate.sync(self.storage)
        journals.empty(self.storage)

    def each(self, check: Callable[[Journal, str], None]) -> None:
        """Check the journal that begins as each version left it."""
        for version in VERSIONS:
            with self.subTest(version=version):
                load(self.storage, version)
                migrate.sync(self.storage)
                migrate.check(self.storage)
                check(self.open(f'agent after {version}'), version)

    def keeping(self) -> keeping.SqlKeeping:
        return keeping.SqlKeeping(self.storage, clock=FakeClock())

    def test_there_are_samples(self) -> None:
        self.assertLessEqual({'0001', '0006'}, set(VERSIONS))

    def test_nothing_is_lost(self) -> None:
        self.each(self.nothing_is_lost)

    def nothing_is_lost(self, journal: Journal, version: str) -> None:
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
        count = journal.count()
        self.assertEqual((2, 2), (count.waiting, count.running))
        self.assertEqual([], list(self.keeping().check()))

    def test_what_was_open_is_finished_in_order(self) -> None:
        self.each(self.what_was_open_is_finished_in_order)

    def what_was_open_is_finished_in_order(
        self, journal: Journal, version: str
    ) -> None:
        journal.join()
        # Whoever ran it is dead.
        journals.end_lease(self.storage, 'agent')
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
        self.assertEqual([], list(self.keeping().check()))

    def test_volumes_snapshots_trash_and_alarms_are_kept(self) -> None:
        self.each(self.volumes_snapshots_trash_and_alarms_are_kept)

    def volumes_snapshots_trash_and_alarms_are_kept(
        self, journal: Journal, version: str
    ) -> None:
        volumes = journal.get_volumes(None, 100).volumes
        self.assertEqual(['a'], [one.volume_id for one in volumes])
        if version >= '0003':
            snapshots = journal.get_snapshots(None, None, 100).snapshots
            self.assertEqual(
                [('s', 'a')],
                [(one.snapshot_id, one.volume_id) for one in snapshots],
            )
        if version >= '0004':
            trash = journal.get_trash(None, 100).trashed
            self.assertEqual(['g'], [one.volume.volume_id for one in trash])
            alarms = self.keeping().get_alarms(None, 100).alarms
            self.assertEqual(
                [('volume-deleted', 'g')],
                [(one.kind, one.subject) for one in alarms],
            )


class TestSqlite(MigrationRules, journals.OnSqlite):
    pass


class TestPostgresql(MigrationRules, journals.OnPostgresql):
    pass


class TestMariadb(MigrationRules, journals.OnMariadb):
    pass


del MigrationRules
