from __future__ import annotations

import unittest

from virtdc_agent import model
from virtdc_agent.model import Signal
from virtdc_agent.policies.overloads import Overloads


def ended(
    successes: int,
    overloads: int = 0,
    *,
    limit: int = 10,
    lasted_s: float = 0.5,
    abandoned: int = 0,
) -> model.Window:
    """Return a window in which so many ended."""
    signals = [Signal.SUCCESS] * successes + [Signal.OVERLOADED] * overloads
    return model.Window(
        limit=limit,
        taken=len(signals),
        full=True,
        samples=tuple(
            model.Sample(
                kind='create',
                signal=signal,
                duration_s=lasted_s,
                concurrency=1.0,
            )
            for signal in signals
        ),
        duration_s=2.0,
        concurrency=float(limit),
        abandoned=abandoned,
    )


class TestOverloads(unittest.TestCase):
    def test_one_in_ten_is_too_many(self) -> None:
        self.assertTrue(Overloads().are_too_many(ended(9, 1)))

    def test_one_in_a_thousand_is_borne(self) -> None:
        overloads = Overloads()
        self.assertFalse(overloads.are_too_many(ended(390)))
        self.assertFalse(overloads.are_too_many(ended(200, 1)))

    def test_what_began_before_the_limit_was_lowered_does_not_count(
        self,
    ) -> None:
        overloads = Overloads()
        overloads.lowered()
        self.assertFalse(overloads.are_too_many(ended(5, 5, lasted_s=60.0)))
        self.assertTrue(overloads.are_too_many(ended(5, 5, lasted_s=1.0)))

    def test_what_comes_anyway_is_borne_and_no_more(self) -> None:
        overloads = Overloads()
        self.assertTrue(overloads.are_too_many(ended(90, 10)))
        overloads.come_anyway()
        self.assertFalse(overloads.are_too_many(ended(90, 10)))
        self.assertTrue(overloads.are_too_many(ended(10, 90)))

    def test_what_came_of_load_is_not(self) -> None:
        overloads = Overloads()
        self.assertTrue(overloads.are_too_many(ended(90, 10)))
        overloads.come_anyway()
        overloads.come_of_load()
        self.assertTrue(overloads.are_too_many(ended(90, 10)))

    def test_one_alone_does_not_fail_of_load(self) -> None:
        self.assertFalse(Overloads().are_too_many(ended(2, 1, limit=1)))
        self.assertTrue(
            Overloads().are_too_many(ended(2, 1, limit=1, abandoned=1)),
            'with something given up beside it, it does',
        )
