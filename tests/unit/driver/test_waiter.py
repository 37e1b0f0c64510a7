from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import threading
import unittest

from cinder_virtdc.bus.waiter import Waiter
from cinder_virtdc.clock import FakeClock
from cinder_virtdc import exceptions
from tests.unit.driver import builders
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition

transition = builders.transition


class Agent:
    """Answers bulk questions from a dictionary, and counts them."""

    def __init__(self) -> None:
        self.known: dict[str, Transition] = {}
        self.questions: list[Collection[str]] = []
        self.errors: list[Exception] = []
        self.asked = threading.Semaphore(0)

    def get_events(
        self, event_ids: Collection[str]
    ) -> Mapping[str, Transition]:
        self.questions.append(event_ids)
        try:
            if self.errors:
                raise self.errors.pop(0)
            return {
                one: self.known[one] for one in event_ids if one in self.known
            }
        finally:
            self.asked.release()


class WaiterTest(unittest.TestCase):
    def setUp(self) -> None:
        self.agent = Agent()
        self.clock = FakeClock()
        self.waiter = Waiter(self.agent, clock=self.clock, poll_interval_s=3)
        self.waiter.start()
        self.addCleanup(self.waiter.stop)

    def start(self, event_id: str, deadline: float = 100.0) -> builders.Call:
        """Begin to wait for an accepted event."""
        entered = threading.Event()

        def wait() -> Transition:
            with self.waiter.expect(event_id):
                self.waiter.accept(
                    transition(1, State.WAITING, event_id=event_id)
                )
                entered.set()
                return self.waiter.wait(event_id, deadline)

        call = builders.Call(wait)
        entered.wait(builders.TIMEOUT_S)
        return call

    def await_question(self) -> None:
        if not self.agent.asked.acquire(timeout=builders.TIMEOUT_S):
            raise TimeoutError('nothing was asked')

    def test_a_notification_ends_the_wait_without_a_question(self) -> None:
        call = self.start('event-1')
        self.waiter.offer(transition(2))
        self.waiter.offer(transition(3, State.SUCCESS))
        self.assertEqual(3, call.join().sequence)
        self.assertEqual([], self.agent.questions)

    def test_an_end_told_before_the_answer_is_not_lost(self) -> None:
        with self.waiter.expect('event-1'):
            self.waiter.offer(transition(3, State.SUCCESS))
            self.waiter.accept(transition(1, State.WAITING))
            self.assertEqual(3, self.waiter.wait('event-1', 100).sequence)

    def test_an_end_in_the_answer(self) -> None:
        with self.waiter.expect('event-1'):
            self.waiter.accept(transition(3, State.SUCCESS))
            self.assertEqual(3, self.waiter.wait('event-1', 0).sequence)

    def test_order_and_repetition_do_not_matter(self) -> None:
        call = self.start('event-1')
        self.waiter.offer(transition(4, State.FAILED))
        self.waiter.offer(transition(2))
        self.waiter.offer(transition(4, State.FAILED))
        self.assertEqual(State.FAILED, call.join().state)

    def test_what_nobody_waits_for_is_ignored(self) -> None:
        self.waiter.offer(transition(1, State.SUCCESS, event_id='other'))

    def test_a_lost_end_is_asked_for(self) -> None:
        call = self.start('event-1')
        self.agent.known['event-1'] = transition(3, State.SUCCESS)
        self.clock.await_waiters(2)
        self.clock.advance(3)
        self.assertEqual(3, call.join().sequence)

    def test_many_waits_cost_one_question(self) -> None:
        ids = [f'event-{number}' for number in range(50)]
        calls = [self.start(event_id) for event_id in ids]
        for event_id in ids:
            self.agent.known[event_id] = transition(
                9, State.SUCCESS, event_id=event_id
            )
        self.clock.await_waiters(51)
        self.clock.advance(3)
        for call in calls:
            self.assertEqual(9, call.join().sequence)
        self.assertEqual([set(ids)], [set(q) for q in self.agent.questions])

    def test_a_younger_event_is_not_asked_for_yet(self) -> None:
        first = self.start('event-1')
        self.clock.await_waiters(2)
        self.clock.advance(2)
        second = self.start('event-2')
        self.agent.known['event-1'] = transition(3, State.SUCCESS)
        self.clock.await_waiters(3)
        self.clock.advance(1)
        first.join()
        self.assertEqual([['event-1']], self.agent.questions)
        self.assertTrue(second.is_running)
        self.waiter.offer(transition(9, State.SUCCESS, event_id='event-2'))
        second.join()

    def test_it_asks_again_while_the_event_runs(self) -> None:
        call = self.start('event-1')
        self.agent.known['event-1'] = transition(2)
        for _ in range(3):
            self.clock.await_waiters(2)
            self.clock.advance(3)
            self.await_question()
        self.agent.known['event-1'] = transition(3, State.SUCCESS)
        self.clock.await_waiters(2)
        self.clock.advance(3)
        call.join()
        self.assertEqual(4, len(self.agent.questions))

    def test_an_agent_that_is_away_is_asked_again(self) -> None:
        call = self.start('event-1')
        self.agent.errors = [
            exceptions.AgentUnreachable('down'),
            RuntimeError('a bug'),
        ]
        self.agent.known['event-1'] = transition(3, State.SUCCESS)
        with self.assertLogs('cinder_virtdc.bus.waiter', 'WARNING') as logs:
            for _ in range(3):
                self.clock.await_waiters(2)
                self.clock.advance(3)
                self.await_question()
            call.join()
        self.assertEqual(2, len(logs.records))

    def test_an_unknown_event_is_lost_at_once(self) -> None:
        call = self.start('event-1')
        self.clock.await_waiters(2)
        self.clock.advance(3)
        with self.assertRaisesRegex(exceptions.EventLost, 'event-1'):
            call.join()

    def test_an_event_that_is_not_accepted_is_not_asked_for(self) -> None:
        with self.waiter.expect('event-0'):
            call = self.start('event-1')
            self.agent.known['event-1'] = transition(3, State.SUCCESS)
            self.clock.await_waiters(2)
            self.clock.advance(3)
            call.join()
        self.assertEqual([['event-1']], self.agent.questions)

    def test_the_deadline_ends_the_wait_and_says_how_far_it_was(self) -> None:
        call = self.start('event-1', deadline=2.0)
        self.waiter.offer(transition(2, progress=48))
        self.clock.await_waiters(2)
        self.clock.advance(2)
        with self.assertRaisesRegex(exceptions.OperationTimeout, '48 %'):
            call.join()

    def test_stop_ends_every_wait(self) -> None:
        call = self.start('event-1')
        self.waiter.stop()
        with self.assertRaises(exceptions.AgentUnreachable):
            call.join()

    def test_it_rests_while_nobody_waits(self) -> None:
        self.clock.advance(1000)
        self.assertEqual([], self.agent.questions)
