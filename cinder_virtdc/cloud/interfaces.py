"""Cinder, as the listener needs it: the seam."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime
from typing import Protocol


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CloudVolume:
    """A volume as Cinder's API shows it.

    :param properties: its metadata, the user's and ours.
    :param host: where it is, as ``host@backend#pool``.
    :param platform_id: its name in the data centre: differs from
        ``volume_id`` once it was migrated.
    :param is_attached: whether there is any attachment.
    :param is_copy: made from a volume or a snapshot.
    :param is_plain: made from no image, not encrypted, and not being
        migrated.
    :param changed_at: when Cinder last changed it, its status included.
    """

    volume_id: str
    platform_id: str
    status: str
    size_gib: int
    properties: Mapping[str, str]
    is_attached: bool = False
    is_copy: bool = False
    is_plain: bool = True
    name: str = ''
    description: str = ''
    volume_type: str = ''
    project_id: str = ''
    user_id: str = ''
    host: str = ''
    server_ids: tuple[str, ...] = ()
    changed_at: datetime.datetime | None = None

    @property
    def backend(self) -> str:
        """Where it is, as ``host@backend``; empty: not known."""
        return self.host.partition('#')[0]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CloudSnapshot:
    """A snapshot as Cinder's API shows it.

    :param volume_id: Cinder's id of its volume.
    :param properties: its metadata.
    :param changed_at: when Cinder last changed it, its status included.
    """

    snapshot_id: str
    volume_id: str
    status: str
    size_gib: int
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    changed_at: datetime.datetime | None = None


class Cloud(Protocol):
    """What the listener does with Cinder. Safe from any thread.

    :raises VolumeGone: from all but ``list_volumes``: there is none.
    :raises NotNow: the volume's status does not allow it.
    :raises OverQuota: the project may not have so much.
    :raises CloudForbids: a right is missing.
    :raises CloudUnavailable: no answer, or a fault of the API.
    """

    def list_volumes(
        self,
        *,
        host: str | None = None,
        status: str | None = None,
        changed_after: datetime.datetime | None = None,
    ) -> Iterator[CloudVolume]:
        """Yield the volumes of all projects, page by page.

        What it yielded before it raised is not all there is.

        :param host: only those of a backend, as ``host@backend``.
        :param status: only those of a status.
        :param changed_after: only those whose record was changed then or
            later; metadata is not of the record.
        """

    def get_volume(self, volume_id: str) -> CloudVolume:
        """Return a volume."""

    def set_properties(
        self, volume_id: str, properties: Mapping[str, str]
    ) -> None:
        """Set some properties; the others stay as they are."""

    def remove_property(self, volume_id: str, key: str) -> None:
        """Remove one property; one that is not there is fine."""

    def make_available(self, volume_id: str) -> None:
        """Set the status to ``available``."""

    def set_status(self, volume_id: str, status: str) -> None:
        """Set the status, whatever it is."""

    def reserve(self, volume_id: str) -> None:
        """Take an available volume, so that nobody else does."""

    def unreserve(self, volume_id: str) -> None:
        """Let go of what was reserved; of nothing else."""

    def has_attachments(self, volume_id: str) -> bool:
        """Say whether anybody has, or is about to have, the volume."""

    def extend(self, volume_id: str, size_gib: int) -> None:
        """Have Cinder grow a volume; it does so when this returns."""

    def edit(self, volume_id: str, name: str, description: str) -> None:
        """Set the name and the description."""

    def delete(self, volume_id: str) -> None:
        """Have Cinder delete a volume; it does so when this returns."""
