"""Between the journal's texts and the contract's values.

What stands in the journal is what travels: the same codec, the same rules.
"""

from __future__ import annotations

from collections.abc import Callable
import json
import threading
from typing import Generic, TypeVar

from virtdc_agent.contract import codec
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume

T = TypeVar('T')

_REMEMBERED = 4096


class Memory(Generic[T]):
    """Remembers what texts stand for. Safe from any thread.

    To read a text takes several times as long as to write it, and most texts
    are read soon after they were written, by the same agent. It holds the
    latest few thousand: some MiB.
    """

    def __init__(
        self, read: Callable[[str], T], size: int = _REMEMBERED
    ) -> None:
        self._read = read
        self._size = size
        self._lock = threading.Lock()
        self._known: dict[str, T] = {}

    def put(self, text: str, value: T) -> None:
        """Remember what a text stands for."""
        with self._lock:
            self._known[text] = value
            if len(self._known) > self._size:
                del self._known[next(iter(self._known))]

    def get(self, text: str) -> T:
        """Return what a text stands for, read or remembered."""
        known = self._known.get(text)
        if known is None:
            known = self._read(text)
            self.put(text, known)
        return known


def event_text(event: Event) -> str:
    """Write an event such that equal events give equal texts."""
    return json.dumps(codec.encode(event), sort_keys=True)


def event_from(text: str) -> Event:
    """Read an event."""
    return codec.decode(json.loads(text), Event)


def transition_text(transition: Transition) -> str:
    """Write a transition."""
    return json.dumps(codec.encode(transition))


def transition_from(text: str) -> Transition:
    """Read a transition."""
    return codec.decode(json.loads(text), Transition)


def volume_text(volume: Volume) -> str:
    """Write a volume."""
    return json.dumps(codec.encode(volume))


def volume_values(volume: Volume) -> dict[str, object]:
    """Return what stands of a volume in its row, beside its id."""
    return {
        'size_bytes': volume.size_bytes,
        'body': volume_text(volume),
        'pool': volume.pool,
        'project_id': volume.project_id,
        'name': volume.name,
        'created': volume.created_at.timestamp(),
    }


def volume_from(text: str) -> Volume:
    """Read a volume."""
    return codec.decode(json.loads(text), Volume)


def trashed_text(trashed: TrashedVolume) -> str:
    """Write a volume in the trash."""
    return json.dumps(codec.encode(trashed))


def trashed_from(text: str) -> TrashedVolume:
    """Read a volume in the trash."""
    return codec.decode(json.loads(text), TrashedVolume)


def snapshot_text(snapshot: Snapshot) -> str:
    """Write a snapshot."""
    return json.dumps(codec.encode(snapshot))


def snapshot_from(text: str) -> Snapshot:
    """Read a snapshot."""
    return codec.decode(json.loads(text), Snapshot)
