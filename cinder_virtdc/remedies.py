"""What can be done about a volume that the data centre has deleted."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import datetime
from typing import Protocol
import uuid

from cinder_virtdc.clock import Clock
from cinder_virtdc.cloud.interfaces import Cloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.sync import edits
from cinder_virtdc.sync.policy import Policy
from cinder_virtdc.translate import GIB
from cinder_virtdc.translate import TYPE_KEY
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract import events
from virtdc_agent.contract.rpc import ErrorCode

_NAMESPACE = uuid.UUID('b8f5a0d2-1c5e-54d6-8a37-6f0e2d9c7b14')
"""Of the ids of these events: one remedy of one deletion is one event."""


class Submitter(Protocol):
    """Hands events over to the data centre, whichever way.

    :raises VirtDCError: it was not accepted.
    """

    def submit(self, event: events.Event) -> object:
        """Return when the event is accepted; the same twice is one."""


class Reader(Protocol):
    """Knows how it goes with events."""

    def get_events(
        self, event_ids: Collection[str]
    ) -> Mapping[str, events.Transition]:
        """Return the latest transition of each that is known."""


class Remedies:
    """Restores, recreates or forgets. Safe from any thread.

    Each may be asked for again and is done once. What becomes of it in
    Cinder, the listener sees to.

    :raises VirtDCError: from all: it was not done.
    """

    def __init__(self, cloud: Cloud, client: Submitter) -> None:
        self._cloud = cloud
        self._client = client

    def apply(
        self,
        policy: Policy,
        volume: CloudVolume,
        alarm: Alarm,
        *,
        now: datetime.datetime,
        user_id: str = '',
    ) -> str:
        """Do what a policy says.

        :returns: the id of the event that does it; empty: Cinder does.
        """
        match policy:
            case Policy.RESTORE:
                return self._submit(
                    volume, alarm, events.RestoreParameters(), now, user_id
                )
            case Policy.RECREATE:
                return self._submit(volume, alarm, _anew(volume), now, user_id)
            case Policy.FORGET:
                if volume.is_attached:
                    raise exceptions.NotNow(
                        f'Volume {volume.volume_id} is attached in the '
                        'cloud: detach it first.'
                    )
                self._cloud.delete(volume.volume_id)
        return ''

    def _submit(
        self,
        volume: CloudVolume,
        alarm: Alarm,
        parameters: events.Parameters,
        now: datetime.datetime,
        user_id: str,
    ) -> str:
        operation = events.operation_of(parameters)
        event_id = str(
            uuid.uuid5(
                _NAMESPACE,
                f'{operation} {volume.platform_id} '
                f'{alarm.raised_at.isoformat()}',
            )
        )
        event = events.Event(
            event_id=event_id,
            operation=operation,
            volume_id=volume.platform_id,
            origin=events.Origin.CLOUD,
            parameters=parameters,
            created_at=now,
            requested_by=events.Requester(
                project_id=edits.shown(volume.project_id),
                user_id=edits.shown(user_id or volume.user_id),
            ),
        )
        try:
            self._client.submit(event)
        except exceptions.AgentRefused as exc:
            # Asked for before: it is the same event.
            if exc.code is not ErrorCode.CONFLICT:
                raise
        return event_id


def await_end(
    client: Reader, event_id: str, *, clock: Clock, timeout_s: float = 300.0
) -> events.Transition:
    """Return the latest transition of an event, once it has ended.

    :raises OperationTimeout: it has not ended in time.
    """
    deadline = clock.monotonic() + timeout_s
    while clock.monotonic() < deadline:
        latest = client.get_events([event_id]).get(event_id)
        if latest is not None and latest.state.is_final:
            return latest
        clock.pause(0.2)
    raise exceptions.OperationTimeout(
        f'Event {event_id} has not ended yet: look at it in the data centre.'
    )


def _anew(volume: CloudVolume) -> events.CreateParameters:
    said = edits.fields_of_cloud(
        name=volume.name,
        description=volume.description,
        properties=volume.properties,
        volume_type=volume.volume_type,
    )
    return events.CreateParameters(
        size_bytes=volume.size_gib * GIB,
        name=said.name,
        description=said.description,
        metadata={
            **said.metadata,
            **({TYPE_KEY: said.volume_type} if said.volume_type else {}),
        },
    )
