"""Agents that share a journal: their lives, leases, and what they leave.

An agent is alive while its lease has not ended, by the database's time, which
is the same for all. One lease covers all that it holds: to renew it costs the
same with one operation running and with a thousand.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import dataclasses
from typing import Any

import sqlalchemy as sa

from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent import exceptions
from virtdc_agent.journal import alarms
from virtdc_agent.journal.change import Change
from virtdc_agent.journal.ending import final_of
from virtdc_agent.journal.ending import open_closed
from virtdc_agent.journal.ending import put_back
from virtdc_agent.journal.row import Row
from virtdc_agent.journal import statements
from virtdc_agent.journal.tables import AGENTS
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who an agent is in this life.

    :param life: different each time that the process starts.
    """

    name: str
    life: str
    host: str
    process_id: int
    version: str


_OF_NAME = AGENTS.c.name == sa.bindparam('of', type_=AGENTS.c.name.type)
_HOLDERS = (
    sa.select(EVENTS.c.holder).where(EVENTS.c.holder.is_not(None)).distinct()
)


class Join(Change[model.Takeover]):
    """Begin a life; put back what the former one left."""

    def __init__(
        self, identity: Identity, *, lease_s: float, max_losses: int
    ) -> None:
        self._identity = identity
        self._lease_s = lease_s
        self._max_losses = max_losses
        self._left: list[Row] = []

    def lock(self, tx: Transaction) -> None:
        """See the base."""
        self._left = _load_left(tx, [self._identity.name])

    def apply(self, tx: Transaction) -> model.Takeover:
        """See the base."""
        me = self._identity
        found = tx.connection.execute(
            sa.select(AGENTS).where(_OF_NAME), {'of': me.name}
        ).first()
        values = {
            **dataclasses.asdict(me),
            'started': tx.seconds,
            'lease_until': tx.seconds + self._lease_s,
        }
        if found is None:
            tx.connection.execute(
                AGENTS.insert(), {**values, 'is_draining': False}
            )
            former = None
        else:
            tx.connection.execute(
                AGENTS.update().where(_OF_NAME).values(values),
                {'of': me.name},
            )
            former = found.life
        if former == me.life:
            # Joined already; the answer was not heard.
            return model.Takeover()
        return _take(tx, self._left, self._max_losses)


def check_lease(tx: Transaction, identity: Identity) -> None:
    """Refuse an agent whose lease has ended, or that lives anew.

    :raises LeaseLost: what it claimed now would be others' at once.
    """
    found = tx.connection.execute(
        sa.select(AGENTS.c.life, AGENTS.c.lease_until).where(_OF_NAME),
        {'of': identity.name},
    ).first()
    if (
        found is None
        or found.life != identity.life
        or found.lease_until <= tx.seconds
    ):
        raise exceptions.LeaseLost(
            f'The lease of agent {identity.name} has ended.'
        )


class Renew(Change[model.Membership]):
    """Extend a lease, or begin it anew."""

    def __init__(self, identity: Identity, *, lease_s: float) -> None:
        self._identity = identity
        self._lease_s = lease_s

    def apply(self, tx: Transaction) -> model.Membership:
        """See the base."""
        me = self._identity
        found = tx.connection.execute(
            sa.select(AGENTS).where(_OF_NAME), {'of': me.name}
        ).first()
        if found is None or found.life != me.life:
            raise exceptions.LeaseLost(
                f'Another life of agent {me.name} has begun: two agents must '
                'not have one name. This one has to end.'
            )
        tx.connection.execute(
            AGENTS.update()
            .where(_OF_NAME)
            .values(lease_until=tx.seconds + self._lease_s),
            {'of': me.name},
        )
        return model.Membership(
            lease_s=self._lease_s,
            is_draining=found.is_draining,
            is_new=found.lease_until <= tx.seconds,
        )


class Leave(Change[None]):
    """End a life, so that nobody waits for its lease to end."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def apply(self, tx: Transaction) -> None:
        """See the base."""
        tx.connection.execute(
            AGENTS.update()
            .where(_OF_NAME, AGENTS.c.life == self._identity.life)
            .values(lease_until=tx.seconds),
            {'of': self._identity.name},
        )
        if tx.totals.publisher == self._identity.name:
            tx.totals.publisher = None
        if tx.totals.scanner == self._identity.name:
            tx.totals.scanner = None


class TakeOver(Change[model.Takeover]):
    """Put back what agents left whose lease has ended."""

    def __init__(self, names: Collection[str], *, max_losses: int) -> None:
        self._names = names
        self._max_losses = max_losses
        self._left: list[Row] = []

    def lock(self, tx: Transaction) -> None:
        """See the base."""
        self._left = _load_left(tx, self._names)

    def apply(self, tx: Transaction) -> model.Takeover:
        """See the base."""
        # Asked again now that nobody else writes: a lease may have been
        # renewed since its end was seen.
        alive = set(
            tx.connection.execute(
                sa.select(AGENTS.c.name).where(
                    AGENTS.c.lease_until > tx.seconds
                )
            ).scalars()
        )
        dead = [row for row in self._left if row.holder not in alive]
        return _take(tx, dead, self._max_losses)


def find_dead(connection: Any, now: float) -> Sequence[str]:
    """Return the names of holders whose lease has ended; no lock."""
    holders = set(connection.execute(_HOLDERS).scalars())
    if not holders:
        return []
    alive = set(
        connection.execute(
            sa.select(AGENTS.c.name).where(AGENTS.c.lease_until > now)
        ).scalars()
    )
    return sorted(holders - alive)


def _load_left(tx: Transaction, names: Collection[str]) -> list[Row]:
    return [
        tx.adopt(found) for found in tx.select(statements.LOAD_HELD, names)
    ]


def _take(
    tx: Transaction, left: Collection[Row], max_losses: int
) -> model.Takeover:
    """Put back what ran, open what was closed, give up what kills.

    An agent dies of one event, and all that ran beside it are suspected. So
    that the innocent do not collect as many losses as the guilty, suspects
    are executed alone: if there was one, it is charged, and nothing else.
    """
    agents = sorted({row.holder for row in left if row.holder})
    contents = tx.get_events([row for row in left if row.is_closed])
    running = [row for row in left if row.state == 'running']
    for row in left:
        if row.is_closed:
            open_closed(tx, row, contents[row.id].resources)
    suspects = [row for row in running if row.losses]
    for row in suspects or running:
        row.losses += 1
    returned: list[Transition] = []
    lost: list[Transition] = []
    for row in running:
        if row.losses >= max_losses:
            lost.append(_give_up(tx, row))
        else:
            returned.append(put_back(tx, row))
    return model.Takeover(returned=returned, lost=lost, agents=agents)


def _give_up(tx: Transaction, row: Row) -> Transition:
    resources = tx.get_event(row).resources
    message = (
        f'Given up: {row.losses} times the agent died while it executed '
        'this. What it left in the storage is removed with the volume.'
    )
    transition = final_of(
        tx,
        row,
        model.Outcome(state=State.FAILED, reason=Reason.LOST, message=message),
    )
    row.holder = None
    tx.transit(row, transition)
    tx.leave(row, resources)
    alarms.raise_alarm(
        tx,
        kind=catalogue.EVENT_LOST.kind,
        subject=row.volume_id,
        severity=catalogue.EVENT_LOST.severity,
        message=f'Event {row.event_id} ({row.operation} of volume '
        f'{row.volume_id}): {message}',
    )
    return transition
