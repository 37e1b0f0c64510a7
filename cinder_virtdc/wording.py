"""How sizes, times and events are put into words, on a screen or a page.

Pure functions of what the REST API tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import datetime
from typing import Any

View = Mapping[str, Any]

UNITS = ('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')


def size_text(size_bytes: int) -> str:
    """Write bytes with a unit, and no more digits than are of use."""
    value = float(size_bytes)
    for unit in UNITS:
        if value < 1024 or unit == UNITS[-1]:
            return f'{value:.4g} {unit}'
        value /= 1024
    raise AssertionError('there is a last unit')


def moment(text: str) -> str:
    """Write a time of the API for people: in UTC, to the second."""
    time = datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)
    return time.strftime('%Y-%m-%d %H:%M:%S')


def duration(seconds: float) -> str:
    """Write a duration in its two largest units."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return f'{seconds:.1f}s'
    whole = int(seconds)
    for length, unit, lesser, name in (
        (86400, 'd', 3600, 'h'),
        (3600, 'h', 60, 'm'),
        (60, 'm', 1, 's'),
    ):
        if whole >= length:
            rest = whole % length // lesser
            return f'{whole // length}{unit}' + (
                f'{rest}{name}' if rest else ''
            )
    return f'{whole}s'


def detail(view: View) -> str:
    """Say in a few words how it goes with an event, or how it went."""
    if view['state'] == 'failed':
        message = view.get('message') or 'no reason was given'
        reason = view.get('reason')
        return f'{reason}: {message}' if reason else str(message)
    parts = []
    if view['state'] == 'running' and view.get('phase'):
        parts.append(str(view['phase']))
    if view['state'] == 'running' and view.get('bytes_total'):
        parts.append(
            f'{size_text(view.get("bytes_done") or 0)} of '
            f'{size_text(view["bytes_total"])}'
        )
    if view.get('is_cancel_requested') and view['state'] == 'running':
        parts.append('being cancelled')
    if (view.get('attempt') or 0) > 1:
        parts.append(f'attempt {view["attempt"]}')
    return ', '.join(parts)


def printable(text: str) -> str:
    """Return a text that cannot direct a terminal.

    Names and messages come from other people.
    """
    return ''.join(
        c if c.isprintable() else ' ' if c.isspace() else '\ufffd'
        for c in text
    )


def steps_of(history: Sequence[View]) -> Sequence[tuple[View, float | None]]:
    """Return each change of state, and for how many seconds it lasted.

    ``None``: it is the last. Of the reports of progress in between, people
    see none.
    """
    steps: list[View] = []
    for one in history:
        same = steps and (steps[-1]['state'], steps[-1]['attempt']) == (
            one['state'],
            one['attempt'],
        )
        if not same:
            steps.append(one)
    times = [
        datetime.datetime.fromisoformat(one['occurred_at']) for one in steps
    ]
    lasted: list[float | None] = [
        (later - time).total_seconds()
        for time, later in zip(times, times[1:], strict=False)
    ]
    return list(zip(steps, [*lasted, None], strict=False))
