"""``--wait``: for the end of what a command has asked for."""

from __future__ import annotations

import argparse

from osc_lib import exceptions

from cinder_virtdc.osc import command
from cinder_virtdc.osc import screen
from cinder_virtdc.osc import watching
from cinder_virtdc.rest_client import path_of
from cinder_virtdc.rest_client import View
from cinder_virtdc import wording


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add the options of who waits."""
    parser.add_argument(
        '--wait',
        action='store_true',
        help='Wait until it has ended; the exit status tells how',
    )
    parser.add_argument(
        '--timeout',
        metavar='<duration>',
        type=command.seconds,
        help='With --wait: give up after so long, as 90s, 10m',
    )


def await_event(
    asking: command.Base,
    event: View,
    timeout_s: float | None,
    *,
    must_succeed: bool = False,
) -> View:
    """Return an event's record once it has ended; draw meanwhile.

    :raises CommandError: it has not ended in time, or has failed and was not
        to.
    """
    event_id = str(event['event_id'])
    aim = watching.Aim(event_ids=(event_id,))
    shown = screen.beside_output(asking.app.stderr)
    watch = watching.Watch(asking.virtdc, asking.clock, shown)
    try:
        status = watch.run(aim, timeout_s=timeout_s)
    except KeyboardInterrupt:
        raise exceptions.CommandError(
            watching.resume_hint(aim, watch.position)
        ) from None
    finally:
        shown.close()
    if status == watching.TIMEOUT:
        raise exceptions.CommandError(
            'It has not ended in time. '
            + watching.resume_hint(aim, watch.position)
        )
    ended: View = asking.virtdc.get(path_of('events', event_id))
    if must_succeed and ended['state'] != 'success':
        raise exceptions.CommandError(
            f'Event {event_id} has failed: '
            + wording.printable(wording.detail(ended))
        )
    return ended
