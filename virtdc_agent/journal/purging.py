"""Forgetting what is over.

In steps of some hundred rows, each a transaction of its own, so that nobody
waits long for the lock. Finished events go by their end, along an index. The
history goes from its beginning, as far as it is old and told; who has missed
so much compares everything instead.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from virtdc_agent.journal.change import Change
from virtdc_agent.journal.fairness import Shares
from virtdc_agent.journal.tables import AGENTS
from virtdc_agent.journal.tables import ALARMS
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import FLOWS
from virtdc_agent.journal.tables import MARKS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model

STEP = 500
GONE_S = 7 * 86400.0
"""An agent that was not heard of for so long is not listed any more."""
MARKED_S = 90 * 86400.0
"""What was done so long ago nobody is about to do again."""

_ENDED = (
    sa.select(EVENTS.c.id, EVENTS.c.ended)
    .where(EVENTS.c.ended < sa.bindparam('until'), ~EVENTS.c.is_closed)
    .order_by(EVENTS.c.ended)
    .limit(STEP)
)
_HISTORY = (
    sa.select(TRANSITIONS.c.sequence, TRANSITIONS.c.occurred)
    .order_by(TRANSITIONS.c.sequence)
    .limit(STEP)
)


class PurgeEvents(Change[int]):
    """Forget some finished events; return how many."""

    def __init__(self, retention: model.Retention) -> None:
        self._retention = retention

    def apply(self, tx: Transaction) -> int:
        """See the base."""
        keep = self._retention
        young = tx.seconds - keep.min_age_s
        excess = tx.totals.finished - keep.max_finished
        found = tx.connection.execute(_ENDED, {'until': young}).all()
        old = tx.seconds - max(keep.max_age_s, keep.min_age_s)
        gone = [
            row.id
            for place, row in enumerate(found)
            if row.ended < old or place < excess
        ]
        if gone:
            tx.connection.execute(EVENTS.delete().where(EVENTS.c.id.in_(gone)))
            tx.totals.finished -= len(gone)
        return len(gone)


class PurgeHistory(Change[int]):
    """Forget the beginning of the history; return how many transitions.

    Of events that are forgotten, and of what is old.
    """

    def __init__(self, retention: model.Retention) -> None:
        self._retention = retention

    def apply(self, tx: Transaction) -> int:
        """See the base."""
        keep = self._retention
        old = tx.seconds - max(keep.max_age_s, keep.min_age_s)
        found = tx.connection.execute(
            _HISTORY.add_columns(
                TRANSITIONS.c.event, EVENTS.c.id.label('row')
            ).select_from(
                TRANSITIONS.outerjoin(
                    EVENTS, EVENTS.c.id == TRANSITIONS.c.event
                )
            )
        ).all()
        last = 0
        for row in found:
            if row.sequence > tx.totals.published or (
                row.occurred >= old and row.row is not None
            ):
                break
            last = row.sequence
        if not last:
            return 0
        return _deleted(
            tx, TRANSITIONS.delete().where(TRANSITIONS.c.sequence <= last)
        )


class PurgeRest(Change[int]):
    """Forget ended flows, agents that are gone, old alarms and marks."""

    def apply(self, tx: Transaction) -> int:
        """See the base."""
        shares = Shares(tx.totals.shares)
        ended = 0
        for name in shares.names():
            # A flow whose end is past begins anew as if it had never been.
            flows = sa.select(FLOWS.c.flow).where(
                FLOWS.c.share == name, FLOWS.c.finish <= shares.now(name)
            )
            gone = tx.connection.execute(flows.limit(STEP)).scalars().all()
            if gone:
                ended += _deleted(
                    tx, FLOWS.delete().where(FLOWS.c.flow.in_(gone))
                )
        holding = sa.select(EVENTS.c.holder).where(
            EVENTS.c.holder.is_not(None)
        )
        tx.connection.execute(
            AGENTS.delete().where(
                AGENTS.c.lease_until < tx.seconds - GONE_S,
                ~AGENTS.c.is_draining,
                AGENTS.c.name.not_in(holding),
            )
        )
        tx.connection.execute(
            ALARMS.delete().where(ALARMS.c.cleared < tx.seconds - GONE_S)
        )
        tx.connection.execute(
            MARKS.delete().where(MARKS.c.until < tx.seconds - MARKED_S)
        )
        return ended


def _deleted(tx: Transaction, statement: Any) -> int:
    count: int = tx.connection.execute(statement).rowcount
    return count
