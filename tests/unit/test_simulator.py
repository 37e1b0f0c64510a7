"""The simulator that policies are compared with."""

from __future__ import annotations

import math
from pathlib import Path
import unittest

from tests.benchmark.simulator import compare
from tests.benchmark.simulator import measures
from tests.benchmark.simulator.model import Scenario
from tests.benchmark.simulator import pictures
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
            16.0, measures.ended_by(run, 60.0) / 60.0, delta=1.0
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
        self.assertLess(measures.success_ratio(fixed), 0.9)
        self.assertEqual(1.0, measures.success_ratio(oracle))
        self.assertLess(measures.share_of(fixed, oracle), 0.6)

    def test_the_adaptive_policy_is_back_within_a_minute(self) -> None:
        """A storage falls to a tenth for 100 s, and comes back."""
        (brown_out,) = (
            one for one in scenarios.SCENARIOS if one.name == 'brown-out'
        )
        run = compare.simulate(brown_out, 'adaptive', 5)
        oracle = compare.simulate(brown_out, 'oracle', 5)
        self.assertLessEqual(measures.time_to_recover_s(run, oracle), 60.0)
        self.assertGreaterEqual(measures.success_ratio(run), 0.99)
        self.assertGreaterEqual(measures.share_of(run, oracle), 0.8)


class TestPictures(unittest.TestCase):
    """Those in the documents are what the simulator draws now."""

    FOLDER = Path(__file__).parents[2] / 'doc' / 'source' / 'admin' / 'images'
    POLICIES = ('adaptive', 'aimd', 'fixed', 'shrink')
    SCENARIOS = ('burst cold 10x', 'weak 3', 'brown-out', 'slow drift')

    def test_are_current(self) -> None:
        drawn = {
            pictures.name_of(one): one
            for one in scenarios.SCENARIOS
            if one.name in self.SCENARIOS
        }
        self.assertEqual(
            sorted(drawn),
            sorted(one.name for one in self.FOLDER.glob('policies-*.svg')),
        )
        for name, scenario in drawn.items():
            with self.subTest(name):
                self.assertEqual(
                    (self.FOLDER / name).read_text('utf-8'),
                    compare.picture(scenario, self.POLICIES, 0),
                    'Draw it anew: tools/bench simulator --seeds 1 '
                    f'--pictures {self.FOLDER} and the names above.',
                )


class TestMeasures(unittest.TestCase):
    FALL = Scenario(
        name='fall',
        capacity=scenarios.fall(20, 2, 50, 100),
        arrivals=scenarios.burst(5000),
        length_s=200,
        changes=(50, 100),
    )

    def test_only_a_rise_is_a_recovery(self) -> None:
        self.assertEqual([100], measures.recoveries(self.FALL))
        self.assertEqual([], measures.recoveries(BUSY))

    def test_who_knows_recovers_at_once(self) -> None:
        oracle = compare.simulate(self.FALL, 'oracle', 1)
        self.assertEqual(0.0, measures.time_to_recover_s(oracle, oracle))

    def test_who_never_grows_again_never_recovers(self) -> None:
        run = compare.simulate(self.FALL, 'shrink', 1)
        oracle = compare.simulate(self.FALL, 'oracle', 1)
        self.assertEqual(math.inf, measures.time_to_recover_s(run, oracle))

    def test_a_storage_that_never_fell_has_none(self) -> None:
        oracle = compare.simulate(BUSY, 'oracle', 1)
        self.assertIsNone(measures.time_to_recover_s(oracle, oracle))
