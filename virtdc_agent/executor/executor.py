"""Puts lanes, workers, watch and lease together."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import contextlib
import logging
import random
import threading

from virtdc_agent.executor import dispatch
from virtdc_agent.executor.gate import Gate
from virtdc_agent.executor.gate import MAX_ABANDONED
from virtdc_agent.executor.gate import MAX_PAUSED
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.lease import Lease
from virtdc_agent.executor.operation import RunningOperation
from virtdc_agent.executor.operation import Withdrawal
from virtdc_agent.executor.timing import Retries
from virtdc_agent.executor.timing import Timing
from virtdc_agent.executor.watch import Watch
from virtdc_agent.executor.window import Recorder
from virtdc_agent.executor.worker import Worker
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent import scheduling
from virtdc_agent.scheduling import Lane

LOG = logging.getLogger(__name__)

MAX_LIMIT = 1000
LET_GO_S = 5.0
"""How long an interrupted operation is given to stop when draining."""

DISPATCHERS: dict[str, type[dispatch.Dispatcher]] = {
    'continuous': dispatch.ContinuousDispatcher,
    'interval': dispatch.IntervalDispatcher,
}


def _no_pulse(name: str) -> interfaces.Pulse:
    return interfaces.Unheard()


class _Lane:
    """A lane's slots: its gate, its dispatcher, and what its policy sees."""

    def __init__(
        self,
        lane: Lane,
        *,
        kind: type[dispatch.Dispatcher],
        journal: interfaces.Journal,
        policy: interfaces.Policy,
        lease: Lease,
        clock: interfaces.Clock,
        interval_s: float,
        begin: Callable[[model.Claim], None],
        pulse: interfaces.Pulse,
    ) -> None:
        # Of its own: a lane's slots are no news to the other.
        self.changed = threading.Condition()
        self._clock = clock
        self.gate = Gate(self.changed, clock)
        self.recorder = Recorder(self.gate, clock)
        self.dispatcher = kind(
            lane=lane,
            journal=journal,
            policy=policy,
            gate=self.gate,
            recorder=self.recorder,
            lease=lease,
            changed=self.changed,
            clock=clock,
            interval_s=interval_s,
            begin=begin,
            pulse=pulse,
        )

    @property
    def area(self) -> float:
        """See ``worker.Slot``."""
        return self.gate.area

    def ended(self, operation: RunningOperation, signal: model.Signal) -> None:
        """See ``worker.Slot``."""
        self.recorder.end(operation, signal)

    @contextlib.contextmanager
    def paused(
        self, operation: RunningOperation, signal: model.Signal
    ) -> Iterator[None]:
        """See ``worker.Slot``."""
        self.recorder.end(operation, signal)
        lent = self.gate.pause()
        try:
            yield
        finally:
            if lent:
                self.gate.resume(
                    lambda: self.dispatcher.limit, operation.deadline
                )
            self.recorder.add(operation)

    def wait_idle(self, until: float) -> bool:
        """Wait until nothing runs; say whether that is so in time."""
        with self.changed:
            while self.gate.in_flight or self.gate.paused:
                remaining_s = until - self._clock.monotonic()
                if remaining_s <= 0:
                    return False
                self._clock.wait(self.changed, remaining_s)
            return True


class Executor:
    """Executes what the journal holds, as fast as the policies allow.

    :param policies: one for each lane.
    :param discipline: ``continuous`` or ``interval``.
    :param sweep: called after something was taken over from a dead agent:
        removes what it left in the storage.
    :param on_end: called when this agent has to end, since another one of
        its name has begun.
    :param pulse_of: returns the pulse of a loop, by its name.
    """

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        handlers: Handlers,
        policies: Mapping[Lane, interfaces.Policy],
        clock: interfaces.Clock,
        timing: Timing,
        discipline: str,
        retries: Retries | None = None,
        sweep: Callable[[], None] = lambda: None,
        on_end: Callable[[], None] = lambda: None,
        dice: Callable[[], float] = random.random,
        meter: interfaces.Meter | None = None,
        pulse_of: Callable[[str], interfaces.Pulse] = _no_pulse,
        trail: interfaces.Trail | None = None,
    ) -> None:
        self._trail = trail or interfaces.Untraced()
        self._clock = clock
        self._meter = meter or interfaces.Meter()
        self._timing = timing
        self._sweep = sweep
        self._on_end = on_end
        # Idle threads are used again; new ones are made only as needed.
        self._threads = futures.ThreadPoolExecutor(
            max_workers=MAX_LIMIT
            + len(Lane) * (2 * MAX_ABANDONED + MAX_PAUSED),
            thread_name_prefix='worker',
        )
        self._worker = Worker(
            journal=journal,
            handlers=handlers,
            clock=clock,
            retries=retries or Retries(),
            dice=dice,
            meter=self._meter,
        )
        self._watch = Watch(
            journal=journal,
            clock=clock,
            give_up=self._give_up,
            progress_interval_s=timing.progress_interval_s,
        )
        self._lease = Lease(
            journal=journal,
            clock=clock,
            lease_s=timing.lease_s,
            on_takeover=self._took_over,
            on_lapse=self._lapsed,
            on_end=self._ended_by_another,
            pulse=pulse_of('lease'),
        )
        self._lanes = {
            lane: _Lane(
                lane,
                kind=DISPATCHERS[discipline],
                journal=journal,
                policy=policies[lane],
                lease=self._lease,
                clock=clock,
                interval_s=timing.interval_s,
                begin=self._begin,
                pulse=pulse_of(f'dispatch-{lane.value}'),
            )
            for lane in Lane
        }
        for name, lane in self._lanes.items():
            journal.subscribe(lane.dispatcher.hint, name)

    @property
    def in_flight(self) -> int:
        """How many operations run under the limits."""
        return sum(lane.gate.in_flight for lane in self._lanes.values())

    @property
    def abandoned(self) -> int:
        """How many were given up while the storage is still at them."""
        return sum(lane.gate.abandoned for lane in self._lanes.values())

    @property
    def running(self) -> Sequence[model.RunningFacts]:
        """How what runs is doing, the oldest first."""
        return self._watch.look()

    @property
    def has_lease(self) -> bool:
        """Whether what this agent does is surely its own to do."""
        return self._lease.is_good

    @property
    def is_draining(self) -> bool:
        """Whether an operator wants no more events to be taken."""
        return self._lease.is_draining

    @property
    def lanes(self) -> Mapping[Lane, model.LaneFacts]:
        """How each lane is doing now."""
        return {
            name: model.LaneFacts(
                limit=lane.dispatcher.limit,
                in_flight=lane.gate.in_flight,
                paused=lane.gate.paused,
                abandoned=lane.gate.abandoned,
            )
            for name, lane in self._lanes.items()
        }

    @property
    def limits(self) -> Mapping[Lane, int]:
        """How many may run at once now."""
        return {
            name: lane.dispatcher.limit for name, lane in self._lanes.items()
        }

    def use(self, policies: Mapping[Lane, interfaces.Policy]) -> None:
        """Have other policies compute the limits of these lanes from now on.

        What runs goes on, also beyond a limit that is lower now.
        """
        for name, policy in policies.items():
            self._lanes[name].dispatcher.use(policy)

    def start(self) -> None:
        """Join the journal's agents, and start executing.

        :raises JournalUnavailable: it cannot be joined now.
        """
        self._lease.start()
        self._watch.start()
        for lane in self._lanes.values():
            lane.dispatcher.start()

    def drain(self, timeout_s: float) -> bool:
        """Take no more, let finish what runs, put back what does not.

        :param timeout_s: how long what runs may go on.
        :returns: whether everything has ended; if not, the storage does not
            let go of something, which is taken up again at the next start.
        """
        for lane in self._lanes.values():
            lane.dispatcher.stop()
        if not self._wait_idle(timeout_s):
            LOG.warning(
                '%d operations are not finished after %g s; they are '
                'interrupted and go back to waiting.',
                self.in_flight,
                timeout_s,
            )
            self._watch.withdraw_all(Withdrawal.INTERRUPTED)
            self._wait_idle(LET_GO_S)
        self._worker.stop()
        self._watch.stop()
        self._lease.stop()
        idle = not self.in_flight and not self.abandoned
        self._threads.shutdown(wait=idle, cancel_futures=True)
        return idle

    def _wait_idle(self, timeout_s: float) -> bool:
        until = self._clock.monotonic() + timeout_s
        idle = True
        for lane in self._lanes.values():
            idle &= lane.wait_idle(until)
        return idle

    def _begin(self, claim: model.Claim) -> None:
        lane = self._lanes[claim.lane]
        lane.gate.enter()
        operation = RunningOperation(
            claim,
            clock=self._clock,
            budget=self._timing.budget_of(
                scheduling.kind_of(claim.event, claim.lane)
            ),
            lease=self._lease,
            area=lane.gate.area,
        )
        lane.recorder.add(operation)
        self._meter.begun(claim, self._waited_s(claim))
        self._watch.add(operation)
        self._threads.submit(self._run, operation, lane)

    def _waited_s(self, claim: model.Claim) -> float | None:
        if claim.attempt > 1:
            return None
        return (self._clock.now() - claim.event.created_at).total_seconds()

    def _run(self, operation: RunningOperation, lane: _Lane) -> None:
        event = operation.claim.event
        with self._trail.step('run', event) as span:
            operation.on_phase = span.phase
            self._work(operation, lane)

    def _work(self, operation: RunningOperation, lane: _Lane) -> None:
        try:
            own = self._worker.run(operation, lane)
        except Exception:
            # Nothing below may fail so; if it does, the slot is not lost.
            LOG.exception('Unexpected error in a worker')
            own = operation.take_end()
            lane.recorder.end(operation, model.Signal.IGNORED)
        self._watch.remove(operation)
        if own:
            lane.gate.leave()
        else:
            lane.gate.let_go()

    def _give_up(self, operation: RunningOperation) -> None:
        self._threads.submit(self._end_late, operation)

    def _end_late(self, operation: RunningOperation) -> None:
        lane = self._lanes[operation.claim.lane]
        with self._trail.step('give up', operation.claim.event):
            self._worker.give_up(operation)
        lane.recorder.end(operation, model.Signal.OVERLOADED)
        lane.gate.abandon()

    def _took_over(self, taken: model.Takeover) -> None:
        for lost in taken.lost:
            self._meter.lost(lost)
        self._sweep()
        for lane in self._lanes.values():
            lane.dispatcher.look_for_suspects()

    def _lapsed(self) -> None:
        self._watch.withdraw_all(Withdrawal.LEASE_LOST)

    def _ended_by_another(self) -> None:
        self._watch.withdraw_all(Withdrawal.LEASE_LOST)
        self._on_end()
