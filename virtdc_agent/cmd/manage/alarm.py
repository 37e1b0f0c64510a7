"""``virtdc-manage alarm``: what a person must see."""

from __future__ import annotations

import argparse
import dataclasses
import getpass

from oslo_config import cfg

from virtdc_agent.cmd.manage import output
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import CONFIRMED
from virtdc_agent.contract import catalogue
from virtdc_agent import exceptions

_COLUMNS = (
    *('kind', 'subject', 'severity', 'message', 'count', 'raised_at'),
    *('acknowledged_by',),
)
_PAGE = 500


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser(
        'alarm', help='alarms: conditions that a person must see'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    listing = actions.add_parser('list', help='list those that are raised')
    listing.add_argument('--kind', choices=sorted(catalogue.CATALOGUE))
    listing.add_argument(
        '--new', action='store_true', help='only what nobody has acknowledged'
    )
    output.add_format(listing)
    listing.set_defaults(run=_list)
    for name, run, says in (
        ('show', _show, 'show one, with its cause and what to do'),
        ('acknowledge', _acknowledge, 'note that it was seen'),
        (
            'confirm',
            _confirm,
            'say that volumes are really gone: each counts as deleted then',
        ),
        ('clear', _clear, 'end one whose cause is gone'),
    ):
        action = actions.add_parser(name, help=says)
        action.add_argument('kind')
        action.add_argument('subject', help="as the list says: a volume's id")
        if name == 'show':
            output.add_format(action)
        if name == 'acknowledge':
            action.add_argument('--comment', default='')
        action.set_defaults(run=run)


def _list(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted, keeping = conf.category, service.open_keeping(conf)
    found: list[Alarm] = []
    marker: str | None = None
    while True:
        page = keeping.get_alarms(marker, _PAGE)
        found += page.alarms
        marker = page.next_marker
        if marker is None:
            break
    rows = [
        _row(alarm)
        for alarm in sorted(
            found, key=lambda one: (one.severity.rank, one.raised_at)
        )
        if wanted.kind in (None, alarm.kind)
        and not (wanted.new and alarm.acknowledged_by)
    ]
    output.show_list(rows, _COLUMNS, wanted.format)
    return 0


def _show(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    alarm = service.open_keeping(conf).get_alarm(wanted.kind, wanted.subject)
    row = _row(alarm)
    known = catalogue.CATALOGUE.get(alarm.kind)
    if known is not None:
        row |= {
            'cause': known.cause,
            'effect': known.effect,
            'repair': known.repair,
            'clears': known.clears,
        }
    output.show_one(row, wanted.format)
    return 0


def _acknowledge(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    service.open_keeping(conf).acknowledge_alarm(
        wanted.kind, wanted.subject, getpass.getuser(), wanted.comment
    )
    print(f'Alarm {wanted.kind} of {wanted.subject} is acknowledged.')
    return 0


def _confirm(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    if wanted.kind not in catalogue.CONFIRMABLE:
        raise exceptions.AgentError(
            f'There is nothing to confirm about {wanted.kind}, only about '
            f'{", ".join(sorted(catalogue.CONFIRMABLE))}.'
        )
    alarm = service.open_keeping(conf).acknowledge_alarm(
        wanted.kind, wanted.subject, getpass.getuser(), CONFIRMED
    )
    print(f'Confirmed: {alarm.message}')
    return 0


def _clear(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    was = service.open_keeping(conf).clear_alarm(wanted.kind, wanted.subject)
    print(
        f'Alarm {wanted.kind} of {wanted.subject} '
        + ('is cleared.' if was else 'was not raised.')
    )
    return 0


def _row(alarm: Alarm) -> dict[str, object]:
    return {**dataclasses.asdict(alarm), 'severity': alarm.severity.value}
