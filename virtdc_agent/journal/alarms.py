"""Alarms: conditions that a person must see, each once.

The catalogue:

``event-lost``
    An event was given up because agents kept dying while they executed it.
    Effect: its volume is as the last attempt left it. Repair: find the reason
    in the agent's log or the system's (out of memory, a crash in a library),
    mend it, delete the volume or ask again, and clear the alarm.
"""

from __future__ import annotations

import sqlalchemy as sa

from virtdc_agent.journal.tables import ALARMS
from virtdc_agent.journal.transaction import Transaction

EVENT_LOST = 'event-lost'


def raise_alarm(
    tx: Transaction, *, kind: str, subject: str, message: str
) -> None:
    """Raise an alarm, or count one that is raised already.

    One that was acknowledged is not any more: it is news again.
    """
    here = sa.and_(ALARMS.c.kind == kind, ALARMS.c.subject == subject)
    found = tx.connection.execute(sa.select(ALARMS).where(here)).first()
    values = {'message': message, 'updated': tx.seconds}
    if found is None:
        tx.connection.execute(
            ALARMS.insert(),
            {
                **values,
                'kind': kind,
                'subject': subject,
                'raised': tx.seconds,
                'count': 1,
                'acknowledged_by': '',
                'comment': '',
            },
        )
    else:
        tx.connection.execute(
            ALARMS.update()
            .where(here)
            .values(
                **values,
                count=found.count + 1,
                acknowledged_by='',
                comment='',
            )
        )
