from __future__ import annotations

import dataclasses
import unittest

from cinder_virtdc.bus.growth import Growth
from cinder_virtdc.bus.growth import Pending
from cinder_virtdc.clock import FakeClock
from cinder_virtdc.cloud.pace import TokenBucket
from cinder_virtdc import stats
from tests.unit.driver.builders import transition
from tests.unit.listener.test_reconcile import platform_volume
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State

GIB = 1024**3


class GrowthTest(unittest.TestCase):
    def setUp(self) -> None:
        self.growth = Growth()
        self.cinder: dict[str, int] = {'volume-1': 1}

    def pending(self) -> Pending:
        return self.growth.pending(self.cinder.get)

    def hear(
        self,
        size: int = 3,
        *,
        provisioning: str = 'thin',
        volume_id: str = 'volume-1',
    ) -> None:
        told = transition(
            1,
            State.SUCCESS,
            operation=Operation.EXTEND,
            volume_id=volume_id,
            result={'size_bytes': size * GIB, 'provisioning': provisioning},
        )
        self.growth.offer(dataclasses.replace(told, origin=Origin.PLATFORM))

    def test_until_cinder_has_taken_it_over(self) -> None:
        self.hear()
        self.assertEqual(Pending(provisioned_bytes=2 * GIB), self.pending())
        self.cinder['volume-1'] = 3
        self.assertEqual(Pending(), self.pending())
        # And is not asked for any more.
        self.cinder['volume-1'] = 1
        self.assertEqual(Pending(), self.pending())

    def test_thick_volumes_have_taken_it_at_once(self) -> None:
        self.hear(provisioning='thick')
        self.assertEqual(
            Pending(provisioned_bytes=2 * GIB, taken_bytes=2 * GIB),
            self.pending(),
        )

    def test_of_a_volume_that_cinder_does_not_have(self) -> None:
        self.hear(volume_id='volume-2')
        self.assertEqual(Pending(), self.pending())

    def test_at_the_start_it_is_told(self) -> None:
        grown = platform_volume(size_bytes=2 * GIB, changed_by=Origin.PLATFORM)
        self.growth.learn(
            [grown, platform_volume(volume_id='v', size_bytes=9 * GIB)]
        )
        self.cinder['v'] = 1
        self.assertEqual(Pending(provisioned_bytes=GIB), self.pending())

    def test_statistics_without_it(self) -> None:
        known = {
            'provisioned_capacity_gb': 10.0,
            'free_capacity_gb': 9.5,
            'total_capacity_gb': 10.0,
            'else': 1,
        }
        self.assertEqual(
            {
                'provisioned_capacity_gb': 8.0,
                'free_capacity_gb': 10.0,
                'total_capacity_gb': 10.0,
                'else': 1,
            },
            stats.without(known, provisioned_bytes=2 * GIB, taken_bytes=GIB),
        )


class TokenBucketTest(unittest.TestCase):
    def test_no_more_than_the_rate(self) -> None:
        clock = FakeClock(moves_itself=True)
        bucket = TokenBucket(clock, rate=10.0, burst=5.0)
        for _ in range(105):
            bucket.take()
        self.assertAlmostEqual(10.0, clock.monotonic(), delta=0.2)

    def test_without_a_limit_nobody_waits(self) -> None:
        clock = FakeClock(moves_itself=True)
        bucket = TokenBucket(clock, rate=0, burst=1)
        for _ in range(1000):
            bucket.take()
        self.assertEqual(0.0, clock.monotonic())
