"""What is told of an alarm, in the words of those who listen.

Pure functions. One report says everything, so that it can be read years
later; the same change of the same alarm is the same report, with the same
ids, however often it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
from typing import Any
import uuid

from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract import catalogue

SCHEMA_VERSION = '1.0'
SOURCE = '/virtdc/listener'

_NAMESPACE = uuid.UUID('2f0c7a34-94d7-5b52-8a1d-0f6d3c5e7b91')

LOUD = frozenset({AlarmChange.RAISED, AlarmChange.CHANGED})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A change of an alarm.

    :param payload: plain JSON.
    """

    change: AlarmChange
    payload: Mapping[str, Any]

    @property
    def event_type(self) -> str:
        """As ``virtdc.alarm.raised``."""
        return f'virtdc.alarm.{self.change}'

    @property
    def priority(self) -> str:
        """``ERROR`` or ``INFO``: Ceilometer hears no other."""
        return 'ERROR' if self.change in LOUD else 'INFO'

    @property
    def message_id(self) -> str:
        """The same for the same change, whoever sends it, however often."""
        return str(
            uuid.uuid5(
                _NAMESPACE,
                f'{self.payload["alarm_id"]} {self.payload["revision"]} '
                f'{self.change}',
            )
        )


def report_of(
    alarm: Alarm,
    change: AlarmChange,
    *,
    volume: Mapping[str, Any],
    project_id: str = '',
) -> Report:
    """Return what is told of an alarm that is raised.

    :param volume: what Cinder says of it; empty: nothing.
    :param project_id: of alarms that are of no project.
    """
    details = alarm.details
    requester = details.get('requested_by')
    actor = requester if isinstance(requester, Mapping) else {}
    project = str(
        volume.get('project_id') or details.get('project_id') or project_id
    )
    kind = catalogue.CATALOGUE.get(alarm.kind)
    return Report(
        change=change,
        payload={
            'schema_version': SCHEMA_VERSION,
            'alarm_id': alarm_id(alarm.kind, alarm.subject),
            'alarm_kind': alarm.kind,
            'state': change.value,
            'revision': alarm.revision,
            'severity': alarm.severity.value,
            'occurrences': alarm.count,
            # Ceilometer reads the one, people the other.
            'tenant_id': project,
            'project_id': project,
            'user_id': str(volume.get('user_id') or ''),
            'resource_id': alarm.subject,
            'volume_id': str(volume.get('volume_id') or alarm.subject),
            'display_name': str(
                volume.get('name') or details.get('name') or ''
            ),
            'size': volume.get('size_gib', details.get('size_gib')),
            'status': str(volume.get('status') or details.get('status') or ''),
            'instance_ids': list(volume.get('server_ids') or ()),
            'attached_to': details.get('attached_to') or [],
            'event_id': details.get('event_id'),
            'actor': {
                'user_id': actor.get('user_id', ''),
                'project_id': actor.get('project_id', ''),
                'request_id': actor.get('request_id', ''),
            },
            'occurred_at': details.get('occurred_at')
            or _time(alarm.raised_at),
            'raised_at': _time(alarm.raised_at),
            'updated_at': _time(alarm.updated_at),
            'trash_until': details.get('trash_until'),
            'reason': alarm.message,
            'repair': kind.repair if kind else '',
            'acknowledged_by': alarm.acknowledged_by,
            'acknowledged_at': (
                _time(alarm.acknowledged_at) if alarm.acknowledged_at else None
            ),
            'comment': alarm.comment,
        },
    )


def cleared(before: Mapping[str, Any], now: datetime.datetime) -> Report:
    """Return what is told of an alarm that is no longer raised.

    :param before: the payload of what was told last.
    """
    return Report(
        change=AlarmChange.CLEARED,
        payload={
            **before,
            'state': AlarmChange.CLEARED.value,
            'updated_at': _time(now),
        },
    )


def change_of(alarm: Alarm, before: Mapping[str, Any] | None) -> AlarmChange:
    """Return what has become of an alarm since it was told last."""
    if before is None or before['raised_at'] != _time(alarm.raised_at):
        return AlarmChange.RAISED
    if alarm.acknowledged_by and (
        before['acknowledged_at'] != _time(alarm.acknowledged_at)
        if alarm.acknowledged_at
        else not before['acknowledged_by']
    ):
        return AlarmChange.ACKNOWLEDGED
    return AlarmChange.CHANGED


def cloud_event(report: Report) -> dict[str, Any]:
    """Return a report as a CloudEvent, for HTTP."""
    return {
        'specversion': '1.0',
        'id': report.message_id,
        'source': SOURCE,
        'type': report.event_type,
        'subject': report.payload['resource_id'],
        'time': report.payload['updated_at'],
        'datacontenttype': 'application/json',
        'data': dict(report.payload),
    }


def alarm_id(kind: str, subject: str) -> str:
    """Return the id of an alarm: the same each time it is raised."""
    return str(uuid.uuid5(_NAMESPACE, f'{kind}/{subject}'))


def _time(time: datetime.datetime) -> str:
    return time.astimezone(datetime.UTC).isoformat()
