"""What a simulated run is judged by, beside the oracle's of the same seed.

Pure: runs in, figures out. Times in seconds.
"""

from __future__ import annotations

import bisect
import math

from tests.benchmark import report
from tests.benchmark.simulator.model import Run
from tests.benchmark.simulator.model import Scenario
from virtdc_agent.model import Signal

RECOVERED = 0.9
"""Share of the oracle's throughput from which on a run has recovered."""
RISE = 1.5
"""By how much the capacity has to grow at once to be a recovery."""
SHORTEST_SPAN_S = 10.0
ENOUGH = 100
"""Ends in a span that throughput is counted over: fewer are chance."""


def successes(run: Run) -> list[float]:
    """Return when events succeeded, in order."""
    return sorted(
        one.ended
        for one in run.operations
        if one.signal is Signal.SUCCESS and one.ended is not None
    )


def ended_by(run: Run, until: float) -> int:
    """Return how many events had succeeded at a time."""
    return bisect.bisect_right(successes(run), until)


def share_of(run: Run, oracle: Run) -> float:
    """Return the throughput beside the oracle's, while that had work."""
    done = successes(oracle)
    until = done[-1] if done else 0.0
    return ended_by(run, until) / max(1, len(done))


def failures(run: Run) -> int:
    """Return how many valid requests failed."""
    return sum(
        one.signal is not None
        and one.signal is not Signal.SUCCESS
        and not one.is_bad
        for one in run.operations
    )


def success_ratio(run: Run) -> float:
    """Return the share of ended, valid requests that succeeded."""
    ended = sum(
        one.signal is not None and not one.is_bad for one in run.operations
    )
    return 1.0 - failures(run) / ended if ended else 1.0


def p99_s(run: Run) -> float:
    """Return the 99th percentile of the time from submission to end."""
    times = [
        one.ended - one.submitted
        for one in run.operations
        if one.ended is not None
    ]
    return report.percentile(times, 0.99) if times else math.inf


def recoveries(scenario: Scenario) -> list[float]:
    """Return when the storage comes back after it was weak."""
    return [
        at
        for at in scenario.changes
        if scenario.capacity(at) >= RISE * scenario.capacity(at - 1e-6)
    ]


def time_to_recover_s(run: Run, oracle: Run) -> float | None:
    """Return how long throughput stayed low after the storage came back.

    Until the first span over which at least ``RECOVERED`` as many events
    succeed as with the oracle, which knew at once; the longest, if the
    storage came back several times.

    :returns: ``None`` if the storage never came back, infinity if the run
        did not recover before the scenario or its work ended.
    """
    scenario = run.scenario
    mine, theirs = successes(run), successes(oracle)
    worst: float | None = None
    for at in recoveries(scenario):
        busy_until = min(scenario.length_s, theirs[-1] if theirs else 0.0)
        rate = _between(theirs, at, busy_until) / max(1e-9, busy_until - at)
        if rate <= 0:
            continue
        span_s = max(SHORTEST_SPAN_S, ENOUGH / rate)
        took_s = math.inf
        begin = at
        while begin + span_s <= busy_until:
            wanted = RECOVERED * _between(theirs, begin, begin + span_s)
            if _between(mine, begin, begin + span_s) >= wanted:
                took_s = begin - at
                break
            begin += 1.0
        worst = took_s if worst is None else max(worst, took_s)
    return worst


def _between(times: list[float], begin: float, end: float) -> int:
    return bisect.bisect_right(times, end) - bisect.bisect_right(times, begin)
