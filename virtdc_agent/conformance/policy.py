"""What every policy must hold; for the test suite of any policy.

A policy's test is a subclass with ``make_policy``::

    class TestMine(policy.PolicyRules, unittest.TestCase):
        def make_policy(self, limit):
            return MyPolicy(limit)

A policy that declares ``may_starve`` is not held to what that breaks.
"""

from __future__ import annotations

import random
import unittest

from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.model import Signal


def window(limit: int, *signals: Signal, full: bool = True) -> model.Window:
    """Return a window in which operations ended with these signals."""
    return model.Window(
        limit=limit,
        taken=len(signals),
        full=full,
        samples=tuple(
            model.Sample(
                kind='create',
                signal=signal,
                duration_s=0.1,
                concurrency=float(min(limit, index + 1)),
            )
            for index, signal in enumerate(signals)
        ),
        duration_s=2.0,
    )


class PolicyRules(unittest.TestCase):
    """The rules. Not run by itself: ``make_policy`` is for subclasses."""

    walks = 20
    steps = 50

    def make_policy(self, limit: int) -> interfaces.Policy:
        """Return a new policy that starts at ``limit``."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def test_starts_at_the_given_limit(self) -> None:
        """The first limit is what was configured."""
        for limit in (1, 2, 10, 1000):
            self.assertEqual(limit, self.make_policy(limit).limit)

    def test_returns_the_limit_in_force(self) -> None:
        """``observe`` returns what ``limit`` then says."""
        for policy, seen in self._walks():
            returned = policy.observe(seen)
            self.assertEqual(policy.limit, returned)

    def test_never_below_its_floor(self) -> None:
        """The limit is at least 1, or 0 where starving is declared."""
        policy = self.make_policy(10)
        floor = 0 if policy.may_starve else 1
        for policy, seen in self._walks():
            self.assertGreaterEqual(policy.observe(seen), floor)

    def test_same_windows_same_limits(self) -> None:
        """The limit depends on the windows alone."""
        windows = [seen for _, seen in self._walks()][: self.steps]
        limits = []
        for _ in range(2):
            policy = self.make_policy(10)
            limits.append([policy.observe(seen) for seen in windows])
        self.assertEqual(limits[0], limits[1])

    def test_idle_moves_nothing(self) -> None:
        """A window in which nothing was taken says nothing."""
        policy = self.make_policy(10)
        for _ in range(self.steps):
            self.assertEqual(10, policy.observe(window(10, full=False)))

    def test_overload_never_raises(self) -> None:
        """A window with an overloaded operation never raises the limit."""
        policy = self.make_policy(10)
        for count in range(1, self.steps):
            before = policy.limit
            signals = [Signal.OVERLOADED] + [Signal.SUCCESS] * count
            self.assertLessEqual(
                policy.observe(window(before, *signals)), before
            )

    def test_bad_requests_lower_nothing(self) -> None:
        """Failures that say nothing of load do not lower the limit."""
        policy = self.make_policy(10)
        if policy.may_starve:
            self.skipTest('declared: may_starve')
        for _ in range(self.steps):
            before = policy.limit
            self.assertGreaterEqual(
                policy.observe(window(before, *[Signal.IGNORED] * 10)),
                before,
            )

    def test_half_empty_window_lowers_nothing(self) -> None:
        """A window with little work, all of it done, does not lower it."""
        policy = self.make_policy(10)
        if policy.may_starve:
            self.skipTest('declared: may_starve')
        for _ in range(self.steps):
            before = policy.limit
            self.assertGreaterEqual(
                policy.observe(
                    window(before, Signal.SUCCESS, Signal.SUCCESS, full=False)
                ),
                before,
            )

    def _walks(self) -> list[tuple[interfaces.Policy, model.Window]]:
        """Return policies with windows to show them, in order."""
        pairs = []
        for seed in range(self.walks):
            # Not for secrets.
            dice = random.Random(seed)  # noqa: S311 # nosec B311
            policy = self.make_policy(dice.choice((1, 2, 10, 100)))
            for _ in range(self.steps):
                signals = dice.choices(list(Signal), k=dice.randrange(0, 20))
                pairs.append(
                    (
                        policy,
                        window(
                            max(1, policy.limit),
                            *signals,
                            full=dice.random() < 0.5,
                        ),
                    )
                )
        return pairs
