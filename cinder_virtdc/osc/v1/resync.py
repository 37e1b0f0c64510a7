"""``openstack virtdc resync``: have a listener compare both sides."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib import exceptions as osc_exceptions

from cinder_virtdc.osc import columns
from cinder_virtdc.osc import command
from cinder_virtdc.rest_client import View

PAUSE_S = 1.0
_COUNTS = ('volumes', 'platform_volumes', 'repaired', 'alarmed', 'suspects')


class Resync(command.ShowOne):
    """Have a listener of the cloud compare both sides, and repair

    What differs is set right, as the listener does by itself every so often;
    what no event explains counts when the next comparison finds it too.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the waiting."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--show',
            action='store_true',
            help='Ask for nothing; show what was asked for last',
        )
        parser.add_argument(
            '--wait', action='store_true', help='Wait until it has ended'
        )
        parser.add_argument(
            '--timeout',
            metavar='<duration>',
            type=command.seconds,
            default=600.0,
            help='With --wait: give up after so long, as 90s, 10m '
            '(default: 10m)',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Ask for it."""
        found = (
            self.virtdc.get('/resync')
            if parsed_args.show
            else self.virtdc.post('/resync')
        )
        if parsed_args.wait:
            found = self._await_end(found['number'], parsed_args.timeout)
        return command.show(
            [
                ('number', found['number']),
                ('state', _state(found)),
                ('asked_by', found['asked_by']),
                ('asked_at', columns.Time(found['asked_at'])),
                ('listener', found['listener']),
                ('started_at', columns.Time(found['started_at'])),
                ('ended_at', columns.Time(found['ended_at'])),
                *((name, found[name]) for name in _COUNTS),
            ]
        )

    def _await_end(self, number: int, timeout_s: float) -> View:
        """Return it when it has ended, or when a later one was asked for."""
        until = self.clock.monotonic() + timeout_s
        while True:
            found: View = self.virtdc.get('/resync')
            if found['number'] != number or found['ended_at']:
                return found
            if self.clock.monotonic() >= until:
                raise osc_exceptions.CommandError(
                    f'Comparison {number} is {_state(found)} after '
                    f'{timeout_s:.0f} s: see that a cinder-virtdc-listener '
                    'runs, and its log.'
                )
            self.clock.pause(PAUSE_S)


def _state(found: View) -> str:
    if found['ended_at']:
        return 'ended'
    return 'running' if found['started_at'] else 'waiting for a listener'
