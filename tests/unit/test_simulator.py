"""The simulator that policies are compared with."""

from __future__ import annotations

import unittest

from tests.benchmark.simulator import compare
from tests.benchmark.simulator.model import Scenario
from tests.benchmark.simulator import scenarios
from virtdc_agent.model import Signal

BUSY = Scenario(
    name='busy',
    capacity=scenarios.constant(8),
    arrivals=scenarios.burst(2000),
    length_s=60,
    volumes=400,
)


class TestSimulator(unittest.TestCase):
    def test_the_same_seed_gives_the_same_run(self) -> None:
        first, second, other = (
            compare.simulate.__wrapped__(BUSY, 'adaptive', seed)
            for seed in (1, 1, 2)
        )
        self.assertEqual(first.operations, second.operations)
        self.assertEqual(first.limits, second.limits)
        self.assertNotEqual(first.operations, other.operations)

    def test_the_oracle_reaches_what_little_says(self) -> None:
        """Capacity over mean duration: 8 / 0.5 s = 16 a second."""
        run = compare.simulate(BUSY, 'oracle', 1)
        self.assertAlmostEqual(
            16.0, compare.ended_by(run, 60.0) / 60.0, delta=1.0
        )

    def test_each_ends_at_most_once_and_in_order(self) -> None:
        run = compare.simulate(BUSY, 'aimd', 1)
        last: dict[int, float] = {}
        for one in run.operations:
            if one.signal is not Signal.SUCCESS:
                continue
            self.assertGreaterEqual(one.started, one.submitted)
            self.assertGreaterEqual(one.started, last.get(one.volume, 0.0))
            last[one.volume] = one.ended

    def test_too_much_at_once_fails(self) -> None:
        scenario = Scenario(
            name='weak',
            capacity=scenarios.constant(1),
            arrivals=scenarios.burst(500),
            length_s=100,
        )
        fixed = compare.simulate(scenario, 'fixed', 1)
        oracle = compare.simulate(scenario, 'oracle', 1)
        self.assertLess(compare.success_ratio(fixed), 0.9)
        self.assertEqual(1.0, compare.success_ratio(oracle))
        self.assertLess(compare.share_of(fixed, oracle), 0.6)
