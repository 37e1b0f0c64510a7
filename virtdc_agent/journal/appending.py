"""Accepting events, and withdrawing them before their time."""

from __future__ import annotations

from collections.abc import Collection

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
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
    """

    rank = 0

    def __init__(self, event: Event, max_waiting: int | None = None) -> None:
        self._event = event
        self._max_waiting = max_waiting
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
