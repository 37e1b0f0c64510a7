"""``openstack virtdc agent``, ``limit`` and ``pool``: what executes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from cinder_virtdc.osc import columns
from cinder_virtdc.osc import command
from cinder_virtdc.rest_client import path_of
from cinder_virtdc.rest_client import View
from cinder_virtdc import wording


class ListAgents(command.Lister):
    """List the agents that share the data centre"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the length."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--long', action='store_true', help='Show all there is'
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """List them."""
        header = ['Name', 'Host', 'State', 'Running', 'Version', 'Started']
        if parsed_args.long:
            header += ['Closed', 'Tells The Cloud', 'Lease Until']
        age = columns.Age(self.clock.now())
        rows = []
        for one in self.virtdc.get('/agents')['agents']:
            row = [
                *(one['name'], one['host'], _state(one), one['running']),
                *(one['version'], age(one['started_at'])),
            ]
            if parsed_args.long:
                row += [
                    one['closed'],
                    columns.YesNo(one['is_publisher']),
                    columns.Time(one['lease_until']),
                ]
            rows.append(row)
        return header, rows


class _Drain(command.ShowOne):
    """Sets whether an agent takes events."""

    action: str

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the agent."""
        parser = super().get_parser(prog_name)
        parser.add_argument('agent', metavar='<agent>', help='Its name')
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Set it."""
        agent = self.virtdc.post(
            path_of('agents', parsed_args.agent, self.action)
        )
        return command.show(
            [
                ('name', agent['name']),
                ('host', agent['host']),
                ('state', _state(agent)),
                ('running', agent['running']),
            ]
        )


class DrainAgent(_Drain):
    """Have an agent take no more events; it finishes what runs"""

    action = 'drain'


class ResumeAgent(_Drain):
    """Have an agent take events again"""

    action = 'undrain'


class ShowLimits(command.Lister):
    """Show how much is done at once, of copies and of quick operations"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the history."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--history',
            metavar='<number>',
            type=command.positive,
            help='Show so many of the latest windows of each, newest last',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Show them, of the agent that answers."""
        lanes = self.virtdc.get('/limits')['lanes']
        if parsed_args.history is None:
            return ('Lane', 'Limit', 'Taken', 'Running', 'Full'), [
                (
                    lane['lane'],
                    '-' if lane['limit'] is None else lane['limit'],
                    *_load(lane['history'][-1:]),
                )
                for lane in lanes
            ]
        return ('Lane', 'At', 'Limit', 'Taken', 'Running', 'Full'), [
            (
                lane['lane'],
                columns.Time(point['at']),
                point['limit'],
                *_load([point]),
            )
            for lane in lanes
            for point in lane['history'][-parsed_args.history :]
        ]


class ListPools(command.Lister):
    """List the storage: what it holds, and what it can hold"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the length."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--long', action='store_true', help='Show all there is'
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """List them."""
        answer = self.virtdc.get('/pools')
        header = [
            *('Name', 'Backend', 'Total', 'Free', 'Provisioned', 'Volumes'),
            'Seen',
        ]
        if parsed_args.long:
            header += [
                *('Over-subscription', 'Reserved %', 'Formats'),
                *('Provisionings', 'Operations'),
            ]
        rows = []
        for pool in answer['pools']:
            row = [
                *(columns.Text(pool['name']), pool['backend']),
                columns.Size(pool['total_bytes']),
                columns.Size(pool['free_bytes']),
                columns.Size(pool['provisioned_bytes']),
                pool['volumes'],
                columns.Text(_seen(pool)),
            ]
            if parsed_args.long:
                row += [
                    pool['max_over_subscription_ratio'],
                    pool['reserved_percentage'],
                    columns.Words(pool['formats']),
                    columns.Words(pool['provisionings']),
                    columns.Words(pool['operations']),
                ]
            rows.append(row)
        return header, rows


def _state(agent: View) -> str:
    if not agent['is_alive']:
        return 'dead'
    return 'draining' if agent['is_draining'] else 'alive'


def _seen(pool: View) -> str:
    """Say how lately the storage has said how full it is."""
    age_s = pool.get('age_s')
    if age_s is None:
        return 'not yet' if 'state' in pool else ''
    lately = f'{wording.duration(age_s)} ago'
    return lately if pool['state'] == 'known' else f'{lately}, silent since'


def _load(points: Sequence[View]) -> tuple[Any, Any, Any]:
    if not points:
        return '-', '-', columns.YesNo(False)
    point = points[0]
    return point['taken'], point['running'], columns.YesNo(point['is_full'])
