"""``virtdc-manage event``: what was asked for, and how it goes."""

from __future__ import annotations

import argparse
import re

from oslo_config import cfg

from virtdc_agent.clock import SystemClock
from virtdc_agent.cmd.manage import output
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent import model

_UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
_COLUMNS = (
    *('event_id', 'operation', 'volume_id', 'origin', 'state', 'progress'),
    *('attempt', 'reason', 'accepted_at', 'holder'),
)
_PAGE = 1000


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser(
        'event', help='events: what was asked for, and how it goes'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    listing = actions.add_parser('list', help='list events, newest first')
    listing.add_argument(
        '--state', action='append', choices=[*State], default=[]
    )
    listing.add_argument(
        '--operation', action='append', choices=[*Operation], default=[]
    )
    listing.add_argument('--volume', metavar='ID')
    listing.add_argument('--project', metavar='ID')
    listing.add_argument('--origin', choices=[*Origin])
    listing.add_argument(
        '--limit',
        type=_positive,
        default=50,
        help='how many at most (default: 50)',
    )
    output.add_format(listing)
    listing.set_defaults(run=_list)
    showing = actions.add_parser(
        'show', help='show an event, and its history as far as it is kept'
    )
    showing.add_argument('event_id')
    output.add_format(showing)
    showing.set_defaults(run=_show)
    cancelling = actions.add_parser(
        'cancel',
        help='withdraw events; one that runs is interrupted by its agent',
    )
    cancelling.add_argument('event_ids', nargs='+', metavar='event_id')
    cancelling.set_defaults(run=_cancel)
    purging = actions.add_parser(
        'purge', help='forget ended events and old history'
    )
    purging.add_argument(
        '--older-than',
        type=_age_s,
        metavar='AGE',
        help='as 90s, 12h or 30d; default: [retention] max_age_s',
    )
    purging.add_argument(
        '--keep',
        type=_count,
        metavar='N',
        help='how many ended events to keep; default: [retention] '
        'max_finished',
    )
    purging.set_defaults(run=_purge)


def _list(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    keeping = service.open_keeping(conf)
    records: list[model.Record] = []
    marker: int | None = None
    while len(records) < wanted.limit:
        page = keeping.get_records(
            model.RecordQuery(
                states=[State(name) for name in wanted.state],
                operations=[Operation(name) for name in wanted.operation],
                volume_id=wanted.volume,
                project_id=wanted.project,
                origin=Origin(wanted.origin) if wanted.origin else None,
                marker=marker,
                limit=min(_PAGE, wanted.limit - len(records)),
            )
        )
        records += page.records
        marker = page.next_marker
        if marker is None:
            break
    output.show_list(
        [_row(record) for record in records], _COLUMNS, wanted.format
    )
    return 0


def _show(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    keeping = service.open_keeping(conf)
    record = keeping.get_record(wanted.event_id)
    history = [_step(one) for one in keeping.get_history(wanted.event_id)]
    if wanted.format == 'json':
        output.show_one({**_row(record), 'history': history}, 'json')
        return 0
    output.show_one(_row(record), 'table')
    output.show_list(
        history,
        ('sequence', 'occurred_at', 'state', 'attempt', 'progress', 'phase'),
        'table',
    )
    return 0


def _cancel(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    journal = service.open_journal(conf, SystemClock())
    for event_id in conf.category.event_ids:
        latest = journal.cancel(event_id)
        if latest.state.is_final:
            print(f'{event_id}: {latest.state} ({latest.reason or "ended"})')
        else:
            print(f'{event_id}: its agent is asked to withdraw it')
    return 0


def _purge(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted, options = conf.category, conf.retention
    purged = service.open_keeping(conf).purge(
        model.Retention(
            max_age_s=(
                options.max_age_s
                if wanted.older_than is None
                else wanted.older_than
            ),
            max_finished=(
                options.max_finished if wanted.keep is None else wanted.keep
            ),
            min_age_s=options.min_age_s,
        )
    )
    print(
        f'Forgotten: {purged.events} events, {purged.transitions} transitions.'
    )
    return 0


def _row(record: model.Record) -> dict[str, object]:
    event, latest = record.event, record.latest
    return {
        'event_id': event.event_id,
        'operation': event.operation.value,
        'volume_id': event.volume_id,
        'origin': event.origin.value,
        'project_id': event.requested_by.project_id,
        'user_id': event.requested_by.user_id,
        'request_id': event.requested_by.request_id,
        'state': latest.state.value,
        'progress': latest.progress,
        'attempt': latest.attempt,
        'reason': latest.reason and latest.reason.value,
        'message': latest.message,
        'lane': record.lane.value,
        'holder': record.holder,
        'losses': record.losses,
        'is_cancel_requested': record.is_cancel_requested,
        'is_closed': record.is_closed,
        'accepted_at': record.accepted_at,
        'updated_at': latest.occurred_at,
        'retry_of': event.retry_of,
    }


def _step(transition: Transition) -> dict[str, object]:
    return {
        'sequence': transition.sequence,
        'occurred_at': transition.occurred_at.isoformat(),
        'state': transition.state.value,
        'attempt': transition.attempt,
        'progress': transition.progress,
        'phase': transition.phase,
    }


def _age_s(text: str) -> float:
    match = re.fullmatch(r'(\d{1,9})([smhd])', text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no age: write 90s, 15m, 12h or 30d'
        )
    return float(int(match[1]) * _UNITS[match[2]])


def _count(text: str) -> int:
    if not re.fullmatch(r'\d{1,12}', text):
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number')
    return int(text)


def _positive(text: str) -> int:
    number = _count(text)
    if not number:
        raise argparse.ArgumentTypeError('must be at least 1')
    return number
