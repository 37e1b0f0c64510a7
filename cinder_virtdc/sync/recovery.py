"""What a dead cinder-volume left behind, and how it is set right.

Cinder writes a status when it begins, and another one when it has ended; who
dies in between leaves the first for ever. The data centre goes on meanwhile,
and knows what became of it. Pure functions: (what Cinder says, what the data
centre says) → actions. Nothing is given up or deleted but what its owner asked
Cinder to delete.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime

from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.sync import properties
from cinder_virtdc import translate
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume

VOLUME_STATUSES = ('reverting', 'extending', 'deleting')
"""In which a volume may be stuck."""
SNAPSHOT_STATUSES = ('creating', 'error', 'deleting')
"""In which a snapshot may be stuck."""
CLOCKS_APART = datetime.timedelta(seconds=60)
"""So much the clocks of the two sides may differ."""
RESTORING = 'restoring'
"""A snapshot to which its volume is reverted."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResetVolume:
    """Let a volume have another status."""

    volume_id: str
    status: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExtendVolume:
    """Have Cinder extend a volume, which the data centre has done already.

    So its size, its quota and its usage are Cinder's own doing.

    :param status: in which Cinder may begin.
    """

    volume_id: str
    status: str
    size_gib: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FinishDelete:
    """Have Cinder delete a volume anew that it was deleting."""

    volume_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResetSnapshot:
    """Let a snapshot have another status."""

    snapshot_id: str
    status: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FinishDeleteSnapshot:
    """Have Cinder delete a snapshot anew that it was deleting."""

    snapshot_id: str


Action = (
    ResetVolume
    | ExtendVolume
    | FinishDelete
    | ResetSnapshot
    | FinishDeleteSnapshot
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A volume or a snapshot that may be stuck, and what both sides say.

    Two of these are equal if nothing has changed in between.

    :param volume: in Cinder; of a snapshot, whose it is.
    :param snapshot: in Cinder, if it is about one.
    :param platform: the volume in the data centre, if there is one.
    :param kept: the snapshot there, if there is one.
    :param latest: the latest transition of the volume's events, if known.
    """

    volume: CloudVolume
    latest: Transition | None
    platform: Volume | None
    snapshot: CloudSnapshot | None = None
    kept: Snapshot | None = None

    @property
    def key(self) -> str:
        """What it is about, among all that may be stuck."""
        if self.snapshot is not None:
            return f'snapshot {self.snapshot.snapshot_id}'
        return f'volume {self.volume.volume_id}'


def decide(stuck: Stuck) -> Action | None:
    """Return what is to be done, if the data centre is done with it.

    To be asked twice, some time apart: whoever is at work in Cinder sets the
    status itself within seconds. Done is only what both times say.
    """
    if stuck.latest is not None and not stuck.latest.state.is_final:
        return None
    if stuck.snapshot is not None:
        return _decide_snapshot(stuck, stuck.snapshot)
    volume = stuck.volume
    match volume.status:
        case 'reverting' if stuck.platform is not None:
            is_done = _ended_well(stuck, Operation.REVERT)
            # As Cinder itself shows a revert that has failed; the data
            # centre has left the volume as it was.
            return ResetVolume(
                volume_id=volume.volume_id,
                status='available' if is_done else 'error',
            )
        case 'extending' if stuck.platform is not None:
            return _decide_extending(volume, stuck.platform)
        case 'deleting' if stuck.platform is None and is_ours(volume):
            return FinishDelete(volume_id=volume.volume_id)
    return None


def is_ours(volume: CloudVolume) -> bool:
    """Say whether a volume that the data centre has no more was there."""
    return properties.sequence_of(volume.properties) > 0


def restored(
    volume: CloudVolume, snapshots: Mapping[str, CloudSnapshot]
) -> Iterator[ResetSnapshot]:
    """Yield what is to be done for snapshots of a volume that was reverted.

    A revert changes no snapshot, whether it succeeds or fails.

    :param snapshots: those that Cinder restores from, by id.
    """
    for snapshot in snapshots.values():
        if snapshot.volume_id == volume.volume_id:
            yield ResetSnapshot(
                snapshot_id=snapshot.snapshot_id, status='available'
            )


def _decide_extending(volume: CloudVolume, platform: Volume) -> Action:
    status = 'in-use' if volume.is_attached else 'available'
    size_gib, rest = divmod(platform.size_bytes, translate.GIB)
    if size_gib > volume.size_gib and not rest:
        return ExtendVolume(
            volume_id=volume.volume_id, status=status, size_gib=size_gib
        )
    # It was not begun, or failed: nothing has changed.
    return ResetVolume(volume_id=volume.volume_id, status=status)


def _decide_snapshot(stuck: Stuck, snapshot: CloudSnapshot) -> Action | None:
    kept = stuck.kept
    match snapshot.status:
        case 'creating' | 'error' if (
            kept is not None
            and kept.volume_id == stuck.volume.platform_id
            and kept.size_bytes == snapshot.size_gib * translate.GIB
        ):
            return ResetSnapshot(
                snapshot_id=snapshot.snapshot_id, status='available'
            )
        case 'deleting' if stuck.platform is not None:
            return FinishDeleteSnapshot(snapshot_id=snapshot.snapshot_id)
    return None


def _ended_well(stuck: Stuck, operation: Operation) -> bool:
    """Say whether what Cinder waits for is done.

    Not an earlier one of its kind: that had ended before Cinder began.
    """
    latest, began_at = stuck.latest, stuck.volume.changed_at
    return (
        latest is not None
        and latest.operation is operation
        and latest.state is State.SUCCESS
        and (began_at is None or latest.occurred_at >= began_at - CLOCKS_APART)
    )
