"""Where volumes lie: pools and exporters, moves, files that are managed."""

from __future__ import annotations

import threading

from tests.unit.api import base
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent.manageable import PatientContents
from virtdc_agent.manageable import PoolContents
from virtdc_agent.patience import Patience
from virtdc_agent.pools import Pools

GIB = base.GIB


class TestCreate(base.ApiCase):
    pool_names = ('fast', 'slow')

    def create(self, caller: str = 'operator', **body):
        headers = {'Idempotency-Key': body.pop('key', 'k')}
        return self.ask(
            'POST',
            '/v1/volumes',
            {'size_bytes': GIB, **body},
            caller=caller,
            headers=headers,
        )

    def test_in_a_pool_for_an_exporter(self) -> None:
        event = self.accepted(
            self.create(pool='slow', exporter='other', metadata={'a': 'b'})
        )
        parameters = self.journal.get_event(event['event_id']).parameters
        self.assertEqual(
            events.CreateParameters(
                size_bytes=GIB,
                pool='slow',
                metadata={'a': 'b', events.EXPORTER_KEY: 'other'},
            ),
            parameters,
        )

    def test_a_copy_in_another_pool(self) -> None:
        self.put_volume(pool='fast')
        event = self.accepted(self.create(pool='slow', source_volume_id='v1'))
        parameters = self.journal.get_event(event['event_id']).parameters
        self.assertEqual(
            ('v1', 'slow'), (parameters.source_id, parameters.pool)
        )

    def test_what_there_is_not_is_refused_with_what_there_is(self) -> None:
        for field, names in (('pool', 'fast, slow'), ('exporter', 'other')):
            problem = self.refused(
                400, 'invalid-field', self.create(**{field: 'nix'})
            )
            self.assertEqual(field, problem['errors'][0]['field'])
            self.assertIn(f'there is no {field} nix', problem['detail'])
            self.assertIn(names, problem['detail'])

    def test_only_for_operators(self) -> None:
        for body in ({'pool': 'fast'}, {'exporter': 'other'}):
            self.refused(
                403, 'forbidden', self.create(caller='own-member', **body)
            )

    def test_again_when_the_pool_is_gone(self) -> None:
        event = self.accepted(self.create(pool='slow'))
        object.__setattr__(self.platform, 'pools', ('fast',))
        again = self.accepted(self.create(pool='slow'))
        self.assertEqual(event['event_id'], again['event_id'])
        self.refused(400, 'invalid-field', self.create(pool='slow', key='l'))


class TestMigrate(base.ApiCase):
    pool_names = ('fast', 'slow')
    path = '/v1/volumes/v1/migrate'

    def test_makes_an_event(self) -> None:
        self.put_volume()
        body = {'pool': 'slow', 'provisioning': 'thick'}
        event = self.accepted(
            self.ask('POST', self.path, body, caller='operator')
        )
        self.assertEqual(
            ('migrate', base.OWN),
            (event['operation'], event['requested_by']['project_id']),
        )
        self.assertEqual(
            events.MigrateParameters(
                pool='slow', provisioning=events.Provisioning.THICK
            ),
            self.journal.get_event(event['event_id']).parameters,
        )

    def test_not_while_it_is_used_nor_to_nowhere(self) -> None:
        self.put_volume(attached_to=('web-1',))
        self.refused(
            409,
            'volume-in-use',
            self.ask('POST', self.path, {'pool': 'slow'}),
        )
        problem = self.refused(
            400, 'invalid-field', self.ask('POST', self.path, {'pool': 'nix'})
        )
        self.assertIn('there are: fast, slow', problem['detail'])
        self.refused(
            404,
            'volume-not-found',
            self.ask('POST', '/v1/volumes/v7/migrate', {'pool': 'slow'}),
        )


class TestOnePool(base.ApiCase):
    operations = frozenset(events.Operation) - {
        events.Operation.MIGRATE,
        events.Operation.MANAGE,
    }

    def test_a_pool_without_a_name_cannot_be_named(self) -> None:
        body = {'size_bytes': 1, 'pool': 'default'}
        problem = self.refused(
            400, 'invalid-field', self.ask('POST', '/v1/volumes', body)
        )
        self.assertIn('the only one has no name', problem['detail'])

    def test_what_the_storage_does_not_offer(self) -> None:
        self.put_volume()
        for method, path, body in (
            ('POST', '/v1/volumes/v1/migrate', {'pool': 'x'}),
            ('POST', '/v1/manageable', {'reference': 'x'}),
            ('GET', '/v1/manageable', None),
        ):
            self.refused(
                501, 'operation-not-offered', self.ask(method, path, body)
            )


class TestManage(base.ApiCase):
    pool_names = ('fast', 'slow')

    def setUp(self) -> None:
        super().setUp()
        for name in ('b.img', 'a.img', 'c.img'):
            self.put_file(name)

    def test_what_there_is_page_by_page(self) -> None:
        self.backend.storage.manageable['b.img'].reason = 'It is open.'
        first = self.ask('GET', '/v1/manageable?limit=2').json
        self.assertEqual(
            [('a.img', True, ''), ('b.img', False, 'It is open.')],
            [
                (one['reference'], one['is_safe'], one['reason'])
                for one in first['manageable']
            ],
        )
        rest = self.ask(
            'GET', f'/v1/manageable?limit=2&marker={first["next_marker"]}'
        ).json
        self.assertEqual(
            (['c.img'], None),
            (
                [one['reference'] for one in rest['manageable']],
                rest['next_marker'],
            ),
        )
        other = self.ask('GET', '/v1/manageable?pool=slow').json
        self.assertEqual([], other['manageable'])
        self.refused(
            400, 'invalid-field', self.ask('GET', '/v1/manageable?pool=nix')
        )

    def manage(self, **body):
        return self.ask(
            'POST',
            '/v1/manageable',
            {'reference': 'a.img', **body},
            caller='operator',
            headers={'Idempotency-Key': 'k'},
        )

    def test_makes_a_volume_of_it(self) -> None:
        event = self.accepted(
            self.manage(name='old', project_id=base.OWN, pool='fast')
        )
        kept = self.journal.get_event(event['event_id'])
        self.assertEqual(
            (
                base.OWN,
                events.ManageParameters(
                    reference='a.img', size_bytes=GIB, name='old', pool='fast'
                ),
            ),
            (kept.requested_by.project_id, kept.parameters),
        )
        # By then it is a volume, and no file any more.
        del self.backend.storage.manageable['a.img']
        again = self.manage(name='old', project_id=base.OWN, pool='fast')
        self.assertEqual(event['event_id'], self.accepted(again)['event_id'])

    def test_refusals(self) -> None:
        self.refused(404, 'manageable-not-found', self.manage(reference='nix'))
        self.refused(400, 'invalid-field', self.manage(size_bytes=GIB - 1))
        self.accepted(self.manage(size_bytes=2 * GIB))
        self.backend.storage.manageable['a.img'].reason = 'It is open.'
        problem = self.refused(
            409,
            'not-manageable',
            self.ask('POST', '/v1/manageable', {'reference': 'a.img'}),
        )
        self.assertIn('It is open.', problem['detail'])

    def test_given_up(self) -> None:
        self.put_volume(attached_to=('web-1',))
        path = '/v1/volumes/v1/unmanage'
        self.refused(409, 'volume-in-use', self.ask('POST', path))
        self.put_volume('v2')
        event = self.accepted(self.ask('POST', '/v1/volumes/v2/unmanage'))
        self.assertEqual('unmanage', event['operation'])

    def test_a_storage_that_hangs_holds_nobody(self) -> None:
        released = threading.Event()
        self.addCleanup(released.set)
        self.backend.list_manageable = lambda *page: released.wait() and []
        clock = FakeClock()
        patience = Patience(clock, timeout_s=10, most=1)
        contents = PatientContents(
            PoolContents(Pools.of_one(self.backend)), patience
        )
        object.__setattr__(self.platform, 'manageables', contents)
        answers: list[int] = []
        thread = threading.Thread(
            target=lambda: answers.append(
                self.ask('GET', '/v1/manageable').status_code
            )
        )
        thread.start()
        pause = threading.Event()
        while not clock.waiters:
            pause.wait(0.001)
        # One is asked already; nobody waits behind it.
        self.refused(
            503, 'storage-unavailable', self.ask('GET', '/v1/manageable')
        )
        clock.advance(10)
        thread.join(30)
        self.assertEqual([503], answers)
        released.set()
        # Its thread is free again, sooner or later.
        while self.ask('GET', '/v1/manageable').status_code == 503:
            pause.wait(0.001)

    def test_what_a_question_raises_its_caller_gets(self) -> None:
        patience = Patience(FakeClock(), timeout_s=10, most=1)

        def wrong() -> None:
            raise exceptions.EventRejected('No such pool.')

        for _ in range(2):
            with self.assertRaises(exceptions.EventRejected):
                patience.ask(wrong)


class TestGroup(base.ApiCase):
    def take(self, *volume_ids: str, caller: str = 'own-member', **body):
        return self.ask(
            'POST',
            '/v1/snapshots',
            {'volume_ids': list(volume_ids), **body},
            caller=caller,
            headers={'Idempotency-Key': 'k'},
        )

    def test_is_one_event(self) -> None:
        for name in ('v1', 'v2'):
            self.put_volume(name)
        event = self.accepted(self.take('v2', 'v1', name='before'))
        self.assertEqual(
            ('snapshot_group', ['v1', 'v2']),
            (event['operation'], event['volume_ids']),
        )
        parameters = self.journal.get_event(event['event_id']).parameters
        self.assertEqual({'v1', 'v2'}, set(parameters.snapshots))
        self.assertEqual(2, len(set(parameters.snapshots.values())))
        again = self.accepted(self.take('v1', 'v2', name='before'))
        self.assertEqual(event['event_id'], again['event_id'])

    def test_refusals(self) -> None:
        self.put_volume()
        self.put_volume('v2', attached_to=('web-1',))
        self.put_volume('v3', base.OTHER)
        self.refused(409, 'volume-in-use', self.take('v1', 'v2'))
        self.refused(404, 'volume-not-found', self.take('v1', 'v3'))
        self.refused(
            409,
            'volumes-of-several-projects',
            self.take('v1', 'v3', caller='operator'),
        )
        self.refused(400, 'invalid-body', self.take('v1', 'v1'))
        self.refused(400, 'invalid-body', self.take())
        for body in ({}, {'volume_id': 'v1', 'volume_ids': ['v1']}):
            self.refused(
                400, 'invalid-field', self.ask('POST', '/v1/snapshots', body)
            )
        self.assertEqual(
            0,
            len(
                [
                    one
                    for one in self.ask('GET', '/v1/events').json['events']
                    if one['operation'] == 'snapshot_group'
                ]
            ),
        )


class TestExporter(base.ApiCase):
    def test_users_cannot_name_it_by_metadata(self) -> None:
        body = {'size_bytes': 1, 'metadata': {events.EXPORTER_KEY: 'other'}}
        self.refused(
            400, 'invalid-body', self.ask('POST', '/v1/volumes', body)
        )
