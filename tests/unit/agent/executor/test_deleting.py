"""What is deleted where, how it comes back, and who hears of it."""

from __future__ import annotations

import dataclasses
import datetime
import unittest

from tests.unit.agent import builders
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent.executor.room import Rooms
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exports import Exporters
from virtdc_agent.images import ImageFolders
from virtdc_agent.intake import Intake
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent import model
from virtdc_agent.pools import Pools
from virtdc_agent.scheduling import Lane
from virtdc_agent.trash import Emptier

GIB = builders.GIB
DAY = 86_400.0
FORCED = events.DeleteParameters(force=True)
LOST = events.DeleteParameters(is_lost=True)


class DeletingCase(unittest.TestCase):
    trash_s = DAY

    def setUp(self) -> None:
        super().setUp()
        self.clock = FakeClock()
        self.backend = MemoryBackend()
        self.journal = MemoryJournal(clock=self.clock)
        self.addCleanup(self.journal.close)
        self.journal.join()
        self.handlers = self.make_handlers()

    def make_handlers(self) -> Handlers:
        pools = Pools.of_one(self.backend)
        return Handlers(
            pools=pools,
            exporters=Exporters({'memory': MemoryExporter()}),
            images=ImageFolders([]),
            rooms=Rooms(pools, self.journal.count),
            clock=self.clock,
            trash_s=self.trash_s,
        )

    def run_waiting(self) -> model.Outcome:
        """Have the next event executed and settled."""
        (claim,) = (
            claim for lane in Lane for claim in self.journal.claim(lane, 1)
        )
        outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
        self.journal.settle(claim, outcome)
        return outcome

    def run_event(
        self,
        parameters: events.Parameters,
        origin: Origin = Origin.PLATFORM,
        volume_id: str = 'v',
    ) -> model.Outcome:
        event = builders.event_of(volume_id, parameters)
        self.journal.append(dataclasses.replace(event, origin=origin))
        return self.run_waiting()

    def do(
        self,
        parameters: events.Parameters,
        origin: Origin = Origin.PLATFORM,
        volume_id: str = 'v',
    ) -> model.Outcome:
        outcome = self.run_event(parameters, origin, volume_id)
        self.assertIs(State.SUCCESS, outcome.state, outcome.message)
        return outcome

    def refuse(
        self,
        says: str,
        parameters: events.Parameters,
        origin: Origin = Origin.PLATFORM,
    ) -> None:
        outcome = self.run_event(parameters, origin)
        self.assertIs(Reason.REJECTED, outcome.reason)
        self.assertRegex(outcome.message, says)

    def create(self, origin: Origin = Origin.CLOUD, **more: object) -> None:
        self.do(events.CreateParameters(size_bytes=GIB, **more), origin)

    def connect(self, host: str) -> None:
        self.do(events.ConnectParameters(host=host), Origin.CLOUD)

    def alarms(self):
        return list(self.journal.get_alarms(None, 100).alarms)

    def trashed(self):
        return list(self.journal.get_trash(None, 100).trashed)

    def check(self) -> None:
        keeping = SqlKeeping(self.journal.storage.engine, clock=self.clock)
        self.assertEqual([], list(keeping.check()))


class TestDeleting(DeletingCase):
    def test_what_the_cloud_deletes_is_gone(self) -> None:
        self.create()
        self.do(events.DeleteParameters(), Origin.CLOUD)
        self.assertEqual(([], []), (self.trashed(), self.alarms()))
        self.assertEqual({}, self.backend.storage.discarded)
        self.check()

    def test_what_is_deleted_here_lies_in_the_trash(self) -> None:
        self.create(name='db')
        before = self.journal.get_volume('v')
        self.do(events.DeleteParameters())
        (trashed,) = self.trashed()
        self.assertEqual(before, trashed.volume)
        self.assertEqual(
            datetime.timedelta(days=1), trashed.until - trashed.deleted_at
        )
        self.assertEqual('u', trashed.deleted_by.user_id)
        with self.assertRaises(exceptions.VolumeNotFound):
            self.journal.get_volume('v')
        # Its space is taken still, and whoever restores it has room.
        self.assertEqual(GIB, self.journal.count().provisioned_bytes)
        self.assertEqual(0, self.journal.count().volumes)
        self.check()

    def test_the_alarm_says_all_that_is_known(self) -> None:
        self.create(name='db')
        self.do(events.DeleteParameters())
        (alarm,) = self.alarms()
        self.assertEqual(
            ('volume-deleted', 'v', Severity.MAJOR, 1),
            (alarm.kind, alarm.subject, alarm.severity, alarm.count),
        )
        (trashed,) = self.trashed()
        self.assertEqual(trashed.event_id, alarm.details['event_id'])
        self.assertEqual('db', alarm.details['name'])
        self.assertEqual('p', alarm.details['project_id'])
        self.assertEqual(GIB, alarm.details['size_bytes'])
        self.assertEqual('u', alarm.details['requested_by']['user_id'])
        self.assertRegex(alarm.message, r'v \(db\) was deleted .* by u\.')
        self.assertTrue(alarm.details['trash_until'])

    def test_what_was_made_here_raises_no_alarm(self) -> None:
        self.create(Origin.PLATFORM)
        self.do(events.DeleteParameters())
        self.assertEqual([], self.alarms())
        self.assertEqual(1, len(self.trashed()))

    def test_what_is_in_use_is_deleted_by_force_alone(self) -> None:
        self.create()
        self.connect('compute-1')
        self.refuse('in use by compute-1', events.DeleteParameters())
        self.refuse('Only an operator', FORCED, Origin.CLOUD)
        self.assertEqual([], self.alarms())
        self.do(FORCED)
        (alarm,) = self.alarms()
        self.assertIs(Severity.CRITICAL, alarm.severity)
        self.assertEqual(['compute-1'], alarm.details['attached_to'])
        (trashed,) = self.trashed()
        self.assertEqual((), trashed.volume.attached_to)

    def test_snapshots_keep_it_even_by_force(self) -> None:
        self.create()
        self.do(events.SnapshotParameters(snapshot_id='s'), Origin.CLOUD)
        self.refuse('snapshots', FORCED)

    def test_to_delete_again_does_not_empty_the_trash(self) -> None:
        self.create()
        for parameters in (events.DeleteParameters(), FORCED):
            self.do(parameters)
            self.do(events.DeleteParameters())
            self.assertEqual(1, len(self.trashed()))
            self.assertEqual(1, self.alarms()[0].count)

    def test_the_cloud_deletes_what_lies_there_too(self) -> None:
        self.create()
        self.do(events.DeleteParameters())
        self.do(events.DeleteParameters(), Origin.CLOUD)
        self.assertEqual(([], []), (self.trashed(), self.alarms()))
        self.assertEqual({}, self.backend.storage.discarded)
        self.check()

    def test_the_latest_of_one_id_is_kept(self) -> None:
        self.create()
        self.do(events.DeleteParameters())
        self.create(name='second')
        self.assertEqual([], self.alarms())
        self.do(events.DeleteParameters())
        self.assertEqual(['second'], [t.volume.name for t in self.trashed()])
        self.assertEqual(1, len(self.backend.storage.discarded))
        self.check()


class TestRestoring(DeletingCase):
    def test_it_comes_back_as_it_was(self) -> None:
        self.create(name='db', metadata={'a': 'b'})
        self.backend.storage.volumes['v'].write(0, b'kept')
        before = self.journal.get_volume('v')
        self.do(events.DeleteParameters())
        self.do(events.RestoreParameters())
        after = self.journal.get_volume('v')
        self.assertGreater(
            after.changed_at_sequence, before.changed_at_sequence
        )
        self.assertEqual(
            before,
            dataclasses.replace(
                after,
                updated_at=before.updated_at,
                changed_by=before.changed_by,
                changed_at_sequence=before.changed_at_sequence,
            ),
        )
        self.assertEqual(b'kept', self.backend.storage.volumes['v'].read(0, 4))
        self.assertEqual(([], []), (self.trashed(), self.alarms()))
        self.check()

    def test_not_over_one_that_exists(self) -> None:
        self.create()
        self.do(events.DeleteParameters())
        self.create()
        self.refuse('exists', events.RestoreParameters())
        self.assertEqual(1, len(self.trashed()))

    def test_not_what_is_not_there(self) -> None:
        self.refuse('No volume v lies', events.RestoreParameters())


class TestEmptying(DeletingCase):
    def setUp(self) -> None:
        super().setUp()
        self.emptier = Emptier(
            journal=self.journal,
            intake=Intake(self.journal, max_waiting=100),
            clock=self.clock,
        )

    def test_what_is_due_is_removed_for_good(self) -> None:
        self.create()
        self.do(events.DeleteParameters())
        self.assertEqual(0, self.emptier.empty())
        self.clock.advance(DAY)
        self.journal.renew()
        # Any number of agents ask, for one event.
        self.assertEqual(1, self.emptier.empty())
        self.assertEqual(1, self.emptier.empty())
        self.assertEqual(1, self.journal.count().waiting)
        self.run_waiting()
        self.assertEqual([], self.trashed())
        self.assertEqual({}, self.backend.storage.discarded)
        self.assertEqual(0, self.journal.count().provisioned_bytes)
        # The cloud has lost it all the same.
        self.assertEqual(1, len(self.alarms()))
        self.check()

    def test_what_was_restored_and_deleted_since_is_left(self) -> None:
        self.create()
        self.do(events.DeleteParameters())
        (first,) = self.trashed()
        self.do(events.RestoreParameters())
        self.do(events.DeleteParameters())
        self.do(events.PurgeParameters(deleted_by=first.event_id))
        self.assertEqual(1, len(self.trashed()))
        self.do(events.RestoreParameters())
        self.do(events.PurgeParameters())
        self.assertEqual('v', self.journal.get_volume('v').volume_id)


class TestLoss(DeletingCase):
    def test_the_record_follows_what_is_gone(self) -> None:
        self.create()
        self.connect('compute-1')
        self.refuse('is in the storage', LOST)
        volume = self.backend.storage.volumes.pop('v')
        self.do(LOST)
        (alarm,) = self.alarms()
        self.assertIs(Severity.CRITICAL, alarm.severity)
        self.assertRegex(alarm.message, 'removed by hand')
        self.refuse('keeps no volume', events.RestoreParameters())
        # Its file is back, put there by hand.
        self.backend.storage.volumes['v'] = volume
        self.do(events.RestoreParameters())
        self.assertEqual(([], []), (self.trashed(), self.alarms()))
        self.check()


class TestWithoutTrash(DeletingCase):
    trash_s = 0.0

    def test_it_is_gone_at_once(self) -> None:
        self.create()
        self.do(events.DeleteParameters())
        self.assertEqual([], self.trashed())
        self.assertEqual({}, self.backend.storage.discarded)
        (alarm,) = self.alarms()
        self.assertIsNone(alarm.details['trash_until'])
        self.assertRegex(alarm.message, 'cannot be restored')


class TestEditing(DeletingCase):
    def edit(self, origin: Origin = Origin.PLATFORM, **changes: object):
        self.do(events.EditParameters(**changes), origin)
        return self.journal.get_volume('v')

    def test_only_what_is_named_changes(self) -> None:
        self.create(name='a', description='b', metadata={'c': 'd'})
        volume = self.edit(name='x')
        self.assertEqual(
            ('x', 'b', {'c': 'd'}),
            (volume.name, volume.description, dict(volume.metadata)),
        )
        volume = self.edit(description='', metadata={})
        self.assertEqual(
            ('x', '', {}),
            (volume.name, volume.description, dict(volume.metadata)),
        )

    def test_our_own_metadata_stays_unless_it_is_named(self) -> None:
        self.create(metadata={'virtdc.own': '1', 'user': '2'})
        volume = self.edit(metadata={'new': '3'})
        self.assertEqual(
            {'virtdc.own': '1', 'new': '3'}, dict(volume.metadata)
        )
        volume = self.edit(metadata={'virtdc.own': '4'})
        self.assertEqual({'virtdc.own': '4'}, dict(volume.metadata))

    def test_it_is_noted_who_changed_it_and_when(self) -> None:
        self.create()
        first = self.journal.get_volume('v')
        self.assertEqual(
            (Origin.CLOUD, Origin.CLOUD), (first.origin, first.changed_by)
        )
        edited = self.edit(name='x')
        self.assertEqual(
            (Origin.CLOUD, Origin.PLATFORM),
            (edited.origin, edited.changed_by),
        )
        self.assertEqual(
            self.journal.count().sequence, edited.changed_at_sequence
        )
        # An edit that changes nothing, and a host, are no change.
        self.assertEqual(edited, self.edit(Origin.CLOUD, name='x'))
        self.connect('compute-1')
        connected = self.journal.get_volume('v')
        self.assertIs(Origin.PLATFORM, connected.changed_by)
        self.assertEqual(
            edited.changed_at_sequence, connected.changed_at_sequence
        )

    def test_what_is_in_use_is_edited_too(self) -> None:
        self.create()
        self.connect('compute-1')
        self.assertEqual('x', self.edit(name='x').name)

    def test_metadata_has_a_bound(self) -> None:
        self.create(metadata={f'virtdc.{n}': '' for n in range(200)})
        self.refuse(
            '256 entries',
            events.EditParameters(metadata={f'{n}': '' for n in range(200)}),
        )

    def test_nothing_cannot_be_edited(self) -> None:
        self.refuse('no volume v', events.EditParameters(name='x'))
