"""The journal in an SQL database."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import threading
from typing import Any, TypeVar

import sqlalchemy as sa

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract import fields
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.group_commit import GroupCommit
from virtdc_agent.journal.group_commit import Request
from virtdc_agent.journal import rows
from virtdc_agent.journal.tables import COUNTERS
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent.journal.tables import VOLUMES
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model

R = TypeVar('R')

_CHUNK = 500
"""Most ids in one question: SQLite takes 999 parameters at least."""

_NEXT = (
    sa.select(EVENTS)
    .where(EVENTS.c.state == 'waiting', EVENTS.c.blockers == 0)
    .order_by(EVENTS.c.id)
    .limit(sa.bindparam('most'))
)
_CHANGES = (
    sa.select(TRANSITIONS.c.body)
    .where(TRANSITIONS.c.sequence > sa.bindparam('after'))
    .order_by(TRANSITIONS.c.sequence)
    .limit(sa.bindparam('most'))
)
_OLDEST = sa.select(sa.func.min(TRANSITIONS.c.sequence))
_COUNTER = sa.select(COUNTERS.c.value).where(
    COUNTERS.c.name == sa.bindparam('wanted')
)


class SqlJournal(interfaces.Journal):
    """Keeps events, their history and volumes in a database.

    Writers share transactions (see ``group_commit``), through one connection
    of their own; readers have others and are not held up by them.

    :param engine: a database whose schema is at head.
    :param agent: name of the agent, the holder of its claims.
    """

    def __init__(
        self,
        engine: Any,
        *,
        agent: str,
        clock: interfaces.Clock,
        lease_s: float,
    ) -> None:
        self._engine = engine
        self._agent = agent
        self._clock = clock
        self._lease_s = lease_s
        self._writer: Any | None = None
        self._readers: list[Any] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        self._callbacks: list[Callable[[], None]] = []
        self._writes: GroupCommit[Transaction] = GroupCommit(self._commit)

    def append(self, event: Event) -> Transition:
        """See the interface."""
        content = rows.event_text(event)

        def change(tx: Transaction) -> Transition:
            row = tx.find(event.event_id)
            if row is not None:
                if row.content != content:
                    raise exceptions.EventConflict(
                        f'Event id {event.event_id} belongs to another '
                        'event: every event needs an id of its own.'
                    )
                return rows.transition_from(row.latest)
            transition = Transition(
                event_id=event.event_id,
                operation=event.operation,
                volume_id=event.volume_id,
                origin=event.origin,
                state=State.WAITING,
                sequence=tx.add('sequence', 1),
                occurred_at=self._clock.now(),
                requested_by=event.requested_by,
            )
            tx.insert_event(event, content, transition)
            return transition

        return self._write(change)

    def claim(self, limit: int) -> Sequence[model.Claim]:
        """See the interface."""
        if limit <= 0:
            return []
        # Most questions find nothing; they need not disturb the writers.
        with self._reading() as connection:
            if connection.execute(_NEXT, {'most': 1}).first() is None:
                return []

        def change(tx: Transaction) -> Sequence[model.Claim]:
            found = tx.connection.execute(_NEXT, {'most': limit}).all()
            return [self._begin(tx, row) for row in found]

        return self._write(change)

    def renew(self, claims: Collection[model.Claim]) -> Sequence[model.Claim]:
        """See the interface."""

        def change(tx: Transaction) -> Sequence[model.Claim]:
            lost = []
            for claim in claims:
                renewed = tx.connection.execute(
                    EVENTS.update()
                    .where(
                        EVENTS.c.event_id == claim.event.event_id,
                        EVENTS.c.fence == claim.fence,
                        EVENTS.c.state == 'running',
                    )
                    .values(lease_until=self._lease_end())
                )
                if renewed.rowcount == 0:
                    lost.append(claim)
            return lost

        return self._writes.run(change)

    def record_progress(
        self, claim: model.Claim, progress: model.Progress
    ) -> None:
        """See the interface."""

        def change(tx: Transaction) -> None:
            row = tx.held(claim)
            latest = rows.transition_from(row.latest)
            known = [
                percent
                for percent in (latest.progress, progress.percent)
                if percent is not None
            ]
            tx.save(
                row,
                dataclasses.replace(
                    latest,
                    sequence=tx.add('sequence', 1),
                    occurred_at=self._clock.now(),
                    progress=max(known, default=None),
                    bytes_done=progress.bytes_done,
                    bytes_total=progress.bytes_total,
                    phase=fields.clean_text(progress.phase, 64),
                ),
                fence=claim.fence,
                holder=self._agent,
                lease_until=row.lease_until,
            )

        self._write(change)

    def settle(self, claim: model.Claim, outcome: model.Outcome) -> Transition:
        """See the interface."""

        def change(tx: Transaction) -> Transition:
            row = tx.find(claim.event.event_id)
            if row is not None and row.fence == claim.fence:
                latest = rows.transition_from(row.latest)
                if latest.state.is_final:
                    return latest
            row = tx.held(claim)
            transition = self._final(tx, row, outcome)
            tx.save(row, transition, fence=claim.fence)
            tx.change_volume(outcome.change)
            tx.leave_queue(row, claim.event.resources)
            return transition

        return self._write(change)

    def release(self, claim: model.Claim) -> None:
        """See the interface."""

        def change(tx: Transaction) -> None:
            row = tx.held(claim)
            self._put_back(tx, row)

        self._write(change)

    def fence_off(
        self, claim: model.Claim, outcome: model.Outcome
    ) -> Transition:
        """See the interface."""

        def change(tx: Transaction) -> Transition:
            row = tx.held(claim)
            transition = self._final(tx, row, outcome)
            tx.save(
                row,
                transition,
                fence=claim.fence,
                holder=self._agent,
                is_closed=True,
            )
            return transition

        return self._write(change)

    def unfence(
        self, claim: model.Claim, change: model.VolumeChange | None
    ) -> None:
        """See the interface."""

        def reopen(tx: Transaction) -> None:
            row = tx.find(claim.event.event_id)
            if row is None or row.fence != claim.fence or not row.is_closed:
                return
            tx.change_volume(change)
            self._open(tx, row)

        self._write(reopen)

    def recover(self) -> Sequence[Transition]:
        """See the interface."""

        def change(tx: Transaction) -> Sequence[Transition]:
            closed = tx.connection.execute(
                sa.select(EVENTS).where(
                    EVENTS.c.is_closed, EVENTS.c.holder == self._agent
                )
            ).all()
            for row in closed:
                self._open(tx, row)
            running = tx.connection.execute(
                sa.select(EVENTS)
                .where(
                    EVENTS.c.state == 'running',
                    EVENTS.c.holder == self._agent,
                )
                .order_by(EVENTS.c.id)
            ).all()
            return [self._put_back(tx, row) for row in running]

        return self._write(change)

    def cancel(self, event_id: str) -> Transition:
        """See the interface."""

        def change(tx: Transaction) -> Transition:
            row = tx.find(event_id)
            if row is None:
                raise exceptions.EventNotFound(
                    f'There is no event {event_id}.'
                )
            latest = rows.transition_from(row.latest)
            if latest.state.is_final:
                return latest
            if latest.attempt > 0:
                tx.connection.execute(
                    EVENTS.update()
                    .where(EVENTS.c.id == row.id)
                    .values(cancel_requested=True)
                )
                return latest
            outcome = model.Outcome(
                state=State.FAILED,
                reason=Reason.CANCELLED,
                message='Cancelled before it was begun; nothing was done.',
            )
            transition = self._final(tx, row, outcome)
            tx.save(row, transition, fence=row.fence)
            tx.leave_queue(row, rows.event_from(row.content).resources)
            return transition

        return self._write(change)

    def get_cancelled(
        self, claims: Collection[model.Claim]
    ) -> Sequence[model.Claim]:
        """See the interface."""
        by_id = {claim.event.event_id: claim for claim in claims}
        found = []
        for ids in _chunks(by_id):
            with self._reading() as connection:
                found += connection.execute(
                    sa.select(EVENTS.c.event_id, EVENTS.c.fence).where(
                        EVENTS.c.event_id.in_(ids),
                        EVENTS.c.state == 'running',
                        EVENTS.c.cancel_requested,
                    )
                ).all()
        return [
            by_id[row.event_id]
            for row in found
            if row.fence == by_id[row.event_id].fence
        ]

    def get_latest(
        self, event_ids: Collection[str]
    ) -> Mapping[str, Transition]:
        """See the interface."""
        latest: dict[str, Transition] = {}
        for ids in _chunks(event_ids):
            with self._reading() as connection:
                found = connection.execute(
                    sa.select(EVENTS.c.event_id, EVENTS.c.latest).where(
                        EVENTS.c.event_id.in_(ids)
                    )
                ).all()
            for row in found:
                latest[row.event_id] = rows.transition_from(row.latest)
        return latest

    def get_event(self, event_id: str) -> Event:
        """See the interface."""
        with self._reading() as connection:
            content = connection.execute(
                sa.select(EVENTS.c.content).where(
                    EVENTS.c.event_id == event_id
                )
            ).scalar()
        if content is None:
            raise exceptions.EventNotFound(f'There is no event {event_id}.')
        return rows.event_from(content)

    def get_changes(self, after: int, limit: int) -> model.Changes:
        """See the interface."""
        with self._reading() as connection:
            bodies = (
                connection.execute(_CHANGES, {'after': after, 'most': limit})
                .scalars()
                .all()
            )
            oldest = connection.execute(_OLDEST).scalar() or 0
            last = connection.execute(
                _COUNTER, {'wanted': 'sequence'}
            ).scalar()
        return model.Changes(
            transitions=[rows.transition_from(body) for body in bodies],
            oldest=oldest,
            last=last,
        )

    def get_published(self) -> int:
        """See the interface."""
        with self._reading() as connection:
            value: int = connection.execute(
                _COUNTER, {'wanted': 'published'}
            ).scalar_one()
        return value

    def mark_published(self, sequence: int) -> None:
        """See the interface."""

        def change(tx: Transaction) -> None:
            tx.add('published', max(0, sequence - tx.counter('published')))

        self._writes.run(change)

    def get_volume(self, volume_id: str) -> Volume:
        """See the interface."""
        with self._reading() as connection:
            body = connection.execute(
                sa.select(VOLUMES.c.body).where(
                    VOLUMES.c.volume_id == volume_id
                )
            ).scalar()
        if body is None:
            raise exceptions.VolumeNotFound(
                f'The data centre has no volume {volume_id}.'
            )
        return rows.volume_from(body)

    def get_volumes(self, marker: str | None, limit: int) -> model.VolumePage:
        """See the interface."""
        query = (
            sa.select(VOLUMES.c.body)
            .order_by(VOLUMES.c.volume_id)
            .limit(limit + 1)
        )
        if marker is not None:
            query = query.where(VOLUMES.c.volume_id > marker)
        with self._reading() as connection:
            bodies = connection.execute(query).scalars().all()
        volumes = [rows.volume_from(body) for body in bodies[:limit]]
        return model.VolumePage(
            volumes=volumes,
            next_marker=(
                volumes[-1].volume_id if len(bodies) > limit else None
            ),
        )

    def count(self) -> model.Counts:
        """See the interface."""
        with self._reading() as connection:
            values = {
                row.name: row.value
                for row in connection.execute(sa.select(COUNTERS))
            }
        return model.Counts(
            waiting=values['waiting'],
            running=values['running'],
            volumes=values['volumes'],
            provisioned_bytes=values['provisioned_bytes'],
        )

    def subscribe(self, callback: Callable[[], None]) -> None:
        """See the interface."""
        self._callbacks = [*self._callbacks, callback]

    def close(self) -> None:
        """See the interface."""
        self._closed = True
        with self._readers_lock:
            readers, self._readers = self._readers, []
        for connection in readers:
            connection.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._engine.dispose()

    def _begin(self, tx: Transaction, row: Any) -> model.Claim:
        event = rows.event_from(row.content)
        fence = tx.add('sequence', 1)
        transition = dataclasses.replace(
            rows.transition_from(row.latest),
            state=State.RUNNING,
            sequence=fence,
            occurred_at=self._clock.now(),
            attempt=row.attempt + 1,
            progress=None,
            bytes_done=None,
            bytes_total=None,
            phase='',
        )
        tx.save(
            row,
            transition,
            fence=fence,
            holder=self._agent,
            lease_until=self._lease_end(),
        )
        return model.Claim(
            event=event,
            attempt=transition.attempt,
            fence=fence,
            volume=tx.volume(event.volume_id),
        )

    def _final(
        self, tx: Transaction, row: Any, outcome: model.Outcome
    ) -> Transition:
        latest = rows.transition_from(row.latest)
        succeeded = outcome.state is State.SUCCESS
        return dataclasses.replace(
            latest,
            state=outcome.state,
            sequence=tx.add('sequence', 1),
            occurred_at=self._clock.now(),
            progress=100 if succeeded else latest.progress,
            bytes_done=latest.bytes_total if succeeded else latest.bytes_done,
            reason=outcome.reason,
            message=fields.clean_text(outcome.message),
            result=outcome.result,
        )

    def _put_back(self, tx: Transaction, row: Any) -> Transition:
        transition = dataclasses.replace(
            rows.transition_from(row.latest),
            state=State.WAITING,
            sequence=tx.add('sequence', 1),
            occurred_at=self._clock.now(),
            progress=None,
            bytes_done=None,
            bytes_total=None,
            phase='',
        )
        tx.save(row, transition, fence=row.fence)
        return transition

    def _open(self, tx: Transaction, row: Any) -> None:
        tx.connection.execute(
            EVENTS.update()
            .where(EVENTS.c.id == row.id)
            .values(is_closed=False, holder=None)
        )
        tx.leave_queue(row, rows.event_from(row.content).resources)

    def _lease_end(self) -> float:
        return self._clock.now().timestamp() + self._lease_s

    def _commit(self, requests: Sequence[Request[Transaction]]) -> None:
        if self._closed:
            raise exceptions.JournalUnavailable('the journal is closed.')
        try:
            with engines.translated(self._engine.url):
                if self._writer is None:
                    self._writer = self._engine.connect()
                with engines.writing(self._writer):
                    tx = Transaction(self._writer)
                    for request in requests:
                        # A change that refuses itself has read only; what
                        # the database says ends them all.
                        try:
                            request.result = request.change(tx)
                        except exceptions.AgentError as exc:
                            request.error = exc
                    tx.flush()
        except BaseException:
            self._drop_writer()
            raise

    def _drop_writer(self) -> None:
        """Begin anew with another connection after an error."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with contextlib.suppress(Exception):
                writer.invalidate()
            with contextlib.suppress(Exception):
                writer.close()

    def _write(self, change: Callable[[Transaction], R]) -> R:
        """Carry out a change that others want to hear of."""
        result = self._writes.run(change)
        for callback in self._callbacks:
            callback()
        return result

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        """Lend a connection, in a transaction of its own."""
        if self._closed:
            raise exceptions.JournalUnavailable('the journal is closed.')
        with engines.translated(self._engine.url):
            with self._readers_lock:
                connection = self._readers.pop() if self._readers else None
            if connection is None:
                connection = self._engine.connect()
            try:
                with connection.begin():
                    yield connection
            except BaseException:
                with contextlib.suppress(Exception):
                    connection.close()
                raise
            with self._readers_lock:
                self._readers.append(connection)


def _chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    every = list(ids)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]
