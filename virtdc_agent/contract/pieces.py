"""What several messages have in common, and how it is written and read."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import datetime
import enum
from typing import Protocol, TypedDict

from virtdc_agent.contract.events import MAX_SIZE_BYTES
from virtdc_agent.contract.events import Requester
from virtdc_agent.contract.fields import Reader

Primitive = dict[str, object]
MAX_SEQUENCE = 2**63 - 1
MAX_ATTEMPTS = 2**31 - 1
MAX_PHASE = 64
MAX_NAME = 255
MAX_TRACE = 128


class Described(Protocol):
    """What people may describe: a volume, a snapshot, or one to be made."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def description(self) -> str:
        """What it is for."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """What else is to be known of it."""


class Description(TypedDict):
    """What people say of a volume or snapshot."""

    name: str
    description: str
    metadata: dict[str, str]


def description_to(described: Described) -> Primitive:
    """Write what people say of something."""
    return {
        'name': described.name,
        'description': described.description,
        'metadata': dict(described.metadata),
    }


def description_from(reader: Reader) -> Description:
    """Read what people say of something."""
    return {
        'name': reader.text('name', default='', max_length=MAX_NAME),
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


def value_of(member: enum.StrEnum | None) -> str | None:
    """Write a choice that may be left open."""
    return None if member is None else member.value


def values_of(members: Iterable[enum.StrEnum]) -> list[str]:
    """Write a set of choices."""
    return sorted(member.value for member in members)


def size(reader: Reader) -> int:
    """Read the size of a volume."""
    return reader.integer('size_bytes', minimum=1, maximum=MAX_SIZE_BYTES)


def requester_to(requester: Requester) -> Primitive:
    """Write on whose behalf something was done."""
    return {
        'project_id': requester.project_id,
        'user_id': requester.user_id,
        'request_id': requester.request_id,
        'trace': requester.trace,
    }


def requester_from(reader: Reader) -> Requester:
    """Read on whose behalf something was done."""
    return Requester(
        project_id=reader.text('project_id', default='', max_length=MAX_NAME),
        user_id=reader.text('user_id', default='', max_length=MAX_NAME),
        request_id=reader.text('request_id', default='', max_length=MAX_NAME),
        trace=reader.text('trace', default='', max_length=MAX_TRACE),
    )


def optional_bytes(reader: Reader, name: str) -> int | None:
    """Read a number of bytes that may be unknown."""
    return reader.optional_integer(name, minimum=0, maximum=MAX_SIZE_BYTES)


def optional_identifier(reader: Reader, name: str) -> str | None:
    """Read the id or name of something that need not be named."""
    return reader.identifier(name) if reader.has(name) else None
