"""What the backend "memory" holds, and what outlives it in a restart."""

from __future__ import annotations

import dataclasses
import threading

from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning


@dataclasses.dataclass(slots=True, kw_only=True)
class MemoryVolume:
    """A volume. ``written`` holds the bytes that are not zero.

    :param lineage: the first id that it had, if it was given up since.
    """

    event_id: str
    size_bytes: int
    format: Format
    provisioning: Provisioning
    written: dict[int, int] = dataclasses.field(default_factory=dict)
    lineage: str = ''

    def read(self, offset: int, length: int) -> bytes:
        """Return what the user of the volume would read."""
        end = min(offset + length, self.size_bytes)
        content = bytearray(max(0, end - offset))
        for at, byte in self.written.items():
            if offset <= at < end:
                content[at - offset] = byte
        return bytes(content)

    def write(self, offset: int, content: bytes) -> None:
        """Write as the user of the volume would."""
        if offset + len(content) > self.size_bytes:
            raise ValueError('beyond the end of the volume')
        self.written.update(enumerate(content, offset))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MemorySnapshot:
    """A snapshot: what its volume held. ``event_id`` made it."""

    event_id: str
    volume_id: str
    size_bytes: int
    format: Format
    provisioning: Provisioning
    written: dict[int, int]


@dataclasses.dataclass(slots=True, kw_only=True)
class MemoryStranger:
    """Something that is no volume but may become one.

    :param snapshot_of: what it was a snapshot of, by that volume's first id;
        empty: of none.
    :param lineage: the first id of the volume that it was; empty: none.
    :param reason: why it cannot become one; empty: it can.
    """

    size_bytes: int
    format: Format = Format.RAW
    provisioning: Provisioning = Provisioning.THIN
    written: dict[int, int] = dataclasses.field(default_factory=dict)
    snapshot_of: str = ''
    lineage: str = ''
    reason: str = ''


@dataclasses.dataclass(slots=True)
class MemoryStorage:
    """What outlives a backend: its volumes and what crashes left.

    :param discarded: what lies in the trash, by volume and event.
    :param leftovers: what is in the making, by volume, with the fence of
        who makes it.
    :param strangers: names taken by what is not a volume.
    :param strange_snapshots: names taken by what is not a snapshot.
    :param manageable: what is no volume but may become one, by name. What
        was given up has the name ``volume-<id>`` or ``snapshot-<id>``, and
        keeps others from that id.
    :param fences: the highest fence that has acted on each volume.
    :param thick_bytes: what thick volumes take.
    """

    volumes: dict[str, MemoryVolume] = dataclasses.field(default_factory=dict)
    snapshots: dict[str, MemorySnapshot] = dataclasses.field(
        default_factory=dict
    )
    discarded: dict[tuple[str, str], MemoryVolume] = dataclasses.field(
        default_factory=dict
    )
    leftovers: dict[str, int] = dataclasses.field(default_factory=dict)
    strangers: set[str] = dataclasses.field(default_factory=set)
    strange_snapshots: set[str] = dataclasses.field(default_factory=set)
    manageable: dict[str, MemoryStranger] = dataclasses.field(
        default_factory=dict
    )
    fences: dict[str, int] = dataclasses.field(default_factory=dict)
    thick_bytes: int = 0
    lock: threading.RLock = dataclasses.field(default_factory=threading.RLock)
