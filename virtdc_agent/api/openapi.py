"""The API's own description, made of its routes and schemas. Pure.

OpenAPI 3.1, whose schemas are JSON Schemas as ours are. It is generated, so
that it cannot say something else than what is checked; a copy is committed,
so that a change of the API is seen in its review.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import re
from typing import Any

import falcon

from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api import problems
from virtdc_agent.api.routes import Route
from virtdc_agent.api import schemas

VERSION = '1.0'
"""Of the API, not of the agent: grows when the API does."""

_METHODS = ('get', 'post', 'put', 'patch', 'delete')
_PARAMETER = re.compile(r'{(\w+)}')
_GENERAL = {
    400: 'a parameter or the body is at fault; names each field',
    401: 'nobody known asks',
    403: 'your roles do not allow it',
    429: 'too many requests; go on after Retry-After',
    500: 'an unexpected error; the log has it',
}
_OF_BODIES = {
    411: 'the length of the body is not told',
    413: 'the body is too large',
    415: 'the body is not said to be JSON',
}
_PUBLIC_ONLY = (429, 500)
SECURITY: list[dict[str, list[str]]] = [{'bearer': []}, {'token': []}]


def make_document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document of all that these routes offer."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method, action in actions_of(route):
            public = getattr(route.resource, 'is_public', False)
            paths.setdefault(route.path, {})[method] = _operation(
                route.path, action, bool(public)
            )
    return {
        'openapi': '3.1.0',
        'info': {
            'title': 'VirtDC agent',
            'version': VERSION,
            'description': 'Volumes of a virtualization data centre. Every '
            'change is an event: it is answered with 202 and its address, '
            'and followed there, at /v1/changes or at /v1/stream.',
            'license': {'name': 'Apache-2.0', 'identifier': 'Apache-2.0'},
        },
        'paths': paths,
        'components': {
            'schemas': {**schemas.ANSWERS, **schemas.BODIES},
            'securitySchemes': {
                'bearer': {'type': 'http', 'scheme': 'bearer'},
                'token': {
                    'type': 'apiKey',
                    'in': 'header',
                    'name': 'X-Auth-Token',
                },
            },
        },
    }


def actions_of(route: Route) -> Iterator[tuple[str, Action]]:
    """Yield the methods of a route, each with what it is."""
    for method in _METHODS:
        name = f'on_{method}' + (f'_{route.suffix}' if route.suffix else '')
        responder = getattr(route.resource, name, None)
        if responder is not None:
            yield method, responder.action


def _operation(path: str, action: Action, public: bool) -> dict[str, Any]:
    statuses = {
        **{
            status: reason
            for status, reason in _GENERAL.items()
            if not public or status in _PUBLIC_ONLY or action.query
        },
        **(_OF_BODIES if action.body else {}),
        **action.problems,
    }
    # Unknown parameters are refused everywhere.
    statuses[400] = _GENERAL[400]
    operation: dict[str, Any] = {
        'operationId': action.name,
        'summary': action.summary,
        'tags': [action.tag],
        'parameters': [
            *(_in_path(name) for name in _PARAMETER.findall(path)),
            *_parameters('query', action.query),
            *_parameters('header', action.headers),
        ],
        'responses': {
            str(action.answer.status): _success(action.answer),
            **{
                str(status): _refusal(reason)
                for status, reason in sorted(statuses.items())
            },
        },
    }
    if not public:
        operation['security'] = SECURITY
        operation['x-policy'] = f'virtdc:{action.rule}'
    if action.body:
        operation['requestBody'] = {
            'required': True,
            'content': {
                'application/json': {'schema': schemas.ref(action.body)}
            },
        }
    return operation


def _in_path(name: str) -> dict[str, Any]:
    return {
        'name': name,
        'in': 'path',
        'required': True,
        'schema': schemas.IDENTIFIER,
    }


def _parameters(
    place: str, described: Mapping[str, schemas.Schema]
) -> Iterator[dict[str, Any]]:
    for name, schema in described.items():
        parameter = {
            'name': name,
            'in': place,
            'required': False,
            'schema': schema,
        }
        if schema.get('type') == 'array':
            parameter |= {'style': 'form', 'explode': False}
        yield parameter


def _success(answer: Answer) -> dict[str, Any]:
    response: dict[str, Any] = {'description': 'as asked'}
    if answer.schema:
        response['content'] = {
            answer.media_type: {'schema': schemas.ref(answer.schema)}
        }
    elif answer.status != 204:
        response['content'] = {answer.media_type: {}}
    if answer.headers:
        response['headers'] = {
            name: {'description': text, 'schema': {'type': 'string'}}
            for name, text in answer.headers.items()
        }
    return response


def _refusal(reason: str) -> dict[str, Any]:
    return {
        'description': reason,
        'content': {problems.MEDIA_TYPE: {'schema': schemas.ref('Problem')}},
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """The document, for clients."""

    document: Mapping[str, Any]
    is_public: bool = True

    @actions.described(
        Action(
            name='getDocument',
            summary='Get this document',
            tag='versions',
            answer=Answer(schema='Document'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with it."""
        resp.media = self.document
