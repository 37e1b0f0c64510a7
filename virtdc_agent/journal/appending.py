"""Accepting events, and withdrawing them before their time."""

from __future__ import annotations

from collections.abc import Collection

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent.journal.change import Change
from virtdc_agent.journal.ending import final_of
from virtdc_agent.journal import fairness
from virtdc_agent.journal.row import Row
from virtdc_agent.journal import rows
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model
from virtdc_agent import scheduling


class Append(Change[Transition]):
    """Accept an event, at the end of its queues and of its flow.

    :param max_waiting: with so many waiting, no other is accepted.
    :param unchanged: how its volume has to be; ``None``: that is all one.
    """

    rank = 0

    def __init__(
        self,
        event: Event,
        max_waiting: int | None = None,
        unchanged: Volume | None = None,
    ) -> None:
        self._event = event
        self._max_waiting = max_waiting
        self._unchanged = unchanged
        self._content = rows.event_text(event)
        # How its volume is provisioned is not asked: nothing that depends
        # on it copies yet.
        self._lane = scheduling.lane_of(event, None)
        self._urgency = scheduling.urgency_of(event)
        self._share = fairness.share_name(
            self._lane, self._urgency, event.origin
        )
        self._flow = f'{self._share}/{event.requested_by.project_id}'

    def needs(self) -> Collection[str]:
        """See the base."""
        return (self._event.event_id,)

    def resources(self) -> Collection[str]:
        """See the base."""
        return self._event.resources

    def flows(self) -> Collection[str]:
        """See the base."""
        return (self._flow,)

    def apply(self, tx: Transaction) -> Transition:
        """See the base."""
        event = self._event
        row = tx.row(event.event_id)
        if row is not None:
            if tx.get_event(row) != event:
                raise exceptions.EventConflict(
                    f'Event id {event.event_id} belongs to another event: '
                    'every event needs an id of its own.'
                )
            return tx.latest(row)
        if self._max_waiting is not None and (
            tx.totals.waiting >= self._max_waiting
        ):
            raise exceptions.JournalUnavailable(
                f'{self._max_waiting} events are waiting already, and the '
                'data centre takes no more: ask again later.'
            )
        if self._unchanged is not None:
            _check_unchanged(tx, self._unchanged)
        tx.totals.event += 1
        transition = Transition(
            event_id=event.event_id,
            operation=event.operation,
            volume_id=event.volume_id,
            origin=event.origin,
            state=State.WAITING,
            sequence=tx.next_sequence(),
            occurred_at=tx.now,
            requested_by=event.requested_by,
            volume_ids=event.volume_ids,
        )
        row = Row(
            id=tx.totals.event,
            event_id=event.event_id,
            operation=event.operation.value,
            volume_id=event.volume_id,
            project_id=event.requested_by.project_id,
            origin=event.origin.value,
            lane=self._lane.value,
            urgency=int(self._urgency),
            tag=self._tag(tx),
            accepted=tx.seconds,
            latest='',
            state=State.WAITING.value,
        )
        tx.insert(row, self._content, transition, event)
        return transition

    def _tag(self, tx: Transaction) -> int:
        tag = max(tx.open_shares().now(self._share), tx.flow_end(self._flow))
        cost = scheduling.cost_of(self._event, self._lane)
        tx.move_flow(self._flow, self._share, tag + cost)
        return tag


def _check_unchanged(tx: Transaction, volume: Volume) -> None:
    """Refuse what was decided about a volume that is another by now.

    Who is ahead in its queue may change it before this event does: also who
    has joined in this very transaction, or ends in it and leaves last.
    """
    volume_id = volume.volume_id
    if tx.is_occupied(volume_id):
        raise exceptions.VolumeChanging(
            f'Something is being done to volume {volume_id}: look at it '
            'again when that has ended.'
        )
    if tx.get_volumes([volume_id]).get(volume_id) != volume:
        raise exceptions.VolumeChanged(
            f'Volume {volume_id} has changed: look at it again.'
        )


class Cancel(Change[Transition]):
    """Withdraw an event, or note the wish for whoever holds it."""

    def __init__(self, event_id: str) -> None:
        self._event_id = event_id

    def needs(self) -> Collection[str]:
        """See the base."""
        return (self._event_id,)

    def apply(self, tx: Transaction) -> Transition:
        """See the base."""
        row = tx.row(self._event_id)
        if row is None:
            raise exceptions.EventNotFound(
                f'There is no event {self._event_id}.'
            )
        latest = tx.latest(row)
        if latest.state.is_final:
            return latest
        if latest.attempt > 0:
            row.cancel_requested = True
            tx.touch(row)
            return latest
        resources = tx.get_event(row).resources
        transition = final_of(
            tx,
            row,
            model.Outcome(
                state=State.FAILED,
                reason=Reason.CANCELLED,
                message='Cancelled before it was begun; nothing was done.',
            ),
        )
        tx.transit(row, transition)
        tx.withdraw(row, resources)
        return transition
