from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
import threading
from typing import Any
import unittest

from cinder_virtdc.alarms.reports import Report
from cinder_virtdc.alarms.webhook import Webhook
from cinder_virtdc.clock import FakeClock
from cinder_virtdc import exceptions
from virtdc_agent.contract.alarms import AlarmChange

# Cinder, where it is imported, puts a green copy in this name's place.
SERVER: Any = importlib.import_module('http.server')
SECRET = 'a secret of enough bytes'
REPORT = Report(
    change=AlarmChange.RAISED,
    payload={
        'alarm_id': 'a',
        'revision': 1,
        'resource_id': 'volume-1',
        'updated_at': '2026-01-01T00:00:00+00:00',
    },
)


class WebhookTest(unittest.TestCase):
    def setUp(self) -> None:
        self.status = 204
        self.requests: list[tuple[dict[str, str], bytes]] = []
        test = self

        class Handler(SERVER.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers['Content-Length'])
                body = self.rfile.read(length)
                test.requests.append((dict(self.headers), body))
                self.send_response(test.status)
                self.send_header('Location', 'http://127.0.0.1:1/')
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = SERVER.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        thread = threading.Thread(
            target=self.server.serve_forever, args=[0.01]
        )
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        self.port = self.server.server_address[1]

    def hook(self, url: str = '', **rest: Any) -> Webhook:
        return Webhook(
            url or f'http://127.0.0.1:{self.port}/hook?a=b',
            SECRET,
            clock=FakeClock(),
            **{'allowed': ['127.0.0.0/8'], **rest},
        )

    def test_a_post_is_signed(self) -> None:
        self.hook().send(REPORT)
        [(headers, body)] = self.requests
        signed = '.'.join(
            (
                headers['webhook-id'],
                headers['webhook-timestamp'],
                body.decode(),
            )
        )
        digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256)
        self.assertEqual(
            'v1,' + base64.b64encode(digest.digest()).decode(),
            headers['webhook-signature'],
        )
        self.assertEqual('virtdc.alarm.raised', json.loads(body)['type'])

    def test_refusals_and_redirects_are_failures(self) -> None:
        for self.status in (302, 400, 500):
            with self.subTest(self.status):
                with self.assertRaises(exceptions.OutletFailed):
                    self.hook().send(REPORT)

    def test_inner_addresses_are_not_reached(self) -> None:
        for url in (
            f'http://127.0.0.1:{self.port}/',
            f'https://127.0.0.1:{self.port}/',
            f'https://localhost:{self.port}/',
            'https://169.254.169.254/',
            'https://[::ffff:10.0.0.1]/',
            'https://10.1.2.3/',
        ):
            with self.subTest(url):
                with self.assertRaisesRegex(
                    exceptions.OutletFailed, 'inner address'
                ):
                    self.hook(url, allowed=[]).send(REPORT)
        self.assertEqual([], self.requests)

    def test_what_cannot_be_used(self) -> None:
        for url, secret, networks in (
            ('ftp://host/', SECRET, []),
            ('https:///x', SECRET, []),
            ('https://user:pw@host/', SECRET, []),
            ('https://host/', 'short', []),
            ('https://host/', SECRET, ['300.0.0.0/8']),
        ):
            with self.subTest(url):
                with self.assertRaises(exceptions.ConfigInvalid):
                    Webhook(url, secret, clock=FakeClock(), allowed=networks)
