"""``openstack volume create --wait`` and ``--progress``; and the screens."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import dataclasses
import json
from typing import Any
from unittest import mock

from cliff import show
from osc_lib import exceptions

from cinder_virtdc.clock import FakeClock
from cinder_virtdc.osc import columns
from cinder_virtdc.osc import screen
from cinder_virtdc.osc import volume_create
from cinder_virtdc import wording
from tests import base as tests_base
from tests.unit.osc import base


@dataclasses.dataclass
class Volume:
    """A volume of the SDK."""

    status: str
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    size: int = 1


def said(state: str, progress: str = '0 %', **more: str) -> dict[str, str]:
    return {
        'virtdc.state': state,
        'virtdc.progress': progress,
        'virtdc.operation': 'create',
        **{f'virtdc.{key}': value for key, value in more.items()},
    }


class Create(show.ShowOne):
    """Stands for the client's own command."""

    def take_action(self, parsed_args: Any) -> Any:
        return ('id', 'properties', 'status'), ('v1', {}, 'creating')


class TestHook(tests_base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = FakeClock(moves_itself=True)

    def create(
        self,
        *argv: str,
        volumes: list[Volume | None | Callable[[], Volume]],
        terminal: bool = False,
    ) -> Any:
        """Run the command; return what it prints."""
        self.app = base.App(None, terminal)
        found = iter(volumes)

        def find(volume_id: str, ignore_missing: bool) -> Volume | None:
            one = next(found)
            return one() if callable(one) else one

        storage = self.app.client_manager.sdk_connection.block_storage
        storage.find_volume.side_effect = find
        command = Create(self.app, argparse.Namespace())
        hook = volume_create.VolumeCreateHook(command)
        hook.clock = self.clock
        command._hooks = [mock.Mock(obj=hook)]
        parsed = command.get_parser('openstack').parse_args(
            [*argv, '-f', 'json']
        )
        try:
            command.run(parsed)
        finally:
            self.output = self.app.stdout.getvalue()
        return json.loads(self.output)

    def test_without_the_options_nothing_is_asked(self) -> None:
        self.assertEqual('creating', self.create(volumes=[])['status'])

    def test_waits_until_it_can_be_used(self) -> None:
        for option in ('--wait', '--progress'):
            shown = self.create(
                option,
                volumes=[
                    Volume('creating'),
                    Volume('creating', said('running', '40 %')),
                    # The properties come a little later.
                    Volume('available', said('running', '90 %')),
                    Volume('available', said('success', '100 %')),
                ],
            )
            self.assertEqual('available', shown['status'])
            self.assertEqual('success', shown['properties']['virtdc.state'])
            self.assertEqual('', self.app.stderr.getvalue())

    def test_a_bar_on_a_terminal_only(self) -> None:
        self.create(
            '--progress',
            volumes=[
                Volume('creating', said('running', '40 %')),
                Volume('creating', said('running', 'unknown')),
                Volume('available', said('success', '100 %')),
            ],
            terminal=True,
        )
        self.assertIn('success', self.app.stderr.getvalue())

    def test_a_failure_is_one(self) -> None:
        failed = said('failed', reason='backend', message='No space is left.')
        with self.assertRaisesRegex(
            exceptions.CommandError, 'backend: No space is left'
        ):
            self.create(
                '--wait', volumes=[Volume('error'), Volume('error', failed)]
            )
        # What there is, is shown all the same.
        self.assertEqual('error', json.loads(self.output)['status'])

    def test_other_backends_tell_nothing(self) -> None:
        shown = self.create('--wait', volumes=[Volume('available')] * 20)
        self.assertEqual('available', shown['status'])
        with self.assertRaisesRegex(exceptions.CommandError, 'message list'):
            self.create('--wait', volumes=[Volume('error')] * 20)

    def test_given_up(self) -> None:
        with self.assertRaisesRegex(exceptions.CommandError, 'still creating'):
            self.create(
                *('--wait', '--wait-timeout', '3'),
                volumes=[Volume('creating')] * 20,
            )

        def interrupt() -> Volume:
            raise KeyboardInterrupt

        with self.assertRaisesRegex(exceptions.CommandError, 'all the same'):
            self.create('--wait', volumes=[interrupt])
        self.assertEqual('creating', json.loads(self.output)['status'])

    def test_deleted_meanwhile(self) -> None:
        with self.assertRaisesRegex(exceptions.CommandError, 'deleted'):
            self.create('--wait', volumes=[None])


class TestColumns(tests_base.TestCase):
    def test_sizes(self) -> None:
        for size, text in (
            (0, '0 B'),
            (1023, '1023 B'),
            (1024, '1 KiB'),
            (1536 * 1024**2, '1.5 GiB'),
            (5 * 1024**6, '5 EiB'),
            (5000 * 1024**6, '5000 EiB'),
        ):
            self.assertEqual(text, wording.size_text(size))

    def test_durations(self) -> None:
        for seconds, text in (
            (-1, '0.0s'),
            (3.14, '3.1s'),
            (59, '59s'),
            (60, '1m'),
            (3599, '59m59s'),
            (3600, '1h'),
            (90061, '1d1h'),
        ):
            self.assertEqual(text, wording.duration(seconds))

    def test_bars(self) -> None:
        self.assertEqual('[>   ]', columns.bar(0, 4))
        self.assertEqual('[==> ]', columns.bar(50, 4))
        self.assertEqual('[====]', columns.bar(100, 4).replace(' ', ''))

    def test_a_detail(self) -> None:
        self.assertEqual(
            'copying, 1 KiB of 2 KiB, attempt 2',
            wording.detail(
                {
                    'state': 'running',
                    'phase': 'copying',
                    'bytes_done': 1024,
                    'bytes_total': 2048,
                    'attempt': 2,
                }
            ),
        )


class TestLive(tests_base.TestCase):
    def test_what_has_ended_stays_in_view(self) -> None:
        terminal = base.Stream(terminal=True)
        live = screen.Live(terminal)
        view = {
            'event_id': 'e1',
            'operation': 'create',
            'volume_id': 'v1',
            'state': 'running',
            'progress': 40,
            'phase': '[red]',
        }
        live.show(view)
        live.show({**view, 'progress': None})
        live.note('[bold]a note')
        live.show({**view, 'state': 'success', 'progress': 100})
        live.close()
        self.assertIn('create  v1  success', terminal.getvalue())
        # Texts of others are no markup.
        self.assertIn('[bold]a note', terminal.getvalue())
