"""Whether Cinder is to manage what the data centre has made. Pure functions.

(what the data centre says, what Cinder has of it) → what to do. Each may be
done twice, by two listeners, and after a death in between: who has a volume
is decided by the agent, which gives it to one (see ``events.CLOUD_ID``).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import re

from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.sync import edits
from cinder_virtdc.sync import properties
from virtdc_agent.contract.events import CLOUD_ID
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume

LOST = datetime.timedelta(minutes=10)
"""What Cinder was about to manage for so long it will not: its cinder-volume
has died."""

_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


@dataclasses.dataclass(frozen=True, slots=True)
class Leave:
    """Do nothing.

    :param reason: why it cannot be managed now, as a sentence; empty: it is
        not to be.
    """

    reason: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Look again soon: Cinder or the data centre is about it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Managed:
    """Nothing is left to do: Cinder has it.

    :param cloud_id: as what.
    """

    cloud_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class GiveUp:
    """Take note that Cinder will not end what it has begun."""

    cloud_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Clean:
    """Have Cinder delete a record of which nothing has come."""

    cloud_id: str


@dataclasses.dataclass(frozen=True, slots=True)
class Manage:
    """Have Cinder manage it.

    :param instead_of: the record that had it, and of which nothing came.
    """

    instead_of: str = ''


Action = Leave | Wait | Managed | GiveUp | Clean | Manage


def is_wanted(made: Volume | Snapshot) -> bool:
    """Say whether the data centre has made it, and has it for itself.

    What the cloud has given up again it is not given once more.
    """
    return made.origin is Origin.PLATFORM and made.metadata.get(CLOUD_ID) != ''


def of_volume(
    volume: Volume,
    records: Sequence[CloudVolume],
    *,
    latest: Transition | None,
    now: datetime.datetime,
) -> Action:
    """Return what to do about a volume.

    :param records: what Cinder has under the ids that may stand for it.
    :param latest: the latest transition of its events, if known.
    """
    for record in records:
        if record.platform_id == volume.volume_id:
            return Managed(record.volume_id)
    if not is_wanted(volume):
        return Leave()
    mark = volume.metadata.get(CLOUD_ID, '')
    for record in records:
        is_ours = (
            record.properties.get(properties.PLATFORM_ID) == volume.volume_id
        )
        if not is_ours and record.volume_id != mark:
            continue
        if record.status == 'creating':
            return _begun(record.volume_id, record.changed_at, now)
        if not is_ours:
            return Leave(
                f'Cinder has it as {mark}, which is {record.status}: delete '
                'that record in Cinder.'
            )
        return Clean(record.volume_id)
    if latest is not None and not latest.state.is_final:
        return Wait()
    if _UUID.fullmatch(volume.volume_id) is None:
        return Leave('Its id is no UUID: Cinder has no place for it.')
    if volume.attached_to:
        return Leave(
            f'It is in use by {", ".join(volume.attached_to)} in the data '
            'centre: detach it there.'
        )
    return Manage(instead_of=mark)


def of_snapshot(
    snapshot: Snapshot,
    records: Sequence[CloudSnapshot],
    *,
    now: datetime.datetime,
) -> Action:
    """Return what to do about a snapshot of a volume that Cinder has.

    :param records: what Cinder has under the ids that may stand for it.
    """
    if not is_wanted(snapshot):
        return Leave()
    mark = snapshot.metadata.get(CLOUD_ID, '')
    for record in records:
        is_ours = (
            record.properties.get(properties.PLATFORM_ID)
            == snapshot.snapshot_id
        )
        if record.snapshot_id == mark:
            match record.status:
                case 'creating':
                    return _begun(mark, record.changed_at, now)
                case 'error':
                    # It may have it, or not: that Cinder does not tell.
                    return Leave(
                        f'Cinder has it as {mark}, which is in error: delete '
                        'that in Cinder, unless it is of use.'
                    )
            return Managed(mark)
        if is_ours and record.status == 'creating':
            return _begun(record.snapshot_id, record.changed_at, now)
        if is_ours and record.status == 'error':
            return Clean(record.snapshot_id)
    return Manage(instead_of=mark)


def properties_of(made: Volume | Snapshot) -> Mapping[str, str]:
    """Return the metadata that its record in Cinder begins with."""
    if isinstance(made, Snapshot):
        return {
            **{
                key: edits.shown(value)
                for key, value in made.metadata.items()
                if edits.is_showable(key)
            },
            properties.PLATFORM_ID: made.snapshot_id,
        }
    said = edits.fields_of_platform(made)
    return {
        **said.metadata,
        properties.PLATFORM_ID: made.volume_id,
        # What is changed there until Cinder has it is seen by this.
        properties.AGREED: edits.base_of(said).to_text(),
    }


def _begun(
    cloud_id: str,
    changed_at: datetime.datetime | None,
    now: datetime.datetime,
) -> Action:
    if changed_at is not None and now - changed_at > LOST:
        return GiveUp(cloud_id)
    return Wait()
