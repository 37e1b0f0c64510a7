"""One write transaction: what its changes have in hand, and what they leave.

A unit of work (Fowler, "Patterns of Enterprise Application Architecture").
Changes read through it, and say what is to be written; all of it is written
at the end, table by table, in as few statements as there are tables. That is
what lets a hundred changes cost little more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent.journal.fairness import Shares
from virtdc_agent.journal import pool_totals
from virtdc_agent.journal.row import Row
from virtdc_agent.journal.row import Transitions
from virtdc_agent.journal import rows
from virtdc_agent.journal import statements
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

T = TypeVar('T')

_CHUNK = 500
"""Most values in one question: SQLite takes 999 at least."""


@dataclasses.dataclass(slots=True)
class Totals:
    """The row of ``totals``: see there."""

    event: int
    sequence: int
    published: int
    waiting: int
    running: int
    suspects: int
    finished: int
    volumes: int
    provisioned_bytes: int
    publisher: str | None
    scanner: str | None
    alarm_revision: int
    shares: str
    pools: str

    def counts(self) -> model.Counts:
        """Return what others may know."""
        return model.Counts(
            waiting=self.waiting,
            running=self.running,
            volumes=self.volumes,
            provisioned_bytes=self.provisioned_bytes,
            suspects=self.suspects,
            finished=self.finished,
            sequence=self.sequence,
            published=self.published,
            pools=pool_totals.read(self.pools),
        )


TOTAL_COLUMNS = [TOTALS.c[field.name] for field in dataclasses.fields(Totals)]


def reading_totals(is_now: Any | None) -> Any:
    """Return the statement that locks the totals, and asks for the time.

    To be made once: to make it costs more than to carry it out.

    :param is_now: an expression of the database's time, in seconds; ``None``:
        it has none of its own.
    """
    columns: list[Any] = list(TOTAL_COLUMNS)
    if is_now is not None:
        columns.append(is_now)
    return sa.select(*columns).with_for_update()


class Texts:
    """What one agent remembers of texts in the journal."""

    def __init__(self) -> None:
        self.transitions = Transitions()
        self.events = rows.Memory(rows.event_from)


class Transaction:
    """Reads and writes within one transaction, in two phases.

    First rows of events are read and locked; then ``begin_writing`` locks
    the totals, and with them the sequence, until the commit: from there on
    this is the only writer. ``flush`` writes all.

    :param read_totals: see ``reading_totals``.
    """

    def __init__(
        self,
        connection: Any,
        *,
        texts: Texts,
        read_totals: Any,
        clock_now: Callable[[], datetime.datetime],
    ) -> None:
        self.connection = connection
        self.texts = texts
        self.woken: set[Lane] = set()
        """Lanes in which something may begin that could not before."""
        self.told: list[Transition] = []
        """What this adds to the history, in its order."""
        self.candidates_wanted: dict[tuple[Lane, bool], int] = {}
        self._reading_totals = read_totals
        self._clock_now = clock_now
        self._rows: dict[str, Row] = {}
        self._asked: set[str] = set()
        self._changed: dict[int, Row] = {}
        self._new: list[dict[str, object]] = []
        self._new_events: dict[int, Event] = {}
        self._occupied: dict[str, int] = {}
        self._joined: list[dict[str, object]] = []
        self._left: list[dict[str, object]] = []
        self._opened: set[str] = set()
        self._flows: dict[str, int | None] = {}
        self._moved: dict[str, tuple[str, int]] = {}
        self._volumes: dict[str, model.PutVolume | model.RemoveVolume] = {}
        self._snapshots: dict[str, Snapshot | None] = {}
        self._trash: dict[str, TrashedVolume | None] = {}
        self._history: list[dict[str, object]] = []
        self.shares: Shares | None = None
        self.totals: Totals

    # Phase one.

    def load(self, event_ids: Collection[str]) -> None:
        """Read and lock the rows of events, of those there are."""
        self._asked.update(event_ids)
        for found in self.select(statements.LOAD, event_ids):
            self.adopt(found)

    def adopt(self, found: Any) -> Row:
        """Return the one row that stands for what was found."""
        return self._rows.setdefault(found.event_id, Row.from_database(found))

    def select(
        self, statement: Any, wanted: Iterable[object]
    ) -> Iterator[Any]:
        """Yield what a statement finds, for any number of values."""
        for chunk in chunks(wanted):
            yield from self.connection.execute(statement, {'wanted': chunk})

    # Between the phases.

    def begin_writing(
        self, resources: Collection[str], flows: Collection[str]
    ) -> None:
        """Lock the totals; read what appending needs to know."""
        self._read_totals()
        self._occupied.update(dict.fromkeys(resources, 0))
        for resource, count in self.select(statements.OCCUPIED, resources):
            self._occupied[resource] = count
        self._flows.update(dict.fromkeys(flows))
        for flow, finish in self.select(statements.FLOW_ENDS, flows):
            self._flows[flow] = finish

    # Phase two.

    @property
    def now(self) -> datetime.datetime:
        """The time: the same for all of the transaction."""
        return self._now

    @property
    def seconds(self) -> float:
        """The time in seconds since 1970."""
        return self._seconds

    def row(self, event_id: str) -> Row | None:
        """Return the row of an event that was loaded, if there is one."""
        if event_id not in self._asked and event_id not in self._rows:
            raise LookupError(f'event {event_id} was not loaded')
        return self._rows.get(event_id)

    def held(self, claim: model.Claim) -> Row:
        """Return the row of a running event that this claim holds.

        :raises LeaseLost: it does not, or the event does not run.
        """
        row = self.row(claim.event.event_id)
        if row is None or row.fence != claim.fence or row.state != 'running':
            raise exceptions.LeaseLost(
                f'Event {claim.event.event_id} is not held by this claim.'
            )
        return row

    def latest(self, row: Row) -> Transition:
        """Return an event's latest transition."""
        return self.texts.transitions.read(row.latest)

    def get_events(self, found: Collection[Row]) -> Mapping[int, Event]:
        """Return the events of rows, by id."""
        stored = [row.id for row in found if row.id not in self._new_events]
        return {
            id_: self.texts.events.get(content)
            for id_, content in self.select(statements.CONTENTS, stored)
        } | self._new_events

    def get_event(self, row: Row) -> Event:
        """Return the event of a row."""
        return self.get_events([row])[row.id]

    def next_alarm_revision(self) -> int:
        """Return a revision that no alarm has had."""
        self.totals.alarm_revision += 1
        return self.totals.alarm_revision

    def next_sequence(self) -> int:
        """Return the next place in the history."""
        self.totals.sequence += 1
        return self.totals.sequence

    def transit(self, row: Row, transition: Transition) -> None:
        """Make a transition the latest of an event, and count states.

        Other attributes of the row may be changed before or after.
        """
        self._count(row, -1)
        row.latest = self._note(row.id, transition)
        row.state = transition.state.value
        row.attempt = transition.attempt
        if transition.state.is_final:
            row.ended = self.seconds
        row.is_suspect = transition.state is State.WAITING and row.losses > 0
        if transition.state is State.WAITING:
            self.woken.add(Lane(row.lane))
        self._count(row, 1)
        self._changed[row.id] = row

    def touch(self, row: Row) -> None:
        """Have a row written that was changed without a transition."""
        self._changed[row.id] = row

    def insert(
        self, row: Row, content: str, latest: Transition, event: Event
    ) -> None:
        """Write a new event at the end of its queues."""
        row.latest = self._note(row.id, latest)
        self._rows[row.event_id] = row
        self._count(row, 1)
        resources = set(event.resources)
        blockers = sum(self._occupied[one] > 0 for one in resources)
        if not blockers:
            self.woken.add(Lane(row.lane))
        self._new.append(
            {**row.columns(), 'content': content, 'blockers': blockers}
        )
        self._new_events[row.id] = event
        self.texts.events.put(content, event)
        for resource in resources:
            self._occupied[resource] += 1
            self._joined.append({'resource': resource, 'event': row.id})

    def is_occupied(self, resource: str) -> bool:
        """Say whether an event is in the queue of a resource.

        Of one that a change of this transaction joins the queue of.
        """
        return self._occupied[resource] > 0

    def leave(self, row: Row, resources: Iterable[str]) -> None:
        """Let go of the resources of an event that was first on all."""
        for resource in resources:
            self._left.append({'on': resource, 'of': row.id})
            self._opened.add(resource)

    def withdraw(self, row: Row, resources: Iterable[str]) -> None:
        """Let go of the resources of an event that may be anywhere."""
        # Two who go in one transaction were both there at its beginning.
        first = dict(self.select(statements.FIRST, resources))
        for resource in resources:
            self._left.append({'on': resource, 'of': row.id})
            # One that was in the middle held nobody up alone.
            if first.get(resource, self._first_new(resource)) == row.id:
                self._opened.add(resource)

    def flow_end(self, flow: str) -> int:
        """Return a flow's end; 0 if it has none."""
        return self._flows[flow] or 0

    def move_flow(self, flow: str, share: str, finish: int) -> None:
        """Set a flow's end."""
        self._moved[flow] = (share, finish)
        if self._flows[flow] is not None:
            self._flows[flow] = finish

    def get_volumes(self, volume_ids: Collection[str]) -> dict[str, Volume]:
        """Return those volumes that there are, by id."""
        return {
            volume_id: rows.volume_from(body)
            for volume_id, body in self.select(
                statements.VOLUME_BODIES, volume_ids
            )
        }

    def get_snapshots(
        self, volume_ids: Collection[str]
    ) -> dict[str, tuple[Snapshot, ...]]:
        """Return the snapshots of volumes, by the volume's id."""
        found: dict[str, tuple[Snapshot, ...]] = {}
        for volume_id, body in self.select(
            statements.SNAPSHOTS_OF, volume_ids
        ):
            found[volume_id] = (
                *found.get(volume_id, ()),
                rows.snapshot_from(body),
            )
        return found

    def get_trashed(
        self, volume_ids: Collection[str]
    ) -> dict[str, TrashedVolume]:
        """Return what lies in the trash, by the volume's id."""
        return {
            volume_id: rows.trashed_from(body)
            for volume_id, body in self.select(
                statements.TRASH_BODIES, volume_ids
            )
        }

    def change_volume(self, change: model.VolumeChange | None) -> None:
        """Write what an operation made of its volume."""
        match change:
            case model.PutVolume(volume=volume):
                self._volumes[volume.volume_id] = change
            case model.RemoveVolume(volume_id=volume_id):
                self._volumes[volume_id] = change
                if change.is_purged:
                    self._trash[volume_id] = None
            case model.DiscardVolume(trashed=trashed):
                volume_id = trashed.volume.volume_id
                self._volumes[volume_id] = model.RemoveVolume(
                    volume_id=volume_id
                )
                self._trash[volume_id] = trashed
            case model.RestoreVolume(volume=volume):
                self._volumes[volume.volume_id] = model.PutVolume(
                    volume=volume
                )
                self._trash[volume.volume_id] = None
            case model.PurgeVolume(volume_id=volume_id):
                self._trash[volume_id] = None
            case model.PutSnapshot(snapshot=snapshot):
                self._snapshots[snapshot.snapshot_id] = snapshot
            case model.PutSnapshots(snapshots=snapshots):
                for snapshot in snapshots:
                    self._snapshots[snapshot.snapshot_id] = snapshot
            case model.RemoveSnapshot(snapshot_id=snapshot_id):
                self._snapshots[snapshot_id] = None
            case None:
                pass

    @property
    def has_history(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._history)

    def flush(self) -> None:
        """Write everything."""
        self._run(statements.ADD_EVENTS, self._new)
        self._run(
            statements.UPDATE,
            [row.changes() for row in self._changed.values()],
        )
        self._run(statements.ADD_TRANSITIONS, self._history)
        self._run(statements.JOIN, self._joined)
        self._flush_leaving()
        self._flush_flows()
        self._flush_volumes()
        self._flush_snapshots()
        self._flush_trash()
        if self.shares is not None:
            self.totals.shares = self.shares.to_text()
        if self.totals != self._totals_before:
            values = {
                f'new_{field.name}': getattr(self.totals, field.name)
                for field in dataclasses.fields(Totals)
            }
            self.connection.execute(statements.KEEP_TOTALS, values)

    def open_shares(self) -> Shares:
        """Return the virtual times, to be changed in place."""
        if self.shares is None:
            self.shares = Shares(self.totals.shares)
        return self.shares

    def _read_totals(self) -> None:
        # Locks the row, and with it the sequence.
        found = self.connection.execute(self._reading_totals).one()
        self.totals = Totals(*found[: len(TOTAL_COLUMNS)])
        self._now = (
            self._clock_now()
            if len(found) == len(TOTAL_COLUMNS)
            else datetime.datetime.fromtimestamp(
                float(found[-1]), datetime.UTC
            )
        )
        self._seconds = self._now.timestamp()
        self._totals_before = dataclasses.replace(self.totals)

    def _first_new(self, resource: str) -> object:
        for one in self._joined:
            if one['resource'] == resource:
                return one['event']
        return None

    def _note(self, row_id: int, transition: Transition) -> str:
        text = self.texts.transitions.write(transition)
        self.told.append(transition)
        self._history.append(
            {
                'sequence': transition.sequence,
                'event': row_id,
                'occurred': self.seconds,
                'body': text,
            }
        )
        return text

    def _count(self, row: Row, sign: int) -> None:
        match row.state:
            case 'waiting':
                self.totals.waiting += sign
                self.totals.suspects += sign * row.is_suspect
            case 'running':
                self.totals.running += sign
            case _:
                self.totals.finished += sign

    def _flush_leaving(self) -> None:
        if not self._left:
            return
        self._run(statements.LEAVE, self._left)
        nexts = [
            {'row': event}
            for _, event in self.select(statements.FIRST, self._opened)
        ]
        self._run(statements.UNBLOCK, nexts)
        if nexts:
            # To ask of which lane they are costs more than to look.
            self.woken.update(Lane)

    def _flush_flows(self) -> None:
        fresh, moved = [], []
        for flow, (share, finish) in self._moved.items():
            if self._flows[flow] is None:
                fresh.append({'flow': flow, 'share': share, 'finish': finish})
            else:
                moved.append({'of': flow, 'to': finish})
        self._run(statements.ADD_FLOWS, fresh)
        self._run(statements.MOVE_FLOW, moved)

    def _flush_volumes(self) -> None:
        if not self._volumes:
            return
        before = {
            found.volume_id: found
            for found in self.select(statements.VOLUME_SIZES, self._volumes)
        }
        pools = pool_totals.PoolTotals(self.totals.pools)
        fresh, changed, gone = [], [], []
        for volume_id, change in self._volumes.items():
            if volume_id in before:
                former = before[volume_id]
                self.totals.volumes -= 1
                self.totals.provisioned_bytes -= former.size_bytes
                pools.add(former.pool, -1, -former.size_bytes)
            if not isinstance(change, model.PutVolume):
                gone.append({'of': volume_id})
                continue
            volume = change.volume
            self.totals.volumes += 1
            self.totals.provisioned_bytes += volume.size_bytes
            pools.add(volume.pool, 1, volume.size_bytes)
            values = rows.volume_values(volume)
            if volume_id in before:
                changed.append(
                    {
                        'of': volume_id,
                        **{f'new_{key}': one for key, one in values.items()},
                    }
                )
            else:
                fresh.append({'volume_id': volume_id, **values})
        self.totals.pools = pools.to_text()
        self._run(statements.ADD_VOLUMES, fresh)
        self._run(statements.CHANGE_VOLUME, changed)
        self._run(statements.DROP_VOLUME, gone)

    def _flush_snapshots(self) -> None:
        """Write snapshots anew: one that is there is replaced."""
        self._run(
            statements.DROP_SNAPSHOT, [{'of': one} for one in self._snapshots]
        )
        self._run(
            statements.ADD_SNAPSHOTS,
            [
                {
                    'snapshot_id': snapshot.snapshot_id,
                    'volume_id': snapshot.volume_id,
                    'body': rows.snapshot_text(snapshot),
                    'project_id': snapshot.project_id,
                }
                for snapshot in self._snapshots.values()
                if snapshot is not None
            ],
        )

    def _flush_trash(self) -> None:
        if not self._trash:
            return
        pools = pool_totals.PoolTotals(self.totals.pools)
        for found in self.select(statements.TRASH_SIZES, self._trash):
            self.totals.provisioned_bytes -= found.size_bytes
            pools.add(found.pool, 0, -found.size_bytes)
        self._run(statements.DROP_TRASH, [{'of': one} for one in self._trash])
        fresh = [one for one in self._trash.values() if one is not None]
        for trashed in fresh:
            self.totals.provisioned_bytes += trashed.volume.size_bytes
            pools.add(trashed.volume.pool, 0, trashed.volume.size_bytes)
        self.totals.pools = pools.to_text()
        self._run(
            statements.ADD_TRASH,
            [
                {
                    'volume_id': trashed.volume.volume_id,
                    'size_bytes': trashed.volume.size_bytes,
                    'pool': trashed.volume.pool,
                    'until': trashed.until.timestamp(),
                    'body': rows.trashed_text(trashed),
                }
                for trashed in fresh
            ],
        )

    def _run(
        self, statement: Any, values: Sequence[Mapping[str, object]]
    ) -> None:
        if values:
            self.connection.execute(statement, values)


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Yield values in lists that a statement takes."""
    every = list(values)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]
