"""The journal's other side: what people do to it."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Sequence
import contextlib
import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import Transition
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent.journal.alarm_book import AlarmBook
from virtdc_agent.journal.change import Change
from virtdc_agent.journal import checking
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import listing
from virtdc_agent.journal import purging
from virtdc_agent.journal.reading import Reader
from virtdc_agent.journal.resyncs import ResyncBook
from virtdc_agent.journal import rows
from virtdc_agent.journal import surveying
from virtdc_agent.journal.tables import AGENTS
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent.journal.transaction import Texts
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent.journal.writing import Writer
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

R = TypeVar('R')


class SqlKeeping(AlarmBook, ResyncBook, interfaces.JournalKeeping):
    """See the interface.

    :param engine: the journal's database, whose schema is at head.
    :param turn: see ``SqlJournal``.
    """

    def __init__(
        self,
        engine: Any,
        *,
        clock: interfaces.Clock,
        turn: contextlib.AbstractContextManager[Any] | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        texts = Texts()
        super().__init__(
            Reader(engine, texts, turn=turn),
            Writer(engine, texts, clock, turn=turn),
        )

    def get_records(self, query: model.RecordQuery) -> model.RecordPage:
        """See the interface."""
        wanted = (
            sa.select(EVENTS)
            .where(*_conditions(query))
            .order_by(EVENTS.c.id.desc())
            .limit(query.limit + 1)
        )
        found = self._reader.run(
            lambda connection: connection.execute(wanted).all()
        )
        records = [_record(row) for row in found[: query.limit]]
        return model.RecordPage(
            records=records,
            next_marker=(
                records[-1].record_id if len(found) > query.limit else None
            ),
        )

    def get_record(self, event_id: str) -> model.Record:
        """See the interface."""
        query = sa.select(EVENTS).where(EVENTS.c.event_id == event_id)
        row = self._reader.run(
            lambda connection: connection.execute(query).first()
        )
        if row is None:
            raise exceptions.EventNotFound(
                f'There is no event {event_id}; ended ones are forgotten '
                'after a while.'
            )
        return _record(row)

    def get_history(self, event_id: str) -> Sequence[Transition]:
        """See the interface."""
        record = self.get_record(event_id)
        query = (
            sa.select(TRANSITIONS.c.body)
            .where(TRANSITIONS.c.event == record.record_id)
            .order_by(TRANSITIONS.c.sequence)
        )
        bodies = self._reader.run(
            lambda connection: connection.execute(query).scalars().all()
        )
        return [rows.transition_from(body) for body in bodies]

    def count_ahead(self, event_id: str, most: int) -> int | None:
        """See the interface."""
        return listing.count_ahead(self._reader, event_id, most)

    def get_volume_page(self, query: model.VolumeQuery) -> model.VolumeListing:
        """See the interface."""
        return listing.get_volume_page(self._reader, query)

    def get_snapshot(self, snapshot_id: str) -> Snapshot:
        """See the interface."""
        return listing.get_snapshot(self._reader, snapshot_id)

    def get_snapshot_page(
        self, query: model.SnapshotQuery
    ) -> model.SnapshotPage:
        """See the interface."""
        return listing.get_snapshot_page(self._reader, query)

    def get_agents(self) -> Sequence[model.AgentRecord]:
        """See the interface."""
        holding = (
            sa.select(EVENTS.c.holder, EVENTS.c.is_closed, sa.func.count())
            .where(EVENTS.c.holder.is_not(None))
            .group_by(EVENTS.c.holder, EVENTS.c.is_closed)
        )
        server_time = engines.server_time(self._engine)

        def question(connection: Any) -> tuple[Any, Any, str | None, float]:
            now = (
                self._clock.now().timestamp()
                if server_time is None
                else float(connection.execute(sa.select(server_time)).scalar())
            )
            return (
                connection.execute(
                    sa.select(AGENTS).order_by(AGENTS.c.name)
                ).all(),
                connection.execute(holding).all(),
                connection.execute(sa.select(TOTALS.c.publisher)).scalar(),
                now,
            )

        agents, held, publisher, now = self._reader.run(question)
        counts = {
            (holder, bool(is_closed)): count
            for holder, is_closed, count in held
        }
        return [
            model.AgentRecord(
                name=row.name,
                life=row.life,
                host=row.host,
                process_id=row.process_id,
                version=row.version,
                started_at=_time(row.started),
                lease_until=_time(row.lease_until),
                is_alive=row.lease_until > now,
                is_draining=row.is_draining,
                is_publisher=row.name == publisher,
                running=counts.get((row.name, False), 0),
                closed=counts.get((row.name, True), 0),
            )
            for row in agents
        ]

    def survey(self) -> model.Survey:
        """See the interface."""
        return surveying.survey(
            self._reader, engines.server_time(self._engine), self._clock
        )

    def set_draining(self, name: str, is_draining: bool) -> None:
        """See the interface."""
        changed = self._write(
            AGENTS.update()
            .where(AGENTS.c.name == name)
            .values(is_draining=is_draining)
        )
        if not changed:
            raise exceptions.AgentNotFound(
                f'No agent {name} has ever joined this journal: '
                '"virtdc-manage agent list" shows those that have.'
            )

    def purge(self, retention: model.Retention) -> model.Purged:
        """See the interface."""
        events = self._repeat(lambda: purging.PurgeEvents(retention))
        transitions = self._repeat(lambda: purging.PurgeHistory(retention))
        self._repeat(purging.PurgeRest)
        return model.Purged(events=events, transitions=transitions)

    def check(self) -> Sequence[str]:
        """See the interface."""
        return self._writer.run(_Check())

    def close(self) -> None:
        """Let go of the database. No other call may follow."""
        self._writer.close()
        self._reader.close()
        self._engine.dispose()

    def _repeat(self, make: Any) -> int:
        """Carry out steps until one finds nothing more; return the sum."""
        total = 0
        while done := self._writer.run(make()):
            total += done
        return total

    def _write(self, statement: Any) -> int:
        return self._writer.run(_Statement(statement))


class _Statement(Change[int]):
    """One statement; returns how many rows it changed."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement

    def apply(self, tx: Transaction) -> int:
        """See the base."""
        count: int = tx.connection.execute(self._statement).rowcount
        return count


class _Check(Change[Sequence[str]]):
    """Look at everything, while nobody writes."""

    def apply(self, tx: Transaction) -> Sequence[str]:
        """See the base."""
        return checking.find_problems(tx.connection)


def _conditions(query: model.RecordQuery) -> Collection[Any]:
    conditions: list[Any] = []
    if query.states:
        conditions.append(EVENTS.c.state.in_([*query.states]))
    if query.operations:
        conditions.append(EVENTS.c.operation.in_([*query.operations]))
    for column, value in (
        (EVENTS.c.volume_id, query.volume_id),
        (EVENTS.c.project_id, query.project_id),
        (EVENTS.c.origin, query.origin),
    ):
        if value is not None:
            conditions.append(column == value)
    if query.marker is not None:
        conditions.append(EVENTS.c.id < query.marker)
    return conditions


def _record(row: Any) -> model.Record:
    return model.Record(
        record_id=row.id,
        event=rows.event_from(row.content),
        latest=rows.transition_from(row.latest),
        accepted_at=_time(row.accepted),
        lane=Lane(row.lane),
        holder=row.holder,
        losses=row.losses,
        is_cancel_requested=row.cancel_requested,
        is_closed=row.is_closed,
    )


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
