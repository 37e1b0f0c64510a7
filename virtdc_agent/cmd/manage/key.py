"""``virtdc-manage key``: what the two sides know each other by."""

from __future__ import annotations

import argparse
import datetime

from oslo_config import cfg

from virtdc_agent.contract.fields import IDENTIFIER
from virtdc_agent.contract import signing


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser(
        'key', help='keys by which agent, drivers and listener know each other'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    generate = actions.add_parser(
        'generate',
        help='print a new key, as a line of a file of keys',
        description='Prints a new key as a line for [agent] key_file, and '
        'for the files of the drivers and the listener. It is a secret: send '
        'it to a file that nobody else may read.',
    )
    generate.add_argument(
        '--id',
        type=_identifier,
        default=None,
        help='name of the key (default: from the time)',
    )
    generate.set_defaults(run=_generate)


def _identifier(value: str) -> str:
    if not IDENTIFIER.fullmatch(value):
        raise argparse.ArgumentTypeError(
            'must be 1 to 64 letters, digits, dots, dashes or underscores '
            'and begin with a letter or digit'
        )
    return value


def _generate(conf: cfg.ConfigOpts) -> int:
    now = datetime.datetime.now(datetime.UTC)
    key_id = conf.category.id or f'{now:%Y%m%dT%H%M%S}'
    print(signing.Key.generate(key_id).to_line())
    return 0
