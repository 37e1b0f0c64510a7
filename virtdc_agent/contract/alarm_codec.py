"""How alarms, and what is told of them, are written and read."""

from __future__ import annotations

import re

from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.fields import clean_text
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.pieces import format_time
from virtdc_agent.contract.pieces import MAX_ATTEMPTS
from virtdc_agent.contract.pieces import MAX_NAME
from virtdc_agent.contract.pieces import MAX_SEQUENCE
from virtdc_agent.contract.pieces import Primitive

_KIND = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]+)*')
MAX_COMMENT = 1024


def kind_from(reader: Reader) -> str:
    """Read an alarm's kind: a newer side may have some of its own."""
    kind = reader.text('kind', max_length=64)
    if not _KIND.fullmatch(kind):
        raise MalformedMessage(
            reader.path('kind'),
            'must be small letters and digits with single dashes between, '
            'as volume-deleted',
        )
    return kind


def alarm_to(alarm: Alarm) -> Primitive:
    """Write an alarm."""
    return {
        'kind': alarm.kind,
        'subject': alarm.subject,
        'severity': alarm.severity.value,
        'message': clean_text(alarm.message),
        'raised_at': format_time(alarm.raised_at),
        'updated_at': format_time(alarm.updated_at),
        'count': alarm.count,
        'acknowledged_by': clean_text(alarm.acknowledged_by, MAX_NAME),
        'acknowledged_at': (
            None
            if alarm.acknowledged_at is None
            else format_time(alarm.acknowledged_at)
        ),
        'comment': clean_text(alarm.comment, MAX_COMMENT),
        'details': dict(alarm.details),
        'revision': alarm.revision,
    }


def alarm_from(reader: Reader) -> Alarm:
    """Read an alarm."""
    return Alarm(
        kind=kind_from(reader),
        subject=reader.identifier('subject'),
        severity=reader.choice('severity', Severity),
        message=reader.text('message'),
        raised_at=reader.time('raised_at'),
        updated_at=reader.time('updated_at'),
        count=reader.integer('count', minimum=1, maximum=MAX_ATTEMPTS),
        acknowledged_by=reader.text(
            'acknowledged_by', default='', max_length=MAX_NAME
        ),
        acknowledged_at=(
            reader.time('acknowledged_at')
            if reader.has('acknowledged_at')
            else None
        ),
        comment=reader.text('comment', default='', max_length=MAX_COMMENT),
        details=reader.json('details'),
        revision=reader.integer('revision', minimum=0, maximum=MAX_SEQUENCE),
    )


def notice_to(notice: AlarmNotice) -> Primitive:
    """Write that something has become of an alarm."""
    return {
        'kind': notice.kind,
        'subject': notice.subject,
        'change': notice.change.value,
        'revision': notice.revision,
        'occurred_at': format_time(notice.occurred_at),
    }


def notice_from(reader: Reader) -> AlarmNotice:
    """Read that something has become of an alarm."""
    return AlarmNotice(
        kind=kind_from(reader),
        subject=reader.identifier('subject'),
        change=reader.choice('change', AlarmChange),
        revision=reader.integer('revision', minimum=0, maximum=MAX_SEQUENCE),
        occurred_at=reader.time('occurred_at'),
    )
