"""Makes events of what clients ask for, each once."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import re
import uuid

import falcon

from virtdc_agent.api import access
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import problems
from virtdc_agent.api import views
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent import model

ACCEPTED = Answer(
    status=202,
    schema='Event',
    headers={
        'Location': 'where the event can be followed',
        'Retry-After': 'after how many seconds to look',
    },
)
IDEMPOTENCY = {
    'Idempotency-Key': {
        'type': 'string',
        'minLength': 1,
        'maxLength': 255,
        'pattern': '^[ -~]+$',
        'description': 'Asking again with the same key is the same event; '
        'another request with it is refused.',
    }
}
ACCEPTED_PROBLEMS = {
    409: 'the Idempotency-Key is of another request, or the state forbids it',
    501: 'the storage does not offer this',
    503: 'nothing was accepted; ask again later',
}
RETRY_AFTER_S = 1

# Any constant will do; it must only never change.
_NAMESPACE = uuid.UUID('d6a9a0d3-7d0c-4d3f-9b53-1f6a1e2a0c55')
_KEY = re.compile('[ -~]{1,255}')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an event is to do, and whose thing it is about.

    :param project_id: of whom the volume is: the event is one of that
        project, whoever asked.
    :param retry_of: the event that it asks for again.
    :param unchanged: how its volume has to be, for a wish that is about that.
    """

    volume_id: str
    parameters: events.Parameters
    project_id: str
    retry_of: str | None = None
    unchanged: events.Volume | None = dataclasses.field(
        default=None, compare=False
    )

    @property
    def operation(self) -> events.Operation:
        """The operation that takes these parameters."""
        return events.operation_of(self.parameters)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a request is known by.

    :param is_repeatable: the client has named it.
    """

    event_id: str
    is_repeatable: bool

    def derive(self, what: str) -> str:
        """Return an id that follows from the event's.

        For what the event makes: a repeated request names the same.
        """
        return str(uuid.uuid5(_NAMESPACE, f'{what}\n{self.event_id}'))


def identity_of(req: falcon.Request) -> Identity:
    """Return what a request is known by: its key's event, or a new one.

    Keys of different callers are different keys.

    :raises Problem: the key breaks its rule.
    """
    key = req.get_header('Idempotency-Key')
    if key is None:
        return Identity(event_id=str(uuid.uuid4()), is_repeatable=False)
    if not _KEY.fullmatch(key):
        raise problems.invalid(
            'Idempotency-Key', 'must be 1 to 255 printable characters'
        )
    name = f'{access.caller_of(req).key}\n{key}'
    return Identity(
        event_id=str(uuid.uuid5(_NAMESPACE, name)), is_repeatable=True
    )


def submit(
    platform: Platform,
    req: falcon.Request,
    resp: falcon.Response,
    decide: Callable[[Identity, events.Event | None], Wish],
) -> None:
    """Have an event accepted, and answer with it.

    :param decide: says what it is to do; is given the event that an earlier
        request of this identity has made, for what may be gone by now.
    :raises Problem: it is refused, or the key is of another request.
    """
    identity = identity_of(req)
    former = _find(platform, identity) if identity.is_repeatable else None
    wish = decide(identity, former.event if former else None)
    platform.require(wish.operation)
    if former is None:
        former = _append(platform, req, identity, wish)
    if _wish_of(former.event) != wish:
        raise problems.Problem(
            409,
            'idempotency-key-reused',
            'This Idempotency-Key belongs to another request, event '
            f'{former.event.event_id}: every request needs its own.',
        )
    answer(resp, former)


def submit_about(
    platform: Platform,
    req: falcon.Request,
    resp: falcon.Response,
    *,
    volume_id: str,
    rule: str,
    parameters: events.Parameters,
    check: Callable[[events.Volume], None] = lambda volume: None,
) -> None:
    """Have an event of a volume accepted, and answer with it.

    :param rule: what the caller must be allowed to do to the volume.
    :param check: refuses what cannot be done to the volume as it is. It is
        not asked when the event was made before.
    :raises Problem: it is refused, or there is no such volume.
    """
    rights = access.Access(platform, req)

    def decide(identity: Identity, former: events.Event | None) -> Wish:
        if former is not None:
            project_id = rights.project_of(former, rule)
        else:
            volume = rights.volume(volume_id, rule)
            check(volume)
            project_id = volume.project_id
        return Wish(
            volume_id=volume_id,
            parameters=parameters,
            project_id=project_id,
        )

    submit(platform, req, resp, decide)


def answer(resp: falcon.Response, record: model.Record) -> None:
    """Answer that an event was accepted."""
    resp.status = 202
    resp.media = views.of_record(record)
    resp.set_header('Location', f'/v1/events/{record.event.event_id}')
    resp.set_header('Retry-After', str(RETRY_AFTER_S))


def _append(
    platform: Platform, req: falcon.Request, identity: Identity, wish: Wish
) -> model.Record:
    event = events.Event(
        event_id=identity.event_id,
        operation=wish.operation,
        volume_id=wish.volume_id,
        origin=events.Origin.PLATFORM,
        parameters=wish.parameters,
        created_at=platform.clock.now(),
        requested_by=events.Requester(
            project_id=wish.project_id,
            user_id=access.caller_of(req).user_id,
            request_id=problems.request_id_of(req),
        ),
        retry_of=wish.retry_of,
    )
    # By the contract's own rules, which the schemas of bodies only repeat:
    # what is accepted here must be able to travel.
    codec.decode(codec.encode(event), events.Event)
    try:
        platform.intake.submit(event, unchanged=wish.unchanged)
    except exceptions.EventConflict:
        # The same key at the same time; its request has been first. What
        # differs is at least when it was made.
        if not identity.is_repeatable:
            raise
    return platform.keeping.get_record(identity.event_id)


def _find(platform: Platform, identity: Identity) -> model.Record | None:
    try:
        return platform.keeping.get_record(identity.event_id)
    except exceptions.EventNotFound:
        return None


def _wish_of(event: events.Event) -> Wish:
    return Wish(
        volume_id=event.volume_id,
        parameters=event.parameters,
        project_id=event.requested_by.project_id,
        retry_of=event.retry_of,
    )
