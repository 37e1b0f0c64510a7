"""Pools, agents, limits, alarms, health, and the API's own description."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import threading
from typing import Any

from tests.unit.api import base
from virtdc_agent.api import console
from virtdc_agent.api import document
from virtdc_agent.api import openapi
from virtdc_agent.api import routes
from virtdc_agent import exceptions
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.limit_history import Watched
from virtdc_agent import model
from virtdc_agent.policies.fixed import FixedPolicy
from virtdc_agent.scheduling import Lane

ROOT = Path(__file__).parents[3]


class TestPools(base.ApiCase):
    def test_what_the_storage_holds(self) -> None:
        self.put_volume()
        self.ask('POST', '/v1/volumes', {'size_bytes': 1})
        found = self.ask('GET', '/v1/pools').json
        (pool,) = found['pools']
        self.assertEqual(
            ('memory', base.GIB, 1),
            (
                pool['backend'],
                pool['provisioned_bytes'],
                pool['volumes'],
            ),
        )
        self.assertIn('create', pool['operations'])
        self.assertEqual('memory', found['exporters'][0]['name'])
        self.assertEqual((1, 0), (found['waiting'], found['running']))

    def test_the_storage_is_not_asked(self) -> None:
        def never():
            self.fail('a request asks the storage')

        self.backend.space = never
        self.clock.advance(4.04)
        (pool,) = self.ask('GET', '/v1/pools').json['pools']
        self.assertEqual(
            ('known', 4.0, '2026-01-01T00:00:00.000000Z'),
            (pool['state'], pool['age_s'], pool['read_at']),
        )
        self.clock.advance(60)
        (late,) = self.ask('GET', '/v1/pools').json['pools']
        self.assertEqual(
            ('unknown', 64.0, pool['total_bytes']),
            (late['state'], late['age_s'], late['total_bytes']),
        )


class TestHungPool(base.ApiCase):
    pool_names = ('hung', 'sound')

    def test_holds_up_neither_requests_nor_the_other_pool(self) -> None:
        asked, released = threading.Event(), threading.Event()
        space = self.backend.space

        def hang():
            asked.set()
            released.wait()
            return space()

        self.backend.space = hang
        self.addCleanup(self.space.stop)
        self.addCleanup(released.set)
        self.space.start()
        self.assertTrue(asked.wait(30))
        for _ in range(4):
            # The other pool's thread pauses, until its time has come.
            self.until(lambda: self.clock.waiters)
            self.clock.advance(5)
            self.until(lambda: self.pool(1)['age_s'] == 0)
        hung, sound = self.pool(0), self.pool(1)
        self.assertEqual(('unknown', 20.0), (hung['state'], hung['age_s']))
        self.assertEqual('known', sound['state'])
        released.set()
        self.until(lambda: self.pool(0)['age_s'] == 0)

    def pool(self, number: int) -> dict[str, Any]:
        return self.ask('GET', '/v1/pools').json['pools'][number]

    def until(self, is_so: Callable[[], object]) -> None:
        while not is_so():
            threading.Event().wait(0.001)


class TestAgents(base.ApiCase):
    def test_drained_and_back(self) -> None:
        (agent,) = self.ask('GET', '/v1/agents').json['agents']
        self.assertEqual(('a', True), (agent['name'], agent['is_alive']))
        for action, drained in (('drain', True), ('undrain', False)):
            told = self.ask('POST', f'/v1/agents/a/{action}').json
            self.assertEqual(drained, told['is_draining'])
            self.assertEqual(drained, self.keeping.get_agents()[0].is_draining)

    def test_unknown(self) -> None:
        self.refused(
            404, 'agent-not-found', self.ask('POST', '/v1/agents/b/drain')
        )


class TestLimits(base.ApiCase):
    def test_now_and_lately(self) -> None:
        policy = Watched(FixedPolicy(7), Lane.QUICK, self.limits)
        self.clock.advance(2)
        policy.observe(
            model.Window(
                limit=7,
                taken=3,
                full=True,
                samples=(),
                duration_s=2.0,
                concurrency=2.5,
            )
        )
        quick, copy = self.ask('GET', '/v1/limits').json['lanes']
        self.assertEqual(
            ('quick', 7, 2),
            (quick['lane'], quick['limit'], len(quick['history'])),
        )
        self.assertEqual(
            {
                'at': '2026-01-01T00:00:02.000000Z',
                'limit': 7,
                'taken': 3,
                'running': 2.5,
                'is_full': True,
            },
            quick['history'][-1],
        )
        self.assertEqual({'lane': 'copy', 'limit': None, 'history': []}, copy)

    def test_are_kept_in_a_ring(self) -> None:
        policy = Watched(FixedPolicy(7), Lane.COPY, self.limits)
        window = model.Window(
            limit=7, taken=0, full=False, samples=(), duration_s=2.0
        )
        for _ in range(2000):
            policy.observe(window)
        self.assertEqual(900, len(self.limits.get_limits(Lane.COPY)))


class TestAlarms(base.ApiCase):
    def raise_alarm(self) -> None:
        """Have one raised as it is in life: agents die of an event."""
        self.journal.append(base.builders.create('v1'))
        victim = MemoryJournal(
            self.journal.storage, agent='b', clock=self.clock
        )
        for _ in range(3):
            victim.join()
            if not victim.claim(Lane.QUICK, 1):
                victim.claim_suspect(Lane.QUICK)
            self.clock.advance(1000)
            self.journal.renew()
            self.journal.take_over()

    def test_seen_acknowledged_and_cleared(self) -> None:
        self.raise_alarm()
        (alarm,) = self.ask('GET', '/v1/alarms').json['alarms']
        self.assertEqual(
            ('event-lost', ''), (alarm['kind'], alarm['acknowledged_by'])
        )
        path = f'/v1/alarms/{alarm["kind"]}/{alarm["subject"]}'
        told = self.ask(
            'POST',
            f'{path}/acknowledge',
            {'comment': 'I look at it.'},
            caller='operator',
        ).json
        self.assertEqual(
            ('the-operator', 'I look at it.'),
            (told['acknowledged_by'], told['comment']),
        )
        for _ in range(2):
            self.assertEqual(
                204, self.ask('POST', f'{path}/clear').status_code
            )
        self.assertEqual([], self.ask('GET', '/v1/alarms').json['alarms'])
        self.refused(
            404,
            'alarm-not-found',
            self.ask('POST', f'{path}/acknowledge', {}),
        )


class TestHealth(base.ApiCase):
    def test_ready(self) -> None:
        result = self.ask('GET', '/healthcheck', caller=None)
        self.assertEqual(
            (200, 'ok'), (result.status_code, result.json['status'])
        )

    def test_not_without_the_journal_and_asked_once_a_second(self) -> None:
        asked = []

        def away():
            asked.append(None)
            raise exceptions.JournalUnavailable('secret place')

        self.journal.count = away
        for _ in range(5):
            result = self.ask('GET', '/healthcheck', caller=None)
            self.assertEqual(503, result.status_code)
            self.assertEqual(
                {'name': 'journal', 'ok': False}, result.json['checks'][0]
            )
            self.assertNotIn('secret', result.text)
        self.assertEqual(1, len(asked))
        # It lives all the same.
        self.assertEqual(200, self.ask('GET', '/healthcheck/live').status_code)
        del self.journal.count
        self.clock.advance(1)
        self.assertEqual(200, self.ask('GET', '/healthcheck').status_code)

    def test_not_while_it_stops(self) -> None:
        self.watch.close()
        self.assertEqual(503, self.ask('GET', '/healthcheck').status_code)


class TestDocument(base.ApiCase):
    def test_the_committed_one_is_current(self) -> None:
        self.assertEqual(
            document.text(),
            (ROOT / 'doc/source/user/openapi.json').read_text(),
            'stale: python -m virtdc_agent.api.document > '
            'doc/source/user/openapi.json',
        )

    def test_is_served(self) -> None:
        served = self.ask('GET', '/v1/openapi.json', caller=None).json
        self.assertEqual('3.1.0', served['openapi'])
        for route in routes.list_routes(self.platform):
            self.assertIn(route.path, served['paths'])

    def test_every_action_has_a_name_of_its_own(self) -> None:
        names = [
            action.name
            for route in routes.list_routes(self.platform)
            for _, action in openapi.actions_of(route)
        ]
        self.assertEqual(len(names), len(set(names)))


class TestConsole(base.ApiCase):
    def make_settings(self):
        folder = self.folder / 'console'
        folder.mkdir()
        (folder / 'index.html').write_text('<!doctype html>')
        (folder / 'console.js').write_text('1')
        (self.folder / 'secret').write_text('secret')
        (folder / 'notes.txt').write_text('secret')
        self.addCleanup(setattr, console, 'FOLDER', console.FOLDER)
        console.FOLDER = folder
        return super().make_settings()

    def get(self, path: str):
        return self.client.simulate_get(path)

    def test_files_with_a_strict_policy(self) -> None:
        for path, kind in (
            ('/console/', 'text/html'),
            ('/console/index.html', 'text/html'),
            ('/console/console.js', 'text/javascript'),
        ):
            result = self.get(path)
            self.assertEqual(200, result.status_code, path)
            self.assertIn(kind, result.headers['Content-Type'])
            policy = result.headers['Content-Security-Policy']
            self.assertIn("default-src 'none'", policy)
            self.assertNotIn('unsafe', policy)
            self.assertEqual('no-cache', result.headers['Cache-Control'])

    def test_what_the_browser_has_is_not_sent_again(self) -> None:
        etag = self.get('/console/').headers['ETag']
        again = self.client.simulate_get(
            '/console/', headers={'If-None-Match': etag}
        )
        self.assertEqual((304, ''), (again.status_code, again.text))

    def test_is_only_read(self) -> None:
        result = self.client.simulate_post('/console/')
        self.assertEqual(405, result.status_code)

    def test_the_door(self) -> None:
        result = self.get('/console')
        self.assertEqual(308, result.status_code)
        self.assertEqual('/console/', result.headers['Location'])

    def test_nothing_else(self) -> None:
        for path in (
            '/console/../secret',
            '/console/%2e%2e/secret',
            '/console//etc/passwd',
            '/console/none.js',
            '/console/notes.txt',
            '/console/index.html/',
            '/console/a\\..\\b',
        ):
            result = self.get(path)
            self.assertEqual(404, result.status_code, path)
