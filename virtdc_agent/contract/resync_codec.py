"""How a comparison that somebody has asked for is written and read."""

from __future__ import annotations

import datetime

from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.pieces import format_time
from virtdc_agent.contract.pieces import MAX_NAME
from virtdc_agent.contract.pieces import MAX_SEQUENCE
from virtdc_agent.contract.pieces import Primitive
from virtdc_agent.contract.resyncs import COUNTS
from virtdc_agent.contract.resyncs import Resync


def resync_to(resync: Resync) -> Primitive:
    """Write it."""
    return {
        'number': resync.number,
        'asked_at': format_time(resync.asked_at),
        'asked_by': resync.asked_by,
        'listener': resync.listener,
        'started_at': _time_to(resync.started_at),
        'ended_at': _time_to(resync.ended_at),
        **{name: getattr(resync, name) for name in COUNTS},
    }


def resync_from(reader: Reader) -> Resync:
    """Read it."""
    return Resync(
        number=reader.integer('number', minimum=1, maximum=MAX_SEQUENCE),
        asked_at=reader.time('asked_at'),
        asked_by=reader.text('asked_by', default='', max_length=MAX_NAME),
        listener=reader.text('listener', default='', max_length=MAX_NAME),
        started_at=_time_from(reader, 'started_at'),
        ended_at=_time_from(reader, 'ended_at'),
        **counts_from(reader),
    )


def counts_from(reader: Reader) -> dict[str, int]:
    """Read what was counted; what is missing is 0."""
    return {
        name: reader.optional_integer(name, minimum=0, maximum=MAX_SEQUENCE)
        or 0
        for name in COUNTS
    }


def _time_to(time: datetime.datetime | None) -> str | None:
    return None if time is None else format_time(time)


def _time_from(reader: Reader, name: str) -> datetime.datetime | None:
    return reader.time(name) if reader.has(name) else None
