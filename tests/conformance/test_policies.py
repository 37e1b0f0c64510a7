"""The policies against the rules, and the rules against broken policies."""

from __future__ import annotations

import unittest

from tests.conformance import broken_policies
from virtdc_agent.conformance import policy
from virtdc_agent import interfaces
from virtdc_agent.policies.adaptive import AdaptivePolicy
from virtdc_agent.policies.aimd import AimdPolicy
from virtdc_agent.policies.fixed import FixedPolicy
from virtdc_agent.policies.shrink import ShrinkPolicy


class TestFixed(policy.PolicyRules):
    def make_policy(self, limit: int) -> interfaces.Policy:
        return FixedPolicy(limit)


class TestAimd(policy.PolicyRules):
    def make_policy(self, limit: int) -> interfaces.Policy:
        return AimdPolicy(limit)


class TestAdaptive(policy.PolicyRules):
    def make_policy(self, limit: int) -> interfaces.Policy:
        return AdaptivePolicy(limit)


class TestShrink(policy.PolicyRules):
    def make_policy(self, limit: int) -> interfaces.Policy:
        return ShrinkPolicy(limit)


BROKEN = {
    broken_policies.StartsElsewhere: {'test_starts_at_the_given_limit'},
    broken_policies.SaysOneThingDoesAnother: {
        'test_returns_the_limit_in_force'
    },
    broken_policies.FallsToZero: {'test_never_below_its_floor'},
    broken_policies.RollsDice: {'test_same_windows_same_limits'},
    broken_policies.DecaysWhenIdle: {'test_idle_moves_nothing'},
    broken_policies.GrowsOnOverload: {'test_overload_never_raises'},
    broken_policies.BlamesBadRequests: {'test_bad_requests_lower_nothing'},
    broken_policies.BlamesHalfEmptyWindows: {
        'test_half_empty_window_lowers_nothing'
    },
}


class TestRulesCanFail(unittest.TestCase):
    def test_each_broken_policy_trips_its_rule_and_no_other(self) -> None:
        for kind, expected in BROKEN.items():

            class Rules(policy.PolicyRules):
                broken = kind

                def make_policy(self, limit: int) -> interfaces.Policy:
                    return self.broken(limit)

            with self.subTest(kind.__name__):
                result = unittest.TestResult()
                unittest.defaultTestLoader.loadTestsFromTestCase(Rules).run(
                    result
                )
                self.assertEqual([], result.errors)
                tripped = {test._testMethodName for test, _ in result.failures}
                self.assertEqual(expected, tripped)

    def test_every_rule_is_tripped_by_some_policy(self) -> None:
        rules = set(
            unittest.defaultTestLoader.getTestCaseNames(policy.PolicyRules)
        )
        self.assertEqual(rules, set().union(*BROKEN.values()))
