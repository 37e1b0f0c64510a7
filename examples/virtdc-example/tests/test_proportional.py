"""The policy "proportional" holds the rules of policies."""

from __future__ import annotations

from virtdc_agent.conformance import policy
from virtdc_agent import interfaces
from virtdc_agent.model import Signal
from virtdc_agent import plugins


class TestProportional(policy.PolicyRules):
    def make_policy(self, limit: int) -> interfaces.Policy:
        kind = plugins.load(plugins.POLICIES, 'proportional', 'policy')
        return kind(limit, ceiling=1000)

    def test_falls_by_half_the_share_that_was_overloaded(self) -> None:
        signals = [Signal.OVERLOADED] + [Signal.SUCCESS] * 9
        self.assertEqual(
            95, self.make_policy(100).observe(policy.window(100, *signals))
        )
