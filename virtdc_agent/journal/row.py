"""An event's row, as a transaction has it in hand."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any

from virtdc_agent.contract.events import Transition
from virtdc_agent.journal import rows
from virtdc_agent.journal.tables import EVENTS

COLUMNS = tuple(
    EVENTS.c[name]
    for name in (
        *('id', 'event_id', 'operation', 'volume_id', 'project_id'),
        *('origin', 'lane', 'urgency', 'tag', 'accepted', 'latest', 'state'),
        *('attempt', 'losses', 'fence', 'holder', 'ended', 'is_suspect'),
        *('is_closed', 'cancel_requested'),
    )
)
"""All but the content, which is long, and the count of blockers, which
changes by statement only."""

CHANGING = (
    *('latest', 'state', 'attempt', 'losses', 'fence', 'holder', 'ended'),
    *('is_suspect', 'is_closed', 'cancel_requested'),
)


@dataclasses.dataclass(slots=True)
class Row:
    """All that stands in ``events`` of one event, but its content."""

    id: int
    event_id: str
    operation: str
    volume_id: str
    project_id: str
    origin: str
    lane: str
    urgency: int
    tag: int
    accepted: float
    latest: str
    state: str
    attempt: int = 0
    losses: int = 0
    fence: int = 0
    holder: str | None = None
    ended: float | None = None
    is_suspect: bool = False
    is_closed: bool = False
    cancel_requested: bool = False

    @classmethod
    def from_database(cls, found: Any) -> Row:
        """Return a row as selected by ``COLUMNS``."""
        return cls(*found[: len(COLUMNS)])

    def changes(self) -> Mapping[str, object]:
        """Return what an update writes, for ``UPDATE``."""
        return {
            'row': self.id,
            **{f'new_{name}': getattr(self, name) for name in CHANGING},
        }

    def columns(self) -> dict[str, object]:
        """Return all, for an insert."""
        return {column.name: getattr(self, column.name) for column in COLUMNS}


class Transitions:
    """Texts of transitions, and what they stand for. Safe from any thread."""

    def __init__(self) -> None:
        self._memory = rows.Memory(rows.transition_from)

    def read(self, text: str) -> Transition:
        """Return the transition of a text."""
        return self._memory.get(text)

    def write(self, transition: Transition) -> str:
        """Return the text of a transition."""
        text = rows.transition_text(transition)
        self._memory.put(text, transition)
        return text
