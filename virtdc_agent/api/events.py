"""Events: what was asked for, and how it goes."""

from __future__ import annotations

import dataclasses

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api import listing
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import problems
from virtdc_agent.api import schemas
from virtdc_agent.api import submitting
from virtdc_agent.api.submitting import Identity
from virtdc_agent.api.submitting import Wish
from virtdc_agent.api import views
from virtdc_agent.contract import events
from virtdc_agent import model

_TAG = 'events'
_MOST_AHEAD = 1000
_ATTACHING = (events.Operation.CONNECT, events.Operation.DISCONNECT)


@dataclasses.dataclass(frozen=True, slots=True)
class Events:
    """All events."""

    platform: Platform

    @actions.described(
        Action(
            name='listEvents',
            summary='List events, newest first',
            tag=_TAG,
            rule='events:list',
            query={
                'state': schemas.choices(events.State),
                'operation': schemas.choices(events.Operation),
                'volume_id': schemas.IDENTIFIER,
                'project_id': schemas.PROJECT,
                'origin': schemas.choice(events.Origin),
                'marker': schemas.MARKER,
                'limit': schemas.LIMIT,
            },
            answer=Answer(schema='EventPage'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List events of one's project, or of all."""
        query = req.context.query
        project_id = access.Access(self.platform, req).scope(
            'events', query.get('project_id')
        )
        # Asked first: who follows changes from here on misses none.
        sequence = self.platform.watch.last()
        origin = query.get('origin')
        page = self.platform.keeping.get_records(
            model.RecordQuery(
                states=[events.State(one) for one in query.get('state', ())],
                operations=[
                    events.Operation(one) for one in query.get('operation', ())
                ],
                volume_id=query.get('volume_id'),
                project_id=project_id,
                origin=origin and events.Origin(origin),
                marker=listing.read_number(query.get('marker')),
                limit=query['limit'],
            )
        )
        resp.media = {
            'events': [views.of_record(record) for record in page.records],
            'sequence': sequence,
            'next_marker': (
                None if page.next_marker is None else str(page.next_marker)
            ),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One event."""

    platform: Platform

    @actions.described(
        Action(
            name='showEvent',
            summary='Show an event, with its history and place in the queue',
            tag=_TAG,
            rule='events:show',
            answer=Answer(schema='EventShown'),
            problems={404: 'there is no such event, or it was forgotten'},
        ),
        schemas.BODIES,
    )
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, event_id: str
    ) -> None:
        """Show an event."""
        record = access.Access(self.platform, req).record(
            event_id, 'events:show'
        )
        keeping = self.platform.keeping
        ahead = keeping.count_ahead(event_id, _MOST_AHEAD)
        resp.media = {
            **views.of_record(record),
            'history': [
                views.of_transition(one)
                for one in keeping.get_history(event_id)
            ],
            'queue': (
                None
                if ahead is None
                else {'ahead': ahead, 'is_exact': ahead < _MOST_AHEAD}
            ),
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Cancel:
    """Withdrawing one event."""

    platform: Platform

    @actions.described(
        Action(
            name='cancelEvent',
            summary='Withdraw an event; one that runs is interrupted',
            tag=_TAG,
            rule='events:cancel',
            answer=submitting.ACCEPTED,
            problems={
                404: 'there is no such event',
                409: 'it has ended already',
                503: 'nothing was changed; ask again later',
            },
        ),
        schemas.BODIES,
    )
    def on_post(
        self, req: falcon.Request, resp: falcon.Response, event_id: str
    ) -> None:
        """Have an event withdrawn."""
        rights = access.Access(self.platform, req)
        record = rights.record(event_id, 'events:cancel')
        if record.latest.state.is_final:
            raise problems.Problem(
                409,
                'event-ended',
                f'Event {event_id} has ended already: {record.latest.state}.',
            )
        self.platform.intake.cancel(event_id)
        submitting.answer(resp, self.platform.keeping.get_record(event_id))


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """Asking again for what one event has failed at."""

    platform: Platform

    @actions.described(
        Action(
            name='retryEvent',
            summary='Make a new event that asks for the same as a failed one',
            tag=_TAG,
            rule='events:retry',
            headers=submitting.IDEMPOTENCY,
            answer=submitting.ACCEPTED,
            problems={
                404: 'there is no such event',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_post(
        self, req: falcon.Request, resp: falcon.Response, event_id: str
    ) -> None:
        """Ask again."""
        record = access.Access(self.platform, req).record(
            event_id, 'events:retry'
        )
        failed = record.event
        if record.latest.state is not events.State.FAILED:
            raise problems.Problem(
                409,
                'event-not-failed',
                f'Event {event_id} is {record.latest.state}: only what has '
                'failed is asked for again.',
            )
        if failed.operation in _ATTACHING:
            raise problems.Problem(
                409,
                'event-not-retriable',
                'Hosts are connected and disconnected by who runs servers '
                'on them, who has to ask again.',
            )

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            return Wish(
                volume_id=failed.volume_id,
                parameters=failed.parameters,
                project_id=failed.requested_by.project_id,
                retry_of=event_id,
            )

        submitting.submit(self.platform, req, resp, decide)
