"""Those who saw what happened, and asked neither agent nor journal."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
import threading

import inotify_simple
import oslo_messaging

from cinder_virtdc.bus.subscription import NotificationEndpoint
from cinder_virtdc.bus.subscription import Subscription
from virtdc_agent.backends import layout
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract import topics


SNAPSHOT_MARK = layout.snapshot('').label


def thing_of(name: str) -> str | None:
    """Name what a file is of: a volume's id, or a snapshot's with a mark."""
    volume_id = layout.volume_id_of(name)
    if volume_id is not None:
        return volume_id
    snapshot_id = name.removeprefix(layout.snapshot('').file)
    return None if snapshot_id == name else SNAPSHOT_MARK + snapshot_id


class Change(enum.StrEnum):
    """What the kernel saw happen to the file of a volume or snapshot."""

    MADE = 'made'
    REMOVED = 'removed'


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """One change of a file; see ``thing_of``."""

    thing: str
    change: Change


class BusWitness:
    """Hears every notification, as a listener of the cloud does."""

    def __init__(self, transport: oslo_messaging.Transport) -> None:
        self._lock = threading.Lock()
        self._sequences: list[int] = []
        self._endpoint = NotificationEndpoint(self._hear)
        self._subscription = Subscription(
            transport,
            topic=topics.NOTIFICATION_TOPIC,
            endpoint=self._endpoint,
            executor='threading',
        )

    def start(self) -> None:
        """Begin to listen."""
        self._subscription.start()

    def stop(self) -> None:
        """Stop listening."""
        self._subscription.stop()

    @property
    def sequences(self) -> list[int]:
        """What was heard, in the order of its coming."""
        with self._lock:
            return list(self._sequences)

    @property
    def discarded(self) -> int:
        """How many messages could not be understood."""
        return self._endpoint.discarded

    def _hear(self, notification: Notification) -> None:
        if isinstance(notification, Transition):
            with self._lock:
                self._sequences.append(notification.sequence)


class DiskWitness:
    """Sees, through the kernel, volumes come and go in a folder.

    What is new is linked there. What is moved there takes the place of what
    was: a volume that is reverted.
    """

    _MASK = (
        inotify_simple.flags.CREATE
        | inotify_simple.flags.DELETE
        | inotify_simple.flags.MOVED_FROM
    )

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._missed = False
        self._stopped = threading.Event()
        self._inotify = inotify_simple.INotify()
        self._inotify.add_watch(str(folder), self._MASK)
        self._thread = threading.Thread(
            target=self._run, name='disk-witness', daemon=True
        )

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look at what is left, and stop."""
        self._stopped.set()
        self._thread.join()
        self._inotify.close()

    @property
    def seen(self) -> list[Seen]:
        """What was seen, in its order.

        :raises RuntimeError: it was more than the kernel keeps.
        """
        if self._missed:
            raise RuntimeError('the kernel dropped changes of the folder')
        with self._lock:
            return list(self._seen)

    def _run(self) -> None:
        while True:
            is_last = self._stopped.is_set()
            for event in self._inotify.read(timeout=200):
                self._note(event)
            if is_last:
                return

    def _note(self, event: inotify_simple.Event) -> None:
        if event.mask & inotify_simple.flags.Q_OVERFLOW:
            self._missed = True
        thing = thing_of(event.name)
        if thing is None:
            return
        is_new = event.mask & inotify_simple.flags.CREATE
        with self._lock:
            self._seen.append(
                Seen(thing, Change.MADE if is_new else Change.REMOVED)
            )
