"""What else may come over the bus, and a bus that is not there."""

from __future__ import annotations

import datetime
import time
from typing import Any
import uuid

from oslo_config import cfg
import oslo_messaging

from tests.functional import base
from tools.lab import configuration
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract import rpc
from virtdc_agent.contract import topics

GIB = base.GIB


def create_event(**changes: Any) -> dict[str, Any]:
    """Return the envelope of an event that creates a volume."""
    event = events.Event(
        event_id=str(uuid.uuid4()),
        operation=events.Operation.CREATE,
        volume_id=str(uuid.uuid4()),
        origin=events.Origin.CLOUD,
        parameters=events.CreateParameters(size_bytes=GIB),
        created_at=datetime.datetime.now(datetime.UTC),
    )
    envelope = codec.encode(event)
    return {**envelope, 'data': {**envelope['data'], **changes}}


class BusCase(base.CloudCase):
    def setUp(self) -> None:
        super().setUp()
        # The global object: oslo.messaging keeps options of its own there.
        trust = self.lab.folder / 'test-client.conf'
        configuration.write_sections(trust, self.lab.rabbitmq.client_sections)
        cfg.CONF([], project='virtdc-test', default_config_files=[str(trust)])
        url = f'{self.lab.rabbitmq.private_url}?amqp_durable_queues=true'
        self.calls = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
        self.addCleanup(self.calls.cleanup)
        self.notifications = oslo_messaging.get_notification_transport(
            cfg.CONF, url=url
        )
        self.addCleanup(self.notifications.cleanup)

    def call(self, method: str, **arguments: Any) -> Any:
        """Ask the agent, without a client that would know better."""
        client = oslo_messaging.get_rpc_client(
            self.calls,
            oslo_messaging.Target(
                exchange=topics.EXCHANGE,
                topic=topics.RPC_TOPIC,
                version=topics.RPC_VERSION,
            ),
            timeout=10,
        )
        return client.call({}, method, **arguments)

    def notify(self, payload: Any) -> None:
        """Put something on the topic of notifications."""
        self.notifications._send_notification(
            oslo_messaging.Target(
                exchange=topics.EXCHANGE,
                topic=f'{topics.NOTIFICATION_TOPIC}.'
                f'{topics.NOTIFICATION_PRIORITY}',
            ),
            {},
            {
                'message_id': str(uuid.uuid4()),
                'publisher_id': 'stranger',
                'event_type': 'virtdc.volume.create.success',
                'priority': 'INFO',
                'payload': payload,
                'timestamp': '2026-01-01T00:00:00Z',
            },
            version=2.0,
            retry=0,
        )


class TestCalls(BusCase):
    def test_malformed_events_are_refused_and_leave_nothing(self) -> None:
        before = self.call('get_changes', after=0, limit=1)['last']
        for code, field, event in (
            (
                'malformed',
                'data.operation',
                create_event(operation='explode'),
            ),
            (
                'malformed',
                'data.volume_id',
                create_event(volume_id='../../etc/passwd'),
            ),
            (
                'malformed',
                'data.parameters.size_bytes',
                create_event(parameters={'size_bytes': 2**63}),
            ),
            (
                'malformed',
                'message',
                create_event(
                    parameters={
                        'size_bytes': GIB,
                        'metadata': {str(n): 'x' * 4000 for n in range(99)},
                    }
                ),
            ),
            ('malformed', 'message', 'nonsense'),
            (
                'unsupported_version',
                '',
                {**create_event(), 'version': '2.0'},
            ),
        ):
            with self.subTest(field):
                error = self.call('submit', event=event)['error']
                self.assertEqual(code, error['code'])
                self.assertEqual(field, error['field'])
        after = self.call('get_changes', after=0, limit=1)['last']
        self.assertEqual(before, after)

    def test_the_same_event_many_times_is_one(self) -> None:
        event = create_event()
        answers = [self.call('submit', event=event) for _ in range(5)]
        ids = {answer['item']['data']['event_id'] for answer in answers}
        self.assertEqual({event['data']['event_id']}, ids)
        volume_id = event['data']['volume_id']
        self.until(
            self.file_of(volume_id).exists, 20, lambda: 'no file was made'
        )
        deletion = codec.encode(
            events.Event(
                event_id=str(uuid.uuid4()),
                operation=events.Operation.DELETE,
                volume_id=volume_id,
                origin=events.Origin.CLOUD,
                parameters=events.DeleteParameters(),
                created_at=datetime.datetime.now(datetime.UTC),
            )
        )
        self.call('submit', event=deletion)
        self.until(
            lambda: not self.file_of(volume_id).exists(),
            20,
            lambda: 'the file is still there',
        )

    def test_pages(self) -> None:
        ids = [self.create(f'page-{index}') for index in range(3)]
        for volume_id in ids:
            self.wait(volume_id)
        seen, marker = [], None
        while True:
            page = self.call('get_volumes', marker=marker, limit=1)
            seen += [item['data']['volume_id'] for item in page['items']]
            marker = page['next']
            if marker is None:
                break
        self.assertLessEqual(set(ids), set(seen))
        self.assertEqual(sorted(seen), seen)

    def test_too_many_ids(self) -> None:
        error = self.call('get_events', event_ids=['e'] * (rpc.MAX_IDS + 1))
        self.assertEqual('event_ids', error['error']['field'])


class TestNotifications(BusCase):
    def test_broken_ones_are_passed_over_once(self) -> None:
        logged = len(self.listener.service.log_text())
        transition = {
            'schema': 'virtdc.transition',
            'version': '1.0',
            'data': {'event_id': 'e'},
        }
        for payload in (
            None,
            'nonsense',
            {},
            transition,
            {**transition, 'version': '9.0'},
            {'schema': 'of.somebody.else', 'version': '1.0', 'data': {}},
        ):
            self.notify(payload)
        # What comes behind them is heard.
        volume_id = self.create()
        self.wait(volume_id, state='success')
        self.until(
            lambda: (
                self.listener.service.log_text()[logged:].count('Discarded')
                >= 6
            ),
            20,
            lambda: self.listener.service.log_text()[logged:],
        )
        time.sleep(1)  # a loop would show itself
        self.assertEqual(
            6, self.listener.service.log_text()[logged:].count('Discarded')
        )

    def test_repeated_and_reordered_ones_change_nothing(self) -> None:
        volume_id = self.create()
        shown = self.wait(volume_id, state='success')
        event_id = shown['metadata']['virtdc.event_id']
        history = [
            item
            for item in self.call('get_changes', after=0, limit=1000)['items']
            if item['data']['event_id'] == event_id
        ]
        self.assertEqual(3, len(history))
        for item in [*reversed(history), *history]:
            self.notify(item)
        marker = self.create()
        self.wait(marker, state='success')
        self.assertEqual(shown['metadata'], self.show(volume_id)['metadata'])


class TestBrokerAway(base.CloudCase):
    def test_all_start_without_it_and_find_it(self) -> None:
        """Agent and listener start while the broker is down."""
        broker = self.lab.rabbitmq.service
        self.agent.service.stop()
        self.listener.service.stop()
        broker.stop()
        try:
            self.agent.service.start(wait=False)
            self.listener.service.start(wait=False)
            self.until(
                lambda: 'runs:' in self.agent.service.log_text(),
                20,
                lambda: self.agent.service.log_text(),
            )
            self.assertTrue(self.agent.service.is_running())
            self.assertTrue(self.listener.service.is_running())
        finally:
            broker.start()
        self.agent.service.wait_ready()
        self.listener.service.wait_ready()
        volume_id = self.create()
        self.wait(volume_id, state='success', timeout_s=90)
