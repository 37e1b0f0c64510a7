"""A backend that forgets: for tests, and for trying things out."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import threading
from typing import Self

from oslo_config import cfg

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning


class MemoryBackend(interfaces.Backend):
    """Keeps volumes in a dictionary.

    Faults on demand: ``fail_with`` is raised by every operation before its
    commit while it is set.

    :param total_bytes: how large the storage says it is.
    """

    operations = frozenset(
        {Operation.CREATE, Operation.DELETE, Operation.EXTEND}
    )
    formats = frozenset(Format)
    provisionings = frozenset(Provisioning)

    def __init__(self, *, total_bytes: int = 2**50) -> None:
        self.fail_with: Exception | None = None
        self._total_bytes = total_bytes
        self._lock = threading.Lock()
        self._volumes: dict[str, model.VolumeFacts] = {}
        self._made_by: dict[str, str] = {}

    @classmethod
    def from_config(
        cls, conf: cfg.ConfigOpts, *, clock: interfaces.Clock
    ) -> Self:
        """Return a new one; it has no options."""
        return cls()

    def start(self) -> None:
        """See the interface."""

    def sweep(self) -> Sequence[str]:
        """See the interface: nothing outlives the process."""
        return ()

    def space(self) -> model.StorageSpace:
        """See the interface."""
        return model.StorageSpace(
            total_bytes=self._total_bytes, free_bytes=self._total_bytes
        )

    def create(
        self,
        volume_id: str,
        parameters: events.CreateParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        with self._lock:
            if volume_id in self._volumes:
                if self._made_by[volume_id] != context.event_id:
                    raise exceptions.EventRejected(
                        f'The storage already holds a volume {volume_id} '
                        'that this request did not make.'
                    )
                return self._volumes[volume_id]
        self._begin(context)
        facts = model.VolumeFacts(
            volume_id=volume_id,
            size_bytes=parameters.size_bytes,
            format=parameters.format or Format.RAW,
            provisioning=parameters.provisioning or Provisioning.THIN,
        )
        context.begin_commit()
        with self._lock:
            self._volumes[volume_id] = facts
            self._made_by[volume_id] = context.event_id
        return facts

    def delete(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""
        self._begin(context)
        context.begin_commit()
        with self._lock:
            self._volumes.pop(volume_id, None)
            self._made_by.pop(volume_id, None)

    def extend(
        self,
        volume_id: str,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        facts = self.find(volume_id)
        if facts is None:
            raise exceptions.EventRejected(
                f'The storage has no volume {volume_id}.'
            )
        if facts.size_bytes > size_bytes:
            raise exceptions.EventRejected(
                f'Volume {volume_id} has {facts.size_bytes} bytes and cannot '
                f'shrink to {size_bytes}.'
            )
        self._begin(context)
        grown = model.VolumeFacts(
            volume_id=volume_id,
            size_bytes=size_bytes,
            format=facts.format,
            provisioning=facts.provisioning,
        )
        context.begin_commit()
        with self._lock:
            self._volumes[volume_id] = grown
        return grown

    def find(self, volume_id: str) -> model.VolumeFacts | None:
        """See the interface."""
        with self._lock:
            return self._volumes.get(volume_id)

    def scan(self) -> Iterable[model.VolumeFacts]:
        """See the interface."""
        with self._lock:
            return list(self._volumes.values())

    def _begin(self, context: interfaces.OperationContext) -> None:
        context.check()
        if self.fail_with is not None:
            raise self.fail_with
