"""``openstack virtdc volume``: both sides beside each other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from cliff import columns as cliff_columns
from osc_lib import exceptions

from cinder_virtdc.osc import client as clients
from cinder_virtdc.osc import columns
from cinder_virtdc.osc import command
from cinder_virtdc.osc import sides
from cinder_virtdc.rest_client import path_of
from cinder_virtdc.rest_client import View
from cinder_virtdc import wording

HEADER = ('Field', 'Cloud', 'Data Centre', 'Differs')


class Said(cliff_columns.FormattableColumn[Any]):
    """What one side says of something."""

    def human_readable(self) -> str:
        """Return it as people write it."""
        value = self._value
        if value is None or value == '':
            return '-'
        if isinstance(value, dict):
            return columns.Lines(value).human_readable() or '-'
        if isinstance(value, list):
            return columns.Words(value).human_readable()
        if isinstance(value, bool):
            return columns.YesNo(value).human_readable()
        return wording.printable(str(value))


class Differs(columns.YesNo):
    """Whether the two sides differ."""

    def human_readable(self) -> str:
        """Say only what catches the eye."""
        return 'differs' if self._value else ''


class ShowVolume(command.Lister):
    """Show a volume as the cloud and as the data centre have it

    The last column says what ought to be the same on both sides and is not.
    """

    needs_cloud = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the volume."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'volume',
            metavar='<volume>',
            help='The volume (name or ID), of either side',
        )
        parser.add_argument(
            '--differences',
            action='store_true',
            help='Show only what differs',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Show it."""
        rows = self._compare(parsed_args.volume)
        if parsed_args.differences:
            rows = [row for row in rows if row.differs]
            if not rows:
                self.say('Both sides agree.')
        return HEADER, [
            (
                row.field,
                _value(row.field, row.cloud),
                _value(row.field, row.platform),
                Differs(row.differs),
            )
            for row in rows
        ]

    def _compare(self, name_or_id: str) -> Sequence[sides.Row]:
        volume = sides.cloud_volume(self.app.client_manager, name_or_id)
        platform_id = (
            volume.platform_id
            if volume is not None
            else self.find_volume(name_or_id)
        )
        view = self._platform(platform_id)
        if volume is None and view is None:
            raise exceptions.CommandError(
                f'Neither side has a volume {name_or_id}.'
            )
        found: list[View] = self.virtdc.page(
            '/events', 'events', {'volume_id': platform_id}, limit=1
        ).items
        return sides.compare(
            volume,
            None if view is None else sides.platform_volume(view),
            found[0] if found else None,
        )

    def _platform(self, volume_id: str) -> View | None:
        try:
            found: View = self.virtdc.get(path_of('volumes', volume_id))
        except clients.ApiError as exc:
            if exc.status == 404:
                return None
            raise
        return found


def _value(field: str, value: Any) -> Any:
    if field == 'size' and value is not None:
        return columns.Size(value)
    return Said(value)
