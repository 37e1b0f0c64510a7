"""What only a journal on disk can get wrong."""

from __future__ import annotations

import contextlib
import sqlite3
import unittest

import sqlalchemy as sa
from sqlalchemy import event as sa_event

from tests.unit.agent import builders
from tests.unit.agent.journal import base
from virtdc_agent.conformance import journal as rules
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.group_commit import Request
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import _NEXT
from virtdc_agent.journal import tables
from virtdc_agent import model


class PowerCut(BaseException):
    """Ends whatever is under way, as a crash does."""


class TestDurability(base.SqliteCase):
    def test_all_is_there_after_a_crash(self) -> None:
        event = builders.create('v')
        self.journal.append(event)
        (claim,) = self.journal.claim(1)
        self.journal.settle(
            claim, model.Outcome(state=State.SUCCESS, change=rules.put('v'))
        )
        reopened = self.reopen()
        latest = reopened.get_latest([event.event_id])[event.event_id]
        self.assertIs(State.SUCCESS, latest.state)
        self.assertEqual('v', reopened.get_volume('v').volume_id)
        self.assertEqual(3, reopened.get_changes(0, 10).last)

    def test_commits_reach_the_disk(self) -> None:
        with self.journal._engine.connect() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f'PRAGMA {name}').scalar()
                for name in ('journal_mode', 'synchronous')
            }
        self.assertEqual({'journal_mode': 'wal', 'synchronous': 2}, pragmas)

    def test_a_crash_at_any_statement_leaves_whole_or_nothing(self) -> None:
        """Walk all statements of a whole life; cut the power before each."""
        finished = False
        cut_at = 0
        while not finished:
            self.path.unlink(missing_ok=True)
            journal = self.reopen()
            # After the cut the library may find its connection unusable.
            with contextlib.suppress(PowerCut, exceptions.JournalUnavailable):
                with _cut_before(journal, cut_at):
                    self.live(journal)
                    finished = True
            self.check_whole(self.reopen())
            cut_at += 1
        self.assertGreater(cut_at, 30)

    def live(self, journal) -> None:
        first, second = builders.create('v'), builders.delete('v')
        journal.append(first)
        journal.append(second)
        (claim,) = journal.claim(5)
        journal.record_progress(claim, model.Progress(phase='x'))
        journal.release(claim)
        (claim,) = journal.claim(5)
        journal.fence_off(claim, rules.FAILURE)
        journal.unfence(claim, rules.put('v'))
        (claim,) = journal.claim(5)
        journal.settle(
            claim,
            model.Outcome(
                state=State.SUCCESS,
                change=model.RemoveVolume(volume_id='v'),
            ),
        )
        journal.mark_published(5)

    def check_whole(self, journal) -> None:
        """Check that the tables agree, then that all can be finished."""
        with journal._engine.connect() as connection:
            rows = connection.execute(sa.select(tables.EVENTS)).all()
            queued = connection.execute(sa.select(tables.QUEUE)).all()
            sequences = (
                connection.execute(
                    sa.select(tables.TRANSITIONS.c.sequence).order_by(
                        tables.TRANSITIONS.c.sequence
                    )
                )
                .scalars()
                .all()
            )
            volumes = connection.execute(sa.select(tables.VOLUMES)).all()
        states = [row.state for row in rows]
        counts = journal.count()
        self.assertEqual(states.count('waiting'), counts.waiting)
        self.assertEqual(states.count('running'), counts.running)
        self.assertEqual(len(volumes), counts.volumes)
        self.assertEqual(
            list(range(1, journal.get_changes(0, 1).last + 1)), sequences
        )
        open_ids = [
            row.id
            for row in rows
            if row.state in ('waiting', 'running') or row.is_closed
        ]
        self.assertEqual(open_ids, sorted(row.event for row in queued))
        for place, row_id in enumerate(open_ids):
            (row,) = [row for row in rows if row.id == row_id]
            self.assertEqual(min(place, 1), row.blockers)
        journal.recover()
        while claims := journal.claim(5):
            for claim in claims:
                journal.settle(claim, rules.SUCCESS)
        self.assertEqual(0, journal.count().waiting)


class TestTrouble(base.SqliteCase):
    def test_locked_by_another_process(self) -> None:
        event = builders.create('v')
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute('BEGIN IMMEDIATE')
        with self.assertRaisesRegex(exceptions.JournalUnavailable, 'locked'):
            self.journal.append(event)
        other.execute('ROLLBACK')
        self.journal.append(event)
        self.assertEqual(1, self.journal.count().waiting)

    def test_full_disk(self) -> None:
        self.journal.append(builders.create('v'))
        pages = self.journal._writer.exec_driver_sql(
            'PRAGMA page_count'
        ).scalar()
        self.journal._writer.commit()
        self.journal._writer.exec_driver_sql(
            f'PRAGMA max_page_count = {pages}'
        )
        self.journal._writer.commit()
        accepted = 1
        with self.assertRaisesRegex(exceptions.JournalUnavailable, 'full'):
            for _ in range(1000):
                self.journal.append(builders.create())
                accepted += 1
        reopened = self.reopen()
        self.assertEqual(accepted, reopened.count().waiting)
        reopened.append(builders.create())

    def test_not_a_database(self) -> None:
        self.path.with_name('other').write_bytes(b'not a database' * 100)
        engine = engines.make_engine(f'sqlite:///{self.path}')
        engine = engines.make_engine(
            f'sqlite:///{self.path.with_name("other")}'
        )
        with self.assertRaises(exceptions.JournalUnavailable):
            migrate.check(engine)

    def test_missing_folder(self) -> None:
        engine = engines.make_engine('sqlite:////nowhere/at/all.sqlite')
        with self.assertRaisesRegex(
            exceptions.JournalUnavailable, 'unable to open'
        ):
            migrate.sync(engine)

    def test_one_refusal_harms_no_other(self) -> None:
        """Changes that share a transaction fail each for itself."""
        taken = builders.create('v', event_id='e')
        self.journal.append(taken)
        good = builders.create('w')
        requests = [
            Request(self._append_change(event))
            for event in (builders.create('x', event_id='e'), good)
        ]
        self.journal._commit(requests)
        self.assertIsInstance(requests[0].error, exceptions.EventConflict)
        self.assertIsNone(requests[1].error)
        self.assertIn(good.event_id, self.journal.get_latest([good.event_id]))

    def _append_change(self, event):
        captured = []
        write, self.journal._write = self.journal._write, captured.append
        try:
            self.journal.append(event)
        finally:
            self.journal._write = write
        return captured[0]


class TestCost(base.SqliteCase):
    def test_the_next_events_are_found_by_index(self) -> None:
        with self.journal._engine.connect() as connection:
            query = _NEXT.compile(
                dialect=connection.dialect,
                compile_kwargs={'render_postcompile': True},
            )
            plan = connection.exec_driver_sql(
                f'EXPLAIN QUERY PLAN {query}', ('waiting', 0, 10, 0)
            ).all()
        text = ' '.join(row[3] for row in plan)
        self.assertIn('ix_events_next', text)
        self.assertNotIn('SCAN', text)
        self.assertNotIn('TEMP B-TREE', text)


class TestSchema(base.SqliteCase):
    def test_migrations_make_what_the_tables_say(self) -> None:
        inspector = sa.inspect(self.journal._engine)
        for table in tables.METADATA.sorted_tables:
            with self.subTest(table.name):
                found = {
                    column['name']: column['nullable']
                    for column in inspector.get_columns(table.name)
                }
                self.assertEqual(
                    {c.name: bool(c.nullable) for c in table.columns}, found
                )
                self.assertEqual(
                    {index.name for index in table.indexes},
                    {
                        index['name']
                        for index in inspector.get_indexes(table.name)
                    },
                )

    def test_sync_again_changes_nothing(self) -> None:
        self.journal.append(builders.create('v'))
        migrate.sync(self.journal._engine)
        self.assertEqual(migrate.head(), migrate.current(self.journal._engine))
        self.assertEqual(1, self.journal.count().waiting)

    def test_a_journal_without_schema_is_refused(self) -> None:
        engine = engines.make_engine(
            f'sqlite:///{self.path.with_name("empty")}'
        )
        self.assertIsNone(migrate.current(engine))
        with self.assertRaisesRegex(
            exceptions.ConfigInvalid, 'virtdc-manage db sync'
        ):
            migrate.check(engine)

    def test_a_journal_of_a_newer_version_is_refused(self) -> None:
        with self.journal._engine.connect() as connection:
            connection.exec_driver_sql(
                "UPDATE alembic_version SET version_num = '9999'"
            )
            connection.commit()
        for call in (migrate.check, migrate.sync):
            with self.assertRaisesRegex(exceptions.ConfigInvalid, '9999'):
                call(self.journal._engine)


@contextlib.contextmanager
def _cut_before(journal, statement: int):
    """Raise ``PowerCut`` before the n-th statement or commit."""
    seen = 0

    def count(*args) -> None:
        nonlocal seen
        if seen == statement:
            raise PowerCut
        seen += 1

    def before(connection, cursor, sql, parameters, context, many) -> None:
        if not sql.lstrip().startswith(('SELECT', 'PRAGMA')):
            count()

    sa_event.listen(journal._engine, 'before_cursor_execute', before)
    sa_event.listen(journal._engine, 'commit', count)
    try:
        yield
    finally:
        sa_event.remove(journal._engine, 'before_cursor_execute', before)
        sa_event.remove(journal._engine, 'commit', count)


if __name__ == '__main__':
    unittest.main()
