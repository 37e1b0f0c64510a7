"""The cloud may have what the data centre has made; it keeps its name."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.unit.agent import builders
from tests.unit.agent.executor import test_copying
from virtdc_agent.contract import catalogue
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent import model

GIB = builders.GIB


def managing(**changes: Any) -> events.ManageParameters:
    return events.ManageParameters(
        **{
            'reference': 'v',
            'size_bytes': GIB,
            'metadata': {
                events.CLOUD_ID: 'c',
                'virtdc.volume_type': 'gold',
                'theirs': 'x',
            },
            **changes,
        }
    )


def managing_snapshot(**changes: Any) -> events.ManageSnapshotParameters:
    return events.ManageSnapshotParameters(
        **{
            'snapshot_id': 's',
            'reference': 's',
            'size_bytes': GIB,
            'metadata': {events.CLOUD_ID: 't'},
            **changes,
        }
    )


class AdoptingCase(test_copying.CopyingCase):
    def platform(self, parameters: events.Parameters) -> model.Outcome:
        """Have the data centre do something."""
        return self.run_event(
            dataclasses.replace(
                builders.event_of('v', parameters), origin=Origin.PLATFORM
            )
        )

    def setUp(self) -> None:
        super().setUp()
        self.platform(
            events.CreateParameters(
                size_bytes=GIB, name='named here', metadata={'mine': '1'}
            )
        )
        self.platform(events.SnapshotParameters(snapshot_id='s'))

    def volume(self) -> events.Volume:
        return self.journal.get_volume('v')

    def snapshot(self) -> events.Snapshot:
        (found,) = self.journal.get_snapshots('v', None, 9).snapshots
        return found

    def rejected(self, words: str, parameters: events.Parameters) -> None:
        before = self.volume(), self.snapshot()
        outcome = self.run_event(builders.event_of('v', parameters))
        self.assertIs(Reason.REJECTED, outcome.reason)
        self.assertRegex(outcome.message, words)
        self.assertEqual(before, (self.volume(), self.snapshot()))


class TestVolumes(AdoptingCase):
    def test_it_stays_what_it_is_here(self) -> None:
        self.do('v', managing(name='named there'))
        volume = self.volume()
        self.assertEqual('named here', volume.name)
        self.assertEqual(
            {
                'mine': '1',
                events.CLOUD_ID: 'c',
                'virtdc.volume_type': 'gold',
            },
            volume.metadata,
        )
        self.assertIs(Origin.PLATFORM, volume.origin)
        self.assertEqual(('p', 'u'), (volume.project_id, volume.user_id))
        self.assertEqual(GIB, self.journal.count().provisioned_bytes)

    def test_again_by_the_same_is_the_same(self) -> None:
        for _ in range(2):
            self.do('v', managing())

    def test_it_is_grown_to_whole_gib(self) -> None:
        self.do('v', managing(size_bytes=2 * GIB))
        self.assertEqual(2 * GIB, self.volume().size_bytes)
        self.assertEqual(2 * GIB, self.backend.storage.volumes['v'].size_bytes)
        self.assertEqual(2 * GIB, self.journal.count().provisioned_bytes)

    def test_one_has_it(self) -> None:
        self.do('v', managing())
        other = {events.CLOUD_ID: 'd'}
        self.rejected('already, as c', managing(metadata=other))
        self.rejected(
            'already, as c', managing(metadata=other, instead_of='e')
        )
        self.do('v', managing(metadata=other, instead_of='c'))
        self.assertEqual('d', self.volume().metadata[events.CLOUD_ID])

    def test_what_cannot_be_is_refused(self) -> None:
        self.rejected('exists already', managing(metadata={}))
        self.rejected('exists already', managing(reference='x'))
        self.rejected(
            'format "raw", not "qcow2"',
            managing(format=events.Format.QCOW2),
        )
        self.do('v', events.ConnectParameters(host='compute-1'))
        self.rejected('in use by compute-1', managing())

    def test_what_the_cloud_has_made_it_has(self) -> None:
        self.do('w', events.CreateParameters(size_bytes=GIB))
        outcome = self.run_event(
            builders.event_of('w', managing(reference='w'))
        )
        self.assertRegex(outcome.message, 'made by the cloud')

    def test_given_up_it_is_the_data_centres_again(self) -> None:
        self.do('v', managing())
        self.do('v', events.UnmanageParameters())
        self.assertEqual('', self.volume().metadata[events.CLOUD_ID])
        self.assertIn('v', self.backend.storage.volumes)
        self.do('v', managing())

    def test_its_deletion_is_an_alarm_while_the_cloud_has_it(self) -> None:
        self.platform(events.DeleteSnapshotParameters(snapshot_id='s'))
        adopted = [('v', managing())]
        given_up = [*adopted, ('v', events.UnmanageParameters())]
        for before, alarms in ((), 0), (adopted, 1), (given_up, 0):
            for what in before:
                self.do(*what)
            self.platform(events.DeleteParameters())
            found = self.journal.get_alarms(None, 9).alarms
            self.assertEqual(
                [(catalogue.VOLUME_DELETED.kind, 'v')] * alarms,
                [(one.kind, one.subject) for one in found],
            )
            # Made anew, it is cleared.
            self.platform(events.CreateParameters(size_bytes=GIB))

    def test_a_late_success_leaves_it_as_it_was(self) -> None:
        before = self.volume()
        claim = self.claim(
            builders.event_of('v', managing(size_bytes=2 * GIB))
        )
        outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
        self.assertIs(State.SUCCESS, outcome.state)
        change = self.handlers.undo(claim, outcome, UndoContext(claim))
        self.assertIsInstance(change, model.PutVolume)
        self.assertEqual(
            dataclasses.replace(before, size_bytes=2 * GIB), change.volume
        )
        self.assertIn('v', self.backend.storage.volumes)


class TestSnapshots(AdoptingCase):
    def test_it_stays_what_it_is_here(self) -> None:
        self.assertIs(Origin.PLATFORM, self.snapshot().origin)
        for _ in range(2):
            self.do('v', managing_snapshot())
        self.assertEqual('t', self.snapshot().metadata[events.CLOUD_ID])
        self.assertIs(Origin.PLATFORM, self.snapshot().origin)

    def test_one_has_it(self) -> None:
        self.do('v', managing_snapshot())
        other = {events.CLOUD_ID: 'u'}
        self.rejected('already, as t', managing_snapshot(metadata=other))
        self.do('v', managing_snapshot(metadata=other, instead_of='t'))

    def test_given_up_it_is_the_data_centres_again(self) -> None:
        self.do('v', managing_snapshot())
        self.do('v', events.UnmanageSnapshotParameters(snapshot_id='s'))
        self.assertEqual('', self.snapshot().metadata[events.CLOUD_ID])
        self.do('v', managing_snapshot())

    def test_a_late_success_leaves_it(self) -> None:
        claim = self.claim(builders.event_of('v', managing_snapshot()))
        outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
        self.assertIsNone(
            self.handlers.undo(claim, outcome, UndoContext(claim))
        )
        self.assertIn('s', self.backend.storage.snapshots)
