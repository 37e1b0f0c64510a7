"""How events and alarms read on the dashboard's pages."""

from __future__ import annotations

import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cinder_virtdc.horizon import alarms
from cinder_virtdc.horizon import events
from cinder_virtdc.horizon import filtering
from cinder_virtdc.horizon import naming
from tests import base
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import Reason

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
ME = naming.Viewer(
    names={'0' * 32: 'alice'},
    may={'events:cancel', 'events:retry', 'alarms:acknowledge'},
)
EVENT: dict[str, Any] = {
    'event_id': 'e1',
    'operation': 'clone',
    'volume_id': 'v1',
    'origin': 'platform',
    'requested_by': {'project_id': 'p', 'user_id': '0' * 32, 'request_id': ''},
    'state': 'running',
    'sequence': 3,
    'attempt': 1,
    'progress': None,
    'bytes_done': None,
    'bytes_total': None,
    'phase': '',
    'reason': None,
    'message': '',
    'parameters': {'name': 'copy', 'size_bytes': 1024**3},
    'created_at': '2026-01-01T11:57:00+00:00',
    'accepted_at': '2026-01-01T11:57:00+00:00',
    'updated_at': '2026-01-01T11:58:30+00:00',
    'lane': 'copy',
    'agent': 'a',
    'is_cancel_requested': False,
}
ALARM: dict[str, Any] = {
    'kind': 'volume-deleted',
    'subject': 'v1',
    'severity': 'major',
    'message': 'Volume data was deleted.',
    'raised_at': '2026-01-01T10:00:00+00:00',
    'updated_at': '2026-01-01T10:00:00+00:00',
    'count': 1,
    'acknowledged_by': '',
    'acknowledged_at': None,
    'comment': '',
    'details': {
        'requested_by': {'user_id': 'bob'},
        'occurred_at': '2026-01-01T09:59:58+00:00',
    },
    'revision': 1,
}


def event_row(**changes: Any) -> events.EventRow:
    view = {**EVENT, **changes}
    return events.event_row(view, ME, named(view), NOW)


def alarm_row(**changes: Any) -> alarms.AlarmRow:
    return alarms.alarm_row(
        {**ALARM, **changes},
        ME,
        naming.Named(volume_id='v1', name='data'),
        NOW,
    )


def named(view: Any) -> naming.Named:
    return naming.names_of([view], {})['v1']


class TestEventRow(base.TestCase):
    def test_running_without_a_figure(self) -> None:
        row = event_row()
        self.assertEqual(events.Bar(percent=None, text='running'), row.bar)
        self.assertEqual(100, row.bar and row.bar.width)
        self.assertEqual(
            ('copy of copy', '3 min', 'data centre', 'alice'),
            (row.name, row.age, row.origin, row.who),
        )

    def test_running_with_a_figure(self) -> None:
        row = event_row(
            progress=48,
            phase='copying',
            bytes_done=48 * 1024**3,
            bytes_total=100 * 1024**3,
        )
        self.assertEqual(
            events.Bar(percent=48, text='48 %, copying, 48 GiB of 100 GiB'),
            row.bar,
        )
        self.assertEqual('', row.progress)

    def test_ended(self) -> None:
        row = event_row(state='success', progress=100)
        self.assertIsNone(row.bar)
        self.assertEqual('took 1m30s', row.progress)
        self.assertFalse(row.can_cancel or row.can_retry)

    def test_failed(self) -> None:
        row = event_row(state='failed', reason='timeout', message='60 s.')
        self.assertEqual('took too long: 60 s.', row.why)
        self.assertEqual('after 1m30s', row.progress)
        self.assertIn('Retry it', row.hint)
        self.assertTrue(row.can_retry)

    def test_being_cancelled(self) -> None:
        row = event_row(state='waiting', is_cancel_requested=True)
        self.assertEqual('being cancelled', row.progress)
        self.assertFalse(row.can_cancel)
        row = event_row(is_cancel_requested=True)
        self.assertEqual('being cancelled', row.bar and row.bar.text)

    def test_attaching_is_not_retried(self) -> None:
        row = event_row(operation='connect', state='failed', reason='backend')
        self.assertEqual(('attach', False), (row.operation, row.can_retry))

    def test_what_a_newer_data_centre_tells(self) -> None:
        row = event_row(
            operation='turn_over', origin='moon', state='failed', reason='new'
        )
        self.assertEqual(
            ('turn over', 'moon', 'new', ''),
            (row.operation, row.origin, row.why, row.hint),
        )

    def test_a_row_changes_only_with_its_event(self) -> None:
        view = EVENT
        later = NOW + datetime.timedelta(seconds=30)
        self.assertEqual(
            events.event_row(view, ME, named(view), NOW),
            events.event_row(view, ME, named(view), later),
        )

    def test_one_that_nobody_can_tell_of(self) -> None:
        row = events.unknown_row('e1', 'No answer.')
        self.assertEqual(('e1', 'No answer.'), (row.id, row.why))
        self.assertFalse(row.can_cancel or row.can_retry)

    def test_every_reason_has_words(self) -> None:
        for reason in Reason:
            row = event_row(state='failed', reason=reason.value)
            self.assertTrue(row.hint, reason)
            self.assertIn(row.why, events.REASONS.values())


class TestEventPage(base.TestCase):
    def page(self, **changes: Any) -> events.EventPage:
        view = {**EVENT, **changes}
        return events.event_page(view, ME, named(view), NOW)

    def test_facts(self) -> None:
        facts = dict(
            self.page(
                progress=50,
                bytes_done=512,
                bytes_total=1024,
                queue={'ahead': 0, 'is_exact': True},
            ).facts
        )
        self.assertEqual('512 B of 1 KiB', facts['Bytes'])
        self.assertEqual('next', facts['In the queue'])
        self.assertEqual('name: copy, size: 1 GiB', facts['Wanted'])
        many = self.page(queue={'ahead': 1000, 'is_exact': False})
        self.assertIn(('In the queue', '1000 or more before it'), many.facts)

    def test_what_is_the_service_s_own_is_not_wanted_by_people(self) -> None:
        metadata = {'virtdc.volume_type': 'thick', 'owner': 'me', 'a': 'b'}
        for given_, wanted in (
            ({'metadata': metadata}, 'metadata: a=b, owner=me'),
            ({'metadata': {'virtdc.volume_type': 'thick'}}, None),
        ):
            facts = dict(self.page(parameters=given_).facts)
            self.assertEqual(wanted, facts.get('Wanted'))

    def test_nothing_is_said_of_what_is_not_known(self) -> None:
        page = self.page(agent=None, parameters={})
        self.assertNotIn('Executed by', dict(page.facts))
        self.assertNotIn('Wanted', dict(page.facts))
        self.assertNotIn('Request', dict(page.ids))


class TestNames(base.TestCase):
    def named(self, *changes: dict[str, Any], **volumes: Any) -> naming.Named:
        views = [{**EVENT, **one} for one in changes]
        return naming.names_of(views, volumes)['v1']

    def test_the_data_centre_knows_best(self) -> None:
        volume = {'name': 'new', 'origin': 'cloud'}
        found = self.named({}, v1=volume)
        self.assertEqual(('new', True), (found.shown, found.is_in_cloud))

    def test_one_that_is_not_there(self) -> None:
        created = {'origin': 'cloud', 'operation': 'create'}
        deleted = {'operation': 'delete', 'parameters': {}, 'state': 'success'}
        for events_, is_in_cloud in (
            ([{}], False),
            ([created], True),
            ([deleted, created], True),
            ([{**deleted, 'origin': 'cloud'}, created], False),
            ([{**deleted, 'origin': 'cloud', 'state': 'failed'}], True),
        ):
            with self.subTest(events=events_):
                found = self.named(*events_)
                self.assertEqual(is_in_cloud, found.is_in_cloud)
        self.assertEqual('copy', self.named(deleted, created).shown)

    def test_one_without_a_name(self) -> None:
        volume_id = '01234567-89ab-cdef-0123-456789abcdef'
        self.assertEqual('01234567…', naming.Named(volume_id=volume_id).shown)

    @given(st.text())
    def test_nothing_that_does_not_print_is_shown(self, text: str) -> None:
        view = {
            **EVENT,
            'parameters': {'name': text},
            'requested_by': {**EVENT['requested_by'], 'user_id': text},
            'state': 'failed',
            'message': text,
        }
        page = events.event_page(view, ME, named(view), NOW)
        alarm = alarm_row(message=text, acknowledged_by='b', comment=text)
        for said in (
            *(page.row.name, page.row.who, page.row.why),
            *(value for _, value in (*page.facts, *page.ids)),
            *(alarm.message, alarm.seen),
        ):
            self.assertTrue(said.isprintable(), said)


class TestAlarmRow(base.TestCase):
    def test_what_who_when_what_to_do(self) -> None:
        row = alarm_row()
        kind = catalogue.VOLUME_DELETED
        self.assertEqual(
            ('bob', '2026-01-01 09:59:58', '2 h', kind.effect, kind.repair),
            (row.who, row.happened_at, row.age, row.effect, row.repair),
        )
        self.assertEqual('volume-deleted of data', row.name)
        self.assertTrue(row.is_bad and row.can_acknowledge)

    def test_seen(self) -> None:
        row = alarm_row(
            acknowledged_by='carol',
            acknowledged_at='2026-01-01T11:00:00+00:00',
            comment='restoring',
        )
        self.assertEqual('carol, 2026-01-01 11:00:00 UTC: restoring', row.seen)
        self.assertFalse(row.can_acknowledge)

    def test_a_kind_of_a_newer_data_centre(self) -> None:
        row = alarm_row(kind='new', severity='awful', details={})
        self.assertEqual(('', '', ''), (row.repair, row.who, row.happened_at))

    def test_what_the_cloud_says(self) -> None:
        told = alarms.told_alarm('volume-deleted', 'Gone\u202e.')
        self.assertEqual('Gone\ufffd.', told.message)
        self.assertEqual(catalogue.VOLUME_DELETED.effect, told.effect)
        self.assertEqual('', alarms.told_alarm('new', '').effect)

    def test_the_worst_first(self) -> None:
        seen = {**ALARM, 'severity': 'critical', 'acknowledged_by': 'x'}
        late = {**ALARM, 'raised_at': '2026-01-02T10:00:00+00:00'}
        worst = {**ALARM, 'severity': Severity.CRITICAL.value}
        self.assertEqual(
            [worst, ALARM, late, seen],
            alarms.worst_first([seen, late, ALARM, worst]),
        )


class TestUsers(base.TestCase):
    def test_whose_names_are_wanted(self) -> None:
        alarm = {**ALARM, 'acknowledged_by': '1' * 32}
        self.assertEqual({'0' * 32, '1' * 32}, naming.users_of([EVENT, alarm]))

    def test_one_without_a_name(self) -> None:
        requester = {'user_id': '1' * 32}
        self.assertEqual('11111111…', naming.who(requester, ME))
        self.assertEqual('1' * 32, naming.who(requester, ME, is_short=False))
        self.assertEqual('', naming.who({}, ME))


class TestFiltering(base.TestCase):
    def test_words_and_values(self) -> None:
        for field, text, value in (
            (filtering.STATE, ' Running', 'running'),
            (filtering.OPERATION, 'resize', 'extend'),
            (filtering.OPERATION, 'extend', 'extend'),
            (filtering.ORIGIN, 'data centre', 'platform'),
        ):
            self.assertEqual(value, filtering.value_of(field, text))

    def test_what_is_not_there(self) -> None:
        with self.assertRaisesRegex(
            filtering.NoSuchChoice, 'waiting, running, success, failed'
        ):
            filtering.value_of(filtering.STATE, 'done')

    def test_there_and_back(self) -> None:
        trail = filtering.Trail()
        self.assertIsNone(trail.marker)
        for marker in ('12', '7'):
            text = trail.forth(marker).removeprefix('marker=')
            trail = filtering.Trail.read(text)
            self.assertEqual(marker, trail.marker)
        self.assertEqual('marker=12', trail.back())
        self.assertEqual('marker=', filtering.Trail.read('12').back())

    @given(st.text())
    def test_any_address_is_read(self, text: str) -> None:
        trail = filtering.Trail.read(text)
        self.assertRegex(trail.forth('1'), r'^marker=[A-Za-z0-9_.-]*$')
