"""What is stuck in Cinder is set right, and nothing else."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any
import unittest

from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.clock import FakeClock
from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.fake_repairs import FakeRepairs
from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.listener.follow import Follower
from cinder_virtdc.listener.rescue import Rescue
from cinder_virtdc.sync import recovery
from tests.unit.driver import builders
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation

GIB = 1024**3
GRACE_S = 60.0
OURS = {'virtdc.sequence': '3'}


class RescueCase(unittest.TestCase):
    def setUp(self) -> None:
        self.agent = FakeAgent(automatic=True)
        self.cloud = FakeCloud()
        self.repairs = FakeRepairs(self.cloud)
        self.clock = FakeClock()
        client = builders.client_of(self.agent)
        self.follower = Follower(client, lambda one: None)
        self.rescue = Rescue(
            client=client,
            cloud=self.cloud,
            repairs=self.repairs,
            clock=self.clock,
            grace_s=GRACE_S,
        )
        self._ids = 0

    def submit(
        self, parameters: events.Parameters, volume_id: str = 'v'
    ) -> str:
        """Have an event executed; return its id."""
        self._ids += 1
        event = dataclasses.replace(
            builders.event(),
            event_id=f'e{self._ids}',
            volume_id=volume_id,
            operation=events.operation_of(parameters),
            parameters=parameters,
        )
        self.agent.submit(event)
        return event.event_id

    def put(self, status: str, **changes: Any) -> CloudVolume:
        """Have a volume in Cinder."""
        described = {
            **{'volume_id': 'v', 'platform_id': 'v', 'status': status},
            **{'size_gib': 1, 'properties': OURS},
        }
        volume = CloudVolume(**described | changes)
        self.cloud.add(volume)
        return volume

    def put_snapshot(self, status: str, size_gib: int = 1) -> None:
        """Have a snapshot in Cinder."""
        self.repairs.add(
            CloudSnapshot(
                snapshot_id='s',
                volume_id='v',
                status=status,
                size_gib=size_gib,
            )
        )

    def have(self, size_gib: int = 1) -> None:
        """Have the volume in the data centre."""
        self.submit(events.CreateParameters(size_bytes=size_gib * GIB))

    def run_once(self) -> None:
        self.rescue.run(self.follower.catch_up, self.follower.latest)

    def run_twice(self) -> list[tuple[str, ...]]:
        """Look, and look again after the grace; return what was done."""
        self.run_once()
        self.assertEqual([], self.repairs.calls)
        self.clock.advance(GRACE_S)
        self.run_once()
        return self.repairs.calls


class TestVolumes(RescueCase):
    def test_extended_it_has_its_size_through_cinder(self) -> None:
        for is_attached, status in ((False, 'available'), (True, 'in-use')):
            with self.subTest(status):
                self.setUp()
                self.have()
                self.submit(events.ExtendParameters(size_bytes=3 * GIB))
                self.put('extending', is_attached=is_attached)
                self.assertEqual(
                    [('reset', 'v', status), ('extend', 'v', '3')],
                    self.run_twice(),
                )
                self.assertEqual(3, self.cloud.get_volume('v').size_gib)

    def test_not_extended_it_can_be_used_again(self) -> None:
        self.have()
        self.put('extending')
        self.assertEqual([('reset', 'v', 'available')], self.run_twice())

    def test_reverted_it_is_available_and_so_is_the_snapshot(self) -> None:
        self.have()
        self.submit(events.SnapshotParameters(snapshot_id='s'))
        self.submit(events.RevertParameters(snapshot_id='s'))
        self.put('reverting')
        self.put_snapshot('restoring')
        self.assertEqual(
            [
                ('reset', 'v', 'available'),
                ('reset snapshot', 's', 'available'),
            ],
            self.run_twice(),
        )

    def test_a_revert_that_did_not_succeed_is_an_error(self) -> None:
        self.have()
        self.submit(events.SnapshotParameters(snapshot_id='s'))
        self.put('reverting')
        self.assertEqual([('reset', 'v', 'error')], self.run_twice())

    def test_an_earlier_revert_is_not_this_one(self) -> None:
        self.have()
        self.submit(events.SnapshotParameters(snapshot_id='s'))
        event_id = self.submit(events.RevertParameters(snapshot_id='s'))
        ended_at = self.agent.latest(event_id).occurred_at
        self.put(
            'reverting', changed_at=ended_at + datetime.timedelta(minutes=2)
        )
        self.assertEqual([('reset', 'v', 'error')], self.run_twice())

    def test_a_deletion_is_finished_when_the_data_centre_has(self) -> None:
        self.put('deleting')
        self.assertEqual([('delete', 'v')], self.run_twice())

    def test_a_deletion_that_is_not_done_is_left_to_cinder(self) -> None:
        self.have()
        self.put('deleting')
        self.assertEqual([], self.run_twice())

    def test_other_backends_volumes_are_left_alone(self) -> None:
        for status in recovery.VOLUME_STATUSES:
            self.put(status, properties={})
            self.assertEqual([], self.run_twice())

    def test_what_runs_is_waited_for(self) -> None:
        self.have()
        self.agent.automatic = False
        event_id = self.submit(events.ExtendParameters(size_bytes=2 * GIB))
        self.put('extending')
        self.assertEqual([], self.run_twice())
        self.agent.run(event_id)
        self.assertEqual([], self.run_twice())
        self.agent.finish(event_id)
        self.assertEqual(2, len(self.run_twice()))


class TestSnapshots(RescueCase):
    def setUp(self) -> None:
        super().setUp()
        self.have()
        self.put('available')

    def test_one_that_was_taken_is_available(self) -> None:
        for status in ('creating', 'error'):
            with self.subTest(status):
                self.setUp()
                self.submit(events.SnapshotParameters(snapshot_id='s'))
                self.put_snapshot(status)
                self.assertEqual(
                    [('reset snapshot', 's', 'available')], self.run_twice()
                )

    def test_one_that_was_not_taken_or_is_another_stays(self) -> None:
        self.put_snapshot('error')
        self.assertEqual([], self.run_twice())
        self.submit(events.SnapshotParameters(snapshot_id='s'))
        self.put_snapshot('error', size_gib=2)
        self.assertEqual([], self.run_twice())

    def test_a_deletion_is_finished(self) -> None:
        """Whether it was begun or not: its owner asked for it."""
        for is_there in (False, True):
            with self.subTest(is_there=is_there):
                self.setUp()
                if is_there:
                    self.submit(events.SnapshotParameters(snapshot_id='s'))
                self.put_snapshot('deleting')
                self.assertEqual([('delete snapshot', 's')], self.run_twice())

    def test_other_backends_snapshots_are_left_alone(self) -> None:
        self.agent.volumes.clear()
        for status in recovery.SNAPSHOT_STATUSES:
            self.put_snapshot(status)
            self.assertEqual([], self.run_twice())

    def test_an_older_agent_is_not_asked_for_them(self) -> None:
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity, operations=frozenset({Operation.CREATE})
        )
        self.put_snapshot('deleting')
        self.assertEqual([], self.run_twice())
        self.assertNotIn('get_snapshots', self.agent.calls)

    def test_of_a_volume_that_is_gone(self) -> None:
        self.put_snapshot('deleting')
        self.cloud.volumes.clear()
        self.assertEqual([], self.run_twice())


class TestSecondLook(RescueCase):
    def setUp(self) -> None:
        super().setUp()
        self.have()
        self.put('extending')

    def test_what_changes_begins_anew(self) -> None:
        self.run_once()
        self.clock.advance(GRACE_S)
        self.submit(events.ExtendParameters(size_bytes=2 * GIB))
        self.run_once()
        self.assertEqual([], self.repairs.calls)
        self.clock.advance(GRACE_S)
        self.run_once()
        self.assertIn(('extend', 'v', '2'), self.repairs.calls)

    def test_what_was_not_so_in_between_begins_anew(self) -> None:
        self.run_once()
        self.put('available')
        self.run_once()
        self.put('extending')
        self.assertEqual([('reset', 'v', 'available')], self.run_twice())

    def test_what_cinder_has_done_meanwhile_is_left(self) -> None:
        self.run_once()
        self.clock.advance(GRACE_S)
        listed = list(self.cloud.list_volumes(status='extending'))
        self.put('available')
        self.cloud.list_volumes = lambda **query: iter(
            listed if query['status'] == 'extending' else []
        )
        self.run_once()
        self.assertEqual([], self.repairs.calls)

    def test_what_cinder_refuses_is_tried_again(self) -> None:
        self.repairs.failures = [exceptions.NotNow('not now')]
        self.run_twice()
        self.repairs.calls.clear()
        self.assertEqual([('reset', 'v', 'available')], self.run_twice())

    def test_nothing_is_concluded_when_one_side_is_silent(self) -> None:
        self.run_once()
        self.clock.advance(GRACE_S)
        self.agent.is_down = True
        with self.assertRaises(exceptions.AgentUnreachable):
            self.run_once()
        self.assertEqual([], self.repairs.calls)

    def test_the_data_centre_is_asked_only_if_something_may_be(self) -> None:
        self.cloud.volumes.clear()
        self.agent.calls.clear()
        self.run_once()
        self.assertEqual([], self.agent.calls)
