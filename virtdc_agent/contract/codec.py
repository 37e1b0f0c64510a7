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
import datetime
import json
import re
from typing import TypedDict, TypeVar

from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.errors import UnsupportedVersion
from virtdc_agent.contract.events import Announcement
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import ConnectParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import DeleteParameters
from virtdc_agent.contract.events import DeleteSnapshotParameters
from virtdc_agent.contract.events import DisconnectParameters
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import ExtendParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ImportParameters
from virtdc_agent.contract.events import MAX_SIZE_BYTES
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Parameters
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import Requester
from virtdc_agent.contract.events import RevertParameters
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import SnapshotParameters
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract.fields import clean_text
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.fields import WHOLE

VERSION = '1.1'
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
_MAX_SEQUENCE = 2**63 - 1
_MAX_ATTEMPTS = 2**31 - 1
_MAX_PHASE = 64

Primitive = dict[str, object]
T = TypeVar('T')
Message = Event | Transition | Announcement | Volume | Snapshot | Capacity


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
    """Read an envelope that holds a transition or an announcement."""
    schema = Reader(envelope, '').text('schema', max_length=128)
    if schema == _SCHEMA_OF[Announcement][0]:
        return decode(envelope, Announcement)
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


def encode_parameters(parameters: Parameters) -> Primitive:
    """Return an event's parameters as plain JSON types."""
    match parameters:
        case CreateParameters():
            return {
                'size_bytes': parameters.size_bytes,
                **_description_to(parameters),
                'format': _value(parameters.format),
                'provisioning': _value(parameters.provisioning),
            }
        case DeleteParameters():
            return {}
        case ExtendParameters():
            return {'size_bytes': parameters.size_bytes}
        case ConnectParameters():
            return {
                'host': parameters.host,
                'connector': dict(parameters.connector),
            }
        case DisconnectParameters():
            return {'host': parameters.host}
        case SnapshotParameters():
            return {
                'snapshot_id': parameters.snapshot_id,
                **_description_to(parameters),
            }
        case DeleteSnapshotParameters() | RevertParameters():
            return {'snapshot_id': parameters.snapshot_id}
        case CloneParameters():
            return {
                'source_id': parameters.source_id,
                'snapshot_id': parameters.snapshot_id,
                'size_bytes': parameters.size_bytes,
                **_description_to(parameters),
                'format': _value(parameters.format),
                'provisioning': _value(parameters.provisioning),
            }
        case ImportParameters():
            return {
                'url': parameters.url,
                'image_format': parameters.image_format,
                'hash_algorithm': parameters.hash_algorithm,
                'hash_value': parameters.hash_value,
                'size_bytes': parameters.size_bytes,
                **_description_to(parameters),
                'format': _value(parameters.format),
                'provisioning': _value(parameters.provisioning),
            }


def decode_parameters(operation: Operation, reader: Reader) -> Parameters:
    """Read the parameters that ``operation`` takes.

    :raises MalformedMessage: naming the field.
    """
    match operation:
        case Operation.CREATE:
            return CreateParameters(
                size_bytes=_size(reader),
                **_description_from(reader),
                format=reader.optional_choice('format', Format),
                provisioning=reader.optional_choice(
                    'provisioning', Provisioning
                ),
            )
        case Operation.DELETE:
            return DeleteParameters()
        case Operation.EXTEND:
            return ExtendParameters(size_bytes=_size(reader))
        case Operation.CONNECT:
            return ConnectParameters(
                host=_host(reader), connector=reader.json('connector')
            )
        case Operation.DISCONNECT:
            return DisconnectParameters(
                host=_host(reader) if reader.has('host') else None
            )
        case Operation.SNAPSHOT:
            return SnapshotParameters(
                snapshot_id=reader.identifier('snapshot_id'),
                **_description_from(reader),
            )
        case Operation.DELETE_SNAPSHOT:
            return DeleteSnapshotParameters(
                snapshot_id=reader.identifier('snapshot_id')
            )
        case Operation.REVERT:
            return RevertParameters(
                snapshot_id=reader.identifier('snapshot_id')
            )
        case Operation.CLONE:
            return CloneParameters(
                source_id=reader.identifier('source_id'),
                snapshot_id=(
                    reader.identifier('snapshot_id')
                    if reader.has('snapshot_id')
                    else None
                ),
                size_bytes=_size(reader),
                **_description_from(reader),
                format=reader.optional_choice('format', Format),
                provisioning=reader.optional_choice(
                    'provisioning', Provisioning
                ),
            )
        case Operation.IMPORT:
            return ImportParameters(
                url=reader.text('url'),
                image_format=reader.text('image_format', max_length=64),
                hash_algorithm=reader.text(
                    'hash_algorithm', default='', max_length=64
                ),
                hash_value=reader.text(
                    'hash_value', default='', max_length=255
                ),
                size_bytes=_size(reader),
                **_description_from(reader),
                format=reader.optional_choice('format', Format),
                provisioning=reader.optional_choice(
                    'provisioning', Provisioning
                ),
            )


class _Description(TypedDict):
    """What people say of a volume or snapshot."""

    name: str
    description: str
    metadata: dict[str, str]


def _description_to(
    described: (
        CreateParameters
        | SnapshotParameters
        | CloneParameters
        | ImportParameters
        | Volume
        | Snapshot
    ),
) -> Primitive:
    return {
        'name': described.name,
        'description': described.description,
        'metadata': dict(described.metadata),
    }


def _description_from(reader: Reader) -> _Description:
    return {
        'name': reader.text('name', default='', max_length=255),
        'description': reader.text('description', default=''),
        'metadata': reader.strings('metadata'),
    }


def format_time(time: datetime.datetime) -> str:
    """Write a time as ISO 8601 in UTC, to the microsecond.

    All texts have one length, so that they sort as the times do.

    :raises ValueError: the time does not say its zone.
    """
    if time.tzinfo is None:
        raise ValueError(f'{time} must say its zone')
    utc = time.astimezone(datetime.UTC).replace(tzinfo=None)
    return utc.isoformat(timespec='microseconds') + 'Z'


def _value(member: Format | Provisioning | Reason | None) -> str | None:
    return None if member is None else member.value


def _values(
    members: Iterable[Operation | Format | Provisioning],
) -> list[str]:
    return sorted(member.value for member in members)


def _size(reader: Reader) -> int:
    return reader.integer('size_bytes', minimum=1, maximum=MAX_SIZE_BYTES)


def _host(reader: Reader) -> str:
    host = reader.text('host', max_length=255)
    if not host:
        raise MalformedMessage(reader.path('host'), 'must not be empty')
    return host


def _requester_to(requester: Requester) -> Primitive:
    return {
        'project_id': requester.project_id,
        'user_id': requester.user_id,
        'request_id': requester.request_id,
    }


def _requester_from(reader: Reader) -> Requester:
    return Requester(
        project_id=reader.text('project_id', default='', max_length=255),
        user_id=reader.text('user_id', default='', max_length=255),
        request_id=reader.text('request_id', default='', max_length=255),
    )


def _event_to(event: Event) -> Primitive:
    return {
        'event_id': event.event_id,
        'operation': event.operation.value,
        'volume_id': event.volume_id,
        'origin': event.origin.value,
        'parameters': encode_parameters(event.parameters),
        'requested_by': _requester_to(event.requested_by),
        'created_at': format_time(event.created_at),
    }


def _event_from(reader: Reader) -> Event:
    operation = reader.choice('operation', Operation)
    return Event(
        event_id=reader.identifier('event_id'),
        operation=operation,
        volume_id=reader.identifier('volume_id'),
        origin=reader.choice('origin', Origin),
        parameters=decode_parameters(operation, reader.child('parameters')),
        requested_by=_requester_from(reader.child('requested_by')),
        created_at=reader.time('created_at'),
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
        'requested_by': _requester_to(transition.requested_by),
        'attempt': transition.attempt,
        'progress': transition.progress,
        'bytes_done': transition.bytes_done,
        'bytes_total': transition.bytes_total,
        # These may quote a program, and must arrive whatever it said.
        'phase': clean_text(transition.phase, _MAX_PHASE),
        'reason': _value(transition.reason),
        'message': clean_text(transition.message),
        'result': dict(transition.result),
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
        sequence=reader.integer('sequence', minimum=1, maximum=_MAX_SEQUENCE),
        occurred_at=reader.time('occurred_at'),
        requested_by=_requester_from(reader.child('requested_by')),
        attempt=reader.integer('attempt', minimum=0, maximum=_MAX_ATTEMPTS),
        progress=reader.optional_integer('progress', minimum=0, maximum=100),
        bytes_done=_optional_bytes(reader, 'bytes_done'),
        bytes_total=_optional_bytes(reader, 'bytes_total'),
        phase=reader.text('phase', default='', max_length=_MAX_PHASE),
        reason=reason,
        message=reader.text('message', default=''),
        result=reader.json('result'),
    )


def _optional_bytes(reader: Reader, name: str) -> int | None:
    return reader.optional_integer(name, minimum=0, maximum=MAX_SIZE_BYTES)


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
        sequence=reader.integer('sequence', minimum=1, maximum=_MAX_SEQUENCE),
        occurred_at=reader.time('occurred_at'),
    )


def _volume_to(volume: Volume) -> Primitive:
    return {
        'volume_id': volume.volume_id,
        'size_bytes': volume.size_bytes,
        'format': volume.format.value,
        'provisioning': volume.provisioning.value,
        'created_at': format_time(volume.created_at),
        'updated_at': format_time(volume.updated_at),
        **_description_to(volume),
        'project_id': volume.project_id,
        'user_id': volume.user_id,
        'attached_to': list(volume.attached_to),
    }


def _volume_from(reader: Reader) -> Volume:
    return Volume(
        volume_id=reader.identifier('volume_id'),
        size_bytes=_size(reader),
        format=reader.choice('format', Format),
        provisioning=reader.choice('provisioning', Provisioning),
        created_at=reader.time('created_at'),
        updated_at=reader.time('updated_at'),
        **_description_from(reader),
        project_id=reader.text('project_id', default='', max_length=255),
        user_id=reader.text('user_id', default='', max_length=255),
        attached_to=reader.texts('attached_to'),
    )


def _snapshot_to(snapshot: Snapshot) -> Primitive:
    return {
        'snapshot_id': snapshot.snapshot_id,
        'volume_id': snapshot.volume_id,
        'size_bytes': snapshot.size_bytes,
        'format': snapshot.format.value,
        'created_at': format_time(snapshot.created_at),
        **_description_to(snapshot),
        'project_id': snapshot.project_id,
        'user_id': snapshot.user_id,
    }


def _snapshot_from(reader: Reader) -> Snapshot:
    return Snapshot(
        snapshot_id=reader.identifier('snapshot_id'),
        volume_id=reader.identifier('volume_id'),
        size_bytes=_size(reader),
        format=reader.choice('format', Format),
        created_at=reader.time('created_at'),
        **_description_from(reader),
        project_id=reader.text('project_id', default='', max_length=255),
        user_id=reader.text('user_id', default='', max_length=255),
    )


def _capacity_to(capacity: Capacity) -> Primitive:
    return {
        'agent': capacity.agent,
        'backend': capacity.backend,
        'exporter': capacity.exporter,
        'storage_protocol': capacity.storage_protocol,
        'total_bytes': capacity.total_bytes,
        'free_bytes': capacity.free_bytes,
        'provisioned_bytes': capacity.provisioned_bytes,
        'max_over_subscription_ratio': capacity.max_over_subscription_ratio,
        'reserved_percentage': capacity.reserved_percentage,
        'operations': _values(capacity.operations),
        'formats': _values(capacity.formats),
        'provisionings': _values(capacity.provisionings),
        'volumes': capacity.volumes,
        'waiting': capacity.waiting,
        'running': capacity.running,
        'image_urls': list(capacity.image_urls),
    }


def _capacity_from(reader: Reader) -> Capacity:
    def count(name: str) -> int:
        return reader.integer(name, minimum=0, maximum=MAX_SIZE_BYTES)

    return Capacity(
        agent=reader.text('agent', max_length=255),
        backend=reader.text('backend', max_length=255),
        exporter=reader.text('exporter', max_length=255),
        storage_protocol=reader.text('storage_protocol', max_length=255),
        total_bytes=count('total_bytes'),
        free_bytes=count('free_bytes'),
        provisioned_bytes=count('provisioned_bytes'),
        max_over_subscription_ratio=reader.number(
            'max_over_subscription_ratio', minimum=1.0, maximum=1e6
        ),
        reserved_percentage=reader.integer(
            'reserved_percentage', minimum=0, maximum=100
        ),
        operations=reader.choices('operations', Operation),
        formats=reader.choices('formats', Format),
        provisionings=reader.choices('provisionings', Provisioning),
        volumes=count('volumes'),
        waiting=count('waiting'),
        running=count('running'),
        image_urls=(
            reader.texts('image_urls') if reader.has('image_urls') else ()
        ),
    )


# One row a schema: its name, its writer, its reader. The rows differ in
# their types, which the table cannot say; ``decode`` checks what comes out.
_SCHEMA_OF: Mapping[
    type,
    tuple[str, Callable[..., Primitive], Callable[[Reader], object]],
] = {
    Event: ('virtdc.event', _event_to, _event_from),
    Transition: ('virtdc.transition', _transition_to, _transition_from),
    Announcement: (
        'virtdc.announcement',
        _announcement_to,
        _announcement_from,
    ),
    Volume: ('virtdc.volume', _volume_to, _volume_from),
    Snapshot: ('virtdc.snapshot', _snapshot_to, _snapshot_from),
    Capacity: ('virtdc.capacity', _capacity_to, _capacity_from),
}
