from __future__ import annotations

import math
import unittest

from virtdc_agent import model
from virtdc_agent.model import Signal
from virtdc_agent.policies.evidence import change_of
from virtdc_agent.policies.evidence import Evidence
from virtdc_agent.policies.evidence import is_enough
from virtdc_agent.policies.evidence import log_odds
from virtdc_agent.policies.evidence import log_ratio


def seen(
    concurrency: float, *durations: tuple[str, int, float], abandoned: int = 0
) -> Evidence:
    """Return the evidence of one window; by kind: ends and duration."""
    evidence = Evidence()
    evidence.add(
        model.Window(
            limit=10,
            taken=10,
            full=True,
            samples=tuple(
                model.Sample(
                    kind=kind,
                    signal=Signal.SUCCESS,
                    duration_s=duration_s,
                    concurrency=concurrency,
                )
                for kind, count, duration_s in durations
                for _ in range(count)
            ),
            duration_s=10.0,
            concurrency=concurrency,
            abandoned=abandoned,
        )
    )
    return evidence


class TestEvidence(unittest.TestCase):
    def test_duration_by_littles_law(self) -> None:
        self.assertAlmostEqual(
            0.5, seen(10.0, ('create', 200, 0.5)).duration_s
        )

    def test_what_was_given_up_is_load(self) -> None:
        self.assertEqual(13.0, seen(10.0, abandoned=3).load)

    def test_twice_as_slow_is_half_the_rate(self) -> None:
        before = seen(10.0, ('create', 200, 0.5))
        now = seen(10.0, ('create', 100, 1.0))
        self.assertAlmostEqual(-math.log(2), log_ratio(before, now), 1)
        self.assertAlmostEqual(math.log(2), log_ratio(now, before), 1)

    def test_a_change_of_the_mix_is_no_change(self) -> None:
        """A tenth as many short ones: the storage is as it was."""
        before = seen(10.0, ('create', 900, 0.1), ('copy', 10, 1.0))
        now = seen(10.0, ('create', 90, 0.1), ('copy', 91, 1.0))
        self.assertAlmostEqual(0.0, log_ratio(before, now), delta=0.15)

    def test_nothing_in_common_is_no_comparison(self) -> None:
        self.assertIsNone(
            log_ratio(seen(1.0, ('a', 9, 0.1)), seen(1.0, ('b', 9, 0.1)))
        )

    def test_small_steps_take_more_ends(self) -> None:
        def least(step: float) -> int:
            return next(
                ends
                for ends in range(1, 10_000)
                if is_enough(ends, ends, step=step, certainty=1.0)
            )

        self.assertEqual(2, least(1.0))
        self.assertEqual(200, least(0.1))
        self.assertFalse(is_enough(0, 9, step=1.0, certainty=1.0))

    def test_little_seen_is_no_change(self) -> None:
        before = seen(10.0, ('create', 200, 0.5))
        self.assertEqual(
            0.0, change_of(before, seen(0.2, ('create', 2, 1.0)), certainty=3)
        )

    def test_that_nothing_ends_is_a_change(self) -> None:
        before = seen(10.0, ('create', 200, 0.5))
        stuck = Evidence()
        stuck.add(
            model.Window(
                limit=10,
                taken=0,
                full=True,
                samples=(),
                duration_s=2.0,
                concurrency=10.0,
                unfinished=tuple(
                    model.Unfinished(
                        kind='create', age_s=2.0, concurrency=10.0
                    )
                    for _ in range(10)
                ),
            )
        )
        self.assertLess(change_of(before, stuck, certainty=3), -math.log(10))

    def test_other_work_is_no_change(self) -> None:
        before = seen(10.0, ('create', 200, 0.5))
        copies = seen(10.0, ('copy', 1, 100.0))
        self.assertEqual(0.0, change_of(before, copies, certainty=3))

    def test_odds_tell_free_capacity_from_a_queue(self) -> None:
        before = seen(10.0, ('create', 200, 0.5))
        self.assertGreater(
            log_odds(before, seen(20.0, ('create', 400, 0.5))), 3.0
        )
        self.assertLess(
            log_odds(before, seen(20.0, ('create', 200, 1.0))), -3.0
        )
        self.assertGreater(
            log_odds(before, seen(5.0, ('create', 100, 0.5))),
            3.0,
            'half as much with half as many: what was taken was of use',
        )

    def test_merged_it_is_the_sum_and_forgets_beyond_a_bound(self) -> None:
        evidence = seen(10.0, ('create', 200, 0.5))
        evidence.merge(seen(10.0, ('create', 100, 0.5)), most=300)
        self.assertEqual((300, 20.0), (evidence.ends, evidence.span_s))
        evidence.merge(seen(10.0, ('create', 100, 0.5)), most=250)
        self.assertEqual(250, evidence.ends)
        self.assertAlmostEqual(10.0, evidence.load)
