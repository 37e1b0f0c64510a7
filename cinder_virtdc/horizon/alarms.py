"""What the pages say of alarms, as plain values. Pure, and without HTML."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime

from cinder_virtdc.horizon import naming
from cinder_virtdc.horizon.naming import Named
from cinder_virtdc.horizon.naming import View
from cinder_virtdc.horizon.naming import Viewer
from cinder_virtdc import wording
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import catalogue


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow:
    """An alarm in a table, or above the page of its volume.

    :param who: has done what it is about; empty: nobody knows.
    :param happened_at: when.
    :param effect: what no longer works.
    :param repair: what a person has to do.
    :param seen: by whom, when and with which comment; empty: by nobody.
    """

    kind: str
    subject: str
    severity: str
    volume: Named
    message: str
    who: str
    happened_at: str
    age: str
    raised_at: str
    count: int
    effect: str
    repair: str
    seen: str
    can_acknowledge: bool

    @property
    def id(self) -> str:
        """What tells it from all others."""
        return f'{self.kind}/{self.subject}'

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f'{self.kind} of {self.volume.shown}'

    @property
    def is_bad(self) -> bool:
        """Whether somebody loses something by it."""
        return self.severity in (
            Severity.CRITICAL,
            Severity.MAJOR,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToldAlarm:
    """What the cloud says of an alarm to those who may not list any."""

    kind: str
    message: str
    effect: str


def told_alarm(kind: str, message: str) -> ToldAlarm:
    """Return what a volume's properties say of its alarm."""
    known = catalogue.CATALOGUE.get(kind)
    return ToldAlarm(
        kind=wording.printable(kind),
        message=wording.printable(message),
        effect=known.effect if known else '',
    )


def alarm_row(
    view: View, viewer: Viewer, named: Named, now: datetime.datetime
) -> AlarmRow:
    """Return the row of an alarm."""
    kind = catalogue.CATALOGUE.get(view['kind'])
    details = view.get('details') or {}
    happened_at = details.get('occurred_at')
    return AlarmRow(
        kind=str(view['kind']),
        subject=str(view['subject']),
        severity=str(view['severity']),
        volume=named,
        message=wording.printable(view['message']),
        who=naming.who(
            details.get('requested_by') or {}, viewer, is_short=False
        ),
        happened_at=wording.moment(str(happened_at)) if happened_at else '',
        age=naming.age(view['raised_at'], now),
        raised_at=wording.moment(view['raised_at']),
        count=int(view['count']),
        effect=kind.effect if kind else '',
        repair=kind.repair if kind else '',
        seen=_seen(view, viewer),
        can_acknowledge=(
            'alarms:acknowledge' in viewer.may and not view['acknowledged_by']
        ),
    )


def worst_first(views: Sequence[View]) -> Sequence[View]:
    """Return alarms in the order in which people should see to them."""
    ranks = [one.value for one in Severity]
    return sorted(
        views,
        key=lambda one: (
            bool(one['acknowledged_by']),
            # What a newer data centre knows may be as bad as can be.
            ranks.index(one['severity']) if one['severity'] in ranks else -1,
            one['raised_at'],
        ),
    )


def _seen(view: View, viewer: Viewer) -> str:
    if not view['acknowledged_by']:
        return ''
    by = naming.who({'user_id': view['acknowledged_by']}, viewer)
    at = view.get('acknowledged_at')
    when = f', {wording.moment(at)} UTC' if at else ''
    comment = wording.printable(view['comment'])
    return f'{by}{when}' + (f': {comment}' if comment else '')
