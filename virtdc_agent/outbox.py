"""Puts what the journal holds on the bus, in its order, at least once."""

from __future__ import annotations

import logging
import threading

from virtdc_agent.contract.events import Announcement
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)

NOTE_INTERVAL_S = 0.1
"""How often it is noted how far the telling has come, at most: a note costs
a commit, and what it saves is only repetition after a crash."""


class Outbox:
    """One thread from the journal to the bus.

    It sends every transition after the last one noted as sent, in order of
    sequence, each only when the one before was confirmed, and notes now and
    then how far it is. A crash in between sends some again, never skips one.

    :param retry_interval_s: pause after the bus or the journal refused.
    :param poll_interval_s: pause between looks for what other agents wrote;
        one of them publishes for all.
    :param batch: most messages at a time.
    """

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        publisher: interfaces.Publisher,
        clock: interfaces.Clock,
        retry_interval_s: float,
        poll_interval_s: float | None = None,
        batch: int,
        pulse: interfaces.Pulse | None = None,
        trail: interfaces.Trail | None = None,
    ) -> None:
        self._trail = trail or interfaces.Untraced()
        self._pulse = pulse or interfaces.Unheard()
        self._journal = journal
        self._publisher = publisher
        self._clock = clock
        self._retry_interval_s = retry_interval_s
        self._poll_interval_s = poll_interval_s or retry_interval_s
        self._batch = batch
        self._changed = threading.Condition()
        self._hinted = True
        self._stopped = False
        self._refused = False
        self._sent = 0
        self._noted = 0
        self._note_at = clock.monotonic()
        self._thread = threading.Thread(
            target=self._run, name='outbox', daemon=True
        )
        journal.subscribe(self._hint)

    def start(self) -> None:
        """Start sending."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Send what is there, if the bus takes it in time, and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _hint(self) -> None:
        with self._changed:
            self._hinted = True
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._hinted = False
                stopping = self._stopped
            self._pulse.beat()
            more = self._try_flush()
            if stopping:
                self._try_note()
                return
            with self._changed:
                if not more and not self._hinted and not self._stopped:
                    rest_s = self._rest_s
                    self._pulse.beat(rest_s)
                    self._clock.wait(self._changed, rest_s)

    @property
    def _rest_s(self) -> float:
        if self._noted == self._sent:
            return self._poll_interval_s
        until_note_s = self._note_at - self._clock.monotonic()
        return max(0.001, min(self._poll_interval_s, until_note_s))

    def _try_note(self) -> None:
        """Note how far it is before the end, if the journal lets it."""
        try:
            self._note()
        except exceptions.JournalUnavailable as exc:
            LOG.warning('Some states will be told again: %s', exc)

    def _try_flush(self) -> bool:
        """Send all there is; return whether to go on without a pause."""
        try:
            while self._flush():
                pass
        except (
            exceptions.PublishFailed,
            exceptions.JournalUnavailable,
        ) as exc:
            if not self._refused:
                LOG.warning(
                    'States are not told for now: %s Nothing is lost; '
                    'trying again every %g s.',
                    exc,
                    self._retry_interval_s,
                )
            self._refused = True
            self._pause()
            return True
        except Exception:
            LOG.exception('Unexpected error while telling states')
            self._pause()
            return True
        if self._refused:
            LOG.info('States are told again.')
            self._refused = False
        return False

    def _pause(self) -> None:
        """Let time pass whatever is hinted at, unless stopped."""
        until = self._clock.monotonic() + self._retry_interval_s
        with self._changed:
            while not self._stopped:
                remaining_s = until - self._clock.monotonic()
                if remaining_s <= 0:
                    return
                self._clock.wait(self._changed, remaining_s)

    def _flush(self) -> bool:
        """Send one batch; return whether there may be more."""
        transitions = self._journal.get_unpublished(
            self._batch, after=self._sent
        )
        try:
            for transition in transitions:
                self._send(transition)
                self._sent = transition.sequence
        except exceptions.PublishFailed:
            self._note()
            raise
        if self._clock.monotonic() >= self._note_at:
            self._note()
        return len(transitions) == self._batch

    def _note(self) -> None:
        if self._noted != self._sent:
            self._journal.mark_published(self._sent)
            self._noted = self._sent
            self._note_at = self._clock.monotonic() + NOTE_INTERVAL_S

    def _send(self, transition: Transition) -> None:
        first = transition.state is State.WAITING and transition.attempt == 0
        if first and transition.origin is Origin.PLATFORM:
            self._publisher.publish(announcement_of(transition))
        with self._trail.step('publish', transition):
            self._publisher.publish(transition)
            LOG.debug(
                'Told of event %s: %s, sequence %d',
                transition.event_id,
                transition.state,
                transition.sequence,
            )


def announcement_of(transition: Transition) -> Announcement:
    """Return the first message of the event that has this transition."""
    return Announcement(
        event_id=transition.event_id,
        operation=transition.operation,
        volume_id=transition.volume_id,
        origin=transition.origin,
        sequence=transition.sequence,
        occurred_at=transition.occurred_at,
    )
