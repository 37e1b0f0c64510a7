"""Shows what commands found: to people as tables, to programs as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import json

import prettytable

_UNSHOWN = '\N{REPLACEMENT CHARACTER}'

Row = Mapping[str, object]


def add_format(parser: argparse.ArgumentParser) -> None:
    """Let a command be asked for another format."""
    parser.add_argument(
        '-f',
        '--format',
        choices=('table', 'json'),
        default='table',
        help='a table for people (default), or JSON for programs',
    )


def show_list(rows: Sequence[Row], columns: Sequence[str], form: str) -> None:
    """Print rows; a table has the columns that are named, JSON has all."""
    if form == 'json':
        print(json.dumps([_plain(row) for row in rows], indent=2))
        return
    table = prettytable.PrettyTable([_heading(name) for name in columns])
    table.align = 'l'
    for row in rows:
        table.add_row([_cell(row[name]) for name in columns])
    print(table)


def show_one(row: Row, form: str) -> None:
    """Print one thing with all that is known of it."""
    if form == 'json':
        print(json.dumps(_plain(row), indent=2))
        return
    table = prettytable.PrettyTable(['Field', 'Value'])
    table.align = 'l'
    for name, value in row.items():
        table.add_row([_heading(name), _cell(value)])
    print(table)


def _plain(row: Row) -> dict[str, object]:
    return {
        name: value.isoformat()
        if isinstance(value, datetime.datetime)
        else value
        for name, value in row.items()
    }


def _heading(name: str) -> str:
    return name.replace('_', ' ').capitalize()


def _cell(value: object) -> str:
    match value:
        case None | '' | []:
            return '-'
        case bool():
            return 'yes' if value else 'no'
        case datetime.datetime():
            return value.strftime('%Y-%m-%d %H:%M:%S')
    text = value if isinstance(value, str) else json.dumps(value)
    return clean(text)


def clean(text: str) -> str:
    """Return a text that does not move the cursor: names are their users'."""
    return ''.join(one if one.isprintable() else _UNSHOWN for one in text)


def size(size_bytes: int) -> str:
    """Return a size for people."""
    for unit, length in (('TiB', 4), ('GiB', 3), ('MiB', 2), ('KiB', 1)):
        if size_bytes >= 1024**length:
            return f'{size_bytes / 1024**length:.4g} {unit}'
    return f'{size_bytes} B'
