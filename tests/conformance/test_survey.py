"""What is said of how a journal is doing, on each kind of database."""

from __future__ import annotations

from tests.conformance import journals
from tests.unit.agent import builders
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import State
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent import model
from virtdc_agent.scheduling import Lane


class SurveyRules:
    """For each kind of database."""

    def setUp(self) -> None:
        super().setUp()
        self.keeping = SqlKeeping(self.storage, clock=FakeClock())

    def test_an_empty_journal_has_nothing(self) -> None:
        found = self.keeping.survey()
        self.assertEqual([], list(found.queue))
        self.assertIsNone(found.untold_since)
        self.assertEqual({}, dict(found.alarms))
        self.assertEqual((1, 0), found.agents)

    def test_what_waits_by_operation_and_lane(self) -> None:
        self.journal.append(builders.create('a'))
        self.journal.append(builders.create('b'))
        self.journal.append(builders.delete('a'))
        self.journal.append(
            builders.create('c', provisioning=Provisioning.THICK)
        )
        claim = self.journal.claim(Lane.QUICK, 1)[0]
        outcome = model.Outcome(state=State.SUCCESS)
        self.journal.settle(claim, outcome)
        found = self.keeping.survey()
        self.assertEqual(
            {
                (Lane.QUICK, 'create'): 1,
                (Lane.QUICK, 'delete'): 1,
                (Lane.COPY, 'create'): 1,
            },
            {(one.lane, one.operation): one.waiting for one in found.queue},
        )
        for one in found.queue:
            self.assertLessEqual(one.oldest_at, found.now)
        self.assertEqual(1, found.counts.finished)
        self.assertEqual((1, 0), found.agents)

    def test_since_when_nobody_is_told(self) -> None:
        first = self.journal.append(builders.create('a'))
        self.journal.append(builders.create('b'))
        found = self.keeping.survey()
        self.assertEqual(first.occurred_at, found.untold_since)
        self.journal.mark_published(found.counts.sequence)
        self.assertIsNone(self.keeping.survey().untold_since)

    def test_alarms_that_are_raised(self) -> None:
        for subject in ('a', 'b', 'c'):
            self.keeping.raise_alarm(
                kind='volume-deleted',
                subject=subject,
                severity=Severity.MAJOR,
                message='It is gone.',
            )
        self.keeping.acknowledge_alarm('volume-deleted', 'b', 'me', '')
        self.keeping.clear_alarm('volume-deleted', 'c')
        self.assertEqual(
            {
                ('volume-deleted', 'major', False): 1,
                ('volume-deleted', 'major', True): 1,
            },
            dict(self.keeping.survey().alarms),
        )

    def test_an_agent_that_is_drained(self) -> None:
        self.keeping.set_draining('agent', True)
        self.assertEqual((1, 1), self.keeping.survey().agents)


class TestSqlite(SurveyRules, journals.OnSqlite):
    pass


class TestPostgresql(SurveyRules, journals.OnPostgresql):
    pass


class TestMariadb(SurveyRules, journals.OnMariadb):
    pass
