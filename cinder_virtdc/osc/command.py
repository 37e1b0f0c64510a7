"""What all commands of ``openstack virtdc`` have alike."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import re
from typing import Any

from osc_lib.command import command
from osc_lib import exceptions

from cinder_virtdc.clock import Clock
from cinder_virtdc.clock import SystemClock
from cinder_virtdc.osc import client as clients
from cinder_virtdc.osc.client import Client
from cinder_virtdc.osc import sides
from cinder_virtdc import rest_client

_UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
_DURATION = re.compile(r'([0-9]{1,6})([smhd]?)')


class Base(command.Command):
    """A command that asks the data centre."""

    clock: Clock = SystemClock()
    needs_cloud = False
    """Whether it asks Cinder too."""

    @property
    def auth_required(self) -> bool:
        """Whether Keystone is needed: not with address and static token."""
        options = getattr(self, 'app_args', None)
        return self.needs_cloud or not (
            getattr(options, 'virtdc_endpoint', None)
            and getattr(options, 'virtdc_token', None)
        )

    @property
    def virtdc(self) -> Client:
        """The data centre's API."""
        # The plugin's name becomes an attribute when it is found.
        manager: Any = self.app.client_manager
        found: Client = manager.virtdc
        return found

    def say(self, text: str) -> None:
        """Tell a person something that is no output."""
        print(text, file=self.app.stderr, flush=True)

    def find_volume(self, name_or_id: str) -> str:
        """Return the data centre's id of a volume.

        :raises CommandError: no volume, or several, are called so.
        """
        if sides.is_id(name_or_id):
            # It may be gone, and its events can still be asked for.
            return name_or_id
        found = self.virtdc.page(
            '/volumes', 'volumes', {'name': name_or_id}, limit=10
        ).items
        if len(found) > 1:
            raise exceptions.CommandError(
                f'Several volumes are called {name_or_id}; name one by its '
                'id: ' + ', '.join(one['volume_id'] for one in found)
            )
        if found:
            return str(found[0]['volume_id'])
        try:
            return str(
                self.virtdc.get(rest_client.path_of('volumes', name_or_id))[
                    'volume_id'
                ]
            )
        except clients.ApiError as exc:
            if exc.status != 404:
                raise
        if self.auth_required:
            # It may be on its way from the cloud.
            volume = sides.cloud_volume(self.app.client_manager, name_or_id)
            if volume is not None:
                return volume.platform_id
        raise exceptions.CommandError(
            f'The data centre has no volume {name_or_id}, or it is not yours.'
        )


class Lister(Base, command.Lister):
    """One that prints a list."""

    def more(self, page: rest_client.Page, option: str = '--marker') -> None:
        """Say how to see the rest."""
        if page.marker is not None:
            self.say(f'There is more: add {option} {page.marker}')


class ShowOne(Base, command.ShowOne):
    """One that prints one thing."""


def add_paging(parser: argparse.ArgumentParser, default: int = 100) -> None:
    """Add the options of a list that comes in pages."""
    parser.add_argument(
        '--limit',
        metavar='<number>',
        type=positive,
        default=default,
        help=f'How many to show at most (default: {default})',
    )
    parser.add_argument(
        '--marker',
        metavar='<marker>',
        help='Where to go on, as the list before said',
    )


def positive(text: str) -> int:
    """Read a number of things."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f'{text} is no positive number')
    return int(text)


def sequence(text: str) -> int:
    """Read a sequence."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f'{text} is no sequence')
    return int(text)


def seconds(text: str) -> float:
    """Read a duration, as ``90``, ``30s``, ``10m``, ``2h`` or ``7d``."""
    match = _DURATION.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(
            f'{text} is no duration: write 30s, 10m, 2h or 7d'
        )
    return float(int(match[1]) * _UNITS[match[2] or 's'])


def show(
    rows: Sequence[tuple[str, Any]],
) -> tuple[Sequence[str], Sequence[Any]]:
    """Return what a ShowOne returns."""
    return [name for name, _ in rows], [value for _, value in rows]
