"""The agent's own values: claims, outcomes, samples.

What both sides share is in ``contract``; this is what only the agent's parts
say to each other. All immutable.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import enum

from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume
from virtdc_agent.scheduling import Lane


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An agent's right to execute one event, while its lease lasts.

    :param attempt: 1 for the first start.
    :param fence: grows with every claim in the journal. The journal accepts
        a settlement only with the fence of the event's latest claim.
    :param volume: the volume as it was when claimed; nothing else changes it
        while the claim holds. ``None``: there is no such volume.
    :param source: likewise, the volume that the event copies, if it does.
    :param members: likewise, those of the event's ``volume_ids`` that there
        are, in order of their ids.
    :param snapshots: likewise, the snapshots of the source if the event
        copies one, else of the volume, or of all members; told only to
        events that snapshots matter to.
    :param trashed: what lies in the trash under the volume's id; told only
        to events that it matters to.
    :param losses: how many agents have died while they executed it. An
        event with any is a suspect, and executed alone.
    """

    event: Event
    attempt: int
    fence: int
    volume: Volume | None = None
    source: Volume | None = None
    members: tuple[Volume, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    trashed: TrashedVolume | None = None
    lane: Lane = Lane.QUICK
    losses: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """An agent's place among those that share a journal.

    :param lease_s: for how long it lasts, from before it was asked for.
    :param is_draining: whether an operator wants it to take no more.
    :param is_new: the lease had ended before it was renewed: what was
        claimed until then may be others' by now.
    """

    lease_s: float
    is_draining: bool = False
    is_new: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """What was taken from agents that are gone.

    :param returned: events that wait again.
    :param lost: events given up, since too many agents died of them.
    :param agents: names of those agents.
    """

    returned: Sequence[Transition] = ()
    lost: Sequence[Transition] = ()
    agents: Sequence[str] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an operation has come; ``None`` where unknown."""

    bytes_done: int | None = None
    bytes_total: int | None = None
    phase: str = ''

    @property
    def percent(self) -> int | None:
        """0 to 99 while work remains, ``None`` if nothing is known."""
        if self.bytes_done is None or not self.bytes_total:
            return None
        return min(99, max(0, self.bytes_done * 100 // self.bytes_total))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PutVolume:
    """The volume exists now, as this says."""

    volume: Volume


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RemoveVolume:
    """The volume exists no more.

    :param is_purged: nor does what lay in the trash under its id.
    """

    volume_id: str
    is_purged: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PutSnapshot:
    """The snapshot exists now, as this says."""

    snapshot: Snapshot


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSnapshot:
    """The snapshot exists no more."""

    snapshot_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PutSnapshots:
    """All these snapshots exist now, as this says; or none does."""

    snapshots: tuple[Snapshot, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DiscardVolume:
    """The volume is in the trash now, in the place of what lay there."""

    trashed: TrashedVolume


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RestoreVolume:
    """The volume is out of the trash, and exists now as this says."""

    volume: Volume


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PurgeVolume:
    """The volume is not in the trash any more."""

    volume_id: str


VolumeChange = (
    PutVolume
    | RemoveVolume
    | PutSnapshot
    | PutSnapshots
    | RemoveSnapshot
    | DiscardVolume
    | RestoreVolume
    | PurgeVolume
)
"""What an operation has made of its volume, or of snapshots."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended.

    :param state: ``success`` or ``failed``.
    :param change: written together with the final state, or not at all.
    """

    state: State
    reason: Reason | None = None
    message: str = ''
    result: Mapping[str, object] = dataclasses.field(default_factory=dict)
    change: VolumeChange | None = None

    def __post_init__(self) -> None:
        if not self.state.is_final:
            raise ValueError(f'{self.state} is not final')
        if (self.state is State.FAILED) != (self.reason is not None):
            raise ValueError('a failure, and only a failure, has a reason')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """A page of the journal's history.

    :param transitions: in order of ``sequence``.
    :param oldest: the first sequence still kept; 0 if there is none.
    :param last: the latest sequence of all; 0 if there is none.
    """

    transitions: Sequence[Transition]
    oldest: int
    last: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VolumePage:
    """A page of volumes, in order of ``volume_id``.

    :param next_marker: where the following page begins; ``None`` at the end.
    """

    volumes: Sequence[Volume]
    next_marker: str | None


class VolumeSort(enum.StrEnum):
    """What a listing of volumes is ordered by; then by id."""

    ID = 'id'
    NAME = 'name'
    SIZE = 'size'
    CREATED = 'created'

    @property
    def kind(self) -> type[str] | type[int] | type[float]:
        """Of what type the values are."""
        return _SORT_KINDS[self]


_SORT_KINDS: Mapping[VolumeSort, type[str] | type[int] | type[float]] = {
    VolumeSort.ID: str,
    VolumeSort.NAME: str,
    VolumeSort.SIZE: int,
    VolumeSort.CREATED: float,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in an order a volume stands, or stood."""

    value: str | int | float
    volume_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VolumeQuery:
    """Which volumes are wanted, in which order; ``None`` means any.

    :param project_id: empty: those of no project.
    :param search: what the name has in it, or the id begins with.
    :param marker: the place after which the page begins.
    """

    project_id: str | None = None
    name: str | None = None
    search: str | None = None
    sort: VolumeSort = VolumeSort.ID
    descending: bool = False
    marker: Place | None = None
    limit: int = 100


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VolumeListing:
    """A page of volumes in the order that was wanted.

    :param next_marker: where the following page begins; ``None`` at the end.
    """

    volumes: Sequence[Volume]
    next_marker: Place | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotQuery:
    """Which snapshots are wanted, by id; ``None`` means any."""

    project_id: str | None = None
    volume_id: str | None = None
    marker: str | None = None
    limit: int = 100


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPage:
    """A page of snapshots, in order of ``snapshot_id``.

    :param next_marker: where the following page begins; ``None`` at the end.
    """

    snapshots: Sequence[Snapshot]
    next_marker: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrashPage:
    """A page of volumes in the trash, in order of ``volume_id``.

    :param next_marker: where the following page begins; ``None`` at the end.
    """

    trashed: Sequence[TrashedVolume]
    next_marker: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPage:
    """A page of raised alarms, in order of kind and subject.

    :param next_marker: where the following page begins; ``None`` at the end.
    :param revision: the latest of all alarms.
    """

    alarms: Sequence[Alarm]
    next_marker: str | None
    revision: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What somebody learns who asked for a mark.

    :param is_granted: whether they have it now.
    :param is_settled: whether what it stands for is done.
    :param wait_s: for how long another has it.
    """

    is_granted: bool
    is_settled: bool = False
    wait_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNews:
    """An alarm as somebody has just left it.

    :param change: what has become of it; ``None``: it was counted only.
    """

    alarm: Alarm
    change: AlarmChange | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolCounts:
    """How much the journal has in one pool."""

    volumes: int = 0
    provisioned_bytes: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much the journal holds now; cheap to ask.

    :param provisioned_bytes: of all volumes, those in the trash included:
        whoever restores one finds its room.
    :param pools: what is in each pool that has volumes, by its name. Volumes
        from before there were pools are in one whose name is empty.
    :param suspects: how many events wait that an agent has died of.
    :param finished: ended events that are still kept.
    :param sequence: the latest of all.
    :param published: up to which all is on the bus.
    """

    waiting: int
    running: int
    volumes: int
    provisioned_bytes: int
    suspects: int = 0
    finished: int = 0
    sequence: int = 0
    published: int = 0
    pools: Mapping[str, PoolCounts] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Which events are wanted; ``None`` and empty mean any.

    Newest first.

    :param marker: the ``record_id`` after which the page begins.
    """

    states: Collection[State] = ()
    operations: Collection[Operation] = ()
    volume_id: str | None = None
    project_id: str | None = None
    origin: Origin | None = None
    marker: int | None = None
    limit: int = 100


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that the journal knows of an event.

    :param record_id: its place in the order of acceptance.
    :param holder: name of the agent that executes it, or keeps its volume
        closed.
    :param is_closed: it has ended, but the storage has not let go of it.
    """

    record_id: int
    event: Event
    latest: Transition
    accepted_at: datetime.datetime
    lane: Lane
    holder: str | None = None
    losses: int = 0
    is_cancel_requested: bool = False
    is_closed: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """A page of records.

    :param next_marker: where the following page begins; ``None`` at the end.
    """

    records: Sequence[Record]
    next_marker: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AgentRecord:
    """An agent that has joined the journal.

    :param life: names one life of it, from its start to its end.
    :param lease_until: when its claims are others' to take.
    :param running: how many events it executes.
    :param closed: how many volumes it keeps closed after a timeout.
    :param is_publisher: whether it is the one that tells states.
    """

    name: str
    life: str
    host: str
    process_id: int
    version: str
    started_at: datetime.datetime
    lease_until: datetime.datetime
    is_alive: bool
    is_draining: bool
    is_publisher: bool
    running: int
    closed: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunningFacts:
    """How an operation is doing that runs.

    :param age_s: since its first attempt began.
    :param withdrawn: why it is not to go on; empty: it is.
    """

    event: Event
    lane: Lane
    attempt: int
    age_s: float
    progress: Progress
    withdrawn: str = ''


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LaneFacts:
    """How one lane of an executor is doing.

    :param paused: how many wait, without a slot, to be tried again.
    :param abandoned: how many were given up while the storage is at them.
    """

    limit: int
    in_flight: int
    paused: int
    abandoned: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """What waits of one operation in one lane.

    :param oldest_at: when the first of it was accepted.
    """

    lane: Lane
    operation: str
    waiting: int
    oldest_at: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """How a journal is doing, for who watches it.

    :param now: by the clock that the others are told by.
    :param untold_since: since when the first message waits that is not on
        the bus; ``None``: all are.
    :param alarms: how many are raised, by kind, severity, and whether
        somebody has acknowledged them.
    :param agents: how many have a lease, and how many of these are drained.
    """

    now: datetime.datetime
    counts: Counts
    queue: Sequence[QueueFacts]
    untold_since: datetime.datetime | None
    alarms: Mapping[tuple[str, str, bool], int]
    agents: tuple[int, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What may be forgotten.

    Never what is not finished, not published, or younger than
    ``min_age_s``: its caller may still ask again with the same id.

    :param max_age_s: older ones are not kept.
    :param max_finished: not more than so many events are kept.
    """

    max_age_s: float
    max_finished: int
    min_age_s: float = 3600.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was forgotten."""

    events: int
    transitions: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFacts:
    """What a backend says of a volume in its storage."""

    volume_id: str
    size_bytes: int
    format: Format
    provisioning: Provisioning


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFacts:
    """What a backend says of a snapshot in its storage.

    :param size_bytes: of the volume when it was taken.
    """

    snapshot_id: str
    size_bytes: int
    format: Format


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ManageablePage:
    """A page of what lies in a pool, in order of the references.

    :param next_marker: where the following page begins; ``None`` at the end.
    """

    found: Sequence[Manageable]
    next_marker: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpenImage:
    """An image that was looked at, open for reading.

    :param size_bytes: of the disk in it, not of its file.
    """

    descriptor: int
    format: Format
    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpace:
    """What a backend says of its storage.

    :param total_bytes: its size.
    :param free_bytes: what is physically unused.
    """

    total_bytes: int
    free_bytes: int
    max_over_subscription_ratio: float = 1.0
    reserved_percentage: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpaceReading:
    """What a backend has said of its storage lately.

    :param space: what it said last; ``None``: nothing yet.
    :param read_at: when that was.
    :param age_s: how long ago.
    :param is_current: whether the storage still answers; if not, it may be
        otherwise by now.
    """

    space: StorageSpace | None = None
    read_at: datetime.datetime | None = None
    age_s: float | None = None
    is_current: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an agent is and has, as of lately.

    :param capacity: its pools that have said nothing yet have no bytes.
    :param readings: of each pool, by its name.
    """

    capacity: Capacity
    readings: Mapping[str, SpaceReading]


class Signal(enum.Enum):
    """What the end of an operation says of the storage's load."""

    SUCCESS = enum.auto()
    IGNORED = enum.auto()
    """Nothing: the request was at fault, or was withdrawn."""
    OVERLOADED = enum.auto()
    """It was too much: a timeout, or the storage said it was busy."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One finished operation, as a policy sees it.

    :param kind: what takes alike, as ``create`` or ``create-thick``; a
        policy compares durations within a kind only.
    :param duration_s: from its start to its end.
    :param concurrency: how many ran beside it, itself included: the mean
        over its duration.
    """

    kind: str
    signal: Signal
    duration_s: float
    concurrency: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """An operation that still runs at the end of a window.

    :param age_s: for how long it has run.
    :param concurrency: as for a sample, until now.
    """

    kind: str
    age_s: float
    concurrency: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a policy judges: a batch (interval) or a span of T1 (continuous).

    :param limit: the limit in force.
    :param taken: how many were taken.
    :param full: whether the limit held work back.
    :param samples: those that ended, in order of their end.
    :param duration_s: how long it lasted.
    :param concurrency: how many ran, the mean over the window.
    :param unfinished: those that still run.
    :param abandoned: how many were given up while the storage is still at
        them; they are not under the limit, but take of the storage.
    """

    limit: int
    taken: int
    full: bool
    samples: Sequence[Sample]
    duration_s: float
    concurrency: float = 0.0
    unfinished: Sequence[Unfinished] = ()
    abandoned: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LimitPoint:
    """What a policy found at the end of a window.

    :param limit: from now on.
    :param taken: how many were taken in the window.
    :param running: how many ran, the mean over the window.
    :param is_full: whether the former limit held work back.
    """

    at: datetime.datetime
    limit: int
    taken: int
    running: float
    is_full: bool
