from __future__ import annotations

import math
import unittest

from virtdc_agent import model
from virtdc_agent.model import Signal
from virtdc_agent.policies.evidence import Evidence
from virtdc_agent.policies.evidence import is_enough
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
