"""Repairs in memory, on a ``FakeCloud``. Shipped for tests."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses

from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc import exceptions


class FakeRepairs:
    """A ``Repairs`` of dictionaries. For one thread.

    :ivar calls: what was done, in order.
    :ivar failures: raised, one each, by the calls that change something.
    """

    def __init__(self, cloud: FakeCloud) -> None:
        self.snapshots: dict[str, CloudSnapshot] = {}
        self.calls: list[tuple[str, ...]] = []
        self.failures: list[exceptions.CloudError] = []
        self._cloud = cloud

    def add(self, snapshot: CloudSnapshot) -> None:
        """Put a snapshot, or replace it."""
        self.snapshots[snapshot.snapshot_id] = snapshot

    def list_snapshots(
        self, status: str | None = None
    ) -> Iterator[CloudSnapshot]:
        """See the protocol."""
        yield from [
            one
            for one in self.snapshots.values()
            if status in (None, one.status)
        ]

    def get_snapshot(self, snapshot_id: str) -> CloudSnapshot:
        """See the protocol."""
        if snapshot_id not in self.snapshots:
            raise exceptions.VolumeGone(f'No snapshot {snapshot_id}.')
        return self.snapshots[snapshot_id]

    def reset_volume(self, volume_id: str, status: str) -> None:
        """See the protocol."""
        self._note('reset', volume_id, status)
        self._cloud.volumes[volume_id] = dataclasses.replace(
            self._cloud.get_volume(volume_id), status=status
        )

    def reset_snapshot(self, snapshot_id: str, status: str) -> None:
        """See the protocol."""
        self._note('reset snapshot', snapshot_id, status)
        self.add(
            dataclasses.replace(self.get_snapshot(snapshot_id), status=status)
        )

    def extend(self, volume_id: str, size_gib: int) -> None:
        """See the protocol. Done at once, if the status allows it."""
        self._note('extend', volume_id, str(size_gib))
        volume = self._cloud.get_volume(volume_id)
        if volume.status not in ('available', 'in-use'):
            raise exceptions.NotNow(f'Volume {volume_id} is {volume.status}.')
        self._cloud.volumes[volume_id] = dataclasses.replace(
            volume, size_gib=size_gib
        )

    def force_delete(self, volume_id: str) -> None:
        """See the protocol."""
        self._note('delete', volume_id)
        self._cloud.get_volume(volume_id)
        del self._cloud.volumes[volume_id]

    def force_delete_snapshot(self, snapshot_id: str) -> None:
        """See the protocol."""
        self._note('delete snapshot', snapshot_id)
        self.get_snapshot(snapshot_id)
        del self.snapshots[snapshot_id]

    def _note(self, *call: str) -> None:
        self.calls.append(call)
        if self.failures:
            raise self.failures.pop(0)
