"""What is told of things, as plain JSON. Pure.

As the contract writes them, so that there is one form; without what is not
for everyone: how hosts are reached, and where images lie.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from virtdc_agent.contract import alarms
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract.parameter_codec import encode_parameters
from virtdc_agent.contract.pieces import format_time
from virtdc_agent.contract import resyncs
from virtdc_agent import model

View = dict[str, Any]

_HIDDEN = frozenset(['connector', 'url'])


def of_volume(volume: events.Volume) -> View:
    """Return what is told of a volume."""
    return _data(codec.encode(volume))


def of_manageable(manageable: events.Manageable) -> View:
    """Return what is told of what may become a volume."""
    return _data(codec.encode(manageable))


def of_snapshot(snapshot: events.Snapshot) -> View:
    """Return what is told of a snapshot."""
    return _data(codec.encode(snapshot))


def of_transition(transition: events.Transition) -> View:
    """Return what is told of a transition."""
    return _data(codec.encode(transition))


def of_record(record: model.Record) -> View:
    """Return what is told of an event."""
    view = of_transition(record.latest)
    view['updated_at'] = view.pop('occurred_at')
    parameters = encode_parameters(record.event.parameters)
    return {
        **view,
        'parameters': {
            name: value
            for name, value in parameters.items()
            if name not in _HIDDEN
        },
        'created_at': format_time(record.event.created_at),
        'accepted_at': format_time(record.accepted_at),
        'lane': record.lane.value,
        'agent': record.holder,
        'is_cancel_requested': record.is_cancel_requested,
        'retry_of': record.event.retry_of,
    }


def of_trashed(trashed: events.TrashedVolume) -> View:
    """Return what is told of a volume in the trash."""
    view = _data(codec.encode(trashed))
    view['volume'] = of_volume(trashed.volume)
    return view


def of_alarm(alarm: alarms.Alarm) -> View:
    """Return what is told of an alarm."""
    return _data(codec.encode(alarm))


def of_resync(resync: resyncs.Resync) -> View:
    """Return what is told of a comparison that was asked for."""
    return _data(codec.encode(resync))


def of_agent(agent: model.AgentRecord) -> View:
    """Return what is told of an agent."""
    return {
        'name': agent.name,
        'host': agent.host,
        'version': agent.version,
        'started_at': format_time(agent.started_at),
        'lease_until': format_time(agent.lease_until),
        'is_alive': agent.is_alive,
        'is_draining': agent.is_draining,
        'is_publisher': agent.is_publisher,
        'running': agent.running,
        'closed': agent.closed,
    }


def of_pool(pool: events.PoolCapacity, reading: model.SpaceReading) -> View:
    """Return what is told of a pool; of its space what it said last."""
    return {
        'name': pool.name,
        'backend': pool.backend,
        'state': 'known' if reading.is_current else 'unknown',
        'read_at': reading.read_at and format_time(reading.read_at),
        'age_s': reading.age_s and round(reading.age_s, 1),
        'total_bytes': reading.space and pool.total_bytes,
        'free_bytes': reading.space and pool.free_bytes,
        'provisioned_bytes': pool.provisioned_bytes,
        'max_over_subscription_ratio': pool.max_over_subscription_ratio,
        'reserved_percentage': pool.reserved_percentage,
        'operations': sorted(pool.operations),
        'formats': sorted(pool.formats),
        'provisionings': sorted(pool.provisionings),
        'volumes': pool.volumes,
    }


def of_limit(point: model.LimitPoint) -> View:
    """Return what is told of a window of a policy."""
    return {
        'at': format_time(point.at),
        'limit': point.limit,
        'taken': point.taken,
        'running': round(point.running, 2),
        'is_full': point.is_full,
    }


def etag_of(volume: events.Volume) -> str:
    """Return a text that changes whenever the volume does."""
    text = json.dumps(codec.encode(volume), sort_keys=True)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _data(envelope: Any) -> View:
    return dict(envelope['data'])
