"""Draws how limits follow a capacity."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use('Agg')

from matplotlib import pyplot as plt

from tests.benchmark.simulator.model import Run

COLUMNS = 2
STEPS = 600
CAPACITY = '#9a9a9a'
# Of Okabe and Ito, "Color Universal Design": told apart by everyone.
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')


def draw(runs: Sequence[Mapping[str, Run]], path: Path) -> None:
    """Draw one panel a scenario, one line a policy, over its capacity.

    :param runs: for each scenario, a run by the policy's name.
    """
    rows = -(-len(runs) // COLUMNS)
    figure, panels = plt.subplots(
        rows,
        COLUMNS,
        figsize=(5.0 * COLUMNS, 2.3 * rows + 0.6),
        squeeze=False,
        layout='constrained',
    )
    flat = list(panels.flat)
    for panel, of in zip(flat, runs, strict=False):
        _draw_panel(panel, of)
    for panel in flat[len(runs) :]:
        panel.set_visible(False)
    handles, labels = flat[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc='outside upper center', ncols=5, frameon=False
    )
    # Without what changes from one drawing to the next.
    figure.savefig(path, dpi=80, metadata={'Software': None})
    plt.close(figure)


def _draw_panel(panel, runs: Mapping[str, Run]) -> None:
    scenario = next(iter(runs.values())).scenario
    length_s = scenario.length_s
    times = [length_s * step / STEPS for step in range(STEPS + 1)]
    panel.fill_between(
        times,
        0.9,
        [scenario.capacity(now) for now in times],
        color=CAPACITY,
        alpha=0.4,
        linewidth=0,
        label='capacity C(t)',
    )
    for (name, run), colour in zip(runs.items(), COLOURS, strict=False):
        panel.step(
            [*(at for at, _ in run.limits), length_s],
            [*(max(0.9, n) for _, n in run.limits), run.limits[-1][1]],
            where='post',
            color=colour,
            linewidth=1.3,
            label=name,
        )
    panel.set_title(scenario.name, fontsize=10, loc='left')
    panel.set_yscale('log')
    panel.set_xlim(0, length_s)
    panel.set_ylim(0.9, 400)
    panel.xaxis.set_major_formatter('{x:g} s')
    panel.yaxis.set_major_formatter('{x:g}')
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.3, linewidth=0.5)
