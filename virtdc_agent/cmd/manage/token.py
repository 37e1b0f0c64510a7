"""``virtdc-manage token``: static tokens for the REST API."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile

from oslo_config import cfg

from virtdc_agent.api import tokens
from virtdc_agent.cmd.manage import output
from virtdc_agent import exceptions


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser(
        'token', help='static tokens for the REST API'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    creating = actions.add_parser(
        'create', help='make a token; it is shown once and kept as a hash'
    )
    creating.add_argument('token_name', metavar='name')
    creating.add_argument(
        '--role',
        action='append',
        required=True,
        choices=sorted(tokens.IMPLIED),
        help='what its holder may do; can be repeated',
    )
    creating.add_argument(
        '--project',
        default='',
        metavar='ID',
        help='in whose name (default: of the data centre itself)',
    )
    creating.set_defaults(run=_create)
    listing = actions.add_parser('list', help='list tokens, without hashes')
    output.add_format(listing)
    listing.set_defaults(run=_list)
    revoking = actions.add_parser(
        'revoke', help='have a token be good no more'
    )
    revoking.add_argument('token_name', metavar='name')
    revoking.set_defaults(run=_revoke)


def _create(conf: cfg.ConfigOpts) -> int:
    wanted, path = conf.category, conf.api.tokens_file
    token, entry = tokens.make(wanted.token_name, wanted.role, wanted.project)
    lines = _lines(path)
    # What is written has to be readable, or nobody gets in any more.
    tokens.parse([*lines, entry.line], path)
    _write(path, [*lines, entry.line])
    print(token)
    return 0


def _list(conf: cfg.ConfigOpts) -> int:
    path: str = conf.api.tokens_file
    rows = [
        {
            'name': entry.name,
            'roles': ','.join(entry.roles),
            'project_id': entry.project_id,
        }
        for entry in tokens.parse(_lines(path), path)
    ]
    output.show_list(
        rows, ('name', 'roles', 'project_id'), conf.category.format
    )
    return 0


def _revoke(conf: cfg.ConfigOpts) -> int:
    name, path = conf.category.token_name, conf.api.tokens_file
    lines = _lines(path)
    kept = [line for line in lines if line.partition(':')[0] != name]
    if len(kept) == len(lines):
        raise exceptions.AgentError(f'There is no token {name} in {path}.')
    _write(path, kept)
    print(f'Token {name} is good no more.')
    return 0


def _lines(path: str) -> list[str]:
    if not os.path.exists(path):
        return []
    tokens.read(path)
    with open(path, encoding='utf-8') as file:
        return file.read().splitlines()


def _write(path: str, lines: list[str]) -> None:
    """Replace the file at once, readable by its owner alone."""
    try:
        handle, draft = tempfile.mkstemp(
            dir=os.path.dirname(path) or '.', prefix='.tokens-'
        )
    except OSError as exc:
        raise exceptions.AgentError(
            f'{path} cannot be written: {exc}'
        ) from exc
    try:
        with open(handle, 'w', encoding='utf-8') as file:
            file.writelines(f'{line}\n' for line in lines)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(path):
            # The agent goes on reading it as its own user.
            status = os.stat(path)
            os.chown(draft, status.st_uid, status.st_gid)
        os.replace(draft, path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise exceptions.AgentError(
            f'{path} cannot be written: {exc}'
        ) from exc
