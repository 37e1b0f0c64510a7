"""What the lab writes for the services, without starting any."""

from __future__ import annotations

import configparser
import contextlib
import io
from pathlib import Path
import tempfile
import unittest
from unittest import mock

from tools.lab import __main__ as command
from tools.lab import cinder
from tools.lab import errors
from tools.lab import guard
from tools.lab import nfs_control
from tools.lab import paste_noauth
from tools.lab import rabbitmq
from tools.lab import stack
from tools.lab import steps
from tools.lab import virtdc

PASTE = """\
[composite:api]
noauth = request_id osprofiler noauth apiv3
keystone = request_id authtoken apiv3

[filter:noauth]
"""


class LabCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()

    def lab(self, **options: object) -> stack.Lab:
        lab = stack.Lab(
            self.folder / 'run',
            stack.Settings(**options),  # type: ignore[arg-type]
        )
        self.addCleanup(lab.down)
        return lab

    def read(self, path: Path) -> configparser.ConfigParser:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read(path)
        return parser


class Composition(LabCase):
    def test_backups_and_keys(self) -> None:
        lab = self.lab(backup=True, key_manager=True)
        lab.cinder.configure()
        found = self.read(lab.cinder.conf)
        self.assertIn('posix', found['DEFAULT']['backup_driver'])
        self.assertTrue(Path(found['DEFAULT']['backup_posix_path']).is_dir())
        self.assertEqual(lab.fixed_key, found['key_manager']['fixed_key'])
        self.assertIn('cinder-backup', [one.name for one in lab._steps()])

    def test_neither_backups_nor_keys(self) -> None:
        plain = self.lab()
        plain.cinder.configure()
        found = self.read(plain.cinder.conf)
        self.assertNotIn('backup_driver', found['DEFAULT'])
        self.assertNotIn('key_manager', found)
        self.assertIsNone(plain.cinder.backup)

    def test_every_step_comes_after_those_it_needs(self) -> None:
        lab = self.lab(
            backends=(virtdc.backend(), cinder.FAKE),
            agent=virtdc.AgentSettings(),
            listener=virtdc.ListenerSettings(),
            nfs_control=True,
            keystone=True,
            glance=True,
            horizon=True,
        )
        done: set[str] = set()
        for step in lab._steps():
            self.assertLessEqual(set(step.after), done, step.name)
            done.add(step.name)

    def test_all_ports_differ(self) -> None:
        lab = self.lab(keystone=True, glance=True, horizon=True)
        self.assertEqual(len(lab.addresses), len(set(lab.addresses.values())))

    def test_the_dashboard_needs_keystone(self) -> None:
        with self.assertRaisesRegex(errors.LabError, 'Keystone'):
            stack.Settings(horizon=True)

    def test_our_driver_needs_an_agent(self) -> None:
        with self.assertRaisesRegex(errors.LabError, 'agent'):
            stack.Settings(backends=(virtdc.backend(),))

    def test_a_failed_start_stops_all(self) -> None:
        lab = self.lab()
        boom = steps.Step('boom', mock.Mock(side_effect=ValueError('boom')))
        with (
            mock.patch.object(guard.Guard, 'start', autospec=True),
            mock.patch.object(lab, '_steps', return_value=[boom]),
            self.assertRaisesRegex(ValueError, 'boom'),
        ):
            lab.up()
        with self.assertRaises(errors.LabClosed):
            lab.supervisor.sleep(0)

    def test_stopping_where_no_lab_was_is_told(self) -> None:
        with self.assertRaisesRegex(errors.LabError, 'no lab'):
            stack.stop(self.folder)


class CinderFiles(LabCase):
    def test_a_conf_for_all_and_one_per_backend(self) -> None:
        lab = self.lab(
            backends=(virtdc.backend(options={'x': 1}), cinder.FAKE),
            agent=virtdc.AgentSettings(),
            cinder_options={'DEFAULT': {'debug': True}},
        )
        lab.cinder.configure()
        everything = self.read(lab.cinder.conf)
        self.assertEqual(
            'virtdc,fake', everything['DEFAULT']['enabled_backends']
        )
        self.assertEqual('True', everything['DEFAULT']['debug'])
        ours = self.read(lab.cinder.conf.parent / 'cinder-volume-virtdc.conf')
        self.assertEqual('virtdc', ours['DEFAULT']['enabled_backends'])
        self.assertEqual('1', ours['virtdc']['x'])
        self.assertEqual(
            lab.rabbitmq.private_url, ours['virtdc']['virtdc_transport_url']
        )
        self.assertNotIn('fake', ours)

    def test_a_second_volume_service_differs_by_its_host(self) -> None:
        lab = self.lab()
        lab.cinder.second_volume('fake', host='other')
        conf = self.read(
            lab.cinder.conf.parent / 'cinder-volume-fake-other.conf'
        )
        self.assertEqual('other', conf['DEFAULT']['host'])
        with self.assertRaisesRegex(errors.LabError, 'nosuch'):
            lab.cinder.second_volume('nosuch')

    def test_noauth_lets_those_without_a_token_in(self) -> None:
        text = cinder.paste_with_default_token(PASTE, 'admin:abc')
        self.assertIn('osprofiler default_token noauth apiv3', text)
        self.assertIn('keystone = request_id authtoken apiv3', text)
        self.assertIn('token = admin:abc', text)
        self.assertEqual(PASTE, cinder.paste_with_default_token(PASTE, None))

    def test_the_filter_replaces_only_missing_tokens(self) -> None:
        seen = []

        def app(environ: dict[str, str], start: object) -> None:
            seen.append(environ['HTTP_X_AUTH_TOKEN'])

        wrapped = paste_noauth.filter_factory({}, token='admin:abc')(app)
        for environ in (
            {},
            {'HTTP_X_AUTH_TOKEN': 'notused'},
            {'HTTP_X_AUTH_TOKEN': 'me:def'},
        ):
            wrapped(environ, lambda: None)
        self.assertEqual(['admin:abc', 'admin:abc', 'me:def'], seen)


class VirtDCFiles(LabCase):
    def test_options_of_the_caller_go_over_the_labs(self) -> None:
        lab = self.lab(
            agent=virtdc.AgentSettings(
                options={
                    'agent': {'backend': 'memory'},
                    'exporter_share': {'export': None},
                }
            )
        )
        assert lab.agent is not None
        sections = lab.agent.sections
        self.assertEqual('memory', sections['agent']['backend'])
        self.assertEqual('share', sections['agent']['exporter'])
        self.assertEqual({}, sections['exporter_share'])
        self.assertEqual(
            lab.rabbitmq.private_url, sections['DEFAULT']['transport_url']
        )

    def test_the_listener_reaches_cinder_without_keystone(self) -> None:
        lab = self.lab(listener=virtdc.ListenerSettings())
        assert lab.listener is not None
        lab.listener.configure(
            lab.identity.service_options('virtdc', lab.cinder.url)
        )
        found = self.read(lab.listener.conf)['cinder']
        project = lab.identity.project_id()
        self.assertEqual('admin_token', found['auth_type'])
        self.assertEqual(f'{lab.cinder.url}/{project}', found['endpoint'])
        self.assertEqual(f'admin:{project}', found['token'])


class Broker(LabCase):
    def test_users_have_a_virtual_host_each(self) -> None:
        broker = self.lab().rabbitmq
        self.assertRegex(
            broker.cloud_url, r'^rabbit://openstack:\S+@127\.0\.0\.1:\d+/$'
        )
        self.assertRegex(
            broker.private_url, r'^rabbit://virtdc:\S+@127\.0.0.1:\d+/virtdc$'
        )

    def test_passwords_are_hashed_as_rabbitmq_does(self) -> None:
        # The example of RabbitMQ's own documentation of passwords.
        self.assertEqual(
            'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR',
            rabbitmq.password_hash('test12', bytes.fromhex('908DC60A')),
        )

    def test_plugins_are_left_out(self) -> None:
        home = self.folder / 'home'
        for name in (
            'sbin',
            'escript',
            'plugins/rabbit-3',
            'plugins/rabbitmq_prelaunch-3',
            'plugins/rabbitmq_management-3',
        ):
            (home / name).mkdir(parents=True)
        rabbitmq.lay_out(home, self.folder / 'server')
        self.assertEqual(
            ['rabbit-3', 'rabbitmq_prelaunch-3'],
            sorted(p.name for p in (self.folder / 'server/plugins').iterdir()),
        )


class Control(unittest.TestCase):
    def test_the_mount_point_is_where_the_driver_looks(self) -> None:
        self.assertEqual(
            # md5sum of "127.0.0.1:/e"
            Path('/base/4c4d53616ee74f3677266bea233bca18'),
            nfs_control.mount_point(Path('/base'), Path('/e')),
        )


class Command(unittest.TestCase):
    def test_prints_what_a_shell_can_read(self) -> None:
        self.assertEqual(
            "export A=b\nexport C='d e'",
            command.exports({'A': 'b', 'C': 'd e'}),
        )

    def test_an_error_is_a_message_and_a_status(self) -> None:
        errors_out = io.StringIO()
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.redirect_stderr(errors_out),
        ):
            status = command.main(['--folder', folder, '--stop'])
        self.assertEqual(1, status)
        self.assertIn('no lab', errors_out.getvalue())
