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
from virtdc_agent.journal import appending
from virtdc_agent.journal import claiming
from virtdc_agent.journal import ending
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.group_commit import Request
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal import migrate
from virtdc_agent.journal import purging
from virtdc_agent.journal import statements
from virtdc_agent.journal import tables
from virtdc_agent import model
from virtdc_agent.scheduling import Lane


class PowerCut(BaseException):
    """Ends whatever is under way, as a crash does."""


class TestDurability(base.SqliteCase):
    def test_all_is_there_after_a_crash(self) -> None:
        event = builders.create('v')
        self.journal.append(event)
        (claim,) = self.claim(1)
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
        (claim,) = self.claim(5)
        journal.record_progress(claim, model.Progress(phase='x'))
        journal.release(claim)
        (claim,) = self.claim(5)
        journal.fence_off(claim, rules.FAILURE)
        journal.unfence(claim, rules.put('v'))
        (claim,) = self.claim(5)
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
        keeping = SqlKeeping(journal._engine, clock=self.clock)
        self.assertEqual([], list(keeping.check()))
        while claims := self.claim(5):
            for claim in claims:
                journal.settle(claim, rules.SUCCESS)
        self.assertEqual(0, journal.count().waiting)
        self.assertEqual([], list(keeping.check()))


class TestTelling(base.SqliteCase):
    def told(self, after: int) -> list[int]:
        found = self.journal.get_unpublished(10, after=after)
        return [one.sequence for one in found]

    def test_what_another_process_writes_is_told_in_its_place(self) -> None:
        """An operator cancels; the agent has not written it."""
        first, second = builders.create(), builders.create()
        self.journal.append(first)
        self.assertEqual([1], self.told(0))
        self.journal.append(second)
        other = self.open('operator')
        other.cancel(first.event_id)
        self.assertEqual([2], self.told(1))
        self.assertEqual([3], self.told(2))
        self.journal.append(builders.create())
        self.assertEqual([3, 4], self.told(2))


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
        writer = self.journal._writer._connection
        pages = writer.exec_driver_sql('PRAGMA page_count').scalar()
        writer.commit()
        writer.exec_driver_sql(f'PRAGMA max_page_count = {pages}')
        writer.commit()
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
            Request(appending.Append(event))
            for event in (builders.create('x', event_id='e'), good)
        ]
        self.journal._writer._commit(requests)
        self.assertIsInstance(requests[0].error, exceptions.EventConflict)
        self.assertIsNone(requests[1].error)
        self.assertIn(good.event_id, self.journal.get_latest([good.event_id]))


class TestOneTransaction(base.SqliteCase):
    """What comes at the same time goes together, and no law suffers."""

    def commit(self, *changes):
        """Carry out changes together; return what came of each."""
        requests = [Request(change) for change in changes]
        self.journal._writer._commit(requests)
        return [request.error or request.result for request in requests]

    def check(self) -> None:
        keeping = SqlKeeping(self.journal._engine, clock=self.clock)
        self.assertEqual([], list(keeping.check()))

    def test_one_joins_as_the_last_one_leaves(self) -> None:
        self.journal.append(builders.create('v'))
        (claim,) = self.claim(1)
        self.commit(
            ending.Settle(claim, rules.SUCCESS),
            appending.Append(builders.delete('v')),
        )
        self.check()
        self.assertEqual(1, len(self.claim(1)))

    def test_the_same_twice(self) -> None:
        event = builders.create('v')
        first, second = self.commit(
            appending.Append(event), appending.Append(event)
        )
        self.assertEqual(first, second)
        self.assertEqual(1, self.journal.count().waiting)
        self.check()

    def test_a_queue_that_empties_from_both_ends(self) -> None:
        made = [builders.create('v') for _ in range(4)]
        for event in made:
            self.journal.append(event)
        (claim,) = self.claim(1)
        self.commit(
            appending.Cancel(made[1].event_id),
            ending.Settle(claim, rules.SUCCESS),
            appending.Cancel(made[3].event_id),
        )
        self.check()
        self.assertEqual(made[2], self.claim(1)[0].event)

    def test_one_is_made_and_cancelled(self) -> None:
        event, following = builders.create('v'), builders.delete('v')
        self.commit(
            appending.Append(event),
            appending.Append(following),
            appending.Cancel(event.event_id),
        )
        self.check()
        self.assertEqual(1, len(self.claim(5)))

    def test_progress_with_its_end(self) -> None:
        self.journal.append(builders.create('v'))
        (claim,) = self.claim(1)
        ended, _ = self.commit(
            ending.Settle(claim, rules.FAILURE),
            ending.Progress(
                claim, model.Progress(bytes_done=1, bytes_total=2)
            ),
        )
        self.assertEqual(50, ended.progress)
        self.check()

    def test_two_who_take(self) -> None:
        for _ in range(5):
            self.journal.append(builders.create())

        def take():
            return claiming.Take(
                Lane.QUICK, 2, identity=self.journal._identity
            )

        taken = [
            claim.event.event_id
            for claims in self.commit(take(), take())
            for claim in claims
        ]
        self.assertEqual(4, len(set(taken)))
        self.check()


class TestUnheardAnswers(base.SqliteCase):
    def test_a_claim_whose_commit_went_through_unheard(self) -> None:
        """It is handed out by the next question, and by no other agent."""
        event = builders.create('v')
        self.journal.append(event)
        writer = self.journal._writer
        original = writer._try

        def deaf(requests):
            original(requests)
            raise exceptions.JournalUnavailable('the line went dead')

        writer._try = deaf
        with self.assertRaises(exceptions.JournalUnavailable):
            self.journal.claim(Lane.QUICK, 1)
        writer._try = original
        self.assertEqual(1, self.journal.count().running)
        (claim,) = self.journal.claim(Lane.QUICK, 1)
        self.assertEqual((event, 1), (claim.event, claim.attempt))
        self.assertEqual([], list(self.journal.claim(Lane.QUICK, 1)))
        self.journal.settle(claim, rules.SUCCESS)


class TestCost(base.SqliteCase):
    def plan(self, statement, values) -> str:
        """Return how a statement finds what it wants."""
        with self.journal._engine.connect() as connection:
            query = statement.compile(
                dialect=connection.dialect,
                compile_kwargs={'literal_binds': True},
            )
            for name, value in values.items():
                query = str(query).replace(f':{name}', value)
            plan = connection.exec_driver_sql(
                f'EXPLAIN QUERY PLAN {query}'
            ).all()
        return ' '.join(row[3] for row in plan)

    def check_plan(self, statement, index: str, **values: object) -> None:
        bound = statement.params(**values)
        text = self.plan(bound, {})
        self.assertIn(index, text)
        self.assertNotIn('SCAN', text)
        self.assertNotIn('TEMP B-TREE', text)

    def test_the_next_events_are_found_by_index(self) -> None:
        self.check_plan(
            statements.CANDIDATES,
            'ix_events_next',
            suspect=False,
            lane='quick',
            origin='cloud',
            most=10,
        )

    def test_what_is_over_is_found_by_its_end(self) -> None:
        self.check_plan(purging._ENDED, 'ix_events_ended', until=0.0)

    def test_what_is_held_is_found_by_index(self) -> None:
        self.check_plan(
            statements.LOAD_HELD.order_by(None),
            'ix_events_holder',
            wanted=['agent'],
        )


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
