"""An agent and its storage as a discrete-event simulation.

The storage is processor sharing with a hidden capacity C(t): up to C
operations run beside each other at full speed, more of them share. Far above
C it thrashes: altogether it does less, and refuses some as busy. What has
timed out goes on in the storage, unknown to the policy but for its count, and
keeps its volume closed.

The agent is ``continuous`` dispatch to the letter: it starts the next event
as soon as a slot is free, in order for each volume, and shows the policy a
window every T1. What is left out: the agent's own cost, retries, differences
between single disks, and that real capacity depends on what is done.

Deterministic: the same scenario, policy and seed give the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from collections import deque
import dataclasses
import heapq
import itertools
import random

from virtdc_agent import model
from virtdc_agent.model import Signal

THRASHES_AT = 3.0
"""From so many times C on, the storage does less the more it is given."""
REFUSES_AT = 4.0
"""From so many times C on, it refuses some."""
REFUSAL_S = 0.05
EARLY = 0.05
"""An overload ends a window early, once this share of it has passed."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What takes alike.

    :param mean_s: at full speed.
    """

    name: str
    mean_s: float
    share: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is asked of which storage.

    :param capacity: C at a time.
    :param arrivals: the times of submissions, by a source of random numbers.
    :param bad: share of requests that are at fault themselves.
    :param volumes: how many volumes the events are spread over; ``None``:
        each has its own.
    """

    name: str
    capacity: Callable[[float], float]
    arrivals: Callable[[random.Random], Sequence[float]]
    kinds: Sequence[Kind] = (Kind(name='create', mean_s=0.5),)
    bad: float = 0.0
    volumes: int | None = None
    length_s: float = 300.0
    changes: Sequence[float] = ()
    interval_s: float = 2.0
    timeout_s: float = 60.0
    start: int = 10


@dataclasses.dataclass(slots=True)
class Operation:
    """One event."""

    number: int
    kind: Kind
    demand_s: float
    is_bad: bool
    volume: int
    submitted: float
    started: float = 0.0
    area: float = 0.0
    ended: float | None = None
    signal: Signal | None = None
    is_abandoned: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What came of a scenario."""

    operations: Sequence[Operation]
    limits: Sequence[tuple[float, int]]
    scenario: Scenario


class Simulation:
    """One run. See ``run``."""

    def __init__(self, scenario: Scenario, policy, seed: int) -> None:
        self._scenario = scenario
        self._policy = policy
        self._dice = random.Random(seed)
        self._now = 0.0
        self._work = 0.0
        self._in_flight = 0
        self._area = 0.0
        # In the storage, by the work at which they are done.
        self._inside: list[tuple[float, int, Operation]] = []
        self._refused: list[tuple[float, int, Operation]] = []
        self._deadlines: deque[Operation] = deque()
        self._waiting: deque[Operation] = deque()
        self._behind: dict[int, deque[Operation]] = {}
        self._running: dict[int, Operation] = {}
        self._abandoned = 0
        self._numbers = itertools.count()

    def run(self) -> Run:
        """Simulate until the scenario's end."""
        scenario = self._scenario
        arrivals = deque(scenario.arrivals(self._dice))
        opened, tick = 0.0, scenario.interval_s
        changes = deque(sorted(scenario.changes))
        operations: list[Operation] = []
        limits = [(0.0, self._policy.limit)]
        samples: list[model.Sample] = []
        taken, full = 0, False
        window_area = 0.0
        self._oracle(0.0)
        while self._now < scenario.length_s:
            rate = self._rate()
            times = [scenario.length_s, tick]
            if arrivals:
                times.append(arrivals[0])
            if self._inside and rate > 0:
                times.append(
                    self._now
                    + max(0.0, self._inside[0][0] - self._work) / rate
                )
            if self._refused:
                times.append(self._refused[0][0])
            if self._deadlines:
                times.append(self._deadlines[0].started + scenario.timeout_s)
            if changes:
                times.append(changes[0])
            self._advance(max(self._now, min(times)), rate)
            while changes and changes[0] <= self._now:
                changes.popleft()
                self._oracle(self._now)
            while arrivals and arrivals[0] <= self._now:
                operation = self._make(arrivals.popleft())
                operations.append(operation)
                self._submit(operation)
            while self._inside and self._inside[0][0] <= self._work + 1e-9:
                operation = heapq.heappop(self._inside)[2]
                self._leave(operation, samples)
            while self._refused and self._refused[0][0] <= self._now:
                operation = heapq.heappop(self._refused)[2]
                self._end(
                    operation,
                    Signal.IGNORED if operation.is_bad else Signal.OVERLOADED,
                    samples,
                )
                self._open(operation.volume)
            self._time_out(samples)
            begun = self._dispatch()
            taken += begun
            if self._waiting and self._in_flight >= self._policy.limit:
                full = True
            hurt = self._now - opened >= EARLY * scenario.interval_s and any(
                one.signal is Signal.OVERLOADED for one in samples
            )
            if hurt or self._now >= tick:
                limit = self._policy.limit
                after = self._policy.observe(
                    model.Window(
                        limit=limit,
                        taken=taken,
                        full=full,
                        samples=tuple(samples),
                        duration_s=self._now - opened,
                        concurrency=(self._area - window_area)
                        / (self._now - opened),
                        unfinished=tuple(
                            model.Unfinished(
                                kind=one.kind.name,
                                age_s=self._now - one.started,
                                concurrency=self._mean(one),
                            )
                            for one in self._running.values()
                        ),
                        abandoned=self._abandoned,
                    )
                )
                limits.append((self._now, after))
                samples, taken, full = [], 0, False
                window_area = self._area
                opened = self._now
                tick = opened + scenario.interval_s
                self._dispatch()
        return Run(operations, limits, scenario)

    def _oracle(self, now: float) -> None:
        """Tell who is allowed to know."""
        tell = getattr(self._policy, 'tell', None)
        if tell is not None:
            tell(self._scenario.capacity(now))

    def _rate(self) -> float:
        """Return how fast each operation goes on, 1 at full speed."""
        count = len(self._inside)
        if not count:
            return 1.0
        capacity = max(1e-3, self._scenario.capacity(self._now))
        load = count / capacity
        rate = min(1.0, 1.0 / load)
        if load > THRASHES_AT:
            rate /= 1.0 + 0.5 * (load - THRASHES_AT)
        return rate

    def _advance(self, until: float, rate: float) -> None:
        span = until - self._now
        self._work += span * rate
        self._area += span * self._in_flight
        self._now = until

    def _make(self, at: float) -> Operation:
        scenario, dice = self._scenario, self._dice
        (kind,) = dice.choices(
            scenario.kinds, [kind.share for kind in scenario.kinds]
        )
        number = next(self._numbers)
        return Operation(
            number=number,
            kind=kind,
            demand_s=dice.gammavariate(2.0, kind.mean_s / 2.0),
            is_bad=dice.random() < scenario.bad,
            volume=(
                number
                if scenario.volumes is None
                else dice.randrange(scenario.volumes)
            ),
            submitted=at,
        )

    def _submit(self, operation: Operation) -> None:
        queue = self._behind.setdefault(operation.volume, deque())
        queue.append(operation)
        if len(queue) == 1:
            self._waiting.append(operation)

    def _dispatch(self) -> int:
        begun = 0
        while self._waiting and self._in_flight < self._policy.limit:
            operation = self._waiting.popleft()
            operation.started = self._now
            operation.area = self._area
            self._in_flight += 1
            self._running[operation.number] = operation
            begun += 1
            capacity = max(1e-3, self._scenario.capacity(self._now))
            load = len(self._inside) / capacity
            refusal = min(0.8, 0.1 * (load - REFUSES_AT))
            if operation.is_bad or (
                load > REFUSES_AT and self._dice.random() < refusal
            ):
                heapq.heappush(
                    self._refused,
                    (self._now + REFUSAL_S, operation.number, operation),
                )
                continue
            self._deadlines.append(operation)
            heapq.heappush(
                self._inside,
                (
                    self._work + operation.demand_s,
                    operation.number,
                    operation,
                ),
            )
        return begun

    def _leave(
        self, operation: Operation, samples: list[model.Sample]
    ) -> None:
        if operation.is_abandoned:
            self._abandoned -= 1
        else:
            self._end(operation, Signal.SUCCESS, samples)
        self._open(operation.volume)

    def _time_out(self, samples: list[model.Sample]) -> None:
        while self._deadlines:
            first = self._deadlines[0]
            if first.ended is None and (
                first.started + self._scenario.timeout_s > self._now + 1e-9
            ):
                return
            self._deadlines.popleft()
            if first.ended is None:
                first.is_abandoned = True
                self._abandoned += 1
                self._end(first, Signal.OVERLOADED, samples)

    def _end(
        self,
        operation: Operation,
        signal: Signal,
        samples: list[model.Sample],
    ) -> None:
        samples.append(
            model.Sample(
                kind=operation.kind.name,
                signal=signal,
                duration_s=self._now - operation.started,
                concurrency=self._mean(operation),
            )
        )
        operation.ended = self._now
        operation.signal = signal
        del self._running[operation.number]
        self._in_flight -= 1

    def _open(self, volume: int) -> None:
        queue = self._behind[volume]
        queue.popleft()
        if queue:
            self._waiting.append(queue[0])
        else:
            del self._behind[volume]

    def _mean(self, operation: Operation) -> float:
        span = self._now - operation.started
        if span <= 0:
            return float(self._in_flight)
        return max(1.0, (self._area - operation.area) / span)
