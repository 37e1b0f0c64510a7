"""Alarms: conditions that a person must see. Since 1.2.

What each kind means stands in ``catalogue``. All are immutable values.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
import enum


class Severity(enum.StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = 'critical'
    """Somebody cannot work, or loses data, now."""
    MAJOR = 'major'
    """Somebody will, if nothing is done."""
    MINOR = 'minor'
    """Something is not as it should be, and hurts nobody yet."""
    WARNING = 'warning'
    """Worth knowing."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class AlarmChange(enum.StrEnum):
    """What has become of an alarm."""

    RAISED = 'raised'
    CHANGED = 'changed'
    ACKNOWLEDGED = 'acknowledged'
    CLEARED = 'cleared'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm that is raised; there is one by kind and subject.

    :param kind: as ``volume-deleted``.
    :param subject: what it is about: a volume's id, or a word such as
        ``storage``.
    :param message: a sentence a person can act on.
    :param updated_at: when it was last raised, changed or acknowledged.
    :param count: how often it was raised.
    :param acknowledged_by: who has seen it; empty: nobody has.
    :param details: plain JSON: what was so when it was raised. Of a volume:
        ``event_id``, ``requested_by`` (as in an event), ``name``,
        ``size_bytes``, ``project_id``, ``attached_to``, ``trash_until``
        and ``occurred_at``, of which any may be missing.
    :param revision: grows with each change of any alarm of one journal, so
        that it is never the same twice for one, not even after it was
        cleared and raised again. That it was only counted is no change.
    """

    kind: str
    subject: str
    severity: Severity
    message: str
    raised_at: datetime.datetime
    updated_at: datetime.datetime
    count: int = 1
    acknowledged_by: str = ''
    acknowledged_at: datetime.datetime | None = None
    comment: str = ''
    details: Mapping[str, object] = dataclasses.field(default_factory=dict)
    revision: int = 0


CONFIRMED = 'virtdc:confirmed'
"""As the comment of who acknowledges an alarm: what it doubts is so.

Of an alarm that many volumes have vanished at once it says that they are
gone, so that each counts as deleted. What the alarm says afterwards, as when
more have vanished, is not confirmed by it.
"""


def is_confirmed(alarm: Alarm) -> bool:
    """Say whether a person has confirmed what an alarm says now."""
    return bool(alarm.acknowledged_by) and alarm.comment == CONFIRMED


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNotice:
    """Something has become of an alarm.

    A doorbell only. It is safe to lose: what is raised can be asked for.

    :param revision: of the alarm; after its clearing, of that.
    """

    kind: str
    subject: str
    change: AlarmChange
    revision: int
    occurred_at: datetime.datetime
