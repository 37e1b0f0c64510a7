"""Decides what a change in the data centre needs, and who does it."""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Protocol

from cinder_virtdc.sync import deletions
from cinder_virtdc.sync import holds
from cinder_virtdc.sync import properties
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition

_CHANGES_BOTH = frozenset({Operation.EDIT, Operation.RESTORE})
"""What concerns Cinder also when Cinder's side asked for it."""
_MAKING = frozenset({Operation.CREATE, Operation.CLONE, Operation.IMPORT})

MAX_WATCHED = 10_000


class Display(Protocol):
    """Shows transitions; see ``Writer``."""

    def show(
        self, transition: Transition, outdated: tuple[str, ...] = ()
    ) -> None:
        """Let the volume of a transition show it, soon."""

    def cloud_id_of(self, platform_id: str) -> str | None:
        """Return Cinder's id of a volume; ``None``: Cinder has none."""


class Ring(Protocol):
    """Has a volume looked at; see ``Syncer.ring``."""

    def __call__(self, volume_id: str, *, after_s: float = 0.0) -> None:
        """Have it looked at, soon or after a time."""


class Router:
    """Where every news goes through. Safe from any thread.

    What users do in the cloud is only shown: Cinder knows it. What was done
    in the data centre is shown as it goes, and when it has ended its volume
    is looked at; that shows the end, once both sides agree.

    :param hold_after_s: an event that is open for so long holds its volume.
    :param on_done: told of each volume that the data centre itself has made
        or changed.
    """

    def __init__(
        self,
        display: Display,
        ring: Ring,
        *,
        hold_after_s: float,
        on_alarm: Callable[[AlarmNotice], None] = lambda notice: None,
        on_done: Callable[[str], None] = lambda platform_id: None,
    ) -> None:
        self._display = display
        self._ring = ring
        self._hold_after_s = hold_after_s
        self._on_alarm = on_alarm
        self._on_done = on_done
        self._lock = threading.Lock()
        self._watched: dict[str, None] = {}

    def watch(self, platform_id: str) -> None:
        """Have a volume looked at whatever happens to it next."""
        with self._lock:
            self._watched[platform_id] = None
            if len(self._watched) > MAX_WATCHED:
                del self._watched[next(iter(self._watched))]

    def take(self, transition: Transition) -> None:
        """Take the latest transition of a volume."""
        if (
            transition.origin is Origin.PLATFORM
            and transition.state is State.SUCCESS
        ):
            self._on_done(transition.volume_id)
        if not self._is_news_for_both(transition):
            self._display.show(transition)
            if properties.ends_volume(transition):
                self._forget(transition.volume_id)
            return
        volume_id = self._display.cloud_id_of(transition.volume_id)
        if volume_id is None:
            return
        if transition.state.is_final:
            self._ring(volume_id)
            return
        if transition.operation in _CHANGES_BOTH:
            # Mostly over in a moment: not worth a request of its own.
            self._ring(volume_id, after_s=self._hold_after_s)
            return
        self._display.show(transition)
        if holds.is_under_way(transition):
            self._ring(volume_id, after_s=self._hold_after_s)

    def take_alarm(self, notice: AlarmNotice) -> None:
        """Take word of an alarm; its volume is looked at."""
        self._on_alarm(notice)
        if notice.kind in deletions.KINDS:
            volume_id = self._display.cloud_id_of(notice.subject)
            if volume_id is not None:
                self._ring(volume_id)

    def _is_news_for_both(self, transition: Transition) -> bool:
        if transition.origin is Origin.PLATFORM:
            if (
                transition.operation is Operation.DELETE
                and transition.state is State.SUCCESS
            ):
                self.watch(transition.volume_id)
            return True
        if transition.operation in _CHANGES_BOTH:
            # What failed is tried again by the next comparison, not at once.
            return transition.state is not State.FAILED
        with self._lock:
            return (
                transition.volume_id in self._watched
                and transition.state.is_final
                and transition.operation in {*_MAKING, Operation.EXTEND}
            )

    def _forget(self, platform_id: str) -> None:
        with self._lock:
            self._watched.pop(platform_id, None)
