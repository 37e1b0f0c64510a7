"""What the listener tells of itself."""

from __future__ import annotations

import types
import unittest

from cinder_virtdc.bus.subscription import NotificationEndpoint
from cinder_virtdc.clock import FakeClock
from cinder_virtdc import exceptions
from cinder_virtdc.listener import metering
from tests.unit.agent import builders
from virtdc_agent.contract import codec
from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring.catalogue import Kind


class TestCatalogue(unittest.TestCase):
    def test_names_follow_the_conventions_of_prometheus(self) -> None:
        for metric in metering.METRICS:
            with self.subTest(metric.name):
                self.assertRegex(metric.name, r'^virtdc_listener_[a-z_]+$')
                self.assertEqual(
                    metric.kind is Kind.COUNTER,
                    metric.name.endswith('_total'),
                )
                self.assertTrue(metric.meaning.endswith('.'))


class TestMeter(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = FakeClock()
        self.board = Board(metering.METRICS)
        self.meter = metering.BoardMeter(self.board, self.clock)
        self.board.read_from(self.meter.read)

    def value(self, name: str, **labels: str) -> float | None:
        return self.board.registry.get_sample_value(
            f'virtdc_listener_{name}', labels
        )

    def test_what_is_heard_and_what_is_not_understood(self) -> None:
        heard: list[object] = []
        endpoint = NotificationEndpoint(heard.append, meter=self.meter)
        good = codec.encode(builders.transition())
        for payload in (good, {**good, 'version': '9.0'}, 'nonsense'):
            endpoint.info({}, 'agent', 'x', payload, {})
        self.assertEqual(1, len(heard))
        self.assertEqual(
            1.0, self.value('notifications_total', kind='transition')
        )
        for reason in ('version', 'malformed'):
            self.assertEqual(1.0, self.value('rejected_total', reason=reason))

    def test_when_the_agent_was_last_heard(self) -> None:
        answers: list[object] = ['pong']

        def call(method: str, arguments: object, timeout_s: float) -> object:
            if not answers:
                raise exceptions.AgentUnreachable('away')
            return answers.pop()

        caller = metering.MeteredCaller(
            types.SimpleNamespace(call=call), self.meter
        )
        self.assertIsNone(self.value('agent_contact_age_seconds'))
        caller.call('describe', {}, 1.0)
        self.clock.advance(7)
        with self.assertRaises(exceptions.AgentUnreachable):
            caller.call('describe', {}, 1.0)
        self.assertEqual(7.0, self.value('agent_contact_age_seconds'))
        self.assertEqual(
            1.0,
            self.value(
                'agent_calls_total', method='describe', outcome='failed'
            ),
        )

    def test_requests_to_cinder(self) -> None:
        self.meter.requested('GET', 200, 0.2)
        self.meter.requested('GET', None, 10.0)
        for status in ('200', 'none'):
            self.assertEqual(
                1.0,
                self.value(
                    'cinder_requests_total', method='GET', status=status
                ),
            )
        self.assertAlmostEqual(
            10.2, self.value('cinder_request_seconds_sum', method='GET')
        )

    def test_what_is_done_every_so_often(self) -> None:
        self.meter.tried('resync', 'put_off', 0.1)
        self.assertIsNone(self.value('task_age_seconds', task='resync'))
        self.meter.tried('resync', 'done', 2.0)
        self.meter.compared(10, 12, 3)
        self.clock.advance(5)
        self.assertEqual(5.0, self.value('task_age_seconds', task='resync'))
        self.assertEqual(3.0, self.value('drift_volumes'))
        self.assertEqual(12.0, self.value('compared_volumes', side='platform'))

    def test_the_parts(self) -> None:
        relay = types.SimpleNamespace(
            outlet_name='log', sent={'raised': 2}, failed=1
        )
        self.board.read_from(
            lambda: metering.read_parts(
                version='1',
                follower=types.SimpleNamespace(cursor=40, behind=2),
                syncer=types.SimpleNamespace(backlog=3),
                relays=[relay],
            )
        )
        self.assertEqual(40.0, self.value('sequence'))
        self.assertEqual(
            2.0, self.value('alarms_told_total', outlet='log', change='raised')
        )
        self.assertEqual(1.0, self.value('alarm_failures_total', outlet='log'))
