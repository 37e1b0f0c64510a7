"""What the rules for journals are written with; ``journal_rules`` has them.

The rules are in several modules, an idea in each. All begin with an empty
journal that one agent has joined.
"""

from __future__ import annotations

from collections.abc import Sequence
import datetime
import itertools
from typing import Any
import unittest

from virtdc_agent.contract import events
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

GIB = 1024**3
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SUCCESS = model.Outcome(state=State.SUCCESS)
FAILURE = model.Outcome(
    state=State.FAILED, reason=Reason.BACKEND, message='It broke.'
)


def create_event(
    event_id: str,
    volume_id: str,
    size_bytes: int = GIB,
    *,
    thick: bool = False,
    project: str = '',
    origin: events.Origin = events.Origin.CLOUD,
) -> events.Event:
    """Return an event that creates a volume."""
    return events.Event(
        event_id=event_id,
        operation=events.Operation.CREATE,
        volume_id=volume_id,
        origin=origin,
        parameters=events.CreateParameters(
            size_bytes=size_bytes,
            provisioning=events.Provisioning.THICK if thick else None,
        ),
        created_at=NOW,
        requested_by=events.Requester(project_id=project),
    )


def put(
    volume_id: str, size_bytes: int = GIB, pool: str = ''
) -> model.PutVolume:
    """Return the change that there is a volume now."""
    return model.PutVolume(
        volume=events.Volume(
            volume_id=volume_id,
            size_bytes=size_bytes,
            format=events.Format.RAW,
            provisioning=events.Provisioning.THIN,
            created_at=NOW,
            updated_at=NOW,
            pool=pool,
        )
    )


def suspect_of(shared: interfaces.Journal) -> model.Claim:
    """Claim the next suspect; there is one."""
    claim = shared.claim_suspect(Lane.QUICK)
    if claim is None:
        raise AssertionError('there is no suspect')
    return claim


class JournalCase(unittest.TestCase):
    """What the rules of journals are written with.

    :cvar writers: how many threads write at once where many do.
    :cvar writes: how often each of them.
    """

    writers = 16
    writes = 10

    def make_storage(self) -> Any:
        """Return a new, empty storage for a journal."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def open_journal(self, storage: Any, agent: str) -> interfaces.Journal:
        """Return a life of an agent that has not joined yet."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def setUp(self) -> None:
        """Begin with an empty journal, which one agent has joined."""
        super().setUp()
        self.storage = self.make_storage()
        self.journal = self.open('agent')
        self.journal.join()
        self._ids = itertools.count(1)

    def open(self, agent: str) -> interfaces.Journal:
        """Return a new life of an agent, which has not joined yet."""
        journal = self.open_journal(self.storage, agent)
        self.addCleanup(journal.close)
        return journal

    def append(self, *volume_ids: str) -> list[events.Event]:
        """Append an event for each volume."""
        made = [
            create_event(f'e{next(self._ids)}', volume_id)
            for volume_id in volume_ids
        ]
        for event in made:
            self.journal.append(event)
        return made

    def claim(self, limit: int) -> list[model.Claim]:
        """Claim events of the quick lane."""
        return list(self.journal.claim(Lane.QUICK, limit))

    def claim_one(self, volume_id: str = 'v') -> model.Claim:
        """Append an event and claim it."""
        self.append(volume_id)
        (claim,) = self.claim(1)
        return claim

    def latest(self, event_id: str) -> events.Transition:
        """Return an event's latest transition."""
        return self.journal.get_latest([event_id])[event_id]

    def history(self) -> Sequence[events.Transition]:
        """Return all transitions."""
        return self.journal.get_changes(0, 10_000).transitions
