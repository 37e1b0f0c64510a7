"""An exporter that only remembers: for tests and trials."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import threading
from typing import Self

from oslo_config import cfg

from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent import interfaces


class MemoryExporter(interfaces.Exporter):
    """Keeps who may reach what; see the interface for the promises.

    ``connected`` has the pairs of volume id and host that may, ``calls``
    every call that changed or repeated it, in order.
    """

    storage_protocol = 'memory'
    can_grow_in_use = True

    def __init__(self) -> None:
        self.connected: set[tuple[str, str]] = set()
        self.calls: list[tuple[str, str, str]] = []
        self._errors: list[BaseException] = []
        self._lock = threading.Lock()

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        *,
        clock: interfaces.Clock,
        locate: interfaces.Locate,
    ) -> Self:
        """Return an exporter with nobody connected; it has no options."""
        return cls()

    def fail(self, error: BaseException) -> None:
        """Have the next ``connect`` or ``disconnect`` raise ``error``."""
        with self._lock:
            self._errors.append(error)

    def start(self) -> None:
        """See the interface."""

    def resume(self, volumes: Iterable[events.Volume]) -> None:
        """See the interface."""
        connected = {
            (volume.volume_id, host)
            for volume in volumes
            for host in volume.attached_to
        }
        with self._lock:
            self.connected = connected

    def connect(
        self, volume: events.Volume, parameters: events.ConnectParameters
    ) -> None:
        """See the interface."""
        if not parameters.host.strip():
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} cannot be connected to a host '
                'without a name: give its connector a host.'
            )
        with self._lock:
            self._record('connect', volume.volume_id, parameters.host)
            self.connected.add((volume.volume_id, parameters.host))

    def disconnect(self, volume: events.Volume, host: str) -> None:
        """See the interface."""
        with self._lock:
            self._record('disconnect', volume.volume_id, host)
            self.connected.discard((volume.volume_id, host))

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        """See the interface."""
        return {
            'driver_volume_type': 'memory',
            'data': {
                'volume_id': volume.volume_id,
                'host': host,
                'format': volume.format.value,
            },
        }

    def _record(self, call: str, volume_id: str, host: str) -> None:
        self.calls.append((call, volume_id, host))
        if self._errors:
            raise self._errors.pop(0)
