"""What goes wrong, and when: by seed."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import enum
import random

_MEAN_PAUSE_S = 3.0
_FIRST_S = 3.0


class Kind(enum.StrEnum):
    """What can go wrong."""

    KILL_AGENT = 'kill agent'
    FREEZE_AGENT = 'freeze agent'
    STOP_AGENT = 'stop agent'
    KILL_BROKER = 'kill broker'
    KILL_DATABASE = 'kill database'
    FILL_DISK = 'fill disk'


_WEIGHTS: Mapping[Kind, float] = {
    Kind.KILL_AGENT: 4,
    Kind.FREEZE_AGENT: 4,
    Kind.STOP_AGENT: 2,
    Kind.KILL_BROKER: 1,
    Kind.KILL_DATABASE: 1,
    Kind.FILL_DISK: 2,
}
_OF_AGENTS = frozenset({Kind.KILL_AGENT, Kind.FREEZE_AGENT, Kind.STOP_AGENT})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, for a while.

    :param at_s: seconds after the beginning.
    :param lasts_s: seconds until it is put right.
    :param agent: which agent it strikes, if it strikes one.
    """

    kind: Kind
    at_s: float
    lasts_s: float
    agent: int = 0

    @property
    def target(self) -> str:
        """What it strikes."""
        if self.kind in _OF_AGENTS:
            return f'agent-{self.agent + 1}'
        return self.kind.rpartition(' ')[2]

    def __str__(self) -> str:
        """Say it on one line."""
        verb = self.kind.partition(' ')[0]
        return f'{verb} {self.target}, for {self.lasts_s:.1f} s'


def plan(
    seed: int,
    *,
    seconds: float,
    agents: int,
    lease_s: float,
    kinds: Collection[Kind] = frozenset(Kind),
) -> Sequence[Fault]:
    """Return faults in their order, the same ones for a seed.

    Several may be there at once, but no two on one target. An agent is
    frozen for less than its lease as often as for more.
    """
    chance = random.Random(f'faults {seed}')
    choices = [kind for kind in Kind if kind in kinds]
    free_at: dict[str, float] = {}
    found = []
    at_s = _FIRST_S
    while at_s < seconds:
        kind = chance.choices(choices, [_WEIGHTS[one] for one in choices])[0]
        fault = Fault(
            kind=kind,
            at_s=at_s,
            lasts_s=_duration(chance, kind, lease_s),
            agent=chance.randrange(agents),
        )
        if free_at.get(fault.target, 0.0) <= at_s:
            found.append(fault)
            # What it takes to come back, more or less.
            free_at[fault.target] = at_s + fault.lasts_s + 2.0
        at_s += chance.expovariate(1 / _MEAN_PAUSE_S)
    return found


def _duration(chance: random.Random, kind: Kind, lease_s: float) -> float:
    match kind:
        case Kind.FREEZE_AGENT:
            return lease_s * chance.choice(
                (chance.uniform(0.1, 1.0), chance.uniform(1.0, 3.0))
            )
        case Kind.FILL_DISK:
            return chance.uniform(0.5, 4.0)
        case _:
            return chance.uniform(0.1, 3.0)
