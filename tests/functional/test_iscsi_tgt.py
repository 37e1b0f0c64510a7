"""Volumes over iSCSI: a real agent, a real tgtd, and QEMU as a host."""

from __future__ import annotations

import logging
from pathlib import Path
import subprocess
import tempfile
import threading
import time
from unittest import mock

from oslo_config import cfg

from tests import base
from tests.busless import BuslessService
from tests.functional import base as functional
from tests import tgtd
from tests.unit.agent import builders
from tools.lab import stack
from tools.lab import virtdc
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import interfaces
from virtdc_agent import opts
from virtdc_agent import service

MIB = 1024**2
WAIT_S = 20.0
PATTERN = b'\xab' * MIB
WRITE = 'write -P 0xab 1M 1M'
READ = 'read -P 0xab 1M 1M'


class Kept(interfaces.Publisher):
    """Keeps what is told on the bus, as text."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def publish(self, notification: events.Notification) -> None:
        self.told.append(str(codec.encode(notification)))


class TestIscsiTgt(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        tgtd.require()
        self.kept = Kept()
        (self.folder / 'pool').mkdir()
        # Sockets have short names.
        folder = tempfile.TemporaryDirectory(prefix='virtdc-')
        self.addCleanup(folder.cleanup)
        self.tgtd = tgtd.Tgtd(Path(folder.name))
        self.addCleanup(self.tgtd.close)
        self.tgtd.start()
        conf = self.configure()
        service.sync_journal(conf)
        self.agent = self.start_agent()

    def configure(self) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        self.addCleanup(conf.reset)
        conf([], project='virtdc-test', default_config_files=[])
        for group, name, value in (
            (None, 'state_path', str(self.folder)),
            ('agent', 'name', 'a'),
            ('agent', 'exporter', 'iscsi-tgt'),
            ('backend_file', 'path', str(self.folder / 'pool')),
            ('exporter_iscsi_tgt', 'portals', [self.tgtd.portal]),
            (
                'exporter_iscsi_tgt',
                'control_socket',
                self.tgtd.control_socket,
            ),
        ):
            conf.set_override(name, value, group)
        return conf

    def start_agent(self) -> BuslessService:
        conf = self.configure()
        with mock.patch.object(
            service.bus, 'connect', autospec=True, return_value=(None, None)
        ):
            agent = BuslessService(conf, self.kept)
        agent.start()
        self.addCleanup(agent.stop)
        return agent

    def do(self, event: events.Event) -> events.Transition:
        """Have the agent execute an event, and return how it ended."""
        self.agent.journal.append(event)
        deadline = time.monotonic() + WAIT_S
        while True:
            [latest] = self.agent.journal.get_latest([event.event_id]).values()
            if latest.state.is_final:
                return latest
            self.assertLess(time.monotonic(), deadline)
            threading.Event().wait(0.01)

    def succeed(self, event: events.Event) -> None:
        ended = self.do(event)
        self.assertIs(State.SUCCESS, ended.state, ended.message)

    def connect(self, host: str) -> dict[str, object]:
        """Attach the volume, and return what the host is told."""
        self.succeed(connect('v', host))
        return self.data(host)

    def data(self, host: str) -> dict[str, object]:
        volume = self.agent.journal.get_volume('v')
        connection = self.agent._exporters.of(volume).connection(volume, host)
        self.assertEqual('iscsi', connection['driver_volume_type'])
        return dict(connection['data'])

    def io(self, data: dict[str, object], host: str, *commands: str) -> None:
        done = tgtd.qemu_io(data, initiator_of(host), *commands)
        self.assertEqual(0, done.returncode, done.stdout)
        self.assertNotIn('failed', done.stdout.lower())

    @property
    def file(self) -> Path:
        return self.folder / 'pool' / 'volume-v'

    def test_a_whole_life(self) -> None:
        self.succeed(builders.create('v', size_bytes=8 * MIB))
        data = self.connect('one')
        self.io(data, 'one', WRITE, 'flush')
        with self.file.open('rb') as file:
            self.assertEqual(bytes(MIB), file.read(MIB))
            self.assertEqual(PATTERN, file.read(MIB))
            self.assertEqual(bytes(6 * MIB), file.read())

        # Who is not meant gets nowhere.
        self.assertTrue(tgtd.can_log_in(data, initiator_of('one')))
        self.assertFalse(tgtd.can_log_in(data, initiator_of('two')))
        wrong = {**data, 'auth_password': 'x' * 16}
        self.assertFalse(tgtd.can_log_in(wrong, initiator_of('one')))
        nobody = {**data, 'auth_username': '', 'auth_password': ''}
        self.assertFalse(tgtd.can_log_in(nobody, initiator_of('one')))
        refused = tgtd.qemu_io(wrong, initiator_of('one'), WRITE)
        self.assertNotEqual(0, refused.returncode)

        # Another host, and then without the first.
        other = self.connect('two')
        self.io(other, 'two', READ)
        self.succeed(builders.disconnect('v', 'one'))
        self.assertFalse(tgtd.can_log_in(data, initiator_of('one')))
        self.assertFalse(tgtd.can_log_in(data, initiator_of('two')))
        self.io(other, 'two', READ)
        self.assertIn(str(data['target_iqn']), self.shown())

        # What is in use does not grow, and is not deleted.
        ended = self.do(builders.extend('v', 16 * MIB))
        self.assertIs(Reason.REJECTED, ended.reason)
        self.assertIn('detach it to extend it', ended.message)

        self.succeed(builders.disconnect('v', None))
        self.assertFalse(tgtd.can_log_in(other, initiator_of('two')))
        self.assertEqual('', self.shown())
        self.succeed(builders.extend('v', 16 * MIB))
        grown = self.connect('one')
        self.io(grown, 'one', READ, 'write -P 0xcd 15M 1M')
        self.succeed(builders.disconnect('v', 'one'))
        self.succeed(builders.delete('v'))
        self.assertTrue(self.tgtd.is_running)

    def test_a_guest_that_has_it_open_is_cut_off(self) -> None:
        self.succeed(builders.create('v', size_bytes=8 * MIB))
        data = self.connect('one')
        guest = tgtd.start_qemu_io(
            data, initiator_of('one'), 'write 0 1M', 'sleep 60000'
        )
        self.addCleanup(guest.communicate)
        self.addCleanup(guest.kill)
        deadline = time.monotonic() + WAIT_S
        while 'Initiator: iqn' not in self.shown():
            self.assertLess(time.monotonic(), deadline)
            threading.Event().wait(0.02)
        self.succeed(builders.disconnect('v', 'one'))
        self.assertEqual('', self.shown())
        self.assertTrue(self.tgtd.is_running, self.tgtd.log_text())

    def test_survives_restarts_of_tgtd_and_agent(self) -> None:
        self.succeed(builders.create('v', size_bytes=8 * MIB))
        hosts = {host: self.connect(host) for host in ('one', 'two')}
        self.io(hosts['one'], 'one', WRITE)
        self.assertTrue(self.agent.stop())
        self.tgtd.restart()
        self.assertEqual('', self.shown())
        self.agent = self.start_agent()
        for host, data in hosts.items():
            # With what the host knows from before, and without asking.
            self.io(data, host, READ)
            self.assertEqual(data, self.data(host))
        # And of tgtd alone, while the agent runs.
        self.tgtd.restart()
        for host, data in hosts.items():
            self.assertEqual(data, self.data(host))
            self.io(data, host, READ)
        # And of the agent alone, while a host has it open.
        self.assertTrue(self.agent.stop())
        self.agent = self.start_agent()
        self.io(hosts['two'], 'two', READ)
        self.succeed(builders.disconnect('v', None))
        self.assertEqual('', self.shown())

    def test_a_host_without_an_iscsi_name_is_told_so(self) -> None:
        self.succeed(builders.create('v', size_bytes=8 * MIB))
        ended = self.do(builders.connect('v', 'one'))
        self.assertIs(Reason.REJECTED, ended.reason)
        self.assertIn('needs an initiator', ended.message)
        self.assertEqual('', self.shown())

    def test_no_secret_is_left_lying_about(self) -> None:
        logging.getLogger('virtdc_agent').setLevel(logging.DEBUG)
        self.succeed(builders.create('v', size_bytes=8 * MIB))
        with mock.patch.object(
            subprocess, 'Popen', side_effect=AssertionError('a program')
        ):
            data = self.connect('one')
        secret = str(data['auth_password'])
        self.succeed(builders.disconnect('v', 'one'))
        self.assertTrue(self.agent.stop())
        self.assertNotIn(secret, '\n'.join(self.kept.told))
        self.assertIn('connect', '\n'.join(self.kept.told))
        self.assertNotIn(secret, self.log.text)
        self.assertNotIn(secret, self.tgtd.log_text())
        for path in self.folder.rglob('*'):
            if path.is_file():
                self.assertNotIn(secret.encode(), path.read_bytes(), path)

    def shown(self) -> str:
        """Return what tgtd has, as its own tool sees it."""
        return self.tgtd.administer('--mode', 'target', '--op', 'show')


def initiator_of(host: str) -> str:
    return f'iqn.1993-08.org.example:01:{host}'


def connect(volume_id: str, host: str) -> events.Event:
    return events.Event(
        event_id=f'connect-{time.monotonic_ns()}',
        operation=Operation.CONNECT,
        volume_id=volume_id,
        origin=events.Origin.CLOUD,
        parameters=events.ConnectParameters(
            host=host,
            connector={'host': host, 'initiator': initiator_of(host)},
        ),
        created_at=SystemClock().now(),
    )


class TestThroughCinder(functional.CloudCase):
    """The same, asked for as Nova asks."""

    daemon: tgtd.Tgtd

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        tgtd.require()
        folder = tempfile.TemporaryDirectory(prefix='virtdc-')
        cls.addClassCleanup(folder.cleanup)
        cls.daemon = tgtd.Tgtd(Path(folder.name))
        cls.addClassCleanup(cls.daemon.close)
        cls.daemon.start()
        cls.own_lab = functional.start(
            functional.settings(
                agent=virtdc.AgentSettings(
                    options={
                        **functional.DURABLE,
                        'agent': {'exporter': 'iscsi-tgt'},
                        'exporter_iscsi_tgt': {
                            'portals': cls.daemon.portal,
                            'control_socket': cls.daemon.control_socket,
                        },
                    }
                )
            )
        )
        cls.addClassCleanup(cls.own_lab.down)

    def get_lab(self) -> stack.Lab:
        return self.own_lab

    def test_attach_write_detach(self) -> None:
        volume_id = self.create()
        self.wait(volume_id)
        connector = {
            'host': 'compute-1',
            'ip': '127.0.0.1',
            'initiator': initiator_of('compute-1'),
        }
        info = self.act(
            volume_id, 'os-initialize_connection', connector=connector
        )['connection_info']
        self.assertEqual('iscsi', info['driver_volume_type'])
        data = info['data']
        done = tgtd.qemu_io(data, connector['initiator'], WRITE, READ)
        self.assertEqual(0, done.returncode, done.stdout)
        with self.file_of(volume_id).open('rb') as file:
            file.seek(MIB)
            self.assertEqual(PATTERN, file.read(MIB))
        self.act(volume_id, 'os-terminate_connection', connector=connector)
        self.assertFalse(tgtd.can_log_in(data, connector['initiator']))
        logs = ''.join(
            path.read_text('utf-8', 'replace')
            for path in self.lab.folder.rglob('*.log')
            if 'agent' in path.name or 'listener' in path.name
        )
        self.assertIn('Agent', logs)
        self.assertNotIn(data['auth_password'], logs)
