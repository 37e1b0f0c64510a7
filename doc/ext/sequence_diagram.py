"""The directive ``sequence`` of Sphinx: who says what to whom, as a drawing.

::

    .. sequence:: What a reader who cannot see it should know
       :lanes: user=A user, volume=cinder-volume, agent=virtdc-agent

       user -> volume: create
       volume -> agent: submit
       agent -> agent: commit
       agent --> volume: waiting
       == later
       note agent: It is in the journal.

A dashed arrow (``-->``) answers, or tells. It is drawn as SVG within the page,
so that nothing but Sphinx is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import html
import re

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

WIDTH = 820
HEAD = 34
ROW = 38
MARGIN = 12
INK, FAINT, FILL, NOTE = '#264d66', '#9db4c2', '#edf2f7', '#fdf6dd'
LETTER = 6.4
"""About how wide a letter of 12 px is."""

_MESSAGE = re.compile(r'(\w+) (--?>) (\w+): (.+)')
_NOTE = re.compile(r'note (\w+): (.+)')
_TITLE = re.compile(r'== (.+)')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a diagram.

    :param kind: ``message``, ``answer``, ``note`` or ``title``.
    """

    kind: str
    text: str
    source: str = ''
    target: str = ''


def parse(lines: Sequence[str], lanes: Sequence[str]) -> list[Row]:
    """Read the lines of a diagram.

    :raises ValueError: one is not understood, or names no lane.
    """
    rows = []
    for line in lines:
        if not line.strip():
            continue
        if message := _MESSAGE.fullmatch(line):
            source, arrow, target, text = message.groups()
            row = Row(
                kind='answer' if arrow == '-->' else 'message',
                text=text,
                source=source,
                target=target,
            )
        elif note := _NOTE.fullmatch(line):
            row = Row(kind='note', text=note[2], source=note[1])
        elif title := _TITLE.fullmatch(line):
            row = Row(kind='title', text=title[1])
        else:
            raise ValueError(f'not understood: {line}')
        for name in (row.source, row.target):
            if name and name not in lanes:
                raise ValueError(f'there is no lane {name}: {line}')
        rows.append(row)
    return rows


def draw(lanes: dict[str, str], rows: Sequence[Row], alt: str) -> str:
    """Return a diagram as SVG.

    :param lanes: the words of each lane by its name, from left to right.
    """
    step = (WIDTH - 2 * MARGIN) / len(lanes)
    middle = {
        name: MARGIN + step * (number + 0.5)
        for number, name in enumerate(lanes)
    }
    height = MARGIN * 2 + HEAD + ROW * len(rows) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="sequence" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{html.escape(alt)}" font-size="12" '
        'font-family="sans-serif">'
    ]
    for name, words in lanes.items():
        at, wide = middle[name], step - 14
        parts += [
            _line(at, MARGIN + HEAD, at, height - MARGIN, FAINT, dashed=True),
            f'<rect x="{at - wide / 2:.0f}" y="{MARGIN}" '
            f'width="{wide:.0f}" height="{HEAD - 6}" rx="4" fill="{INK}"/>',
            _text(at, MARGIN + 18, words, colour='#fff', bold=True),
        ]
    for number, row in enumerate(rows):
        below = MARGIN + HEAD + ROW * (number + 1) - 4
        parts += _row(row, middle, below)
    return '\n'.join([*parts, '</svg>'])


def _row(row: Row, middle: dict[str, float], at: float) -> list[str]:
    if row.kind == 'title':
        return [
            _line(MARGIN, at - 8, WIDTH - MARGIN, at - 8, FAINT),
            _text(MARGIN + 4, at - 13, row.text, start=True, bold=True),
        ]
    source = middle[row.source]
    if row.kind == 'note':
        wide = len(row.text) * LETTER + 16
        left = min(max(MARGIN, source - wide / 2), WIDTH - MARGIN - wide)
        return [
            f'<rect x="{left:.0f}" y="{at - 24:.0f}" width="{wide:.0f}" '
            f'height="24" rx="3" fill="{NOTE}" stroke="#d9c77c"/>',
            _text(left + wide / 2, at - 8, row.text),
        ]
    dashed = row.kind == 'answer'
    if row.source == row.target:
        dashes = ' stroke-dasharray="4 3"' if dashed else ''
        return [
            f'<path d="M {source:.0f} {at - 16:.0f} h 22 v 14 h -16" '
            f'fill="none" stroke="{INK}"{dashes}/>',
            _head(source + 2, at - 2, left=True),
            _text(source + 30, at - 5, row.text, start=True, halo=True),
        ]
    target = middle[row.target]
    is_left = target < source
    end = target + (2 if is_left else -2)
    return [
        _line(source, at, end, at, INK, dashed=dashed),
        _head(end, at, left=is_left),
        _text((source + target) / 2, at - 6, row.text, halo=True),
    ]


def _line(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    colour: str,
    *,
    dashed: bool = False,
) -> str:
    dashes = ' stroke-dasharray="4 3"' if dashed else ''
    return (
        f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" '
        f'stroke="{colour}"{dashes}/>'
    )


def _head(x: float, y: float, *, left: bool) -> str:
    back = 8 if left else -8
    return f'<path d="M {x:.0f} {y:.0f} l {back} -4 v 8 z" fill="{INK}"/>'


def _text(
    x: float,
    y: float,
    words: str,
    *,
    colour: str = '#222',
    start: bool = False,
    bold: bool = False,
    halo: bool = False,
) -> str:
    anchor = 'start' if start else 'middle'
    weight = ' font-weight="bold"' if bold else ''
    # Lines behind it do not cross the words.
    around = (
        ' stroke="#fff" stroke-width="3" paint-order="stroke"' if halo else ''
    )
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" '
        f'fill="{colour}"{weight}{around}>{html.escape(words)}</text>'
    )


class SequenceDiagram(SphinxDirective):
    """See the module."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = {'lanes': directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the drawing for pages, and its words for all else."""
        lanes = dict(
            (part.strip() for part in pair.split('=', 1))
            for pair in self.options['lanes'].split(',')
        )
        try:
            rows = parse(self.content, [*lanes])
        except ValueError as exc:
            raise self.error(f'sequence: {exc}') from exc
        alt = ' '.join(self.arguments[0].split())
        drawing = nodes.raw('', draw(lanes, rows, alt), format='html')
        return [nodes.container('', drawing, classes=['diagram'])]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directive; called by Sphinx."""
    app.add_directive('sequence', SequenceDiagram)
    return {'version': '1', 'parallel_read_safe': True}
