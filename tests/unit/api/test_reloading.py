"""What of the API's configuration changes while it runs."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
import unittest
import urllib.error
import urllib.request

from tests.unit.api import base
from virtdc_agent.api import making
from virtdc_agent.api import tokens
from virtdc_agent import exceptions
from virtdc_agent import opts


class ReloadingCase(base.ApiCase):
    def setUp(self) -> None:
        super().setUp()
        opts.register_opts(self.conf)
        self.token = self.write_token('tokens', 'alice')
        self.set(tokens_file=str(self.folder / 'tokens'), bind_port=0)

    def set(self, **options) -> None:
        for name, value in options.items():
            self.conf.set_override(name, value, group='api')

    def write_token(self, file: str, name: str) -> str:
        path = self.folder / file
        token, entry = tokens.make(name, ['admin'], '')
        path.touch(0o600)
        path.write_text(entry.line)
        return token

    def serve(self) -> making.Api:
        platform = self.platform
        api = making.Api(
            self.conf,
            journal=platform.journal,
            keeping=platform.keeping,
            intake=platform.intake,
            clock=platform.clock,
            operations=platform.operations,
            describe=platform.describe,
            pools=platform.pools,
            exporters=platform.exporters,
            manageables=platform.manageables,
            limits=platform.limits,
            others_write=False,
        )
        self.server = api.make_server()
        self.server.start()
        self.addCleanup(self.server.stop)
        return api

    def status(self, token: str, path: str = '/v1/me') -> int:
        request = urllib.request.Request(
            f'http://127.0.0.1:{self.server.port}{path}',
            headers={'X-Auth-Token': token},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as exc:
            exc.close()
            return exc.code


class TestReloading(ReloadingCase):
    def test_rates(self) -> None:
        self.set(rate_per_s=0.001, burst=2)
        api = self.serve()
        self.assertEqual(
            [200, 200, 429], [self.status(self.token) for _ in range(3)]
        )
        self.set(rate_per_s=0.0)
        api.reload()
        self.assertEqual(
            [200] * 5, [self.status(self.token) for _ in range(5)]
        )

    def test_tokens(self) -> None:
        api = self.serve()
        other = self.write_token('others', 'bob')
        self.assertEqual(401, self.status(other))
        self.set(tokens_file=str(self.folder / 'others'))
        api.reload()
        self.assertEqual(200, self.status(other))
        self.assertEqual(401, self.status(self.token))

    def test_watchers_and_their_threads(self) -> None:
        self.set(threads=1, max_watchers=1)
        api = self.serve()
        last = self.journal.get_changes(0, 1).last
        path = f'/v1/changes?after={last}&wait=30'
        answers: list[int] = []

        def follow() -> None:
            answers.append(self.status(self.token, path))

        def start(number: int) -> threading.Thread:
            thread = threading.Thread(target=follow)
            thread.start()
            pause = threading.Event()
            while self.clock.waiters < number:
                pause.wait(0.001)
            return thread

        # One waits for the end of its time; the server's watchman does, too.
        first = start(2)
        self.assertEqual(503, self.status(self.token, path))
        self.set(max_watchers=2)
        api.reload()
        second = start(3)
        self.assertEqual(503, self.status(self.token, path))
        self.put_volume()
        for thread in (first, second):
            thread.join(60)
        self.assertEqual([200, 200], answers)
        self.set(threads=2, max_watchers=1)
        api.reload()
        self.assertEqual(200, self.status(self.token))

    def test_what_cannot_be_used_changes_nothing(self) -> None:
        self.set(rate_per_s=0.001, burst=2)
        api = self.serve()
        self.set(rate_per_s=0.0, tokens_file='/nonexistent')
        with self.assertRaisesRegex(exceptions.ConfigInvalid, 'tokens_file'):
            api.reload()
        self.assertEqual(
            [200, 200, 429], [self.status(self.token) for _ in range(3)]
        )

    def test_tls_is_not_taken_up(self) -> None:
        api = self.serve()
        self.set(tls_certificate_file='/c', tls_key_file='/k')
        with self.assertRaisesRegex(exceptions.ConfigInvalid, 'restarted'):
            api.reload()


@unittest.skipUnless(shutil.which('openssl'), 'there is no openssl')
class TestCertificate(ReloadingCase):
    def make_certificate(self, name: str) -> None:
        subprocess.run(
            [
                *('openssl', 'req', '-x509', '-nodes', '-days', '1'),
                *('-newkey', 'ec', '-pkeyopt'),
                *('ec_paramgen_curve:prime256v1', '-subj', f'/CN={name}'),
                *('-keyout', self.folder / 'key', '-out'),
                self.folder / 'certificate',
            ],
            check=True,
            capture_output=True,
        )

    def shown(self) -> str:
        return ssl.get_server_certificate(('127.0.0.1', self.server.port))

    def test_a_renewed_one_is_shown(self) -> None:
        self.set(
            tls_certificate_file=str(self.folder / 'certificate'),
            tls_key_file=str(self.folder / 'key'),
        )
        self.make_certificate('first')
        api = self.serve()
        first = self.shown()
        self.make_certificate('second')
        self.assertEqual(first, self.shown())
        api.reload()
        second = self.shown()
        self.assertNotEqual(first, second)
        (self.folder / 'key').write_text('spoilt')
        with self.assertRaisesRegex(exceptions.ConfigInvalid, 'tls_key_file'):
            api.reload()
        self.assertEqual(second, self.shown())
