"""``openstack volume create --wait`` and ``--progress``.

A hook of cliff: the command itself is the client's own. What is shown comes
from the volume's properties in Cinder, so the data centre need not be
reached, and volumes of other backends are waited for as well.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from cliff import hooks
from osc_lib import exceptions

from cinder_virtdc.clock import Clock
from cinder_virtdc.clock import SystemClock
from cinder_virtdc.sync import properties

POLL_S = 0.5
PATIENT_S = 20.0
SLOW_POLL_S = 2.0
"""After so long it is a long operation, and Cinder is for others too."""
LATE_S = 5.0
"""How long after Cinder's status the properties may say how it ended."""
USABLE = frozenset({'available', 'in-use'})
FINAL = frozenset({'success', 'failed'})


class NotMade(exceptions.CommandError):
    """The volume was not made, or not in time."""


class VolumeCreateHook(hooks.CommandHook):
    """Waits for the volume after the command has asked for it."""

    clock: Clock = SystemClock()

    def get_parser(
        self, parser: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        """Add the options."""
        group = parser.add_argument_group(
            title='waiting', description='provided by VirtDC'
        )
        group.add_argument(
            '--wait',
            action='store_true',
            help='Wait until the volume can be used; the exit status tells '
            'whether it can',
        )
        group.add_argument(
            '--progress',
            action='store_true',
            help='Wait, and draw meanwhile how far it is if somebody looks',
        )
        group.add_argument(
            '--wait-timeout',
            metavar='<seconds>',
            type=_seconds,
            help='Wait so long at most; the volume is made all the same',
        )
        return parser

    def get_epilog(self) -> str | None:
        """Add nothing."""
        return None

    def before(self, parsed_args: argparse.Namespace) -> argparse.Namespace:
        """Change nothing."""
        return parsed_args

    def after(self, parsed_args: argparse.Namespace, return_code: Any) -> Any:
        """Wait before the output, if that was asked for.

        :param return_code: of a command that shows something: the names and
            the values of its columns.
        """
        if not (parsed_args.wait or parsed_args.progress):
            return return_code
        names, values = return_code
        row = dict(zip(names, values, strict=True))
        command: Any = self.cmd
        produce = command.produce_output

        def wait_first(
            parsed_args: argparse.Namespace,
            column_names: Sequence[str],
            data: Any,
        ) -> int:
            waiting = _Waiting(command.app, self.clock)
            try:
                waiting.run(
                    str(row['id']),
                    draws=parsed_args.progress,
                    timeout_s=parsed_args.wait_timeout,
                )
            finally:
                # Whatever came of it: the volume is there, and has an id.
                status = produce(
                    parsed_args,
                    column_names,
                    [waiting.latest(n, row[n]) for n in column_names],
                )
            return int(status or 0)

        command.produce_output = wait_first
        return return_code


class _Waiting:
    """Waits for one volume."""

    def __init__(self, app: Any, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._volume: Any = None

    def latest(self, column: str, value: Any) -> Any:
        """Return the value of a column as it is by now."""
        if self._volume is None:
            return value
        match column:
            case 'status':
                return self._volume.status
            case 'size':
                return self._volume.size
            case 'properties':
                return type(value)(dict(self._volume.metadata or {}))
        return value

    def run(
        self, volume_id: str, *, draws: bool, timeout_s: float | None
    ) -> None:
        """Return when the volume can be used.

        :raises NotMade: it cannot; says why.
        """
        from cinder_virtdc.osc import screen

        errors = self._app.stderr
        shown: screen.Screen = (
            screen.beside_output(errors) if draws else screen.Silent(errors)
        )
        try:
            self._wait(volume_id, shown, timeout_s)
        except KeyboardInterrupt:
            raise NotMade(
                f'Not waited for any longer; volume {volume_id} is made all '
                'the same. See how it goes with: openstack volume show '
                f'{volume_id}'
            ) from None
        finally:
            shown.close()

    def _wait(
        self, volume_id: str, shown: Any, timeout_s: float | None
    ) -> None:
        cinder = self._app.client_manager.sdk_connection.block_storage
        began = self._clock.monotonic()
        settled_at: float | None = None
        while True:
            volume = cinder.find_volume(volume_id, ignore_missing=True)
            now = self._clock.monotonic()
            if volume is None:
                raise NotMade(f'Volume {volume_id} was deleted meanwhile.')
            self._volume = volume
            said = dict(volume.metadata or {})
            if volume.status in USABLE or volume.status.startswith('error'):
                # What the properties say comes another way, and later.
                settled_at = now if settled_at is None else settled_at
                is_late = now - settled_at >= LATE_S
                if is_late or said.get(properties.STATE) in FINAL:
                    self._end(volume_id, said, shown)
                    return
            else:
                settled_at = None
                shown.show(_view(volume_id, said))
            if timeout_s is not None and now - began >= timeout_s:
                raise NotMade(
                    f'Volume {volume_id} is still {volume.status} after '
                    f'{timeout_s:g} s; it is made all the same. See how it '
                    f'goes with: openstack volume show {volume_id}'
                )
            self._clock.pause(
                POLL_S if now - began < PATIENT_S else SLOW_POLL_S
            )

    def _end(
        self, volume_id: str, said: Mapping[str, str], shown: Any
    ) -> None:
        status = str(self._volume.status)
        if status not in USABLE:
            raise NotMade(_failure(volume_id, status, said))
        shown.show(
            {**_view(volume_id, said), 'state': 'success', 'progress': 100}
        )


def _view(volume_id: str, said: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what the properties say, as the API would tell it."""
    state = said.get(properties.STATE)
    percent = said.get(properties.PROGRESS, '').removesuffix(' %')
    return {
        'event_id': volume_id,
        'volume_id': volume_id,
        'operation': said.get(properties.OPERATION, 'create'),
        # Of what Cinder's scheduler still has, the data centre knows
        # nothing.
        'state': 'running' if state == 'running' else 'waiting',
        'progress': (
            int(percent) if percent.isascii() and percent.isdigit() else None
        ),
    }


def _failure(volume_id: str, status: str, said: Mapping[str, str]) -> str:
    message = said.get(properties.MESSAGE)
    if message:
        reason = said.get(properties.REASON, 'failed')
        return f'Volume {volume_id} was not made: {reason}: {message}'
    return (
        f'Volume {volume_id} is in status {status}, and nobody says why. '
        'Look for a message: openstack volume message list --resource-id '
        f'{volume_id}'
    )


def _seconds(text: str) -> float:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(
            f'{text} is no number of seconds above 0'
        )
    return float(text)
