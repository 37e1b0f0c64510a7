"""The catalogue of alarms: every kind there is, what it means, what to do.

Both sides raise alarms; what they mean stands here once. The administrator's
page is made of it.
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
        'The storage is not there, in two scans in a row, or a scan misses '
        'many volumes at once. More likely than that so many were removed is '
        'that the storage is not what it should be: not mounted, or another '
        'one.'
    ),
    effect=(
        'Nothing is concluded: no volume counts as deleted. But servers may '
        'be unable to reach their volumes.'
    ),
    repair=(
        'See that the storage is mounted and whole. If the volumes are '
        'really gone, virtdc-manage alarm confirm says so: then each counts '
        'as deleted.'
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

VOLUME_MISSING = AlarmKind(
    kind='volume-missing',
    severity=Severity.CRITICAL,
    cause=(
        'Two comparisons in a row found a volume in the cloud that the data '
        'centre does not have, and no event says why.'
    ),
    effect=(
        'The cloud still lists the volume, but it cannot be attached; '
        'servers that used it have lost their disk.'
    ),
    repair=(
        'See that the agent has its own journal and not an older copy. Look '
        'for the volume in the storage. If it is really gone, have it made '
        'anew and filled from a backup, or delete it in the cloud.'
    ),
    clears='When the volume is there again, or the cloud has deleted it too.',
)
VOLUMES_MISSING = AlarmKind(
    kind='volumes-missing',
    severity=Severity.CRITICAL,
    cause=(
        'Two comparisons in a row found that many of the volumes in the '
        'cloud are not in the data centre. More likely than that so many '
        'were removed is that the agent has another journal, or that the '
        'listener asks another agent.'
    ),
    effect='Nothing is concluded: no volume in the cloud was touched.',
    repair=(
        "See that the agent's journal is the right one, and that the "
        'listener names the right bus and topic. If the volumes are really '
        'gone, cinder-virtdc-manage alarm confirm says so: then each is '
        'missing.'
    ),
    clears='When a comparison finds them again.',
)
VOLUMES_UNKNOWN = AlarmKind(
    kind='volumes-unknown',
    severity=Severity.MINOR,
    cause=(
        'Two comparisons in a row found volumes in the data centre that the '
        'cloud has made and does not list any more: its database is an '
        'older copy, or their records were removed there by hand.'
    ),
    effect='They take space, and nobody can use them.',
    repair=(
        'Have Cinder manage those that are still wanted, and delete the '
        'others in the data centre.'
    ),
    clears='When a comparison does not find any.',
)
VOLUME_SMALLER = AlarmKind(
    kind='volume-smaller',
    severity=Severity.CRITICAL,
    cause=(
        'A volume has fewer bytes in the data centre than in the cloud: it '
        'was shrunk there, or replaced.'
    ),
    effect='Its file system is cut off: data may be lost.',
    repair=(
        'Do not write to it. Find out who shrank it, grow it again in the '
        'data centre, and have its owner check the data or restore a backup.'
    ),
    clears='When a comparison finds the sizes agree.',
)
ATTACHMENTS_DIFFER = AlarmKind(
    kind='attachments-differ',
    severity=Severity.MAJOR,
    cause=(
        'The cloud says that a volume is attached and the data centre that '
        'it is not, or the other way round, in two comparisons in a row.'
    ),
    effect=(
        'A server may have lost its disk, or a host may still write to a '
        'volume that is about to be given to another.'
    ),
    repair=(
        'Look at the servers and hosts that the alarm names. Detach and '
        'attach the volume in the cloud again, or have the host let go of '
        'it. Nothing is repaired without a person: what looks like a '
        'leftover may be in use.'
    ),
    clears='When a comparison finds that they agree.',
)
SIZE_NOT_SYNCHRONISED = AlarmKind(
    kind='size-not-synchronised',
    severity=Severity.MINOR,
    cause=(
        'A volume was grown in the data centre, and Cinder does not take '
        "over its size: the project's quota is too small, or Cinder's "
        'scheduler refuses it.'
    ),
    effect=(
        'The cloud shows, and counts, less than there is. The volume works.'
    ),
    repair=(
        'Do what the alarm says: mostly, raise the quota. The listener tries '
        'again by itself, at the latest with its next comparison.'
    ),
    clears='When Cinder has extended the volume.',
)

NOT_MANAGED = AlarmKind(
    kind='not-managed',
    severity=Severity.MINOR,
    cause=(
        'The listener is to have Cinder manage what the data centre makes, '
        'and Cinder refused a volume or a snapshot: the quota of the '
        "project, a volume type that asks for something else, Cinder's "
        'scheduler or the agent.'
    ),
    effect='The cloud does not have it. The data centre does.',
    repair=(
        'Do what the alarm says. The listener tries again by itself, at the '
        'latest after an hour.'
    ),
    clears='When Cinder has it, or the data centre has it no more.',
)

CONFIRMABLE = frozenset({POOL_VANISHED.kind, VOLUMES_MISSING.kind})
"""Those whose doubt a person may end; see ``alarms.CONFIRMED``."""

CATALOGUE: Mapping[str, AlarmKind] = {
    kind.kind: kind
    for kind in (
        *(VOLUME_DELETED, VOLUME_MISSING, VOLUMES_MISSING, VOLUME_SMALLER),
        *(POOL_VANISHED, ATTACHMENTS_DIFFER, SIZE_NOT_SYNCHRONISED),
        *(EVENT_LOST, VOLUME_UNKNOWN, VOLUMES_UNKNOWN, NOT_MANAGED),
    )
}
"""Every kind, by its name. A newer side may raise others."""
