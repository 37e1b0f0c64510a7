from __future__ import annotations

import importlib
import json
import threading
from typing import Any
import unittest
import urllib.parse

from oslo_config import cfg

from cinder_virtdc.cloud.sdk import SdkCloud
from cinder_virtdc import exceptions
from cinder_virtdc import opts

# Where Cinder was imported, eventlet has put a green copy in the place of the
# name "http.server".
SERVER: Any = importlib.import_module('http.server')

VOLUME = {
    'id': 'volume-1',
    'status': 'available',
    'size': 1,
    'metadata': {'mine': '1'},
    'attachments': [],
}


class Api(SERVER.BaseHTTPRequestHandler):
    """Answers on loopback what the test wants answered."""

    answers: list[tuple[int, Any]]
    requests: list[tuple[str, str, Any]]

    def answer(self) -> None:
        length = int(self.headers.get('Content-Length') or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.requests.append((self.command, self.path, body))
        status, content = self.answers.pop(0) if self.answers else (500, {})
        text = json.dumps(content).encode() if content is not None else b''
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *args: object) -> None:
        pass


class CloudCase(unittest.TestCase):
    def setUp(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.requests: list[tuple[str, str, Any]] = []
        handler = type(
            'Handler',
            (Api,),
            {'answers': self.answers, 'requests': self.requests},
        )
        self.server = SERVER.ThreadingHTTPServer(('127.0.0.1', 0), handler)
        thread = threading.Thread(
            target=self.server.serve_forever, args=[0.01]
        )
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)
        port = self.server.server_address[1]
        self.cloud = self.make_cloud(
            auth_type='admin_token',
            endpoint=f'http://127.0.0.1:{port}/v3/project',
            token='admin:project',
        )

    def make_cloud(self, **options: str) -> SdkCloud:
        conf = cfg.ConfigOpts()
        opts.register_listener_opts(conf)
        conf([], default_config_files=[])
        auth = options.get('auth_type')
        if auth:
            conf.set_override('auth_type', auth, 'cinder')
            from keystoneauth1 import loading

            conf.register_opts(
                loading.get_auth_plugin_conf_options(auth), 'cinder'
            )
        for name, value in options.items():
            conf.set_override(name, value, 'cinder')
        return SdkCloud.from_config(conf)

    def asked(self) -> list[tuple[str, str]]:
        """Return the requests but for those that look for versions."""
        return [
            (method, path.removeprefix('/v3/project'))
            for method, path, _ in self.requests
            if '/volumes' in path
        ]


class CloudTest(CloudCase):
    def test_list_in_pages(self) -> None:
        second = {
            **VOLUME,
            'id': 'volume-2',
            'os-vol-mig-status-attr:name_id': 'data-2',
        }
        self.answers += [
            (200, {'volumes': [VOLUME], 'volumes_links': [{'rel': 'next'}]}),
            (200, {'volumes': [second]}),
        ]
        found = list(self.cloud.list_volumes(host='h@b', status='error'))
        self.assertEqual(
            ['volume-1', 'data-2'], [one.platform_id for one in found]
        )
        queries = [
            urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
            for _, path in self.asked()
        ]
        self.assertEqual(['1'], queries[0]['all_tenants'])
        self.assertEqual(['h@b'], queries[0]['host'])
        self.assertEqual(['error'], queries[0]['status'])
        self.assertNotIn('marker', queries[0])
        self.assertEqual(['volume-1'], queries[1]['marker'])

    def test_what_a_volume_is(self) -> None:
        for rest, plain, attached in (
            ({}, True, False),
            ({'attachments': [{}]}, True, True),
            ({'encrypted': True}, False, False),
            ({'volume_image_metadata': {'a': 'b'}}, False, False),
            ({'migration_status': 'migrating'}, False, False),
            ({'migration_status': 'success'}, True, False),
            ({'migration_status': None}, True, False),
        ):
            with self.subTest(rest=rest):
                self.answers.append((200, {'volume': {**VOLUME, **rest}}))
                found = self.cloud.get_volume('volume-1')
                self.assertEqual(plain, found.is_plain)
                self.assertEqual(attached, found.is_attached)
                self.assertEqual({'mine': '1'}, found.properties)

    def test_whether_a_volume_is_a_copy(self) -> None:
        for rest, copy in (
            ({}, False),
            ({'source_volid': None, 'snapshot_id': None}, False),
            ({'source_volid': 'x'}, True),
            ({'snapshot_id': 'x'}, True),
        ):
            with self.subTest(rest=rest):
                self.answers.append((200, {'volume': {**VOLUME, **rest}}))
                found = self.cloud.get_volume('volume-1')
                self.assertEqual(copy, found.is_copy)
                self.assertTrue(found.is_plain)

    def test_properties_are_merged_never_replaced(self) -> None:
        self.answers.append((200, {'metadata': {}}))
        self.cloud.set_properties('volume-1', {'virtdc.state': 'running'})
        self.assertEqual(
            (
                'POST',
                '/v3/project/volumes/volume-1/metadata',
                {'metadata': {'virtdc.state': 'running'}},
            ),
            self.requests[-1],
        )

    def test_remove_a_property(self) -> None:
        self.answers.append((200, None))
        self.cloud.remove_property('volume-1', 'virtdc.reason')
        self.assertEqual(
            ('DELETE', '/volumes/volume-1/metadata/virtdc.reason'),
            self.asked()[-1],
        )

    def test_a_property_that_is_not_there_is_fine(self) -> None:
        self.answers += [(404, {}), (200, {'volume': VOLUME})]
        self.cloud.remove_property('volume-1', 'virtdc.reason')
        self.answers += [(404, {}), (404, {})]
        with self.assertRaises(exceptions.VolumeGone):
            self.cloud.remove_property('volume-1', 'virtdc.reason')

    def test_make_available(self) -> None:
        self.answers.append((202, None))
        self.cloud.make_available('volume-1')
        self.assertEqual(
            (
                'POST',
                '/v3/project/volumes/volume-1/action',
                {'os-reset_status': {'status': 'available'}},
            ),
            self.requests[-1],
        )

    def test_errors(self) -> None:
        for status, kind in (
            (404, exceptions.VolumeGone),
            (400, exceptions.NotNow),
            (409, exceptions.NotNow),
            (403, exceptions.CloudForbids),
            (401, exceptions.CloudForbids),
            (500, exceptions.CloudUnavailable),
            (503, exceptions.CloudUnavailable),
            (413, exceptions.CloudUnavailable),
        ):
            with self.subTest(status=status):
                # 401 makes the library ask once more.
                self.answers[:] = [(status, {'why': 'words'})] * 2
                with self.assertRaisesRegex(kind, 'words|refused'):
                    self.cloud.get_volume('volume-1')

    def test_nobody_there(self) -> None:
        cloud = self.make_cloud(
            auth_type='admin_token',
            endpoint='http://127.0.0.1:1/v3/project',
            token='x',
        )
        with self.assertRaises(exceptions.CloudUnavailable):
            cloud.get_volume('volume-1')

    def test_credentials_that_cannot_work(self) -> None:
        for options, words in (
            ({}, 'auth_type is not set'),
            ({'auth_type': 'password'}, 'auth_url'),
        ):
            with (
                self.subTest(words=words),
                self.assertRaisesRegex(exceptions.ConfigInvalid, words),
            ):
                self.make_cloud(**options)

    def test_a_plugin_that_does_not_exist(self) -> None:
        conf = cfg.ConfigOpts()
        opts.register_listener_opts(conf)
        conf([], default_config_files=[])
        conf.set_override('auth_type', 'nonsense', 'cinder')
        with self.assertRaisesRegex(exceptions.ConfigInvalid, 'nonsense'):
            SdkCloud.from_config(conf)
