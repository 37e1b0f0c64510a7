"""``openstack virtdc trash``: deleted volumes that can still be restored."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib import exceptions

from cinder_virtdc.osc import columns
from cinder_virtdc.osc import command
from cinder_virtdc.osc.v1.event import show_event
from cinder_virtdc.osc.waiting import add_wait
from cinder_virtdc.osc.waiting import await_event
from cinder_virtdc.rest_client import path_of
from cinder_virtdc.rest_client import View
from cinder_virtdc import wording

HEADER = ('Volume', 'Name', 'Size', 'Deleted', 'By', 'Until')
LONG_HEADER = (*HEADER, 'Origin', 'Project', 'Pool', 'Event')


class ListTrash(command.Lister):
    """List deleted volumes that can still be restored"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the filters."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--project',
            metavar='<project-id>',
            help='Only those of a project; others than your own need the '
            'right to see all',
        )
        parser.add_argument(
            '--long', action='store_true', help='Show all there is'
        )
        command.add_paging(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """List them."""
        page = self.virtdc.page(
            '/trash',
            'trash',
            {'project_id': parsed_args.project},
            limit=parsed_args.limit,
            marker=parsed_args.marker,
        )
        self.more(page)
        age = columns.Age(self.clock.now())
        rows = []
        for one in page.items:
            volume, by = one['volume'], one['deleted_by']
            row = [
                volume['volume_id'],
                wording.printable(volume['name']),
                columns.Size(volume['size_bytes']),
                age(one['deleted_at']),
                columns.Text(by['user_id']),
                columns.Time(one['until']),
            ]
            if parsed_args.long:
                row += [
                    one['origin'],
                    columns.Text(volume['project_id']),
                    columns.Text(volume.get('pool') or ''),
                    one['event_id'],
                ]
            rows.append(row)
        return LONG_HEADER if parsed_args.long else HEADER, rows


class RestoreTrash(command.ShowOne):
    """Take a volume out of the trash: it is as it was"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the volume."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'volume', metavar='<volume>', help='The volume (name or ID)'
        )
        add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Have it restored."""
        volume_id = self._find(parsed_args.volume)
        event: View = self.virtdc.post(path_of('trash', volume_id, 'restore'))
        if parsed_args.wait:
            event = await_event(
                self, event, parsed_args.timeout, must_succeed=True
            )
        return show_event(event)

    def _find(self, name_or_id: str) -> str:
        found = []
        for one in self.virtdc.items('/trash', 'trash', {}):
            volume = one['volume']
            if volume['volume_id'] == name_or_id:
                return name_or_id
            if volume['name'] == name_or_id:
                found.append(str(volume['volume_id']))
        if not found:
            raise exceptions.CommandError(
                f'No volume {name_or_id} lies in the trash: it was never '
                'deleted there, its time is up, or it is not yours.'
            )
        if len(found) > 1:
            raise exceptions.CommandError(
                f'Several volumes in the trash are called {name_or_id}; name '
                'one by its id: ' + ', '.join(found)
            )
        return found[0]
