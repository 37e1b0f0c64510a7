"""Keeps up with the agent's history, whatever the bus loses or mixes up."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
import dataclasses
import threading
from typing import Protocol

from cinder_virtdc.bus.client import Changes
from cinder_virtdc.sync import properties
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.resyncs import Resync

MAX_AHEAD = 10_000
"""So many sequences beyond a gap are remembered, to see it close."""


class History(Protocol):
    """What the follower needs of the agent's client."""

    def get_changes(self, after: int) -> Changes:
        """Return transitions that follow a sequence, in order."""


class Follower:
    """Knows the latest transition of each volume, and whether it knows all.

    Up to its cursor it has seen every transition. Of those beyond it, which
    came after a gap, it remembers the sequences; ``catch_up`` closes gaps.
    Safe from any thread; the sink is called under a lock, in an order in
    which the sequence of one volume never falls.

    :param sink: told of each transition that is the latest of its volume;
        of one that is about several, once for each, as if it were its own.
    """

    def __init__(
        self, history: History, sink: Callable[[Transition], None]
    ) -> None:
        self._history = history
        self._sink = sink
        self._lock = threading.Lock()
        self._latest: dict[str, Transition] = {}
        self._cursor = 0
        self._heard = 0
        self._wanted_resync = False
        self._ahead: set[int] = set()

    @property
    def cursor(self) -> int:
        """The sequence up to which everything was seen."""
        with self._lock:
            return self._cursor

    @property
    def behind(self) -> int:
        """How many sequences that were heard of lie beyond the cursor."""
        with self._lock:
            return max(0, self._heard - self._cursor)

    @property
    def is_behind(self) -> bool:
        """Whether something is known to have been missed so far."""
        with self._lock:
            return self._heard > self._cursor

    @property
    def wanted_resync(self) -> bool:
        """Whether somebody waits for a comparison, as of the last question."""
        with self._lock:
            return self._wanted_resync

    def latest(self, platform_id: str) -> Transition | None:
        """Return the latest transition of a volume's events."""
        with self._lock:
            return self._latest.get(platform_id)

    def offer(self, notification: Notification) -> None:
        """Take a notification, in whatever order, however often."""
        if isinstance(notification, AlarmNotice | Resync):
            return  # they have a numbering of their own
        with self._lock:
            self._heard = max(self._heard, notification.sequence)
            if isinstance(notification, Transition):
                self._take_all(notification, tell=True)

    def catch_up(self, *, tell: bool = True) -> None:
        """Ask for what follows the cursor until there is no more.

        If the history does not reach back to the cursor, what was missed
        cannot be had; a comparison of both sides must follow.

        :param tell: whether the sink is to be told.
        :raises VirtDCError: what the client raises; nothing is lost.
        """
        while True:
            asked = self.cursor
            changes = self._history.get_changes(asked)
            with self._lock:
                self._wanted_resync = changes.wants_resync
                if changes.last < asked:
                    self._begin_anew()
                    continue
                for transition in changes.transitions:
                    self._take_all(transition, tell=tell)
                if not changes.reached:
                    self._advance_to(changes.last)
                    return
                self._advance_to(changes.reached)

    def retain(self, platform_ids: Collection[str], up_to: int) -> None:
        """Forget volumes that Cinder does not have.

        :param up_to: but not those of which something later is known.
        """
        with self._lock:
            self._latest = {
                platform_id: transition
                for platform_id, transition in self._latest.items()
                if platform_id in platform_ids or transition.sequence > up_to
            }

    def _take_all(self, transition: Transition, *, tell: bool) -> None:
        """Take a transition for each volume that it is about."""
        sequence = transition.sequence
        if sequence > self._cursor:
            self._ahead.add(sequence)
            while self._cursor + 1 in self._ahead:
                self._cursor += 1
                self._ahead.discard(self._cursor)
            if len(self._ahead) > MAX_AHEAD:
                self._ahead.clear()
        for volume_id in transition.volume_ids or (transition.volume_id,):
            self._take(
                dataclasses.replace(transition, volume_id=volume_id), tell=tell
            )

    def _take(self, transition: Transition, *, tell: bool) -> None:
        sequence, volume_id = transition.sequence, transition.volume_id
        known = self._latest.get(volume_id)
        if known is not None and known.sequence >= sequence:
            return
        if properties.ends_volume(transition):
            self._latest.pop(volume_id, None)
        else:
            self._latest[volume_id] = transition
        if tell:
            self._sink(transition)

    def _advance_to(self, sequence: int) -> None:
        self._cursor = max(self._cursor, sequence)
        self._heard = max(self._heard, self._cursor)
        self._ahead = {one for one in self._ahead if one > self._cursor}

    def _begin_anew(self) -> None:
        """Follow another journal: the old one was lost or replaced."""
        self._cursor = self._heard = 0
        self._ahead.clear()
        self._latest.clear()
