"""Brings single volumes in step: looks at both sides, and acts.

What hears of a volume, a notification or a comparison, only rings: what is
to be done follows from what both sides say when the volume is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
import heapq
import itertools
import logging
import threading
from typing import Protocol

from cinder_virtdc.clock import Clock
from cinder_virtdc import exceptions
from cinder_virtdc.listener.hands import Hands
from cinder_virtdc.meter import Meter
from cinder_virtdc.sync import reconcile
from cinder_virtdc.sync.reconcile import Sides

LOG = logging.getLogger(__name__)

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0
_MOST_NAMED = 50
ATTEMPTS = 8
"""So often a volume is looked at again; then the next comparison has it."""


class Eyes(Protocol):
    """Looks at one volume on both sides."""

    def __call__(self, volume_id: str) -> Sides | None:
        """Return what both sides say of it now.

        :returns: ``None``: Cinder has no such volume.
        :raises VirtDCError: a side does not answer.
        """


class Witness(Protocol):
    """Is told what was done, and what Cinder would not do."""

    def __call__(
        self, sides: Sides, action: reconcile.Action, error: Exception | None
    ) -> None:
        """Take note of an action. ``error`` is ``None``: it was done."""

    def settled(self, sides: Sides) -> None:
        """Take note that a volume need not grow."""


class Syncer:
    """A queue of volumes to look at, and the threads that do.

    A volume is in the queue once, and is looked at by one thread at a time.
    Whatever cannot be done now is tried again with growing pauses, and after
    that left to the next comparison. Safe from any thread.

    :param look: both sides of a volume, by its id in Cinder.
    :param witness: told of each action.
    :param gone: told of volumes that Cinder does not have.
    :param workers: how many volumes are looked at at once.
    """

    def __init__(
        self,
        look: Eyes,
        hands: Hands,
        *,
        clock: Clock,
        witness: Witness | None = None,
        gone: Callable[[str], None] = lambda volume_id: None,
        workers: int = 2,
        meter: Meter | None = None,
    ) -> None:
        self._meter = meter or Meter()
        self._look = look
        self._hands = hands
        self._clock = clock
        self.witness = witness
        self._gone = gone
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, str]] = []
        self._wanted: dict[str, float] = {}
        self._attempts: dict[str, int] = {}
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._order = itertools.count()
        self._stopped = False
        self._threads = [
            threading.Thread(
                target=self._run, name=f'virtdc-syncer-{number}', daemon=True
            )
            for number in range(workers)
        ]

    def start(self) -> None:
        """Start looking."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after what is under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout_s)

    @property
    def thread_names(self) -> list[str]:
        """Names of its threads."""
        return [thread.name for thread in self._threads]

    @property
    def backlog(self) -> int:
        """How many volumes wait to be looked at."""
        with self._changed:
            return len(self._wanted) + len(self._busy)

    @property
    def waiting(self) -> list[str]:
        """The first volumes that wait to be looked at, or are."""
        with self._changed:
            return sorted({*self._wanted, *self._busy})[:_MOST_NAMED]

    def ring(self, volume_id: str, *, after_s: float = 0.0) -> None:
        """Have a volume looked at, soon or after a time."""
        with self._changed:
            if volume_id in self._busy and not after_s:
                self._again.add(volume_id)
                return
            self._attempts.pop(volume_id, None)
            self._put(volume_id, after_s)

    def sync(self, volume_id: str) -> bool:
        """Look at a volume and do what is to be done, in this thread.

        :returns: whether anything was done.
        :raises VirtDCError: it could not be done.
        """
        sides = self._look(volume_id)
        if sides is None:
            raise exceptions.VolumeGone(f'Cinder has no volume {volume_id}.')
        actions = reconcile.reconcile(sides)
        for action in actions:
            error: exceptions.CloudError | None = None
            try:
                self._hands.do(sides.volume, action)
            except exceptions.OverQuota as exc:
                # A person has to act; whatever follows can be done.
                error = exc
            except exceptions.VirtDCError:
                self._meter.acted(type(action).__name__.lower(), done=False)
                raise
            self._meter.acted(
                type(action).__name__.lower(), done=error is None
            )
            if self.witness is not None:
                self.witness(sides, action, error)
        if self.witness is not None and not any(
            isinstance(action, reconcile.Grow) for action in actions
        ):
            self.witness.settled(sides)
        return bool(actions)

    def drain(self) -> None:
        """Look, in this thread, at all volumes whose turn it is.

        For a syncer that was not started.
        """
        while (volume_id := self._take_due()) is not None:
            self._attempt(volume_id)

    def _run(self) -> None:
        while (volume_id := self._await_turn()) is not None:
            self._attempt(volume_id)

    def _attempt(self, volume_id: str) -> None:
        failed = False
        try:
            self.sync(volume_id)
        except exceptions.VolumeGone:
            LOG.debug('Cinder has no volume %s', volume_id)
            self._gone(volume_id)
        except exceptions.VirtDCError as exc:
            LOG.debug('Volume %s is not in step: %s', volume_id, exc)
            failed = True
        except Exception:
            LOG.exception('Unexpected error with volume %s', volume_id)
            failed = True
        self._ended(volume_id, failed=failed)

    def _await_turn(self) -> str | None:
        with self._changed:
            while not self._stopped:
                volume_id = self._take_due()
                if volume_id is not None:
                    return volume_id
                self._clock.wait(
                    self._changed,
                    self._due[0][0] - self._clock.monotonic()
                    if self._due
                    else None,
                )
            return None

    def _take_due(self) -> str | None:
        """Take out of the queue a volume whose turn it is."""
        with self._changed:
            now = self._clock.monotonic()
            while self._due and self._due[0][0] <= now:
                due_at, _, volume_id = heapq.heappop(self._due)
                if self._wanted.get(volume_id) != due_at:
                    continue  # asked for sooner, and done
                del self._wanted[volume_id]
                if volume_id in self._busy:
                    self._again.add(volume_id)
                    continue
                self._busy.add(volume_id)
                return volume_id
            return None

    def _ended(self, volume_id: str, *, failed: bool) -> None:
        with self._changed:
            self._busy.discard(volume_id)
            attempts = self._attempts.pop(volume_id, 0)
            if volume_id in self._again:
                self._again.discard(volume_id)
                self._put(volume_id, 0.0)
            elif failed and attempts < ATTEMPTS:
                self._attempts[volume_id] = attempts + 1
                self._put(
                    volume_id,
                    min(_FIRST_RETRY_S * 2.0**attempts, _LONGEST_RETRY_S),
                )
            self._changed.notify_all()

    def _put(self, volume_id: str, after_s: float) -> None:
        due_at = self._clock.monotonic() + after_s
        known = self._wanted.get(volume_id)
        if known is not None and known <= due_at:
            return
        self._wanted[volume_id] = due_at
        heapq.heappush(self._due, (due_at, next(self._order), volume_id))
        self._changed.notify_all()
