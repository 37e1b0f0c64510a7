"""What policies are tried with."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import math
import random

from tests.benchmark.simulator.model import Kind
from tests.benchmark.simulator.model import Scenario

Capacity = Callable[[float], float]
Arrivals = Callable[[random.Random], Sequence[float]]


def constant(capacity: float) -> Capacity:
    """Return a capacity that never changes."""
    return lambda now: capacity


def brown_out(capacity: float, at: float, until: float) -> Capacity:
    """Return a capacity that falls to a tenth for a while."""
    return fall(capacity, capacity / 10, at, until)


def fall(capacity: float, lower: float, at: float, until: float) -> Capacity:
    """Return a capacity that falls for a while."""
    return lambda now: lower if at <= now < until else capacity


def drift(low: float, high: float, length_s: float) -> Capacity:
    """Return a capacity that rises slowly and falls again."""

    def at(now: float) -> float:
        share = 1 - abs(2 * now / length_s - 1)
        return low + (high - low) * share

    return at


def poisson(rate: float, until: float, begin: float = 0.0) -> Arrivals:
    """Return arrivals that know nothing of each other."""

    def times(dice: random.Random) -> Sequence[float]:
        made, now = [], begin
        while True:
            now += dice.expovariate(rate)
            if now >= until:
                return made
            made.append(now)

    return times


def burst(count: int, at: float = 0.0) -> Arrivals:
    """Return arrivals all at once."""
    return lambda dice: [at] * count


def both(first: Arrivals, second: Arrivals) -> Arrivals:
    """Return the arrivals of both."""
    return lambda dice: sorted([*first(dice), *second(dice)])


MIXED = (
    Kind(name='create', mean_s=0.02, share=0.97),
    Kind(name='create-copy', mean_s=20.0, share=0.03),
)

SCENARIOS = (
    Scenario(
        name='steady 80 %',
        capacity=constant(20),
        arrivals=poisson(32, 290),
    ),
    Scenario(
        name='burst cold 10x',
        capacity=constant(100),
        arrivals=burst(4000),
        length_s=120,
    ),
    Scenario(
        name='burst cold',
        capacity=constant(10),
        arrivals=burst(1000),
        length_s=150,
    ),
    Scenario(
        name='burst warm',
        capacity=constant(50),
        arrivals=both(poisson(80, 100), burst(1000, 100)),
        length_s=250,
    ),
    *(
        Scenario(
            name=f'weak {capacity}',
            capacity=constant(capacity),
            arrivals=burst(2000),
        )
        for capacity in (1, 2, 3, 4)
    ),
    Scenario(
        name='brown-out',
        capacity=brown_out(40, 100, 200),
        arrivals=poisson(64, 400),
        length_s=400,
        changes=(100, 200),
    ),
    Scenario(
        name='slow drift',
        capacity=drift(5, 60, 400),
        arrivals=poisson(120, 400),
        length_s=400,
        changes=tuple(range(0, 400, 10)),
    ),
    Scenario(
        name='bad 5 %', capacity=constant(20), arrivals=burst(10000), bad=0.05
    ),
    Scenario(
        name='bad 30 %', capacity=constant(20), arrivals=burst(14000), bad=0.3
    ),
    Scenario(
        name='ms and minutes',
        capacity=constant(30),
        arrivals=poisson(40, 290),
        kinds=MIXED,
    ),
    Scenario(
        name='trickle', capacity=constant(20), arrivals=poisson(0.5, 290)
    ),
)


def drawn(number: int) -> Scenario:
    """Return a scenario that nobody has thought of.

    It lasts as long as it takes to see thousands of ends.
    """
    dice = random.Random(number)
    capacity = math.exp(dice.uniform(0.0, math.log(100.0)))
    mean_s = math.exp(dice.uniform(math.log(0.05), math.log(5.0)))
    mean_s = max(mean_s, capacity / 100)
    rate = capacity / mean_s
    length_s = max(300.0, 6000 / rate)
    at, until = sorted(dice.uniform(0.2, 0.7) * length_s for _ in range(2))
    shape = dice.choice(['constant', 'brown-out', 'drift', 'steps'])
    changes: Sequence[float] = ()
    if shape == 'constant':
        curve = constant(capacity)
    elif shape == 'brown-out':
        curve, changes = brown_out(capacity, at, until), (at, until)
    elif shape == 'drift':
        curve = drift(max(1.0, capacity / 8), capacity, length_s)
        changes = tuple(length_s * step / 40 for step in range(40))
    else:
        lower = max(1.0, capacity * dice.uniform(0.2, 0.6))
        curve = fall(capacity, lower, at, until)
        changes = (at, until)
    kinds: tuple[Kind, ...] = (Kind(name='create', mean_s=mean_s),)
    if dice.random() < 0.3:
        share = dice.uniform(0.05, 0.5)
        kinds = (
            Kind(name='create', mean_s=mean_s, share=1 - share),
            Kind(
                name='delete',
                mean_s=mean_s * math.exp(dice.uniform(-2, 0)),
                share=share,
            ),
        )
    load = dice.choice([0.5, 0.8, 1.5])
    arrivals = (
        burst(int(1.3 * rate * length_s))
        if dice.random() < 0.4
        else poisson(load * rate, length_s * 0.95)
    )
    return Scenario(
        name=f'drawn {number}: C {capacity:.0f} {shape}, {mean_s:.2f} s',
        capacity=curve,
        arrivals=arrivals,
        kinds=kinds,
        bad=dice.choice([0.0, 0.0, 0.1]),
        volumes=dice.choice([None, None, 2000]),
        length_s=length_s,
        changes=changes,
    )
