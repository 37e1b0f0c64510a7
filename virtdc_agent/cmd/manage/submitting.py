"""Asks for an event on behalf of the operator, and watches it."""

from __future__ import annotations

import argparse
import datetime
import getpass
import sys
import threading
import uuid

from oslo_config import cfg

from virtdc_agent.clock import SystemClock
from virtdc_agent.cmd.manage import output
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.fields import Reader
from virtdc_agent import exceptions
from virtdc_agent import interfaces

_PAUSE_S = 0.2


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let a command be watched to its end."""
    parser.add_argument(
        '--wait',
        action='store_true',
        help='until it has ended; the command fails if the event does',
    )
    parser.add_argument(
        '--timeout',
        type=float,
        default=600.0,
        metavar='SECONDS',
        help='how long to wait at most (default: 600)',
    )
    output.add_format(parser)


def submit(
    conf: cfg.ConfigOpts, volume_id: str, parameters: events.Parameters
) -> int:
    """Have the data centre do something to a volume; show the event.

    :raises ContractError: the volume's id is none.
    """
    from virtdc_agent import service

    journal = service.open_journal(conf, SystemClock())
    latest = journal.append(
        Event(
            event_id=str(uuid.uuid4()),
            operation=events.operation_of(parameters),
            volume_id=Reader({'volume': volume_id}, '').identifier('volume'),
            origin=Origin.PLATFORM,
            parameters=parameters,
            created_at=datetime.datetime.now(datetime.UTC),
            requested_by=events.Requester(user_id=getpass.getuser()),
        ),
        max_waiting=conf.agent.max_waiting,
    )
    wanted = conf.category
    if wanted.wait:
        latest = _await(journal, latest, wanted.timeout)
    output.show_one(_row(latest), wanted.format)
    return int(latest.state is State.FAILED)


def _await(
    journal: interfaces.Journal, latest: Transition, timeout_s: float
) -> Transition:
    """Watch an event; its progress goes to the terminal, if there is one."""
    clock, pause = SystemClock(), threading.Condition()
    until = clock.monotonic() + timeout_s
    shown = ''
    while not latest.state.is_final:
        if clock.monotonic() >= until:
            raise exceptions.AgentError(
                f'Event {latest.event_id} has not ended after {timeout_s:g} '
                's. It goes on: see "virtdc-manage event show '
                f'{latest.event_id}".'
            )
        with pause:
            clock.wait(pause, _PAUSE_S)
        latest = journal.get_latest([latest.event_id])[latest.event_id]
        percent = '' if latest.progress is None else f' {latest.progress:3d} %'
        line = f'{latest.operation} {latest.state}{percent} {latest.phase}'
        if line != shown and sys.stderr.isatty():
            print(f'\r\033[K{line}', end='', file=sys.stderr, flush=True)
            shown = line
    if shown:
        print(file=sys.stderr)
    return latest


def _row(latest: Transition) -> dict[str, object]:
    return {
        'event_id': latest.event_id,
        'operation': latest.operation.value,
        'volume_id': latest.volume_id,
        'state': latest.state.value,
        'progress': latest.progress,
        'reason': latest.reason and latest.reason.value,
        'message': latest.message,
    }
