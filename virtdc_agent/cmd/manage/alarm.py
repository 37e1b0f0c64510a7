"""``virtdc-manage alarm``: what a person must see."""

from __future__ import annotations

import argparse
import dataclasses
import getpass

from oslo_config import cfg

from virtdc_agent.cmd.manage import output

_COLUMNS = (
    *('kind', 'subject', 'message', 'count', 'raised_at', 'updated_at'),
    *('acknowledged_by', 'comment'),
)


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser(
        'alarm', help='alarms: conditions that a person must see'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    listing = actions.add_parser('list', help='list those that are raised')
    output.add_format(listing)
    listing.set_defaults(run=_list)
    for name, run, says in (
        ('acknowledge', _acknowledge, 'note that it was seen'),
        ('clear', _clear, 'end one whose cause is gone'),
    ):
        action = actions.add_parser(name, help=says)
        action.add_argument('kind')
        action.add_argument('subject', help="as the list says: a volume's id")
        if name == 'acknowledge':
            action.add_argument('--comment', default='')
        action.set_defaults(run=run)


def _list(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    rows = [
        dataclasses.asdict(alarm)
        for alarm in service.open_keeping(conf).get_alarms()
    ]
    output.show_list(rows, _COLUMNS, conf.category.format)
    return 0


def _acknowledge(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    service.open_keeping(conf).acknowledge_alarm(
        wanted.kind, wanted.subject, getpass.getuser(), wanted.comment
    )
    return 0


def _clear(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    service.open_keeping(conf).clear_alarm(wanted.kind, wanted.subject)
    return 0
