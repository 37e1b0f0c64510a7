"""The agent's calls as a hostile or careless caller may make them."""

from __future__ import annotations

import json
import unittest
from unittest import mock

from tests.unit.agent import builders
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.backends.memory_storage import MemoryStranger
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
from virtdc_agent.describing import Describer
from virtdc_agent.endpoint import AgentEndpoint
from virtdc_agent import exceptions
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exports import Exporters
from virtdc_agent.intake import Intake
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent import model
from virtdc_agent.pools import Pools
from virtdc_agent.scheduling import Lane

GIB = builders.GIB


class EndpointCase(unittest.TestCase):
    def setUp(self) -> None:
        self.journal = MemoryJournal(agent='a', clock=FakeClock())
        self.journal.join()
        self.backend = MemoryBackend()
        pools = Pools.of_one(self.backend, 'memory')
        exporters = Exporters({'memory': MemoryExporter()})
        self.endpoint = AgentEndpoint(
            journal=self.journal,
            intake=Intake(self.journal, max_waiting=5),
            pools=pools,
            exporters=exporters,
            describe=Describer(
                agent='a',
                journal=self.journal,
                pools=pools,
                exporters=exporters,
                operations=frozenset(events.Operation),
            ).describe,
        )

    def ask(self, call: str, **arguments: object) -> dict:
        answer = getattr(self.endpoint, call)({}, **arguments)
        # It must be able to travel.
        return json.loads(json.dumps(answer))

    def assert_refused(self, code: str, answer: dict, field: str = '') -> str:
        self.assertEqual(code, answer['error']['code'])
        self.assertEqual(field, answer['error']['field'])
        self.assertTrue(answer['error']['message'])
        return answer['error']['message']

    def make_volume(self, volume_id: str, *hosts: str) -> None:
        self.journal.append(builders.create(volume_id))
        (claim,) = self.journal.claim(Lane.QUICK, 1)
        volume = builders.volume(volume_id, attached_to=hosts)
        self.journal.settle(
            claim,
            model.Outcome(
                state=State.SUCCESS, change=model.PutVolume(volume=volume)
            ),
        )


class TestSubmit(EndpointCase):
    def submit(self, **changes: object) -> dict:
        envelope = codec.encode(builders.create('v', event_id='e'))
        data = {**envelope['data'], **changes}
        return self.ask('submit', event={**envelope, 'data': data})

    def test_is_durable_when_answered(self) -> None:
        item = codec.decode(self.submit()['item'], Transition)
        self.assertIs(State.WAITING, item.state)
        self.assertEqual(['e'], list(self.journal.get_latest(['e'])))

    def test_twice_is_once(self) -> None:
        self.assertEqual(self.submit(), self.submit())
        self.assertEqual(1, self.journal.count().waiting)

    def test_another_event_of_the_same_id(self) -> None:
        self.submit()
        self.assert_refused('conflict', self.submit(volume_id='w'))

    def test_malformed(self) -> None:
        size = 'data.parameters.size_bytes'
        for field, changes in (
            ('data.operation', {'operation': 'explode'}),
            ('data.volume_id', {'volume_id': '../../etc/passwd'}),
            ('data.volume_id', {'volume_id': 'a/b'}),
            ('data.volume_id', {'volume_id': '.hidden'}),
            ('data.volume_id', {'volume_id': 'nul\x00'}),
            ('data.event_id', {'event_id': ''}),
            (size, {'parameters': {'size_bytes': 0}}),
            (size, {'parameters': {'size_bytes': -1}}),
            (size, {'parameters': {'size_bytes': 2**63}}),
            (size, {'parameters': {'size_bytes': True}}),
            (size, {'parameters': {}}),
            ('data.parameters', {'parameters': None}),
            ('data.created_at', {'created_at': 'yesterday'}),
        ):
            with self.subTest(field, changes=changes):
                self.assert_refused('malformed', self.submit(**changes), field)
        self.assertEqual(0, self.journal.count().waiting)

    def test_not_even_an_envelope(self) -> None:
        for event in (None, 1, 'x', [], {}, {'schema': 'virtdc.event'}):
            with self.subTest(event=event):
                answer = self.ask('submit', event=event)
                self.assertEqual('malformed', answer['error']['code'])

    def test_oversized(self) -> None:
        metadata = {f'key-{index}': 'x' * 4000 for index in range(100)}
        answer = self.submit(
            parameters={'size_bytes': GIB, 'metadata': metadata}
        )
        self.assert_refused('malformed', answer, 'message')

    def test_another_version(self) -> None:
        envelope = codec.encode(builders.create('v'))
        answer = self.ask('submit', event={**envelope, 'version': '2.0'})
        self.assertIn(
            '2.0', self.assert_refused('unsupported_version', answer)
        )

    def test_a_full_journal_takes_no_more_but_knows_its_own(self) -> None:
        waiting = [builders.create(f'v{index}') for index in range(5)]
        for event in waiting:
            self.ask('submit', event=codec.encode(event))
        answer = self.ask('submit', event=codec.encode(builders.create()))
        self.assert_refused('unavailable', answer)
        again = self.ask('submit', event=codec.encode(waiting[0]))
        self.assertIn('item', again)

    def test_a_journal_that_is_away(self) -> None:
        away = exceptions.JournalUnavailable('database is locked')
        with mock.patch.object(
            self.journal, 'append', autospec=True, side_effect=away
        ):
            answer = self.submit()
        self.assertIn('locked', self.assert_refused('unavailable', answer))

    def test_an_unexpected_error_is_an_answer_without_details(self) -> None:
        with mock.patch.object(
            self.journal,
            'append',
            autospec=True,
            side_effect=ZeroDivisionError('secret'),
        ):
            message = self.assert_refused('internal', self.submit())
        self.assertNotIn('secret', message)


class TestQuestions(EndpointCase):
    def test_get_events_leaves_out_the_unknown(self) -> None:
        self.journal.append(builders.create('v', event_id='e'))
        answer = self.ask('get_events', event_ids=['e', 'unknown'])
        (item,) = answer['items']
        self.assertEqual('e', codec.decode(item, Transition).event_id)

    def test_get_events_malformed(self) -> None:
        for event_ids in (None, 'e', {'a': 1}):
            self.assert_refused(
                'malformed',
                self.ask('get_events', event_ids=event_ids),
                'event_ids',
            )
        self.assert_refused(
            'malformed',
            self.ask('get_events', event_ids=['e', '/']),
            'event_ids[1]',
        )
        self.assert_refused(
            'malformed',
            self.ask('get_events', event_ids=['e'] * 1001),
            'event_ids',
        )

    def test_get_changes(self) -> None:
        for index in range(3):
            self.journal.append(builders.create(f'v{index}'))
        answer = self.ask('get_changes', after=1, limit=1)
        (item,) = answer['items']
        self.assertEqual(2, codec.decode(item, Transition).sequence)
        self.assertEqual((1, 3), (answer['oldest'], answer['last']))

    def test_get_changes_malformed(self) -> None:
        for field, arguments in (
            ('after', {'after': -1}),
            ('after', {'after': 'x'}),
            ('limit', {'limit': 0}),
            ('limit', {'limit': 1001}),
        ):
            with self.subTest(arguments):
                self.assert_refused(
                    'malformed', self.ask('get_changes', **arguments), field
                )

    def test_cancel(self) -> None:
        self.journal.append(builders.create('v', event_id='e'))
        answer = self.ask('cancel', event_id='e')
        item = codec.decode(answer['item'], Transition)
        self.assertIs(events.Reason.CANCELLED, item.reason)
        self.assert_refused('not_found', self.ask('cancel', event_id='x'))
        self.assert_refused(
            'malformed', self.ask('cancel', event_id=None), 'event_id'
        )

    def test_get_volumes_in_pages(self) -> None:
        for index in range(3):
            self.make_volume(f'v{index}')
        answer = self.ask('get_volumes', marker=None, limit=2)
        self.assertEqual('v1', answer['next'])
        answer = self.ask('get_volumes', marker='v1', limit=2)
        (item,) = answer['items']
        self.assertEqual('v2', codec.decode(item, Volume).volume_id)
        self.assertIsNone(answer['next'])

    def take_snapshot(self, volume_id: str, snapshot_id: str) -> None:
        parameters = events.SnapshotParameters(snapshot_id=snapshot_id)
        self.journal.append(builders.event_of(volume_id, parameters))
        (claim,) = self.journal.claim(Lane.COPY, 1)
        snapshot = events.Snapshot(
            snapshot_id=snapshot_id,
            volume_id=volume_id,
            size_bytes=GIB,
            format=events.Format.RAW,
            created_at=claim.event.created_at,
        )
        self.journal.settle(
            claim,
            model.Outcome(
                state=State.SUCCESS,
                change=model.PutSnapshot(snapshot=snapshot),
            ),
        )

    def test_get_snapshots_in_pages(self) -> None:
        for volume_id in ('v', 'w'):
            self.make_volume(volume_id)
        for volume_id, snapshot_id in (('v', 'a'), ('w', 'b'), ('v', 'c')):
            self.take_snapshot(volume_id, snapshot_id)
        answer = self.ask('get_snapshots', limit=2)
        self.assertEqual('b', answer['next'])
        answer = self.ask('get_snapshots', marker='b')
        self.assertIsNone(answer['next'])
        answer = self.ask('get_snapshots', volume_id='v')
        self.assertEqual(
            ['a', 'c'],
            [
                codec.decode(one, events.Snapshot).snapshot_id
                for one in answer['items']
            ],
        )
        for field, arguments in (
            ('volume_id', {'volume_id': '../v'}),
            ('marker', {'marker': 1}),
            ('limit', {'limit': 1001}),
        ):
            self.assert_refused(
                'malformed', self.ask('get_snapshots', **arguments), field
            )

    def test_get_manageable_in_pages(self) -> None:
        for name in ('a', 'b', 'c'):
            self.backend.storage.manageable[name] = MemoryStranger(
                size_bytes=GIB
            )
        answer = self.ask('get_manageable', limit=2)
        self.assertEqual(('b', 2), (answer['next'], len(answer['items'])))
        answer = self.ask('get_manageable', marker='b', limit=2)
        (item,) = answer['items']
        self.assertIsNone(answer['next'])
        found = codec.decode(item, events.Manageable)
        self.assertEqual(('c', True), (found.reference, found.is_safe))
        answer = self.ask('get_manageable', reference='a')
        self.assertEqual(1, len(answer['items']))
        answer = self.ask('get_manageable', reference='../a')
        self.assertEqual([], answer['items'])
        self.assertEqual([], self.ask('get_manageable_snapshots')['items'])

    def test_get_manageable_malformed_or_not_offered(self) -> None:
        for call in ('get_manageable', 'get_manageable_snapshots'):
            for field, arguments in (
                ('reference', {'reference': 'a\0'}),
                ('reference', {'reference': 'a' * 256}),
                ('marker', {'marker': 1}),
                ('limit', {'limit': 0}),
                ('pool', {'pool': '../x'}),
            ):
                self.assert_refused(
                    'malformed', self.ask(call, **arguments), field
                )
            self.assert_refused('conflict', self.ask(call, pool='none'))
        self.backend.operations = frozenset({events.Operation.CREATE})
        for call in ('get_manageable', 'get_manageable_snapshots'):
            self.assert_refused('conflict', self.ask(call))

    def test_get_capacity(self) -> None:
        self.make_volume('v')
        self.journal.append(builders.create('w'))
        answer = self.ask('get_capacity')
        capacity = codec.decode(answer['item'], Capacity)
        self.assertEqual(1, capacity.volumes)
        self.assertEqual(1, capacity.waiting)
        self.assertEqual(GIB, capacity.provisioned_bytes)
        self.assertTrue(capacity.can_grow_in_use)

    def test_get_capacity_of_what_does_not_grow_in_use(self) -> None:
        with mock.patch.object(MemoryExporter, 'can_grow_in_use', False):
            answer = self.ask('get_capacity')
        capacity = codec.decode(answer['item'], Capacity)
        self.assertFalse(capacity.can_grow_in_use)

    def test_get_capacity_of_a_storage_that_is_away(self) -> None:
        away = exceptions.BackendUnavailable('the storage is away')
        with mock.patch.object(
            self.backend, 'space', autospec=True, side_effect=away
        ):
            self.assert_refused('unavailable', self.ask('get_capacity'))

    def test_get_connection_of_a_connected_host_only(self) -> None:
        self.make_volume('v', 'compute-1')
        answer = self.ask('get_connection', volume_id='v', host='compute-1')
        self.assertEqual('memory', answer['connection']['driver_volume_type'])
        self.assert_refused(
            'conflict',
            self.ask('get_connection', volume_id='v', host='compute-2'),
        )
        self.assert_refused(
            'not_found',
            self.ask('get_connection', volume_id='w', host='compute-1'),
        )


class AlarmsTest(EndpointCase):
    def raise_one(self, **changes: object) -> dict:
        return self.ask(
            'raise_alarm',
            **{
                'kind': 'size-differs',
                'subject': 'v',
                'severity': 'minor',
                'message': 'It has 2 GiB here.',
                'details': {'a': [1]},
                **changes,
            },
        )

    def test_what_the_cloud_raises_is_raised_once(self) -> None:
        first = self.raise_one()
        self.assertEqual('raised', first['change'])
        again = self.raise_one()
        self.assertIsNone(again['change'])
        self.assertEqual(2, again['item']['data']['count'])
        self.assertEqual(
            first['item']['data']['revision'],
            again['item']['data']['revision'],
        )

    def test_in_pages(self) -> None:
        for number in range(3):
            self.raise_one(subject=f'v{number}')
        page = self.ask('get_alarms', limit=2)
        rest = self.ask('get_alarms', marker=page['next'], limit=2)
        self.assertEqual(
            ['v0', 'v1', 'v2'],
            [one['data']['subject'] for one in page['items'] + rest['items']],
        )
        self.assertIsNone(rest['next'])
        self.assertEqual(3, rest['revision'])

    def test_seen_and_ended(self) -> None:
        self.raise_one()
        answer = self.ask(
            'acknowledge_alarm',
            kind='size-differs',
            subject='v',
            by='alice',
            comment='I see.',
        )
        self.assertEqual('alice', answer['item']['data']['acknowledged_by'])
        for expected in (True, False):
            answer = self.ask('clear_alarm', kind='size-differs', subject='v')
            self.assertEqual({'cleared': expected}, answer)
        self.assert_refused(
            'not_found',
            self.ask(
                'acknowledge_alarm', kind='size-differs', subject='v', by='a'
            ),
        )

    def test_what_is_wrong_is_named(self) -> None:
        for field, value in (
            ('kind', 'Size Differs'),
            ('kind', None),
            ('subject', '../v'),
            ('severity', 'terrible'),
            ('message', 'a\x00'),
            ('message', 'a' * 5000),
            ('details', []),
            ('message', None),
        ):
            with self.subTest(field=field):
                answer = self.raise_one(**{field: value})
                self.assert_refused('malformed', answer, field)
        answer = self.raise_one(details={'a': 'x' * 70_000})
        self.assert_refused('malformed', answer, 'message')
        answer = self.ask(
            'acknowledge_alarm', kind='size-differs', subject='v', by=''
        )
        self.assert_refused('malformed', answer, 'by')


class TrashTest(EndpointCase):
    def test_one_volume(self) -> None:
        self.make_volume('v')
        answer = self.ask('get_volume', volume_id='v')
        self.assertEqual('v', answer['item']['data']['volume_id'])
        self.assert_refused('not_found', self.ask('get_volume', volume_id='w'))
        self.assert_refused(
            'malformed', self.ask('get_volume', volume_id='/'), 'volume_id'
        )

    def test_what_lies_in_the_trash(self) -> None:
        self.make_volume('v')
        self.journal.append(builders.delete('v'))
        (claim,) = self.journal.claim(Lane.QUICK, 1)
        trashed = events.TrashedVolume(
            volume=builders.volume('v'),
            deleted_at=builders.NOW,
            until=builders.NOW,
            event_id=claim.event.event_id,
            deleted_by=claim.event.requested_by,
            origin=claim.event.origin,
        )
        self.journal.settle(
            claim,
            model.Outcome(
                state=events.State.SUCCESS,
                change=model.DiscardVolume(trashed=trashed),
            ),
        )
        answer = self.ask('get_trash')
        (item,) = answer['items']
        self.assertEqual('v', item['data']['volume']['volume_id'])
        self.assertIsNone(answer['next'])
