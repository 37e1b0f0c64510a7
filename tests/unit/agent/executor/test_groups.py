"""Which groups may be kept at one instant, and how that is told."""

from __future__ import annotations

from tests.unit.agent import builders
from tests.unit.agent.executor import test_copying
from virtdc_agent.backends.faults import Step
from virtdc_agent.backends.faults import Target
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor.operation import UndoContext

GIB = builders.GIB
GROUP = {'v': 'sv', 'w': 'sw'}


class TestGroups(test_copying.CopyingCase):
    def setUp(self) -> None:
        super().setUp()
        self.create('v')
        self.create('w', 2 * GIB)

    def group(self, **snapshots: str) -> events.SnapshotGroupParameters:
        return events.SnapshotGroupParameters(
            snapshots=snapshots or GROUP,
            name='before',
            metadata={'a': 'b'},
        )

    def records(self) -> list[events.Snapshot]:
        return list(self.journal.get_snapshots(None, None, 9).snapshots)

    def test_each_is_recorded_as_it_was_asked_for(self) -> None:
        outcome = self.do('w', self.group())
        self.assertEqual(
            [
                {'snapshot_id': 'sv', 'size_bytes': GIB, 'format': 'raw'},
                {'snapshot_id': 'sw', 'size_bytes': 2 * GIB, 'format': 'raw'},
            ],
            outcome.result['snapshots'],
        )
        self.assertEqual(
            [
                ('sv', 'v', GIB, 'before', {'a': 'b'}, 'p'),
                ('sw', 'w', 2 * GIB, 'before', {'a': 'b'}, 'p'),
            ],
            [
                (
                    *(one.snapshot_id, one.volume_id, one.size_bytes),
                    *(one.name, one.metadata, one.project_id),
                )
                for one in self.records()
            ],
        )

    def test_what_is_in_use_is_refused(self) -> None:
        self.run_event(builders.connect('w', 'host'))
        self.refuse('group w is in use.*detach first', 'v', self.group())
        self.run_event(builders.connect('v', 'host'))
        self.refuse('group v, w are in use', 'v', self.group())

    def test_what_is_missing_is_refused(self) -> None:
        self.refuse('no volume x', 'v', self.group(v='sv', x='sx'))
        self.refuse('of volume v, of which no', 'v', self.group(w='sw'))

    def test_ids_that_are_taken_are_refused(self) -> None:
        self.snapshot('w', 'sw')
        self.refuse('w has a snapshot sw already', 'v', self.group())
        self.assertEqual(['sw'], [one.snapshot_id for one in self.records()])

    def test_a_failure_leaves_none(self) -> None:
        self.backend.faults.fail(
            Target(step=Step.COMMITTED, operation=Operation.SNAPSHOT_GROUP),
            exceptions.BackendUnavailable('It is full.'),
        )
        outcome = self.run_event(builders.event_of('v', self.group()))
        self.assertIs(Reason.BACKEND, outcome.reason)
        self.assertEqual([], self.records())
        self.assertEqual({}, self.backend.storage.snapshots)

    def test_a_success_that_came_too_late_is_taken_back(self) -> None:
        claim = self.claim(builders.event_of('v', self.group()))
        outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
        self.assertIs(State.SUCCESS, outcome.state)
        self.assertEqual({'sv', 'sw'}, set(self.backend.storage.snapshots))
        self.assertIsNone(
            self.handlers.undo(claim, outcome, UndoContext(claim))
        )
        self.assertEqual({}, self.backend.storage.snapshots)
