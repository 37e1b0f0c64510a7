"""What the demonstration shows: on a terminal live, elsewhere line by line."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections import Counter
import time

from rich import box
from rich import console
from rich import live
from rich import markup
from rich import rule
from rich import table
from rich import text

from tools.lab import steps
from tools.tour.cloud import Seen

STATES = ('waiting', 'running', 'success', 'failed')
_STYLE_OF = {
    'waiting': 'yellow',
    'running': 'cyan',
    'success': 'green',
    'failed': 'red',
    '-': 'dim',
}
_WIDTH = 40


class Screen:
    """Writes to standard output. Used from one thread, but for ``step``."""

    def __init__(self, *, plain: bool = False) -> None:
        self._console = console.Console(
            highlight=False, no_color=plain or None
        )

    def step(self, progress: steps.Progress) -> None:
        """Show a step of setting up. From any thread."""
        if progress.phase is steps.Phase.DONE:
            self._console.print(
                f'  [green]✓[/] {progress.step} '
                f'[dim]{progress.elapsed_s:.1f} s[/]'
            )
        elif progress.phase is steps.Phase.FAILED:
            self._console.print(f'  [red]✗[/] {progress.step}')

    def scene(self, title: str) -> None:
        """Begin a part of the story."""
        self._console.print()
        self._console.print(rule.Rule(title, align='left', style='bold'))

    def say(self, sentence: str) -> None:
        """Say something in words."""
        self._console.print(markup.escape(sentence))

    def command(self, line: str) -> None:
        """Show a command before it is run."""
        self._console.print(f'[bold]$ {markup.escape(line)}[/]')

    def output(self, content: str) -> None:
        """Show what a command printed."""
        self._console.print(text.Text(content.rstrip()), soft_wrap=True)

    def change(self, elapsed_s: float, seen: Seen) -> None:
        """Show that a volume looks different now."""
        line = text.Text(f'  {elapsed_s:6.2f} s  ')
        line.append(f'status {seen.status:<10}  ')
        line.append('state ')
        line.append(
            f'{seen.state or "-":<8}', _STYLE_OF.get(seen.state or '-', '')
        )
        line.append(f'  progress {seen.progress or "-"}')
        self._console.print(line)

    def follow(
        self,
        look: Callable[[], list[Seen]],
        *,
        expected: int,
        done: Callable[[list[Seen]], bool],
        timeout_s: float,
        on_look: Callable[[list[Seen], float], None] = lambda seen, at: None,
    ) -> float:
        """Show how many volumes are in which state, until ``done``.

        :returns: seconds until it was.
        :raises TimeoutError: it was not in time.
        """
        begun = time.monotonic()
        shown = ''
        with live.Live(
            console=self._console,
            auto_refresh=False,
            transient=self._console.is_terminal,
        ) as view:
            while True:
                seen = look()
                elapsed_s = time.monotonic() - begun
                line = _bar(seen, expected, elapsed_s)
                if self._console.is_terminal:
                    view.update(line, refresh=True)
                elif _counts(seen) != shown:
                    self._console.print(line, soft_wrap=True)
                shown = _counts(seen)
                on_look(seen, elapsed_s)
                if done(seen):
                    break
                if elapsed_s > timeout_s:
                    raise TimeoutError(
                        f'After {timeout_s:g} s: {_counts(seen)}'
                    )
                time.sleep(0.25)
        if self._console.is_terminal:
            self._console.print(line)
        return elapsed_s

    def table(
        self, title: str, heads: Iterable[str], rows: Iterable[Iterable[str]]
    ) -> None:
        """Show a table."""
        grid = table.Table(title=title, box=box.SIMPLE_HEAD, title_style='')
        for head in heads:
            grid.add_column(head)
        for row in rows:
            grid.add_row(*[markup.escape(cell) for cell in row])
        self._console.print(grid)


def _counts(seen: list[Seen]) -> str:
    states = Counter(one.state for one in seen)
    statuses = Counter(one.status for one in seen)
    return ', '.join(
        [f'{state} {states[state]}' for state in STATES]
        + [f'{status} {count}' for status, count in sorted(statuses.items())]
    )


def _bar(seen: list[Seen], expected: int, elapsed_s: float) -> text.Text:
    states = Counter(one.state or '-' for one in seen)
    statuses = Counter(one.status for one in seen)
    line = text.Text(f'  {elapsed_s:6.1f} s  ')
    drawn = 0
    for state in ('success', 'failed', 'running', 'waiting'):
        cells = round(_WIDTH * states[state] / max(1, expected))
        line.append('█' * cells, _STYLE_OF[state])
        drawn += cells
    line.append('░' * max(0, _WIDTH - drawn), 'dim')
    line.append('  ')
    for state in STATES:
        line.append(f'{state} {states[state]}  ', _STYLE_OF[state])
    line.append(
        '| '
        + ', '.join(
            f'{count} {status}' for status, count in sorted(statuses.items())
        ),
        'dim',
    )
    return line
