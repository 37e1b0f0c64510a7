"""Taking events, and beginning them again."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import dataclasses

from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent import exceptions
from virtdc_agent.journal.change import Change
from virtdc_agent.journal import membership
from virtdc_agent.journal.row import Row
from virtdc_agent.journal import statements
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model
from virtdc_agent import scheduling
from virtdc_agent.scheduling import Lane


_WITH_SNAPSHOTS = frozenset(
    {
        Operation.DELETE.value,
        Operation.SNAPSHOT.value,
        Operation.SNAPSHOT_GROUP.value,
        Operation.DELETE_SNAPSHOT.value,
        Operation.REVERT.value,
        Operation.CLONE.value,
        Operation.MIGRATE.value,
        Operation.UNMANAGE.value,
        Operation.MANAGE_SNAPSHOT.value,
        Operation.UNMANAGE_SNAPSHOT.value,
    }
)
"""Which events are told of snapshots: the others need not ask."""
_WITH_TRASH = frozenset(
    {
        Operation.DELETE.value,
        Operation.RESTORE.value,
        Operation.PURGE.value,
    }
)
"""Which events are told of the trash."""


class Take(Change[Sequence[model.Claim]]):
    """Take waiting events for an agent.

    :param suspects: take the oldest suspects, instead of any other.
    :param doubtful: take also what is this agent's already, though it does
        not know it: of a claim whose commit went through unheard.
    :param known: the fences of what the agent knows to be its own.
    """

    def __init__(
        self,
        lane: Lane,
        limit: int,
        *,
        identity: membership.Identity,
        suspects: bool = False,
        doubtful: bool = False,
        known: Collection[int] = (),
    ) -> None:
        self._lane = lane
        self._limit = limit
        self._identity = identity
        self._agent = identity.name
        self._suspects = suspects
        self._doubtful = doubtful
        self._known = known
        self._found: dict[str, list[Row]] = {}
        self._unheard: list[Row] = []

    def lock(self, tx: Transaction) -> None:
        """Lock candidates, of those that nobody else has locked."""
        # Rows that an earlier change of this transaction takes are found
        # again: they are locked by us.
        key = (self._lane, self._suspects)
        most = tx.candidates_wanted.get(key, 0) + self._limit
        tx.candidates_wanted[key] = most
        for origin in Origin:
            found = tx.connection.execute(
                statements.LOCK_CANDIDATES,
                {
                    'suspect': self._suspects,
                    'lane': self._lane.value,
                    'origin': origin.value,
                    'most': most,
                },
            ).all()
            self._found[origin.value] = [tx.adopt(one) for one in found]
        if self._doubtful:
            self._unheard = [
                tx.adopt(one)
                for one in tx.select(statements.LOAD_HELD, [self._agent])
            ]

    def apply(self, tx: Transaction) -> Sequence[model.Claim]:
        """See the base."""
        membership.check_lease(tx, self._identity)
        unheard = [
            row
            for row in self._unheard
            if row.state == 'running'
            and row.fence not in self._known
            and row.lane == self._lane.value
        ]
        waiting = {
            origin: [row for row in found if row.state == 'waiting']
            for origin, found in self._found.items()
        }
        events = dict(
            tx.get_events(
                [
                    *unheard,
                    *(row for found in waiting.values() for row in found),
                ]
            )
        )
        if self._suspects:
            oldest = sorted(
                (row for found in waiting.values() for row in found),
                key=lambda row: row.id,
            )
            picked = oldest[: self._limit]
        else:
            picked = tx.open_shares().pick(
                self._lane,
                waiting,
                self._limit,
                lambda row: scheduling.cost_of(events[row.id], self._lane),
            )
        for row in picked:
            tx.transit(row, begun(tx, row, self._agent))
        taken = [*unheard, *picked]
        known = tx.get_volumes(
            {one for row in taken for one in events[row.id].resources}
        )
        snapshots = tx.get_snapshots(
            {
                one
                for row in taken
                if row.operation in _WITH_SNAPSHOTS
                for one in _snapshots_of(events[row.id])
            }
        )
        trashed = tx.get_trashed(
            {row.volume_id for row in taken if row.operation in _WITH_TRASH}
        )
        return [
            model.Claim(
                event=events[row.id],
                attempt=row.attempt,
                fence=row.fence,
                volume=known.get(row.volume_id),
                source=known.get(_source_of(events[row.id]) or ''),
                members=tuple(
                    known[one]
                    for one in events[row.id].volume_ids
                    if one in known
                ),
                snapshots=(
                    tuple(
                        snapshot
                        for one in _snapshots_of(events[row.id])
                        for snapshot in snapshots.get(one, ())
                    )
                    if row.operation in _WITH_SNAPSHOTS
                    else ()
                ),
                trashed=(
                    trashed.get(row.volume_id)
                    if row.operation in _WITH_TRASH
                    else None
                ),
                lane=Lane(row.lane),
                losses=row.losses,
            )
            for row in taken
        ]


class Retry(Change[model.Claim]):
    """Begin another attempt of what runs."""

    def __init__(self, claim: model.Claim, *, agent: str) -> None:
        self._claim = claim
        self._agent = agent

    def needs(self) -> Collection[str]:
        """See the base."""
        return (self._claim.event.event_id,)

    def apply(self, tx: Transaction) -> model.Claim:
        """See the base."""
        claim = self._claim
        row = tx.row(claim.event.event_id)
        if row is None or row.state != 'running' or row.holder != self._agent:
            raise exceptions.LeaseLost(
                f'Event {claim.event.event_id} is not held by this claim.'
            )
        # Asked again because the answer was not heard, it was begun already.
        if row.attempt != claim.attempt + 1:
            row = tx.held(claim)
            tx.transit(row, begun(tx, row, self._agent))
        return dataclasses.replace(claim, attempt=row.attempt, fence=row.fence)


def begun(tx: Transaction, row: Row, agent: str) -> Transition:
    """Return the transition that begins an attempt; note its holder."""
    row.fence = tx.next_sequence()
    row.holder = agent
    return dataclasses.replace(
        tx.latest(row),
        state=State.RUNNING,
        sequence=row.fence,
        occurred_at=tx.now,
        attempt=row.attempt + 1,
        progress=None,
        bytes_done=None,
        bytes_total=None,
        phase='',
    )


def _snapshots_of(event: Event) -> Collection[str]:
    """Return the volumes of whose snapshots an event is told."""
    return event.volume_ids or (_source_of(event) or event.volume_id,)


def _source_of(event: Event) -> str | None:
    """Return the volume that an event copies, if it does."""
    parameters = event.parameters
    if isinstance(parameters, CloneParameters):
        return parameters.source_id
    return None
