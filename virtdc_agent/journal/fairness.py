"""Who is next: fair shares between origins, and between projects. Pure.

Start-time fair queueing (Goyal, Vin, Cheng, "Start-time Fair Queuing: A
Scheduling Algorithm for Integrated Services Packet Switching Networks",
SIGCOMM 1996). Each project of an origin is a flow. An event that arrives is
given a start tag once and for all: the end of its flow's last event, or, if
that is past, the virtual time, which is the start tag of what was taken last.
Its flow's end moves on by the event's cost. Events are taken in order of
their tags. So a flow of a thousand events stretches far into virtual time,
and one that comes with a single event stands beside its head: it waits for at
most one event of each other busy flow, and no flow gains by having been
idle. The order is fixed on arrival, which makes it an index of the database:
to take the next one costs the same with ten events waiting and with a
million.

The two origins share in the same way one level above: of two that both have
work, each gets half, whatever the number of its projects. The urgent are
before all others; among themselves they share alike.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
from typing import Protocol, TypeVar

from virtdc_agent.scheduling import Lane


class Candidate(Protocol):
    """An event that may be taken."""

    @property
    def urgency(self) -> int:
        """The lower, the sooner."""

    @property
    def tag(self) -> int:
        """Its start tag."""


C = TypeVar('C', bound=Candidate)


@dataclasses.dataclass(slots=True)
class _Share:
    """What one origin has had of one lane and urgency.

    :param now: the virtual time of its projects.
    :param turn: the origin's own end, beside the other's.
    """

    now: int = 0
    turn: int = 0


def share_name(lane: Lane, urgency: int, origin: str) -> str:
    """Name what has a virtual time of its own."""
    return f'{lane.value}/{int(urgency)}/{origin}'


class Shares:
    """The virtual times of all; kept as one short text."""

    def __init__(self, text: str = '{}') -> None:
        self._shares = {
            name: _Share(*values) for name, values in json.loads(text).items()
        }

    def to_text(self) -> str:
        """Return what the constructor takes."""
        return json.dumps(
            {
                name: [share.now, share.turn]
                for name, share in self._shares.items()
            },
            sort_keys=True,
        )

    def names(self) -> Sequence[str]:
        """Return what has a virtual time."""
        return list(self._shares)

    def now(self, name: str) -> int:
        """Return a virtual time."""
        share = self._shares.get(name)
        return 0 if share is None else share.now

    def pick(
        self,
        lane: Lane,
        waiting: Mapping[str, Sequence[C]],
        limit: int,
        cost: Callable[[C], int],
    ) -> list[C]:
        """Choose up to ``limit``, and move the virtual times on.

        :param waiting: by origin, in order of urgency and tag.
        """
        heads = dict.fromkeys(waiting, 0)
        picked: list[C] = []
        while len(picked) < limit:
            ready = {
                origin: waiting[origin][at]
                for origin, at in heads.items()
                if at < len(waiting[origin])
            }
            if not ready:
                break
            urgency = min(one.urgency for one in ready.values())
            # Of those that are as urgent, whose turn begins first.
            turn, origin = min(
                (self._share(lane, urgency, origin).turn, origin)
                for origin, one in ready.items()
                if one.urgency == urgency
            )
            chosen = ready[origin]
            heads[origin] += 1
            picked.append(chosen)
            self._took(lane, urgency, origin, turn, chosen.tag, cost(chosen))
        return picked

    def _took(
        self,
        lane: Lane,
        urgency: int,
        origin: str,
        turn: int,
        tag: int,
        cost: int,
    ) -> None:
        share = self._share(lane, urgency, origin)
        share.now = max(share.now, tag)
        share.turn = turn + cost
        # Who had nothing to do meanwhile has not saved it up.
        beginning = share_name(lane, urgency, '')
        for name, other in self._shares.items():
            if name.startswith(beginning):
                other.turn = max(other.turn, turn)

    def _share(self, lane: Lane, urgency: int, origin: str) -> _Share:
        return self._shares.setdefault(
            share_name(lane, urgency, origin), _Share()
        )
