"""Read the fields of a decoded JSON object, strictly, by name.

A ``Reader`` wraps one object and knows where in the message it lies, so that
whatever is wrong is reported as ``data.parameters.size_bytes: ...``. A field
that is not asked for is ignored: newer senders may add some.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import enum
import json
import re
from typing import TypeVar

from virtdc_agent.contract.errors import MalformedMessage

E = TypeVar('E', bound=enum.StrEnum)

IDENTIFIER = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')
"""Safe as a file name: no separators, never starting with a dot or dash."""

MAX_TEXT = 4096
MAX_ENTRIES = 256
WHOLE = 'message'
"""What an error names when no single field is at fault."""

# Everything C0 and C1 but tab, line feed and carriage return, and the lone
# surrogates that no database and no terminal takes.
_CONTROL = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]')
_REQUIRED = object()


class Reader:
    """Typed access to one JSON object.

    :param data: the decoded value; anything but an object is refused.
    :param path: where it lies in the message; empty for the message itself.
    :raises MalformedMessage: from any method, naming the field.
    """

    def __init__(self, data: object, path: str) -> None:
        if not isinstance(data, Mapping):
            raise MalformedMessage(
                path or WHOLE, f'must be an object, not {_kind(data)}'
            )
        self._data = data
        self._path = path

    def path(self, name: str) -> str:
        """Return the full path of a field."""
        return f'{self._path}.{name}' if self._path else name

    def _get(self, name: str) -> object:
        try:
            return self._data[name]
        except KeyError:
            raise MalformedMessage(self.path(name), 'is missing') from None

    def has(self, name: str) -> bool:
        """Say whether a field is present and not null."""
        return self._data.get(name) is not None

    def text(
        self,
        name: str,
        *,
        default: str | None = None,
        max_length: int = MAX_TEXT,
    ) -> str:
        """Return a string without control characters."""
        if default is not None and not self.has(name):
            return default
        return check_text(self._get(name), self.path(name), max_length)

    def identifier(self, name: str) -> str:
        """Return a string that is safe as a file name."""
        return check_identifier(self._get(name), self.path(name))

    def identifiers(self, name: str) -> tuple[str, ...]:
        """Return a list of strings that are safe as file names."""
        return tuple(
            check_identifier(item, f'{self.path(name)}[{index}]')
            for index, item in enumerate(self.texts(name))
        )

    def identifiers_by_identifier(self, name: str) -> dict[str, str]:
        """Return an object of identifiers, not empty, no value twice."""
        found = {
            check_identifier(
                key, f'{self.path(name)} (a key)'
            ): check_identifier(value, f'{self.path(name)}.{key}')
            for key, value in self.strings(name).items()
        }
        if not found:
            raise MalformedMessage(self.path(name), 'must not be empty')
        if len(set(found.values())) < len(found):
            raise MalformedMessage(
                self.path(name), 'must not name one thing twice'
            )
        return found

    def integer(self, name: str, *, minimum: int, maximum: int) -> int:
        """Return an integer between two bounds, both included."""
        value = self._get(name)
        # True is an int in Python, but not in JSON.
        if not isinstance(value, int) or isinstance(value, bool):
            raise MalformedMessage(
                self.path(name), f'must be an integer, not {_kind(value)}'
            )
        if not minimum <= value <= maximum:
            raise MalformedMessage(
                self.path(name), f'must be between {minimum} and {maximum}'
            )
        return value

    def optional_integer(
        self, name: str, *, minimum: int, maximum: int
    ) -> int | None:
        """Return an integer between two bounds, or ``None``."""
        if not self.has(name):
            return None
        return self.integer(name, minimum=minimum, maximum=maximum)

    def number(self, name: str, *, minimum: float, maximum: float) -> float:
        """Return a finite number between two bounds, both included."""
        value = self._get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise MalformedMessage(
                self.path(name), f'must be a number, not {_kind(value)}'
            )
        # NaN compares false with both, and so is refused as well.
        if not minimum <= value <= maximum:
            raise MalformedMessage(
                self.path(name), f'must be between {minimum} and {maximum}'
            )
        return float(value)

    def choice(self, name: str, kind: type[E]) -> E:
        """Return a member of an enumeration."""
        return check_choice(self._get(name), self.path(name), kind)

    def optional_choice(self, name: str, kind: type[E]) -> E | None:
        """Return a member of an enumeration, or ``None``."""
        return self.choice(name, kind) if self.has(name) else None

    def choices(self, name: str, kind: type[E]) -> frozenset[E]:
        """Return a set of members; those not known here are left out."""
        known = {member.value for member in kind}
        return frozenset(
            kind(item) for item in self.texts(name) if item in known
        )

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        return tuple(
            check_text(item, f'{self.path(name)}[{index}]', MAX_TEXT)
            for index, item in enumerate(self._list(name))
        )

    def time(self, name: str) -> datetime.datetime:
        """Return a time with its zone, converted to UTC."""
        value = self.text(name, max_length=64)
        try:
            time = datetime.datetime.fromisoformat(value)
        except ValueError:
            raise MalformedMessage(
                self.path(name), 'must be a time in ISO 8601'
            ) from None
        if time.tzinfo is None:
            raise MalformedMessage(
                self.path(name), 'must be a time with its zone, as Z'
            )
        try:
            return time.astimezone(datetime.UTC)
        except OverflowError:
            raise MalformedMessage(
                self.path(name), 'must be a time between years 1 and 9999'
            ) from None

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return a boolean; absent counts as the default."""
        if not self.has(name):
            return default
        value = self._get(name)
        if not isinstance(value, bool):
            raise MalformedMessage(
                self.path(name), f'must be a boolean, not {_kind(value)}'
            )
        return value

    def strings(
        self, name: str, *, max_length: int = MAX_TEXT
    ) -> dict[str, str]:
        """Return an object of strings; absent counts as empty."""
        if not self.has(name):
            return {}
        reader = Reader(self._get(name), self.path(name))
        if len(reader._data) > MAX_ENTRIES:
            raise MalformedMessage(
                self.path(name), f'must have at most {MAX_ENTRIES} entries'
            )
        return {
            check_text(key, f'{self.path(name)} (a key)', 255): reader.text(
                key, max_length=max_length
            )
            for key in reader._data
        }

    def json(self, name: str) -> dict[str, object]:
        """Return an object of any JSON; absent counts as empty."""
        if not self.has(name):
            return {}
        value = self._get(name)
        Reader(value, self.path(name))
        try:
            # The round trip copies, and refuses what JSON has no word for.
            copy = json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as exc:
            raise MalformedMessage(
                self.path(name), f'must be plain JSON ({exc})'
            ) from exc
        if not isinstance(copy, dict):  # a Mapping that dumps as a list
            raise MalformedMessage(self.path(name), 'must be an object')
        return copy

    def child(self, name: str) -> Reader:
        """Return a reader of a required object inside this one."""
        return Reader(self._get(name), self.path(name))

    def children(self, name: str) -> Sequence[Reader]:
        """Return readers of a list of objects; absent counts as empty."""
        if not self.has(name):
            return ()
        return [
            Reader(item, f'{self.path(name)}[{index}]')
            for index, item in enumerate(self._list(name))
        ]

    def _list(self, name: str) -> Sequence[object]:
        value = self._get(name)
        if not isinstance(value, list | tuple):
            raise MalformedMessage(
                self.path(name), f'must be a list, not {_kind(value)}'
            )
        if len(value) > MAX_ENTRIES:
            raise MalformedMessage(
                self.path(name), f'must have at most {MAX_ENTRIES} entries'
            )
        return value


def check_identifier(value: object, path: str) -> str:
    """Return ``value`` if it is a string that is safe as a file name."""
    if not isinstance(value, str):
        raise MalformedMessage(path, f'must be a string, not {_kind(value)}')
    if not IDENTIFIER.fullmatch(value):
        raise MalformedMessage(
            path,
            'must be 1 to 64 letters, digits, dots, dashes or '
            'underscores and begin with a letter or digit',
        )
    return value


def check_text(value: object, path: str, max_length: int) -> str:
    """Return ``value`` if it is a clean string of at most ``max_length``."""
    if not isinstance(value, str):
        raise MalformedMessage(path, f'must be a string, not {_kind(value)}')
    if len(value) > max_length:
        raise MalformedMessage(
            path, f'must have at most {max_length} characters'
        )
    if _CONTROL.search(value):
        raise MalformedMessage(path, 'must not hold control characters')
    return value


def clean_text(value: str, max_length: int = MAX_TEXT) -> str:
    """Return ``value`` such that ``check_text`` accepts it.

    For text from elsewhere, as a program's error output: what may not travel
    becomes a space, and what is too long ends in an ellipsis.
    """
    value = _CONTROL.sub(' ', value)
    if len(value) > max_length:
        value = value[: max_length - 1] + '…'
    return value


def check_choice(value: object, path: str, kind: type[E]) -> E:
    """Return the member of ``kind`` that ``value`` spells."""
    if isinstance(value, str):
        for member in kind:
            if member.value == value:
                return member
    names = ', '.join(member.value for member in kind)
    shown = repr(value)[:40] if isinstance(value, str) else _kind(value)
    raise MalformedMessage(path, f'must be one of {names}, not {shown}')


def _kind(value: object) -> str:
    """Name a JSON type without showing the value: it may be secret or huge."""
    if value is None:
        return 'null'
    if isinstance(value, bool):
        return 'a boolean'
    if isinstance(value, int | float):
        return 'a number'
    if isinstance(value, str):
        return 'a string'
    if isinstance(value, list | tuple):
        return 'a list'
    if isinstance(value, Mapping):
        return 'an object'
    return type(value).__name__
