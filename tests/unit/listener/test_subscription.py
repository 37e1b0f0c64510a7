from __future__ import annotations

import threading
from typing import Any
import unittest
import uuid

from oslo_config import cfg
import oslo_messaging

from cinder_virtdc.bus import session
from cinder_virtdc.bus.subscription import NotificationEndpoint
from cinder_virtdc.bus.subscription import Subscription
from tests.unit.driver.builders import transition
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract import topics

HANDLED = oslo_messaging.NotificationResult.HANDLED


class EndpointTest(unittest.TestCase):
    def setUp(self) -> None:
        self.taken: list[events.Notification] = []
        self.endpoint = NotificationEndpoint(self.taken.append)

    def tell(self, payload: object) -> str:
        return self.endpoint.info(
            {}, 'virtdc-agent.a', 'type', payload, {'message_id': 'm-1'}
        )

    def test_a_transition_and_an_announcement(self) -> None:
        told = [
            transition(1),
            events.Announcement(
                event_id='event-1',
                operation=events.Operation.CREATE,
                volume_id='volume-1',
                origin=events.Origin.PLATFORM,
                sequence=1,
                occurred_at=transition(1).occurred_at,
            ),
        ]
        for notification in told:
            self.assertEqual(HANDLED, self.tell(codec.encode(notification)))
        self.assertEqual(told, self.taken)

    def test_what_is_broken_is_recorded_and_acknowledged(self) -> None:
        good = codec.encode(transition(1))
        data: Any = good['data']
        for payload, words in (
            (None, 'message'),
            ([], 'message'),
            ('text', 'message'),
            ({}, 'field schema'),
            ({**good, 'data': {}}, 'field data.'),
            ({**good, 'data': {**data, 'state': 'paused'}}, 'data.state'),
            ({**good, 'data': {**data, 'sequence': -1}}, 'data.sequence'),
            ({**good, 'data': {**data, 'operation': 'x'}}, 'data.operation'),
            ({**good, 'version': '2.0'}, 'version 2.0'),
            ({**good, 'schema': 'virtdc.unknown'}, 'virtdc.unknown'),
            ({**good, 'data': {**data, 'phase': 'x' * 10**6}}, 'bytes'),
        ):
            with (
                self.subTest(words=words),
                self.assertLogs(
                    'cinder_virtdc.bus.subscription', 'WARNING'
                ) as logs,
            ):
                self.assertEqual(HANDLED, self.tell(payload))
                self.assertIn(words, logs.output[0])
                self.assertIn('m-1', logs.output[0])
        self.assertEqual([], self.taken)
        self.assertEqual(11, self.endpoint.discarded)

    def test_a_bug_behind_it_does_not_bring_the_message_back(self) -> None:
        def broken(notification: events.Notification) -> None:
            raise RuntimeError('a bug')

        endpoint = NotificationEndpoint(broken)
        with self.assertLogs('cinder_virtdc.bus.subscription', 'ERROR'):
            result = endpoint.info(
                {}, 'a', 'type', codec.encode(transition(1)), {}
            )
        self.assertEqual(HANDLED, result)

    def test_only_the_one_priority_is_listened_to(self) -> None:
        for priority in ('debug', 'audit', 'warn', 'error', 'critical'):
            self.assertFalse(hasattr(self.endpoint, priority))


class SubscriptionTest(unittest.TestCase):
    def test_from_a_bus_to_the_sink(self) -> None:
        cfg.CONF([], default_config_files=[])
        self.addCleanup(cfg.CONF.reset)
        oslo_messaging.set_transport_defaults(topics.EXCHANGE)
        _, transport = session.open_transports(cfg.CONF, 'fake:', option='x')
        topic = f'topic-{uuid.uuid4()}'
        taken: list[events.Notification] = []
        came = threading.Semaphore(0)

        def take(notification: events.Notification) -> None:
            taken.append(notification)
            came.release()

        subscription = Subscription(
            transport,
            topic=topic,
            endpoint=NotificationEndpoint(take),
            executor='threading',
        )
        subscription.start()
        subscription._thread.join(10)
        self.addCleanup(subscription.stop)
        notifier = oslo_messaging.Notifier(
            transport, 'virtdc-agent.a', driver='messagingv2', topics=[topic]
        )
        with self.assertLogs('cinder_virtdc.bus.subscription', 'WARNING'):
            notifier.info({}, 'type', {'broken': True})
            notifier.info({}, 'type', codec.encode(transition(1)))
            self.assertTrue(came.acquire(timeout=10))
        self.assertEqual([transition(1)], taken)
