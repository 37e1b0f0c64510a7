"""Alarms in the journal: raised once, counted, acknowledged, cleared.

One that is cleared stays for a while as a row that is over, so that its end
can be told, and its revision goes on when it is raised again. What the kinds
mean stands in ``contract.catalogue``.
"""

from __future__ import annotations

from collections.abc import Mapping
import datetime
import json
from typing import Any

import sqlalchemy as sa

from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract.fields import clean_text
from virtdc_agent import exceptions
from virtdc_agent.journal.change import Change
from virtdc_agent.journal.tables import ALARMS
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model

_MAX_BY = 255
_MAX_COMMENT = 1024


def raise_alarm(
    tx: Transaction,
    *,
    kind: str,
    subject: str,
    severity: Severity,
    message: str,
    details: Mapping[str, object] | None = None,
) -> model.AlarmNews:
    """Raise an alarm, or count one that is raised already.

    One whose content differs is news: its revision grows, and if it was
    acknowledged it is not any more.
    """
    found = _find(tx, kind, subject)
    content = {
        'severity': severity.value,
        'message': clean_text(message),
        'details': json.dumps(details or {}, sort_keys=True),
    }
    if found is None or found.cleared is not None:
        values = {
            **content,
            'raised': tx.seconds,
            'updated': tx.seconds,
            'count': 1,
            **_UNSEEN,
            **_news(tx, AlarmChange.RAISED),
        }
    elif all(getattr(found, name) == text for name, text in content.items()):
        values = {'count': found.count + 1, 'updated': tx.seconds}
    else:
        values = {
            **content,
            'updated': tx.seconds,
            'count': found.count + 1,
            **_UNSEEN,
            **_news(tx, AlarmChange.CHANGED),
        }
    if found is None:
        tx.connection.execute(
            ALARMS.insert(), {'kind': kind, 'subject': subject, **values}
        )
    else:
        tx.connection.execute(
            ALARMS.update().where(_is(kind, subject)).values(values)
        )
    change = values.get('change')
    return model.AlarmNews(
        alarm=alarm_of(_find(tx, kind, subject)),
        change=None if change is None else AlarmChange(str(change)),
    )


def clear_alarm(tx: Transaction, kind: str, subject: str) -> bool:
    """End an alarm; return whether it was raised."""
    found = _find(tx, kind, subject)
    if found is None or found.cleared is not None:
        return False
    tx.connection.execute(
        ALARMS.update()
        .where(_is(kind, subject))
        .values(
            updated=tx.seconds,
            **{**_news(tx, AlarmChange.CLEARED), 'cleared': tx.seconds},
        )
    )
    return True


class RaiseAlarm(Change[model.AlarmNews]):
    """Raise an alarm from outside of any event."""

    def __init__(
        self,
        *,
        kind: str,
        subject: str,
        severity: Severity,
        message: str,
        details: Mapping[str, object],
    ) -> None:
        self._kind = kind
        self._subject = subject
        self._severity = severity
        self._message = message
        self._details = details

    def apply(self, tx: Transaction) -> model.AlarmNews:
        """See the base."""
        return raise_alarm(
            tx,
            kind=self._kind,
            subject=self._subject,
            severity=self._severity,
            message=self._message,
            details=self._details,
        )


class AcknowledgeAlarm(Change[Alarm]):
    """Note that somebody has seen it; the same again is no news."""

    def __init__(self, kind: str, subject: str, by: str, comment: str) -> None:
        self._kind = kind
        self._subject = subject
        self._by = clean_text(by, _MAX_BY)
        self._comment = clean_text(comment, _MAX_COMMENT)

    def apply(self, tx: Transaction) -> Alarm:
        """See the base."""
        found = _find(tx, self._kind, self._subject)
        if found is None or found.cleared is not None:
            raise not_raised(self._kind, self._subject)
        if (found.acknowledged_by, found.comment) != (self._by, self._comment):
            tx.connection.execute(
                ALARMS.update()
                .where(_is(self._kind, self._subject))
                .values(
                    acknowledged_by=self._by,
                    acknowledged=tx.seconds,
                    comment=self._comment,
                    updated=tx.seconds,
                    **_news(tx, AlarmChange.ACKNOWLEDGED),
                )
            )
        return alarm_of(_find(tx, self._kind, self._subject))


class ClearAlarm(Change[bool]):
    """End an alarm whose cause is gone; return whether it was raised."""

    def __init__(self, kind: str, subject: str) -> None:
        self._kind = kind
        self._subject = subject

    def apply(self, tx: Transaction) -> bool:
        """See the base."""
        return clear_alarm(tx, self._kind, self._subject)


def alarm_of(row: Any) -> Alarm:
    """Return the alarm that a row says."""
    return Alarm(
        kind=row.kind,
        subject=row.subject,
        severity=Severity(row.severity),
        message=row.message,
        raised_at=_time(row.raised),
        updated_at=_time(row.updated),
        count=row.count,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=(
            None if row.acknowledged is None else _time(row.acknowledged)
        ),
        comment=row.comment,
        details=json.loads(row.details),
        revision=row.revision,
    )


def not_raised(kind: str, subject: str) -> exceptions.AlarmNotFound:
    """Return the error for an alarm that is not raised."""
    return exceptions.AlarmNotFound(
        f'No alarm {kind} is raised for {subject}.'
    )


_UNSEEN: Mapping[str, object] = {
    'acknowledged_by': '',
    'acknowledged': None,
    'comment': '',
}


def _news(tx: Transaction, change: AlarmChange) -> dict[str, object]:
    return {
        'change': change.value,
        'cleared': None,
        'revision': tx.next_alarm_revision(),
    }


def _is(kind: str, subject: str) -> Any:
    return sa.and_(ALARMS.c.kind == kind, ALARMS.c.subject == subject)


def _find(tx: Transaction, kind: str, subject: str) -> Any:
    return tx.connection.execute(
        sa.select(ALARMS).where(_is(kind, subject))
    ).first()


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
