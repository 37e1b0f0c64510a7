"""What the dashboard asks, asked of the real application in memory."""

from __future__ import annotations

import datetime
from typing import Any

from cinder_virtdc.horizon import alarms
from cinder_virtdc.horizon import calls
from cinder_virtdc.horizon import events
from cinder_virtdc.horizon import naming
from cinder_virtdc.rest_client import ApiError
from cinder_virtdc.rest_client import Client
from tests.unit.agent import builders
from tests.unit.api import base as api_base
from tests.unit.osc import base
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract.events import Reason


class CallsCase(api_base.ApiCase):
    def setUp(self) -> None:
        super().setUp()
        self.adapter = base.Adapter(self)
        self.centre = self.anew()

    def anew(self, caller: str = 'admin') -> calls.DataCentre:
        """Return what the next request of a page would ask with."""
        self.adapter.caller = caller
        return calls.DataCentre(Client(self.adapter))

    def viewer(self) -> naming.Viewer:
        return naming.Viewer(may=self.centre.may)

    def row(self, view: Any) -> events.EventRow:
        return events.event_row(
            view, self.viewer(), naming.Named(volume_id='v1'), self.clock.now()
        )

    def alarm(self, subject: str = 'v1', kind: str = 'volume-deleted') -> None:
        self.journal.raise_alarm(
            kind=kind,
            subject=subject,
            severity=Severity.MAJOR,
            message='It is gone.',
        )


class TestEvents(CallsCase):
    def test_pages_and_filters(self) -> None:
        for number in range(3):
            self.journal.append(builders.create(f'v{number}'))
        first = self.centre.events({}, limit=2, marker=None)
        self.assertEqual(
            ['v2', 'v1'], [one['volume_id'] for one in first.items]
        )
        rest = self.centre.events({}, limit=2, marker=first.marker)
        self.assertEqual(['v0'], [one['volume_id'] for one in rest.items])
        self.assertIsNone(rest.marker)
        none = self.centre.events(
            {'state': 'failed', 'volume_id': 'v1'}, limit=2, marker=None
        )
        self.assertEqual([], none.items)

    def test_cancel_and_retry(self) -> None:
        event = builders.create('v1')
        self.journal.append(event)
        row = self.row(self.centre.event(event.event_id))
        self.assertEqual((True, False), (row.can_cancel, row.can_retry))
        self.centre.cancel(event.event_id)
        view = self.centre.event(event.event_id)
        row = self.row(view)
        self.assertEqual((False, True), (row.can_cancel, row.can_retry))
        self.assertRegex(row.why, '^cancelled')
        again = self.centre.retry(event.event_id)
        self.assertEqual('waiting', self.centre.event(again)['state'])

    def test_who_may_only_read_is_offered_nothing(self) -> None:
        self.journal.append(builders.create('v1'))
        self.centre = self.anew('reader')
        (view,) = self.centre.events({}, limit=1, marker=None).items
        self.assertFalse(self.row(view).can_cancel)

    def test_page_of_one(self) -> None:
        event = builders.create('v1')
        self.journal.append(event)
        self.clock.advance(2)
        self.settle(reason=Reason.BACKEND, message='No space is left.')
        page = events.event_page(
            self.centre.event(event.event_id),
            self.viewer(),
            naming.Named(volume_id='v1'),
            self.clock.now(),
        )
        self.assertEqual(
            ['waiting', 'running', 'failed'],
            [one.state for one in page.steps],
        )
        self.assertEqual('2.0s', page.steps[0].lasted)
        self.assertEqual('', page.steps[-1].lasted)
        self.assertEqual('the storage failed: No space is left.', page.row.why)
        self.assertIn('Retry it later', page.row.hint)
        self.assertEqual('1 GiB', dict(page.facts)['Wanted'][6:11])


class TestNames(CallsCase):
    def test_few_and_many(self) -> None:
        names = [f'v{number}' for number in range(5)]
        for name in names:
            self.put_volume(name, name=f'the {name}')
        for wanted in (names[:2], names):
            self.adapter.requests.clear()
            found = self.centre.volumes([*wanted, 'gone'], None)
            self.assertEqual(
                {name: f'the {name}' for name in wanted},
                {key: one['name'] for key, one in found.items()},
            )
            self.assertLessEqual(len(self.adapter.requests), 3)

    def test_by_name(self) -> None:
        self.put_volume('v1', name='data')
        self.put_volume('v2', name='twice')
        self.put_volume('v3', name='twice')
        self.assertEqual('v1', self.centre.volume_called('data', None))
        self.assertIsNone(self.centre.volume_called('nix', None))
        with self.assertRaisesRegex(ApiError, 'v2, v3'):
            self.centre.volume_called('twice', None)


class TestAlarms(CallsCase):
    def test_of_a_volume(self) -> None:
        self.alarm()
        self.alarm('v2')
        self.assertEqual(2, len(self.centre.alarms()))
        (found,) = self.centre.alarms('v1')
        self.assertEqual('v1', found['subject'])
        self.centre.acknowledge('volume-deleted', 'v1', 'I see to it')
        view = self.centre.alarm('volume-deleted', 'v1')
        row = alarms.alarm_row(
            view,
            self.viewer(),
            naming.Named(volume_id='v1'),
            self.clock.now(),
        )
        self.assertRegex(row.seen, r'^the-admin, .* UTC: I see to it$')
        self.assertFalse(row.can_acknowledge)
        self.assertIn('trash', row.repair)

    def test_a_member_of_a_project_does_not_see_them(self) -> None:
        self.alarm()
        centre = self.anew('own-member')
        self.assertNotIn('alarms:list', centre.may)
        with self.assertRaises(ApiError) as caught:
            centre.alarms()
        self.assertEqual(403, caught.exception.status)


class TestSilence(CallsCase):
    def test_is_waited_for_once(self) -> None:
        self.adapter.answers = [base.Lost('refused')]
        for _ in range(2):
            with self.assertRaisesRegex(ApiError, 'No data centre answers'):
                self.centre.events({}, limit=1, marker=None)
        self.assertEqual(1, len(self.adapter.requests))

    def test_a_refusal_is_none(self) -> None:
        with self.assertRaisesRegex(ApiError, 'no event nix'):
            self.centre.event('nix')
        self.assertTrue(self.centre.may)

    def test_a_path_is_no_more_than_a_name(self) -> None:
        with self.assertRaises(ApiError):
            self.centre.event('../alarms?x=1#')
        self.assertEqual(
            '/v1/events/..%2Falarms%3Fx%3D1%23', self.adapter.requests[-1][1]
        )


class TestAge(CallsCase):
    def test_is_coarse(self) -> None:
        now = self.clock.now()
        for seconds, text in (
            (-5, 'just now'),
            (59, 'just now'),
            (61, '1 min'),
            (3599, '59 min'),
            (7200, '2 h'),
            (200000, '2 d'),
        ):
            then = now - datetime.timedelta(seconds=seconds)
            self.assertEqual(text, naming.age(then.isoformat(), now))
