"""How a journal is doing, in four questions that history makes no dearer."""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa

from virtdc_agent import interfaces
from virtdc_agent.journal.reading import Reader
from virtdc_agent.journal.tables import AGENTS
from virtdc_agent.journal.tables import ALARMS
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

_QUEUE = (
    sa.select(
        EVENTS.c.lane,
        EVENTS.c.operation,
        sa.func.count().label('waiting'),
        sa.func.min(EVENTS.c.accepted).label('oldest'),
    )
    .where(EVENTS.c.state == 'waiting')
    .group_by(EVENTS.c.lane, EVENTS.c.operation)
)
_UNTOLD = (
    sa.select(TRANSITIONS.c.occurred)
    .select_from(
        TOTALS.join(TRANSITIONS, TRANSITIONS.c.sequence > TOTALS.c.published)
    )
    .where(TOTALS.c.id == 1)
    .order_by(TRANSITIONS.c.sequence)
    .limit(1)
)
_IS_SEEN = ALARMS.c.acknowledged.is_not(None)
_ALARMS = (
    sa.select(
        ALARMS.c.kind,
        ALARMS.c.severity,
        _IS_SEEN.label('is_seen'),
        sa.func.count().label('raised'),
    )
    .where(ALARMS.c.cleared.is_(None))
    .group_by(ALARMS.c.kind, ALARMS.c.severity, _IS_SEEN)
)
_AGENTS = sa.select(AGENTS.c.lease_until, AGENTS.c.is_draining)


def survey(
    reader: Reader, server_time: Any, clock: interfaces.Clock
) -> model.Survey:
    """See ``JournalKeeping.survey``.

    :param server_time: the database's clock; ``None``: it is ours.
    """

    def question(connection: Any) -> tuple[Any, ...]:
        return (
            clock.now().timestamp()
            if server_time is None
            else float(connection.execute(sa.select(server_time)).scalar()),
            connection.execute(_QUEUE).all(),
            connection.execute(_UNTOLD).scalar(),
            connection.execute(_ALARMS).all(),
            connection.execute(_AGENTS).all(),
        )

    counts = reader.totals().counts()
    now, queue, untold, alarms, agents = reader.run(question)
    alive = [one for one in agents if one.lease_until > now]
    return model.Survey(
        now=_time(now),
        counts=counts,
        queue=[
            model.QueueFacts(
                lane=Lane(row.lane),
                operation=row.operation,
                waiting=row.waiting,
                oldest_at=_time(row.oldest),
            )
            for row in queue
        ],
        untold_since=None if untold is None else _time(untold),
        alarms={
            (row.kind, row.severity, bool(row.is_seen)): row.raised
            for row in alarms
        },
        agents=(len(alive), sum(bool(one.is_draining) for one in alive)),
    )


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
