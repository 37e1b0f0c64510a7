"""The catalogue of alarms: every kind there is, what it means, what to do.

Both sides raise alarms; what they mean stands here once. The administrator's
page is checked against it.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from virtdc_agent.contract.alarms import Severity


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKind:
    """A kind of alarm.

    :param severity: unless it is raised with another.
    :param cause: what has happened.
    :param effect: what no longer works, or soon will not.
    :param repair: what a person has to do.
    :param clears: when it is cleared without anybody.
    """

    kind: str
    severity: Severity
    cause: str
    effect: str
    repair: str
    clears: str = 'Never: somebody clears it.'


VOLUME_DELETED = AlarmKind(
    kind='volume-deleted',
    severity=Severity.MAJOR,
    cause=(
        'A volume that the cloud has made was deleted in the data centre: by '
        'an operator, or by hand in the storage, which the scan has found. '
        'Critical if hosts used it at that time.'
    ),
    effect=(
        'The cloud still lists the volume, but it cannot be attached; '
        'servers that used it have lost their disk.'
    ),
    repair=(
        'Ask who deleted it, as the alarm says, and why. While it is in the '
        'trash, restore it: virtdc-manage trash restore. Else have it made '
        'anew and filled from a backup, or delete it in the cloud.'
    ),
    clears='When the volume is there again, or the cloud has deleted it too.',
)
VOLUME_UNKNOWN = AlarmKind(
    kind='volume-unknown',
    severity=Severity.WARNING,
    cause=(
        'The storage holds a volume with a label of this agent that its '
        'journal does not know: the journal was restored from an older copy, '
        'or a folder was copied.'
    ),
    effect='It takes space, and nobody can use it.',
    repair=(
        'Find out where it comes from. Have the journal know it again, or '
        'remove its file and label from the storage.'
    ),
    clears='When a scan does not find it any more, or the journal knows it.',
)
POOL_VANISHED = AlarmKind(
    kind='pool-vanished',
    severity=Severity.CRITICAL,
    cause=(
        'A scan of the storage misses many volumes at once. More likely than '
        'that so many were removed is that the storage is not what it should '
        'be: not mounted, or another one.'
    ),
    effect=(
        'Nothing is concluded: no volume counts as deleted. But servers may '
        'be unable to reach their volumes.'
    ),
    repair=(
        'See that the storage is mounted and whole. If the volumes are '
        'really gone, raise [agent] scan_vanish_limit above their number '
        'until the next two scans have found it.'
    ),
    clears='When a scan finds them again.',
)
EVENT_LOST = AlarmKind(
    kind='event-lost',
    severity=Severity.MAJOR,
    cause=(
        'An event was given up because agents kept dying while they executed '
        'it.'
    ),
    effect='Its volume is as the last attempt left it.',
    repair=(
        "Find the reason in the agent's log or the system's (out of memory, "
        'a crash in a library), mend it, delete the volume or ask again, and '
        'clear the alarm.'
    ),
)

CATALOGUE: Mapping[str, AlarmKind] = {
    kind.kind: kind
    for kind in (VOLUME_DELETED, POOL_VANISHED, EVENT_LOST, VOLUME_UNKNOWN)
}
"""Every kind, by its name. A newer side may raise others."""
