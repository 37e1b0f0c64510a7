"""Who has a role that one agent has for all: who tells, and who scans."""

from __future__ import annotations

import sqlalchemy as sa

from virtdc_agent.journal.change import Change
from virtdc_agent.journal.tables import AGENTS
from virtdc_agent.journal.transaction import Transaction


class MarkPublished(Change[None]):
    """Note that all up to a sequence is told."""

    def __init__(self, sequence: int) -> None:
        self._sequence = sequence

    def apply(self, tx: Transaction) -> None:
        """See the base."""
        tx.totals.published = max(tx.totals.published, self._sequence)


class BecomePublisher(Change[bool]):
    """Take the role, if nobody who is alive has it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def apply(self, tx: Transaction) -> bool:
        """Return whether the role is this agent's now."""
        if _is_held_by_other(tx, tx.totals.publisher, self._name):
            return False
        tx.totals.publisher = self._name
        return True


class BecomeScanner(Change[bool]):
    """Take the role of who compares the storage with the journal."""

    def __init__(self, name: str) -> None:
        self._name = name

    def apply(self, tx: Transaction) -> bool:
        """Return whether the role is this agent's now."""
        if _is_held_by_other(tx, tx.totals.scanner, self._name):
            return False
        tx.totals.scanner = self._name
        return True


def _is_held_by_other(tx: Transaction, holder: str | None, name: str) -> bool:
    """Say whether another agent that is alive has a role."""
    if holder in (None, name):
        return False
    lease_until = tx.connection.execute(
        sa.select(AGENTS.c.lease_until).where(AGENTS.c.name == holder)
    ).scalar()
    return lease_until is not None and lease_until > tx.seconds
