"""Finds command lines in documents, and holds them against the parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
from importlib import metadata
import io
from pathlib import Path
import re
import shlex

from cinder_virtdc.cmd import manage as cloud_manage
from cinder_virtdc.cmd import status as cloud_status
from virtdc_agent.cmd.manage import main as agent_manage
from virtdc_agent.cmd.status import main as agent_status

PROGRAMS = (
    *('cinder-virtdc-manage', 'cinder-virtdc-status', 'openstack'),
    *('virtdc-manage', 'virtdc-status'),
)
_PROGRAM = re.compile(rf'(?:^|[\s(/])({"|".join(PROGRAMS)})(?= +[a-z-])')
_OUTSIDE = re.compile(r'\s*(?:[|>&;)]|#\s).*')
"""What the shell does with a command."""
_LITERAL = re.compile(
    r'(?:.*[^.:\s])?\s*::$|\.\. code-block:: (?:console|text)'
)
_OF_OSLO = ('--config-file', '--config-dir', '--shell_completion')
_LACKS = re.compile('arguments are required|expected one argument')
_INLINE = re.compile(r'``([^`]+)``')


class Unknown(Exception):
    """No parser takes the command; says why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """A command in a document.

    :param whole: what is only named in a sentence may lack arguments.
    """

    page: str
    text: str
    whole: bool


def find(page: str, text: str) -> Iterator[CommandLine]:
    """Yield the command lines of a document."""
    aliases = dict(re.findall(r'\$ alias (\w+)="([^"]+)"', text))
    for line in _literal_lines(text):
        shown = line.strip()
        prompt = re.match(r'[$#] ', shown)
        shown = re.sub(r'^[$#] ', '', shown)
        first = shown.split(' ')[0]
        if first in aliases:
            shown = shown.replace(first, aliases[first], 1)
        found = _PROGRAM.search(shown)
        # Without a prompt it may be output.
        if found and (prompt or found.start(1) == 0) and '…' not in shown:
            command = _OUTSIDE.sub('', shown[found.start(1) :])
            if command != found[1]:
                yield CommandLine(page=page, text=command, whole=True)
    for named in _INLINE.findall(re.sub(r'\s+', ' ', text)):
        # In brackets stands a synopsis.
        if _PROGRAM.match(named) and '[' not in named:
            yield CommandLine(page=page, text=named, whole=False)


def check(line: CommandLine) -> None:
    """Have the real parser read a command.

    :raises Unknown: it does not take it.
    """
    program, *words = shlex.split(line.text)
    words = _without_configuration(words)
    if program == 'openstack':
        parser, words = _of_openstack(words, whole=line.whole)
    else:
        parser, words = _leaf(_parsers()[program], words)
    if parser is None:
        return
    if not line.whole and not words:
        return
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parser.parse_args(words)
    except SystemExit:
        answer = said.getvalue().strip().splitlines()[-1]
        if line.whole or not _LACKS.search(answer):
            raise Unknown(f'{line.text}: {answer}') from None


def _literal_lines(text: str) -> Iterator[str]:
    """Yield the lines of literal blocks, with continued ones joined."""
    margin: int | None = None
    for line in text.replace('\\\n', ' ').splitlines():
        depth = len(line) - len(line.lstrip())
        if margin is not None and line.strip() and depth <= margin:
            margin = None
        if margin is not None:
            yield line
        elif _LITERAL.match(line.strip()):
            margin = depth


@functools.cache
def _parsers() -> dict[str, argparse.ArgumentParser]:
    return {
        'virtdc-manage': agent_manage.parser(),
        'virtdc-status': agent_status.parser(),
        'cinder-virtdc-manage': cloud_manage.parser(),
        'cinder-virtdc-status': cloud_status.parser(),
    }


def _without_configuration(words: Sequence[str]) -> list[str]:
    """Drop the options of oslo.config, which come first."""
    rest = list(words)
    while rest and rest[0] in _OF_OSLO:
        del rest[:2]
    return rest


def _leaf(
    parser: argparse.ArgumentParser, words: Sequence[str]
) -> tuple[argparse.ArgumentParser, list[str]]:
    """Follow the names of commands as far as there are parsers."""
    rest = list(words)
    while rest:
        choices = next(
            (
                action.choices
                for action in parser._actions
                if isinstance(action, argparse._SubParsersAction)
            ),
            {},
        )
        if rest[0] not in choices:
            break
        parser = choices[rest.pop(0)]
    return parser, rest


@functools.cache
def _openstack_commands() -> dict[tuple[str, ...], metadata.EntryPoint]:
    """Return the commands of the client, the latest API version of each."""
    return {
        tuple(one.name.split('_')): one
        for group in sorted(metadata.entry_points().groups)
        if group.startswith('openstack.')
        and not group.startswith('openstack.cli')
        for one in metadata.entry_points(group=group)
    }


def _of_openstack(
    words: Sequence[str], *, whole: bool
) -> tuple[argparse.ArgumentParser | None, list[str]]:
    """Return the parser of a command of the client, and what is left.

    ``None``: it names commands, and no more.

    :raises Unknown: there is no such command.
    """
    names = []
    for word in words:
        if not re.fullmatch(r'[a-z][a-z-]*', word):
            break
        names.append(word)
    known = _openstack_commands()
    for count in range(len(names), 0, -1):
        if tuple(names[:count]) in known:
            return _parser_of(known[tuple(names[:count])]), list(words[count:])
    if names == ['complete']:
        return None, []
    if not whole and any(one[: len(names)] == tuple(names) for one in known):
        return None, []
    raise Unknown(f'openstack {" ".join(words)}: there is no such command')


def _parser_of(entry_point: metadata.EntryPoint) -> argparse.ArgumentParser:
    parser = entry_point.load()(None, None).get_parser('openstack')
    hooks = metadata.entry_points(group=f'openstack.cli.{entry_point.name}')
    for hook in hooks:
        parser = hook.load()(None).get_parser(parser)
    return parser


def pages(root: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of each document."""
    for path in (root / 'README.rst', *(root / 'doc').rglob('*.rst')):
        yield str(path.relative_to(root)), path.read_text('utf-8')
