from __future__ import annotations

import dataclasses
import unittest

from hypothesis import given
from hypothesis import strategies as st

from virtdc_agent.conformance.policy import window
from virtdc_agent import model
from virtdc_agent.model import Signal
from virtdc_agent.policies.adaptive import AdaptivePolicy
from virtdc_agent.policies.aimd import AimdPolicy

KINDS = (AimdPolicy, AdaptivePolicy)


@st.composite
def windows(draw) -> model.Window:
    """Return any window that an executor may show."""
    signals = draw(st.lists(st.sampled_from(list(Signal)), max_size=20))
    return model.Window(
        limit=1,
        taken=len(signals),
        full=draw(st.booleans()),
        samples=tuple(
            model.Sample(
                kind=draw(st.sampled_from(['create', 'create-copy'])),
                signal=signal,
                duration_s=draw(st.floats(0.0, 100.0)),
                concurrency=1.0,
            )
            for signal in signals
        ),
        duration_s=2.0,
        concurrency=draw(st.floats(0.0, 100.0)),
    )


def served(limit: int, capacity: float, seconds: float) -> model.Window:
    """Return a full window of a storage that is processor sharing."""
    rate = min(limit, capacity) / seconds
    return model.Window(
        limit=limit,
        taken=round(2 * rate),
        full=True,
        samples=tuple(
            model.Sample(
                kind='create',
                signal=Signal.SUCCESS,
                duration_s=seconds * max(1.0, limit / capacity),
                concurrency=float(limit),
            )
            for _ in range(round(2 * rate))
        ),
        duration_s=2.0,
        concurrency=float(limit),
    )


class TestLaws(unittest.TestCase):
    @given(st.integers(1, 50), st.lists(windows(), max_size=40))
    def test_stays_within_its_bounds(self, limit, seen) -> None:
        for kind in KINDS:
            policy = kind(limit, ceiling=50)
            for one in seen:
                self.assertTrue(1 <= policy.observe(one) <= 50)

    @given(st.lists(windows(), max_size=40))
    def test_overload_never_raises(self, seen) -> None:
        for kind in KINDS:
            policy = kind(10)
            for one in seen:
                before = policy.limit
                after = policy.observe(one)
                if any(s.signal is Signal.OVERLOADED for s in one.samples):
                    self.assertLessEqual(after, before)

    def test_recovers_from_1(self) -> None:
        for kind in KINDS:
            policy = kind(64)
            while policy.limit > 1:
                policy.observe(window(policy.limit, Signal.OVERLOADED))
            for _ in range(500):
                policy.observe(served(policy.limit, 40.0, 0.1))
            self.assertGreater(policy.limit, 30, kind)


class TestAdaptive(unittest.TestCase):
    def find(self, capacity: float, start: int = 10) -> list[int]:
        policy = AdaptivePolicy(start)
        return [
            policy.observe(served(policy.limit, capacity, 0.1))
            for _ in range(400)
        ]

    def test_finds_a_capacity_from_below_and_from_above(self) -> None:
        for capacity in (2, 5, 20, 100):
            limits = self.find(capacity)[200:]
            middle = sorted(limits)[len(limits) // 2]
            self.assertTrue(
                capacity * 0.8 <= middle <= capacity * 2, (capacity, middle)
            )

    def test_finds_ten_times_its_start_within_few_windows(self) -> None:
        self.assertGreaterEqual(max(self.find(100)[:6]), 100)

    def test_bears_failures_that_come_whatever_the_load(self) -> None:
        """One in twenty fails always; the limit is found nevertheless."""
        policy = AdaptivePolicy(10)
        limits = []
        for _ in range(600):
            shown = served(policy.limit, 40.0, 0.1)
            samples = tuple(
                dataclasses.replace(one, signal=Signal.OVERLOADED)
                if number % 20 == 0
                else one
                for number, one in enumerate(shown.samples)
            )
            limits.append(
                policy.observe(dataclasses.replace(shown, samples=samples))
            )
        self.assertGreaterEqual(sorted(limits[300:])[150], 32)

    def test_slower_work_is_no_weaker_storage(self) -> None:
        policy = AdaptivePolicy(10)
        for _ in range(300):
            policy.observe(served(policy.limit, 40.0, 0.1))
        limits = [
            policy.observe(served(policy.limit, 40.0, 0.4)) for _ in range(200)
        ]
        self.assertGreaterEqual(sorted(limits)[100], 32)
