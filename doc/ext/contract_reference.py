"""Directives that write the contract, and the alarms, as the code has them.

``contract-values``
    The values of an enumeration, with what the code says of each.
``contract-fields``
    The fields of a message, or of the parameters of an operation.
``contract-operations``
    Each operation with its parameters.
``contract-calls``
    The calls of the agent.
``contract-sample``
    A message of the released version, from the samples of the tests.
``alarm-catalogue``
    Each kind of alarm.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import inspect
import json
from pathlib import Path
import re
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

from virtdc_agent.contract import alarms
from virtdc_agent.contract import catalogue
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract import resyncs
from virtdc_agent.contract import rpc

SAMPLES = Path(__file__).parents[2] / 'tests' / 'samples' / 'contract'
MODULES = (events, alarms, resyncs, rpc)
_SEVERAL = re.compile(r'(?:frozenset\[(\w+)\]|tuple\[(\w+), \.\.\.\])')
WORDS = {
    'str': 'string',
    'int': 'integer',
    'float': 'number',
    'bool': 'true or false',
    'datetime.datetime': 'time',
    'Mapping[str, str]': 'object of strings',
    'Mapping[str, object]': 'object',
    'tuple[str, ...]': 'list of strings',
    'Requester': 'object: ``project_id``, ``user_id``, ``request_id``',
    'Parameters': 'object: see the operation',
}


def type_in_words(annotation: str) -> str:
    """Return what stands on the wire for a type of Python."""
    bare = annotation.removesuffix(' | None')
    several = re.fullmatch(
        r'(?:frozenset\[(\w+)\]|tuple\[(\w+), \.\.\.\])', bare
    )
    if bare in WORDS:
        words = WORDS[bare]
    elif several:
        words = f'list of {several[1] or several[2]}'
    else:
        words = bare
    return words if bare == annotation else f'{words}, or null'


def described(kind: type) -> tuple[str, dict[str, str]]:
    """Return what a docstring says of a class, and of each field."""
    text = inspect.getdoc(kind) or ''
    if text.startswith(f'{kind.__name__}('):
        text = ''
    head, *fields = re.split(r'(?m)^:param ', text)
    return head.strip(), {
        name.strip(): ' '.join(rest.split())
        for name, rest in (field.split(':', 1) for field in fields)
    }


def field_rows(kind: type) -> Iterator[Sequence[str]]:
    """Yield the rows of a message's fields, their header first."""
    _, said = described(kind)
    yield ('Field', 'On the wire', 'Needed', 'Meaning')
    for field in dataclasses.fields(kind):
        needed = (
            field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        )
        yield (
            f'``{field.name}``',
            type_in_words(str(field.type)),
            'yes' if needed else '',
            _sentence(said.get(field.name, '')),
        )


def value_rows(kind: type) -> Iterator[Sequence[str]]:
    """Yield the values of an enumeration, with the text below each."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)  # noqa: S101
    texts: dict[str, str] = {}
    last = ''
    for item in tree.body:
        if isinstance(item, ast.Assign) and isinstance(
            item.targets[0], ast.Name
        ):
            last = item.targets[0].id
        elif isinstance(item, ast.Expr) and last:
            texts[last] = ' '.join(str(ast.literal_eval(item.value)).split())
            last = ''
    yield ('Value', 'Meaning')
    members: Iterable[Any] = kind  # type: ignore[assignment]
    for member in members:
        yield (f'``{member.value}``', texts.get(member.name, ''))


def table_of(rows: Iterable[Sequence[str]], widths: str) -> list[str]:
    """Return a table in reStructuredText, line by line."""
    lines = [
        *('.. list-table::', '   :header-rows: 1'),
        *(f'   :widths: {widths}', ''),
    ]
    for row in rows:
        for number, cell in enumerate(row):
            lines.append(f'   {" " if number else "*"} - {cell}'.rstrip())
    return [*lines, '']


def alarm_lines(kinds: Iterable[catalogue.AlarmKind]) -> Iterator[str]:
    """Yield the page of the alarms."""
    for kind in kinds:
        yield from (kind.kind, '=' * len(kind.kind), '')
        yield from (f'Severity: {kind.severity}.', '')
        for title, text in (
            ('Cause', kind.cause),
            ('Effect', kind.effect),
            ('Repair', kind.repair),
            ('When it ends', kind.clears),
        ):
            yield from (title, f'   {text}', '')


def operation_lines() -> Iterator[str]:
    """Yield each operation with its parameters."""
    for operation, kind in events.PARAMETERS_OF.items():
        head, _ = described(kind)
        yield from (str(operation), '^' * len(operation), '')
        yield from (*head.splitlines(), '')
        if dataclasses.fields(kind):
            yield from table_of(field_rows(kind), '20 25 10 45')
        else:
            yield from ('It has no parameters.', '')


def _sentence(text: str) -> str:
    text = text.replace('``None``', '``null``')
    return text[:1].upper() + text[1:]


def _find(name: str) -> type:
    for module in MODULES:
        found = getattr(module, name, None)
        if isinstance(found, type):
            return found
    raise ValueError(f'the contract has no {name}')


class _Written(SphinxDirective):
    """Lines of reStructuredText that the code writes."""

    def lines(self) -> Iterable[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        try:
            lines = list(self.lines())
        except ValueError as exc:
            raise self.error(str(exc)) from exc
        for module in (*MODULES, catalogue):
            self.env.note_dependency(str(module.__file__))
        self.env.note_dependency(__file__)
        node = nodes.section()
        node.document = self.state.document
        nested_parse_with_titles(
            self.state,
            StringList(lines, source='the code'),
            node,
            self.content_offset,
        )
        return node.children


class AlarmCatalogue(_Written):
    """Each kind of alarm."""

    def lines(self) -> Iterable[str]:
        """Return the sections."""
        return alarm_lines(catalogue.CATALOGUE.values())


class Operations(_Written):
    """Each operation with its parameters."""

    def lines(self) -> Iterable[str]:
        """Return the sections."""
        return operation_lines()


class Fields(_Written):
    """The fields of a message."""

    required_arguments = 1

    def lines(self) -> Iterable[str]:
        """Return what it is, and a table."""
        kind = _find(self.arguments[0])
        head, _ = described(kind)
        return [
            *head.splitlines(),
            '',
            *table_of(field_rows(kind), '20 25 10 45'),
        ]


class Values(_Written):
    """The values of an enumeration."""

    required_arguments = 1

    def lines(self) -> Iterable[str]:
        """Return a table."""
        return table_of(value_rows(_find(self.arguments[0])), '25 75')


class Calls(_Written):
    """The calls of the agent, as their module has them."""

    def lines(self) -> Iterable[str]:
        """Return its text, without the title."""
        return (inspect.getdoc(rpc) or '').splitlines()[1:]


class Sample(_Written):
    """A message of the released version."""

    required_arguments = 1

    def lines(self) -> Iterable[str]:
        """Return it as a block."""
        path = SAMPLES / codec.VERSION / f'{self.arguments[0]}.json'
        self.env.note_dependency(str(path))
        message = json.loads(path.read_text('utf-8'))
        content = json.dumps(message, indent=2, ensure_ascii=False)
        return [
            *('.. code-block:: json', ''),
            *(f'   {line}' for line in content.splitlines()),
            '',
        ]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directives; called by Sphinx."""
    for name, kind in (
        ('alarm-catalogue', AlarmCatalogue),
        ('contract-calls', Calls),
        ('contract-fields', Fields),
        ('contract-operations', Operations),
        ('contract-sample', Sample),
        ('contract-values', Values),
    ):
        app.add_directive(name, kind)
    return {'version': '1', 'parallel_read_safe': True}
