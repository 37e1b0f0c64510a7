"""Reading the journal, beside its writers and not held up by them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import threading
from typing import Any, TypeVar

from oslo_db import exception as db_exception
import sqlalchemy as sa

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import rows
from virtdc_agent.journal.statements import among
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent.journal.tables import VOLUMES
from virtdc_agent.journal.transaction import chunks
from virtdc_agent.journal.transaction import Texts
from virtdc_agent.journal.transaction import TOTAL_COLUMNS
from virtdc_agent.journal.transaction import Totals
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

R = TypeVar('R')

_TOTALS = sa.select(*TOTAL_COLUMNS).where(TOTALS.c.id == 1)
_CHANGES = (
    sa.select(TRANSITIONS.c.body)
    .where(TRANSITIONS.c.sequence > sa.bindparam('after'))
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
        self._engine = engine
        self._texts = texts
        self._turn = turn or contextlib.nullcontext()
        self._idle: list[Any] = []
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Let go of all connections; no other call may follow."""
        self._closed = True
        self._forget()

    def run(self, question: Callable[[Any], R]) -> R:
        """Ask on a connection, in a transaction of its own.

        :raises JournalUnavailable: there is no answer.
        """
        if self._closed:
            raise exceptions.JournalUnavailable('the journal is closed.')
        with self._turn, engines.translated(self._engine.url):
            connection = self._borrow()
            if connection is not None:
                try:
                    return self._ask(connection, question)
                except db_exception.DBConnectionError:
                    # It may have been idle for longer than the server
                    # bears, or the server began anew: so with the others.
                    self._forget()
            return self._ask(self._engine.connect(), question)

    def totals(self) -> Totals:
        """Return the totals."""
        return self.run(
            lambda connection: Totals(*connection.execute(_TOTALS).one())
        )

    def has_next(self, lane: Lane) -> bool:
        """Say whether something in a lane may begin, suspects included."""

        return self.run(
            lambda connection: (
                connection.execute(_NEXT, {'lane': lane.value}).first()
                is not None
            )
        )

    def transitions(self, after: int, limit: int) -> list[Transition]:
        """Return transitions, in order."""
        bodies = self.run(
            lambda connection: (
                connection.execute(_CHANGES, {'after': after, 'most': limit})
                .scalars()
                .all()
            )
        )
        return [self._texts.transitions.read(body) for body in bodies]

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
        content = self.run(
            lambda connection: connection.execute(
                _CONTENT, {'of': event_id}
            ).scalar()
        )
        if content is None:
            raise exceptions.EventNotFound(f'There is no event {event_id}.')
        return rows.event_from(content)

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
        return frozenset(
            self.run(
                lambda connection: connection.execute(_FENCES).scalars().all()
            )
        )

    def volume(self, volume_id: str) -> Volume:
        """See ``Journal.get_volume``."""
        body = self.run(
            lambda connection: connection.execute(
                _VOLUME, {'of': volume_id}
            ).scalar()
        )
        if body is None:
            raise exceptions.VolumeNotFound(
                f'The data centre has no volume {volume_id}.'
            )
        return rows.volume_from(body)

    def volumes(self, marker: str | None, limit: int) -> model.VolumePage:
        """See ``Journal.get_volumes``."""
        query = (
            sa.select(VOLUMES.c.body)
            .order_by(VOLUMES.c.volume_id)
            .limit(limit + 1)
        )
        if marker is not None:
            query = query.where(VOLUMES.c.volume_id > marker)
        bodies = self.run(
            lambda connection: connection.execute(query).scalars().all()
        )
        volumes = [rows.volume_from(body) for body in bodies[:limit]]
        return model.VolumePage(
            volumes=volumes,
            next_marker=(
                volumes[-1].volume_id if len(bodies) > limit else None
            ),
        )

    def _each(self, statement: Any, wanted: Iterable[str]) -> Iterator[Any]:
        for chunk in chunks(wanted):
            yield from self.run(
                lambda connection, chunk=chunk: connection.execute(  # type: ignore[misc]
                    statement, {'wanted': chunk}
                ).all()
            )

    def _ask(self, connection: Any, question: Callable[[Any], R]) -> R:
        try:
            with connection.begin():
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
