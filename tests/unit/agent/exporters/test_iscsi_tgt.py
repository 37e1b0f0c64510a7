"""The exporter "iscsi-tgt", over a daemon that only remembers."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import itertools
import threading

import hypothesis
from hypothesis import stateful
from hypothesis import strategies

from tests import base
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance.exporter import FIRST
from virtdc_agent.conformance.exporter import SECOND
from virtdc_agent.contract.events import ConnectParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent.exporters.iscsi_tgt import IscsiTgtExporter
from virtdc_agent.exporters.tgt_memory import MemoryTgt
from virtdc_agent import opts

PREFIX = 'iqn.2026-01.org.example:test'


def initiator_of(host: str) -> str:
    return f'iqn.1993-08.org.example:{host}'


def parameters(host: str, initiator: object = None) -> ConnectParameters:
    return ConnectParameters(
        host=host,
        connector={
            'host': host,
            'initiator': initiator or initiator_of(host),
        },
    )


def attached(volume: Volume, *hosts: str) -> Volume:
    return dataclasses.replace(volume, attached_to=hosts)


class IscsiCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.tgt = MemoryTgt()
        self.clock = FakeClock()
        self.paths: dict[str, str | None] = {}
        self.exporter = self.make()
        self.exporter.start()

    def make(self, **changes: object) -> IscsiTgtExporter:
        values: dict[str, object] = {
            'state_path': str(self.folder),
            'portals': ['127.0.0.1:3260'],
            'prefix': PREFIX,
            'clock': self.clock,
            'locate': lambda volume_id: self.paths.get(
                volume_id, f'/volumes/{volume_id}'
            ),
        }
        return IscsiTgtExporter(self.tgt, **(values | changes))

    def start_anew(self) -> None:
        self.exporter = self.make()
        self.exporter.start()

    def connect(self, volume: Volume, host: str) -> None:
        self.exporter.connect(volume, parameters(host))

    def data(self, volume: Volume, host: str) -> dict[str, object]:
        return dict(self.exporter.connection(volume, host)['data'])

    def log_in(
        self,
        data: dict[str, object],
        host: str,
        *,
        secret: str | None = None,
        initiator: str | None = None,
    ) -> bool:
        session = self.tgt.log_in(
            data['target_iqn'],
            initiator or initiator_of(host),
            data['auth_username'],
            data['auth_password'] if secret is None else secret,
        )
        return session is not None


class TestConnection(IscsiCase):
    def test_is_what_nova_and_os_brick_take(self) -> None:
        self.connect(FIRST, 'one')
        connection = self.exporter.connection(FIRST, 'one')
        data = dict(connection['data'])
        self.assertRegex(data.pop('auth_username'), r'^virtdc-[0-9a-f]{64}$')
        self.assertRegex(data.pop('auth_password'), r'^[A-Za-z0-9_-]{16}$')
        self.assertEqual('iscsi', connection['driver_volume_type'])
        self.assertEqual(
            {
                'target_discovered': False,
                'target_portal': '127.0.0.1:3260',
                'target_iqn': f'{PREFIX}:first',
                'target_lun': 1,
                'volume_id': 'first',
                'auth_method': 'CHAP',
                'discard': True,
            },
            data,
        )

    def test_names_all_portals(self) -> None:
        portals = ['192.0.2.1:3260', '[2001:db8::1]:3260']
        self.tgt = MemoryTgt(portals)
        self.exporter = self.make(portals=portals)
        self.exporter.start()
        self.connect(FIRST, 'one')
        data = self.data(FIRST, 'one')
        self.assertEqual('192.0.2.1:3260', data['target_portal'])
        self.assertEqual(portals, data['target_portals'])
        self.assertEqual([f'{PREFIX}:first'] * 2, data['target_iqns'])
        self.assertEqual([1, 1], data['target_luns'])

    def test_space_of_thick_volumes_is_not_given_back(self) -> None:
        thick = dataclasses.replace(FIRST, provisioning=Provisioning.THICK)
        self.connect(thick, 'one')
        self.assertIs(False, self.data(thick, 'one')['discard'])
        [target] = self.tgt.by_number.values()
        self.assertIs(False, target.unit.has_discard)

    def test_ids_that_are_no_iscsi_names_stay_apart(self) -> None:
        names = set()
        for volume_id in ('a_b', 'A-b', 'a-b', 'hex', 'a.b'):
            volume = dataclasses.replace(FIRST, volume_id=volume_id)
            self.connect(volume, 'one')
            name = self.data(volume, 'one')['target_iqn']
            self.assertRegex(name, r'^[a-z0-9.:-]{1,223}$')
            names.add(name)
        self.assertEqual(5, len(names))

    def test_of_a_host_that_is_not_connected(self) -> None:
        with self.assertRaisesRegex(exceptions.EventRejected, 'attach it'):
            self.exporter.connection(FIRST, 'one')
        self.connect(FIRST, 'one')
        self.exporter.disconnect(FIRST, 'one')
        with self.assertRaisesRegex(exceptions.EventRejected, 'attach it'):
            self.exporter.connection(FIRST, 'one')


class TestAccess(IscsiCase):
    def test_takes_the_right_name_and_the_right_secret(self) -> None:
        for host in ('one', 'two'):
            self.connect(FIRST, host)
            self.connect(SECOND, host)
        data = self.data(FIRST, 'one')
        self.assertTrue(self.log_in(data, 'one'))
        self.assertFalse(self.log_in(data, 'one', secret='wrong'))
        self.assertFalse(self.log_in(data, 'three'))
        other = self.data(SECOND, 'one')
        self.assertNotEqual(data['auth_password'], other['auth_password'])
        self.assertFalse(
            self.log_in({**other, 'target_iqn': data['target_iqn']}, 'one')
        )

    def test_is_open_only_once_a_secret_is_asked(self) -> None:
        self.connect(FIRST, 'one')
        self.connect(FIRST, 'two')
        self.exporter.disconnect(FIRST, 'one')
        self.exporter.disconnect(FIRST, 'two')
        number = self.tgt.calls[0][1:]
        row: list[str] = []
        admitted: set[str] = set()
        for method, *arguments in self.tgt.calls:
            match method:
                case 'bind_account':
                    row = [*row, *({arguments[1]} - set(row))]
                case 'unbind_account' if arguments[1] in row:
                    self.assertEqual(row.pop(), arguments[1])
                case 'admit':
                    admitted.add(arguments[1])
                case 'dismiss':
                    admitted.discard(arguments[1])
                case 'remove_target':
                    row.clear()
            if admitted:
                self.assertLessEqual(1, len(row), (number, method))

    def test_of_one_host_ends_without_a_gap_for_the_others(self) -> None:
        for host in ('one', 'two', 'three'):
            self.connect(FIRST, host)
        all_data = {
            host: self.data(FIRST, host) for host in ('one', 'two', 'three')
        }
        for host in all_data:
            self.assertTrue(self.log_in(all_data[host], host))
        self.exporter.disconnect(FIRST, 'one')
        self.assertFalse(self.log_in(all_data['one'], 'one'))
        self.assertTrue(self.log_in(all_data['two'], 'two'))
        self.assertTrue(self.log_in(all_data['three'], 'three'))
        # Not with another's name either.
        self.assertFalse(
            self.log_in(all_data['one'], 'one', initiator=initiator_of('two'))
        )
        [target] = self.tgt.by_number.values()
        self.assertNotIn(
            initiator_of('one'),
            {session.initiator for session in target.sessions},
        )
        self.assertEqual(4, len(target.sessions))

    def test_of_the_last_host_ends_with_the_target(self) -> None:
        self.connect(FIRST, 'one')
        self.assertTrue(self.log_in(self.data(FIRST, 'one'), 'one'))
        self.exporter.disconnect(FIRST, 'one')
        self.assertEqual({}, self.tgt.by_number)
        self.assertEqual({'virtdc-keeper'}, set(self.tgt.secrets))
        self.assertEqual(
            [], list((self.folder / 'exporter-iscsi-tgt').iterdir())
        )

    def test_waits_for_sessions_to_end_and_says_if_they_do_not(self) -> None:
        self.connect(FIRST, 'one')
        data = self.data(FIRST, 'one')
        self.assertTrue(self.log_in(data, 'one'))
        self.tgt.held.add(initiator_of('one'))
        caught: list[Exception] = []

        def disconnect() -> None:
            try:
                self.exporter.disconnect(FIRST, 'one')
            except exceptions.BackendBusy as exc:
                caught.append(exc)

        thread = threading.Thread(target=disconnect)
        thread.start()
        while thread.is_alive():
            if self.clock.waiters:
                self.clock.advance(1.0)
            thread.join(0.001)
        self.assertIn('still reads or writes', str(caught[0]))
        self.assertFalse(self.log_in(data, 'one'))
        self.tgt.held.clear()
        self.exporter.disconnect(FIRST, 'one')
        self.assertEqual({}, self.tgt.by_number)

    def test_a_host_with_a_new_name_has_only_that(self) -> None:
        self.connect(FIRST, 'one')
        data = self.data(FIRST, 'one')
        self.exporter.connect(FIRST, parameters('one', 'iqn.2026-01.x:new'))
        self.assertEqual(data, self.data(FIRST, 'one'))
        self.assertFalse(self.log_in(data, 'one'))
        self.assertTrue(
            self.log_in(data, 'one', initiator='iqn.2026-01.x:new')
        )


class TestRefusals(IscsiCase):
    def assert_refused(self, words: str, volume: Volume, **changes) -> None:
        with self.assertRaisesRegex(exceptions.EventRejected, words):
            self.exporter.connect(
                volume, dataclasses.replace(parameters('one'), **changes)
            )
        self.assertEqual({}, self.tgt.by_number)

    def test_hosts_that_do_not_say_their_iscsi_name(self) -> None:
        for initiator in (
            *(None, '', 7, 'one', 'iqn.', 'iqn.2026-01.x:a,b', 'iqn.a b'),
            *('iqn.2026-01.x:a\n', 'iqn.' + 'a' * 220, 'iqn.ä', ['iqn.x']),
        ):
            with self.subTest(initiator):
                self.assert_refused(
                    'needs an initiator',
                    FIRST,
                    connector={'initiator': initiator},
                )
        self.assert_refused('needs an initiator', FIRST, connector={})

    def test_images_that_are_not_raw(self) -> None:
        self.assert_refused(
            'raw volumes alone',
            dataclasses.replace(FIRST, format=Format.QCOW2),
        )

    def test_volumes_without_a_file(self) -> None:
        self.paths['first'] = None
        self.assert_refused('no file of volume first', FIRST)

    def test_two_hosts_of_one_name(self) -> None:
        self.connect(FIRST, 'one')
        with self.assertRaisesRegex(
            exceptions.EventRejected, 'and so does one'
        ):
            self.exporter.connect(
                FIRST, parameters('two', initiator_of('one'))
            )
        self.exporter.connect(SECOND, parameters('two', initiator_of('one')))


class TestFailures(IscsiCase):
    def test_a_connect_that_failed_leaves_nothing_open(self) -> None:
        self.connect(FIRST, 'one')
        for method in ('add_account', 'bind_account', 'add_unit', 'admit'):
            with self.subTest(method):
                self.tgt.fail(method, exceptions.BackendError('on demand'))
                with self.assertRaisesRegex(
                    exceptions.BackendError, 'on demand'
                ):
                    self.connect(FIRST, 'two')
                self.assertTrue(self.log_in(self.data(FIRST, 'one'), 'one'))
                [target] = self.tgt.by_number.values()
                self.assertEqual([initiator_of('one')], target.initiators)
                self.assertEqual(2, len(target.accounts))

    def test_without_the_daemon_nothing_is_promised(self) -> None:
        self.connect(FIRST, 'one')
        self.tgt.is_up = False
        with self.assertRaises(exceptions.BackendUnavailable):
            self.connect(FIRST, 'two')
        with self.assertRaises(exceptions.BackendUnavailable):
            self.exporter.connection(FIRST, 'one')
        with self.assertRaises(exceptions.BackendUnavailable):
            self.exporter.disconnect(FIRST, 'one')
        self.tgt.restart()
        self.connect(SECOND, 'one')
        self.assertEqual(
            [f'{PREFIX}:second'],
            [one.name for one in self.tgt.by_number.values()],
        )

    def test_a_daemon_that_was_restarted_is_noticed(self) -> None:
        for host in ('one', 'two'):
            self.connect(FIRST, host)
        self.connect(SECOND, 'one')
        data = self.data(FIRST, 'two')
        self.tgt.restart()
        self.data(SECOND, 'one')
        # Also the volumes that nobody asked for: hosts have them open.
        self.assertTrue(self.log_in(data, 'two'))

    def test_one_volume_that_cannot_be_restored_holds_up_no_other(
        self,
    ) -> None:
        self.connect(FIRST, 'one')
        self.connect(SECOND, 'one')
        self.tgt.restart()
        self.paths['first'] = None
        self.assertTrue(self.log_in(self.data(SECOND, 'one'), 'one'))
        self.assertIn('volume first is not as it should be', self.log.text)
        with self.assertRaisesRegex(exceptions.BackendError, 'no file of it'):
            self.data(FIRST, 'one')
        del self.paths['first']
        self.assertTrue(self.log_in(self.data(FIRST, 'one'), 'one'))

    def test_records_that_cannot_be_written(self) -> None:
        folder = self.folder / 'exporter-iscsi-tgt'
        folder.rmdir()
        with self.assertRaisesRegex(
            exceptions.BackendUnavailable, 'cannot be recorded'
        ):
            self.connect(FIRST, 'one')
        self.assertEqual({}, self.tgt.by_number)


class TestResume(IscsiCase):
    def test_targets_without_a_record_are_removed(self) -> None:
        self.tgt.add_target(7, f'{PREFIX}:stray')
        self.tgt.add_target(8, 'iqn.2026-01.org.example:testament:other')
        self.exporter.resume([])
        self.assertEqual([8], list(self.tgt.by_number))

    def test_who_leaves_and_is_attached_comes_in_again(self) -> None:
        for host in ('one', 'two'):
            self.connect(FIRST, host)
        self.tgt.fail('dismiss', exceptions.BackendError('on demand'))
        with self.assertRaises(exceptions.BackendError):
            self.exporter.disconnect(FIRST, 'one')
        self.start_anew()
        self.exporter.resume([attached(FIRST, 'one', 'two')])
        for host in ('one', 'two'):
            self.assertTrue(self.log_in(self.data(FIRST, host), host))
        self.exporter.disconnect(FIRST, 'one')
        self.assertTrue(self.log_in(self.data(FIRST, 'two'), 'two'))

    def test_with_another_key_secrets_are_others(self) -> None:
        self.connect(FIRST, 'one')
        old = self.data(FIRST, 'one')
        (self.folder / 'iscsi-tgt.key').unlink()
        self.start_anew()
        self.exporter.resume([attached(FIRST, 'one')])
        new = self.data(FIRST, 'one')
        self.assertNotEqual(old['auth_password'], new['auth_password'])
        self.assertTrue(self.log_in(new, 'one'))
        self.assertFalse(self.log_in(old, 'one'))

    def test_damaged_records_are_told_and_left_out(self) -> None:
        self.connect(FIRST, 'one')
        self.connect(SECOND, 'one')
        record = self.folder / 'exporter-iscsi-tgt' / 'first.json'
        for content in (b'', b'{}', b'[', b'{"version": 2}', b'\xff'):
            record.write_bytes(content)
            self.tgt.restart()
            self.start_anew()
            self.exporter.resume(
                [attached(FIRST, 'one'), attached(SECOND, 'one')]
            )
            self.assertIn('first.json does not say', self.log.text)
            self.assertIn('Volume first is attached to one', self.log.text)
            self.assertTrue(self.log_in(self.data(SECOND, 'one'), 'one'))


class TestSecrecy(IscsiCase):
    def test_no_secret_is_logged_or_kept(self) -> None:
        self.connect(FIRST, 'one')
        secret = str(self.data(FIRST, 'one')['auth_password'])
        self.tgt.restart()
        self.start_anew()
        self.exporter.resume([attached(FIRST, 'one')])
        self.tgt.fail('admit', exceptions.BackendError('on demand'))
        with self.assertRaises(exceptions.BackendError) as caught:
            self.connect(FIRST, 'two')
        texts = [self.log.text, repr(caught.exception)]
        for path in self.folder.rglob('*'):
            if path.is_file():
                texts.append(path.read_text())
                self.assertEqual(0o600, path.stat().st_mode & 0o777, path)
        self.assertNotIn(secret, '\n'.join(texts))
        self.assertNotIn(
            secret, repr(self.exporter._secrets.of('first', 'one'))
        )


class TestStart(IscsiCase):
    def assert_refused(self, words: str, **changes: object) -> None:
        with self.assertRaisesRegex(exceptions.ConfigInvalid, words):
            self.make(**changes).start()

    def test_without_a_daemon(self) -> None:
        self.tgt.is_up = False
        with self.assertRaisesRegex(
            exceptions.BackendUnavailable,
            r'control_socket.*Install.*tgtd --iscsi portal=127.0.0.1:3260',
        ):
            self.make().start()

    def test_a_daemon_that_listens_elsewhere(self) -> None:
        for portals in ([], ['0.0.0.0:3260'], ['127.0.0.1:3260', '[::]:1']):
            self.tgt = MemoryTgt(portals)
            self.assert_refused('start it as tgtd --iscsi portal=127')

    def test_portals_that_nobody_can_connect_to(self) -> None:
        for portal in (
            *('', '127.0.0.1', '0.0.0.0:3260', '[::]:3260', 'host:3260'),
            *('::1:3260', '127.0.0.1:', 'a b:1'),
        ):
            with self.subTest(portal):
                self.assert_refused(r'portals has', portals=[portal])
        self.assert_refused('portals is empty', portals=[])

    def test_prefixes_that_are_none(self) -> None:
        for prefix in (
            *('', 'virtdc', 'iqn.2026.x', 'iqn.2026-01', 'iqn.2026-01.x:A'),
            *('iqn.2026-01.x:a_b', 'iqn.2026-01.x:a,b', 'iqn.2026-01.x:'),
            'iqn.2026-01.' + 'x' * 80,
        ):
            with self.subTest(prefix):
                self.assert_refused('target_prefix', prefix=prefix)

    def test_a_state_path_that_cannot_be_used(self) -> None:
        self.assert_refused(
            'state_path', state_path=str(self.folder / 'missing')
        )

    def test_is_made_from_its_group(self) -> None:
        opts.register_opts(self.conf)
        self.conf([])
        self.conf.set_override('state_path', str(self.folder))
        exporter = IscsiTgtExporter.from_config(
            self.conf, clock=self.clock, locate=lambda volume_id: None
        )
        exporter._control = self.tgt
        exporter.start()
        exporter.resume([])


class Hosts(stateful.RuleBasedStateMachine):
    """Whatever comes and goes, and fails, only the attached get in."""

    volumes = (FIRST, SECOND)
    hosts = ('one', 'two', 'three')
    calls = (
        *('targets', 'add_target', 'add_unit', 'add_account', 'admit'),
        *('bind_account', 'unbind_account', 'dismiss', 'close', 'sessions'),
        *('remove_account', 'remove_target'),
    )

    def __init__(self) -> None:
        super().__init__()
        self.case = IscsiCase('run')
        self.case.setUp()
        self.attached: set[tuple[str, str]] = set()

    def teardown(self) -> None:
        self.case.doCleanups()

    @stateful.rule(
        volume=strategies.sampled_from(volumes),
        host=strategies.sampled_from(hosts),
        failing=strategies.none() | strategies.sampled_from(calls),
    )
    def connect(self, volume: Volume, host: str, failing: str | None) -> None:
        try:
            with self.may_fail(failing):
                self.case.connect(volume, host)
        except exceptions.BackendError:
            return
        self.attached.add((volume.volume_id, host))

    @stateful.rule(
        volume=strategies.sampled_from(volumes),
        host=strategies.sampled_from(hosts),
        failing=strategies.none() | strategies.sampled_from(calls),
    )
    def disconnect(
        self, volume: Volume, host: str, failing: str | None
    ) -> None:
        try:
            with self.may_fail(failing):
                self.case.exporter.disconnect(volume, host)
        except exceptions.BackendError:
            # As its event's next attempt does.
            self.case.exporter.disconnect(volume, host)
        self.attached.discard((volume.volume_id, host))

    @stateful.rule(
        volume=strategies.sampled_from(volumes),
        host=strategies.sampled_from(hosts),
    )
    def log_in(self, volume: Volume, host: str) -> None:
        if (volume.volume_id, host) in self.attached:
            self.case.log_in(self.data(volume, host), host)

    @stateful.rule()
    def restart_the_daemon(self) -> None:
        self.case.tgt.restart()

    @stateful.rule(failing=strategies.none() | strategies.sampled_from(calls))
    def restart_the_agent(self, failing: str | None) -> None:
        self.case.start_anew()
        with self.may_fail(failing):
            self.resume()
        if failing is not None:
            self.case.start_anew()
            self.resume()

    def resume(self) -> None:
        self.case.exporter.resume(
            attached(
                volume,
                *(
                    host
                    for host in self.hosts
                    if (volume.volume_id, host) in self.attached
                ),
            )
            for volume in self.volumes
        )

    @contextlib.contextmanager
    def may_fail(self, failing: str | None) -> Iterator[None]:
        """Have one call fail, if it is made."""
        if failing is not None:
            self.case.tgt.fail(failing, exceptions.BackendError('on demand'))
        try:
            yield
        finally:
            self.case.tgt.succeed()

    @stateful.invariant()
    def only_the_attached_get_in(self) -> None:
        for volume, host in itertools.product(self.volumes, self.hosts):
            is_attached = (volume.volume_id, host) in self.attached
            if is_attached:
                data = self.case.data(volume, host)
                assert self.case.log_in(data, host)
            assert is_attached or not self.case.log_in(
                self.data(volume, host), host
            )
        rows = {
            target.name: target.accounts
            for target in self.case.tgt.by_number.values()
        }
        exporter = self.case.exporter
        for export in exporter._exports.all():
            # In the row's order, or none could be taken out without a gap.
            assert rows[exporter._target_name(export.volume_id)] == [
                'virtdc-keeper',
                *(one.account for one in export.attachments),
            ]

    def data(self, volume: Volume, host: str) -> dict[str, object]:
        exporter = self.case.exporter
        credentials = exporter._secrets.of(volume.volume_id, host)
        return {
            'target_iqn': exporter._target_name(volume.volume_id),
            'auth_username': credentials.account,
            'auth_password': credentials.secret,
        }


TestHosts = Hosts.TestCase
TestHosts.settings = hypothesis.settings(
    max_examples=60, stateful_step_count=25, deadline=None
)
