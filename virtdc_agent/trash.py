"""Empties the trash: what has lain there for its time is removed for good.

By events, as everything that changes the storage: so nobody restores a volume
while it is removed, and it goes on after a crash, by whichever agent.
"""

from __future__ import annotations

import datetime
import uuid

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import PurgeParameters
from virtdc_agent.contract.events import Requester
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.intake import Intake
from virtdc_agent import interfaces

REQUESTER = Requester(user_id='virtdc-trash')
AGAIN_S = 3600
"""A removal that failed is asked for again in the next such span."""

_NAMESPACE = uuid.UUID('4b1c9a52-6a1d-4d0e-8a44-0d6f3c1be7a9')
_PAGE = 100


class Emptier:
    """Asks for the removal of what lies in the trash for long enough."""

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        intake: Intake,
        clock: interfaces.Clock,
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._clock = clock

    def empty(self) -> int:
        """Ask for what is due; return for how many.

        Any number of agents may: within a span they ask for the same event.
        """
        now = self._clock.now()
        marker: str | None = None
        asked = 0
        while True:
            page = self._journal.get_trash(marker, _PAGE, until=now)
            for trashed in page.trashed:
                self._intake.submit(purge_of(trashed, now))
                asked += 1
            if page.next_marker is None:
                return asked
            marker = page.next_marker


def purge_of(trashed: TrashedVolume, now: datetime.datetime) -> Event:
    """Return the event that removes what is due; the same for a while."""
    span = int(now.timestamp()) // AGAIN_S
    volume_id = trashed.volume.volume_id
    name = f'{volume_id} {trashed.event_id} {span}'
    return Event(
        event_id=str(uuid.uuid5(_NAMESPACE, name)),
        operation=Operation.PURGE,
        volume_id=volume_id,
        origin=Origin.PLATFORM,
        parameters=PurgeParameters(deleted_by=trashed.event_id),
        created_at=datetime.datetime.fromtimestamp(
            span * AGAIN_S, datetime.UTC
        ),
        requested_by=REQUESTER,
    )
