"""How values look: short for people, whole for programs.

Every class here is a column's value of cliff: tables and ``value`` show
``human_readable``; JSON, YAML and CSV have ``machine_readable``.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import datetime
from typing import Any

from cliff import columns

from cinder_virtdc import wording

View = Mapping[str, Any]

BAR = 12
"""How many characters a bar in a table has."""


class Size(columns.FormattableColumn[int | None]):
    """Bytes."""

    def human_readable(self) -> str:
        """Return it with a unit."""
        return '-' if self._value is None else wording.size_text(self._value)


class Time(columns.FormattableColumn[str | None]):
    """A moment."""

    def human_readable(self) -> str:
        """Return it to the second, in UTC."""
        return '-' if not self._value else wording.moment(self._value)


class Age:
    """Makes columns that say how long ago something was.

    :param now: the present, the same for all rows.
    """

    def __init__(self, now: datetime.datetime) -> None:
        self._now = now

    def __call__(
        self, text: str | None
    ) -> columns.FormattableColumn[str | None]:
        """Return the column of a moment."""
        now = self._now

        class Column(columns.FormattableColumn[str | None]):
            def human_readable(self) -> str:
                if not self._value:
                    return '-'
                since = now - datetime.datetime.fromisoformat(self._value)
                return wording.duration(since.total_seconds())

        return Column(text)


class Progress(columns.FormattableColumn[View]):
    """How far an event is; of its transition or record."""

    def human_readable(self) -> str:
        """Return a bar if it runs."""
        view = self._value
        percent = view.get('progress')
        if view['state'] == 'waiting':
            return '-'
        if percent is None:
            return 'unknown' if view['state'] == 'running' else '-'
        if view['state'] != 'running':
            return f'{percent} %'
        return f'{bar(percent)} {percent:3} %'

    def machine_readable(self) -> Any:
        """Return per cent, or null: nobody knows."""
        return self._value.get('progress')


class Words(columns.FormattableColumn[Sequence[str]]):
    """Several words."""

    def human_readable(self) -> str:
        """Return them with commas."""
        return ', '.join(self._value) or '-'


class Lines(columns.FormattableColumn[Any]):
    """Anything nested: for people a line for each, sorted."""

    def human_readable(self) -> str:
        """Return key and value, a line each."""
        return '\n'.join(
            f'{key}: {value}' for key, value in sorted(_flat(self._value))
        )


class Text(columns.FormattableColumn[str]):
    """A word that may be missing."""

    def human_readable(self) -> str:
        """Return it, or a dash."""
        return self._value or '-'


class YesNo(columns.FormattableColumn[bool]):
    """Whether something is so."""

    def human_readable(self) -> str:
        """Say so."""
        return 'yes' if self._value else 'no'


def bar(percent: int, width: int = BAR) -> str:
    """Draw a bar that also terminals without colours and Unicode show."""
    done = percent * width // 100
    return f'[{"=" * done}{">" if done < width else ""}'.ljust(width + 1) + ']'


def _flat(value: Any, prefix: str = '') -> Sequence[tuple[str, Any]]:
    if isinstance(value, Mapping):
        found: list[tuple[str, Any]] = []
        for key, inner in value.items():
            found += _flat(inner, f'{prefix}.{key}' if prefix else str(key))
        return found
    if value in (None, '', [], {}):
        return []
    if isinstance(value, list):
        value = ', '.join(map(str, value))
    return [(prefix, wording.printable(str(value)))]
