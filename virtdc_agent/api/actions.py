"""What a request may hold, said once: for checking it and for OpenAPI.

A responder is decorated with an ``Action``. Before it runs, its query and
its body are checked by the schemas that the document shows.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import json
import re
from typing import Any, TypeVar

import falcon
import jsonschema

from virtdc_agent.api import problems
from virtdc_agent.api.problems import FieldError
from virtdc_agent.api.problems import Problem

Schema = Mapping[str, Any]
Responder = TypeVar('Responder', bound=Callable[..., None])

MAX_BODY_BYTES = 64 * 1024
_MAX_ERRORS = 20
_INTEGER = re.compile(r'-?[0-9]{1,19}')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a success looks like.

    :param schema: name of one of ``schemas.ANSWERS``; empty: no body.
    """

    status: int = 200
    schema: str = ''
    media_type: str = 'application/json'
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One method of one resource.

    :param name: unique; what generated clients call it.
    :param rule: of the policy that guards it; empty: anybody may.
    :param query: the parameters, with a schema each; others are refused.
    :param headers: likewise, beside those that every request may have.
    :param body: name of one of ``schemas.BODIES``; empty: there is none.
    :param problems: statuses that are this action's own, with their reason.
    """

    name: str
    summary: str
    tag: str
    answer: Answer
    rule: str = ''
    query: Mapping[str, Schema] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, Schema] = dataclasses.field(default_factory=dict)
    body: str = ''
    problems: Mapping[int, str] = dataclasses.field(default_factory=dict)


def described(
    action: Action, bodies: Mapping[str, Schema]
) -> Callable[[Responder], Responder]:
    """Decorate a responder with what its request may hold.

    It finds what was checked in ``req.context.query`` and ``.body``.
    """
    validator = (
        jsonschema.Draft202012Validator(bodies[action.body])
        if action.body
        else None
    )
    readers = {
        name: jsonschema.Draft202012Validator(schema)
        for name, schema in action.query.items()
    }

    def decorate(responder: Responder) -> Responder:
        @functools.wraps(responder)
        def checked(
            self: Any, req: falcon.Request, resp: falcon.Response, **path: str
        ) -> None:
            req.context.query = read_query(req, action.query, readers)
            if validator is not None:
                req.context.body = read_body(req, validator)
            responder(self, req, resp, **path)

        checked.action = action  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def read_query(
    req: falcon.Request,
    schemas: Mapping[str, Schema],
    validators: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the query's parameters, converted and checked.

    :raises Problem: one is not known, or breaks its schema.
    """
    given = falcon.uri.parse_query_string(
        req.query_string, keep_blank=True, csv=False
    )
    errors: list[FieldError] = []
    values: dict[str, Any] = {}
    for name, texts in given.items():
        if name not in schemas:
            errors.append(_unknown(name, schemas))
            continue
        value = _convert(
            schemas[name], texts if isinstance(texts, list) else [texts]
        )
        found = next(validators[name].iter_errors(value), None)
        if found is not None:
            errors.append(FieldError(field=name, detail=_sentence(found)))
        values[name] = value
    if errors:
        raise _invalid('invalid-query', errors)
    return {
        **{
            name: schema['default']
            for name, schema in schemas.items()
            if 'default' in schema
        },
        **values,
    }


def _unknown(name: str, schemas: Mapping[str, Schema]) -> FieldError:
    known = ', '.join(schemas) or 'none'
    return FieldError(
        field=name[:64], detail=f'is not known here; there are: {known}'
    )


def _convert(schema: Schema, texts: Sequence[str]) -> Any:
    """Return what texts say if they are what the schema wants.

    Else the texts, for the validator to refuse.
    """
    kind = schema.get('type')
    if kind == 'array':
        return [part for text in texts for part in text.split(',')]
    if len(texts) != 1:
        return list(texts)
    (text,) = texts
    if kind == 'integer' and _INTEGER.fullmatch(text):
        return int(text)
    if kind == 'boolean' and text in ('true', 'false'):
        return text == 'true'
    return text


def read_body(req: falcon.Request, validator: Any) -> dict[str, Any]:
    """Return the body, checked.

    :raises Problem: it is too large, is not JSON, or breaks its schema.
    """
    media_type = (req.content_type or '').split(';')[0].strip().lower()
    if media_type != 'application/json':
        raise Problem(
            415,
            'unsupported-media-type',
            'Send the body as JSON, with Content-Type: application/json.',
        )
    data = parse(read_bytes(req))
    errors = [
        FieldError(field=_path(found), detail=_sentence(found))
        for found in _first(validator.iter_errors(data))
    ]
    if errors:
        raise _invalid('invalid-body', errors)
    body: dict[str, Any] = data
    return body


def read_bytes(req: falcon.Request) -> bytes:
    """Return the body's bytes.

    :raises Problem: its length is not told, or too large.
    """
    length = req.content_length
    if length is None:
        raise Problem(
            411, 'length-required', 'Say how long the body is: Content-Length.'
        )
    if length > MAX_BODY_BYTES:
        raise Problem(
            413,
            'body-too-large',
            f'The body has more than {MAX_BODY_BYTES} bytes.',
        )
    return req.bounded_stream.read()


def parse(data: bytes) -> Any:
    """Return what a text says in JSON.

    :raises Problem: it is not JSON.
    """
    try:
        return json.loads(data.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise Problem(
            400, 'malformed-body', f'The body is not JSON: {exc}'
        ) from exc


def _refuse(constant: str) -> object:
    raise ValueError(f'{constant} is not JSON')


def _first(errors: Any) -> list[jsonschema.ValidationError]:
    found = []
    for error in errors:
        found.append(error)
        if len(found) == _MAX_ERRORS:
            break
    return sorted(found, key=lambda error: str(error.json_path))


def _path(error: jsonschema.ValidationError) -> str:
    """Return the field at fault; of one that should not be there, its name."""
    parts = [str(part)[:64] for part in error.absolute_path]
    if error.validator == 'additionalProperties':
        known = error.schema.get('properties', {})
        parts.append(str(next(iter(set(error.instance) - set(known))))[:64])
    elif error.validator == 'required':
        missing = set(error.validator_value) - set(error.instance)
        parts.append(sorted(missing)[0])
    return '.'.join(parts) or 'body'


def _sentence(error: jsonschema.ValidationError) -> str:
    """Say what is wrong without repeating a value: it may be huge."""
    wanted = error.validator_value
    match error.validator:
        case 'additionalProperties':
            known = ', '.join(error.schema.get('properties', {}))
            return f'is not known here; there are: {known}'
        case 'required':
            return 'is missing'
        case 'type':
            return f'must be of type {_words(wanted)}'
        case 'enum':
            return f'must be one of {_words(wanted)}'
        case 'minimum':
            return f'must be at least {wanted}'
        case 'maximum':
            return f'must be at most {wanted}'
        case 'minLength' | 'minItems' | 'minProperties':
            return f'must have at least {wanted} {_unit(error.validator)}'
        case 'maxLength' | 'maxItems' | 'maxProperties':
            return f'must have at most {wanted} {_unit(error.validator)}'
        case 'pattern' | 'not':
            return str(
                error.schema.get('description') or 'has characters it may not'
            )
    return f'breaks its rule "{error.validator}"'


def _words(wanted: object) -> str:
    if isinstance(wanted, list):
        return ', '.join(str(one) for one in wanted)
    return str(wanted)


def _unit(validator: str) -> str:
    return {
        'Length': 'characters',
        'Items': 'entries',
        'Properties': 'entries',
    }[validator[3:]]


def _invalid(code: str, errors: Sequence[FieldError]) -> Problem:
    first = errors[0]
    more = f' {len(errors) - 1} more at fault.' if len(errors) > 1 else ''
    return problems.Problem(
        400, code, f'{first.field} {first.detail}.{more}', errors=errors
    )
