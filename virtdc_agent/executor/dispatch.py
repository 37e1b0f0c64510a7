"""When events are taken: two disciplines over one lane's slots.

``IntervalDispatcher`` is the classic scheme to the letter (R7, R8): every T1
it takes up to N events and runs them together; the next batch is taken when
all of this one have ended, at the latest at T2. ``ContinuousDispatcher``
starts the next event as soon as one has ended, and keeps T1 as the span over
which the policy judges. With durations that differ, the barrier of the
former leaves most slots idle most of the time; that is what the latter is
for.

Both take suspects, of which an agent has died, one at a time and apart from
what is young: nothing else begins until a suspect has ended or has run for
``PROBATION_S``, and it begins only when all that runs has done so. The next
death then convicts the right one, and nobody waits long for it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
import logging
import threading
from typing import Protocol

from virtdc_agent import exceptions
from virtdc_agent.executor.gate import Gate
from virtdc_agent.executor.window import Recorder
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

LOG = logging.getLogger(__name__)

POLL_S = 1.0
"""How often the journal is asked though nothing was heard of it."""
SHARED_POLL_S = 0.25
"""The same, where other agents write to it, who tell us nothing."""
MOST_REST_S = 0.02
"""Longest rest between two takes: see ``ContinuousDispatcher``."""
PROBATION_S = 5.0
EARLY = 0.05
"""An overload ends a window early, once this share of it has passed: what
hurts is not repeated until T1 is over."""


class Permission(Protocol):
    """What a dispatcher asks of its agent's lease."""

    @property
    def is_good(self) -> bool:
        """Whether what is taken is surely this agent's own."""

    @property
    def is_draining(self) -> bool:
        """Whether nothing is to be taken."""


class Dispatcher(abc.ABC):
    """The thread that takes a lane's events and feeds its policy.

    :param begin: starts a claim; returns at once.
    :param changed: notified when a slot is free; guards all state here.
    """

    def __init__(
        self,
        *,
        lane: Lane,
        journal: interfaces.Journal,
        policy: interfaces.Policy,
        gate: Gate,
        recorder: Recorder,
        lease: Permission,
        changed: threading.Condition,
        clock: interfaces.Clock,
        interval_s: float,
        begin: Callable[[model.Claim], None],
        pulse: interfaces.Pulse | None = None,
    ) -> None:
        self._pulse = pulse or interfaces.Unheard()
        self._lane = lane
        self._journal = journal
        self._policy = policy
        self._gate = gate
        self._recorder = recorder
        self._lease = lease
        self._changed = changed
        self._clock = clock
        self._interval_s = interval_s
        self._begin_claim = begin
        self._poll_s = SHARED_POLL_S if journal.is_shared else POLL_S
        self._stopped = False
        self._hinted = True
        self._begun_at = clock.monotonic() - PROBATION_S
        self._suspects = True
        self._unreachable = False
        self._thread = threading.Thread(
            target=self._guarded_run,
            name=f'dispatch-{lane.value}',
            daemon=True,
        )

    @property
    def limit(self) -> int:
        """How many may run at once now."""
        return self._policy.limit

    def use(self, policy: interfaces.Policy) -> None:
        """Have another policy compute the limit from now on."""
        with self._changed:
            self._policy = policy
            self._hinted = True
            self._changed.notify_all()

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

    def look_for_suspects(self) -> None:
        """Say that there may be suspects."""
        with self._changed:
            self._suspects = True
            self._hinted = True
            self._changed.notify_all()

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
                    self._clock.wait(self._changed, self._poll_s)

    @property
    def _may_take(self) -> bool:
        return self._lease.is_good and not self._lease.is_draining

    @property
    def _on_probation_s(self) -> float:
        """For how long still nothing may begin beside what is young."""
        if not self._gate.in_flight:
            return 0.0
        return max(0.0, self._begun_at + PROBATION_S - self._clock.monotonic())

    def _take(self, limit: int) -> int:
        """Claim and begin up to ``limit`` events; return how many."""
        return self._try_take(
            lambda: list(self._journal.claim(self._lane, limit))
        )

    def _take_suspect(self) -> int:
        """Claim and begin a suspect, if there is one; return how many."""

        def ask() -> list[model.Claim]:
            claim = self._journal.claim_suspect(self._lane)
            return [] if claim is None else [claim]

        taken = self._try_take(ask)
        if not taken and not self._unreachable:
            self._suspects = False
        return taken

    def _try_take(self, ask: Callable[[], list[model.Claim]]) -> int:
        try:
            claims = ask()
        except (
            exceptions.JournalUnavailable,
            exceptions.LeaseLost,
        ) as exc:
            if not self._unreachable:
                LOG.warning(
                    'No events can be taken: %s Trying again every %g s.',
                    exc,
                    self._poll_s,
                )
            self._unreachable = True
            return 0
        if self._unreachable:
            LOG.info('Events are taken again.')
            self._unreachable = False
        if claims:
            self._begun_at = self._clock.monotonic()
        for claim in claims:
            self._begin_claim(claim)
        return len(claims)

    def _refresh_suspects(self) -> None:
        """Ask whether there are suspects that nobody told of."""
        try:
            self._suspects = self._journal.count().suspects > 0
        except exceptions.JournalUnavailable:
            # It is asked again, and taking says that it is away.
            pass

    def _judge(self, taken: int, full: bool) -> None:
        policy = self._policy
        before = policy.limit
        after = policy.observe(
            self._recorder.close(limit=before, taken=taken, full=full)
        )
        if after == before:
            return
        LOG.info(
            'The limit of the %s lane is %d now; it was %d.',
            self._lane.value,
            after,
            before,
        )
        if after == 0:
            LOG.error(
                'The limit of the %s lane has become 0: none of its events '
                'will be taken until this agent is restarted. Another policy '
                'than the configured one recovers by itself.',
                self._lane.value,
            )


class ContinuousDispatcher(Dispatcher):
    """Start an event as soon as there is room for it under the limit.

    While others run, it rests after a take for as long as that took: no more
    than half of its time is spent on asking the journal, and operations that
    take no longer than that are taken several at a time.
    """

    def _run(self) -> None:
        now = rested_at = self._clock.monotonic()
        begun_at, judged_at = now, now + self._interval_s
        asked_at = now - self._poll_s
        taken, full = 0, False
        while True:
            # No wait below is longer.
            self._pulse.beat(self._interval_s)
            with self._changed:
                now = self._clock.monotonic()
                if self._stopped:
                    return
                if self._recorder.is_hurt:
                    judged_at = min(
                        judged_at, begun_at + EARLY * self._interval_s
                    )
                ready = self._may_take
                room = self._gate.room(self._policy.limit) if ready else 0
                polls = now - asked_at >= self._poll_s
                held_s = self._on_probation_s if self._suspects else 0.0
                due = room > 0 and not held_s and (self._hinted or polls)
                rest_s = rested_at - now if self._gate.in_flight else 0.0
                if due and 0.0 < rest_s < judged_at - now:
                    self._clock.wait(self._changed, rest_s)
                    continue
                if not due and now < judged_at:
                    until = judged_at
                    if held_s:
                        until = min(until, now + held_s)
                    elif not ready:
                        until = min(until, now + self._poll_s)
                    elif room:
                        until = min(until, asked_at + self._poll_s)
                    self._clock.wait(self._changed, max(0.001, until - now))
                    continue
                if due:
                    # Before asking: what comes in meanwhile must be seen.
                    self._hinted = False
            self._pulse.beat()
            if due:
                asked_at = now
                begun = self._take_due(room, polls)
                ended = self._clock.monotonic()
                rested_at = ended + min(ended - now, MOST_REST_S)
                taken += begun
                if begun == room:
                    full = True
                if begun:
                    with self._changed:
                        self._hinted = True
            if now >= judged_at:
                self._judge(taken, full or self._holds_back())
                begun_at, judged_at = now, now + self._interval_s
                taken, full = 0, False

    def _take_due(self, room: int, polls: bool) -> int:
        if polls and not self._suspects:
            self._refresh_suspects()
        if self._suspects and not self._on_probation_s:
            begun = self._take_suspect()
            if begun:
                return begun
        if self._suspects:
            return 0
        return self._take(room)

    def _holds_back(self) -> bool:
        """Say whether all slots are taken, and something waits for one."""
        if self._gate.room(self._policy.limit):
            return False
        try:
            return self._journal.count().waiting > 0
        except exceptions.JournalUnavailable:
            return False


class IntervalDispatcher(Dispatcher):
    """Every T1 take a batch; run it to its end before the next."""

    def _run(self) -> None:
        tick = self._clock.monotonic() + self._interval_s
        while self._wait_until(tick):
            self._pulse.beat()
            limit = self._policy.limit
            taken = 0
            if self._may_take and self._gate.room(limit):
                self._recorder.begin()
                self._refresh_suspects()
                taken = self._take_suspect() if self._suspects else 0
                taken = taken or self._take(limit)
            if taken:
                with self._changed:
                    while self._gate.in_flight and not self._stopped:
                        self._clock.wait(self._changed, None)
                    if self._stopped:
                        return
                self._judge(taken, taken == limit)
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
                self._pulse.beat(remaining_s)
                self._clock.wait(self._changed, remaining_s)
            return False
