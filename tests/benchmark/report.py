"""How figures are printed."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import os
from pathlib import Path
import platform
import statistics
import subprocess


def machine() -> str:
    """Say on what, and of what, the figures are."""
    commit = subprocess.run(
        ['git', 'describe', '--always', '--dirty'],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return (
        f'{os.cpu_count()} cores, {platform.system()} {platform.release()}, '
        f'Python {platform.python_version()}, commit {commit or "unknown"}'
    )


def show(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]):
    """Print a table."""
    rows = [list(row) for row in rows]
    widths = [
        max(len(head), *(len(row[index]) for row in rows))
        for index, head in enumerate(heads)
    ]
    print(f'\n{title}')
    for row in (list(heads), ['-' * width for width in widths], *rows):
        cells = [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(
                zip(row, widths, strict=True)
            )
        ]
        print('  ' + '  '.join(cells))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of all do not exceed."""
    if len(values) == 1:
        return values[0]
    cuts = statistics.quantiles(values, n=1000, method='inclusive')
    return cuts[min(998, round(share * 1000) - 1)]


def memory_kib(pid: int) -> tuple[int, int]:
    """Return a process's resident and proportional memory, in KiB."""
    fields = dict(
        line.split(':', 1)
        for line in Path(f'/proc/{pid}/smaps_rollup')
        .read_text(encoding='ascii')
        .splitlines()[1:]
    )
    return tuple(int(fields[name].split()[0]) for name in ('Rss', 'Pss'))
