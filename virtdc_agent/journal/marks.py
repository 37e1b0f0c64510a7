"""Who does what is to be done once: marks with a lease, then for good.

By compare-and-set in one transaction, by the database's clock: as events are
claimed. Marks of long ago are forgotten (see ``purging``).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from virtdc_agent.journal.change import Change
from virtdc_agent.journal.tables import MARKS
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model


class TakeMark(Change[model.Mark]):
    """Give it to who asks, unless another has it or it is done."""

    def __init__(self, name: str, holder: str, lease_s: float) -> None:
        self._name = name
        self._holder = holder
        self._lease_s = lease_s

    def apply(self, tx: Transaction) -> model.Mark:
        """See the base."""
        found = _find(tx, self._name)
        if found is not None and found.is_settled:
            return model.Mark(is_granted=False, is_settled=True)
        if (
            found is not None
            and found.holder != self._holder
            and found.until > tx.seconds
        ):
            return model.Mark(
                is_granted=False, wait_s=found.until - tx.seconds
            )
        _put(
            tx,
            found,
            self._name,
            holder=self._holder,
            until=tx.seconds + self._lease_s,
            is_settled=False,
        )
        return model.Mark(is_granted=True)


class SettleMark(Change[None]):
    """Note that it is done, whoever had it: done is done."""

    def __init__(self, name: str, holder: str) -> None:
        self._name = name
        self._holder = holder

    def apply(self, tx: Transaction) -> None:
        """See the base."""
        found = _find(tx, self._name)
        if found is None or not found.is_settled:
            _put(
                tx,
                found,
                self._name,
                holder=self._holder,
                until=tx.seconds,
                is_settled=True,
            )


def _put(tx: Transaction, found: Any, name: str, **values: object) -> None:
    if found is None:
        tx.connection.execute(MARKS.insert(), {'name': name, **values})
    else:
        tx.connection.execute(
            MARKS.update().where(MARKS.c.name == name).values(values)
        )


def _find(tx: Transaction, name: str) -> Any:
    return tx.connection.execute(
        sa.select(MARKS).where(MARKS.c.name == name)
    ).first()
