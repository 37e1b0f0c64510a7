from __future__ import annotations

import socket
import time
import unittest
import uuid

from oslo_config import cfg
import oslo_messaging

from cinder_virtdc.bus.caller import BusCaller
from cinder_virtdc.bus import session
from cinder_virtdc import exceptions
from virtdc_agent.contract import topics


class Endpoint:
    target = oslo_messaging.Target(version='1.0')

    def get_capacity(self, context: object) -> object:
        return {'item': 'full'}

    def cancel(self, context: object, event_id: str) -> object:
        raise RuntimeError('a bug of the agent')


class BusCallerTest(unittest.TestCase):
    """Over oslo.messaging's in-process bus, and over none at all."""

    def setUp(self) -> None:
        # The library looks for options of its own in the global object.
        self.conf = cfg.CONF
        self.conf([], default_config_files=[])
        self.addCleanup(self.conf.reset)
        self.topic = f'topic-{uuid.uuid4()}'

    def caller(self, url: str) -> BusCaller:
        calls, _ = session.open_transports(self.conf, url, option='x')
        return BusCaller(calls, topic=self.topic)

    def serve(self, endpoint: object) -> None:
        calls, _ = session.open_transports(self.conf, 'fake:', option='x')
        server = oslo_messaging.get_rpc_server(
            calls,
            oslo_messaging.Target(
                exchange=topics.EXCHANGE, topic=self.topic, server='agent'
            ),
            [endpoint],
            executor='threading',
        )
        server.start()
        self.addCleanup(server.wait)
        self.addCleanup(server.stop)

    def test_an_answer(self) -> None:
        self.serve(Endpoint())
        self.assertEqual(
            {'item': 'full'}, self.caller('fake:').call('get_capacity', {}, 10)
        )

    def test_a_call_that_the_agent_does_not_know(self) -> None:
        self.serve(Endpoint())
        with self.assertRaisesRegex(
            exceptions.ContractMismatch, 'upgrade the older side'
        ):
            self.caller('fake:').call('no_such_call', {}, 10)

    def test_another_major_version(self) -> None:
        endpoint = Endpoint()
        endpoint.target = oslo_messaging.Target(version='2.0')
        self.serve(endpoint)
        with self.assertRaises(exceptions.ContractMismatch):
            self.caller('fake:').call('get_capacity', {}, 10)

    def test_an_exception_over_the_bus(self) -> None:
        self.serve(Endpoint())
        with self.assertRaisesRegex(
            exceptions.AgentUnreachable, 'RuntimeError'
        ):
            self.caller('fake:').call('cancel', {'event_id': 'x'}, 10)

    def test_nobody_answers(self) -> None:
        with self.assertRaisesRegex(
            exceptions.AgentUnreachable, f'{self.topic}.*virtdc-agent runs'
        ):
            self.caller('fake:').call('get_capacity', {}, 0.05)

    def test_no_broker_is_told_in_time(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        caller = self.caller(f'rabbit://user:secret@127.0.0.1:{port}/virtdc')
        for _ in range(2):
            begun = time.monotonic()
            with self.assertRaises(exceptions.AgentUnreachable) as caught:
                caller.call('get_capacity', {}, 0.1)
            self.assertLess(time.monotonic() - begun, 5)
            self.assertNotIn('secret', str(caught.exception))

    def test_an_address_that_is_none(self) -> None:
        for url in ('rabbit://secret@host:port', 'nobus://secret@host'):
            with (
                self.subTest(url=url),
                self.assertRaisesRegex(
                    exceptions.ConfigInvalid, 'x cannot be used'
                ) as caught,
            ):
                session.open_transports(self.conf, url, option='x')
            self.assertNotIn('secret', str(caught.exception))
