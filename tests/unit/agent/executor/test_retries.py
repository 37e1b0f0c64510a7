"""What is tried again, and for how long."""

from __future__ import annotations

from tests.unit.agent import builders
from tests.unit.agent.executor.test_executor import ExecutorCase
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor.timing import Budget
from virtdc_agent.executor.timing import Retries
from virtdc_agent.executor.timing import Timing
from virtdc_agent.policies.fixed import FixedPolicy

BUSY = exceptions.BackendBusy('too much to do')


class TestRetries(ExecutorCase):
    def setUp(self) -> None:
        super().setUp()
        self.retries = Retries(most=2, base_s=1.0, longest_s=10.0)

    def begin(self):
        self.backend.hold.add('v')
        self.start()
        event = builders.create('v')
        self.submit(event)
        return event

    def fail_once(self, error: Exception = BUSY) -> None:
        held = self.backend.held('v')
        held.fail(error)
        self.until(lambda: self.backend.held_now() != ['v'])

    def test_what_is_busy_is_tried_again(self) -> None:
        event = self.begin()
        self.fail_once()
        self.until(lambda: self.executor.in_flight == 0)
        self.assertIs(State.RUNNING, self.latest(event).state)
        self.advance(1.0)
        self.backend.held('v').finish()
        ended = self.wait(event)
        self.assertEqual(2, ended.attempt)
        states = [
            one.state
            for one in self.journal.get_changes(0, 100).transitions
            if one.event_id == event.event_id
        ]
        self.assertEqual(
            [State.WAITING, State.RUNNING, State.RUNNING, State.SUCCESS],
            states,
        )

    def test_not_for_ever(self) -> None:
        event = self.begin()
        for pause_s in (1.0, 2.0):
            self.fail_once()
            self.until(lambda: self.executor.in_flight == 0)
            self.advance(pause_s)
        self.fail_once()
        ended = self.wait(event, State.FAILED)
        self.assertEqual(
            (Reason.BACKEND, 3, 'too much to do'),
            (ended.reason, ended.attempt, ended.message),
        )

    def test_not_what_will_not_change(self) -> None:
        event = self.begin()
        self.fail_once(exceptions.BackendUnavailable('full'))
        self.assertEqual(1, self.wait(event, State.FAILED).attempt)

    def test_the_slot_is_others_meanwhile(self) -> None:
        self.policy = FixedPolicy(1)
        event = self.begin()
        self.fail_once()
        other = builders.create('w')
        self.submit(other)
        self.wait(other)
        self.advance(1.0)
        self.backend.held('v').finish()
        self.wait(event)

    def test_a_cancel_ends_the_pause(self) -> None:
        self.retries = Retries(most=2, base_s=50.0, longest_s=50.0)
        event = self.begin()
        self.fail_once()
        self.until(lambda: self.executor.in_flight == 0)
        self.journal.cancel(event.event_id)
        self.tick_until(lambda: self.latest(event).state.is_final)
        ended = self.latest(event)
        self.assertIs(Reason.CANCELLED, ended.reason)
        self.assertEqual(1, ended.attempt)

    def test_none_that_would_begin_after_the_deadline(self) -> None:
        self.retries = Retries(most=9, base_s=100.0, longest_s=100.0)
        event = self.begin()
        self.fail_once()
        ended = self.wait(event, State.FAILED)
        self.assertEqual((Reason.BACKEND, 1), (ended.reason, ended.attempt))


class TestExtension(ExecutorCase):
    timing = Timing(
        timeout_s=60.0,
        timeouts_s={'create-copy': 100.0},
        extendable=['create-copy'],
        cap_s=250.0,
        lease_s=6000.0,
    )

    def begin(self):
        self.backend.hold.add('v')
        self.start()
        event = builders.create('v', provisioning=Provisioning.THICK)
        self.submit(event)
        return event, self.backend.held('v')

    def test_progress_moves_the_deadline(self) -> None:
        event, held = self.begin()
        for done in (1, 2):
            self.advance(90.0)
            held.context.report(done, 10)
        self.assertIs(State.RUNNING, self.latest(event).state)
        held.finish()
        self.wait(event)

    def test_standing_still_does_not(self) -> None:
        event, held = self.begin()
        self.advance(90.0)
        held.context.report(1, 10)
        self.advance(90.0)
        held.context.report(1, 10)
        self.advance(10.0)
        ended = self.wait(event, State.FAILED)
        self.assertIs(Reason.TIMEOUT, ended.reason)
        self.assertIn('No progress within 100 s', ended.message)

    def test_there_is_a_cap(self) -> None:
        event, held = self.begin()
        for done in range(1, 4):
            self.advance(80.0)
            held.context.report(done, 10)
        self.advance(10.0)
        ended = self.wait(event, State.FAILED)
        self.assertIn('within 250 s, the most there is', ended.message)

    def test_others_have_their_own_time(self) -> None:
        self.backend.hold.add('q')
        self.start()
        event = builders.create('q')
        self.submit(event)
        held = self.backend.held('q')
        self.advance(50.0)
        held.context.report(1, 10)
        self.advance(10.0)
        self.assertIs(Reason.TIMEOUT, self.wait(event, State.FAILED).reason)


class TestBudget(ExecutorCase):
    def test_a_cap_below_the_timeout_is_the_timeout(self) -> None:
        budget = Budget(timeout_s=10.0, is_extendable=True, cap_s=5.0)
        self.assertEqual(10.0, budget.deadline(0.0, 1.0))

    def test_pauses_double_up_to_a_bound(self) -> None:
        retries = Retries(most=9, base_s=1.0, longest_s=5.0)
        self.assertEqual(
            [1.0, 2.0, 4.0, 5.0],
            [retries.pause_s(n, 1.0) for n in range(1, 5)],
        )
        self.assertEqual(0.0, retries.pause_s(3, 0.0))
