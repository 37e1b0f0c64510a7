"""Following changes: by asking, by waiting, and as a stream."""

from __future__ import annotations

import threading

from falcon import testing

from tests.unit.agent import builders
from tests.unit.api import base
from virtdc_agent.api import changes
from virtdc_agent.api import problems
from virtdc_agent import exceptions
from virtdc_agent import model


class ChangesCase(base.ApiCase):
    def create(self, caller: str = 'own-member') -> str:
        return self.ask(
            'POST', '/v1/volumes', {'size_bytes': 1}, caller=caller
        ).json['event_id']

    def get(self, query: str = '', caller: str = 'admin'):
        result = self.ask('GET', f'/v1/changes?{query}', caller=caller)
        self.assertEqual(200, result.status_code, result.text)
        return result.json

    def in_thread(self, run):
        """Run something beside the test; return how to get its result."""
        found = []
        thread = threading.Thread(target=lambda: found.append(run()))
        thread.start()

        def join():
            thread.join(30)
            self.assertFalse(thread.is_alive())
            return found[0]

        return join

    def await_waiting(self) -> None:
        """Wait until somebody waits on the clock."""
        pause = threading.Event()
        while not self.clock.waiters:
            pause.wait(0.001)


class TestAsking(ChangesCase):
    def test_after_a_sequence(self) -> None:
        self.create()
        self.settle()
        found = self.get('after=0')
        self.assertEqual(
            [(1, 'waiting'), (2, 'running'), (3, 'success')],
            [(one['sequence'], one['state']) for one in found['changes']],
        )
        self.assertEqual((3, 3), (found['next_after'], found['last']))
        self.assertEqual(
            [2],
            [c['sequence'] for c in self.get('after=1&limit=1')['changes']],
        )
        self.assertEqual([], self.get('after=3')['changes'])

    def test_from_now_on(self) -> None:
        self.create()
        found = self.get()
        self.assertEqual(([], 1), (found['changes'], found['next_after']))

    def test_of_ones_own_project(self) -> None:
        self.create('other-member')
        self.create('own-member')
        found = self.get('after=0', 'own-reader')
        self.assertEqual([2], [one['sequence'] for one in found['changes']])
        found = self.get('after=0', 'other-member')
        self.assertEqual([1], [one['sequence'] for one in found['changes']])
        # What is not for them is behind them all the same.
        self.assertEqual(2, found['next_after'])

    def test_of_one_volume(self) -> None:
        self.create()
        volume_id = self.ask('GET', '/v1/events').json['events'][0][
            'volume_id'
        ]
        self.create()
        found = self.get(f'after=0&volume_id={volume_id}')
        self.assertEqual([1], [one['sequence'] for one in found['changes']])

    def test_what_is_gone_is_said_to_be(self) -> None:
        for _ in range(3):
            self.create()
            self.settle()
        self.journal.mark_published(9)
        self.clock.advance(10)
        self.keeping.purge(
            model.Retention(max_age_s=1.0, max_finished=0, min_age_s=0.0)
        )
        self.refused(
            410, 'changes-gone', self.ask('GET', '/v1/changes?after=0')
        )
        self.refused(
            410, 'changes-gone', self.ask('GET', '/v1/stream?after=0')
        )
        self.assertEqual([], self.get('after=9')['changes'])

    def test_of_another_journal(self) -> None:
        self.refused(
            410, 'changes-gone', self.ask('GET', '/v1/changes?after=7')
        )

    def test_bad_queries(self) -> None:
        for query in ('after=-1', 'after=x', 'wait=61', 'wait=a', 'limit=0'):
            result = self.ask('GET', f'/v1/changes?{query}')
            self.assertEqual(400, result.status_code, query)


class TestWaiting(ChangesCase):
    def test_a_change_ends_it(self) -> None:
        join = self.in_thread(lambda: self.get('wait=25'))
        self.await_waiting()
        self.create()
        self.assertEqual([1], [one['sequence'] for one in join()['changes']])
        self.assertEqual(0, self.watch.watchers)

    def test_others_changes_do_not(self) -> None:
        join = self.in_thread(lambda: self.get('wait=25', 'own-reader'))
        self.await_waiting()
        self.create('other-member')
        self.await_waiting()
        self.create('own-member')
        self.assertEqual([2], [one['sequence'] for one in join()['changes']])

    def test_time_ends_it(self) -> None:
        join = self.in_thread(lambda: self.get('wait=25'))
        self.await_waiting()
        self.clock.advance(25)
        found = join()
        self.assertEqual(([], 0), (found['changes'], found['next_after']))

    def test_the_end_of_the_agent_ends_it(self) -> None:
        join = self.in_thread(lambda: self.get('wait=25'))
        self.await_waiting()
        self.watch.close()
        self.assertEqual([], join()['changes'])
        self.refused(503, 'stopping', self.ask('GET', '/v1/changes?wait=1'))
        self.assertEqual(200, self.ask('GET', '/v1/changes').status_code)

    def test_too_many_are_told_to_come_back(self) -> None:
        for _ in range(self.max_watchers):
            self.watch.enter()
        result = self.ask('GET', '/v1/changes?wait=1')
        self.refused(503, 'too-many-watchers', result)
        self.assertEqual('5', result.headers['Retry-After'])
        self.refused(503, 'too-many-watchers', self.ask('GET', '/v1/stream'))
        self.assertEqual(200, self.ask('GET', '/v1/changes').status_code)


class TestStream(ChangesCase):
    def stream(self, query: str = '', caller: str = 'admin', **headers: str):
        """Begin a stream; return what is to be read, and closed."""
        headers['X-Test-Caller'] = caller
        self.started = []

        def start_response(status, answered, exc_info=None):
            self.started.append((status, dict(answered)))

        environ = testing.create_environ(
            '/v1/stream', query_string=query, headers=headers
        )
        return self.app(environ, start_response)

    def test_what_there_is_then_what_comes(self) -> None:
        self.create()
        body = self.stream('after=0')
        self.addCleanup(body.close)
        status, headers = self.started[0]
        self.assertEqual('200 OK', status)
        self.assertEqual('text/event-stream', headers['content-type'])
        self.assertEqual('no-store', headers['cache-control'])
        parts = iter(body)
        self.assertEqual(b'retry: 2000\nid: 0\n\n', next(parts))
        first = next(parts).decode().split('\n')
        self.assertEqual(['event: transition', 'id: 1'], first[:2])
        self.assertIn('"state": "waiting"', first[2])
        join = self.in_thread(lambda: next(parts))
        self.await_waiting()
        self.settle()
        self.assertIn(b'id: 2\n', join())
        self.assertIn(b'id: 3\n', next(parts))

    def test_goes_on_where_it_broke_off(self) -> None:
        self.create()
        self.settle()
        body = self.stream('after=0', **{'Last-Event-ID': '2'})
        self.addCleanup(body.close)
        parts = iter(body)
        self.assertIn(b'id: 2\n', next(parts))
        self.assertIn(b'id: 3\n', next(parts))

    def test_shows_that_it_is_alive(self) -> None:
        body = self.stream()
        self.addCleanup(body.close)
        parts = iter(body)
        next(parts)
        join = self.in_thread(lambda: next(parts))
        self.await_waiting()
        self.clock.advance(changes.HEARTBEAT_S)
        self.assertEqual(b': alive\nid: 0\n\n', join())

    def test_ends_so_that_it_is_asked_anew_who_follows(self) -> None:
        body = self.stream()
        parts = iter(body)
        next(parts)
        self.clock.advance(changes.STREAM_S)
        self.assertEqual([], list(parts))
        body.close()
        self.assertEqual(0, self.watch.watchers)

    def test_ends_with_the_agent(self) -> None:
        body = self.stream()
        parts = iter(body)
        next(parts)
        join = self.in_thread(lambda: list(parts))
        self.await_waiting()
        self.watch.close()
        join()
        body.close()

    def test_says_that_it_has_fallen_behind(self) -> None:
        body = self.stream('after=0')
        self.addCleanup(body.close)
        parts = iter(body)
        next(parts)
        self.create()
        self.settle()
        self.journal.mark_published(3)
        self.clock.advance(100)
        self.keeping.purge(
            model.Retention(max_age_s=1.0, max_finished=0, min_age_s=0.0)
        )
        self.assertIn(b'event: gone\n', next(parts))
        self.assertEqual([], list(parts))

    def test_ends_when_the_journal_does_not_answer(self) -> None:
        body = self.stream()
        self.addCleanup(body.close)
        parts = iter(body)
        next(parts)

        def broken(*args):
            raise exceptions.JournalUnavailable('away')

        self.journal.get_changes = broken
        self.assertEqual([], list(parts))

    def test_its_place_is_given_back_once_whatever_happens(self) -> None:
        unread = self.stream()
        self.assertEqual(1, self.watch.watchers)
        unread.close()
        unread.close()
        self.assertEqual(0, self.watch.watchers)
        for _ in range(3 * self.max_watchers):
            body = self.stream()
            next(iter(body))
            body.close()
        self.assertEqual(0, self.watch.watchers)

    def test_bad_places(self) -> None:
        for text in ('x', '-1', '٣', '9' * 19):
            result = self.ask(
                'GET', '/v1/stream', headers={'Last-Event-ID': text}
            )
            self.refused(400, 'invalid-field', result)
        self.assertEqual(0, self.watch.watchers)


class TestWithoutStreams(base.ApiCase):
    settings = {'enable_sse': False}

    def test_there_are_none(self) -> None:
        self.assertEqual(404, self.ask('GET', '/v1/stream').status_code)
        document = self.ask('GET', '/v1/openapi.json').json
        self.assertNotIn('/v1/stream', document['paths'])


class TestPolling(ChangesCase):
    def test_what_others_write_is_found(self) -> None:
        """Nobody rings: only looking again finds it."""
        self.watch._poll_s = 0.5
        self.journal._bell._callbacks = ()
        with self.watch.admitted():
            join = self.in_thread(
                lambda: self.watch.wait(0, 10, lambda one: True, 25.0)
            )
            self.await_waiting()
            self.journal.append(builders.create('v1'))
            self.clock.advance(0.5)
            self.assertEqual(1, len(join().transitions))

    def test_a_place_has_to_be_had(self) -> None:
        for _ in range(self.max_watchers):
            self.watch.enter()
        with self.assertRaises(problems.Problem), self.watch.admitted():
            self.fail('there was none')
        self.assertEqual(self.max_watchers, self.watch.watchers)
