"""Changes as they happen: by asking again and again, or as a stream.

The sequence is the guarantee: who remembers the last one misses nothing,
whichever way and however often the connection breaks.
"""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Iterator
import dataclasses
import json
import logging
from typing import Any

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import problems
from virtdc_agent.api import schemas
from virtdc_agent.api import views
from virtdc_agent.api import watching
from virtdc_agent.contract.events import Transition

LOG = logging.getLogger(__name__)

MAX_WAIT_S = 60
HEARTBEAT_S = 15.0
"""Proxies close what is silent for half a minute or so."""
STREAM_S = 600.0
"""A stream ends after so long: who goes on is asked again who they are."""
_RECONNECT_MS = 2000
_STREAM_PAGE = 100

_SEQUENCE: schemas.Schema = {
    'type': 'integer',
    'minimum': 0,
    'maximum': 2**63 - 1,
    'description': 'the sequence after which to begin; default: from now on',
}
_TAG = 'changes'
_PROBLEMS = {
    410: 'what follows is not kept any more: read everything anew',
    503: 'too many follow already; ask again later',
}


def _wanted(
    platform: Platform, req: falcon.Request, query: dict[str, Any]
) -> watching.Wanted:
    """Return what picks the changes that this caller may see and wants."""
    rights = access.Access(platform, req)
    rights.allow('events:follow')
    project_id = rights.scope('events', query.get('project_id'))
    volume_id = query.get('volume_id')

    def is_wanted(transition: Transition) -> bool:
        return (
            project_id is None
            or transition.requested_by.project_id == project_id
        ) and (volume_id is None or transition.volume_id == volume_id)

    return is_wanted


@dataclasses.dataclass(frozen=True, slots=True)
class Changes:
    """The journal's history from somewhere on."""

    platform: Platform

    @actions.described(
        Action(
            name='getChanges',
            summary='Get the changes after a sequence, or wait for some',
            tag=_TAG,
            rule='events:follow',
            query={
                'after': _SEQUENCE,
                'wait': {
                    'type': 'integer',
                    'minimum': 0,
                    'maximum': MAX_WAIT_S,
                    'default': 0,
                    'description': 'for how many seconds to wait if there '
                    'are none yet',
                },
                'volume_id': schemas.IDENTIFIER,
                'project_id': schemas.PROJECT,
                'limit': schemas.LIMIT,
            },
            answer=Answer(schema='Changes'),
            problems=_PROBLEMS,
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Get changes."""
        query, watch = req.context.query, self.platform.watch
        wanted = _wanted(self.platform, req, query)
        after = query['after'] if 'after' in query else watch.last()
        if query['wait']:
            with watch.admitted():
                batch = watch.wait(
                    after, query['limit'], wanted, float(query['wait'])
                )
        else:
            batch = watch.read(after, query['limit'], wanted)
        resp.media = {
            'changes': [views.of_transition(one) for one in batch.transitions],
            'next_after': batch.position,
            'last': batch.last,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """The same as a stream of server-sent events."""

    platform: Platform

    @actions.described(
        Action(
            name='streamChanges',
            summary='Follow changes as server-sent events',
            tag=_TAG,
            rule='events:follow',
            query={
                'after': _SEQUENCE,
                'volume_id': schemas.IDENTIFIER,
                'project_id': schemas.PROJECT,
            },
            headers={
                'Last-Event-ID': {
                    'type': 'string',
                    'pattern': '^[0-9]{1,18}$',
                    'description': 'where the stream broke off; goes before '
                    'the parameter "after"',
                }
            },
            answer=Answer(media_type='text/event-stream'),
            problems=_PROBLEMS,
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Begin a stream."""
        query, watch = req.context.query, self.platform.watch
        wanted = _wanted(self.platform, req, query)
        after = _last_seen(req)
        if after is None:
            after = query['after'] if 'after' in query else watch.last()
        # Refused now or never: later there is no status to tell it by.
        watch.read(after, 1, wanted)
        watch.enter()
        resp.content_type = 'text/event-stream'
        # For proxies that would keep it until there is more of it.
        resp.set_header('X-Accel-Buffering', 'no')
        resp.stream = _Following(self.platform, after, wanted)


class _Following:
    """An iterable of what is sent; the server closes it whatever happens.

    The place among the watchers is given back exactly once, also when the
    server never begins to read.
    """

    def __init__(
        self, platform: Platform, after: int, wanted: watching.Wanted
    ) -> None:
        self._watch = platform.watch
        self._parts = self._follow(platform, after, wanted)
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None:
        """Follow no more."""
        if not self._closed:
            self._closed = True
            self._parts.close()
            self._watch.leave()

    def _follow(
        self, platform: Platform, after: int, wanted: watching.Wanted
    ) -> Generator[bytes, None, None]:
        watch, clock = platform.watch, platform.clock
        until = clock.monotonic() + STREAM_S
        yield f'retry: {_RECONNECT_MS}\nid: {after}\n\n'.encode()
        while not watch.is_closed:
            left_s = until - clock.monotonic()
            if left_s <= 0:
                return
            try:
                batch = watch.wait(
                    after, _STREAM_PAGE, wanted, min(HEARTBEAT_S, left_s)
                )
            except problems.Problem as exc:
                yield _part('gone', None, {'detail': exc.detail})
                return
            except Exception as exc:
                # The answer has begun: all that can be done is to end it.
                # The client comes back and is told by a status.
                if problems.problem_of(exc) is None:
                    LOG.exception('Unexpected error in a stream')
                return
            after = batch.position
            for transition in batch.transitions:
                yield _part(
                    'transition',
                    transition.sequence,
                    views.of_transition(transition),
                )
            if not batch.transitions:
                # Without data it is no event for the client, but tells
                # where it is, and shows both sides that the other is there.
                yield f': alive\nid: {after}\n\n'.encode()


def _part(name: str, sequence: int | None, data: dict[str, Any]) -> bytes:
    number = '' if sequence is None else f'id: {sequence}\n'
    return f'event: {name}\n{number}data: {json.dumps(data)}\n\n'.encode()


def _last_seen(req: falcon.Request) -> int | None:
    text = req.get_header('Last-Event-ID')
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise problems.invalid('Last-Event-ID', 'must be a sequence')
    return int(text)
