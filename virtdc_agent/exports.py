"""The agent's exporters: which there are, and which one a volume is in use by.

A volume is reached in one way at a time. It is chosen as its first host
connects, and stands in the volume's record for as long as any host is
attached. Records from before there was a choice have none: those volumes are
in use by the first exporter.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import logging

from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)


class Exporters:
    """All exporters, of which the first is for those who do not ask.

    Immutable, safe from any thread.

    :param exporters: by name, at least one, the first one first.
    """

    def __init__(self, exporters: Mapping[str, interfaces.Exporter]) -> None:
        if not exporters:
            raise ValueError('there must be an exporter')
        self._exporters = dict(exporters)
        self.first = next(iter(self._exporters))

    @property
    def offers(self) -> tuple[events.ExporterOffer, ...]:
        """What the cloud is told of them, the first one first."""
        return tuple(
            events.ExporterOffer(
                name=name, storage_protocol=exporter.storage_protocol
            )
            for name, exporter in self._exporters.items()
        )

    @property
    def can_grow_in_use(self) -> bool:
        """Whether hosts see it grow however they reach a volume."""
        return all(
            exporter.can_grow_in_use for exporter in self._exporters.values()
        )

    def start(self) -> None:
        """Check that all can be used.

        :raises ConfigInvalid: one cannot; names the option.
        :raises BackendUnavailable: one cannot yet; start again later.
        """
        for exporter in self._exporters.values():
            exporter.start()

    def resume(self, attached: Callable[[], Iterable[events.Volume]]) -> None:
        """Make good what a restart has lost, of each exporter.

        :param attached: returns all volumes that are attached, each time.
        """
        for name, exporter in self._exporters.items():
            exporter.resume(
                volume
                for volume in attached()
                if self._name_of(volume) == name
            )
        lost = [
            volume
            for volume in attached()
            if self._name_of(volume) not in self._exporters
        ]
        for volume in lost:
            LOG.error(
                'Volume %s is attached to %s by the exporter %s, which is '
                'not in [agent] exporters: add it, or its hosts cannot be '
                'detached.',
                volume.volume_id,
                ', '.join(volume.attached_to),
                volume.exporter,
            )

    def choose(self, volume: events.Volume, wanted: str | None) -> str:
        """Return the name of the exporter that a host is to connect by.

        :param wanted: ``None``: the one that the volume is to be reached by,
            if it says so, else the first.
        :raises EventRejected: there is none of this name, or the volume is in
            use by another.
        """
        if not volume.attached_to:
            wanted = wanted or volume.metadata.get(events.EXPORTER_KEY)
        if wanted is not None and wanted not in self._exporters:
            raise exceptions.EventRejected(
                f'This data centre has no exporter {wanted}; it has '
                f'{", ".join(sorted(self._exporters))}.'
            )
        if not volume.attached_to:
            return wanted or self.first
        present = self._name_of(volume)
        if wanted not in (None, present):
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in use by '
                f'{", ".join(volume.attached_to)} through the exporter '
                f'{present}, and cannot be reached through {wanted} '
                'meanwhile: detach it first.'
            )
        return present

    def named(self, name: str) -> interfaces.Exporter:
        """Return an exporter that ``choose`` has named."""
        return self._exporters[name]

    def of(self, volume: events.Volume) -> interfaces.Exporter:
        """Return the exporter that a volume is in use by.

        :raises EventRejected: it is not configured any more.
        """
        name = self._name_of(volume)
        found = self._exporters.get(name)
        if found is None:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in use through the exporter '
                f'{name}, which this agent does not have now; the data '
                "centre's operator has to configure it again."
            )
        return found

    def _name_of(self, volume: events.Volume) -> str:
        return volume.exporter or self.first
