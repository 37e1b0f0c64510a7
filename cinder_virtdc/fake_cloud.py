"""Cinder in memory, as the listener sees it. Shipped for tests."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import threading

from cinder_virtdc.cloud import CloudVolume
from cinder_virtdc import exceptions


class FakeCloud:
    """A ``Cloud`` of dictionaries. Safe from any thread.

    :ivar failures: raised, one each, by the calls that change something.
    :ivar writes: what was changed, in order.
    """

    def __init__(self) -> None:
        self.volumes: dict[str, CloudVolume] = {}
        self.hosts: dict[str, str] = {}
        self.failures: list[exceptions.CloudError] = []
        self.writes: list[tuple[str, str]] = []
        self._changed = threading.Condition(threading.RLock())

    def add(self, volume: CloudVolume, host: str = 'host@virtdc') -> None:
        """Put a volume, or replace it."""
        with self._changed:
            self.volumes[volume.volume_id] = volume
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
        self, *, host: str | None = None, status: str | None = None
    ) -> Iterator[CloudVolume]:
        """See the protocol."""
        with self._changed:
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
            self.volumes[volume_id] = dataclasses.replace(
                self.get_volume(volume_id), status='available'
            )

    def _write(self, volume_id: str, what: str) -> threading.Condition:
        """Note a change; return the lock under which to make it."""
        with self._changed:
            self.writes.append((volume_id, what))
            self._changed.notify_all()
            if self.failures:
                raise self.failures.pop(0)
        return self._changed
