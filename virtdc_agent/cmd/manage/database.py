"""``virtdc-manage db``: the database of the journal."""

from __future__ import annotations

import argparse

from oslo_config import cfg


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser('db', help='the database of the journal')
    actions = parser.add_subparsers(dest='action', required=True)
    for name, run, says in (
        (
            'sync',
            _sync,
            'bring its schema to this version; safe to repeat',
        ),
        ('version', _version, 'print the version of its schema'),
        (
            'check',
            _check,
            'see that its tables agree; writers wait meanwhile',
        ),
    ):
        actions.add_parser(name, help=says).set_defaults(run=run)


def _sync(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    print(f'The journal is at version {service.sync_journal(conf)}.')
    return 0


def _version(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    print(service.journal_version(conf) or 'none: run "virtdc-manage db sync"')
    return 0


def _check(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    problems = service.open_keeping(conf).check()
    for problem in problems:
        print(problem)
    print(f'{len(problems)} problems found.')
    return int(bool(problems))
