from __future__ import annotations

import dataclasses
import unittest

from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.clock import FakeClock
from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.listener.keeper import Intervals
from cinder_virtdc.listener.keeper import Keeper
from cinder_virtdc.listener.parts import Manner
from cinder_virtdc.listener.parts import Parts
from cinder_virtdc.listener.writer import Pace
from tests.unit.driver import builders
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Operation

GIB = 1024**3


class KeeperTestCase(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = FakeClock()
        self.agent = FakeAgent()
        # Names and metadata have tests of their own.
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity,
            operations=self.agent.capacity.operations - {Operation.EDIT},
        )
        self.cloud = FakeCloud()
        self.keeper = self.make_keeper()

    def make_keeper(self, *hosts: str) -> Keeper:
        self.parts = Parts.of(
            clock=self.clock,
            cloud=self.cloud,
            client=builders.client_of(self.agent),
            manner=Manner(hosts=hosts, pace=Pace(min_interval_s=0, duty=1.0)),
        )
        self.writer = self.parts.writer
        keeper = self.parts.keeper(
            Intervals(catch_up_s=10, repair_s=15, resync_s=300)
        )
        self.addCleanup(self.writer.stop)
        self.addCleanup(keeper.stop)
        self.agent.subscribers[:] = [keeper.offer]
        return keeper

    def add(
        self, number: int = 1, status: str = 'creating', host: str = 'h@b'
    ) -> str:
        """Put a volume into Cinder, and its create into the agent."""
        volume_id = f'volume-{number}'
        self.cloud.add(
            CloudVolume(
                volume_id=volume_id,
                platform_id=volume_id,
                status=status,
                size_gib=1,
                properties={'mine': '1'},
            ),
            host,
        )
        self.agent.submit(
            builders.event(
                f'event-{number}',
                events.CreateParameters(size_bytes=GIB),
                volume_id=volume_id,
            )
        )
        return f'event-{number}'

    def copy(self, number: int, source: str) -> str:
        """Put a copy in error into Cinder, and its clone into the agent."""
        volume_id = f'volume-{number}'
        self.cloud.add(
            CloudVolume(
                volume_id=volume_id,
                platform_id=volume_id,
                status='error',
                size_gib=2,
                properties={},
                is_copy=True,
            )
        )
        self.agent.submit(
            builders.event(
                f'event-{number}',
                events.CloneParameters(source_id=source, size_bytes=2 * GIB),
                volume_id=volume_id,
            )
        )
        return f'event-{number}'

    def state(self, number: int = 1) -> str | None:
        volume = self.cloud.volumes[f'volume-{number}']
        return volume.properties.get('virtdc.state')

    def status(self, number: int = 1) -> str:
        return self.cloud.volumes[f'volume-{number}'].status


class StepsTest(KeeperTestCase):
    """Each thing it does, without its thread."""

    def setUp(self) -> None:
        super().setUp()
        self.writer.start()

    def test_a_notification_is_shown(self) -> None:
        self.add()
        self.cloud.await_writes(1)
        self.assertEqual('waiting', self.state())

    def test_the_first_comparison_shows_only_what_is_not(self) -> None:
        self.agent.tells = False
        for number in range(1, 4):
            self.agent.finish(self.add(number))
        self.keeper.resync()
        self.cloud.await_writes(3)
        again = self.make_keeper()
        self.writer.start()
        again.resync()
        self.assertEqual(3, len(self.cloud.writes))
        self.agent.tells = True
        self.agent.submit(
            builders.event(
                'e', events.DeleteParameters(), volume_id='volume-1'
            )
        )
        self.cloud.await_writes(4)

    def test_what_was_not_told_is_caught_up(self) -> None:
        event_id = self.add()
        self.cloud.await_writes(1)
        self.agent.tells = False
        self.agent.finish(event_id)
        self.keeper.catch_up()
        self.cloud.await_writes(2)
        self.assertEqual('success', self.state())

    def test_what_someone_changed_is_put_right(self) -> None:
        self.agent.finish(self.add())
        self.keeper.resync()
        volume = self.cloud.volumes['volume-1']
        self.cloud.add(dataclasses.replace(volume, properties={'mine': '2'}))
        count = len(self.cloud.writes)
        self.keeper.resync()
        self.cloud.await_writes(count + 1)
        self.assertEqual('success', self.state())
        self.assertEqual(
            '2', self.cloud.volumes['volume-1'].properties['mine']
        )

    def test_a_create_that_outlived_cinder_volume(self) -> None:
        self.agent.finish(self.add(status='error'))
        self.keeper.repair()
        self.assertEqual('available', self.status())
        self.keeper.repair()
        self.assertEqual(
            1, self.cloud.writes.count(('volume-1', 'make available'))
        )

    def test_a_copy_that_outlived_cinder_volume(self) -> None:
        self.agent.finish(self.add(1))
        self.agent.finish(self.copy(2, source='volume-1'))
        self.keeper.repair()
        self.assertEqual('available', self.status(2))
        self.assertEqual('creating', self.status(1))

    def test_a_copy_of_what_is_gone_stays_in_error(self) -> None:
        self.agent.fail(self.copy(2, source='volume-1'))
        self.keeper.repair()
        self.assertEqual('error', self.status(2))

    def test_what_is_done_with_snapshots_is_shown_on_their_volume(
        self,
    ) -> None:
        self.add(status='available')
        self.cloud.await_writes(1)
        for number, parameters in enumerate(
            (
                events.SnapshotParameters(snapshot_id='snapshot-1'),
                events.RevertParameters(snapshot_id='snapshot-1'),
                events.DeleteSnapshotParameters(snapshot_id='snapshot-1'),
            )
        ):
            event = builders.event(f'e-{number}', parameters)
            writes = len(self.cloud.writes)
            self.agent.submit(event)
            self.cloud.await_writes(writes + 1)
            self.agent.finish(event.event_id)
            self.cloud.await_writes(writes + 2)
            shown = self.cloud.volumes['volume-1'].properties
            self.assertEqual('success', shown['virtdc.state'])
            self.assertEqual(event.operation, shown['virtdc.operation'])

    def test_a_failed_create_stays_in_error(self) -> None:
        self.agent.fail(self.add(status='error'))
        self.keeper.repair()
        self.keeper.resync()
        self.assertEqual('error', self.status())
        # Nothing to repair: the data centre is not asked for the volume.
        self.assertEqual(0, self.agent.calls.count('get_volume'))

    def test_a_deletion_not_told_yet_is_not_overlooked(self) -> None:
        self.agent.finish(self.add(status='error'))
        self.agent.tells = False
        self.agent.submit(
            builders.event(
                'e', events.DeleteParameters(), volume_id='volume-1'
            )
        )
        self.keeper.repair()
        self.assertEqual('error', self.status())

    def test_it_looks_once_more_before_it_acts(self) -> None:
        self.agent.finish(self.add(status='error'))
        listed = self.cloud.volumes['volume-1']
        self.cloud.add(dataclasses.replace(listed, status='deleting'))
        self.parts.syncer.sync('volume-1')
        self.assertEqual('deleting', self.status())

    def test_one_that_vanishes_meanwhile_is_left_alone(self) -> None:
        self.agent.finish(self.add(status='error'))
        self.cloud.volumes.pop('volume-1')
        with self.assertRaises(exceptions.VolumeGone):
            self.parts.syncer.sync('volume-1')
        self.assertEqual({}, self.cloud.volumes)

    def test_only_the_backends_of_this_data_centre(self) -> None:
        keeper = self.make_keeper('h@b')
        self.agent.finish(self.add(1, status='error'))
        self.agent.finish(self.add(2, status='error', host='h@other'))
        keeper.repair()
        self.assertEqual('available', self.status(1))
        self.assertEqual('error', self.status(2))

    def test_without_one_side_nothing_is_concluded(self) -> None:
        self.agent.finish(self.add(status='error'))
        self.agent.is_down = True
        for step in (
            self.keeper.resync,
            self.keeper.repair,
            self.keeper.catch_up,
        ):
            with self.subTest(step=step.__name__):
                self.assertRaises(exceptions.AgentUnreachable, step)
        self.assertEqual('error', self.status())


class ThreadTest(KeeperTestCase):
    """When it does what."""

    def setUp(self) -> None:
        super().setUp()
        self.writer.start()

    def advance(self, seconds: float) -> None:
        self.assertTrue(self.clock.await_waiters(1))
        self.clock.advance(seconds)

    def test_it_begins_with_a_comparison(self) -> None:
        self.agent.tells = False
        self.agent.finish(self.add())
        self.keeper.start()
        self.cloud.await_writes(1)
        self.assertEqual('success', self.state())

    def test_a_gap_is_closed_soon(self) -> None:
        self.add()
        # Else what follows may overtake it, and be one write with it.
        self.cloud.await_writes(1)
        self.keeper.start()
        self.assertTrue(self.clock.await_waiters(1))
        asked = self.agent.calls.count('get_changes')
        self.agent.tells = False
        event_id = self.add(2)
        self.agent.run(event_id)
        self.agent.tells = True
        self.agent.run('event-1')
        self.advance(1)
        self.agent.await_calls('get_changes', asked + 1)
        self.cloud.await_writes(3)

    def test_a_gap_that_closes_by_itself_costs_nothing(self) -> None:
        told: list[Notification] = []
        self.keeper.start()
        self.assertTrue(self.clock.await_waiters(1))
        self.agent.subscribers[:] = [told.append]
        self.add(1)
        self.add(2)
        asked = self.agent.calls.count('get_changes')
        for notification in reversed(told):
            self.keeper.offer(notification)
        self.advance(2)
        self.assertTrue(self.clock.await_waiters(1))
        self.assertEqual(asked, self.agent.calls.count('get_changes'))

    def test_the_last_message_lost_is_noticed_too(self) -> None:
        event_id = self.add()
        self.cloud.await_writes(1)
        self.keeper.start()
        self.assertTrue(self.clock.await_waiters(1))
        self.agent.tells = False
        self.agent.finish(event_id)
        self.advance(10)
        self.cloud.await_writes(2)
        self.assertEqual('success', self.state())

    def test_repairs_come_in_their_time(self) -> None:
        self.agent.finish(self.add())
        self.keeper.start()
        self.assertTrue(self.clock.await_waiters(1))
        volume = self.cloud.volumes['volume-1']
        self.cloud.add(dataclasses.replace(volume, status='error'))
        self.advance(10)
        self.advance(5)
        self.agent.await_calls('get_volume', 1)
        self.assertTrue(self.clock.await_waiters(1))
        self.keeper.stop()
        self.assertEqual('available', self.status())

    def test_an_agent_that_comes_later(self) -> None:
        self.agent.tells = False
        self.agent.finish(self.add())
        self.agent.is_down = True
        with self.assertLogs('cinder_virtdc.listener.keeper', 'INFO') as logs:
            self.keeper.start()
            self.advance(1)
            self.advance(2)
            self.assertTrue(self.clock.await_waiters(1))
            self.agent.is_down = False
            self.clock.advance(4)
            self.cloud.await_writes(1)
            self.keeper.stop()
        self.assertEqual(
            ['WARNING', 'INFO'], [one.levelname for one in logs.records]
        )

    def test_a_bug_does_not_end_it(self) -> None:
        self.agent.history.append(None)  # type: ignore
        with self.assertLogs('cinder_virtdc.listener.keeper', 'ERROR'):
            self.keeper.start()
            self.assertTrue(self.clock.await_waiters(1))
        self.agent.history.clear()
        self.agent.tells = False
        self.agent.finish(self.add())
        self.clock.advance(1)
        self.cloud.await_writes(1)
