"""What to do in Cinder, from what both sides say. Pure functions.

(what Cinder says of a volume, what the data centre says) → actions.
Carried out in their order, they make themselves unnecessary. None deletes a
volume, and none touches a property that is not ours, but for the user's own
metadata where the data centre has changed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.sync import deletions
from cinder_virtdc.sync import edits
from cinder_virtdc.sync import holds
from cinder_virtdc.sync.policy import Policy
from cinder_virtdc.sync import properties
from cinder_virtdc.sync import sizes
from cinder_virtdc import translate
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """All that is known of one volume.

    :param latest: the latest transition of any of its events, if known.
    :param platform: the volume in the data centre, if there is one.
    :param alarm: the alarm that is raised because it is not there.
    :param last_sequence: the latest of the data centre's journal.
    :param edits: whether names and metadata are kept in step: the data
        centre must be able to edit, and to say who edited.
    :param policy: what is done about what the data centre has deleted.
    """

    volume: CloudVolume
    latest: Transition | None
    platform: Volume | None
    alarm: Alarm | None = None
    last_sequence: int = 0
    edits: bool = False
    policy: Policy = Policy.ASK


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Let a volume show a transition, and no more what is outdated.

    :param more: properties to set with it, in the same request.
    """

    volume_id: str
    transition: Transition
    outdated: tuple[str, ...] = ()
    more: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MakeAvailable:
    """Take a volume out of ``error`` that the data centre has made."""

    volume_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Reserve a volume while the data centre changes it."""

    volume_id: str
    event_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Let users have a volume again.

    :param is_reserved: whether it is reserved, and not only marked.
    """

    volume_id: str
    is_reserved: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grow:
    """Have Cinder extend a volume to what the data centre has."""

    volume_id: str
    size_gib: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """Let Cinder say of a volume what the data centre says.

    :param name: ``None``, with the description: they agree.
    :param removed: keys of the user's metadata that are gone.
    :param conflicts: what Cinder had where both sides had changed.
    """

    volume_id: str
    name: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    removed: tuple[str, ...] = ()
    conflicts: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Have the data centre say of a volume what Cinder says.

    :param fields: what it is to say in the end.
    :param failed: the sequence at which this was last tried, and failed; 0:
        it was not.
    """

    volume_id: str
    platform: Volume
    fields: edits.Fields
    failed: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Set some of our properties on a volume, and remove others."""

    volume_id: str
    set: Mapping[str, str] = dataclasses.field(default_factory=dict)
    removed: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    """Set the status of a volume, if it is still what it was."""

    volume_id: str
    status: str
    was: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Do at once what the configuration says about a deleted volume."""

    volume_id: str
    policy: Policy
    alarm: Alarm


Action = (
    Show
    | MakeAvailable
    | Hold
    | Release
    | Grow
    | Rewrite
    | Tell
    | Mark
    | SetStatus
    | Remedy
)


def reconcile(sides: Sides) -> Sequence[Action]:
    """Return what is to be done about one volume, in order.

    What the data centre is in the middle of is only shown. Of a volume that
    Cinder is in the middle of nothing is concluded.
    """
    actions: list[Action] = []
    if not _is_under_way(sides):
        actions += _settled(sides)
    elif holds.is_to_be_held(sides.volume, sides.latest):
        actions.append(
            Hold(
                volume_id=sides.volume.volume_id,
                event_id=sides.latest.event_id if sides.latest else '',
            )
        )
    shown = _show(sides)
    if shown is None:
        return actions
    match actions:
        case [*others, Mark(set=news, removed=())]:
            return [*others, dataclasses.replace(shown, more=news)]
    return [*actions, shown]


def _settled(sides: Sides) -> Sequence[Action]:
    """Return what is to be done when no event of the volume is open."""
    volume, platform = sides.volume, sides.platform
    actions: list[Action] = []
    status = volume.status
    if holds.is_to_be_released(volume, sides.latest):
        is_reserved = status == 'attaching'
        actions.append(
            Release(volume_id=volume.volume_id, is_reserved=is_reserved)
        )
        status = 'available' if is_reserved else status
        volume = dataclasses.replace(volume, status=status)
    if deletions.is_deleted(platform, sides.latest, sides.alarm):
        actions += _broken(volume, sides.alarm)
        if sides.alarm and sides.policy is not Policy.ASK:
            actions += _remedied(volume, sides.alarm, sides.policy)
        return actions
    if sides.latest and is_made(volume, sides.latest, platform):
        actions.append(MakeAvailable(volume_id=volume.volume_id))
    if platform is None:
        return actions
    if properties.ALARM in volume.properties:
        mended = _mended(volume)
        actions += mended
        for action in mended:
            if isinstance(action, SetStatus):
                volume = dataclasses.replace(volume, status=action.status)
    if sides.edits and translate.TO_BE_FILLED not in platform.metadata:
        actions += _edited(volume, platform, sides.latest)
    wanted_gib = sizes.wanted_gib(volume, platform)
    if wanted_gib and volume.status in sizes.EXTENDABLE:
        actions.append(Grow(volume_id=volume.volume_id, size_gib=wanted_gib))
    return actions


def _broken(volume: CloudVolume, alarm: Alarm | None) -> Sequence[Action]:
    actions: list[Action] = []
    marks = deletions.marks_of(volume, alarm)
    news = {
        key: value
        for key, value in marks.items()
        if volume.properties.get(key) != value
        # Without the alarm, less is known than whoever wrote it knew.
        and (alarm is not None or key not in volume.properties)
    }
    if news:
        actions.append(Mark(volume_id=volume.volume_id, set=news))
    if volume.status in deletions.BREAKABLE and volume.status != 'error':
        actions.append(
            SetStatus(
                volume_id=volume.volume_id, status='error', was=volume.status
            )
        )
    return actions


def _remedied(
    volume: CloudVolume, alarm: Alarm, policy: Policy
) -> Sequence[Action]:
    if alarm.kind != deletions.DELETED or volume.is_attached:
        return ()
    return (Remedy(volume_id=volume.volume_id, policy=policy, alarm=alarm),)


def _mended(volume: CloudVolume) -> Sequence[Action]:
    former = volume.properties.get(properties.FORMER_STATUS, 'available')
    actions: list[Action] = []
    if volume.status == 'error' and former in ('available', 'in-use'):
        actions.append(
            SetStatus(
                volume_id=volume.volume_id,
                status='in-use' if volume.is_attached else 'available',
                was='error',
            )
        )
    actions.append(
        Mark(
            volume_id=volume.volume_id,
            removed=tuple(
                key
                for key in (
                    properties.FORMER_STATUS,
                    properties.ALARM_MESSAGE,
                    # Last: as long as it is there, the rest is not done.
                    properties.ALARM,
                )
                if key in volume.properties
            ),
        )
    )
    return actions


def _edited(
    volume: CloudVolume, platform: Volume, latest: Transition | None
) -> Sequence[Action]:
    cloud = edits.fields_of_cloud(
        name=volume.name,
        description=volume.description,
        properties=volume.properties,
        volume_type=volume.volume_type,
    )
    agreed = _base(volume, properties.AGREED)
    decision = edits.decide(
        cloud,
        edits.fields_of_platform(platform),
        agreed=agreed,
        told=_base(volume, properties.TOLD),
        changed_by=platform.changed_by,
    )
    actions: list[Action] = []
    if decision.to_cloud:
        actions.append(_rewrite(volume, cloud, decision))
    if decision.to_platform:
        # What was agreed on is remembered when the data centre has done it.
        actions.append(
            Tell(
                volume_id=volume.volume_id,
                platform=platform,
                fields=decision.to_platform,
                failed=_failed_edit(latest),
            )
        )
        return actions
    news, outdated = {}, []
    if agreed != decision.agreed:
        news[properties.AGREED] = decision.agreed.to_text()
        if not decision.conflicts:
            outdated.append(properties.CONFLICT)
    outdated.append(properties.TOLD)
    removed = tuple(key for key in outdated if key in volume.properties)
    if news or removed:
        actions.append(
            Mark(volume_id=volume.volume_id, set=news, removed=removed)
        )
    return actions


def _rewrite(
    volume: CloudVolume, cloud: edits.Fields, decision: edits.Decision
) -> Rewrite:
    wanted = decision.to_cloud or cloud
    is_named = (wanted.name, wanted.description) != (
        cloud.name,
        cloud.description,
    )
    return Rewrite(
        volume_id=volume.volume_id,
        name=wanted.name if is_named else None,
        description=wanted.description if is_named else None,
        metadata={
            key: value
            for key, value in wanted.metadata.items()
            if cloud.metadata.get(key) != value
        },
        removed=tuple(sorted(cloud.metadata.keys() - wanted.metadata.keys())),
        conflicts=decision.conflicts,
    )


def _failed_edit(latest: Transition | None) -> int:
    if (
        latest is not None
        and latest.operation is Operation.EDIT
        and latest.origin is Origin.CLOUD
        and latest.state is State.FAILED
    ):
        return latest.sequence
    return 0


def _base(volume: CloudVolume, key: str) -> edits.Base | None:
    return edits.base_from(volume.properties.get(key, ''))


def _is_under_way(sides: Sides) -> bool:
    return sides.latest is not None and not sides.latest.state.is_final


def _show(sides: Sides) -> Show | None:
    volume, latest = sides.volume, sides.latest
    if latest is None or not is_outdated(volume, latest, sides.last_sequence):
        return None
    wanted = properties.properties_of(latest)
    return Show(
        volume_id=volume.volume_id,
        transition=latest,
        outdated=tuple(
            key
            for key in properties.FAILURE_KEYS
            if key in volume.properties and key not in wanted
        ),
    )


def is_outdated(
    volume: CloudVolume, latest: Transition, last_sequence: int
) -> bool:
    """Say whether a volume shows something other than a transition.

    A volume that shows something later is left alone: whoever wrote that
    knew more. What is later than the journal's end is of another journal,
    which was lost. And what is later on a migrated volume is of its old data,
    whose removal was taken for its own.
    """
    if properties.ends_volume(latest):
        return False
    shown = volume.properties
    is_later = latest.sequence < properties.sequence_of(shown) <= last_sequence
    if is_later and volume.platform_id == volume.volume_id:
        return False
    wanted = properties.properties_of(latest)
    return wanted != {
        key: shown[key] for key in properties.KEYS if key in shown
    }


def is_candidate(volume: CloudVolume, latest: Transition | None) -> bool:
    """Say whether a volume may be one that Cinder wrongly holds in error.

    So it is after the death of a cinder-volume in the middle of a create,
    which the data centre then finished: an empty volume, or a copy of a
    volume or snapshot, which is whole as it appears. One that anything
    happened to since is not, nor one that Cinder was to fill.
    """
    made_by = Operation.CLONE if volume.is_copy else Operation.CREATE
    return (
        latest is not None
        and latest.operation is made_by
        and latest.state is State.SUCCESS
        and volume.status == 'error'
        and volume.is_plain
        and not volume.is_attached
        # Made anew after the data centre had lost it: see ``_mended``.
        and properties.ALARM not in volume.properties
    )


def is_made(
    volume: CloudVolume, latest: Transition, platform: Volume | None
) -> bool:
    """Say whether a candidate is in the data centre, whole and unused."""
    return (
        is_candidate(volume, latest)
        and platform is not None
        and platform.volume_id == volume.platform_id
        and platform.size_bytes == volume.size_gib * translate.GIB
        and not platform.attached_to
        and translate.TO_BE_FILLED not in platform.metadata
    )
