"""Draws how limits follow a capacity, as SVG of a few kilobytes.

The same runs give the same bytes, so that the pictures in the documents can
be compared with what the simulator says now.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import html
import math
import re

from tests.benchmark.simulator.model import Run
from tests.benchmark.simulator.model import Scenario

WIDTH, HEIGHT = 720, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 34, 28
LOWEST, HIGHEST = 1.0, 400.0
TICKS = (1, 2, 5, 10, 20, 50, 100, 200)
STEPS = 180
# Of Okabe and Ito, "Color Universal Design": told apart by everyone.
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
AREA = '#d8dee3'
_ANCHORS = ('start', 'middle', 'middle', 'middle', 'end')


def name_of(scenario: Scenario) -> str:
    """Return the name of a scenario's picture."""
    words = re.sub(r'[^a-z0-9]+', '-', scenario.name.lower()).strip('-')
    return f'policies-{words}.svg'


def draw(runs: Mapping[str, Run], title: str) -> str:
    """Return the limits of policies over the capacity of their storage.

    :param runs: of one scenario, by the policy's name.
    """
    scenario = next(iter(runs.values())).scenario
    length_s = scenario.length_s

    def x(now: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * now / length_s

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="16" font-weight="bold" font-size="12">'
        f'{html.escape(title)}</text>',
    ]
    times = [length_s * step / STEPS for step in range(STEPS + 1)]
    edge = list(_steps((now, scenario.capacity(now)) for now in times))
    outline = _path([(x(now), _y(value)) for now, value in edge])
    bottom = _y(LOWEST)
    parts.append(
        f'<path d="{outline} V {bottom:.1f} H {LEFT} Z" fill="{AREA}"/>'
    )
    parts += _axes(x, length_s)
    for number, (name, run) in enumerate(runs.items()):
        colour = COLOURS[number]
        limits = [*run.limits, (length_s, run.limits[-1][1])]
        path = _path([(x(at), _y(n)) for at, n in _steps(limits)])
        # The later lie above the earlier: let those be seen.
        dashes = ' stroke-dasharray="6 5"' if number > 2 else ''
        parts += [
            f'<path d="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="1.6"{dashes}/>',
            f'<text x="{WIDTH - RIGHT - 75 * (len(runs) - number - 1)}" '
            f'y="16" text-anchor="end" fill="{colour}" font-weight="bold">'
            f'{html.escape(name)}</text>',
        ]
    return '\n'.join([*parts, '</svg>', ''])


def _axes(x, length_s: float) -> Iterator[str]:
    for tick in TICKS:
        at = _y(tick)
        yield (
            f'<path d="M {LEFT} {at:.1f} H {WIDTH - RIGHT}" '
            'stroke="#000" stroke-opacity="0.12"/>'
        )
        yield (
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end" '
            f'fill="#555">{tick}</text>'
        )
    for part in range(len(_ANCHORS)):
        now = length_s * part / (len(_ANCHORS) - 1)
        yield (
            f'<text x="{x(now):.1f}" y="{HEIGHT - 10}" '
            f'text-anchor="{_ANCHORS[part]}" fill="#555">{now:g} s</text>'
        )


def _y(value: float) -> float:
    """Return where a limit is drawn, on a logarithmic scale."""
    share = math.log(min(max(value, LOWEST), HIGHEST) / LOWEST) / math.log(
        HIGHEST / LOWEST
    )
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _steps(
    points: Iterable[tuple[float, float]],
) -> Iterator[tuple[float, float]]:
    """Yield the corners of a line that changes in steps, and no others."""
    last: float | None = None
    now, value = 0.0, 0.0
    for now, value in points:
        if last is None:
            yield now, value
        elif value != last:
            yield now, last
            yield now, value
        last = value
    yield now, value


def _path(points: Iterable[tuple[float, float]]) -> str:
    return 'M ' + ' L '.join(f'{x:.1f} {y:.1f}' for x, y in points)
