from __future__ import annotations

from collections.abc import Mapping
import unittest

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.clock import FakeClock
from cinder_virtdc import exceptions
from tests.unit.driver import builders
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract.events import State
from virtdc_agent.contract import rpc
from virtdc_agent.contract.rpc import ErrorCode


class Answers:
    """Answers every call with the same."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def call(
        self, method: str, arguments: Mapping[str, object], timeout_s: float
    ) -> object:
        return self._answer


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        self.agent = FakeAgent()
        self.clock = FakeClock(moves_itself=True)
        self.client = builders.client_of(self.agent, self.clock)

    def test_submit_returns_the_first_transition(self) -> None:
        transition = self.client.submit(builders.event())
        self.assertEqual(State.WAITING, transition.state)
        self.assertEqual('event-1', transition.event_id)

    def test_submit_asks_again_with_the_same_id(self) -> None:
        self.agent.answers_to_drop = 3
        self.client.submit(builders.event())
        self.assertEqual(['submit'] * 4, self.agent.calls)
        self.assertEqual(['event-1'], list(self.agent.events))
        self.assertEqual(1, len(self.agent.history))

    def test_submit_gives_up_when_its_time_is_over(self) -> None:
        self.agent.is_down = True
        with self.assertRaisesRegex(exceptions.AgentUnreachable, 'down'):
            self.client.submit(builders.event())
        self.assertLessEqual(self.clock.monotonic(), 15.0)
        self.assertGreater(self.clock.monotonic(), 10.0)
        self.assertEqual({}, self.agent.events)

    def test_submit_asks_again_while_the_agent_is_unavailable(self) -> None:
        self.agent.refusal = rpc.Refusal(
            code=ErrorCode.UNAVAILABLE, message='The journal is full.'
        )
        with self.assertRaisesRegex(exceptions.AgentRefused, 'full'):
            self.client.submit(builders.event())
        self.assertGreater(len(self.agent.calls), 10)

    def test_submit_does_not_repeat_what_was_refused(self) -> None:
        self.agent.refusal = rpc.Refusal(
            code=ErrorCode.MALFORMED, message='data.x: bad', field='data.x'
        )
        with self.assertRaises(exceptions.AgentRefused) as caught:
            self.client.submit(builders.event())
        self.assertEqual(ErrorCode.MALFORMED, caught.exception.code)
        self.assertEqual('data.x', caught.exception.field)
        self.assertEqual(['submit'], self.agent.calls)

    def test_another_version_is_told_and_not_asked_again(self) -> None:
        self.agent.speaks_our_version = False
        with self.assertRaises(exceptions.ContractMismatch):
            self.client.submit(builders.event())
        self.assertEqual(['submit'], self.agent.calls)

    def test_a_refused_version_is_a_mismatch(self) -> None:
        self.agent.refusal = rpc.Refusal(
            code=ErrorCode.UNSUPPORTED_VERSION, message='Upgrade.'
        )
        with self.assertRaisesRegex(exceptions.ContractMismatch, 'Upgrade'):
            self.client.submit(builders.event())

    def test_get_events_asks_in_chunks_and_leaves_out_unknown(self) -> None:
        for number in range(3):
            self.agent.submit(builders.event(f'event-{number}'))
        ids = [f'event-{number}' for number in range(2 * rpc.MAX_IDS + 1)]
        found = self.client.get_events(ids)
        self.assertEqual(['event-0', 'event-1', 'event-2'], list(found))
        self.assertEqual(['get_events'] * 3, self.agent.calls)

    def test_get_changes(self) -> None:
        self.agent.submit(builders.event())
        self.agent.run('event-1')
        self.agent.finish('event-1')
        changes = self.client.get_changes(1, 1)
        self.assertEqual([2], [one.sequence for one in changes.transitions])
        self.assertEqual((1, 3), (changes.oldest, changes.last))
        self.assertEqual(2, changes.reached)
        self.assertEqual(0, self.client.get_changes(3).reached)

    def test_what_a_newer_agent_can_do_is_passed_over(self) -> None:
        items = [codec.encode(builders.transition(n)) for n in range(1, 5)]
        for number in (1, 3):
            data = items[number]['data']
            assert isinstance(data, dict)
            data['operation'] = 'shelve'
        client = AgentClient(
            Answers({'items': items, 'oldest': 1, 'last': 9}),
            clock=self.clock,
            submit_timeout_s=1,
            rpc_timeout_s=1,
        )
        with self.assertLogs('cinder_virtdc.bus.client', 'WARNING') as logs:
            changes = client.get_changes(0)
        self.assertEqual([1, 3], [one.sequence for one in changes.transitions])
        self.assertEqual(4, changes.reached)
        self.assertEqual(2, len(logs.records))
        self.assertIn('shelve', logs.output[0])

    def test_cancel(self) -> None:
        self.client.submit(builders.event())
        cancelled = self.client.cancel('event-1')
        self.assertEqual(events.Reason.CANCELLED, cancelled.reason)
        with self.assertRaises(exceptions.AgentRefused) as caught:
            self.client.cancel('event-2')
        self.assertEqual(ErrorCode.NOT_FOUND, caught.exception.code)

    def test_get_volumes_reads_all_pages(self) -> None:
        self.agent.automatic = True
        ids = [f'volume-{number:04}' for number in range(rpc.MAX_PAGE + 5)]
        for volume_id in ids:
            self.agent.submit(
                builders.event(f'e-{volume_id}', volume_id=volume_id)
            )
        found = [volume.volume_id for volume in self.client.get_volumes()]
        self.assertEqual(ids, found)

    def test_get_connection_and_capacity(self) -> None:
        self.assertEqual('fake', self.client.get_capacity().agent)
        connection = self.client.get_connection('volume-1', 'host')
        self.assertEqual('nfs', connection['driver_volume_type'])

    def test_get_connection_outlasts_a_restart(self) -> None:
        self.agent.answers_to_drop = 2
        connection = self.client.get_connection('volume-1', 'host')
        self.assertEqual('nfs', connection['driver_volume_type'])
        self.assertEqual(['get_connection'] * 3, self.agent.calls)

    def test_await_agent_outlasts_a_restart(self) -> None:
        self.agent.answers_to_drop = 2
        self.assertEqual('fake', self.client.await_agent().agent)

    def test_answers_that_are_none_are_mismatches(self) -> None:
        for answer in (None, [], {}, {'item': 1}, {'item': {'schema': 'x'}}):
            client = AgentClient(
                Answers(answer),
                clock=self.clock,
                submit_timeout_s=1.0,
                rpc_timeout_s=1.0,
            )
            with (
                self.subTest(answer=answer),
                self.assertRaisesRegex(
                    exceptions.ContractMismatch, 'get_capacity'
                ),
            ):
                client.get_capacity()
            with (
                self.subTest(answer=answer),
                self.assertRaises(exceptions.ContractMismatch),
            ):
                client.get_changes(0)
