"""What a user sees of an event on a volume: Cinder's volume properties.

Pure functions. The keys are the product's word to users, and to programs
that read them; everything else in a volume's metadata is its owner's.
"""

from __future__ import annotations

from collections.abc import Mapping
import datetime

from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition

STATE = 'virtdc.state'
OPERATION = 'virtdc.operation'
PROGRESS = 'virtdc.progress'
EVENT_ID = 'virtdc.event_id'
UPDATED_AT = 'virtdc.updated_at'
SEQUENCE = 'virtdc.sequence'
REASON = 'virtdc.reason'
MESSAGE = 'virtdc.message'

ALARM = 'virtdc.alarm'
"""The kind of the alarm that is raised for the volume."""
ALARM_MESSAGE = 'virtdc.alarm_message'
FORMER_STATUS = 'virtdc.former_status'
"""What Cinder's status was before the data centre lost the volume."""
HELD = 'virtdc.held'
"""The event for whose sake the volume is reserved."""
AGREED = 'virtdc.agreed'
"""Digest of the name, description, metadata that both sides agreed on."""
TOLD = 'virtdc.told'
"""Digest of those that the data centre was asked to take over."""
CONFLICT = 'virtdc.conflict'
"""What was changed on both sides, and which change was dropped."""

PLATFORM_ID = 'virtdc.platform_id'
"""The id in the data centre of what that has made, and Cinder manages."""

FAILURE_KEYS = (REASON, MESSAGE)
"""There only while the latest event of a volume is a failed one."""

PREFIX = 'virtdc.'
"""Of all keys that are ours; everything else is the user's."""

KEYS = frozenset(
    {
        STATE,
        OPERATION,
        PROGRESS,
        EVENT_ID,
        UPDATED_AT,
        SEQUENCE,
        *FAILURE_KEYS,
    }
)
"""What shows an event. The others say something of their own."""

SHOWN = KEYS | {
    *(ALARM, ALARM_MESSAGE, FORMER_STATUS, HELD, AGREED, TOLD, CONFLICT),
    PLATFORM_ID,
}
"""All keys that a user may see."""

MAX_LENGTH = 255
"""Of a value, in Cinder."""


def properties_of(transition: Transition) -> dict[str, str]:
    """Return what a volume is to show after a transition."""
    shown = {
        STATE: transition.state.value,
        OPERATION: transition.operation.value,
        PROGRESS: _progress(transition),
        EVENT_ID: transition.event_id,
        UPDATED_AT: _time(transition.occurred_at),
        SEQUENCE: str(transition.sequence),
    }
    if transition.reason is not None:
        shown[REASON] = transition.reason.value
        shown[MESSAGE] = shortened(transition.message)
    return shown


def sequence_of(shown: Mapping[str, str]) -> int:
    """Return the sequence of what a volume shows; 0 if it shows none."""
    text = shown.get(SEQUENCE, '')
    return int(text) if text.isascii() and text.isdigit() else 0


def ends_volume(transition: Transition) -> bool:
    """Say whether nothing is left to show it on: the volume is removed.

    One that the data centre has deleted by itself is still in Cinder.
    """
    return (
        transition.operation in (Operation.DELETE, Operation.UNMANAGE)
        and transition.origin is Origin.CLOUD
        and transition.state is State.SUCCESS
    )


def _progress(transition: Transition) -> str:
    """Write the progress for people.

    Of what runs without telling, the user learns just that; a made-up figure
    would be worse. Of what waits nothing is done, and nothing is left of
    what failed.
    """
    if transition.progress is not None:
        return f'{transition.progress} %'
    return 'unknown' if transition.state is State.RUNNING else '0 %'


def _time(time: datetime.datetime) -> str:
    return time.astimezone(datetime.UTC).strftime('%Y-%m-%dT%H:%M:%SZ')


def shortened(text: str) -> str:
    """Return a text that fits into a value."""
    # Cinder counts characters; some databases below it refuse what lies
    # beyond the basic plane.
    text = ''.join(c if ord(c) <= 0xFFFF else '\ufffd' for c in text)
    if len(text) <= MAX_LENGTH:
        return text
    return text[: MAX_LENGTH - 1] + '…'
