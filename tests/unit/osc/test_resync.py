"""``openstack virtdc resync``."""

from __future__ import annotations

from osc_lib import exceptions

from cinder_virtdc.clock import FakeClock
from cinder_virtdc.osc.v1 import resync
from tests.unit.osc import base


class TestResync(base.CommandCase):
    def test_asked_for(self) -> None:
        shown = self.rows(resync.Resync)
        self.assertEqual(
            (1, 'waiting for a listener'),
            (
                shown['number'],
                shown['state'],
            ),
        )

    def test_none_to_show(self) -> None:
        with self.assertRaisesRegex(exceptions.CommandError, 'HTTP 404'):
            self.run_command(resync.Resync, '--show')

    def test_waited_for(self) -> None:
        self.journal.request_resync('alice')
        taken = self.journal.take_resync('cloud-1', 60)
        shown = self.rows(resync.Resync, '--show')
        self.assertEqual('running', shown['state'])
        self.journal.end_resync(taken.number, 'cloud-1', {'repaired': 2})
        shown = self.rows(resync.Resync, '--show', '--wait')
        self.assertEqual(('ended', 2), (shown['state'], shown['repaired']))

    def test_nobody_comes(self) -> None:
        self.command_clock = FakeClock(moves_itself=True)
        with self.assertRaisesRegex(exceptions.CommandError, 'listener'):
            self.run_command(resync.Resync, '--wait', '--timeout', '5s')
