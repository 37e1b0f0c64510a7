"""When events are taken: two disciplines over one set of slots.

``IntervalDispatcher`` is the classic scheme to the letter (R7, R8): every T1
it takes up to N events and runs them together; the next batch is taken when
all of this one have ended, at the latest at T2. ``ContinuousDispatcher``
starts the next event as soon as one has ended, and keeps T1 as the span over
which the policy judges. With durations that differ, the barrier of the
former leaves most slots idle most of the time; that is what the latter is
for.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
import logging
import threading

from virtdc_agent import exceptions
from virtdc_agent.executor.gate import Gate
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)

POLL_S = 1.0
"""How often the journal is asked though nothing was heard of it: other
agents' work frees volumes too, and tells us nothing."""


class Dispatcher(abc.ABC):
    """The thread that takes events and feeds the policy.

    :param begin: starts a claim; returns at once.
    :param changed: notified when a slot is free; guards all state here.
    """

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        policy: interfaces.Policy,
        gate: Gate,
        changed: threading.Condition,
        clock: interfaces.Clock,
        interval_s: float,
        begin: Callable[[model.Claim], None],
    ) -> None:
        self._journal = journal
        self._policy = policy
        self._gate = gate
        self._changed = changed
        self._clock = clock
        self._interval_s = interval_s
        self._begin = begin
        self._stopped = False
        self._hinted = True
        self._samples: list[model.Sample] = []
        self._unreachable = False
        self._thread = threading.Thread(
            target=self._guarded_run, name='dispatch', daemon=True
        )

    def start(self) -> None:
        """Start taking events."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more; return when none is being taken."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def hint(self) -> None:
        """Say that there may be something to take. Never blocks for long."""
        with self._changed:
            self._hinted = True
            self._changed.notify_all()

    def ended(self, sample: model.Sample) -> None:
        """Note how an operation ended."""
        with self._changed:
            self._samples.append(sample)

    @abc.abstractmethod
    def _run(self) -> None:
        """Take events until stopped."""

    def _guarded_run(self) -> None:
        while True:
            try:
                self._run()
                return
            except Exception:
                # Without this thread the agent is dead without knowing it.
                LOG.exception('Unexpected error while taking events')
                with self._changed:
                    if self._stopped:
                        return
                    self._clock.wait(self._changed, POLL_S)

    def _take(self, limit: int) -> int:
        """Claim and begin up to ``limit`` events; return how many."""
        try:
            claims = self._journal.claim(limit)
        except exceptions.JournalUnavailable as exc:
            if not self._unreachable:
                LOG.warning(
                    'No events can be taken: %s Trying again every %g s.',
                    exc,
                    POLL_S,
                )
            self._unreachable = True
            return 0
        if self._unreachable:
            LOG.info('Events are taken again.')
            self._unreachable = False
        for claim in claims:
            self._begin(claim)
        return len(claims)

    def _judge(self, taken: int, full: bool, duration_s: float) -> None:
        with self._changed:
            samples, self._samples = self._samples, []
        before = self._policy.limit
        after = self._policy.observe(
            model.Window(
                limit=before,
                taken=taken,
                full=full,
                samples=tuple(samples),
                duration_s=duration_s,
            )
        )
        if after != before:
            LOG.info('The limit is %d now; it was %d.', after, before)
        if after == 0 and before > 0:
            LOG.error(
                'The limit has become 0: no event will be taken until this '
                'agent is restarted. Another policy than the configured one '
                'recovers by itself.'
            )


class ContinuousDispatcher(Dispatcher):
    """Start an event as soon as there is room for it under the limit."""

    def _run(self) -> None:
        window_start = self._clock.monotonic()
        taken, full = 0, False
        asked_at = window_start - POLL_S
        while True:
            with self._changed:
                now = self._clock.monotonic()
                room = self._gate.room(self._policy.limit)
                due = self._hinted or now - asked_at >= POLL_S
                if self._stopped:
                    return
                judged_in_s = window_start + self._interval_s - now
                if judged_in_s > 0 and not (room and due):
                    self._clock.wait(
                        self._changed,
                        min(
                            judged_in_s,
                            max(0.001, asked_at + POLL_S - now)
                            if room
                            else judged_in_s,
                        ),
                    )
                    continue
                if room and due:
                    # Before asking: what comes in meanwhile must be seen.
                    self._hinted = False
            if room and due:
                asked_at = now
                begun = self._take(room)
                taken += begun
                if begun == room:
                    full = True
                    with self._changed:
                        self._hinted = True
            if judged_in_s <= 0:
                self._judge(taken, full, now - window_start)
                window_start, taken, full = now, 0, False


class IntervalDispatcher(Dispatcher):
    """Every T1 take a batch; run it to its end before the next."""

    def _run(self) -> None:
        tick = self._clock.monotonic() + self._interval_s
        while self._wait_until(tick):
            started = self._clock.monotonic()
            limit = self._policy.limit
            taken = self._take(limit) if self._gate.room(limit) else 0
            if taken:
                with self._changed:
                    while self._gate.in_flight and not self._stopped:
                        self._clock.wait(self._changed, None)
                    if self._stopped:
                        return
                self._judge(
                    taken, taken == limit, self._clock.monotonic() - started
                )
            # Ticks that fell into the batch are let pass; the grid stays.
            now = self._clock.monotonic()
            missed = max(0.0, now - tick) // self._interval_s
            tick += (missed + 1) * self._interval_s

    def _wait_until(self, tick: float) -> bool:
        """Wait for a time; return ``False`` if stopped before."""
        with self._changed:
            while not self._stopped:
                remaining_s = tick - self._clock.monotonic()
                if remaining_s <= 0:
                    return True
                self._clock.wait(self._changed, remaining_s)
            return False
