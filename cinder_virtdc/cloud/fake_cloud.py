"""Cinder in memory, as the listener sees it. Shipped for tests."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import datetime
import threading
from typing import Any

from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions


class FakeCloud:
    """A ``Cloud`` of dictionaries. Safe from any thread.

    What Cinder does later, it does at once: what was extended has grown, and
    what was deleted is gone, after the driver, if there is one, was asked.

    :ivar failures: raised, one each, by the calls that change something.
    :ivar writes: what was changed, in order.
    :ivar is_down: nothing is answered.
    :ivar extends: the driver: is told a volume and its size in GiB, and says
        whether it could. Without one, it always can.
    :ivar deletes: the driver: is told a volume that is to be deleted.
    :ivar quota_gib: no volume may become larger.
    :ivar reserved: volumes that others are about to attach.
    """

    def __init__(self) -> None:
        self.volumes: dict[str, CloudVolume] = {}
        self.hosts: dict[str, str] = {}
        self.failures: list[exceptions.CloudError] = []
        self.writes: list[tuple[str, str]] = []
        self.is_down = False
        self.extends: Callable[[str, int], bool] = lambda volume_id, gib: True
        self.deletes: Callable[[str], None] = lambda volume_id: None
        self.quota_gib: int | None = None
        self.reserved: set[str] = set()
        self._changed = threading.Condition(threading.RLock())

    def add(self, volume: CloudVolume, host: str = 'host@virtdc') -> None:
        """Put a volume, or replace it."""
        with self._changed:
            self.volumes[volume.volume_id] = (
                volume
                if volume.host
                else dataclasses.replace(volume, host=host)
            )
            self.hosts[volume.volume_id] = host

    def await_writes(self, count: int, timeout_s: float = 10.0) -> None:
        """Wait until so many changes were made.

        :raises TimeoutError: they were not, in real time.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: len(self.writes) >= count, timeout_s
            ):
                raise TimeoutError(f'{self.writes}, not {count}')

    def list_volumes(
        self,
        *,
        host: str | None = None,
        status: str | None = None,
        changed_after: datetime.datetime | None = None,
    ) -> Iterator[CloudVolume]:
        """See the protocol."""
        with self._changed:
            self._check_up()
            found = [
                volume
                for volume_id, volume in sorted(self.volumes.items())
                if host in (None, self.hosts[volume_id])
                and status in (None, volume.status)
            ]
        yield from found

    def get_volume(self, volume_id: str) -> CloudVolume:
        """See the protocol."""
        with self._changed:
            self._check_up()
            if volume_id not in self.volumes:
                raise exceptions.VolumeGone(f'No volume {volume_id}.')
            return self.volumes[volume_id]

    def set_properties(
        self, volume_id: str, properties: Mapping[str, str]
    ) -> None:
        """See the protocol."""
        with self._write(volume_id, f'set {properties.get("virtdc.state")}'):
            volume = self.get_volume(volume_id)
            self.volumes[volume_id] = dataclasses.replace(
                volume, properties={**volume.properties, **properties}
            )

    def remove_property(self, volume_id: str, key: str) -> None:
        """See the protocol."""
        with self._write(volume_id, f'remove {key}'):
            volume = self.get_volume(volume_id)
            self.volumes[volume_id] = dataclasses.replace(
                volume,
                properties={
                    name: value
                    for name, value in volume.properties.items()
                    if name != key
                },
            )

    def make_available(self, volume_id: str) -> None:
        """See the protocol."""
        with self._write(volume_id, 'make available'):
            self._replace(volume_id, status='available')

    def set_status(self, volume_id: str, status: str) -> None:
        """See the protocol."""
        with self._write(volume_id, f'status {status}'):
            self._replace(volume_id, status=status)

    def reserve(self, volume_id: str) -> None:
        """See the protocol."""
        with self._write(volume_id, 'reserve'):
            self._check_status(volume_id, 'available')
            self._replace(volume_id, status='attaching')

    def unreserve(self, volume_id: str) -> None:
        """See the protocol."""
        with self._write(volume_id, 'unreserve'):
            volume = self.get_volume(volume_id)
            if volume.status == 'attaching':
                self._replace(volume_id, status='available')

    def has_attachments(self, volume_id: str) -> bool:
        """See the protocol."""
        with self._changed:
            volume = self.get_volume(volume_id)
            return volume.is_attached or volume_id in self.reserved

    def extend(self, volume_id: str, size_gib: int) -> None:
        """See the protocol."""
        with self._write(volume_id, f'extend {size_gib}'):
            self._check_status(volume_id, 'available', 'in-use')
            volume = self.get_volume(volume_id)
            if size_gib <= volume.size_gib:
                raise exceptions.NotNow('It must become larger.')
            if self.quota_gib is not None and size_gib > self.quota_gib:
                raise exceptions.OverQuota('It is more than the quota.')
            if self.extends(volume_id, size_gib):
                self._replace(volume_id, size_gib=size_gib)

    def edit(self, volume_id: str, name: str, description: str) -> None:
        """See the protocol."""
        with self._write(volume_id, f'edit {name}'):
            self._replace(volume_id, name=name, description=description)

    def delete(self, volume_id: str) -> None:
        """See the protocol."""
        with self._write(volume_id, 'delete'):
            self._check_status(volume_id, 'available', 'error')
            self.deletes(volume_id)
            del self.volumes[volume_id]

    def _replace(self, volume_id: str, **changes: Any) -> None:
        self.volumes[volume_id] = dataclasses.replace(
            self.get_volume(volume_id), **changes
        )

    def _check_status(self, volume_id: str, *valid: str) -> None:
        status = self.get_volume(volume_id).status
        if status not in valid:
            raise exceptions.NotNow(f'{volume_id} is {status}.')

    def _check_up(self) -> None:
        if self.is_down:
            raise exceptions.CloudUnavailable('The fake cloud is down.')

    def _write(self, volume_id: str, what: str) -> threading.Condition:
        """Note a change; return the lock under which to make it."""
        with self._changed:
            self.writes.append((volume_id, what))
            self._changed.notify_all()
            self._check_up()
            if self.failures:
                raise self.failures.pop(0)
        return self._changed
