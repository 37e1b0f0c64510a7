"""Keeps this agent's lease, and looks after what others have left."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)

SAFETY = 0.1
"""Share of the lease that is not relied on: clocks may differ in pace, and
what was checked just before its end still has to be done."""
RETRY_S = 1.0


class Lease:
    """The agent's right to act, in time.

    It says until when the lease surely lasts, measured from before its
    renewal was asked for, on a clock that goes on while the process is
    stopped. So an agent that was paused knows on waking, without asking,
    that others may have taken over. A thread of its own renews it three times
    as often as is needed; nothing that waits for the storage holds it up.

    :param on_takeover: called when something was taken over from an agent
        that is gone, itself in a former life included.
    :param on_lapse: called when the lease had ended in between: what was
        begun before may be others' by now.
    :param on_end: called when another life of this agent has begun.
    """

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        clock: interfaces.Clock,
        lease_s: float,
        on_takeover: Callable[[model.Takeover], None],
        on_lapse: Callable[[], None],
        on_end: Callable[[], None],
        pulse: interfaces.Pulse | None = None,
    ) -> None:
        self._pulse = pulse or interfaces.Unheard()
        self._journal = journal
        self._clock = clock
        self._lease_s = lease_s
        self._on_takeover = on_takeover
        self._on_lapse = on_lapse
        self._on_end = on_end
        self._changed = threading.Condition()
        self._good_until = clock.monotonic()
        self._is_draining = False
        self._stopped = False
        self._refused = False
        self._thread = threading.Thread(
            target=self._run, name='lease', daemon=True
        )

    @property
    def is_good(self) -> bool:
        """Whether what this agent holds is surely its own."""
        return self._clock.monotonic() < self._good_until

    @property
    def is_draining(self) -> bool:
        """Whether an operator wants this agent to take no more."""
        return self._is_draining

    def start(self) -> None:
        """Join, take over from the dead, and keep the lease from now on.

        :raises JournalUnavailable: it cannot be had now.
        """
        asked = self._clock.monotonic()
        taken = self._journal.join()
        self._extend(asked)
        self._take_over(taken)
        self._tend()
        self._thread.start()

    def stop(self) -> None:
        """Renew no more, and tell the others."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._journal.leave()
        except exceptions.JournalUnavailable as exc:
            LOG.warning('The others are not told of the end: %s', exc)

    def _run(self) -> None:
        pause_s = self._lease_s / 3
        while True:
            with self._changed:
                if not self._stopped:
                    self._pulse.beat(pause_s)
                    self._clock.wait(self._changed, pause_s)
                if self._stopped:
                    return
            self._pulse.beat()
            try:
                self._tend()
                pause_s = self._lease_s / 3
                if self._refused:
                    LOG.info('The lease is renewed again.')
                self._refused = False
            except exceptions.LeaseLost as exc:
                LOG.error('This agent has to end: %s', exc)
                self._on_end()
                return
            except exceptions.JournalUnavailable as exc:
                if not self._refused:
                    LOG.warning('The lease is not renewed: %s', exc)
                self._refused = True
                pause_s = min(RETRY_S, self._lease_s / 3)
            except Exception:
                LOG.exception('Unexpected error while renewing the lease')

    def _tend(self) -> None:
        asked = self._clock.monotonic()
        membership = self._journal.renew()
        if membership.is_new:
            LOG.warning(
                'The lease had ended before it was renewed; what ran until '
                'then is given up.'
            )
            self._on_lapse()
        self._extend(asked)
        if membership.is_draining != self._is_draining:
            LOG.info(
                'An operator has this agent %s.',
                'drained: it takes no more events'
                if membership.is_draining
                else 'resumed: it takes events again',
            )
            self._is_draining = membership.is_draining
        self._take_over(self._journal.take_over())

    def _extend(self, asked: float) -> None:
        self._good_until = asked + self._lease_s * (1 - SAFETY)

    def _take_over(self, taken: model.Takeover) -> None:
        if not taken.agents:
            return
        LOG.warning(
            'Taken over from %s: %d events wait again, %d are given up.',
            ', '.join(taken.agents),
            len(taken.returned),
            len(taken.lost),
        )
        for lost in taken.lost:
            LOG.error(
                'Event %s (%s of volume %s) is lost: agents died of it. See '
                '"virtdc-manage alarm list".',
                lost.event_id,
                lost.operation,
                lost.volume_id,
            )
        self._on_takeover(taken)


class Unlimited:
    """A lease that never ends; for tests of what is under one."""

    is_good = True
    is_draining = False
