from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from virtdc_agent.conformance.policy import window
from virtdc_agent.model import Signal
from virtdc_agent.policies.fixed import FixedPolicy
from virtdc_agent.policies.shrink import ShrinkPolicy

SIGNALS = st.lists(st.sampled_from(list(Signal)), max_size=30)


def batch(limit: int, succeeded: int, failed: int):
    return window(
        limit, *[Signal.SUCCESS] * succeeded, *[Signal.OVERLOADED] * failed
    )


class TestFixed(unittest.TestCase):
    @given(st.integers(1, 1000), SIGNALS)
    def test_never_moves(self, limit, signals) -> None:
        policy = FixedPolicy(limit)
        self.assertEqual(limit, policy.observe(window(limit, *signals)))


class TestShrink(unittest.TestCase):
    """R10: if fewer than N succeeded, N becomes the number that did."""

    def test_the_example_of_the_rule(self) -> None:
        self.assertEqual(6, ShrinkPolicy(10).observe(batch(10, 6, 4)))

    def test_all_succeeded_keeps_it(self) -> None:
        self.assertEqual(10, ShrinkPolicy(10).observe(batch(10, 10, 0)))

    def test_more_than_n_succeeded_keeps_it(self) -> None:
        self.assertEqual(10, ShrinkPolicy(10).observe(batch(10, 25, 0)))

    def test_a_half_empty_batch_shrinks_it(self) -> None:
        self.assertEqual(3, ShrinkPolicy(10).observe(batch(10, 3, 0)))

    def test_bad_requests_shrink_it(self) -> None:
        bad = window(10, *[Signal.IGNORED] * 2, *[Signal.SUCCESS] * 8)
        self.assertEqual(8, ShrinkPolicy(10).observe(bad))

    def test_it_starves(self) -> None:
        policy = ShrinkPolicy(10)
        self.assertTrue(policy.may_starve)
        self.assertEqual(0, policy.observe(batch(10, 0, 10)))
        self.assertEqual(0, policy.observe(window(0)))

    @given(st.integers(1, 100), st.lists(SIGNALS))
    def test_it_never_grows(self, limit, history) -> None:
        policy = ShrinkPolicy(limit)
        for signals in history:
            before = policy.limit
            self.assertLessEqual(
                policy.observe(window(before, *signals)), before
            )
