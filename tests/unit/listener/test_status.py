"""What the cloud's upgrade check finds."""

from __future__ import annotations

from pathlib import Path
import socket
import tempfile
import unittest
from unittest import mock

from oslo_config import cfg

from cinder_virtdc import exceptions
from cinder_virtdc import opts
from cinder_virtdc import upgrade_checks
from virtdc_agent.contract import codec


class TestChecks(unittest.TestCase):
    def configure(self, text: str = '') -> cfg.ConfigOpts:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = Path(folder.name) / 'listener.conf'
        file.write_text(f'[DEFAULT]\ntransport_url = fake://\n{text}')
        conf = cfg.ConfigOpts()
        opts.register_listener_opts(conf)
        conf(['--config-file', str(file)], project='virtdc-test')
        return conf

    def check(self, name: str, text: str = '') -> tuple[int, str]:
        checks = upgrade_checks.Checks(self.configure(text))
        found = dict(checks._upgrade_checks)[name](checks)
        return int(found.code), found.details or ''

    def test_options_that_nobody_reads(self) -> None:
        code, details = self.check(
            'Configuration', '[virtdc]\ntopc = x\n[cinder]\nusername = u\n'
        )
        self.assertEqual(1, code)
        self.assertIn('[virtdc] topc', details)
        self.assertNotIn('username', details)

    def test_a_bus_that_is_away(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        checks = upgrade_checks.Checks(self.configure())
        with mock.patch.object(
            upgrade_checks.session,
            'list_hosts',
            return_value=[('127.0.0.1', port)],
        ):
            found = checks.check_bus()
        self.assertEqual(2, int(found.code))
        self.assertIn(str(port), found.details)

    def test_no_key(self) -> None:
        self.assertEqual(1, self.check('Signing key')[0])

    def test_what_the_agent_speaks(self) -> None:
        major, minor = codec.VERSION.split('.')
        for version, expected in (
            (codec.VERSION, 0),
            (f'{major}.{int(minor) + 1}', 1),
            ('9.0', 2),
            ('', 2),
        ):
            answer = {'item': {'version': version}}
            with (
                self.subTest(version),
                mock.patch.object(
                    upgrade_checks.BusCaller,
                    'call',
                    autospec=True,
                    return_value=answer,
                ),
            ):
                self.assertEqual(expected, self.check('Agent')[0])

    def test_no_agent(self) -> None:
        with mock.patch.object(
            upgrade_checks.BusCaller,
            'call',
            autospec=True,
            side_effect=exceptions.AgentUnreachable('It is away.'),
        ):
            self.assertEqual((2, 'It is away.'), self.check('Agent'))

    def test_rights(self) -> None:
        cloud = mock.create_autospec(upgrade_checks.SdkCloud, instance=True)
        with mock.patch.object(
            upgrade_checks.SdkCloud, 'from_config', return_value=cloud
        ):
            self.assertEqual(0, self.check('Rights in Cinder')[0])
            cloud.ask.side_effect = exceptions.CloudForbids('403')
            code, details = self.check('Rights in Cinder')
        self.assertEqual(2, code)
        self.assertIn('all projects', details)
