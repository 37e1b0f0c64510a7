"""An exporter that remembers who is connected: for tests."""

from __future__ import annotations

from collections.abc import Mapping
import threading
from typing import Self

from oslo_config import cfg

from virtdc_agent import interfaces
from virtdc_agent.contract import events


class MemoryExporter(interfaces.Exporter):
    """Exports to nobody, and knows to whom.

    ``fail_with`` is raised by every call while it is set.
    """

    storage_protocol = 'memory'

    def __init__(self) -> None:
        self.fail_with: Exception | None = None
        self._lock = threading.Lock()
        self._connected: set[tuple[str, str]] = set()

    @classmethod
    def from_config(
        cls, conf: cfg.ConfigOpts, *, clock: interfaces.Clock
    ) -> Self:
        """Return a new one; it has no options."""
        return cls()

    @property
    def connected(self) -> frozenset[tuple[str, str]]:
        """Volumes and the hosts that they are exported to."""
        with self._lock:
            return frozenset(self._connected)

    def start(self) -> None:
        """See the interface."""

    def connect(
        self, volume: events.Volume, parameters: events.ConnectParameters
    ) -> None:
        """See the interface."""
        self._fail()
        with self._lock:
            self._connected.add((volume.volume_id, parameters.host))

    def disconnect(self, volume: events.Volume, host: str) -> None:
        """See the interface."""
        self._fail()
        with self._lock:
            self._connected.discard((volume.volume_id, host))

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        """See the interface."""
        self._fail()
        return {
            'driver_volume_type': 'memory',
            'data': {'name': volume.volume_id, 'host': host},
        }

    def _fail(self) -> None:
        if self.fail_with is not None:
            raise self.fail_with
