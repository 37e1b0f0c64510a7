"""What is to be done so that Cinder shows what the data centre says.

Pure functions: (what Cinder says, what the data centre says) → actions.
Carried out, they make themselves unnecessary. None deletes a volume, and
none touches a property that is not ours.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

from cinder_virtdc.cloud import CloudVolume
from cinder_virtdc import properties
from cinder_virtdc import translate
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Let a volume show a transition, and no more what is outdated."""

    volume_id: str
    transition: Transition
    outdated: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MakeAvailable:
    """Take a volume out of ``error`` that the data centre has made."""

    volume_id: str


Action = Show | MakeAvailable


def reconcile(
    volume: CloudVolume,
    latest: Transition | None,
    platform: Volume | None,
    *,
    last_sequence: int,
) -> Sequence[Action]:
    """Return what is to be done about one volume.

    :param latest: the latest transition of any of its events, if known.
    :param platform: the volume in the data centre, if there is one.
    :param last_sequence: the latest of the data centre's journal.
    """
    if latest is None:
        return ()
    actions: list[Action] = []
    if is_outdated(volume, latest, last_sequence):
        wanted = properties.properties_of(latest)
        actions.append(
            Show(
                volume_id=volume.volume_id,
                transition=latest,
                outdated=tuple(
                    key
                    for key in properties.FAILURE_KEYS
                    if key in volume.properties and key not in wanted
                ),
            )
        )
    if is_made(volume, latest, platform):
        actions.append(MakeAvailable(volume_id=volume.volume_id))
    return actions


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
