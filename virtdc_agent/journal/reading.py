"""Reading the journal, beside its writers and not held up by them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import datetime
import threading
from typing import Any, TypeVar

from oslo_db import exception as db_exception
import sqlalchemy as sa

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import rows
from virtdc_agent.journal.statements import among
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import SNAPSHOTS
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent.journal.tables import TRASH
from virtdc_agent.journal.tables import VOLUMES
from virtdc_agent.journal.transaction import chunks
from virtdc_agent.journal.transaction import Texts
from virtdc_agent.journal.transaction import TOTAL_COLUMNS
from virtdc_agent.journal.transaction import Totals
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

R = TypeVar('R')

_TOTALS = sa.select(*TOTAL_COLUMNS).where(TOTALS.c.id == 1)
_DATA_CENTRE = sa.select(TOTALS.c.data_centre).where(TOTALS.c.id == 1)
_CHANGES = (
    sa.select(TRANSITIONS.c.body)
    .where(TRANSITIONS.c.sequence > sa.bindparam('after'))
    .order_by(TRANSITIONS.c.sequence)
    .limit(sa.bindparam('most', type_=sa.Integer))
)
_UNPUBLISHED = (
    sa.select(TOTALS.c.publisher, TRANSITIONS.c.body)
    .select_from(
        TOTALS.join(TRANSITIONS, TRANSITIONS.c.sequence > TOTALS.c.published)
    )
    .where(TOTALS.c.id == 1, TRANSITIONS.c.sequence > sa.bindparam('after'))
    .order_by(TRANSITIONS.c.sequence)
    .limit(sa.bindparam('most', type_=sa.Integer))
)
_NEXT = (
    sa.select(EVENTS.c.id)
    .where(
        EVENTS.c.state == 'waiting',
        EVENTS.c.blockers == 0,
        EVENTS.c.is_suspect.in_([False, True]),
        EVENTS.c.lane == sa.bindparam('lane'),
    )
    .limit(1)
)
_OLDEST = sa.select(sa.func.min(TRANSITIONS.c.sequence))
_LATEST = sa.select(EVENTS.c.event_id, EVENTS.c.latest).where(
    among(EVENTS.c.event_id)
)
_CONTENT = sa.select(EVENTS.c.content).where(
    EVENTS.c.event_id == sa.bindparam('of')
)
_CANCELLED = sa.select(EVENTS.c.event_id, EVENTS.c.fence).where(
    among(EVENTS.c.event_id),
    EVENTS.c.state == 'running',
    EVENTS.c.cancel_requested,
)
_FENCES = sa.select(EVENTS.c.fence).where(EVENTS.c.holder.is_not(None))
_VOLUME = sa.select(VOLUMES.c.body).where(
    VOLUMES.c.volume_id == sa.bindparam('of')
)


class Reader:
    """Asks the database. Safe from any thread.

    It keeps its connections: to open one takes longer than to ask.

    :param turn: held while asking, if there is one connection for all.
    """

    def __init__(
        self,
        engine: Any,
        texts: Texts,
        *,
        turn: contextlib.AbstractContextManager[Any] | None = None,
    ) -> None:
        self._engine = engines.for_reading(engine)
        self._texts = texts
        self._turn = turn or contextlib.nullcontext()
        self._data_centre: str | None = None
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Let go of all connections; no other call may follow."""
        self._closed = True
        self._forget()

    def run(self, question: Callable[[Any], R]) -> R:
        """Ask several statements on a connection.

        On SQLite they see one state of the journal; on servers each sees
        what was committed before it.

        :raises JournalUnavailable: there is no answer.
        """
        return self._run(engines.reading, question)

    def ask(
        self, statement: Any, values: Mapping[str, object] | None = None
    ) -> Sequence[Any]:
        """Return the rows of one statement, which needs no transaction.

        :raises JournalUnavailable: there is no answer.
        """
        return self._run(
            engines.asking,
            lambda connection: connection.execute(statement, values).all(),
        )

    def totals(self) -> Totals:
        """Return the totals."""
        return Totals(*self.ask(_TOTALS)[0])

    def has_next(self, lane: Lane) -> bool:
        """Say whether something in a lane may begin, suspects included."""
        return bool(self.ask(_NEXT, {'lane': lane.value}))

    def unpublished(
        self, after: int, limit: int
    ) -> tuple[list[Transition], str | None]:
        """Return the first transitions not told yet, and who is to tell."""
        found = self.ask(_UNPUBLISHED, {'after': after, 'most': limit})
        return (
            [self._texts.transitions.read(body) for _, body in found],
            found[0].publisher if found else None,
        )

    def changes(self, after: int, limit: int) -> model.Changes:
        """See ``Journal.get_changes``."""

        def question(connection: Any) -> tuple[Sequence[str], int, int]:
            bodies = (
                connection.execute(_CHANGES, {'after': after, 'most': limit})
                .scalars()
                .all()
            )
            oldest = connection.execute(_OLDEST).scalar()
            last = connection.execute(_TOTALS).one().sequence
            return bodies, oldest, last

        bodies, oldest, last = self.run(question)
        return model.Changes(
            transitions=[self._texts.transitions.read(one) for one in bodies],
            # What was purged to the end is not there either.
            oldest=last + 1 if oldest is None and last else oldest or 0,
            last=last,
        )

    def latest(self, event_ids: Collection[str]) -> Mapping[str, Transition]:
        """See ``Journal.get_latest``."""
        return {
            event_id: self._texts.transitions.read(text)
            for event_id, text in self._each(_LATEST, event_ids)
        }

    def event(self, event_id: str) -> Event:
        """See ``Journal.get_event``."""
        for found in self.ask(_CONTENT, {'of': event_id}):
            return rows.event_from(found.content)
        raise exceptions.EventNotFound(f'There is no event {event_id}.')

    def cancelled(
        self, claims: Collection[model.Claim]
    ) -> Sequence[model.Claim]:
        """See ``Journal.get_cancelled``."""
        by_id = {claim.event.event_id: claim for claim in claims}
        return [
            by_id[event_id]
            for event_id, fence in self._each(_CANCELLED, by_id)
            if fence == by_id[event_id].fence
        ]

    def fences(self) -> frozenset[int]:
        """See ``Journal.get_fences``."""
        return frozenset(found.fence for found in self.ask(_FENCES))

    def data_centre(self) -> str:
        """See ``Journal.data_centre``. Asked once: it never changes."""
        if self._data_centre is None:
            self._data_centre = str(self.ask(_DATA_CENTRE)[0].data_centre)
        return self._data_centre

    def volume(self, volume_id: str) -> Volume:
        """See ``Journal.get_volume``."""
        for found in self.ask(_VOLUME, {'of': volume_id}):
            return rows.volume_from(found.body)
        raise exceptions.VolumeNotFound(
            f'The data centre has no volume {volume_id}.'
        )

    def volumes(self, marker: str | None, limit: int) -> model.VolumePage:
        """See ``Journal.get_volumes``."""
        bodies, has_more = self._page(
            sa.select(VOLUMES.c.body), VOLUMES.c.volume_id, marker, limit
        )
        volumes = [rows.volume_from(body) for body in bodies]
        return model.VolumePage(
            volumes=volumes,
            next_marker=volumes[-1].volume_id if has_more else None,
        )

    def snapshots(
        self, volume_id: str | None, marker: str | None, limit: int
    ) -> model.SnapshotPage:
        """See ``Journal.get_snapshots``."""
        query = sa.select(SNAPSHOTS.c.body)
        if volume_id is not None:
            query = query.where(SNAPSHOTS.c.volume_id == volume_id)
        bodies, has_more = self._page(
            query, SNAPSHOTS.c.snapshot_id, marker, limit
        )
        snapshots = [rows.snapshot_from(body) for body in bodies]
        return model.SnapshotPage(
            snapshots=snapshots,
            next_marker=snapshots[-1].snapshot_id if has_more else None,
        )

    def trash(
        self,
        marker: str | None,
        limit: int,
        until: datetime.datetime | None,
    ) -> model.TrashPage:
        """See ``Journal.get_trash``."""
        query = sa.select(TRASH.c.body)
        if until is not None:
            query = query.where(TRASH.c.until <= until.timestamp())
        bodies, has_more = self._page(query, TRASH.c.volume_id, marker, limit)
        found = [rows.trashed_from(body) for body in bodies]
        return model.TrashPage(
            trashed=found,
            next_marker=found[-1].volume.volume_id if has_more else None,
        )

    def trashed(self, volume_id: str) -> TrashedVolume:
        """See ``Journal.get_trashed``."""
        query = sa.select(TRASH.c.body).where(TRASH.c.volume_id == volume_id)
        for found in self.ask(query):
            return rows.trashed_from(found.body)
        raise exceptions.VolumeNotFound(
            f'No volume {volume_id} lies in the trash.'
        )

    def _page(
        self, query: Any, key: Any, marker: str | None, limit: int
    ) -> tuple[list[str], bool]:
        """Return up to ``limit`` bodies whose key follows, and if more do."""
        if marker is not None:
            query = query.where(key > marker)
        found = self.ask(query.order_by(key).limit(limit + 1))
        return [one.body for one in found[:limit]], len(found) > limit

    def _each(self, statement: Any, wanted: Iterable[str]) -> Iterator[Any]:
        for chunk in chunks(wanted):
            yield from self.ask(statement, {'wanted': chunk})

    def _run(
        self,
        context: Callable[[Any], contextlib.AbstractContextManager[None]],
        question: Callable[[Any], R],
    ) -> R:
        if self._closed:
            raise exceptions.JournalUnavailable('the journal is closed.')
        with self._turn, engines.translated(self._engine.url):
            connection = self._borrow()
            if connection is not None:
                try:
                    return self._answer(connection, context, question)
                except db_exception.DBConnectionError:
                    # It may have been idle for longer than the server
                    # bears, or the server began anew: so with the others.
                    self._forget()
            return self._answer(self._engine.connect(), context, question)

    def _answer(
        self,
        connection: Any,
        context: Callable[[Any], contextlib.AbstractContextManager[None]],
        question: Callable[[Any], R],
    ) -> R:
        try:
            with context(connection):
                answer = question(connection)
        except BaseException:
            with contextlib.suppress(Exception):
                connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        if self._closed:
            self._forget()
        return answer

    def _borrow(self) -> Any | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _forget(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            with contextlib.suppress(Exception):
                connection.close()
