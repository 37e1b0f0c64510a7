"""Events over REST."""

from __future__ import annotations

from tests.unit.agent import builders
from tests.unit.api import base
from virtdc_agent.contract import events
from virtdc_agent.scheduling import Lane

GIB = base.GIB


class TestList(base.ApiCase):
    def setUp(self) -> None:
        super().setUp()
        self.own = self.create('own-member')
        self.other = self.create('other-member')
        self.settle(reason=events.Reason.BACKEND, message='broken')
        self.journal.append(builders.delete('v9'))

    def create(self, caller: str) -> str:
        event = self.accepted(
            self.ask('POST', '/v1/volumes', {'size_bytes': GIB}, caller=caller)
        )
        return event['event_id']

    def ids(self, query: str = '', caller: str = 'admin') -> list[str]:
        result = self.ask('GET', f'/v1/events?{query}', caller=caller)
        self.assertEqual(200, result.status_code, result.text)
        return [event['event_id'] for event in result.json['events']]

    def test_filters(self) -> None:
        self.assertEqual(3, len(self.ids()))
        for query, expected in (
            ('state=failed', [self.own]),
            ('state=failed,waiting&origin=platform', [self.other, self.own]),
            ('state=failed&state=waiting&operation=create', 2),
            ('operation=delete', 1),
            ('origin=cloud', 1),
            (f'project_id={base.OTHER}', [self.other]),
            ('volume_id=v9', 1),
            ('volume_id=v8', []),
        ):
            with self.subTest(query=query):
                found = self.ids(query)
                if isinstance(expected, int):
                    self.assertEqual(expected, len(found))
                else:
                    self.assertEqual(expected, found)

    def test_pages(self) -> None:
        first = self.ask('GET', '/v1/events?limit=2').json
        self.assertEqual(2, len(first['events']))
        second = self.ids(f'limit=2&marker={first["next_marker"]}')
        self.assertEqual([self.own], second)

    def test_says_where_to_follow_from(self) -> None:
        page = self.ask('GET', '/v1/events').json
        self.assertEqual(self.journal.count().sequence, page['sequence'])

    def test_of_ones_own_project(self) -> None:
        self.assertEqual([self.own], self.ids(caller='own-reader'))
        self.assertEqual([self.other], self.ids(caller='other-member'))

    def test_bad_queries(self) -> None:
        for name, query in (
            ('state', 'state=done'),
            ('state', 'state='),
            ('marker', 'marker=-1'),
            ('marker', 'marker=9999999999999999999'),
            ('marker', 'marker=٣'),
            ('volume_id', 'volume_id=../x'),
            ('origin', 'origin=mars'),
        ):
            with self.subTest(query=query):
                result = self.ask('GET', f'/v1/events?{query}')
                self.assertEqual(400, result.status_code, result.text)
                self.assertEqual(name, result.json['errors'][0]['field'])


class TestShow(base.ApiCase):
    def test_history_and_place_in_the_queue(self) -> None:
        ids = [
            self.ask('POST', '/v1/volumes', {'size_bytes': GIB}).json[
                'event_id'
            ]
            for _ in range(3)
        ]
        shown = [self.ask('GET', f'/v1/events/{one}').json for one in ids]
        self.assertEqual(
            [
                {'ahead': 0, 'is_exact': True},
                {'ahead': 1, 'is_exact': True},
                {'ahead': 2, 'is_exact': True},
            ],
            [one['queue'] for one in shown],
        )
        self.settle(reason=events.Reason.TIMEOUT, message='too late')
        ended = self.ask('GET', f'/v1/events/{ids[0]}').json
        self.assertIsNone(ended['queue'])
        self.assertEqual(
            ['waiting', 'running', 'failed'],
            [one['state'] for one in ended['history']],
        )
        self.assertEqual(
            ('timeout', 'too late'), (ended['reason'], ended['message'])
        )

    def test_what_hosts_said_of_themselves_is_not_told(self) -> None:
        event = builders.event_of(
            'v1',
            events.ConnectParameters(
                host='web-1', connector={'initiator': 'iqn.secret'}
            ),
        )
        self.journal.append(event)
        for path in (f'/v1/events/{event.event_id}', '/v1/events'):
            text = self.ask('GET', path).text
            self.assertIn('web-1', text)
            self.assertNotIn('iqn.secret', text)

    def test_where_images_lie_is_not_told(self) -> None:
        event = builders.event_of(
            'v1',
            events.ImportParameters(
                url='file:///srv/glance/x', image_format='raw', size_bytes=1
            ),
        )
        self.journal.append(event)
        text = self.ask('GET', f'/v1/events/{event.event_id}').text
        self.assertNotIn('glance', text)

    def test_unknown(self) -> None:
        self.refused(404, 'event-not-found', self.ask('GET', '/v1/events/e'))

    def test_others_are_not_there(self) -> None:
        event_id = self.ask(
            'POST', '/v1/volumes', {'size_bytes': 1}, caller='own-member'
        ).json['event_id']
        for method, path in (
            ('GET', ''),
            ('POST', '/cancel'),
            ('POST', '/retry'),
        ):
            self.refused(
                404,
                'event-not-found',
                self.ask(
                    method,
                    f'/v1/events/{event_id}{path}',
                    caller='other-member',
                ),
            )


class TestCancel(base.ApiCase):
    def create(self) -> str:
        return self.ask('POST', '/v1/volumes', {'size_bytes': 1}).json[
            'event_id'
        ]

    def test_one_that_waits(self) -> None:
        event_id = self.create()
        result = self.ask('POST', f'/v1/events/{event_id}/cancel')
        event = self.accepted(result)
        self.assertEqual(
            (event_id, 'failed', 'cancelled'),
            (event['event_id'], event['state'], event['reason']),
        )

    def test_one_that_runs_is_asked_to_end(self) -> None:
        event_id = self.create()
        self.journal.claim(Lane.QUICK, 1)
        event = self.accepted(
            self.ask('POST', f'/v1/events/{event_id}/cancel')
        )
        self.assertEqual(
            ('running', True), (event['state'], event['is_cancel_requested'])
        )

    def test_one_that_has_ended(self) -> None:
        event_id = self.create()
        self.settle()
        self.refused(
            409,
            'event-ended',
            self.ask('POST', f'/v1/events/{event_id}/cancel'),
        )


class TestRetry(base.ApiCase):
    def test_asks_for_the_same(self) -> None:
        failed = self.accepted(
            self.ask(
                'POST',
                '/v1/volumes',
                {'size_bytes': GIB, 'name': 'x'},
                caller='own-member',
            )
        )
        self.settle(reason=events.Reason.BACKEND)
        path = f'/v1/events/{failed["event_id"]}/retry'
        again = self.accepted(self.ask('POST', path, caller='operator'))
        self.assertNotEqual(failed['event_id'], again['event_id'])
        for name in ('operation', 'volume_id', 'parameters'):
            self.assertEqual(failed[name], again[name])
        self.assertEqual(
            (None, failed['event_id']), (failed['retry_of'], again['retry_of'])
        )
        shown = self.ask('GET', f'/v1/events/{again["event_id"]}').json
        self.assertEqual(failed['event_id'], shown['retry_of'])
        self.assertEqual(
            (base.OWN, 'the-operator'),
            (
                again['requested_by']['project_id'],
                again['requested_by']['user_id'],
            ),
        )

    def test_a_key_is_of_one_event(self) -> None:
        key = {'Idempotency-Key': 'again'}
        for number in range(2):
            self.journal.append(builders.create('v1', event_id=f'e{number}'))
            self.settle(reason=events.Reason.BACKEND)
        self.accepted(self.ask('POST', '/v1/events/e0/retry', headers=key))
        self.refused(
            409,
            'idempotency-key-reused',
            self.ask('POST', '/v1/events/e1/retry', headers=key),
        )

    def test_only_what_has_failed(self) -> None:
        event_id = self.ask('POST', '/v1/volumes', {'size_bytes': 1}).json[
            'event_id'
        ]
        path = f'/v1/events/{event_id}/retry'
        self.refused(409, 'event-not-failed', self.ask('POST', path))
        self.settle()
        self.refused(409, 'event-not-failed', self.ask('POST', path))

    def test_not_what_hosts_ask_for(self) -> None:
        event = builders.connect('v1', 'web-1')
        self.journal.append(event)
        self.settle(reason=events.Reason.REJECTED)
        self.refused(
            409,
            'event-not-retriable',
            self.ask('POST', f'/v1/events/{event.event_id}/retry'),
        )
