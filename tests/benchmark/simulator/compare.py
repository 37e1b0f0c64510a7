"""Runs policies through scenarios, beside an oracle that knows C(t)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import functools
from importlib import metadata
import math
from pathlib import Path
import statistics

from tests.benchmark import report
from tests.benchmark.simulator import measures
from tests.benchmark.simulator.model import Run
from tests.benchmark.simulator.model import Scenario
from tests.benchmark.simulator.model import Simulation
from tests.benchmark.simulator.peers import Gradient2Policy
from tests.benchmark.simulator.peers import VegasPolicy
from tests.benchmark.simulator import pictures
from tests.benchmark.simulator.scenarios import drawn
from tests.benchmark.simulator.scenarios import SCENARIOS
from virtdc_agent import plugins


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
    **{
        one.name: one.load()
        for one in sorted(metadata.entry_points(group=plugins.POLICIES))
    },
    'vegas': VegasPolicy,
    'gradient2': Gradient2Policy,
}
"""All that are installed, also by others, and their peers."""


@functools.lru_cache(maxsize=64)
def simulate(scenario: Scenario, policy: str, seed: int) -> Run:
    """Return a run."""
    kind = {'oracle': Oracle, **POLICIES}[policy]
    return Simulation(scenario, kind(scenario.start), seed).run()


def judge(scenario: Scenario, policy: str, seeds: Sequence[int]) -> list[str]:
    """Return a row of the table: medians, and the worst throughput."""
    oracles = [simulate(scenario, 'oracle', seed) for seed in seeds]
    runs = [simulate(scenario, policy, seed) for seed in seeds]
    pairs = list(zip(runs, oracles, strict=True))
    shares = [measures.share_of(*pair) for pair in pairs]
    waits = [measures.p99_s(run) / measures.p99_s(one) for run, one in pairs]
    took = [measures.time_to_recover_s(*pair) for pair in pairs]
    recovered = [one for one in took if one is not None]
    limits = [limit for run in runs for _, limit in run.limits]
    return [
        scenario.name,
        policy,
        f'{statistics.median(shares):.2f}',
        f'{min(shares):.2f}',
        f'{statistics.median(map(measures.success_ratio, runs)):.3f}',
        f'{statistics.median(map(measures.failures, runs)):.0f}',
        f'{statistics.median(waits):.2f}',
        _seconds(recovered),
        f'{min(limits)}..{max(limits)}',
    ]


def _seconds(values: Sequence[float]) -> str:
    if not values:
        return ''
    median = statistics.median(values)
    return 'never' if math.isinf(median) else f'{median:.0f} s'


def run(arguments: Sequence[str] = ()) -> None:
    """Print the comparison; draw it if that is asked for."""
    parser = argparse.ArgumentParser(
        prog='tools/bench simulator',
        description='Simulate policies on a storage with a hidden capacity, '
        'beside an oracle that knows it. throughput, worst: of all seeds, '
        "beside the oracle's; p99: of the time from submission to end, "
        "beside the oracle's; failures: of valid requests; recovery: until "
        "0.9 of the oracle's throughput, after the capacity came back.",
    )
    parser.add_argument(
        '--policy',
        action='append',
        choices=[*POLICIES],
        help='only this policy; may be repeated',
    )
    parser.add_argument(
        '--scenario',
        action='append',
        metavar='NAME',
        choices=[one.name for one in SCENARIOS],
        help='only this scenario; may be repeated: '
        + ', '.join(one.name for one in SCENARIOS).replace('%', '%%'),
    )
    parser.add_argument(
        '--seeds',
        type=int,
        default=9,
        metavar='COUNT',
        help='runs of each (default: %(default)s)',
    )
    parser.add_argument(
        '--first-seed',
        type=int,
        default=0,
        metavar='SEED',
        help='the first of these seeds (default: %(default)s)',
    )
    parser.add_argument(
        '--drawn',
        type=int,
        default=0,
        metavar='COUNT',
        help='so many drawn scenarios instead of the named ones',
    )
    parser.add_argument(
        '--pictures',
        type=Path,
        metavar='FOLDER',
        help='draw limits over time, of the first seed, into this folder: '
        'an SVG for each scenario',
    )
    wanted = parser.parse_args(arguments)
    if wanted.seeds < 1:
        parser.error('--seeds: at least 1')
    seeds = range(wanted.first_seed, wanted.first_seed + wanted.seeds)
    chosen = [
        one
        for one in [drawn(number) for number in range(wanted.drawn)]
        or SCENARIOS
        if not wanted.scenario or one.name in wanted.scenario
    ]
    policies = wanted.policy or [*POLICIES]
    report.show(
        f'Policies beside an oracle, median of {wanted.seeds} seeds',
        (
            'scenario',
            'policy',
            'throughput',
            'worst',
            'success',
            'failures',
            'p99',
            'recovery',
            'N',
        ),
        [
            judge(scenario, policy, seeds)
            for scenario in chosen
            for policy in policies
        ],
    )
    if wanted.pictures is not None:
        for scenario in chosen:
            path = wanted.pictures / pictures.name_of(scenario)
            path.write_text(picture(scenario, policies, seeds[0]), 'utf-8')


def picture(scenario: Scenario, policies: Sequence[str], seed: int) -> str:
    """Return how the limits went in one run of each policy, as SVG."""
    runs = {name: simulate(scenario, name, seed) for name in policies}
    return pictures.draw(runs, scenario.name)
