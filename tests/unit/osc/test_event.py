"""``openstack virtdc event``."""

from __future__ import annotations

import json
from typing import Any

from osc_lib import exceptions

from cinder_virtdc.clock import FakeClock
from cinder_virtdc.osc.v1 import event
from tests.unit.agent import builders
from tests.unit.osc import base
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import Volume
from virtdc_agent import model


class EventCase(base.CommandCase):
    def append(self, volume_id: str = 'v1') -> str:
        """Have an event waiting; return its id."""
        made = builders.create(volume_id)
        self.journal.append(made)
        return made.event_id

    def made(self, volume_id: str = 'v1') -> model.PutVolume:
        volume: Volume = builders.volume(volume_id)
        return model.PutVolume(volume=volume)


class TestList(EventCase):
    def test_for_people(self) -> None:
        self.append()
        self.clock.advance(75)
        printed = self.printed(event.ListEvents)
        self.assertRegex(printed, r'\| 1m\d+s +\| create +\| v1 +\| waiting')

    def test_for_programs(self) -> None:
        event_id = self.append()
        self.settle(reason=Reason.BACKEND, message='No space is left.')
        (row,) = self.rows(event.ListEvents, '--long')
        self.assertEqual(
            (event_id, 'failed', 'backend: No space is left.', 'cloud'),
            (row['ID'], row['State'], row['Detail'], row['Origin']),
        )
        self.assertIsNone(row['Progress'])
        self.assertRegex(row['Created At'], r'^2026-.*T')

    def test_filters_reach_the_api(self) -> None:
        self.append()
        self.assertEqual([], self.rows(event.ListEvents, '--state', 'failed'))
        self.assertEqual(
            [], self.rows(event.ListEvents, '--operation', 'delete')
        )
        self.assertEqual(
            [], self.rows(event.ListEvents, '--origin', 'platform')
        )
        self.assertEqual(
            1,
            len(
                self.rows(
                    event.ListEvents,
                    *('--state', 'failed', '--state', 'waiting'),
                    *('--operation', 'create', '--origin', 'cloud'),
                )
            ),
        )

    def test_since(self) -> None:
        self.append()
        self.clock.advance(10)
        self.assertEqual([], self.rows(event.ListEvents, '--since', '1s'))
        self.assertEqual(1, len(self.rows(event.ListEvents, '--since', '1m')))

    def test_pages(self) -> None:
        for number in range(3):
            self.append(f'v{number}')
        first = self.rows(event.ListEvents, '--limit', '2')
        self.assertEqual(['v2', 'v1'], [one['Volume'] for one in first])
        marker = self.said.split('--marker ')[1].strip()
        rest = self.rows(event.ListEvents, '--marker', marker)
        self.assertEqual(['v0'], [one['Volume'] for one in rest])

    def test_a_volume_by_its_name(self) -> None:
        self.put_volume('v1', name='data')
        self.put_volume('v2', name='twice')
        self.put_volume('v3', name='twice')
        for wanted in ('data', 'v1'):
            rows = self.rows(event.ListEvents, '--volume', wanted)
            self.assertEqual(['v1'], [one['Volume'] for one in rows])
        with self.assertRaisesRegex(exceptions.CommandError, 'v2, v3'):
            self.rows(event.ListEvents, '--volume', 'twice')
        with self.assertRaisesRegex(exceptions.CommandError, 'no volume nix'):
            self.rows(event.ListEvents, '--volume', 'nix')

    def test_what_others_wrote_cannot_direct_the_terminal(self) -> None:
        self.append()
        self.settle(reason=Reason.BACKEND, message='\x1b[31mred')
        self.assertNotIn('\x1b', self.printed(event.ListEvents))


class TestShow(EventCase):
    def test_history_and_queue(self) -> None:
        self.append('v0')
        event_id = self.append()
        shown = self.rows(event.ShowEvent, event_id)
        self.assertEqual('1', shown['ahead'])
        self.settle(self.made('v0'))
        self.settle(self.made())
        shown = self.rows(event.ShowEvent, event_id)
        self.assertEqual(
            ['waiting', 'running', 'success'],
            [one['state'] for one in shown['history']],
        )
        self.assertNotIn('ahead', shown)
        self.assertIn('running for', self.printed(event.ShowEvent, event_id))

    def test_a_retry_names_the_event_that_has_failed(self) -> None:
        event_id = self.append()
        self.settle(self.made(), reason=Reason.BACKEND)
        again = self.rows(event.RetryEvent, event_id)
        self.assertEqual(event_id, again['retry_of'])

    def test_an_error_has_sentence_status_and_request_id(self) -> None:
        with self.assertRaisesRegex(
            exceptions.CommandError,
            r'There is no event nope.*\(HTTP 404, req-[0-9a-f-]{36}\)',
        ):
            self.rows(event.ShowEvent, 'nope')


class TestWatch(EventCase):
    def follow(self, *argv: str) -> int:
        return self.run_command(event.WatchEvents, *argv)

    @property
    def lines(self) -> list[Any]:
        text = self.app_.stdout.getvalue()
        return [json.loads(line) for line in text.splitlines()]

    def test_one_that_succeeds(self) -> None:
        event_id = self.append()
        self.adapter.meanwhile = [lambda: self.settle(self.made())]
        self.assertEqual(0, self.follow(event_id, '-f', 'json'))
        self.assertEqual(
            ['waiting', 'running', 'success'],
            [one['state'] for one in self.lines],
        )

    def test_one_that_fails(self) -> None:
        event_id = self.append()
        self.adapter.meanwhile = [
            lambda: self.settle(reason=Reason.BACKEND, message='It broke.')
        ]
        self.assertEqual(1, self.follow(event_id))
        lines = self.app_.stdout.getvalue().splitlines()
        self.assertRegex(lines[-1], 'create  v1  failed  backend: It broke.')

    def test_one_that_has_ended(self) -> None:
        event_id = self.append()
        self.settle(self.made())
        self.assertEqual(0, self.follow(event_id))
        self.assertIn('success', self.app_.stdout.getvalue())

    def test_the_time_is_up(self) -> None:
        event_id = self.append()
        self.adapter.meanwhile = [lambda: self.clock.advance(31)]
        self.assertEqual(124, self.follow(event_id, '--timeout', '30s'))
        self.assertIn(f'event watch {event_id} --after 1', self.said)

    def test_interrupted_and_resumed(self) -> None:
        event_id = self.append()
        self.assertEqual(130, self.follow(event_id))
        self.assertIn('what runs goes on', self.said)
        after = self.said.rsplit('--after ', 1)[1].strip()
        self.settle(self.made())
        self.assertEqual(
            0, self.follow(event_id, '--after', after, '-f', 'json')
        )
        self.assertEqual(
            ['running', 'success'], [one['state'] for one in self.lines]
        )

    def test_a_volume_until_nothing_is_open(self) -> None:
        self.put_volume('v1')
        self.journal.append(builders.delete('v1'))
        self.adapter.meanwhile = [
            lambda: self.settle(reason=Reason.REJECTED, message='In use.')
        ]
        self.assertEqual(1, self.follow('--volume', 'v1'))
        # Nothing is open now: its last one says how it ended.
        self.assertEqual(1, self.follow('--volume', 'v1'))

    def test_a_volume_whose_first_event_is_on_the_way(self) -> None:
        volume_id = '01234567-89ab-cdef-0123-456789abcdef'
        self.adapter.meanwhile = [
            lambda: self.append(volume_id),
            lambda: self.settle(self.made(volume_id)),
        ]
        self.assertEqual(0, self.follow('--volume', volume_id))
        self.assertIn('waiting for its first', self.said)

    def test_everything(self) -> None:
        self.append('v1')
        self.adapter.meanwhile = [
            lambda: self.append('v2'),
            lambda: self.settle(self.made('v1')),
        ]
        self.assertEqual(130, self.follow('-f', 'json'))
        self.assertEqual(
            [
                *(('v1', 'waiting'), ('v2', 'waiting')),
                *(('v1', 'running'), ('v1', 'success')),
            ],
            [(one['volume_id'], one['state']) for one in self.lines],
        )

    def test_a_connection_that_breaks(self) -> None:
        self.command_clock = FakeClock(moves_itself=True)
        event_id = self.append()

        def lose() -> None:
            self.settle(self.made())
            self.adapter.answers = [
                base.Lost('gone'),
                base.Response(503, 'busy', {'Retry-After': '2'}),
            ]

        self.adapter.meanwhile = [lose, lambda: None, lambda: None]
        self.assertEqual(0, self.follow(event_id, '-f', 'json'))
        self.assertIn('Trying again in 2 s', self.said)

    def test_a_gap_is_read_anew(self) -> None:
        event_id = self.append()
        gone = {'detail': 'Not kept any more.', 'code': 'gone'}

        def forget() -> None:
            self.settle(self.made())
            self.adapter.answers = [base.Response(410, json.dumps(gone), {})]

        self.adapter.meanwhile = [forget]
        self.assertEqual(0, self.follow(event_id))
        self.assertIn('reading all anew', self.said)

    def test_events_or_a_volume(self) -> None:
        with self.assertRaisesRegex(exceptions.CommandError, 'not both'):
            self.follow('e1', '--volume', 'v1')


class TestCancelAndRetry(EventCase):
    def test_cancel(self) -> None:
        event_id = self.append()
        shown = self.rows(event.CancelEvent, event_id, '--wait')
        self.assertEqual(
            ('failed', 'cancelled'), (shown['state'], shown['reason'])
        )

    def test_cancel_what_has_ended(self) -> None:
        event_id = self.append()
        self.settle(self.made())
        with self.assertRaisesRegex(exceptions.CommandError, 'HTTP 409'):
            self.rows(event.CancelEvent, event_id)

    def test_retry(self) -> None:
        event_id = self.append()
        self.settle(reason=Reason.BACKEND, message='It broke.')
        self.adapter.meanwhile = [lambda: self.settle(self.made())]
        shown = self.rows(event.RetryEvent, event_id, '--wait')
        self.assertEqual('success', shown['state'])
        self.assertNotEqual(event_id, shown['id'])

    def test_a_retry_that_fails_is_an_error(self) -> None:
        event_id = self.append()
        self.settle(reason=Reason.BACKEND, message='It broke.')
        self.adapter.meanwhile = [
            lambda: self.settle(reason=Reason.BACKEND, message='Again.')
        ]
        with self.assertRaisesRegex(exceptions.CommandError, 'Again'):
            self.rows(event.RetryEvent, event_id, '--wait')
