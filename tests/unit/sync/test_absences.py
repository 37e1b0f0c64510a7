from __future__ import annotations

from collections.abc import Collection
import dataclasses
from typing import Any
import unittest

from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.sync import absences
from cinder_virtdc.sync.reconcile import Sides
from tests.unit.driver import builders
from tests.unit.driver.builders import transition
from tests.unit.listener.test_reconcile import platform_volume
from tests.unit.sync.world import World
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract.alarms import CONFIRMED
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State

GIB = 1024**3
BACKENDS = {'host@virtdc'}


def sides(number: int = 1, *, there: bool = True, **rest: Any) -> Sides:
    """Return a volume of both sides, or of the cloud alone."""
    volume_id = f'volume-{number:04}'
    changes = {
        key: rest.pop(key)
        for key in ('status', 'size_gib', 'host', 'properties')
        if key in rest
    }
    volume = CloudVolume(
        **{
            'volume_id': volume_id,
            'platform_id': volume_id,
            'status': 'available',
            'size_gib': 1,
            'properties': {},
            'host': 'host@virtdc#pool',
            **changes,
        }
    )
    platform = platform_volume(volume_id=volume_id) if there else None
    return Sides(
        volume=volume, **{'latest': None, 'platform': platform, **rest}
    )


def judge(
    *all_sides: Sides,
    suspects: Collection[tuple[str, str]] = (),
    **rest: Any,
) -> absences.Verdict:
    return absences.judge(
        all_sides,
        rest.pop('unknown', ()),
        backends=BACKENDS,
        suspects=suspects,
        alarms=rest.pop('alarms', ()),
    )


class JudgeTest(unittest.TestCase):
    def kinds(self, *all_sides: Sides, **rest: Any) -> list[str]:
        """Return what two comparisons in a row lead to."""
        first = judge(*all_sides, **rest)
        self.assertEqual([], list(first.raised))
        second = judge(*all_sides, suspects=first.suspects, **rest)
        return [one.kind for one in second.raised]

    def test_all_is_well(self) -> None:
        self.assertEqual([], self.kinds(*(sides(n) for n in range(9))))

    def test_missing(self) -> None:
        self.assertEqual(
            [absences.MISSING], self.kinds(sides(1), sides(2, there=False))
        )

    def test_what_is_not_missing(self) -> None:
        for name, one in {
            'elsewhere': sides(there=False, host='host@nfs#x'),
            'nowhere': sides(there=False, host=''),
            'never made': sides(there=False, status='error'),
            'being made': sides(there=False, status='creating'),
            'being deleted': sides(there=False, status='deleting'),
            'open': sides(there=False, latest=transition(1)),
        }.items():
            with self.subTest(name):
                self.assertEqual([], self.kinds(one))

    def test_many_at_once_are_one_alarm(self) -> None:
        every = [sides(n, there=n >= 6) for n in range(40)]
        self.assertEqual([absences.MANY_MISSING], self.kinds(*every))
        five = [sides(n, there=n >= 5) for n in range(40)]
        self.assertEqual([absences.MISSING] * 5, self.kinds(*five))
        of_many = [sides(n, there=n >= 6) for n in range(400)]
        self.assertEqual([absences.MISSING] * 6, self.kinds(*of_many))

    def test_smaller(self) -> None:
        self.assertEqual([absences.SMALLER], self.kinds(sides(size_gib=2)))

    def test_a_part_of_a_gib_is_not_smaller(self) -> None:
        one = sides(size_gib=2)
        assert one.platform is not None
        platform = dataclasses.replace(one.platform, size_bytes=GIB + 1)
        self.assertEqual(
            [], self.kinds(dataclasses.replace(one, platform=platform))
        )

    def test_attachments(self) -> None:
        one = sides(status='in-use')
        self.assertEqual([absences.ATTACHMENTS], self.kinds(one))
        assert one.platform is not None
        attached = dataclasses.replace(one.platform, attached_to=('host',))
        self.assertEqual(
            [], self.kinds(dataclasses.replace(one, platform=attached))
        )
        self.assertEqual(
            [absences.ATTACHMENTS],
            self.kinds(dataclasses.replace(sides(), platform=attached)),
        )

    def test_unknown_in_the_cloud(self) -> None:
        ours = platform_volume(volume_id='x')
        theirs = dataclasses.replace(ours, origin=Origin.PLATFORM)
        self.assertEqual([absences.UNKNOWN], self.kinds(unknown=[ours]))
        self.assertEqual([], self.kinds(unknown=[theirs]))


class EndToEndTest(unittest.TestCase):
    """In the whole machine: raised once, shown, cleared, mended."""

    def setUp(self) -> None:
        self.world = World()
        self.world.create('volume-1')
        self.world.create('volume-2')
        self.listener = self.world.listeners[0]
        self.listener.resync()

    def test_a_volume_that_vanishes_and_comes_back(self) -> None:
        volume = self.world.agent.volumes.pop('volume-1')
        key = (absences.MISSING, 'volume-1')
        self.listener.resync()
        self.assertNotIn(key, self.world.agent.alarms.raised)
        for _ in range(3):
            self.listener.resync()
        self.assertIn(key, self.world.agent.alarms.raised)
        cloud = self.world.cloud.volumes['volume-1']
        self.assertEqual('error', cloud.status)
        self.assertEqual(absences.MISSING, cloud.properties['virtdc.alarm'])
        self.world.agent.volumes['volume-1'] = volume
        for _ in range(3):
            self.listener.resync()
        cloud = self.world.cloud.volumes['volume-1']
        self.assertEqual('available', cloud.status)
        self.assertNotIn('virtdc.alarm', cloud.properties)
        self.assertEqual(
            [AlarmChange.RAISED, AlarmChange.CLEARED],
            [one for one, *_ in self.world.agent.alarms.history],
        )

    def test_when_all_vanish_nothing_is_touched(self) -> None:
        for number in range(3, 12):
            self.world.create(f'volume-{number}')
        self.listener.resync()
        before = dict(self.world.cloud.volumes)
        self.world.agent.volumes.clear()
        for _ in range(3):
            self.listener.resync()
        self.assertEqual(
            [(absences.MANY_MISSING, absences.ALL)],
            list(self.world.agent.alarms.raised),
        )
        self.assertEqual(
            {one.status for one in before.values()},
            {one.status for one in self.world.cloud.volumes.values()},
        )

    def test_when_all_vanish_and_a_person_confirms_it(self) -> None:
        for number in range(3, 12):
            self.world.create(f'volume-{number}')
        self.listener.resync()
        self.world.agent.volumes.clear()
        for _ in range(3):
            self.listener.resync()
        client = builders.client_of(self.world.agent)
        for comment in ('I see.', CONFIRMED):
            client.acknowledge_alarm(
                absences.MANY_MISSING, absences.ALL, by='eve', comment=comment
            )
            for _ in range(3):
                self.listener.resync()
            self.assertEqual(
                {absences.MANY_MISSING}
                if comment != CONFIRMED
                else {absences.MISSING},
                {kind for kind, _ in self.world.agent.alarms.raised},
            )
        self.assertEqual(11, len(self.world.agent.alarms.raised))
        for _ in range(2):
            self.listener.work()
        self.assertEqual(
            {'error'},
            {one.status for one in self.world.cloud.volumes.values()},
        )

    def test_what_vanishes_after_that_is_not_confirmed(self) -> None:
        for number in range(3, 30):
            self.world.create(f'volume-{number}')
        self.listener.resync()
        lost = sorted(self.world.agent.volumes)
        for volume_id in lost[:10]:
            del self.world.agent.volumes[volume_id]
        for _ in range(3):
            self.listener.resync()
        builders.client_of(self.world.agent).acknowledge_alarm(
            absences.MANY_MISSING, absences.ALL, by='eve', comment=CONFIRMED
        )
        for volume_id in lost[10:20]:
            del self.world.agent.volumes[volume_id]
        for _ in range(3):
            self.listener.resync()
        self.assertEqual(
            [(absences.MANY_MISSING, absences.ALL)],
            list(self.world.agent.alarms.raised),
        )


class StateTest(unittest.TestCase):
    def test_success_is_not_open(self) -> None:
        self.assertEqual(
            [],
            list(judge(sides(latest=transition(1, State.SUCCESS))).suspects),
        )
