"""The journal in an SQL database."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import datetime
import os
import socket
import threading
from typing import Any, TypeVar
import uuid

import sqlalchemy as sa

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent.journal.alarm_book import AlarmBook
from virtdc_agent.journal import appending
from virtdc_agent.journal.bell import Bell
from virtdc_agent.journal.change import Change
from virtdc_agent.journal import claiming
from virtdc_agent.journal import ending
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.mark_book import MarkBook
from virtdc_agent.journal import membership
from virtdc_agent.journal import publishing
from virtdc_agent.journal.reading import Reader
from virtdc_agent.journal.resyncs import ResyncBook
from virtdc_agent.journal.transaction import Texts
from virtdc_agent.journal.writing import Writer
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

R = TypeVar('R')

_RECENT_S = 1.0


class SqlJournal(AlarmBook, MarkBook, ResyncBook, interfaces.Journal):
    """Keeps events, their history and volumes in a database.

    Writers share transactions (see ``group_commit``), through one connection
    of their own; readers have others and are not held up by them.

    :param engine: a database whose schema is at head.
    :param agent: name of the agent, the holder of its claims.
    :param lease_s: for how long a lease lasts without renewal.
    :param max_losses: an event of which so many agents died is given up.
    :param version: of the agent, for people.
    :param turn: held while the engine's connection is in use, if there is
        one for all, which outlives this journal.
    """

    def __init__(
        self,
        engine: Any,
        *,
        agent: str,
        clock: interfaces.Clock,
        lease_s: float = 30.0,
        max_losses: int = 3,
        version: str = '',
        turn: contextlib.AbstractContextManager[Any] | None = None,
    ) -> None:
        self.is_shared = engines.is_shared(engine)
        self._engine = engine
        self._is_lent = turn is not None
        self._clock = clock
        self._identity = membership.Identity(
            name=agent,
            life=uuid.uuid4().hex,
            host=socket.gethostname(),
            process_id=os.getpid(),
            version=version,
        )
        self._lease_s = lease_s
        self._max_losses = max_losses
        texts = Texts()
        self._bell = Bell()
        super().__init__(
            Reader(engine, texts, turn=turn),
            Writer(engine, texts, clock, bell=self._bell, turn=turn),
        )
        self._lock = threading.Lock()
        self._known: set[int] = set()
        self._doubtful: set[Lane] = set()
        self._found_last = dict.fromkeys(Lane, True)

    @property
    def data_centre(self) -> str:
        """See the interface."""
        return self._reader.data_centre()

    def join(self) -> model.Takeover:
        """See the interface."""
        return self._writer.run(
            membership.Join(
                self._identity,
                lease_s=self._lease_s,
                max_losses=self._max_losses,
            )
        )

    def renew(self) -> model.Membership:
        """See the interface."""
        return self._writer.run(
            membership.Renew(self._identity, lease_s=self._lease_s)
        )

    def leave(self) -> None:
        """See the interface."""
        self._writer.run(membership.Leave(self._identity))

    def take_over(self) -> model.Takeover:
        """See the interface."""
        server_time = engines.server_time(self._engine)

        def question(connection: Any) -> Sequence[str]:
            now = (
                self._clock.now().timestamp()
                if server_time is None
                else float(connection.execute(sa.select(server_time)).scalar())
            )
            return membership.find_dead(connection, now)

        dead = self._reader.run(question)
        if not dead:
            return model.Takeover()
        return self._writer.run(
            membership.TakeOver(dead, max_losses=self._max_losses)
        )

    def get_fences(self) -> Collection[int]:
        """See the interface."""
        return self._reader.fences()

    def append(
        self,
        event: Event,
        *,
        max_waiting: int | None = None,
        unchanged: Volume | None = None,
    ) -> Transition:
        """See the interface."""
        return self._writer.run(
            appending.Append(event, max_waiting, unchanged)
        )

    def claim(self, lane: Lane, limit: int) -> Sequence[model.Claim]:
        """See the interface."""
        return self._take(lane, limit, suspects=False)

    def claim_suspect(self, lane: Lane) -> model.Claim | None:
        """See the interface."""
        taken = self._take(lane, 1, suspects=True)
        return taken[0] if taken else None

    def retry(self, claim: model.Claim) -> model.Claim:
        """See the interface."""
        again = self._writer.run(
            claiming.Retry(claim, agent=self._identity.name)
        )
        self._learn(again.fence)
        self._forget(claim)
        return again

    def record_progress(
        self, claim: model.Claim, progress: model.Progress
    ) -> None:
        """See the interface."""
        self._writer.run(ending.Progress(claim, progress))

    def settle(self, claim: model.Claim, outcome: model.Outcome) -> Transition:
        """See the interface."""
        return self._end(claim, ending.Settle(claim, outcome))

    def release(self, claim: model.Claim) -> None:
        """See the interface."""
        self._end(claim, ending.Release(claim))

    def fence_off(
        self, claim: model.Claim, outcome: model.Outcome
    ) -> Transition:
        """See the interface."""
        return self._end(claim, ending.FenceOff(claim, outcome))

    def unfence(
        self, claim: model.Claim, change: model.VolumeChange | None
    ) -> None:
        """See the interface."""
        self._writer.run(ending.Unfence(claim, change))

    def cancel(self, event_id: str) -> Transition:
        """See the interface."""
        return self._writer.run(appending.Cancel(event_id))

    def get_cancelled(
        self, claims: Collection[model.Claim]
    ) -> Sequence[model.Claim]:
        """See the interface."""
        return self._reader.cancelled(claims)

    def get_latest(
        self, event_ids: Collection[str]
    ) -> Mapping[str, Transition]:
        """See the interface."""
        return self._reader.latest(event_ids)

    def get_event(self, event_id: str) -> Event:
        """See the interface."""
        return self._reader.event(event_id)

    def get_changes(self, after: int, limit: int) -> model.Changes:
        """See the interface."""
        return self._reader.changes(after, limit)

    def get_unpublished(
        self, limit: int, *, after: int = 0
    ) -> Sequence[Transition]:
        """See the interface."""
        if after and not self.is_shared:
            # Nobody else tells; what we wrote ourselves need not be read.
            written = self._writer.tail.following(after, limit)
            if written:
                return written
        found, publisher = self._reader.unpublished(after, limit)
        name = self._identity.name
        if not found or publisher == name:
            return found
        if not self._writer.run(publishing.BecomePublisher(name)):
            return []
        # Whoever had the role may have told some of them meanwhile.
        found, _ = self._reader.unpublished(after, limit)
        return found

    def mark_published(self, sequence: int) -> None:
        """See the interface."""
        self._writer.run(publishing.MarkPublished(sequence))

    def get_volume(self, volume_id: str) -> Volume:
        """See the interface."""
        return self._reader.volume(volume_id)

    def get_volumes(self, marker: str | None, limit: int) -> model.VolumePage:
        """See the interface."""
        return self._reader.volumes(marker, limit)

    def get_snapshots(
        self, volume_id: str | None, marker: str | None, limit: int
    ) -> model.SnapshotPage:
        """See the interface."""
        return self._reader.snapshots(volume_id, marker, limit)

    def get_trash(
        self,
        marker: str | None,
        limit: int,
        *,
        until: datetime.datetime | None = None,
    ) -> model.TrashPage:
        """See the interface."""
        return self._reader.trash(marker, limit, until)

    def get_trashed(self, volume_id: str) -> TrashedVolume:
        """See the interface."""
        return self._reader.trashed(volume_id)

    def become_scanner(self) -> bool:
        """See the interface."""
        return self._writer.run(publishing.BecomeScanner(self._identity.name))

    def count(self) -> model.Counts:
        """See the interface."""
        return self._reader.totals().counts()

    def count_lately(self) -> model.Counts:
        """See the interface."""
        last = self._writer.last
        if last is None or self._clock.monotonic() - last.at > _RECENT_S:
            return self.count()
        return last.totals.counts()

    def subscribe(
        self, callback: Callable[[], None], lane: Lane | None = None
    ) -> None:
        """See the interface."""
        self._bell.subscribe(callback, lane)

    def close(self) -> None:
        """See the interface."""
        self._writer.close()
        self._reader.close()
        if not self._is_lent:
            self._engine.dispose()

    def _take(
        self, lane: Lane, limit: int, *, suspects: bool
    ) -> Sequence[model.Claim]:
        if limit <= 0 or not self._may_find(lane):
            return []
        with self._lock:
            doubtful = lane in self._doubtful
            known = frozenset(self._known) if doubtful else frozenset()
        try:
            taken = self._writer.run(
                claiming.Take(
                    lane,
                    limit,
                    identity=self._identity,
                    suspects=suspects,
                    doubtful=doubtful,
                    known=known,
                )
            )
        except exceptions.JournalUnavailable:
            # The database may have committed it, and the answer been lost.
            with self._lock:
                self._doubtful.add(lane)
            raise
        with self._lock:
            self._known.update(claim.fence for claim in taken)
            self._doubtful.discard(lane)
            self._found_last[lane] = bool(taken)
        return taken

    def _may_find(self, lane: Lane) -> bool:
        """Say whether to look for waiting events is worth a transaction."""
        return (
            self._found_last[lane]
            or lane in self._doubtful
            or self._reader.has_next(lane)
        )

    def _end(self, claim: model.Claim, change: Change[R]) -> R:
        try:
            result = self._writer.run(change)
        except exceptions.LeaseLost:
            self._forget(claim)
            raise
        self._forget(claim)
        return result

    def _learn(self, fence: int) -> None:
        with self._lock:
            self._known.add(fence)

    def _forget(self, claim: model.Claim) -> None:
        with self._lock:
            self._known.discard(claim.fence)
