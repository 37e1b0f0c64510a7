"""The alarms of an agent in memory. Part of ``FakeAgent``."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime

from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.alarms import Severity


class FakeAlarms:
    """Rows by kind and subject. For one thread at a time."""

    def __init__(self) -> None:
        self.raised: dict[tuple[str, str], Alarm] = {}
        self.revision = 0
        self.history: list[tuple[AlarmChange, str, str]] = []

    def put(
        self,
        kind: str,
        subject: str,
        *,
        severity: Severity,
        message: str,
        details: Mapping[str, object],
        now: datetime.datetime,
    ) -> tuple[Alarm, AlarmNotice | None]:
        """Raise an alarm, or count it again."""
        known = self.raised.get((kind, subject))
        alarm = Alarm(
            kind=kind,
            subject=subject,
            severity=severity,
            message=message,
            raised_at=known.raised_at if known else now,
            updated_at=now,
            count=known.count + 1 if known else 1,
            acknowledged_by=known.acknowledged_by if known else '',
            acknowledged_at=known.acknowledged_at if known else None,
            comment=known.comment if known else '',
            details=dict(details),
            revision=known.revision if known else 0,
        )
        same = known is not None and (known.severity, known.message) == (
            severity,
            message,
        )
        if same:
            self.raised[kind, subject] = alarm
            return alarm, None
        change = AlarmChange.CHANGED if known else AlarmChange.RAISED
        # What it says now, nobody has seen yet.
        unseen = dataclasses.replace(
            alarm, acknowledged_by='', acknowledged_at=None, comment=''
        )
        return self._put(unseen, change, now)

    def acknowledge(
        self,
        kind: str,
        subject: str,
        *,
        by: str,
        comment: str,
        now: datetime.datetime,
    ) -> tuple[Alarm, AlarmNotice]:
        """Take note that somebody has seen it.

        :raises KeyError: it is not raised.
        """
        return self._put(
            dataclasses.replace(
                self.raised[kind, subject],
                acknowledged_by=by,
                acknowledged_at=now,
                comment=comment,
                updated_at=now,
            ),
            AlarmChange.ACKNOWLEDGED,
            now,
        )

    def clear(
        self, kind: str, subject: str, now: datetime.datetime
    ) -> AlarmNotice | None:
        """Clear it; ``None``: it was not raised."""
        if self.raised.pop((kind, subject), None) is None:
            return None
        self.revision += 1
        return self._notice(kind, subject, AlarmChange.CLEARED, now)

    def _put(
        self, alarm: Alarm, change: AlarmChange, now: datetime.datetime
    ) -> tuple[Alarm, AlarmNotice]:
        self.revision += 1
        alarm = dataclasses.replace(alarm, revision=self.revision)
        self.raised[alarm.kind, alarm.subject] = alarm
        return alarm, self._notice(alarm.kind, alarm.subject, change, now)

    def _notice(
        self,
        kind: str,
        subject: str,
        change: AlarmChange,
        now: datetime.datetime,
    ) -> AlarmNotice:
        self.history.append((change, kind, subject))
        return AlarmNotice(
            kind=kind,
            subject=subject,
            change=change,
            revision=self.revision,
            occurred_at=now,
        )
