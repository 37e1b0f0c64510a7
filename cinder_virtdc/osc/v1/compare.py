"""``openstack virtdc volume compare``: which volumes differ."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from osc_lib import exceptions as osc_exceptions

from cinder_virtdc import exceptions
from cinder_virtdc.osc import columns
from cinder_virtdc.osc import command
from cinder_virtdc.osc import sides
from cinder_virtdc.sync import properties
from cinder_virtdc import wording

HEADER = ('Volume', 'Name', 'Status', 'Differs In')
ABSENT = 'absent in the data centre'
UNKNOWN = 'absent in the cloud'
PAUSE_S = 2.0


class CompareVolumes(command.Lister):
    """Compare all volumes of both sides; show those that differ

    Changes nothing: what differs, the listener repairs by itself, or has
    raised an alarm about. Exit status: 0 in any case; with --wait 1 if the
    sides still differ when the time is up.
    """

    needs_cloud = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the waiting."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--wait',
            action='store_true',
            help='Compare again and again until both sides agree',
        )
        parser.add_argument(
            '--timeout',
            metavar='<duration>',
            type=command.seconds,
            help='With --wait: give up after so long, as 90s, 10m',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Compare them."""
        began = self.clock.monotonic()
        while True:
            rows = self._compare()
            if not rows or not parsed_args.wait:
                return HEADER, rows
            waited = self.clock.monotonic() - began
            if (
                parsed_args.timeout is not None
                and waited >= parsed_args.timeout
            ):
                raise osc_exceptions.CommandError(
                    f'{len(rows)} volumes still differ after {waited:.0f} s: '
                    + ', '.join(row[0] for row in rows[:10])
                )
            self.clock.pause(PAUSE_S)

    def _compare(self) -> Sequence[Sequence[Any]]:
        # The data centre first: what the cloud makes meanwhile is not
        # taken for something that is lost.
        there = {
            one['volume_id']: sides.platform_volume(one)
            for one in self.virtdc.items('/volumes', 'volumes', {})
        }
        try:
            volumes = list(sides.cloud(self.app.client_manager).list_volumes())
        except exceptions.CloudError as exc:
            raise osc_exceptions.CommandError(str(exc)) from exc
        rows = []
        compared = 0
        for volume in volumes:
            platform = there.pop(volume.platform_id, None)
            is_ours = platform or properties.STATE in volume.properties
            if not is_ours or volume.status.endswith('ing'):
                continue
            compared += 1
            fields = (
                sides.differences(volume, platform) if platform else [ABSENT]
            )
            if fields:
                rows.append(
                    (
                        volume.volume_id,
                        wording.printable(volume.name),
                        volume.status,
                        columns.Words(fields),
                    )
                )
        rows += [
            (
                volume_id,
                wording.printable(platform.name),
                '-',
                columns.Words([UNKNOWN]),
            )
            for volume_id, platform in there.items()
        ]
        self.say(
            f'Compared {compared} volumes of the cloud with '
            f'{compared + len(there)} of the data centre: '
            + (f'{len(rows)} differ.' if rows else 'they agree.')
        )
        return rows
