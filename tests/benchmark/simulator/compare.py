"""Runs policies through scenarios, beside an oracle that knows C(t)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import functools
import math
import statistics

from tests.benchmark import report
from tests.benchmark.simulator.model import Run
from tests.benchmark.simulator.model import Scenario
from tests.benchmark.simulator.model import Simulation
from tests.benchmark.simulator.scenarios import drawn
from tests.benchmark.simulator.scenarios import SCENARIOS
from virtdc_agent.model import Signal
from virtdc_agent.policies.adaptive import AdaptivePolicy
from virtdc_agent.policies.aimd import AimdPolicy
from virtdc_agent.policies.fixed import FixedPolicy
from virtdc_agent.policies.shrink import ShrinkPolicy


class Oracle:
    """Knows the capacity; for comparison only."""

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self.limit = limit

    def tell(self, capacity: float) -> None:
        """Learn the capacity."""
        self.limit = max(1, math.ceil(capacity))

    def observe(self, window) -> int:
        """Return what it knows."""
        return self.limit


POLICIES: dict[str, Callable] = {
    'fixed': FixedPolicy,
    'shrink': ShrinkPolicy,
    'aimd': AimdPolicy,
    'adaptive': AdaptivePolicy,
}


@functools.cache
def simulate(scenario: Scenario, policy: str, seed: int) -> Run:
    """Return a run."""
    kind = {'oracle': Oracle, **POLICIES}[policy]
    return Simulation(scenario, kind(scenario.start), seed).run()


def ended_by(run: Run, until: float) -> int:
    """Return how many events had succeeded at a time."""
    return sum(
        one.signal is Signal.SUCCESS and (one.ended or 0.0) <= until
        for one in run.operations
    )


def end_of(run: Run) -> float:
    """Return when the last success was."""
    return max(
        (
            one.ended or 0.0
            for one in run.operations
            if one.signal is Signal.SUCCESS
        ),
        default=0.0,
    )


def share_of(run: Run, oracle: Run) -> float:
    """Return the throughput beside the oracle's, while that had work."""
    until = end_of(oracle)
    return ended_by(run, until) / max(1, ended_by(oracle, until))


def success_ratio(run: Run) -> float:
    """Return the share of ended, valid requests that succeeded."""
    ended = [
        one
        for one in run.operations
        if one.signal is not None and not one.is_bad
    ]
    good = sum(one.signal is Signal.SUCCESS for one in ended)
    return good / len(ended) if ended else 1.0


def p99_s(run: Run) -> float:
    """Return the 99th percentile of the time from submission to end."""
    times = [
        one.ended - one.submitted
        for one in run.operations
        if one.ended is not None
    ]
    return report.percentile(times, 0.99) if times else math.inf


def main() -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(prog='tools/bench simulator')
    parser.add_argument('--policy', action='append', choices=[*POLICIES])
    parser.add_argument('--scenario', action='append')
    parser.add_argument('--seeds', type=int, default=9)
    parser.add_argument(
        '--drawn',
        type=int,
        default=0,
        metavar='COUNT',
        help='so many drawn scenarios instead of the named ones',
    )
    wanted = parser.parse_args()
    rows = []
    chosen = [drawn(number) for number in range(wanted.drawn)] or SCENARIOS
    for scenario in chosen:
        if wanted.scenario and scenario.name not in wanted.scenario:
            continue
        for policy in wanted.policy or POLICIES:
            shares, ratios, waits = [], [], []
            for seed in range(wanted.seeds):
                oracle = simulate(scenario, 'oracle', seed)
                run = simulate(scenario, policy, seed)
                shares.append(share_of(run, oracle))
                ratios.append(success_ratio(run))
                waits.append(p99_s(run) / p99_s(oracle))
            limits = [limit for _, limit in run.limits]
            rows.append(
                [
                    scenario.name,
                    policy,
                    f'{statistics.median(shares):.2f}',
                    f'{min(shares):.2f}',
                    f'{statistics.median(ratios):.3f}',
                    f'{statistics.median(waits):.2f}',
                    f'{min(limits)}..{max(limits)}',
                ]
            )
    report.show(
        f'Policies beside an oracle, median of {wanted.seeds} seeds',
        ('scenario', 'policy', 'throughput', 'worst', 'success', 'p99', 'N'),
        rows,
    )
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
