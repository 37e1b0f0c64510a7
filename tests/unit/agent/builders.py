"""Values for tests, with only what matters said."""

from __future__ import annotations

import datetime
import itertools
import uuid

from virtdc_agent.contract import events
from virtdc_agent import model

GIB = 1024**3
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_fences = itertools.count(1)


def create(
    volume_id: str | None = None,
    *,
    size_bytes: int = GIB,
    event_id: str | None = None,
    origin: events.Origin = events.Origin.CLOUD,
    **parameters: object,
) -> events.Event:
    """Return an event that creates a volume."""
    return _event(
        events.Operation.CREATE,
        volume_id,
        events.CreateParameters(size_bytes=size_bytes, **parameters),
        event_id,
        origin,
    )


def delete(volume_id: str, event_id: str | None = None) -> events.Event:
    """Return an event that deletes a volume."""
    return _event(
        events.Operation.DELETE,
        volume_id,
        events.DeleteParameters(),
        event_id,
    )


def extend(
    volume_id: str, size_bytes: int, event_id: str | None = None
) -> events.Event:
    """Return an event that grows a volume."""
    return _event(
        events.Operation.EXTEND,
        volume_id,
        events.ExtendParameters(size_bytes=size_bytes),
        event_id,
    )


def connect(volume_id: str, host: str) -> events.Event:
    """Return an event that connects a host."""
    return _event(
        events.Operation.CONNECT,
        volume_id,
        events.ConnectParameters(host=host, connector={'host': host}),
    )


def disconnect(volume_id: str, host: str | None) -> events.Event:
    """Return an event that disconnects a host, or all."""
    return _event(
        events.Operation.DISCONNECT,
        volume_id,
        events.DisconnectParameters(host=host),
    )


def event_of(volume_id: str, parameters: events.Parameters) -> events.Event:
    """Return the event that has these parameters."""
    return _event(events.operation_of(parameters), volume_id, parameters)


def _event(
    operation: events.Operation,
    volume_id: str | None,
    parameters: events.Parameters,
    event_id: str | None = None,
    origin: events.Origin = events.Origin.CLOUD,
) -> events.Event:
    return events.Event(
        event_id=event_id or str(uuid.uuid4()),
        operation=operation,
        volume_id=volume_id or str(uuid.uuid4()),
        origin=origin,
        parameters=parameters,
        created_at=NOW,
        requested_by=events.Requester(project_id='p', user_id='u'),
    )


def volume(volume_id: str, **changes: object) -> events.Volume:
    """Return a volume of 1 GiB."""
    values: dict[str, object] = {
        'size_bytes': GIB,
        'format': events.Format.RAW,
        'provisioning': events.Provisioning.THIN,
        'created_at': NOW,
        'updated_at': NOW,
    }
    return events.Volume(volume_id=volume_id, **(values | changes))


def claim(
    event: events.Event,
    volume: events.Volume | None = None,
    *,
    attempt: int = 1,
) -> model.Claim:
    """Return a claim of an event."""
    return model.Claim(
        event=event, attempt=attempt, fence=next(_fences), volume=volume
    )


def transition(**changes: object) -> events.Transition:
    """Return what is told when an event was accepted."""
    event = create()
    values: dict[str, object] = {
        'event_id': event.event_id,
        'operation': event.operation,
        'volume_id': event.volume_id,
        'origin': event.origin,
        'state': events.State.WAITING,
        'sequence': 1,
        'occurred_at': NOW,
    }
    return events.Transition(**{**values, **changes})
