"""What somebody sees who watches: a live picture, lines, or JSON."""

from __future__ import annotations

from collections.abc import Mapping
import json
from typing import Any
from typing import Protocol
from typing import TextIO

from rich import console
from rich import progress
from rich import table
from rich import text

from cinder_virtdc import wording

View = Mapping[str, Any]

FINAL = frozenset({'success', 'failed'})
STYLES = {'waiting': 'dim', 'running': 'cyan', 'success': 'green'}
FAILED = 'bold red'
WIDE = 110
"""On so wide a terminal whole ids have room beside a bar."""
SHORT = 8


class Screen(Protocol):
    """Is told each change of an event, in order. For one thread."""

    def show(self, view: View) -> None:
        """Show a transition, or a record, of an event."""

    def note(self, line: str) -> None:
        """Tell what is no change."""

    def close(self) -> None:
        """Leave the terminal as it was, and what has ended in view."""


class Silent:
    """Shows nothing but notes."""

    def __init__(self, errors: TextIO) -> None:
        self._errors = errors

    def show(self, view: View) -> None:
        """See the protocol."""

    def note(self, line: str) -> None:
        """See the protocol."""
        print(line, file=self._errors, flush=True)

    def close(self) -> None:
        """See the protocol."""


class Lines(Silent):
    """A line for each change: for logs, and for pipes."""

    def __init__(self, output: TextIO, errors: TextIO) -> None:
        super().__init__(errors)
        self._output = output

    def show(self, view: View) -> None:
        """See the protocol."""
        print(line_of(view), file=self._output, flush=True)


class Json(Silent):
    """An object a line, as the API tells it: for programs."""

    def __init__(self, output: TextIO, errors: TextIO) -> None:
        super().__init__(errors)
        self._output = output

    def show(self, view: View) -> None:
        """See the protocol."""
        print(json.dumps(view), file=self._output, flush=True)


class Live:
    """A line for each event that is open, drawn again and again.

    What has ended is printed once and scrolls away above.
    """

    def __init__(self, terminal: TextIO) -> None:
        self._console = console.Console(
            file=terminal, highlight=False, markup=False, emoji=False
        )
        self._progress = progress.Progress(
            progress.SpinnerColumn('line'),
            _word('{task.fields[operation]}'),
            _word('{task.fields[volume]}'),
            _word('{task.fields[state]}'),
            progress.BarColumn(bar_width=20),
            _word('{task.fields[percent]}', justify='right'),
            _word('{task.fields[detail]}'),
            console=self._console,
            transient=True,
            # Texts that others print meanwhile are theirs.
            redirect_stdout=False,
            redirect_stderr=False,
            refresh_per_second=5,
        )
        self._tasks: dict[str, progress.TaskID] = {}
        self._progress.start()

    def show(self, view: View) -> None:
        """See the protocol."""
        event_id = str(view['event_id'])
        task = self._tasks.get(event_id)
        if view['state'] in FINAL:
            if task is not None:
                self._progress.remove_task(self._tasks.pop(event_id))
            self._console.print(
                text.Text(line_of(view), style=style_of(view)),
                soft_wrap=True,
            )
            return
        percent = view.get('progress')
        is_waiting = view['state'] == 'waiting'
        if is_waiting:
            percent = 0
        fields: dict[str, Any] = {
            'operation': str(view['operation']),
            'volume': self._short(subject_of(view)),
            'state': str(view['state']),
            'percent': (
                '' if is_waiting or percent is None else f'{percent} %'
            ),
            'detail': wording.printable(wording.detail(view)),
        }
        # Without a total the bar moves to and fro: nobody knows.
        total = None if percent is None else 100
        if task is None:
            self._tasks[event_id] = self._progress.add_task(
                '', total=total, completed=percent or 0, **fields
            )
        else:
            self._progress.update(
                task, total=total, completed=percent or 0, **fields
            )

    def _short(self, volume_id: str) -> str:
        """Leave room for the bar; the whole id stands in the last line."""
        if self._console.width >= WIDE or len(volume_id) <= SHORT:
            return volume_id
        return volume_id[:SHORT] + '…'

    def note(self, line: str) -> None:
        """See the protocol."""
        self._console.print(line, soft_wrap=True)

    def close(self) -> None:
        """See the protocol."""
        self._progress.stop()


def of_format(chosen: str, output: TextIO, errors: TextIO) -> Screen:
    """Return the screen for ``text`` or ``json``."""
    if chosen == 'json':
        return Json(output, errors)
    if is_terminal(output):
        return Live(output)
    return Lines(output, errors)


def beside_output(errors: TextIO) -> Screen:
    """Return the screen of who waits for something and prints it then."""
    return Live(errors) if is_terminal(errors) else Silent(errors)


def is_terminal(stream: TextIO) -> bool:
    """Say whether somebody looks, at something that can draw."""
    return (
        stream.isatty() and not console.Console(file=stream).is_dumb_terminal
    )


def line_of(view: View) -> str:
    """Return one change as a line."""
    at = view.get('occurred_at') or view.get('updated_at')
    percent = view.get('progress')
    parts = [
        wording.moment(at)[11:] if at else '',
        f'{view["operation"]}',
        subject_of(view),
        f'{view["state"]}',
        f'{percent} %' if view['state'] == 'running' and percent else '',
        wording.printable(wording.detail(view)),
    ]
    return '  '.join(part for part in parts if part)


def style_of(view: View) -> str:
    """Return the colour of a state; the word is always there too."""
    return STYLES.get(str(view['state']), FAILED)


def subject_of(view: View) -> str:
    """Return whom an event is about."""
    return wording.printable(str(view['volume_id']))


def _word(template: str, **more: Any) -> progress.TextColumn:
    return progress.TextColumn(
        template,
        markup=False,
        style='',
        # One line for each event, however narrow the terminal is.
        table_column=table.Column(no_wrap=True, overflow='ellipsis'),
        **more,
    )
