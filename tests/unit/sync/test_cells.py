"""Every cell of the table: what the data centre does, the cloud shows."""

from __future__ import annotations

import unittest

from cinder_virtdc.sync.policy import Policy
from cinder_virtdc.translate import GIB
from tests.unit.sync.world import World
from virtdc_agent.contract import catalogue
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Reason

DELETED = catalogue.VOLUME_DELETED.kind
SIZE = catalogue.SIZE_NOT_SYNCHRONISED.kind


class SyncTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.world = self.make_world()
        self.agent, self.cloud = self.world.agent, self.world.cloud
        self.world.create()
        self.listener.resync()

    def make_world(self) -> World:
        return World()

    @property
    def listener(self):
        return self.world.listeners[0]

    def tell(self) -> None:
        """Let the news arrive, and the listener act."""
        self.world.deliver()
        self.listener.work()

    def volume(self):
        return self.cloud.volumes['volume-1']

    def begin(self, parameters: events.Parameters) -> str:
        """Let the data centre begin something, for so long that it shows."""
        event = self.agent.platform('volume-1', parameters)
        self.agent.run(event.event_id, 40)
        self.tell()
        self.world.clock.advance(2)
        self.listener.work()
        return event.event_id


class ResizeTest(SyncTestCase):
    grow = events.ExtendParameters(size_bytes=3 * GIB)

    def test_while_it_runs(self) -> None:
        self.begin(self.grow)
        self.assertEqual('attaching', self.volume().status)
        shown = self.world.shown()
        self.assertEqual('running', shown['virtdc.state'])
        self.assertEqual('extend', shown['virtdc.operation'])
        self.assertEqual('40 %', shown['virtdc.progress'])
        self.assertEqual(1, self.volume().size_gib)

    def test_what_takes_a_moment_is_not_held(self) -> None:
        self.world.platform('volume-1', self.grow)
        self.tell()
        self.assertNotIn(('volume-1', 'reserve'), self.cloud.writes)

    def test_success(self) -> None:
        self.agent.finish(self.begin(self.grow))
        self.tell()
        self.assertEqual(3, self.volume().size_gib)
        self.assertEqual('available', self.volume().status)
        self.assertNotIn('virtdc.held', self.world.shown())
        self.assertEqual('success', self.world.shown()['virtdc.state'])

    def test_failure(self) -> None:
        self.agent.fail(self.begin(self.grow), message='The storage is full.')
        self.tell()
        self.assertEqual(1, self.volume().size_gib)
        self.assertEqual('available', self.volume().status)
        shown = self.world.shown()
        self.assertEqual('failed', shown['virtdc.state'])
        self.assertEqual('The storage is full.', shown['virtdc.message'])

    def test_attached(self) -> None:
        self.world.change('volume-1', status='in-use', is_attached=True)
        event_id = self.begin(self.grow)
        self.assertEqual('in-use', self.volume().status)
        self.agent.finish(event_id)
        self.tell()
        self.assertEqual(3, self.volume().size_gib)

    def test_between_two_gib_both_become_whole(self) -> None:
        self.world.platform(
            'volume-1', events.ExtendParameters(size_bytes=GIB * 3 // 2)
        )
        self.tell()
        self.assertEqual(2, self.volume().size_gib)
        self.assertEqual(2 * GIB, self.agent.volumes['volume-1'].size_bytes)

    def test_somebody_was_faster_than_our_reservation(self) -> None:
        self.cloud.failures.clear()
        event = self.agent.platform('volume-1', self.grow)
        self.tell()
        self.world.change('volume-1', status='reserved')
        self.cloud.reserved.add('volume-1')
        self.world.clock.advance(2)
        self.listener.work()
        self.assertEqual('reserved', self.volume().status)
        self.agent.finish(event.event_id)
        self.tell()
        self.assertEqual('reserved', self.volume().status)
        self.assertNotIn('virtdc.held', self.world.shown())

    def test_a_reservation_of_somebody_else_is_not_taken_back(self) -> None:
        event = self.agent.platform('volume-1', self.grow)
        self.tell()
        # The listener died between its mark and its reservation.
        self.world.change(
            'volume-1',
            status='attaching',
            properties={**self.world.shown(), 'virtdc.held': event.event_id},
        )
        self.cloud.reserved.add('volume-1')
        self.agent.finish(event.event_id)
        self.tell()
        self.assertEqual('attaching', self.volume().status)

    def test_a_quota_that_is_too_small(self) -> None:
        self.cloud.quota_gib = 2
        self.world.platform('volume-1', self.grow)
        self.tell()
        self.assertEqual(1, self.volume().size_gib)
        self.assertIn(
            'quota', self.agent.alarms.raised[SIZE, 'volume-1'].message
        )
        self.assertEqual('success', self.world.shown()['virtdc.state'])
        self.cloud.quota_gib = 10
        self.listener.resync()
        self.world.clock.advance(70)
        self.listener.work()
        self.assertEqual(3, self.volume().size_gib)
        self.assertNotIn((SIZE, 'volume-1'), self.agent.alarms.raised)

    def test_a_scheduler_that_refuses(self) -> None:
        self.cloud.extends = lambda volume_id, size_gib: False
        self.world.platform('volume-1', self.grow)
        self.tell()
        self.assertNotIn((SIZE, 'volume-1'), self.agent.alarms.raised)
        for _ in range(5):
            self.world.clock.advance(70)
            self.listener.work()
        self.assertIn((SIZE, 'volume-1'), self.agent.alarms.raised)


class EditTest(SyncTestCase):
    def edit(self, **wanted: object) -> None:
        self.world.platform('volume-1', events.EditParameters(**wanted))

    def test_success(self) -> None:
        self.edit(name='new', description='Text.', metadata={'a': 'b'})
        self.tell()
        volume = self.volume()
        self.assertEqual('new', volume.name)
        self.assertEqual('Text.', volume.description)
        shown = self.world.shown()
        self.assertEqual('b', shown['a'])
        self.assertNotIn('mine', shown)
        self.assertEqual('edit', shown['virtdc.operation'])
        self.assertEqual('success', shown['virtdc.state'])

    def test_failure(self) -> None:
        event = self.agent.platform(
            'volume-1', events.EditParameters(name='new')
        )
        self.agent.fail(event.event_id, Reason.REJECTED, 'Not this name.')
        self.tell()
        self.assertEqual('first', self.volume().name)
        self.assertEqual(
            'Not this name.', self.world.shown()['virtdc.message']
        )

    def test_nothing_is_sent_back(self) -> None:
        self.edit(name='new', metadata={'a': 'b'})
        for _ in range(3):
            self.tell()
            self.listener.resync()
        self.assertEqual(2, len(self.agent.events))

    def test_our_properties_are_not_sent(self) -> None:
        self.world.change('volume-1', name='mine')
        self.listener.resync()
        self.world.settle()
        metadata = self.agent.volumes['volume-1'].metadata
        self.assertEqual(
            {'mine': '1', 'virtdc.volume_type': 'gold'}, dict(metadata)
        )

    def test_an_edit_in_the_cloud(self) -> None:
        self.world.change(
            'volume-1',
            name='cloudy',
            description='From above.',
            properties={**self.world.shown(), 'mine': '2'},
            volume_type='silver',
        )
        self.world.settle()
        volume = self.agent.volumes['volume-1']
        self.assertEqual('cloudy', volume.name)
        self.assertEqual('From above.', volume.description)
        self.assertEqual('2', volume.metadata['mine'])
        self.assertEqual('silver', volume.metadata['virtdc.volume_type'])
        self.assertEqual(2, len(self.agent.events))
        self.assertEqual('cloudy', self.volume().name)
        self.assertNotIn('virtdc.told', self.world.shown())

    def test_both_sides_edit_different_fields(self) -> None:
        self.world.change('volume-1', description='From above.')
        self.edit(name='below')
        self.world.settle()
        for volume in (self.volume(), self.agent.volumes['volume-1']):
            self.assertEqual('below', volume.name)
            self.assertEqual('From above.', volume.description)
        self.assertNotIn('virtdc.conflict', self.world.shown())

    def test_both_sides_edit_the_same_field(self) -> None:
        self.world.change('volume-1', name='above')
        self.edit(name='below')
        with self.assertLogs(
            'cinder_virtdc.listener.hands', 'WARNING'
        ) as logs:
            self.tell()
        self.assertIn("'above'", logs.output[0])
        self.world.settle()
        self.assertEqual('below', self.volume().name)
        self.assertEqual('below', self.agent.volumes['volume-1'].name)
        self.assertIn('above', self.world.shown()['virtdc.conflict'])
        # It is shown until somebody edits again.
        self.edit(name='later')
        self.world.settle()
        self.assertNotIn('virtdc.conflict', self.world.shown())

    def test_what_cinder_cannot_hold_stays_in_the_data_centre(self) -> None:
        self.edit(metadata={'a/b': '1', 'ok': 'x'})
        self.tell()
        self.assertNotIn('a/b', self.world.shown())
        self.world.change(
            'volume-1', properties={**self.world.shown(), 'ok': 'y'}
        )
        self.world.settle()
        metadata = self.agent.volumes['volume-1'].metadata
        self.assertEqual('1', metadata['a/b'])
        self.assertEqual('y', metadata['ok'])


class DeleteTest(SyncTestCase):
    gone = events.DeleteParameters()

    def delete(self) -> None:
        self.world.platform('volume-1', self.gone)
        self.tell()

    def test_while_it_runs(self) -> None:
        self.begin(self.gone)
        self.assertEqual('attaching', self.volume().status)
        self.assertEqual('delete', self.world.shown()['virtdc.operation'])

    def test_failure(self) -> None:
        self.agent.fail(self.begin(self.gone))
        self.tell()
        self.assertEqual('available', self.volume().status)
        self.assertNotIn('virtdc.alarm', self.world.shown())

    def test_success(self) -> None:
        self.agent.finish(self.begin(self.gone))
        self.tell()
        self.assertEqual('error', self.volume().status)
        shown = self.world.shown()
        self.assertEqual(DELETED, shown['virtdc.alarm'])
        self.assertIn('by operator', shown['virtdc.alarm_message'])
        self.assertIn('trash', shown['virtdc.alarm_message'])
        self.assertEqual('1', shown['mine'])

    def test_in_use(self) -> None:
        self.world.change('volume-1', status='in-use', is_attached=True)
        self.delete()
        self.assertEqual('in-use', self.volume().status)
        self.assertEqual(DELETED, self.world.shown()['virtdc.alarm'])
        # As soon as nobody has it.
        self.world.change('volume-1', status='available', is_attached=False)
        self.world.settle()
        self.assertEqual('error', self.volume().status)

    def test_restore(self) -> None:
        self.delete()
        self.remedy(Policy.RESTORE)
        self.assertEqual('available', self.volume().status)
        shown = self.world.shown()
        for key in ('alarm', 'alarm_message', 'former_status'):
            self.assertNotIn(f'virtdc.{key}', shown)
        self.assertEqual({}, self.agent.alarms.raised)

    def test_recreate(self) -> None:
        self.delete()
        self.remedy(Policy.RECREATE)
        self.assertEqual('available', self.volume().status)
        self.assertEqual(GIB, self.agent.volumes['volume-1'].size_bytes)
        self.assertNotIn('virtdc.alarm', self.world.shown())

    def test_forget(self) -> None:
        self.delete()
        self.remedy(Policy.FORGET)
        self.assertEqual({}, self.cloud.volumes)
        self.assertEqual({}, self.agent.alarms.raised)

    def test_a_remedy_twice_is_one(self) -> None:
        self.delete()
        alarm = self.agent.alarms.raised[DELETED, 'volume-1']
        for _ in range(2):
            self.listener.parts.remedies.apply(
                Policy.RESTORE,
                self.volume(),
                alarm,
                now=self.world.clock.now(),
            )
        self.assertEqual(3, len(self.agent.events))

    def test_deleted_and_restored_again_and_again(self) -> None:
        for _ in range(3):
            self.delete()
            self.assertEqual('error', self.volume().status)
            self.remedy(Policy.RESTORE)
            self.assertEqual('available', self.volume().status)

    def remedy(self, policy: Policy) -> None:
        self.listener.keeper.catch_up()
        self.listener.parts.remedies.apply(
            policy,
            self.volume(),
            self.agent.alarms.raised[DELETED, 'volume-1'],
            now=self.world.clock.now(),
        )
        self.world.finish_all()
        self.tell()


class ByConfigurationTest(unittest.TestCase):
    def end(self, policy: Policy) -> World:
        world = World(policy=policy)
        world.create()
        world.listeners[0].resync()
        world.platform('volume-1', events.DeleteParameters())
        world.settle()
        return world

    def test_restore(self) -> None:
        world = self.end(Policy.RESTORE)
        self.assertEqual('available', world.cloud.volumes['volume-1'].status)
        self.assertIn('volume-1', world.agent.volumes)

    def test_recreate(self) -> None:
        world = self.end(Policy.RECREATE)
        self.assertEqual('available', world.cloud.volumes['volume-1'].status)
        self.assertIn('volume-1', world.agent.volumes)

    def test_forget(self) -> None:
        world = self.end(Policy.FORGET)
        self.assertEqual({}, world.cloud.volumes)
        self.assertEqual({}, world.agent.alarms.raised)
