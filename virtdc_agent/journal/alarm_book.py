"""The alarms of a journal, for those who read and change them."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import datetime
from typing import Any

import sqlalchemy as sa

from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.alarms import Severity
from virtdc_agent import interfaces
from virtdc_agent.journal import alarms
from virtdc_agent.journal.reading import Reader
from virtdc_agent.journal.tables import ALARMS
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent.journal.writing import Writer
from virtdc_agent import model

_RAISED = ALARMS.c.cleared.is_(None)


class AlarmBook(interfaces.Alarms):
    """See the interface."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader = reader
        self._writer = writer

    def get_alarms(self, marker: str | None, limit: int) -> model.AlarmPage:
        """See the interface. A marker is ``kind/subject``."""
        query = sa.select(ALARMS).where(_RAISED)
        if marker is not None:
            kind, _, subject = marker.partition('/')
            query = query.where(
                sa.or_(
                    ALARMS.c.kind > kind,
                    sa.and_(ALARMS.c.kind == kind, ALARMS.c.subject > subject),
                )
            )
        query = query.order_by(ALARMS.c.kind, ALARMS.c.subject)

        def question(connection: Any) -> tuple[Sequence[Any], int]:
            revision = connection.execute(
                sa.select(TOTALS.c.alarm_revision)
            ).scalar()
            return connection.execute(query.limit(limit + 1)).all(), revision

        found, revision = self._reader.run(question)
        page = [alarms.alarm_of(row) for row in found[:limit]]
        return model.AlarmPage(
            alarms=page,
            next_marker=(
                f'{page[-1].kind}/{page[-1].subject}'
                if len(found) > limit
                else None
            ),
            revision=revision,
        )

    def get_alarm(self, kind: str, subject: str) -> Alarm:
        """See the interface."""
        query = sa.select(ALARMS).where(
            ALARMS.c.kind == kind, ALARMS.c.subject == subject, _RAISED
        )
        for row in self._reader.ask(query):
            return alarms.alarm_of(row)
        raise alarms.not_raised(kind, subject)

    def get_alarm_notices(
        self, after: int, limit: int
    ) -> Sequence[AlarmNotice]:
        """See the interface."""
        query = (
            sa.select(ALARMS)
            .where(ALARMS.c.revision > after)
            .order_by(ALARMS.c.revision)
            .limit(limit)
        )
        return [
            AlarmNotice(
                kind=row.kind,
                subject=row.subject,
                change=AlarmChange(row.change),
                revision=row.revision,
                occurred_at=datetime.datetime.fromtimestamp(
                    row.updated, datetime.UTC
                ),
            )
            for row in self._reader.ask(query)
        ]

    def raise_alarm(
        self,
        *,
        kind: str,
        subject: str,
        severity: Severity,
        message: str,
        details: Mapping[str, object] | None = None,
    ) -> model.AlarmNews:
        """See the interface."""
        return self._writer.run(
            alarms.RaiseAlarm(
                kind=kind,
                subject=subject,
                severity=severity,
                message=message,
                details=details or {},
            )
        )

    def acknowledge_alarm(
        self, kind: str, subject: str, by: str, comment: str
    ) -> Alarm:
        """See the interface."""
        return self._writer.run(
            alarms.AcknowledgeAlarm(kind, subject, by, comment)
        )

    def clear_alarm(self, kind: str, subject: str) -> bool:
        """See the interface."""
        return self._writer.run(alarms.ClearAlarm(kind, subject))
