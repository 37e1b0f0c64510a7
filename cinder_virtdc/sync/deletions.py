"""What becomes of a volume that the data centre has deleted.

Pure functions. Cinder's record stays: its status is ``error``, from which it
can be deleted but not attached, and properties say why. What the status was
before is kept in a property, for the day the volume is there again.
"""

from __future__ import annotations

from collections.abc import Mapping
import datetime

from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.sync import properties
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume

DELETED = catalogue.VOLUME_DELETED.kind
"""The agent's alarm for a volume that was deleted on its side."""
MISSING = catalogue.VOLUME_MISSING.kind
"""Ours, for a volume that is not there, and nobody says why."""
KINDS = frozenset({DELETED, MISSING})

BREAKABLE = frozenset({'available', 'error', 'error_extending'})
"""Statuses that give way to ``error``; others end by themselves first."""


def is_deleted(
    platform: Volume | None, latest: Transition | None, alarm: Alarm | None
) -> bool:
    """Say whether the data centre has no such volume any more.

    Either its alarm is raised, or its event has just succeeded.
    """
    if platform is not None:
        return False
    if latest is not None and not latest.state.is_final:
        return False
    return alarm is not None or (
        latest is not None
        and latest.origin is Origin.PLATFORM
        and latest.operation is Operation.DELETE
        and latest.state is State.SUCCESS
    )


def marks_of(volume: CloudVolume, alarm: Alarm | None) -> Mapping[str, str]:
    """Return the properties that say why a volume is unusable."""
    kind = alarm.kind if alarm else DELETED
    former = volume.properties.get(properties.FORMER_STATUS)
    if former is None:
        former = 'error' if volume.status == 'error' else 'available'
    return {
        properties.ALARM: kind,
        properties.ALARM_MESSAGE: properties.shortened(
            sentence(volume, alarm)
        ),
        properties.FORMER_STATUS: former,
    }


def sentence(volume: CloudVolume, alarm: Alarm | None) -> str:
    """Say for its owner what has become of a volume, and what can be done."""
    if alarm is not None and alarm.kind == MISSING:
        return (
            'The data centre has no such volume, and nobody says why. '
            'Nothing was deleted in the cloud. Ask the operator of the data '
            'centre.'
        )
    who = _who(alarm)
    until = alarm and alarm.details.get('trash_until')
    rest = (
        f'It lies in the trash there until {_minute(until)} and can be '
        'restored by an administrator: cinder-virtdc-manage alarm restore.'
        if isinstance(until, str)
        else 'An administrator can recreate or forget it.'
    )
    return f'Deleted in the data centre{who}. {rest}'


def _who(alarm: Alarm | None) -> str:
    requester = alarm.details.get('requested_by') if alarm else None
    if isinstance(requester, Mapping):
        user = requester.get('user_id')
        if isinstance(user, str) and user:
            return f' by {user}'
    return ''


def _minute(text: str) -> str:
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    return time.astimezone(datetime.UTC).strftime('%Y-%m-%d %H:%M UTC')
