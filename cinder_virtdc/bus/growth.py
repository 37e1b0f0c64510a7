"""What the data centre has grown and Cinder does not count yet.

When a volume grows in the data centre, the pool has less room at once. Then
Cinder is to extend the volume, and its scheduler asks whether the pool has
room for the growth, which by then is counted twice: on a nearly full pool it
refuses what has already happened. So the driver leaves this growth out of
what it says of the pool, until Cinder has taken it over.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import threading

from cinder_virtdc.translate import GIB
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume

MAX_KNOWN = 10_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Bytes that Cinder is still to count.

    :param provisioned_bytes: of all volumes.
    :param taken_bytes: of those whose bytes were taken at once.
    """

    provisioned_bytes: int = 0
    taken_bytes: int = 0


class Growth:
    """Volumes that have grown by themselves. Safe from any thread.

    It hears of them by notifications, and at the start it is told; what it
    does not hear of, the scheduler may refuse for as long as there is no
    room, and the listener raises an alarm.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._grown: dict[str, tuple[int, bool]] = {}

    def offer(self, notification: Notification) -> None:
        """Take a notification; see ``Waiter``."""
        if not isinstance(notification, Transition) or (
            notification.origin,
            notification.operation,
            notification.state,
        ) != (Origin.PLATFORM, Operation.EXTEND, State.SUCCESS):
            return
        size_bytes = notification.result.get('size_bytes')
        if isinstance(size_bytes, int):
            self._put(
                notification.volume_id,
                size_bytes,
                notification.result.get('provisioning') == Provisioning.THICK,
            )

    def learn(self, volumes: Iterable[Volume]) -> None:
        """Take what the data centre has, at the start."""
        for volume in volumes:
            if volume.changed_by is Origin.PLATFORM:
                self._put(
                    volume.volume_id,
                    volume.size_bytes,
                    volume.provisioning is Provisioning.THICK,
                )

    def is_known(self, volume_id: str, size_bytes: int) -> bool:
        """Say whether a volume is known to have grown so far or further."""
        with self._lock:
            return self._grown.get(volume_id, (0, False))[0] >= size_bytes

    def pending(self, cinder_gib: Callable[[str], int | None]) -> Pending:
        """Return what Cinder is still to count, and forget the rest.

        :param cinder_gib: Cinder's size of a volume; ``None``: it has no
            such volume. Only asked for volumes that have grown.
        """
        with self._lock:
            grown = dict(self._grown)
        provisioned = taken = 0
        for volume_id, (size_bytes, is_thick) in grown.items():
            size_gib = cinder_gib(volume_id)
            more = 0 if size_gib is None else size_bytes - size_gib * GIB
            if more > 0:
                provisioned += more
                taken += more if is_thick else 0
            else:
                self._drop(volume_id, size_bytes)
        return Pending(provisioned_bytes=provisioned, taken_bytes=taken)

    def _put(self, volume_id: str, size_bytes: int, is_thick: bool) -> None:
        with self._lock:
            known, _ = self._grown.get(volume_id, (0, False))
            self._grown[volume_id] = (max(known, size_bytes), is_thick)
            if len(self._grown) > MAX_KNOWN:
                del self._grown[next(iter(self._grown))]

    def _drop(self, volume_id: str, size_bytes: int) -> None:
        with self._lock:
            known = self._grown.get(volume_id)
            if known is not None and known[0] == size_bytes:
                del self._grown[volume_id]
