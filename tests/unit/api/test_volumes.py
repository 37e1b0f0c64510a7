"""Volumes over REST."""

from __future__ import annotations

import datetime
import json
import threading
from typing import Any

from tests.unit.agent import builders
from tests.unit.api import base
from virtdc_agent.contract import events
from virtdc_agent import model

GIB = base.GIB


class TestCreate(base.ApiCase):
    def test_makes_an_event_of_the_platform(self) -> None:
        event = self.accepted(
            self.ask(
                'POST',
                '/v1/volumes',
                {
                    'size_bytes': 2 * GIB,
                    'name': 'data',
                    'description': 'two\nlines',
                    'metadata': {'a': 'b'},
                    'format': 'qcow2',
                    'provisioning': 'thick',
                },
                caller='own-member',
            )
        )
        self.assertEqual(
            ('create', 'waiting', base.OWN, f'{base.OWN}-member'),
            (
                event['operation'],
                event['state'],
                event['requested_by']['project_id'],
                event['requested_by']['user_id'],
            ),
        )
        kept = self.journal.get_event(event['event_id'])
        self.assertEqual(
            events.CreateParameters(
                size_bytes=2 * GIB,
                name='data',
                description='two\nlines',
                metadata={'a': 'b'},
                format=events.Format.QCOW2,
                provisioning=events.Provisioning.THICK,
            ),
            kept.parameters,
        )
        self.assertEqual(events.Origin.PLATFORM, kept.origin)

    def test_in_place_of_one_that_was_lost(self) -> None:
        body = {'size_bytes': GIB, 'volume_id': 'lost', 'project_id': base.OWN}
        self.refused(
            403,
            'forbidden',
            self.ask('POST', '/v1/volumes', body, caller='own-member'),
        )
        key = {'Idempotency-Key': 'once'}
        event = self.accepted(
            self.ask('POST', '/v1/volumes', body, headers=key)
        )
        self.assertEqual('lost', event['volume_id'])
        again = self.ask('POST', '/v1/volumes', body, headers=key)
        self.assertEqual(event['event_id'], self.accepted(again)['event_id'])
        self.refused(
            409,
            'idempotency-key-reused',
            self.ask(
                'POST',
                '/v1/volumes',
                {**body, 'volume_id': 'other'},
                headers=key,
            ),
        )
        self.refused(
            400,
            'invalid-body',
            self.ask('POST', '/v1/volumes', {**body, 'volume_id': '../x'}),
        )

    def test_the_event_has_the_request_id(self) -> None:
        given = 'req-01234567-89ab-cdef-0123-456789abcdef'
        result = self.ask(
            'POST',
            '/v1/volumes',
            {'size_bytes': GIB},
            headers={'X-OpenStack-Request-ID': given},
        )
        self.assertEqual(given, result.headers['X-OpenStack-Request-ID'])
        event = self.accepted(result)
        self.assertEqual(given, event['requested_by']['request_id'])

    def test_what_is_no_request_id_is_not_taken_over(self) -> None:
        for given in ('req-1', 'x' * 1000, 'req-\x01'):
            result = self.ask(
                'GET', '/', headers={'X-OpenStack-Request-ID': given}
            )
            self.assertNotEqual(
                given, result.headers['X-OpenStack-Request-ID']
            )

    def test_refuses_bad_bodies_and_names_the_field(self) -> None:
        for field, body in (
            ('size_bytes', {}),
            ('size_bytes', {'size_bytes': 0}),
            ('size_bytes', {'size_bytes': '1'}),
            ('size_bytes', {'size_bytes': 1.5}),
            ('size_bytes', {'size_bytes': True}),
            ('size_bytes', {'size_bytes': 2**63}),
            ('name', {'size_bytes': 1, 'name': 'a\n'}),
            ('name', {'size_bytes': 1, 'name': 'a' * 256}),
            ('name', {'size_bytes': 1, 'name': '\ud800'}),
            ('name', {'size_bytes': 1, 'name': 7}),
            ('description', {'size_bytes': 1, 'description': '\x00'}),
            ('metadata.a', {'size_bytes': 1, 'metadata': {'a': 1}}),
            ('metadata', {'size_bytes': 1, 'metadata': {'a\x1b': ''}}),
            ('format', {'size_bytes': 1, 'format': 'vmdk'}),
            ('owner', {'size_bytes': 1, 'owner': 'x'}),
            ('body', [1]),
        ):
            with self.subTest(body=body):
                problem = self.ask('POST', '/v1/volumes', body)
                self.assertEqual(400, problem.status_code, problem.text)
                self.assertEqual(field, problem.json['errors'][0]['field'])
        self.assertEqual(0, self.count_events())

    def test_names_all_that_is_wrong(self) -> None:
        problem = self.refused(
            400,
            'invalid-body',
            self.ask(
                'POST', '/v1/volumes', {'size_bytes': 0, 'name': 1, 'x': 2}
            ),
        )
        self.assertEqual(
            ['name', 'size_bytes', 'x'],
            sorted(error['field'] for error in problem['errors']),
        )

    def test_refuses_what_is_no_json(self) -> None:
        for body in (
            b'{',
            b'\xff',
            b'{"size_bytes": NaN}',
            b'[' * 60_000,
            b'{"size_bytes":' + b'9' * 50_000 + b'}',
        ):
            result = self.ask(
                'POST',
                '/v1/volumes',
                headers={'Content-Type': 'application/json'},
                raw=body,
            )
            self.refused(400, 'malformed-body', result)

    def test_refuses_other_kinds_and_sizes_of_bodies(self) -> None:
        self.refused(
            415,
            'unsupported-media-type',
            self.ask('POST', '/v1/volumes', raw=b'size_bytes=1'),
        )
        self.refused(
            413,
            'body-too-large',
            self.ask(
                'POST',
                '/v1/volumes',
                {'size_bytes': 1, 'description': 'a' * 70_000},
            ),
        )
        self.refused(
            411,
            'length-required',
            self.ask(
                'POST',
                '/v1/volumes',
                headers={'Content-Type': 'application/json'},
            ),
        )

    def test_metadata_that_could_not_travel_is_refused(self) -> None:
        metadata = {f'key-{n}': 'é' * 100 for n in range(250)}
        body = json.dumps(
            {'size_bytes': 1, 'metadata': metadata}, ensure_ascii=False
        ).encode()
        result = self.ask(
            'POST',
            '/v1/volumes',
            headers={'Content-Type': 'application/json'},
            raw=body,
        )
        self.assertEqual(400, result.status_code)
        self.assertEqual(0, self.count_events())

    def test_for_another_project(self) -> None:
        body = {'size_bytes': GIB, 'project_id': base.OTHER}
        event = self.accepted(
            self.ask('POST', '/v1/volumes', body, caller='operator')
        )
        self.assertEqual(base.OTHER, event['requested_by']['project_id'])
        self.refused(
            403,
            'forbidden',
            self.ask('POST', '/v1/volumes', body, caller='own-member'),
        )

    def test_a_full_journal_says_when_to_come_back(self) -> None:
        for _ in range(50):
            self.accepted(self.ask('POST', '/v1/volumes', {'size_bytes': 1}))
        result = self.ask('POST', '/v1/volumes', {'size_bytes': 1})
        self.refused(503, 'journal-unavailable', result)
        self.assertEqual('5', result.headers['Retry-After'])


class TestCopy(base.ApiCase):
    def setUp(self) -> None:
        super().setUp()
        self.put_volume(size_bytes=3 * GIB)
        self.put_snapshot(size_bytes=2 * GIB)

    def create(self, caller: str = 'own-member', **body):
        return self.ask('POST', '/v1/volumes', body, caller=caller)

    def test_of_a_volume(self) -> None:
        event = self.accepted(self.create(source_volume_id='v1'))
        self.assertEqual('clone', event['operation'])
        self.assertEqual(
            ('v1', None, 3 * GIB),
            tuple(
                event['parameters'][name]
                for name in ('source_id', 'snapshot_id', 'size_bytes')
            ),
        )

    def test_of_a_snapshot_larger(self) -> None:
        event = self.accepted(
            self.create(source_snapshot_id='s1', size_bytes=5 * GIB)
        )
        self.assertEqual(
            ('v1', 's1', 5 * GIB),
            tuple(
                event['parameters'][name]
                for name in ('source_id', 'snapshot_id', 'size_bytes')
            ),
        )

    def test_refusals(self) -> None:
        for status, code, body in (
            (404, 'volume-not-found', {'source_volume_id': 'v2'}),
            (404, 'snapshot-not-found', {'source_snapshot_id': 's2'}),
            (
                400,
                'invalid-field',
                {'source_volume_id': 'v1', 'size_bytes': GIB},
            ),
            (
                400,
                'invalid-field',
                {'source_volume_id': 'v1', 'source_snapshot_id': 's1'},
            ),
            (400, 'invalid-body', {'source_volume_id': '../v1'}),
        ):
            with self.subTest(body=body):
                self.refused(status, code, self.create(**body))

    def test_others_sources_are_not_there(self) -> None:
        self.refused(
            404,
            'volume-not-found',
            self.create('other-member', source_volume_id='v1'),
        )
        self.refused(
            404,
            'snapshot-not-found',
            self.create('other-member', source_snapshot_id='s1'),
        )

    def test_again_with_the_source_gone(self) -> None:
        headers = {'Idempotency-Key': 'k'}

        def again():
            return self.ask(
                'POST',
                '/v1/volumes',
                {'source_volume_id': 'v1'},
                caller='own-member',
                headers=headers,
            )

        first = self.accepted(again())
        self.settle()
        self.journal.append(builders.delete('v1'))
        self.settle(model.RemoveVolume(volume_id='v1'))
        self.assertEqual(first['event_id'], self.accepted(again())['event_id'])


class TestIdempotency(base.ApiCase):
    def create(self, key: str, size_bytes: int = 1, caller: str = 'admin'):
        return self.ask(
            'POST',
            '/v1/volumes',
            {'size_bytes': size_bytes},
            caller=caller,
            headers={'Idempotency-Key': key},
        )

    def test_the_same_request_is_the_same_event(self) -> None:
        first = self.accepted(self.create('k'))
        self.clock.advance(10)
        again = self.accepted(self.create('k'))
        self.assertEqual(first['event_id'], again['event_id'])
        self.assertEqual(first['volume_id'], again['volume_id'])
        self.assertEqual(1, self.count_events())

    def test_it_is_told_as_it_is_now(self) -> None:
        self.create('k')
        self.settle()
        self.assertEqual('success', self.accepted(self.create('k'))['state'])

    def test_another_request_is_refused(self) -> None:
        self.create('k')
        self.refused(409, 'idempotency-key-reused', self.create('k', 2))
        self.put_volume()
        self.refused(
            409,
            'idempotency-key-reused',
            self.ask(
                'DELETE', '/v1/volumes/v1', headers={'Idempotency-Key': 'k'}
            ),
        )

    def test_keys_are_each_callers_own(self) -> None:
        first = self.accepted(self.create('k'))
        other = self.accepted(self.create('k', caller='own-member'))
        self.assertNotEqual(first['event_id'], other['event_id'])
        self.assertNotEqual(first['volume_id'], other['volume_id'])

    def test_bad_keys(self) -> None:
        for key in ('', 'x' * 256, 'ä', '\x01'):
            with self.subTest(key=key):
                problem = self.refused(400, 'invalid-field', self.create(key))
                self.assertEqual(
                    'Idempotency-Key', problem['errors'][0]['field']
                )

    def test_delete_of_what_is_gone_by_now(self) -> None:
        self.put_volume()
        headers = {'Idempotency-Key': 'd'}
        first = self.accepted(
            self.ask('DELETE', '/v1/volumes/v1', headers=headers)
        )
        self.settle(model.RemoveVolume(volume_id='v1'))
        again = self.accepted(
            self.ask('DELETE', '/v1/volumes/v1', headers=headers)
        )
        self.assertEqual(first['event_id'], again['event_id'])
        self.refused(
            404, 'volume-not-found', self.ask('DELETE', '/v1/volumes/v1')
        )

    def test_at_the_same_time(self) -> None:
        """The other's append comes between our look and ours."""
        append = self.journal.append
        others = []

        def slow(event, **more):
            if not others:
                others.append(None)
                others.append(self.create('k'))
            return append(event, **more)

        self.journal.append = slow
        ours = self.accepted(self.create('k'))
        self.assertEqual(
            ours['event_id'], self.accepted(others[1])['event_id']
        )
        self.assertEqual(1, self.count_events())


class TestShow(base.ApiCase):
    def test_a_volume_and_what_is_done_to_it(self) -> None:
        self.put_volume(name='data')
        self.accepted(
            self.ask('POST', '/v1/volumes/v1/resize', {'size_bytes': 2 * GIB})
        )
        result = self.ask('GET', '/v1/volumes/v1')
        self.assertEqual('data', result.json['name'])
        (event,) = result.json['open_events']
        self.assertEqual('extend', event['operation'])
        self.assertEqual(result.json['etag'], result.headers['ETag'])

    def test_the_etag_changes_with_the_volume(self) -> None:
        self.put_volume()
        first = self.ask('GET', '/v1/volumes/v1').json['etag']
        self.assertEqual(first, self.ask('GET', '/v1/volumes/v1').json['etag'])
        self.put_volume(name='other')
        self.assertNotEqual(
            first, self.ask('GET', '/v1/volumes/v1').json['etag']
        )

    def test_names_that_nothing_has(self) -> None:
        for name in ('v1', '..', '%2e%2e', 'a' * 65, '%00', 'a%2fb', '-'):
            result = self.ask('GET', f'/v1/volumes/{name}')
            self.assertEqual(404, result.status_code, name)


class TestList(base.ApiCase):
    def setUp(self) -> None:
        super().setUp()
        for n, name in enumerate(('beta', 'Alpha', 'gamma', 'alpha', '%_')):
            self.put_volume(
                f'v{n}',
                base.OWN if n % 2 else base.OTHER,
                name=name,
                size_bytes=(5 - n // 2) * GIB,
                created_at=builders.NOW + datetime.timedelta(seconds=n // 2),
            )

    def ids(self, query: str = '', caller: str = 'admin') -> list[str]:
        result = self.ask('GET', f'/v1/volumes?{query}', caller=caller)
        self.assertEqual(200, result.status_code, result.text)
        return [volume['volume_id'] for volume in result.json['volumes']]

    def test_orders(self) -> None:
        for query, expected in (
            ('', 'v0 v1 v2 v3 v4'),
            ('descending=true', 'v4 v3 v2 v1 v0'),
            ('sort=name', 'v4 v1 v3 v0 v2'),
            ('sort=size', 'v4 v2 v3 v0 v1'),
            ('sort=created&descending=true', 'v4 v3 v2 v1 v0'),
        ):
            with self.subTest(query=query):
                self.assertEqual(expected.split(), self.ids(query))

    def test_pages_follow_each_other_in_every_order(self) -> None:
        for sort in model.VolumeSort:
            for descending in ('true', 'false'):
                order = f'sort={sort}&descending={descending}'
                with self.subTest(order=order):
                    expected = self.ids(order)
                    found, marker = [], ''
                    while marker is not None:
                        more = f'&marker={marker}' if marker else ''
                        page = self.ask(
                            'GET', f'/v1/volumes?{order}&limit=2{more}'
                        ).json
                        found += [one['volume_id'] for one in page['volumes']]
                        marker = page['next_marker']
                    self.assertEqual(expected, found)

    def test_a_marker_outlives_its_volume(self) -> None:
        page = self.ask('GET', '/v1/volumes?limit=2&sort=name').json
        self.journal.append(builders.delete('v1'))
        self.settle(model.RemoveVolume(volume_id='v1'))
        self.assertEqual(
            ['v3', 'v0', 'v2'],
            self.ids(f'sort=name&marker={page["next_marker"]}'),
        )

    def test_filters(self) -> None:
        for query, expected in (
            (f'project_id={base.OWN}', 'v1 v3'),
            ('project_id=', ''),
            ('name=alpha', 'v3'),
            ('search=lpha', 'v1 v3'),
            ('search=%25', 'v4'),
            ('search=_', 'v4'),
            ('search=v2', 'v2'),
        ):
            with self.subTest(query=query):
                self.assertEqual(expected.split(), self.ids(query))

    def test_of_ones_own_project_alone(self) -> None:
        self.put_volume('v9', '')
        self.assertEqual(['v1', 'v3'], self.ids(caller='own-reader'))
        self.assertEqual(['v0', 'v2', 'v4'], self.ids(caller='other-member'))
        self.assertEqual(6, len(self.ids(caller='cloud-admin')))
        self.refused(
            403,
            'forbidden',
            self.ask(
                'GET',
                f'/v1/volumes?project_id={base.OTHER}',
                caller='own-member',
            ),
        )

    def test_bad_queries_name_the_parameter(self) -> None:
        page = self.ask('GET', '/v1/volumes?limit=1').json
        for name, query in (
            ('limit', 'limit=0'),
            ('limit', 'limit=1001'),
            ('limit', 'limit=a'),
            ('limit', 'limit='),
            ('limit', 'limit=1&limit=2'),
            ('sort', 'sort=owner'),
            ('descending', 'descending=yes'),
            ('marker', 'marker=x'),
            ('marker', 'marker=%F0%9F%92%A9'),
            ('marker', f'sort=size&marker={page["next_marker"]}'),
            ('name', 'name=%00'),
            ('colour', 'colour=red'),
        ):
            with self.subTest(query=query):
                result = self.ask('GET', f'/v1/volumes?{query}')
                self.assertEqual(400, result.status_code, result.text)
                self.assertEqual(name, result.json['errors'][0]['field'])


class TestResizeAndDelete(base.ApiCase):
    def test_resize(self) -> None:
        self.put_volume()
        event = self.accepted(
            self.ask(
                'POST',
                '/v1/volumes/v1/resize',
                {'size_bytes': 2 * GIB},
                caller='own-member',
            )
        )
        self.assertEqual(
            ('extend', {'size_bytes': 2 * GIB}),
            (event['operation'], event['parameters']),
        )

    def test_never_smaller(self) -> None:
        self.put_volume()
        self.refused(
            409,
            'volume-cannot-shrink',
            self.ask('POST', '/v1/volumes/v1/resize', {'size_bytes': GIB - 1}),
        )

    def test_what_is_not_there(self) -> None:
        self.refused(
            404,
            'volume-not-found',
            self.ask('POST', '/v1/volumes/v1/resize', {'size_bytes': 1}),
        )
        self.refused(
            404, 'volume-not-found', self.ask('DELETE', '/v1/volumes/v1')
        )
        self.assertEqual(0, self.count_events())

    def test_delete_is_of_the_volumes_project(self) -> None:
        self.put_volume()
        event = self.accepted(
            self.ask('DELETE', '/v1/volumes/v1', caller='operator')
        )
        self.assertEqual(
            {'project_id': base.OWN, 'user_id': 'the-operator'},
            {
                name: event['requested_by'][name]
                for name in ('project_id', 'user_id')
            },
        )

    def test_what_a_host_uses_is_kept(self) -> None:
        self.put_volume(attached_to=('web-1',))
        problem = self.refused(
            409, 'volume-in-use', self.ask('DELETE', '/v1/volumes/v1')
        )
        self.assertIn('web-1', problem['detail'])

    def test_an_open_event_may_still_disconnect_it(self) -> None:
        self.put_volume(attached_to=('web-1',))
        self.journal.append(builders.connect('v1', 'web-2'))
        self.accepted(self.ask('DELETE', '/v1/volumes/v1'))


class TestEdit(base.ApiCase):
    def edit(self, body, caller='own-member', **headers):
        return self.ask(
            'PATCH', '/v1/volumes/v1', body, caller=caller, headers=headers
        )

    def test_only_what_is_named(self) -> None:
        self.put_volume()
        event = self.accepted(self.edit({'name': 'new'}))
        self.assertEqual('edit', event['operation'])
        self.assertEqual(
            events.EditParameters(name='new'),
            self.journal.get_event(event['event_id']).parameters,
        )
        event = self.accepted(
            self.edit({'description': '', 'metadata': {'a': 'b'}})
        )
        self.assertEqual(
            events.EditParameters(description='', metadata={'a': 'b'}),
            self.journal.get_event(event['event_id']).parameters,
        )

    def test_refuses_bad_bodies(self) -> None:
        self.put_volume()
        for field, body in (
            ('body', {}),
            ('name', {'name': None}),
            ('name', {'name': 'a\tb'}),
            ('description', {'description': 'x' * 256}),
            ('metadata', {'metadata': {'': 'x'}}),
            ('metadata', {'metadata': {'virtdc.event': 'x'}}),
            ('metadata.a', {'metadata': {'a': 'x' * 256}}),
            ('size_bytes', {'size_bytes': 1}),
        ):
            with self.subTest(body=body):
                result = self.edit(body)
                self.assertEqual(400, result.status_code, result.text)
                self.assertEqual(field, result.json['errors'][0]['field'])

    def test_if_match(self) -> None:
        self.put_volume()
        etag = self.ask('GET', '/v1/volumes/v1').json['etag']
        self.refused(
            412,
            'volume-changed',
            self.edit({'name': 'a'}, **{'If-Match': '"x"'}),
        )
        self.accepted(self.edit({'name': 'a'}, **{'If-Match': etag}))
        # That edit is still to come: what it leaves is not known.
        self.refused(
            412,
            'volume-changing',
            self.edit({'name': 'b'}, **{'If-Match': etag}),
        )
        self.accepted(self.edit({'name': 'b'}, **{'If-Match': '*'}))

    def test_of_two_at_once_one_is_refused(self) -> None:
        self.put_volume()
        etag = self.ask('GET', '/v1/volumes/v1').json['etag']
        both, get_volume = threading.Barrier(2), self.journal.get_volume

        def slow(volume_id):
            volume = get_volume(volume_id)
            # Both have found it as they knew it.
            both.wait(30)
            return volume

        self.journal.get_volume = slow
        answers: list[Any] = []
        threads = [
            threading.Thread(
                target=lambda name=name: answers.append(
                    self.edit({'name': name}, **{'If-Match': etag})
                )
            )
            for name in 'ab'
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        accepted, refused = sorted(answers, key=lambda one: one.status_code)
        self.accepted(accepted)
        self.refused(412, 'volume-changing', refused)

    def test_again_after_it_has_changed_the_volume(self) -> None:
        self.put_volume()
        headers = {
            'If-Match': self.ask('GET', '/v1/volumes/v1').json['etag'],
            'Idempotency-Key': 'e',
        }
        first = self.accepted(self.edit({'name': 'a'}, **headers))
        volume = builders.volume('v1', name='a', project_id=base.OWN)
        self.settle(model.PutVolume(volume=volume))
        again = self.accepted(self.edit({'name': 'a'}, **headers))
        self.assertEqual(first['event_id'], again['event_id'])


class TestForcedDelete(base.ApiCase):
    def test_is_for_operators(self) -> None:
        self.put_volume(attached_to=('web-1',))
        path = '/v1/volumes/v1?force=true'
        self.refused(
            403, 'forbidden', self.ask('DELETE', path, caller='own-member')
        )
        event = self.accepted(self.ask('DELETE', path, caller='operator'))
        self.assertTrue(event['parameters']['force'])


class TestNotOffered(base.ApiCase):
    operations = frozenset([events.Operation.CREATE])

    def test_is_said(self) -> None:
        self.put_volume()
        self.refused(
            501,
            'operation-not-offered',
            self.ask('DELETE', '/v1/volumes/v1'),
        )
        self.refused(
            501,
            'operation-not-offered',
            self.ask('POST', '/v1/volumes', {'source_volume_id': 'v1'}),
        )
