"""Puts policy, gate, dispatcher, workers and watch together."""

from __future__ import annotations

from concurrent import futures
import dataclasses
import logging
import threading

from virtdc_agent.executor import dispatch
from virtdc_agent.executor.gate import Gate
from virtdc_agent.executor.gate import MAX_ABANDONED
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.operation import RunningOperation
from virtdc_agent.executor.operation import Withdrawal
from virtdc_agent.executor.watch import Watch
from virtdc_agent.executor.worker import Worker
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)

MAX_LIMIT = 1000
LET_GO_S = 5.0
"""How long an interrupted operation is given to stop when draining."""

DISPATCHERS: dict[str, type[dispatch.Dispatcher]] = {
    'continuous': dispatch.ContinuousDispatcher,
    'interval': dispatch.IntervalDispatcher,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The executor's settings, all in seconds.

    :param interval_s: T1.
    :param timeout_s: T2.
    """

    interval_s: float = 2.0
    timeout_s: float = 60.0
    lease_s: float = 60.0
    progress_interval_s: float = 1.0


class Executor:
    """Executes what the journal holds, as fast as the policy allows.

    :param discipline: ``continuous`` or ``interval``.
    """

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        handlers: Handlers,
        policy: interfaces.Policy,
        clock: interfaces.Clock,
        timing: Timing,
        discipline: str,
    ) -> None:
        self._clock = clock
        self._timing = timing
        self._changed = threading.Condition()
        self._gate = Gate(self._changed)
        # Idle threads are used again; new ones are made only as needed.
        self._threads = futures.ThreadPoolExecutor(
            max_workers=MAX_LIMIT + 2 * MAX_ABANDONED,
            thread_name_prefix='worker',
        )
        self._worker = Worker(
            journal=journal,
            handlers=handlers,
            clock=clock,
            timeout_s=timing.timeout_s,
        )
        self._watch = Watch(
            journal=journal,
            clock=clock,
            give_up=self._give_up,
            progress_interval_s=timing.progress_interval_s,
            lease_s=timing.lease_s,
        )
        self._dispatcher = DISPATCHERS[discipline](
            journal=journal,
            policy=policy,
            gate=self._gate,
            changed=self._changed,
            clock=clock,
            interval_s=timing.interval_s,
            begin=self._begin,
        )
        journal.subscribe(self._dispatcher.hint)

    @property
    def in_flight(self) -> int:
        """How many operations run under the limit."""
        return self._gate.in_flight

    @property
    def abandoned(self) -> int:
        """How many were given up while the storage is still at them."""
        return self._gate.abandoned

    def start(self) -> None:
        """Start executing."""
        self._watch.start()
        self._dispatcher.start()

    def drain(self, timeout_s: float) -> bool:
        """Take no more, let finish what runs, put back what does not.

        :param timeout_s: how long what runs may go on.
        :returns: whether everything has ended; if not, the storage does not
            let go of something, which is taken up again at the next start.
        """
        self._dispatcher.stop()
        if not self._wait_idle(timeout_s):
            LOG.warning(
                '%d operations are not finished after %g s; they are '
                'interrupted and go back to waiting.',
                self._gate.in_flight,
                timeout_s,
            )
            self._watch.withdraw_all(Withdrawal.INTERRUPTED)
            self._wait_idle(LET_GO_S)
        self._worker.stop()
        self._watch.stop()
        idle = not self._gate.in_flight and not self._gate.abandoned
        self._threads.shutdown(wait=idle, cancel_futures=True)
        return idle

    def _wait_idle(self, timeout_s: float) -> bool:
        until = self._clock.monotonic() + timeout_s
        with self._changed:
            while self._gate.in_flight:
                remaining_s = until - self._clock.monotonic()
                if remaining_s <= 0:
                    return False
                self._clock.wait(self._changed, remaining_s)
            return True

    def _begin(self, claim: model.Claim) -> None:
        operation = RunningOperation(
            claim,
            clock=self._clock,
            deadline=self._clock.monotonic() + self._timing.timeout_s,
            in_flight=self._gate.enter(),
        )
        self._watch.add(operation)
        self._threads.submit(self._run, operation)

    def _run(self, operation: RunningOperation) -> None:
        try:
            own, signal = self._worker.run(operation)
        except Exception:
            # Nothing below may fail so; if it does, the slot is not lost.
            LOG.exception('Unexpected error in a worker')
            own, signal = operation.take_end(), model.Signal.IGNORED
        self._watch.remove(operation)
        if own:
            self._dispatcher.ended(self._sample(operation, signal))
            self._gate.leave()
        else:
            self._gate.let_go()

    def _give_up(self, operation: RunningOperation) -> None:
        self._threads.submit(self._end_late, operation)

    def _end_late(self, operation: RunningOperation) -> None:
        self._worker.give_up(operation)
        self._dispatcher.ended(
            self._sample(operation, model.Signal.OVERLOADED)
        )
        self._gate.abandon()

    def _sample(
        self, operation: RunningOperation, signal: model.Signal
    ) -> model.Sample:
        return model.Sample(
            operation=operation.claim.event.operation,
            signal=signal,
            duration_s=self._clock.monotonic() - operation.started,
            in_flight=operation.in_flight,
        )
