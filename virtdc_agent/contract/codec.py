"""Between the values of ``events`` and what travels: envelopes of plain JSON.

An envelope is ``{"schema": ..., "version": "1.0", "data": {...}}``. A reader
accepts every minor version of its own major and ignores fields it does not
know; another major version is refused by name. Encoding then decoding gives
an equal value, for every value that the rules of ``fields`` admit.

Pure functions, safe from any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import json
import re
from typing import TypeVar

from virtdc_agent.contract.alarm_codec import alarm_from
from virtdc_agent.contract.alarm_codec import alarm_to
from virtdc_agent.contract.alarm_codec import notice_from
from virtdc_agent.contract.alarm_codec import notice_to
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.errors import UnsupportedVersion
from virtdc_agent.contract.events import Announcement
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract.fields import clean_text
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.fields import WHOLE
from virtdc_agent.contract.inventory_codec import capacity_from
from virtdc_agent.contract.inventory_codec import capacity_to
from virtdc_agent.contract.inventory_codec import snapshot_from
from virtdc_agent.contract.inventory_codec import snapshot_to
from virtdc_agent.contract.inventory_codec import trashed_from
from virtdc_agent.contract.inventory_codec import trashed_to
from virtdc_agent.contract.inventory_codec import volume_from
from virtdc_agent.contract.inventory_codec import volume_to
from virtdc_agent.contract.manage_codec import manageable_from
from virtdc_agent.contract.manage_codec import manageable_to
from virtdc_agent.contract.parameter_codec import decode_parameters
from virtdc_agent.contract.parameter_codec import encode_parameters
from virtdc_agent.contract.pieces import format_time
from virtdc_agent.contract.pieces import MAX_ATTEMPTS
from virtdc_agent.contract.pieces import MAX_PHASE
from virtdc_agent.contract.pieces import MAX_SEQUENCE
from virtdc_agent.contract.pieces import optional_bytes
from virtdc_agent.contract.pieces import optional_identifier
from virtdc_agent.contract.pieces import Primitive
from virtdc_agent.contract.pieces import requester_from
from virtdc_agent.contract.pieces import requester_to
from virtdc_agent.contract.pieces import value_of
from virtdc_agent.contract.resync_codec import resync_from
from virtdc_agent.contract.resync_codec import resync_to
from virtdc_agent.contract.resyncs import Resync

VERSION = '1.2'
MAX_EVENT_BYTES = 64 * 1024
"""A longer event is refused before it is looked at."""
MAX_MESSAGE_BYTES = 256 * 1024
"""The same for all else.

What is told repeats what was asked and adds to it. With one bound for both,
a volume could be accepted that nobody would then be willing to hear of.
"""
MAX_DEPTH = 32
"""Objects and lists lie at most so deep in each other.

Far below what Python's recursion bears, so that what was accepted once can be
copied, compared and written from however deep a call.
"""

_VERSION = re.compile(r'([0-9]{1,6})\.([0-9]{1,6})')

T = TypeVar('T')
Message = (
    Event
    | Transition
    | Announcement
    | Volume
    | Snapshot
    | Manageable
    | Capacity
    | TrashedVolume
    | Alarm
    | AlarmNotice
    | Resync
)


def encode(message: Message) -> Primitive:
    """Wrap a value in its envelope, as plain JSON types."""
    schema, to_primitive, _ = _SCHEMA_OF[type(message)]
    return {
        'schema': schema,
        'version': VERSION,
        'data': to_primitive(message),
    }


def decode(envelope: object, expected: type[T]) -> T:
    """Read an envelope that must hold an ``expected``.

    :raises UnsupportedVersion: it is of another schema or major version.
    :raises MalformedMessage: anything else is wrong; the field is named.
    """
    schema, _, from_primitive = _SCHEMA_OF[expected]
    check_size(
        envelope, MAX_EVENT_BYTES if expected is Event else MAX_MESSAGE_BYTES
    )
    reader = Reader(envelope, '')
    got_schema = reader.text('schema', max_length=128)
    version = reader.text('version', max_length=32)
    match = _VERSION.fullmatch(version)
    if not match:
        raise MalformedMessage('version', 'must be two numbers, as 1.0')
    if got_schema != schema or match[1] != VERSION.split('.')[0]:
        raise UnsupportedVersion(got_schema, version, f'{schema} {VERSION}')
    value = from_primitive(reader.child('data'))
    if not isinstance(value, expected):  # the table below would be wrong
        raise AssertionError(schema)
    return value


def decode_notification(envelope: object) -> Notification:
    """Read an envelope that holds anything that is told of itself."""
    schema = Reader(envelope, '').text('schema', max_length=128)
    if schema == _SCHEMA_OF[Announcement][0]:
        return decode(envelope, Announcement)
    if schema == _SCHEMA_OF[AlarmNotice][0]:
        return decode(envelope, AlarmNotice)
    if schema == _SCHEMA_OF[Resync][0]:
        return decode(envelope, Resync)
    return decode(envelope, Transition)


def check_size(message: object, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
    """Refuse a message that is too long, too deep, or not JSON.

    :raises MalformedMessage: with the field ``message``.
    """
    try:
        length = len(json.dumps(message))
    except RecursionError as exc:
        raise _too_deep() from exc
    except (TypeError, ValueError) as exc:
        raise MalformedMessage(
            WHOLE, f'must be plain JSON ({type(exc).__name__})'
        ) from exc
    if length > max_bytes:
        raise MalformedMessage(
            WHOLE, f'must have at most {max_bytes} bytes, not {length}'
        )
    level = [message]
    for _ in range(MAX_DEPTH + 1):
        level = [item for outer in level for item in _inside(outer)]
    if level:
        raise _too_deep()


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _too_deep() -> MalformedMessage:
    return MalformedMessage(
        WHOLE, f'must not be nested more than {MAX_DEPTH} deep'
    )


def _event_to(event: Event) -> Primitive:
    return {
        'event_id': event.event_id,
        'operation': event.operation.value,
        'volume_id': event.volume_id,
        'origin': event.origin.value,
        'parameters': encode_parameters(event.parameters),
        'requested_by': requester_to(event.requested_by),
        'created_at': format_time(event.created_at),
        'retry_of': event.retry_of,
    }


def _event_from(reader: Reader) -> Event:
    operation = reader.choice('operation', Operation)
    return Event(
        event_id=reader.identifier('event_id'),
        operation=operation,
        volume_id=reader.identifier('volume_id'),
        origin=reader.choice('origin', Origin),
        parameters=decode_parameters(operation, reader.child('parameters')),
        requested_by=requester_from(reader.child('requested_by')),
        created_at=reader.time('created_at'),
        retry_of=optional_identifier(reader, 'retry_of'),
    )


def _transition_to(transition: Transition) -> Primitive:
    return {
        'event_id': transition.event_id,
        'operation': transition.operation.value,
        'volume_id': transition.volume_id,
        'origin': transition.origin.value,
        'state': transition.state.value,
        'sequence': transition.sequence,
        'occurred_at': format_time(transition.occurred_at),
        'requested_by': requester_to(transition.requested_by),
        'attempt': transition.attempt,
        'progress': transition.progress,
        'bytes_done': transition.bytes_done,
        'bytes_total': transition.bytes_total,
        # These may quote a program, and must arrive whatever it said.
        'phase': clean_text(transition.phase, MAX_PHASE),
        'reason': value_of(transition.reason),
        'message': clean_text(transition.message),
        'result': dict(transition.result),
        'volume_ids': list(transition.volume_ids),
    }


def _transition_from(reader: Reader) -> Transition:
    state = reader.choice('state', State)
    reason = reader.optional_choice('reason', Reason)
    if (state is State.FAILED) != (reason is not None):
        raise MalformedMessage(
            reader.path('reason'), 'must be given on failure, and only then'
        )
    return Transition(
        event_id=reader.identifier('event_id'),
        operation=reader.choice('operation', Operation),
        volume_id=reader.identifier('volume_id'),
        origin=reader.choice('origin', Origin),
        state=state,
        sequence=reader.integer('sequence', minimum=1, maximum=MAX_SEQUENCE),
        occurred_at=reader.time('occurred_at'),
        requested_by=requester_from(reader.child('requested_by')),
        attempt=reader.integer('attempt', minimum=0, maximum=MAX_ATTEMPTS),
        progress=reader.optional_integer('progress', minimum=0, maximum=100),
        bytes_done=optional_bytes(reader, 'bytes_done'),
        bytes_total=optional_bytes(reader, 'bytes_total'),
        phase=reader.text('phase', default='', max_length=MAX_PHASE),
        reason=reason,
        message=reader.text('message', default=''),
        result=reader.json('result'),
        volume_ids=(
            reader.identifiers('volume_ids')
            if reader.has('volume_ids')
            else ()
        ),
    )


def _announcement_to(announcement: Announcement) -> Primitive:
    return {
        'event_id': announcement.event_id,
        'operation': announcement.operation.value,
        'volume_id': announcement.volume_id,
        'origin': announcement.origin.value,
        'sequence': announcement.sequence,
        'occurred_at': format_time(announcement.occurred_at),
    }


def _announcement_from(reader: Reader) -> Announcement:
    return Announcement(
        event_id=reader.identifier('event_id'),
        operation=reader.choice('operation', Operation),
        volume_id=reader.identifier('volume_id'),
        origin=reader.choice('origin', Origin),
        sequence=reader.integer('sequence', minimum=1, maximum=MAX_SEQUENCE),
        occurred_at=reader.time('occurred_at'),
    )


# One row a schema: its name, its writer, its reader. The rows differ in
# their types, which the table cannot say; ``decode`` checks what comes out.
_SCHEMA_OF: Mapping[
    type,
    tuple[str, Callable[..., Primitive], Callable[[Reader], object]],
] = {
    Event: ('virtdc.event', _event_to, _event_from),
    Transition: ('virtdc.transition', _transition_to, _transition_from),
    Resync: ('virtdc.resync', resync_to, resync_from),
    Announcement: (
        'virtdc.announcement',
        _announcement_to,
        _announcement_from,
    ),
    Volume: ('virtdc.volume', volume_to, volume_from),
    Snapshot: ('virtdc.snapshot', snapshot_to, snapshot_from),
    Manageable: ('virtdc.manageable', manageable_to, manageable_from),
    Capacity: ('virtdc.capacity', capacity_to, capacity_from),
    TrashedVolume: ('virtdc.trashed_volume', trashed_to, trashed_from),
    Alarm: ('virtdc.alarm', alarm_to, alarm_from),
    AlarmNotice: ('virtdc.alarm_notice', notice_to, notice_from),
}
