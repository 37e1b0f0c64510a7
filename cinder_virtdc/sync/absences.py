"""What a comparison of all volumes finds that no event explains.

Pure. An absence is judged late and carefully: a listing may have been
incomplete, an event may be on its way. It counts when it was found by two
comparisons in a row, never while an event of the volume is open; and when
many volumes vanish at once, it is more likely that a storage is not mounted:
that is one alarm, and nothing is touched, unless a person confirms it.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from cinder_virtdc.sync import properties
from cinder_virtdc.sync.reconcile import Sides
from cinder_virtdc.sync import sizes
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import is_confirmed
from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Volume

MISSING = catalogue.VOLUME_MISSING.kind
MANY_MISSING = catalogue.VOLUMES_MISSING.kind
UNKNOWN = catalogue.VOLUMES_UNKNOWN.kind
SMALLER = catalogue.VOLUME_SMALLER.kind
ATTACHMENTS = catalogue.ATTACHMENTS_DIFFER.kind

OURS = frozenset({MISSING, MANY_MISSING, UNKNOWN, SMALLER, ATTACHMENTS})
"""The kinds that a comparison raises, and clears when it finds no cause."""

ALL = 'data-centre'
"""The subject of what is about no single volume."""

MANY = 5
MANY_PERCENT = 10
"""More than so many and so many per cent of all are many at once."""

LISTED = 10
"""So many are named in an alarm about many."""

_AT_REST = frozenset({'available', 'in-use', 'error'})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a person has to see."""

    kind: str
    subject: str
    message: str
    details: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What it is, whatever it says."""
        return self.kind, self.subject


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows from a comparison.

    :param raised: alarms to raise.
    :param cleared: alarms, by kind and subject, whose cause is gone.
    :param suspects: to be handed to the next comparison.
    """

    raised: Sequence[Finding]
    cleared: Sequence[tuple[str, str]]
    suspects: frozenset[tuple[str, str]]


def judge(
    sides: Iterable[Sides],
    unknown: Collection[Volume],
    *,
    backends: Collection[str],
    suspects: Collection[tuple[str, str]],
    alarms: Iterable[Alarm],
) -> Verdict:
    """Judge a comparison of everything.

    :param sides: of every volume that Cinder has.
    :param unknown: volumes of the data centre that Cinder does not have.
    :param backends: Cinder's backends that are known to be of this data
        centre; nothing is concluded about volumes elsewhere.
    :param suspects: what the comparison before found.
    :param alarms: those that are raised.
    """
    all_sides, alarms = list(sides), list(alarms)
    found: list[Finding] = []
    vanished: list[Finding] = []
    present = 0
    for one in all_sides:
        if one.volume.backend not in backends:
            continue
        if one.platform is not None:
            present += 1
            found += _differences(one)
        elif _is_missing(one):
            vanished.append(_missing(one))
    limit = max(MANY, (present + len(vanished)) * MANY_PERCENT // 100)
    known_missing = {
        alarm.subject for alarm in alarms if alarm.kind == MISSING
    }
    news = [one for one in vanished if one.subject not in known_missing]
    if len(news) > limit:
        many = _many(vanished)
        found.append(many)
        if _is_confirmed(many, alarms):
            # Until each has its alarm, it stays that many are missing.
            found += vanished
        else:
            # What was raised before stays; it is no better now.
            found += [one for one in vanished if one.subject in known_missing]
    else:
        found += vanished
    orphans = [one for one in unknown if one.origin is Origin.CLOUD]
    if orphans:
        found.append(_orphans(orphans))
    seen = frozenset(one.key for one in found)
    return Verdict(
        raised=[one for one in found if one.key in suspects],
        cleared=[
            (alarm.kind, alarm.subject)
            for alarm in alarms
            if alarm.kind in OURS and (alarm.kind, alarm.subject) not in seen
        ],
        suspects=seen,
    )


def _is_missing(one: Sides) -> bool:
    """Say whether a volume should be there; what never was is not missed."""
    volume = one.volume
    return (
        volume.status in _AT_REST
        and (volume.status != 'error' or properties.ALARM in volume.properties)
        and not _is_open(one)
        # Somebody has said why it is gone.
        and (one.alarm is None or one.alarm.kind == MISSING)
    )


def _differences(one: Sides) -> Iterable[Finding]:
    volume, platform = one.volume, one.platform
    if platform is None or _is_open(one) or volume.status not in _AT_REST:
        return
    if volume.status != 'error' and sizes.is_smaller(volume, platform):
        yield Finding(
            kind=SMALLER,
            subject=volume.volume_id,
            message=(
                f'Volume {volume.volume_id} has {volume.size_gib} GiB in the '
                f'cloud, but {platform.size_bytes} bytes in the data centre. '
                'Whoever uses it may have lost data.'
            ),
            details=_details(one),
        )
    if volume.status == 'in-use' and not platform.attached_to:
        yield _attachments(
            one, 'attached in the cloud, but to no host in the data centre'
        )
    elif volume.status == 'available' and platform.attached_to:
        hosts = ', '.join(platform.attached_to[:LISTED])
        yield _attachments(
            one,
            f'available in the cloud, but attached to {hosts} in the data '
            'centre',
        )


def _attachments(one: Sides, what: str) -> Finding:
    return Finding(
        kind=ATTACHMENTS,
        subject=one.volume.volume_id,
        message=f'Volume {one.volume.volume_id} is {what}.',
        details=_details(one),
    )


def _missing(one: Sides) -> Finding:
    return Finding(
        kind=MISSING,
        subject=one.volume.volume_id,
        message=(
            f'Volume {one.volume.volume_id} is in the cloud, but not in the '
            'data centre, and no event says why.'
        ),
        details=_details(one),
    )


def _many(vanished: Sequence[Finding]) -> Finding:
    ids = [one.subject for one in vanished]
    return Finding(
        kind=MANY_MISSING,
        subject=ALL,
        message=(
            f'{len(ids)} volumes of the cloud are not in the data centre. '
            'Nothing was changed. See that its storage is mounted and that '
            'the agent has the right journal.'
        ),
        details={'count': len(ids), 'volume_ids': ids[:LISTED]},
    )


def _is_confirmed(many: Finding, alarms: Iterable[Alarm]) -> bool:
    """Say whether a person has confirmed just this."""
    return any(
        (one.kind, one.subject, one.message) == (*many.key, many.message)
        and is_confirmed(one)
        for one in alarms
    )


def _orphans(orphans: Sequence[Volume]) -> Finding:
    ids = sorted(one.volume_id for one in orphans)
    return Finding(
        kind=UNKNOWN,
        subject=ALL,
        message=(
            f'{len(ids)} volumes that the cloud had made are in the data '
            'centre, but no longer in the cloud: '
            f'{", ".join(ids[:LISTED])}{", …" if len(ids) > LISTED else ""}.'
        ),
        details={'count': len(ids), 'volume_ids': ids[:LISTED]},
    )


def _details(one: Sides) -> Mapping[str, object]:
    volume, platform = one.volume, one.platform
    return {
        'name': volume.name[:255],
        'project_id': volume.project_id,
        'size_bytes': platform.size_bytes if platform else None,
        'size_gib': volume.size_gib,
        'status': volume.status,
        'attached_to': list(platform.attached_to) if platform else [],
        'server_ids': list(volume.server_ids),
    }


def _is_open(one: Sides) -> bool:
    return one.latest is not None and not one.latest.state.is_final
