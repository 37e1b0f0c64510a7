"""What the data centre makes is managed into the cloud, once."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any
import unittest
import uuid

from hypothesis import given
from hypothesis import strategies as st

from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.clock import FakeClock
from cinder_virtdc.cloud.fake_adopting import FakeAdopting
from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.fake_repairs import FakeRepairs
from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.listener import adopter as adopters
from cinder_virtdc.listener.adopter import Adopter
from cinder_virtdc.listener.adopter import Into
from cinder_virtdc.listener.parts import Manner
from cinder_virtdc.listener.parts import Parts
from cinder_virtdc.listener.writer import Pace
from cinder_virtdc.sync import adoptions
from cinder_virtdc.sync import properties
from tests.unit.driver import builders
from virtdc_agent.contract import events
from virtdc_agent.contract.events import CLOUD_ID
from virtdc_agent.contract.events import Origin

GIB = 1024**3
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ID = '7c9e6679-7425-40de-944b-e07fc1f90ae7'


def volume(**changes: Any) -> events.Volume:
    return events.Volume(
        **{
            'volume_id': ID,
            'size_bytes': GIB,
            'format': events.Format.RAW,
            'provisioning': events.Provisioning.THIN,
            'created_at': NOW,
            'updated_at': NOW,
            'origin': Origin.PLATFORM,
            **changes,
        }
    )


def snapshot(**changes: Any) -> events.Snapshot:
    return events.Snapshot(
        **{
            'snapshot_id': 's',
            'volume_id': ID,
            'size_bytes': GIB,
            'format': events.Format.RAW,
            'created_at': NOW,
            'origin': Origin.PLATFORM,
            **changes,
        }
    )


def record(**changes: Any) -> CloudVolume:
    """Return what Cinder has begun to manage."""
    return CloudVolume(
        **{
            'volume_id': 'c',
            'platform_id': 'c',
            'status': 'creating',
            'size_gib': 1,
            'properties': {properties.PLATFORM_ID: ID},
            'changed_at': NOW,
            **changes,
        }
    )


def kept(**changes: Any) -> CloudSnapshot:
    return CloudSnapshot(
        **{
            'snapshot_id': 't',
            'volume_id': 'c',
            'status': 'creating',
            'size_gib': 1,
            'properties': {properties.PLATFORM_ID: 's'},
            'changed_at': NOW,
            **changes,
        }
    )


LATE = NOW - adoptions.LOST - datetime.timedelta(seconds=1)
MARKED = {CLOUD_ID: 'c'}
VOLUMES: list[tuple[str, events.Volume, list[CloudVolume], Any]] = [
    ('new', volume(), [], adoptions.Manage()),
    ('of the cloud', volume(origin=Origin.CLOUD), [], adoptions.Leave()),
    ('given up', volume(metadata={CLOUD_ID: ''}), [], adoptions.Leave()),
    (
        'managed',
        volume(metadata=MARKED),
        [record(platform_id=ID, status='available')],
        adoptions.Managed('c'),
    ),
    (
        'of the cloud, for its snapshots',
        volume(origin=Origin.CLOUD),
        [record(platform_id=ID, volume_id=ID, status='available')],
        adoptions.Managed(ID),
    ),
    ('begun', volume(), [record()], adoptions.Wait()),
    ('begun, marked', volume(metadata=MARKED), [record()], adoptions.Wait()),
    ('begun long ago', volume(), [record(changed_at=LATE)], 'GiveUp'),
    ('failed', volume(), [record(status='error')], adoptions.Clean('c')),
    (
        'died before Cinder knew',
        volume(metadata=MARKED),
        [record(status='error')],
        adoptions.Clean('c'),
    ),
    (
        'and was cleaned',
        volume(metadata=MARKED),
        [],
        adoptions.Manage(instead_of='c'),
    ),
    (
        'by hand, and failed',
        volume(metadata=MARKED),
        [record(status='error', properties={})],
        'Leave',
    ),
    ("somebody else's record", volume(), [record(properties={})], 'Manage'),
    ('in use', volume(attached_to=('compute-1',)), [], 'Leave'),
    ('no UUID', volume(volume_id='disk'), [], 'Leave'),
]
SNAPSHOTS: list[tuple[str, events.Snapshot, list[CloudSnapshot], Any]] = [
    ('new', snapshot(), [], adoptions.Manage()),
    ('of the cloud', snapshot(origin=Origin.CLOUD), [], adoptions.Leave()),
    ('given up', snapshot(metadata={CLOUD_ID: ''}), [], adoptions.Leave()),
    ('begun', snapshot(), [kept()], adoptions.Wait()),
    ('begun long ago', snapshot(), [kept(changed_at=LATE)], 'GiveUp'),
    ('failed', snapshot(), [kept(status='error')], adoptions.Clean('t')),
    (
        'managed',
        snapshot(metadata={CLOUD_ID: 't'}),
        [kept(status='available')],
        adoptions.Managed('t'),
    ),
    (
        'managed, and in error since',
        snapshot(metadata={CLOUD_ID: 't'}),
        [kept(status='error')],
        'Leave',
    ),
    (
        'gone from the cloud',
        snapshot(metadata={CLOUD_ID: 't'}),
        [],
        adoptions.Manage(instead_of='t'),
    ),
]


class TestDecisions(unittest.TestCase):
    def check(self, wanted: Any, action: Any) -> None:
        if isinstance(wanted, str):
            self.assertEqual(wanted, type(action).__name__)
            if isinstance(action, adoptions.Leave):
                self.assertTrue(action.reason)
        else:
            self.assertEqual(wanted, action)

    def test_volumes(self) -> None:
        for name, made, records, wanted in VOLUMES:
            with self.subTest(name):
                self.check(
                    wanted,
                    adoptions.of_volume(made, records, latest=None, now=NOW),
                )

    def test_snapshots(self) -> None:
        for name, made, records, wanted in SNAPSHOTS:
            with self.subTest(name):
                self.check(
                    wanted, adoptions.of_snapshot(made, records, now=NOW)
                )


class World(unittest.TestCase):
    """Both sides, and listeners that share the agent's marks."""

    def setUp(self) -> None:
        self.clock = FakeClock()
        self.agent = FakeAgent(automatic=True)
        self.cloud = FakeCloud()
        self.repairs = FakeRepairs(self.cloud)
        self.client = builders.client_of(self.agent)
        self.cinder = FakeAdopting(self.cloud, self.repairs, self.client)
        self.listeners = [self.listener() for _ in range(2)]

    def listener(self) -> Parts:
        parts = Parts.of(
            clock=self.clock,
            cloud=self.cloud,
            client=self.client,
            repairs=self.repairs,
            adopting=self.cinder,
            manner=Manner(
                pace=Pace(min_interval_s=0, duty=1.0),
                into=Into(project_id='project', volume_type='gold'),
            ),
        )
        return parts

    def adopter(self, number: int = 0) -> Adopter:
        found = self.listeners[number].adopter
        assert found is not None
        return found

    def platform(
        self, parameters: events.Parameters, volume_id: str = ID
    ) -> None:
        self.agent.submit(
            dataclasses.replace(
                builders.event(),
                event_id=str(uuid.uuid4()),
                operation=events.operation_of(parameters),
                volume_id=volume_id,
                origin=Origin.PLATFORM,
                parameters=parameters,
            )
        )

    def make(self, **said: Any) -> None:
        self.platform(
            events.CreateParameters(
                **{'size_bytes': GIB, 'name': 'disk', **said}
            )
        )

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.agent.marks.now_s += seconds

    def compare(self) -> None:
        for parts in self.listeners:
            parts.comparison.run()

    def go(self, *, looks: int = 4) -> None:
        """Let both sides and all listeners go on for some seconds."""
        for _ in range(looks):
            for parts in self.listeners:
                if parts.adopter:
                    parts.adopter.run_due()
                parts.syncer.drain()
                parts.writer.drain()
            self.cinder.work()
            self.pass_time(5)

    def record(self) -> CloudVolume:
        (found,) = self.cloud.volumes.values()
        return found

    def alarms(self) -> list[tuple[str, str]]:
        return list(self.agent.alarms.raised)


class TestAdopter(World):
    def test_a_volume(self) -> None:
        self.make(metadata={'mine': '1'}, size_bytes=GIB + 1)
        self.compare()
        self.go()
        record = self.record()
        self.assertEqual(
            ('available', ID, 'disk', 2, 'project', 'gold'),
            (
                record.status,
                record.platform_id,
                record.name,
                record.size_gib,
                record.project_id,
                record.volume_type,
            ),
        )
        self.assertEqual('1', record.properties['mine'])
        self.assertEqual(1, len(self.cinder.asked))
        # Nothing is sent back, now or later.
        before = len(self.agent.events), list(self.cloud.writes)
        self.compare()
        self.go()
        self.assertEqual(before[0], len(self.agent.events))
        self.assertEqual([], self.alarms())
        self.assertEqual(1, len(self.cinder.asked))

    def test_by_a_notification(self) -> None:
        self.compare()
        router = self.listeners[0].router
        self.agent.subscribers.append(
            lambda one: (
                router.take(one) if isinstance(one, events.Transition) else ()
            )
        )
        self.make()
        self.go()
        self.assertEqual('available', self.record().status)
        self.platform(events.SnapshotParameters(snapshot_id='s', name='then'))
        self.go()
        (kept,) = self.repairs.snapshots.values()
        self.assertEqual('available', kept.status)
        self.assertEqual(
            {CLOUD_ID: kept.snapshot_id}, self.agent.snapshots['s'].metadata
        )

    def test_a_snapshot_of_a_volume_of_the_cloud(self) -> None:
        self.agent.submit(
            builders.event(
                'made', events.CreateParameters(size_bytes=GIB), volume_id=ID
            )
        )
        self.cloud.add(
            CloudVolume(
                volume_id=ID,
                platform_id=ID,
                status='available',
                size_gib=1,
                properties={},
                project_id='theirs',
            )
        )
        self.platform(events.SnapshotParameters(snapshot_id='s', name='then'))
        self.compare()
        self.go()
        self.assertEqual(
            [('theirs', 'then')],
            [(one.project_id, one.name) for one in self.cinder.asked],
        )
        self.assertEqual([ID], list(self.cloud.volumes))
        # What is given up is not managed once more.
        self.platform_snapshot_given_up()
        self.compare()
        self.go()
        self.assertEqual(1, len(self.cinder.asked))

    def platform_snapshot_given_up(self) -> None:
        self.agent.snapshots['s'] = dataclasses.replace(
            self.agent.snapshots['s'], metadata={CLOUD_ID: ''}
        )
        self.repairs.snapshots.clear()

    def test_what_is_refused_is_an_alarm_and_is_tried_later(self) -> None:
        self.cinder.failures = [
            exceptions.TooMuch('The quota is too small.')
        ] * 2
        self.make()
        self.compare()
        self.go()
        self.assertEqual([(adopters.KIND, ID)], self.alarms())
        message = self.agent.alarms.raised[adopters.KIND, ID].message
        self.assertIn('quota', message)
        self.assertIn('disk', message)
        asked = len(self.cinder.asked)
        self.assertLessEqual(asked, 2)
        for _ in range(6):
            self.pass_time(600)
            self.go()
        self.assertEqual('available', self.record().status)
        for parts in self.listeners:
            parts.book.refresh()
        self.compare()
        self.go()
        self.assertEqual([], self.alarms())

    def test_a_record_of_which_nothing_came_is_cleaned(self) -> None:
        self.cinder.dies_before_saving = 1
        self.make()
        self.compare()
        self.go()
        lost = self.record()
        self.assertEqual('creating', lost.status)
        self.assertEqual(
            lost.volume_id, self.agent.volumes[ID].metadata[CLOUD_ID]
        )
        # Its cinder-volume comes back, and gives it up.
        self.cloud.set_status(lost.volume_id, 'error')
        for _ in range(6):
            self.pass_time(600)
            self.go()
        self.assertNotEqual(lost.volume_id, self.record().volume_id)
        self.assertEqual('available', self.record().status)
        self.assertEqual(ID, self.record().platform_id)

    def test_without_the_type_nothing_is_done(self) -> None:
        self.cinder.types.clear()
        self.make()
        with self.assertLogs(
            'cinder_virtdc.listener.adopter', 'WARNING'
        ) as logs:
            self.compare()
            self.go()
            self.go()
        self.assertEqual(2, len(logs.records))  # one of each listener
        self.assertEqual([], self.cinder.asked)
        self.cinder.types.add('gold')
        self.pass_time(120)
        self.go()
        self.assertEqual('available', self.record().status)

    def test_no_backend_serves_its_pool(self) -> None:
        self.cinder.hosts = []
        self.make()
        self.compare()
        self.go()
        self.assertEqual([(adopters.KIND, ID)], self.alarms())
        # It is deleted in the data centre: nothing is left to see.
        self.platform(events.DeleteParameters())
        self.compare()
        self.assertEqual([], self.alarms())

    def test_what_is_in_use_is_logged(self) -> None:
        self.make()
        self.platform(events.ConnectParameters(host='compute-1'))
        with self.assertLogs(
            'cinder_virtdc.listener.adopter', 'WARNING'
        ) as logs:
            self.compare()
            self.go()
        self.assertIn('compute-1', logs.output[0])
        self.assertEqual([], self.cinder.asked)
        self.platform(events.DisconnectParameters(host='compute-1'))
        self.compare()
        self.go()
        self.assertEqual('available', self.record().status)

    def test_an_edit_meanwhile_is_not_lost(self) -> None:
        self.make()
        self.compare()
        self.adopter().run_due()
        self.platform(events.EditParameters(name='renamed'))
        self.cinder.work()
        self.compare()
        self.go()
        self.compare()
        self.go()
        self.assertEqual('renamed', self.record().name)
        self.assertEqual('renamed', self.agent.volumes[ID].name)

    def test_its_thread(self) -> None:
        self.make()
        one = self.adopter()
        one.start()
        self.addCleanup(one.stop)
        one.ring(ID)
        self.agent.await_calls('take_mark', 1)


STEPS = st.sampled_from(
    ['look 0', 'look 1', 'restart 0', 'restart 1', 'cinder']
    + ['compare', 'time', 'die', 'fail', 'error', 'snapshot', 'edit']
)


class TestWalk(World):
    @given(st.lists(STEPS, max_size=25))
    def test_in_the_end_there_is_one(self, steps: list[str]) -> None:
        self.setUp()
        self.make()
        for number, step in enumerate(steps):
            match step.split():
                case ['look', which]:
                    self.adopter(int(which)).run_due()
                case ['restart', which]:
                    self.listeners[int(which)] = self.listener()
                case ['cinder']:
                    self.cinder.work()
                case ['compare']:
                    self.compare()
                case ['time']:
                    self.pass_time(200)
                case ['die']:
                    self.cinder.dies_before_saving = 1
                case ['fail']:
                    self.cinder.failures.append(exceptions.NotNow('No.'))
                case ['error']:
                    self.fail_what_is_begun()
                case ['snapshot']:
                    self.platform(
                        events.SnapshotParameters(snapshot_id=f's{number}')
                    )
                case ['edit']:
                    self.platform(events.EditParameters(name=str(number)))
        self.cinder.dies_before_saving = 0
        self.cinder.failures.clear()
        for _ in range(8):
            self.fail_what_is_begun()
            self.pass_time(4000)
            self.compare()
            self.go()
        self.assertEqual(
            [('available', ID, self.agent.volumes[ID].name)],
            [
                (one.status, one.platform_id, one.name)
                for one in self.cloud.volumes.values()
            ],
        )
        self.assertEqual(
            {CLOUD_ID: self.record().volume_id}.items()
            & self.agent.volumes[ID].metadata.items(),
            {CLOUD_ID: self.record().volume_id}.items(),
        )
        adopted = {
            one.metadata.get(CLOUD_ID) for one in self.agent.snapshots.values()
        }
        self.assertLessEqual(
            {
                one.snapshot_id
                for one in self.repairs.snapshots.values()
                if one.status == 'available'
            },
            adopted,
        )
        self.assertNotIn(None, adopted)

    def fail_what_is_begun(self) -> None:
        """Have Cinder give up what it is no longer about."""
        if self.cinder._begun:
            return
        for one in list(self.cloud.volumes.values()):
            if one.status == 'creating':
                self.cloud.set_status(one.volume_id, 'error')
        for kept in list(self.repairs.snapshots.values()):
            if kept.status == 'creating':
                self.repairs.reset_snapshot(kept.snapshot_id, 'error')
