"""How events are classed: by lane, urgency, kind and length. Pure.

Lanes keep what takes minutes from what takes milliseconds: each has a limit
of its own, so that a hundred copies leave room for a delete. Within a lane
the urgent go first, and those of one urgency are shared out fairly; see
``journal.fairness``.
"""

from __future__ import annotations

import enum

from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning

GIB = 1024**3


class Lane(enum.StrEnum):
    """Which limit an event is under."""

    QUICK = 'quick'
    """Takes as long as some metadata: its size does not matter."""
    COPY = 'copy'
    """Writes or copies the volume's bytes: takes as long as it is large."""


class Urgency(enum.IntEnum):
    """What goes first within a lane; the lower the sooner."""

    ATTACHMENT = 0
    """A server waits for it to boot, or a person to unplug."""
    ORDINARY = 1


def lane_of(event: events.Event, volume: events.Volume | None) -> Lane:
    """Return the lane of an event.

    :param volume: as it is known when the event is accepted.
    """
    match event.parameters:
        case events.CreateParameters(provisioning=Provisioning.THICK):
            return Lane.COPY
        case (
            events.SnapshotParameters()
            | events.SnapshotGroupParameters()
            | events.RevertParameters()
            | events.CloneParameters()
            | events.ImportParameters()
            | events.MigrateParameters()
        ):
            # Where the storage can share blocks they are quick as well; but
            # that is not known here, and elsewhere they copy all bytes.
            return Lane.COPY
        case _:
            return Lane.QUICK


def urgency_of(event: events.Event) -> Urgency:
    """Return the urgency of an event."""
    if event.operation in (Operation.CONNECT, Operation.DISCONNECT):
        return Urgency.ATTACHMENT
    return Urgency.ORDINARY


def cost_of(event: events.Event, lane: Lane) -> int:
    """Return the length of an event, in the unit of its lane.

    Quick ones are all alike: 1. Of copies it is the size, in GiB.
    """
    if lane is Lane.QUICK:
        return 1
    size_bytes: int = getattr(event.parameters, 'size_bytes', GIB)
    return max(1, -(-size_bytes // GIB))


def kind_of(event: events.Event, lane: Lane) -> str:
    """Name what takes alike: durations are comparable within a kind."""
    if lane is Lane.QUICK:
        return event.operation.value
    return f'{event.operation.value}-{lane.value}'


KINDS = tuple(
    f'{operation.value}{suffix}'
    for suffix in ('', f'-{Lane.COPY.value}')
    for operation in Operation
)
"""Every kind there may be."""
