"""Waits for the ends of events, without asking for each of them.

Notifications wake whoever waits. What a notification did not tell, because
it was lost or went to another process, one question about many events finds
out, asked every few seconds and only while somebody waits.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import logging
import threading
from typing import Protocol

from cinder_virtdc.clock import Clock
from cinder_virtdc import exceptions
from virtdc_agent.contract.events import Transition

LOG = logging.getLogger(__name__)


class Asker(Protocol):
    """What the waiter needs of the agent's client."""

    def get_events(
        self, event_ids: Collection[str]
    ) -> Mapping[str, Transition]:
        """Return the latest transitions of the events that are known."""


class Waiter:
    """Where notifications and those who wait for them meet.

    Safe from any thread, green ones included. Notifications may be repeated,
    reordered or lost, and the agent may restart.

    :param poll_interval_s: the age from which a waited-for event is asked
        for, and the pause between two questions.
    """

    def __init__(
        self, asker: Asker, *, clock: Clock, poll_interval_s: float
    ) -> None:
        self._asker = asker
        self._clock = clock
        self._poll_interval_s = poll_interval_s
        self._lock = threading.Lock()
        self._accepted = threading.Condition(self._lock)
        self._expected: dict[str, _Expected] = {}
        self._asked_at = float('-inf')
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name='virtdc-waiter', daemon=True
        )

    def start(self) -> None:
        """Start asking for what notifications do not tell."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop asking; whoever still waits is told that the end is unknown."""
        with self._lock:
            self._stopped = True
            self._accepted.notify_all()
            for expected in self._expected.values():
                expected.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @contextlib.contextmanager
    def expect(self, event_id: str) -> Iterator[None]:
        """Remember what is told of an event, while in this context.

        To be entered before the event is submitted: its end may be told
        before its acceptance is answered.
        """
        with self._lock:
            self._expected[event_id] = _Expected(self._lock)
        try:
            yield
        finally:
            with self._lock:
                del self._expected[event_id]

    def accept(self, transition: Transition) -> None:
        """Take the agent's answer to the submission of an expected event.

        From now on the event is one that the agent must know.
        """
        with self._lock:
            expected = self._expected[transition.event_id]
            expected.learn(transition)
            expected.accepted_at = self._clock.monotonic()
            self._accepted.notify_all()

    def offer(self, transition: Transition) -> None:
        """Take a transition that was notified; cheap if nobody waits."""
        with self._lock:
            expected = self._expected.get(transition.event_id)
            if expected is not None:
                expected.learn(transition)

    def wait(self, event_id: str, deadline: float) -> Transition:
        """Return the final transition of an expected event.

        :param deadline: until when, in the clock's monotonic seconds.
        :raises OperationTimeout: it has not ended by then.
        :raises EventLost: the agent does not know it any more.
        :raises AgentUnreachable: the waiter was stopped.
        """
        with self._lock:
            expected = self._expected[event_id]
            while True:
                latest = expected.latest
                if latest is not None and latest.state.is_final:
                    return latest
                if expected.lost:
                    raise exceptions.EventLost(
                        f'The data centre does not know event {event_id}, '
                        'which it had accepted: its journal was lost or '
                        'replaced. Try again.'
                    )
                if self._stopped:
                    raise exceptions.AgentUnreachable(
                        f'The driver stopped before event {event_id} ended.'
                    )
                remaining_s = deadline - self._clock.monotonic()
                if remaining_s <= 0:
                    raise exceptions.OperationTimeout(
                        f'The data centre has not ended event {event_id} in '
                        f'time; it is {_described(latest)}.'
                    )
                self._clock.wait(expected.changed, remaining_s)

    def _run(self) -> None:
        silent = False
        while True:
            event_ids = self._await_due()
            if not event_ids:
                return
            try:
                known = self._asker.get_events(event_ids)
            except exceptions.VirtDCError as exc:
                if not silent:
                    LOG.warning(
                        'How %d events go cannot be asked for now: %s '
                        'Trying again every %g s.',
                        len(event_ids),
                        exc,
                        self._poll_interval_s,
                    )
                silent = True
                continue
            except Exception:
                LOG.exception('Unexpected error while asking for events')
                continue
            silent = False
            self._learn(event_ids, known)

    def _await_due(self) -> Collection[str]:
        """Wait until it is time to ask; return what for, none to stop."""
        with self._lock:
            while not self._stopped:
                now = self._clock.monotonic()
                waits_s = [
                    expected.accepted_at + self._poll_interval_s - now
                    for expected in self._expected.values()
                    if expected.is_open
                ]
                if not waits_s:
                    self._clock.wait(self._accepted, None)
                    continue
                pause_s = self._asked_at + self._poll_interval_s - now
                wait_s = max(min(waits_s), pause_s)
                if wait_s > 0:
                    self._clock.wait(self._accepted, wait_s)
                    continue
                self._asked_at = now
                return [
                    event_id
                    for event_id, expected in self._expected.items()
                    if expected.is_open
                    and expected.accepted_at + self._poll_interval_s <= now
                ]
            return []

    def _learn(
        self, event_ids: Collection[str], known: Mapping[str, Transition]
    ) -> None:
        with self._lock:
            for event_id in event_ids:
                expected = self._expected.get(event_id)
                if expected is None:
                    continue
                if event_id in known:
                    expected.learn(known[event_id])
                else:
                    expected.lost = True
                    expected.changed.notify_all()


class _Expected:
    """What is known of one event that somebody waits for."""

    def __init__(self, lock: threading.Lock) -> None:
        self.changed = threading.Condition(lock)
        self.latest: Transition | None = None
        self.accepted_at = float('inf')
        self.lost = False

    @property
    def is_open(self) -> bool:
        """Whether it is accepted, and its end not known yet."""
        ended = self.latest is not None and self.latest.state.is_final
        return self.accepted_at != float('inf') and not ended

    def learn(self, transition: Transition) -> None:
        """Keep the latest; the lock is held."""
        if self.latest is None or transition.sequence > self.latest.sequence:
            self.latest = transition
            if transition.state.is_final:
                self.changed.notify_all()


def _described(latest: Transition | None) -> str:
    if latest is None:
        return 'not known to have begun'
    if latest.progress is None:
        return f'still {latest.state}'
    return f'still {latest.state} ({latest.progress} %)'
