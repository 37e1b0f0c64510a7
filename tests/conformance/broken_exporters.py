"""Exporters that break one rule each, to show that each rule can fail."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent.exporters.memory import MemoryExporter


class HasNoProtocol(MemoryExporter):
    """Does not say how volumes are reached."""

    storage_protocol = ''


class MayGrowPerhaps(MemoryExporter):
    """Neither promises that volumes grow in use nor that they do not."""

    can_grow_in_use = None  # type: ignore[assignment]


class ForgetsAtStart(MemoryExporter):
    """Tells something else after it was started again."""

    starts = 0

    def start(self) -> None:
        self.starts += 1

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        return {**super().connection(volume, host), 'starts': self.starts}


class AnswersInBytes(MemoryExporter):
    """Gives what does not come back from JSON as it went."""

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        connection = dict(super().connection(volume, host))
        return {**connection, 'ports': (3260, 3261)}


class MixesVolumesUp(MemoryExporter):
    """Has one address for the named volumes."""

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        connection = dict(super().connection(volume, host))
        if volume.volume_id in ('first', 'second'):
            connection['data'] = {'name': 'volume'}
        return connection


class SharesItsAnswer(MemoryExporter):
    """Hands out what it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, str], Mapping[str, object]] = {}

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        return self.answers.setdefault(
            (volume.volume_id, host), super().connection(volume, host)
        )


class CountsConnects(MemoryExporter):
    """Gives another address when a host is connected twice in a row."""

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        connects = [call for call in self.calls if call[0] == 'connect']
        twice = len(connects) == 2 and connects[0] == connects[1]
        again = twice and self.calls == connects
        return {**super().connection(volume, host), 'again': again}


class ServesOneHost(MemoryExporter):
    """Turns the first host out when a second one comes."""

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        hosts = {pair[1] for pair in self.connected if pair[0] == 'first'}
        return {**super().connection(volume, host), 'crowded': len(hosts) > 1}


class TakesAnyHost(MemoryExporter):
    """Lets a host without a name in."""

    def connect(
        self, volume: events.Volume, parameters: events.ConnectParameters
    ) -> None:
        if parameters.host:
            host = parameters.host.strip() or 'nobody'
            parameters = events.ConnectParameters(host=host)
        super().connect(volume, parameters)


class MissesTheUnknown(MemoryExporter):
    """Fails when a host is disconnected that was not connected."""

    def disconnect(self, volume: events.Volume, host: str) -> None:
        if (volume.volume_id, host) not in self.connected:
            raise exceptions.BackendError('not connected')
        super().disconnect(volume, host)


class RemembersLeavers(MemoryExporter):
    """Gives a host that left another address when it comes back."""

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        left = ('disconnect', volume.volume_id, host) in self.calls
        return {**super().connection(volume, host), 'left': left}


class HasOnePlace(MemoryExporter):
    """Serves everybody what was asked for first."""

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        connection = dict(super().connection(volume, host))
        if volume.volume_id.startswith('many-'):
            connection['data'] = {'name': 'many'}
        return connection


class LeavesTheDoorOpen(MemoryExporter):
    """Lets the last host keep a volume."""

    def disconnect(self, volume: events.Volume, host: str) -> None:
        hosts = [pair for pair in self.connected if pair[0] == 'first']
        if hosts != [('first', 'two')]:
            super().disconnect(volume, host)


class TellsAnewOnResume(MemoryExporter):
    """Gives a host another address though it had lost nothing."""

    resumed = False

    def resume(self, volumes: Iterable[events.Volume]) -> None:
        self.resumed = ('connect', 'first', 'one') in self.calls
        super().resume(volumes)

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        return {**super().connection(volume, host), 'resumed': self.resumed}


class ResumesTheFirstHost(MemoryExporter):
    """Lets one host of a volume in again, and forgets the others."""

    def resume(self, volumes: Iterable[events.Volume]) -> None:
        super().resume(
            dataclasses.replace(volume, attached_to=volume.attached_to[:1])
            for volume in volumes
        )


class KeepsWhoHasLeft(MemoryExporter):
    """Never shuts anyone out on resume."""

    def resume(self, volumes: Iterable[events.Volume]) -> None:
        before = set(self.connected)
        super().resume(volumes)
        self.connected |= before


class StopsAtTheUnknown(MemoryExporter):
    """Gives up on all volumes when one cannot be made good."""

    def resume(self, volumes: Iterable[events.Volume]) -> None:
        for volume in volumes:
            if 'gone' in volume.attached_to:
                raise exceptions.BackendError('nothing is known of it')
            super().resume([volume])
