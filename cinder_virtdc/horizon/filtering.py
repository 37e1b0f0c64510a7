"""Which events a person wants to see, and how they get from page to page.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import re
import urllib.parse

from cinder_virtdc.horizon import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import State

STATE = 'state'
VOLUME = 'volume'
OPERATION = 'operation'
ORIGIN = 'origin'

_MARKER = re.compile('[A-Za-z0-9_-]{1,256}')
_MOST_PAGES = 50


class NoSuchChoice(ValueError):
    """A filter that fits nothing there could be; says what would."""


def value_of(field: str, text: str) -> str:
    """Return what the API calls what a person has typed.

    :param field: one of the above but ``VOLUME``, which is not of a few.
    :raises NoSuchChoice: there is nothing of the kind.
    """
    typed = text.strip().lower()
    choices = _CHOICES[field]
    for value, word in choices:
        if typed in (value, word):
            return value
    words = ', '.join(word for _, word in choices)
    raise NoSuchChoice(f'No {field} is called {text}. There are: {words}.')


_CHOICES = {
    STATE: [(one.value, one.value) for one in State],
    OPERATION: [
        (one.value, events.operation_word(one.value)) for one in Operation
    ],
    ORIGIN: [(str(value), word) for value, word in events.ORIGINS.items()],
}


@dataclasses.dataclass(frozen=True, slots=True)
class Trail:
    """The pages from the first to the present one.

    The API knows the next page only; the way back is in the address.

    :param markers: of all but the first page.
    """

    markers: Sequence[str] = ()

    @classmethod
    def read(cls, text: str) -> Trail:
        """Return what an address says; what it cannot say is left out."""
        markers = text.split('.')[-_MOST_PAGES:] if text else []
        return cls([one for one in markers if _MARKER.fullmatch(one)])

    @property
    def marker(self) -> str | None:
        """Where the present page begins; ``None``: it is the first."""
        return self.markers[-1] if self.markers else None

    def forth(self, marker: str) -> str:
        """Return the address's query for the next page."""
        return _write([*self.markers, marker])

    def back(self) -> str:
        """Return the address's query for the page before."""
        return _write(self.markers[:-1])


def _write(markers: Sequence[str]) -> str:
    return urllib.parse.urlencode({'marker': '.'.join(markers)})
