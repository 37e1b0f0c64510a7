"""Errors as problem details, RFC 9457.

Every answer that is no success has this form, whoever noticed it: ours, the
framework's, the journal's. ``code`` is for programs and never changes;
``detail`` is for people and names the next step; ``errors`` name each field
at fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import http
import json
import logging

import falcon

from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent import exceptions

LOG = logging.getLogger(__name__)

MEDIA_TYPE = 'application/problem+json'
_TYPE = 'urn:virtdc:problem:'
RETRY_S = 5
"""After how many seconds a client that was put off had better ask again."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with one field, as ``metadata.owner``."""

    field: str
    detail: str


class Problem(Exception):
    """A request that is not met.

    :param code: as ``volume-in-use``.
    :param headers: more of the answer's headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def body(self, request_id: str) -> Mapping[str, object]:
        """Return what is answered."""
        body: dict[str, object] = {
            'type': _TYPE + self.code,
            'title': http.HTTPStatus(self.status).phrase,
            'status': self.status,
            'code': self.code,
            'detail': self.detail,
            'request_id': request_id,
        }
        if self.errors:
            body['errors'] = [dataclasses.asdict(one) for one in self.errors]
        return body


def invalid(field: str, detail: str) -> Problem:
    """Return the problem of one field that is at fault."""
    return Problem(
        400,
        'invalid-field',
        f'{field}: {detail}.',
        errors=[FieldError(field=field, detail=detail)],
    )


def not_found(kind: str, name: str) -> Problem:
    """Return the problem of a thing that is not there, or not for you."""
    return Problem(404, f'{kind}-not-found', f'There is no {kind} {name}.')


def forbidden(rule: str) -> Problem:
    """Return the problem of a caller that lacks a role."""
    return Problem(
        403,
        'forbidden',
        f'Your roles do not allow this ({rule}): ask an administrator.',
    )


def busy(code: str, detail: str, *, status: int = 503) -> Problem:
    """Return the problem of a request that is to be repeated later."""
    return Problem(status, code, detail, headers={'Retry-After': str(RETRY_S)})


def problem_of(exc: Exception) -> Problem | None:
    """Return what an error of the agent or the framework comes to.

    ``None``: it is nobody's but ours.
    """
    match exc:
        case Problem():
            return exc
        case MalformedMessage():
            return invalid(
                exc.field.removeprefix('data.parameters.'), exc.problem
            )
        case exceptions.EventConflict():
            return Problem(409, 'event-conflict', str(exc))
        case exceptions.EventNotFound():
            return Problem(404, 'event-not-found', str(exc))
        case exceptions.VolumeNotFound():
            return Problem(404, 'volume-not-found', str(exc))
        case exceptions.VolumeChanging():
            return Problem(412, 'volume-changing', str(exc))
        case exceptions.VolumeChanged():
            return Problem(412, 'volume-changed', str(exc))
        case exceptions.SnapshotNotFound():
            return Problem(404, 'snapshot-not-found', str(exc))
        case exceptions.AgentNotFound():
            return Problem(404, 'agent-not-found', str(exc))
        case exceptions.AlarmNotFound() | exceptions.ResyncNotFound():
            return Problem(404, 'alarm-not-found', str(exc))
        case exceptions.ResyncNotFound():
            return Problem(404, 'resync-not-found', str(exc))
        case exceptions.EventRejected():
            return Problem(409, 'not-possible', str(exc))
        case exceptions.JournalUnavailable():
            return busy('journal-unavailable', f'Nothing was changed: {exc}')
        case exceptions.BackendError():
            return busy('storage-unavailable', str(exc))
        case falcon.HTTPError():
            return _from_framework(exc)
    return None


def _from_framework(exc: falcon.HTTPError) -> Problem:
    status = falcon.http_status_to_code(exc.status)
    phrase = http.HTTPStatus(status).phrase
    return Problem(
        status,
        phrase.lower().replace(' ', '-').replace("'", ''),
        exc.description or _DETAILS.get(status, f'{phrase}.'),
        headers=_texts(exc.headers),
    )


_DETAILS = {
    404: 'There is nothing here: /v1/openapi.json lists what there is.',
    405: 'This cannot be done here: "Allow" says what can.',
}


def _texts(headers: object) -> dict[str, str]:
    items = headers.items() if isinstance(headers, Mapping) else headers or ()
    return {str(name): str(value) for name, value in items}  # type: ignore


def handle(
    req: falcon.Request,
    resp: falcon.Response,
    exc: Exception,
    params: Mapping[str, object],
) -> None:
    """Answer with what an exception comes to; log what is ours."""
    problem = problem_of(exc)
    if problem is None:
        LOG.error(
            'Unexpected error in %s %s', req.method, req.path, exc_info=exc
        )
        problem = Problem(
            500,
            'internal-error',
            'The agent met an unexpected error; its log has it under this '
            'request id.',
        )
    else:
        LOG.debug(
            'Refused %s %s: %d %s',
            req.method,
            req.path,
            problem.status,
            problem.code,
        )
    resp.status = problem.status
    resp.content_type = MEDIA_TYPE
    resp.text = json.dumps(problem.body(request_id_of(req)))
    resp.set_headers(problem.headers)


def request_id_of(req: falcon.Request) -> str:
    """Return the request's id; empty before it was given one."""
    return str(getattr(req.context, 'request_id', ''))
