"""What every request passes, whatever it asks for."""

from __future__ import annotations

import dataclasses

from falcon import testing

from tests.unit.api import base
from virtdc_agent.api import admission
from virtdc_agent.api import callers
from virtdc_agent.api import keystone
from virtdc_agent.api import rates
from virtdc_agent.clock import FakeClock
from virtdc_agent import exceptions


class TestHeaders(base.ApiCase):
    def test_are_on_every_answer(self) -> None:
        for method, path, caller in (
            ('GET', '/', None),
            ('GET', '/v1/volumes', 'admin'),
            ('GET', '/v1/volumes', None),
            ('GET', '/nothing', None),
            ('PUT', '/v1/volumes', 'admin'),
            ('GET', '/healthcheck', None),
        ):
            headers = self.ask(method, path, caller=caller).headers
            self.assertEqual('nosniff', headers['X-Content-Type-Options'])
            self.assertEqual('DENY', headers['X-Frame-Options'])
            self.assertEqual('no-store', headers['Cache-Control'])
            self.assertIn("'none'", headers['Content-Security-Policy'])
            self.assertNotIn('Strict-Transport-Security', headers)

    def test_what_is_not_there(self) -> None:
        self.refused(404, 'not-found', self.ask('GET', '/v2/volumes'))
        result = self.ask('PUT', '/v1/volumes')
        self.refused(405, 'method-not-allowed', result)
        self.assertIn('POST', result.headers['Allow'])

    def test_an_error_of_ours_is_logged_and_not_shown(self) -> None:
        def broken(query):
            raise ZeroDivisionError('secret')

        self.keeping.get_volume_page = broken
        result = self.ask('GET', '/v1/volumes')
        problem = self.refused(500, 'internal-error', result)
        self.assertNotIn('secret', result.text)
        self.assertIn('ZeroDivisionError: secret', self.log.text)
        self.assertTrue(problem['request_id'])

    def test_the_journal_away(self) -> None:
        def away(query):
            raise exceptions.JournalUnavailable('the database is away')

        self.keeping.get_volume_page = away
        result = self.ask('GET', '/v1/volumes')
        self.refused(503, 'journal-unavailable', result)
        self.assertIn('Retry-After', result.headers)


class TestOverTls(base.ApiCase):
    settings = {'secure': True}

    def test_browsers_are_told_to_stay_with_it(self) -> None:
        headers = self.ask('GET', '/').headers
        self.assertIn('max-age', headers['Strict-Transport-Security'])


class TestLocalOnly(base.ApiCase):
    settings = {
        'local_only': True,
        'authenticators': [callers.Anybody()],
    }

    def create(self, host: str = 'localhost:8788', **headers: str):
        return self.ask(
            'POST',
            '/v1/volumes',
            {'size_bytes': 1},
            caller=None,
            headers={'Host': host, **headers},
        )

    def test_from_here(self) -> None:
        for host in ('localhost', '127.0.0.1:8788', '[::1]:8788', 'LOCALHOST'):
            self.accepted(self.create(host))
        self.accepted(self.create(Origin='http://localhost:8788'))

    def test_not_by_a_name_that_leads_here(self) -> None:
        for host in ('evil.example', 'localhost.evil.example', '10.0.0.1'):
            self.refused(403, 'foreign-host', self.create(host))

    def test_not_from_a_page_of_others(self) -> None:
        for origin in (
            'http://evil.example',
            'http://localhost:9999',
            'https://localhost:8788',
            'null',
        ):
            self.refused(403, 'foreign-origin', self.create(Origin=origin))
        self.assertEqual(0, self.count_events())


class TestRates(base.ApiCase):
    def make_settings(self):
        pace = rates.Rates(self.clock, per_s=2.0, burst=3)
        return dataclasses.replace(super().make_settings(), requests=pace)

    def test_each_caller_has_its_own(self) -> None:
        for _ in range(3):
            self.assertEqual(200, self.ask('GET', '/v1/events').status_code)
        result = self.ask('GET', '/v1/events')
        self.refused(429, 'too-many-requests', result)
        self.assertEqual('1', result.headers['Retry-After'])
        self.assertEqual(
            200, self.ask('GET', '/v1/events', caller='reader').status_code
        )
        self.clock.advance(0.5)
        self.assertEqual(200, self.ask('GET', '/v1/events').status_code)
        self.assertEqual(429, self.ask('GET', '/v1/events').status_code)

    def test_bad_credentials_are_counted_by_address(self) -> None:
        statuses = [
            self.ask('GET', '/v1/events', caller='stranger').status_code
            for _ in range(30)
        ]
        self.assertEqual([401] * 20 + [429] * 10, statuses)
        self.assertEqual(200, self.ask('GET', '/v1/events').status_code)


class TestBuckets(base.base.TestCase):
    def test_no_rate_is_no_limit(self) -> None:
        bucket = rates.Rates(FakeClock(), per_s=0.0, burst=1)
        self.assertEqual([0] * 50, [bucket.take('a') for _ in range(50)])

    def test_never_more_than_a_burst(self) -> None:
        clock = FakeClock()
        bucket = rates.Rates(clock, per_s=10.0, burst=2)
        clock.advance(1000)
        bucket.take('a')
        clock.advance(1000)
        self.assertEqual([0, 0, 1], [bucket.take('a') for _ in range(3)])

    def test_says_when_there_will_be_one(self) -> None:
        clock = FakeClock()
        bucket = rates.Rates(clock, per_s=0.25, burst=1)
        bucket.take('a')
        wait_s = bucket.take('a')
        self.assertEqual(4, wait_s)
        clock.advance(wait_s)
        self.assertEqual(0, bucket.take('a'))

    def test_remembers_a_bounded_number(self) -> None:
        bucket = rates.Rates(FakeClock(), per_s=1.0, burst=1)
        for n in range(rates.MAX_KEYS + 100):
            bucket.take(str(n))
        self.assertEqual(rates.MAX_KEYS, len(bucket))


class TestKeystone(base.base.TestCase):
    def authenticate(self, **headers: str):
        return keystone.Keystone().authenticate(
            testing.create_req(
                headers={
                    name.replace('_', '-'): value
                    for name, value in headers.items()
                }
            )
        )

    def test_what_the_middleware_says(self) -> None:
        caller = self.authenticate(
            X_Identity_Status='Confirmed',
            X_User_Id='u',
            X_User_Name='Ute',
            X_Project_Id='p',
            X_Roles='Member,reader, ',
        )
        self.assertEqual(
            callers.Caller(
                user_id='u',
                name='Ute',
                scope=callers.Scope.PROJECT,
                project_id='p',
                roles=frozenset(['member', 'reader']),
            ),
            caller,
        )

    def test_who_is_not_known(self) -> None:
        self.assertIsNone(self.authenticate(X_Roles='admin', X_User_Id='u'))
        for headers in (
            {'X_Identity_Status': 'Invalid', 'X_User_Id': 'u'},
            {'X_Identity_Status': 'Confirmed'},
        ):
            with self.assertRaises(callers.Unauthenticated):
                self.authenticate(**headers, X_Roles='admin')


class TestAddresses(base.base.TestCase):
    def test_of_this_machine_alone(self) -> None:
        for host in ('localhost', '127.0.0.1', '127.8.8.8', '::1'):
            self.assertTrue(admission.is_loopback(host), host)
        for host in ('', '0.0.0.0', '::', '192.0.2.1', 'example.org', '1'):
            self.assertFalse(admission.is_loopback(host), host)
