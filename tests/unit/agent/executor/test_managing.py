"""What may be taken over and given up, and how it is told."""

from __future__ import annotations

from tests.unit.agent import builders
from tests.unit.agent.executor import test_copying
from virtdc_agent.backends.memory_storage import MemoryStranger
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Reason
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent import model

GIB = builders.GIB
MANAGE = events.ManageParameters(
    reference='disk.img',
    size_bytes=GIB,
    name='was there',
    metadata={'tier': 'gold'},
)


class ManagingCase(test_copying.CopyingCase):
    def setUp(self) -> None:
        super().setUp()
        self.backend.storage.manageable['disk.img'] = MemoryStranger(
            size_bytes=GIB
        )

    def rejected(
        self, words: str, volume_id: str, parameters: events.Parameters
    ) -> None:
        before = dict(self.backend.storage.manageable)
        outcome = self.run_event(builders.event_of(volume_id, parameters))
        self.assertIs(Reason.REJECTED, outcome.reason)
        self.assertRegex(outcome.message, words)
        self.assertEqual(before, self.backend.storage.manageable)

    def take_snapshot(self) -> None:
        self.do('v', MANAGE)
        self.do('v', events.SnapshotParameters(snapshot_id='s'))


class TestVolumes(ManagingCase):
    def test_what_is_managed_stands_in_the_journal(self) -> None:
        outcome = self.do('v', MANAGE)
        volume = self.journal.get_volume('v')
        self.assertEqual(
            ('was there', {'tier': 'gold'}, GIB),
            (volume.name, volume.metadata, volume.size_bytes),
        )
        self.assertEqual(GIB, outcome.result['size_bytes'])
        self.assertEqual(GIB, self.journal.count().provisioned_bytes)

    def test_what_is_given_up_is_forgotten(self) -> None:
        self.do('v', MANAGE)
        for _ in range(2):
            self.do('v', events.UnmanageParameters())
        self.assertEqual([], self.journal.get_volumes(None, 9).volumes)
        self.assertEqual(0, self.journal.count().provisioned_bytes)
        self.assertEqual(['volume-v'], [*self.backend.storage.manageable])

    def test_a_volume_that_is_there_is_not_made(self) -> None:
        self.do('v', events.CreateParameters(size_bytes=GIB))
        self.rejected('exists already', 'v', MANAGE)

    def test_what_is_in_use_or_has_snapshots_is_not_given_up(self) -> None:
        self.take_snapshot()
        self.rejected(
            '1 snapshots: unmanage them', 'v', events.UnmanageParameters()
        )
        self.do('v', events.DeleteSnapshotParameters(snapshot_id='s'))
        self.do('v', events.ConnectParameters(host='compute-1'))
        self.rejected('in use by compute-1', 'v', events.UnmanageParameters())

    def test_no_more_is_promised_than_can_be(self) -> None:
        self.backend.storage.manageable['huge'] = MemoryStranger(size_bytes=1)
        self.rejected(
            'no room',
            'v',
            events.ManageParameters(reference='huge', size_bytes=2**60),
        )

    def test_a_late_success_is_given_up_again(self) -> None:
        """Its bytes were there before: they are not removed."""
        claim = self.claim(builders.event_of('v', MANAGE))
        outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
        change = self.handlers.undo(claim, outcome, UndoContext(claim))
        self.assertIsNone(change)
        self.assertEqual({}, self.backend.storage.volumes)
        self.assertEqual(
            GIB, self.backend.storage.manageable['volume-v'].size_bytes
        )


class TestSnapshots(ManagingCase):
    def test_given_up_and_managed_again(self) -> None:
        self.take_snapshot()
        self.do('v', events.UnmanageSnapshotParameters(snapshot_id='s'))
        self.assertEqual(
            [], self.journal.get_snapshots(None, None, 9).snapshots
        )
        outcome = self.do(
            'v',
            events.ManageSnapshotParameters(
                snapshot_id='t', reference='s', size_bytes=GIB, name='again'
            ),
        )
        (snapshot,) = self.journal.get_snapshots('v', None, 9).snapshots
        self.assertEqual(
            ('t', 'again', GIB),
            (snapshot.snapshot_id, snapshot.name, snapshot.size_bytes),
        )
        self.assertIsInstance(outcome.change, model.PutSnapshot)

    def test_what_cannot_be_is_refused(self) -> None:
        self.take_snapshot()
        self.rejected(
            'has a snapshot s already',
            'v',
            events.ManageSnapshotParameters(
                snapshot_id='s', reference='x', size_bytes=GIB
            ),
        )
        self.rejected(
            'larger than volume v',
            'v',
            events.ManageSnapshotParameters(
                snapshot_id='t', reference='x', size_bytes=2 * GIB
            ),
        )
        self.rejected(
            'no volume w',
            'w',
            events.ManageSnapshotParameters(
                snapshot_id='t', reference='x', size_bytes=GIB
            ),
        )

    def test_a_late_success_is_given_up_again(self) -> None:
        self.take_snapshot()
        self.do('v', events.UnmanageSnapshotParameters(snapshot_id='s'))
        claim = self.claim(
            builders.event_of(
                'v',
                events.ManageSnapshotParameters(
                    snapshot_id='t', reference='s', size_bytes=GIB
                ),
            )
        )
        outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
        self.handlers.undo(claim, outcome, UndoContext(claim))
        self.assertEqual({}, self.backend.storage.snapshots)
        self.assertIn('snapshot-t', self.backend.storage.manageable)
