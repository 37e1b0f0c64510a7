from __future__ import annotations

import unittest

from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.bus.runner import EventRunner
from cinder_virtdc.bus.waiter import Waiter
from cinder_virtdc.clock import FakeClock
from cinder_virtdc import exceptions
from tests.unit.driver import builders
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition


class RunnerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.agent = FakeAgent()
        self.clock = FakeClock()
        client = builders.client_of(self.agent)
        self.waiter = Waiter(client, clock=self.clock, poll_interval_s=3)
        self.waiter.start()
        self.addCleanup(self.waiter.stop)
        self.agent.subscribers.append(self.waiter.offer)
        self.runner = EventRunner(
            client, self.waiter, clock=self.clock, operation_timeout_s=3600
        )

    def run_event(self) -> builders.Call:
        call = builders.Call(self.runner.run, builders.event())
        self.agent.await_events(1)
        return call

    def test_success(self) -> None:
        call = self.run_event()
        self.agent.run('event-1', 10)
        self.assertTrue(call.is_running)
        self.agent.finish('event-1')
        self.assertEqual(State.SUCCESS, call.join().state)

    def test_failure_says_why(self) -> None:
        call = self.run_event()
        self.agent.fail('event-1', Reason.REJECTED, 'Too large: ask for less.')
        with self.assertRaises(exceptions.OperationFailed) as caught:
            call.join()
        self.assertEqual('Too large: ask for less.', str(caught.exception))
        self.assertTrue(caught.exception.is_rejected)

    def test_a_failure_without_words_has_some(self) -> None:
        call = self.run_event()
        self.agent.fail('event-1', message='')
        with self.assertRaisesRegex(
            exceptions.OperationFailed, 'create volume volume-1'
        ):
            call.join()

    def test_messages_lost(self) -> None:
        self.agent.tells = False
        call = self.run_event()
        self.agent.finish('event-1')
        self.clock.await_waiters(2)
        self.clock.advance(3)
        self.assertEqual(State.SUCCESS, call.join().state)

    def test_messages_repeated_and_out_of_order(self) -> None:
        self.agent.tells = False
        call = self.run_event()
        self.agent.run('event-1')
        self.agent.finish('event-1')
        told: list[Transition] = [*self.agent.history[::-1]] * 2
        for transition in told:
            self.waiter.offer(transition)
        self.assertEqual(State.SUCCESS, call.join().state)

    def test_the_answer_lost_and_the_end_told(self) -> None:
        self.agent.automatic = True
        self.agent.answers_to_drop = 2
        self.assertEqual(
            State.SUCCESS, self.runner.run(builders.event()).state
        )
        self.assertEqual(1, len(self.agent.events))

    def test_an_agent_that_goes_away_and_comes_back(self) -> None:
        call = self.run_event()
        self.agent.is_down = True
        self.agent.tells = False
        with self.assertLogs('cinder_virtdc.bus.waiter', 'WARNING'):
            self.clock.await_waiters(2)
            self.clock.advance(3)
            self.agent.await_calls('get_events', 1)
            self.clock.await_waiters(2)
        self.agent.is_down = False
        self.agent.finish('event-1')
        self.clock.advance(3)
        self.assertEqual(State.SUCCESS, call.join().state)

    def test_an_agent_that_forgot(self) -> None:
        call = self.run_event()
        self.clock.await_waiters(2)
        self.agent.forget()
        self.clock.advance(3)
        with self.assertRaises(exceptions.EventLost):
            call.join()

    def test_what_takes_too_long_is_withdrawn(self) -> None:
        call = self.run_event()
        self.clock.await_waiters(2)
        self.clock.advance(3600)
        with self.assertRaises(exceptions.OperationTimeout):
            call.join()
        latest = self.agent.latest('event-1')
        assert latest is not None
        self.assertEqual(Reason.CANCELLED, latest.reason)

    def test_what_cannot_be_withdrawn_is_logged(self) -> None:
        call = self.run_event()
        self.clock.await_waiters(2)
        self.agent.is_down = True
        with self.assertLogs('cinder_virtdc.bus.runner', 'WARNING') as logs:
            self.clock.advance(3600)
            with self.assertRaises(exceptions.OperationTimeout):
                call.join()
        self.assertIn('event-1', logs.output[0])

    def test_nobody_there(self) -> None:
        self.agent.is_down = True
        with self.assertRaises(exceptions.AgentUnreachable):
            self.runner.run(builders.event())
        self.assertEqual({}, self.agent.events)
