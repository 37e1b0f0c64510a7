"""Alarms, the trash, the estate, both sides; and the client below."""

from __future__ import annotations

from typing import Any
from unittest import mock

from keystoneauth1 import exceptions as auth_exceptions
from keystoneauth1 import noauth
from osc_lib import exceptions

from cinder_virtdc.clock import FakeClock
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions as cloud_exceptions
from cinder_virtdc.osc import client as clients
from cinder_virtdc.osc import sides
from cinder_virtdc.osc.v1 import alarm
from cinder_virtdc.osc.v1 import compare
from cinder_virtdc.osc.v1 import estate
from cinder_virtdc.osc.v1 import trash
from cinder_virtdc.osc.v1 import volume
from tests import base as tests_base
from tests.unit.osc import base
from virtdc_agent.contract.alarms import Severity

GIB = 1024**3
FIND = sides.cloud_volume


class AlarmCase(base.CommandCase):
    def alarm(self, subject: str = 't1', kind: str = 'volume-deleted') -> None:
        self.journal.raise_alarm(
            kind=kind,
            subject=subject,
            severity=Severity.MAJOR,
            message='It is \x07gone.',
            details={'name': 'data'},
        )

    def volume(self, volume_id: str = 't1', **values: Any) -> CloudVolume:
        made = CloudVolume(
            **{
                'volume_id': volume_id,
                'platform_id': volume_id,
                'status': 'available',
                'size_gib': 1,
                'properties': {},
                **values,
            }
        )
        self.cloud.add(made)
        return made


class TestAlarms(AlarmCase):
    def test_list(self) -> None:
        self.alarm('t1')
        self.alarm('t2', 'volume-missing')
        rows = self.rows(alarm.ListAlarms)
        self.assertEqual({'t1', 't2'}, {one['Subject'] for one in rows})
        rows = self.rows(alarm.ListAlarms, '--kind', 'volume-missing')
        self.assertEqual(['t2'], [one['Subject'] for one in rows])
        self.assertEqual(
            [], self.rows(alarm.ListAlarms, '--severity', 'critical')
        )
        self.assertNotIn('\x07', self.printed(alarm.ListAlarms, '--long'))

    def test_acknowledge(self) -> None:
        self.alarm()
        shown = self.rows(
            alarm.AcknowledgeAlarm,
            *('volume-deleted', 't1', '--comment', 'I see to it'),
        )
        self.assertEqual('I see to it', shown['comment'])
        self.assertTrue(shown['acknowledged_by'])
        self.assertEqual([], self.rows(alarm.ListAlarms, '--unseen'))

    def test_show_says_what_to_do(self) -> None:
        self.alarm()
        shown = self.rows(alarm.ShowAlarm, 'volume-deleted', 't1')
        self.assertIn('trash', shown['repair'])

    def test_clear(self) -> None:
        self.alarm()
        self.run_command(alarm.ClearAlarm, 'volume-deleted', 't1')
        self.assertEqual([], self.rows(alarm.ListAlarms))
        with self.assertRaisesRegex(exceptions.CommandError, 'HTTP 404'):
            self.run_command(alarm.ClearAlarm, 'volume-deleted', 't1')


class TestRemedies(AlarmCase):
    def test_restore_once(self) -> None:
        self.put_trash('t1')
        self.alarm()
        self.volume(name='data')
        shown = self.rows(alarm.RestoreVolume, 'data')
        self.assertEqual(
            ('restore', 't1'), (shown['operation'], shown['volume'])
        )
        again = self.rows(alarm.RestoreVolume, 't1')
        self.assertEqual(shown['id'], again['id'])

    def test_recreate(self) -> None:
        self.alarm()
        self.volume(
            size_gib=3,
            name='data',
            properties={'owner': 'me', 'virtdc.state': 'success'},
            project_id='p1',
        )
        shown = self.rows(alarm.RecreateVolume, 't1')
        self.assertEqual(
            ('create', 't1'), (shown['operation'], shown['volume'])
        )
        self.assertEqual(3 * GIB, shown['parameters']['size_bytes'])
        self.assertEqual({'owner': 'me'}, shown['parameters']['metadata'])
        self.assertEqual('p1', shown['project'])

    def test_forget(self) -> None:
        self.alarm()
        self.volume()
        shown = self.rows(alarm.ForgetVolume, 't1')
        self.assertEqual('t1', shown['volume'])
        self.assertNotIn('t1', self.cloud.volumes)

    def test_one_in_use_is_not_forgotten(self) -> None:
        self.alarm()
        self.volume(is_attached=True)
        with self.assertRaisesRegex(exceptions.CommandError, 'detach'):
            self.rows(alarm.ForgetVolume, 't1')
        self.assertIn('t1', self.cloud.volumes)

    def test_nothing_is_done_without_an_alarm(self) -> None:
        self.volume()
        for kind in (
            alarm.RestoreVolume,
            alarm.RecreateVolume,
            alarm.ForgetVolume,
        ):
            with self.assertRaisesRegex(
                exceptions.CommandError, 'nothing was done'
            ):
                self.rows(kind, 't1')
        self.assertIn('t1', self.cloud.volumes)
        with self.assertRaisesRegex(exceptions.CommandError, 'no volume nix'):
            self.rows(alarm.RestoreVolume, 'nix')


class TestTrash(base.CommandCase):
    def test_list_and_restore(self) -> None:
        self.put_trash('t1')
        (row,) = self.rows(trash.ListTrash, '--long')
        self.assertEqual('t1', row['Volume'])
        shown = self.rows(trash.RestoreTrash, row['Name'] or 't1')
        self.assertEqual('restore', shown['operation'])

    def test_what_is_not_there(self) -> None:
        with self.assertRaisesRegex(exceptions.CommandError, 'in the trash'):
            self.rows(trash.RestoreTrash, 'nix')


class TestEstate(base.CommandCase):
    def test_agents(self) -> None:
        (row,) = self.rows(estate.ListAgents, '--long')
        self.assertEqual(('a', 'alive'), (row['Name'], row['State']))
        shown = self.rows(estate.DrainAgent, 'a')
        self.assertEqual('draining', shown['state'])
        shown = self.rows(estate.ResumeAgent, 'a')
        self.assertEqual('alive', shown['state'])
        with self.assertRaisesRegex(exceptions.CommandError, 'HTTP 404'):
            self.rows(estate.DrainAgent, 'nix')

    def test_pools(self) -> None:
        (row,) = self.rows(estate.ListPools, '--long')
        self.assertEqual('memory', row['Backend'])
        self.assertIsInstance(row['Total'], int)
        self.assertIn('iB', self.printed(estate.ListPools))
        self.assertEqual('0.0s ago', row['Seen'])
        self.clock.advance(90)
        (row,) = self.rows(estate.ListPools)
        self.assertEqual('1m30s ago, silent since', row['Seen'])

    def test_limits(self) -> None:
        rows = self.rows(estate.ShowLimits)
        self.assertEqual(['quick', 'copy'], [one['Lane'] for one in rows])
        self.assertEqual([], self.rows(estate.ShowLimits, '--history', '3'))


class TestVolume(AlarmCase):
    def differing(self, *argv: str) -> set[str]:
        rows = self.rows(volume.ShowVolume, *argv)
        return {one['Field'] for one in rows if one['Differs']}

    def test_both_agree(self) -> None:
        made = self.put_volume('v1', name='data', metadata={'a': 'b'})
        self.volume(
            'v1',
            name='data',
            description=made.description,
            size_gib=made.size_bytes // GIB,
            project_id=made.project_id,
            properties={
                'a': 'b',
                'virtdc.state': 'success',
                'virtdc.event_id': self.rows_of_events()[0],
            },
        )
        self.assertEqual(set(), self.differing('data'))
        self.assertEqual(
            [], self.rows(volume.ShowVolume, 'v1', '--differences')
        )
        self.assertIn('agree', self.said)
        self.assertEqual([], self.rows(compare.CompareVolumes))

    def rows_of_events(self) -> list[str]:
        page = self.app_.client_manager.virtdc.get('/events')
        return [one['event_id'] for one in page['events']]

    def test_what_differs(self) -> None:
        self.put_volume('v1', name='data', size_bytes=2 * GIB)
        self.volume('v1', name='other', is_attached=True)
        self.assertLessEqual(
            {'name', 'size', 'attached', 'state'}, self.differing('v1')
        )
        (row,) = self.rows(compare.CompareVolumes)
        self.assertIn('size', row['Differs In'])

    def test_on_one_side(self) -> None:
        self.put_volume('v1')
        self.assertEqual({'id'}, self.differing('v1'))
        self.volume('v2', properties={'virtdc.state': 'success'})
        self.assertEqual({'id'}, self.differing('v2'))
        self.volume('foreign')
        self.assertEqual(
            {'v1': [compare.UNKNOWN], 'v2': [compare.ABSENT]},
            {
                one['Volume']: one['Differs In']
                for one in self.rows(compare.CompareVolumes)
            },
        )
        with self.assertRaisesRegex(exceptions.CommandError, 'no volume v3'):
            self.differing('v3')

    def test_waiting_for_agreement(self) -> None:
        self.put_volume('v1')
        self.command_clock = FakeClock(moves_itself=True)
        with self.assertRaisesRegex(exceptions.CommandError, 'still differ'):
            self.rows(compare.CompareVolumes, '--wait', '--timeout', '5s')


class TestFinding(tests_base.TestCase):
    """By Cinder's API as it answers."""

    def setUp(self) -> None:
        super().setUp()
        self.found: list[Any] = []
        self.api = mock.Mock()
        self.api.ask.side_effect = lambda method, path: {'volumes': self.found}
        self.api.get_volume.side_effect = lambda volume_id: volume_id

    def find(self, name_or_id: str) -> Any:
        with mock.patch.object(
            sides, 'cloud', autospec=True, return_value=self.api
        ):
            return FIND(mock.Mock(), name_or_id)

    def test_by_name(self) -> None:
        self.assertIsNone(self.find('a b&c'))
        self.api.ask.assert_called_with('GET', '/volumes/detail?name=a+b%26c')
        self.found = [{'id': 'v1'}]
        self.assertEqual('v1', self.find('data'))
        self.found.append({'id': 'v2'})
        with self.assertRaisesRegex(exceptions.CommandError, 'v1, v2'):
            self.find('data')

    def test_by_id(self) -> None:
        volume_id = '01234567-89ab-cdef-0123-456789abcdef'
        self.assertEqual(volume_id, self.find(volume_id))
        self.api.get_volume.side_effect = cloud_exceptions.VolumeGone('no')
        self.assertIsNone(self.find(volume_id))
        self.api.get_volume.side_effect = cloud_exceptions.CloudForbids('no')
        with self.assertRaises(exceptions.CommandError):
            self.find(volume_id)


class TestClient(base.CommandCase):
    def refused(self, *answers: Any) -> str:  # type: ignore[override]
        self.adapter.answers = list(answers)
        with self.assertRaises(clients.ApiError) as caught:
            self.app_.client_manager.virtdc.get('/events')
        return str(caught.exception)

    def test_no_endpoint(self) -> None:
        self.adapter.endpoint = None
        self.assertIn('--virtdc-endpoint', self.refused())

    def test_nobody_answers(self) -> None:
        self.assertIn(
            'answers at http://dc', self.refused(base.Lost('refused'))
        )

    def test_it_takes_too_long(self) -> None:
        late = auth_exceptions.ConnectTimeout('late')
        self.assertIn('does not answer in time', self.refused(late))

    def test_something_else_answers(self) -> None:
        html = base.Response(200, '<html>', {})
        self.assertIn('else than JSON', self.refused(html))
        html = base.Response(502, '<html>', {}, 'Bad Gateway')
        self.assertIn('502', self.refused(html))

    def test_every_field_at_fault(self) -> None:
        text = (
            '{"detail": "Two are wrong.", "request_id": "req-1", "errors": ['
            '{"field": "a", "detail": "is x"}, {"field": "b", "detail": "y"}]}'
        )
        said = self.refused(base.Response(400, text, {}))
        for part in ('Two are wrong.', 'a: is x', 'b: y', 'HTTP 400, req-1'):
            self.assertIn(part, said)

    def test_not_authenticated(self) -> None:
        said = self.refused(base.Response(401, '{"detail": "Who?"}', {}))
        self.assertIn('OS_VIRTDC_TOKEN', said)

    def test_an_address_with_the_version(self) -> None:
        self.adapter.endpoint = 'http://dc/v1/'
        self.adapter.answers = [base.Response(200, '{}', {})]
        self.app_.client_manager.virtdc.get('/events')
        self.assertEqual('/events', self.adapter.requests[-1][1])

    def make(self, endpoint: str | None, token: str | None) -> clients.Client:
        manager = mock.Mock(verify=True, cert=None)
        manager.session.auth = noauth.NoAuth()
        return clients.make(manager, endpoint=endpoint, token=token)

    def test_options(self) -> None:
        for endpoint, token, says in (
            (None, 'secret', 'needs the address'),
            ('dc1:8788', None, 'is no address'),
            (None, None, 'OS_VIRTDC_ENDPOINT'),
        ):
            with (
                self.subTest(says=says),
                self.assertRaisesRegex(exceptions.CommandError, says) as seen,
            ):
                self.make(endpoint, token)
            self.assertNotIn('secret', str(seen.exception))
        self.make('https://dc1.example.org/v1', 'secret')
