"""One write transaction: what its changes share."""

from __future__ import annotations

from collections.abc import Sequence
import json
from typing import Any

import sqlalchemy as sa

from virtdc_agent.contract import codec
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent.journal import rows
from virtdc_agent.journal.tables import COUNTERS
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import QUEUE
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent.journal.tables import VOLUMES
from virtdc_agent import model

_NEXT_ON = (
    sa.select(sa.func.min(QUEUE.c.event))
    .where(QUEUE.c.resource == sa.bindparam('on'))
    .scalar_subquery()
)
_UNBLOCK = (
    EVENTS.update()
    .where(EVENTS.c.id == _NEXT_ON)
    .values(blockers=EVENTS.c.blockers - 1)
)
_LEAVE = QUEUE.delete().where(
    QUEUE.c.resource == sa.bindparam('on'), QUEUE.c.event == sa.bindparam('of')
)
_FIND = sa.select(EVENTS).where(EVENTS.c.event_id == sa.bindparam('wanted'))
_VOLUME = sa.select(VOLUMES.c.body).where(
    VOLUMES.c.volume_id == sa.bindparam('wanted')
)
_SAVE = (
    EVENTS.update()
    .where(EVENTS.c.id == sa.bindparam('row'))
    .values(
        latest=sa.bindparam('new_latest'),
        state=sa.bindparam('new_state'),
        attempt=sa.bindparam('new_attempt'),
        fence=sa.bindparam('new_fence'),
        holder=sa.bindparam('new_holder'),
        lease_until=sa.bindparam('new_lease_until'),
        is_closed=sa.bindparam('new_is_closed'),
    )
)
_COUNT = (
    COUNTERS.update()
    .where(COUNTERS.c.name == sa.bindparam('counter'))
    .values(value=sa.bindparam('to'))
)


class Transaction:
    """Reads and writes within one transaction.

    Counters and the history are held until ``flush``, which the journal
    calls once, before it commits.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        # Locks the row, and with it the sequence, on databases where
        # several agents write.
        self._counters = {
            row.name: row.value
            for row in connection.execute(
                sa.select(COUNTERS).with_for_update()
            )
        }
        self._before = dict(self._counters)
        self._history: list[dict[str, object]] = []

    def counter(self, name: str) -> int:
        """Return a counter's value."""
        value: int = self._counters[name]
        return value

    def add(self, name: str, amount: int) -> int:
        """Add to a counter; return its new value."""
        self._counters[name] += amount
        return self.counter(name)

    def flush(self) -> None:
        """Write what was held."""
        if self._history:
            self.connection.execute(TRANSITIONS.insert(), self._history)
        changed = [
            {'counter': name, 'to': value}
            for name, value in self._counters.items()
            if value != self._before[name]
        ]
        if changed:
            self.connection.execute(_COUNT, changed)

    def find(self, event_id: str) -> Any | None:
        """Return an event's row, if there is one."""
        return self.connection.execute(_FIND, {'wanted': event_id}).first()

    def held(self, claim: model.Claim) -> Any:
        """Return the row of a running event that this claim holds.

        :raises LeaseLost: it does not, or the event does not run.
        """
        row = self.find(claim.event.event_id)
        if row is None or row.fence != claim.fence or row.state != 'running':
            raise exceptions.LeaseLost(
                f'Event {claim.event.event_id} is not held by this claim.'
            )
        return row

    def volume(self, volume_id: str) -> Volume | None:
        """Return a volume, if there is one."""
        body = self.connection.execute(_VOLUME, {'wanted': volume_id}).scalar()
        return None if body is None else rows.volume_from(body)

    def note(self, transition: Transition) -> str:
        """Add a transition to the history; return its text."""
        body = json.dumps(codec.encode(transition))
        self._history.append({'sequence': transition.sequence, 'body': body})
        return body

    def save(
        self,
        row: Any,
        transition: Transition,
        *,
        fence: int,
        holder: str | None = None,
        lease_until: float | None = None,
        is_closed: bool = False,
    ) -> None:
        """Make ``transition`` the latest of an event, and count states."""
        body = self.note(transition)
        for name, sign in ((row.state, -1), (transition.state.value, 1)):
            if name in ('waiting', 'running'):
                self.add(name, sign)
        self.connection.execute(
            _SAVE,
            {
                'row': row.id,
                'new_latest': body,
                'new_state': transition.state.value,
                'new_attempt': transition.attempt,
                'new_fence': fence,
                'new_holder': holder,
                'new_lease_until': lease_until,
                'new_is_closed': is_closed,
            },
        )

    def leave_queue(self, row: Any, resources: Sequence[str]) -> None:
        """Let go of an event's resources, and unblock who is next."""
        for resource in resources:
            first = self.connection.execute(
                sa.select(sa.func.min(QUEUE.c.event)).where(
                    QUEUE.c.resource == resource
                )
            ).scalar()
            self.connection.execute(_LEAVE, {'on': resource, 'of': row.id})
            # One that was cancelled in the middle held nobody up alone.
            if first == row.id:
                self.connection.execute(_UNBLOCK, {'on': resource})

    def change_volume(self, change: model.VolumeChange | None) -> None:
        """Write what an operation made of its volume."""
        match change:
            case model.PutVolume(volume=volume):
                self._remove_volume(volume.volume_id)
                self.connection.execute(
                    VOLUMES.insert(),
                    {
                        'volume_id': volume.volume_id,
                        'size_bytes': volume.size_bytes,
                        'body': json.dumps(codec.encode(volume)),
                    },
                )
                self.add('volumes', 1)
                self.add('provisioned_bytes', volume.size_bytes)
            case model.RemoveVolume(volume_id=volume_id):
                self._remove_volume(volume_id)
            case None:
                pass

    def insert_event(
        self, event: Event, content: str, latest: Transition
    ) -> None:
        """Write a new event at the end of its queues."""
        resources = sorted(set(event.resources))
        blockers = sum(
            self.connection.execute(
                sa.select(sa.literal(1))
                .where(QUEUE.c.resource == resource)
                .limit(1)
            ).first()
            is not None
            for resource in resources
        )
        body = self.note(latest)
        self.add('waiting', 1)
        row_id = self.connection.execute(
            EVENTS.insert(),
            {
                'event_id': event.event_id,
                'content': content,
                'latest': body,
                'state': latest.state.value,
                'blockers': blockers,
                'attempt': 0,
                'fence': 0,
                'cancel_requested': False,
                'is_closed': False,
            },
        ).inserted_primary_key[0]
        self.connection.execute(
            QUEUE.insert(),
            [
                {'resource': resource, 'event': row_id}
                for resource in resources
            ],
        )

    def _remove_volume(self, volume_id: str) -> None:
        size = self.connection.execute(
            sa.select(VOLUMES.c.size_bytes).where(
                VOLUMES.c.volume_id == volume_id
            )
        ).scalar()
        if size is not None:
            self.connection.execute(
                VOLUMES.delete().where(VOLUMES.c.volume_id == volume_id)
            )
            self.add('volumes', -1)
            self.add('provisioned_bytes', -size)
