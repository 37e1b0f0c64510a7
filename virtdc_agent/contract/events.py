"""The things that travel: events, transitions, announcements, volumes.

All are immutable values. Sizes are integer bytes, times are aware
datetimes in UTC, identifiers are strings that are safe as a file name.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
import enum

from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.resyncs import Resync

OWN_METADATA = 'virtdc.'
"""Keys of metadata that begin so are the contract's own, and no user's."""
EXPORTER_KEY = 'virtdc.exporter'
"""Under it a volume's metadata names the exporter of hosts that do not ask.

Where there is none they get the agent's first. Since 1.2.
"""
CLOUD_ID = 'virtdc.cloud_id'
"""Key of metadata of a volume or snapshot that the data centre has made, and
the cloud manages since: how the cloud calls it.

An event that manages it has this key in its metadata, and for its reference
the id that it has here, which it keeps. It is refused if the cloud manages it
under another id already, unless that is what ``instead_of`` says: the cloud
has found that nothing has come of it. Empty: the cloud has given it up again.
"""
MAX_SIZE_BYTES = 2**63 - 1
"""The largest size that file systems and databases can hold."""


class Operation(enum.StrEnum):
    """What an event changes in the data centre."""

    CREATE = 'create'
    DELETE = 'delete'
    EXTEND = 'extend'
    CONNECT = 'connect'
    DISCONNECT = 'disconnect'
    # Since 1.1.
    SNAPSHOT = 'snapshot'
    DELETE_SNAPSHOT = 'delete_snapshot'
    REVERT = 'revert'
    CLONE = 'clone'
    IMPORT = 'import'
    # Since 1.2.
    EDIT = 'edit'
    RESTORE = 'restore'
    PURGE = 'purge'
    SNAPSHOT_GROUP = 'snapshot_group'
    MIGRATE = 'migrate'
    MANAGE = 'manage'
    UNMANAGE = 'unmanage'
    MANAGE_SNAPSHOT = 'manage_snapshot'
    UNMANAGE_SNAPSHOT = 'unmanage_snapshot'


class Origin(enum.StrEnum):
    """Which side asked for the event."""

    CLOUD = 'cloud'
    PLATFORM = 'platform'


class State(enum.StrEnum):
    """Where an event is. The last two are final."""

    WAITING = 'waiting'
    RUNNING = 'running'
    SUCCESS = 'success'
    FAILED = 'failed'

    @property
    def is_final(self) -> bool:
        """Whether an event in this state never changes again."""
        return self in (State.SUCCESS, State.FAILED)


class Reason(enum.StrEnum):
    """Why an event failed."""

    REJECTED = 'rejected'
    """The request itself is at fault; asking again will not help."""
    TIMEOUT = 'timeout'
    """It was not finished at its deadline."""
    BACKEND = 'backend'
    """The storage refused or broke."""
    CANCELLED = 'cancelled'
    """A person or a program withdrew it."""
    LOST = 'lost'
    """It was given up after being tried too often."""


class Format(enum.StrEnum):
    """How a volume's bytes lie in its file."""

    RAW = 'raw'
    QCOW2 = 'qcow2'


class Provisioning(enum.StrEnum):
    """When a volume's space is taken: as it is written, or at once."""

    THIN = 'thin'
    THICK = 'thick'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """On whose behalf an event exists. Unknown parts are empty strings.

    :param trace: the span that it belongs to, as W3C's ``traceparent``; empty
        if nobody traces. It says nothing of the event: two that differ only
        in it are the same. Since 1.2.
    """

    project_id: str = ''
    user_id: str = ''
    request_id: str = ''
    trace: str = dataclasses.field(default='', compare=False)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CreateParameters:
    """A new volume.

    :param size_bytes: 1 to ``MAX_SIZE_BYTES``.
    :param format: ``None`` leaves the choice to the backend.
    :param provisioning: ``None`` leaves the choice to the backend.
    :param pool: ``None`` leaves the choice to the agent. Since 1.2.
    """

    size_bytes: int
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    format: Format | None = None
    provisioning: Provisioning | None = None
    pool: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeleteParameters:
    """A volume to remove. One that is already gone counts as removed.

    :param force: also one that hosts use, of which they are not asked. Only
        for the data centre's own operators. Since 1.2.
    :param is_lost: the storage has lost it, and only the record is to
        follow; refused if it is there. Since 1.2.
    """

    force: bool = False
    is_lost: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExtendParameters:
    """A volume to grow to ``size_bytes``. Volumes never shrink."""

    size_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ConnectParameters:
    """A host that is about to use a volume.

    :param host: name of the host, the key under which the attachment is kept.
    :param connector: what the host said of itself, as os-brick collects it.
    :param exporter: by which exporter of the agent; ``None``: the one that
        the volume is in use by, else the agent's first. Since 1.2.
    """

    host: str
    connector: Mapping[str, object] = dataclasses.field(default_factory=dict)
    exporter: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectParameters:
    """A host that has stopped using a volume; ``None`` means every host."""

    host: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotParameters:
    """A snapshot to take of the event's volume, as it is at one instant."""

    snapshot_id: str
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSnapshotParameters:
    """A snapshot of the event's volume to remove.

    One that is already gone counts as removed.
    """

    snapshot_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RevertParameters:
    """The event's volume is to read as its snapshot does.

    The volume keeps its size: what it has grown by since reads as zeros.
    """

    snapshot_id: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CloneParameters:
    """A new volume that begins as a copy of another, and is independent.

    :param source_id: the volume to copy.
    :param snapshot_id: the snapshot of it to copy; ``None``: the volume
        itself, as it is at one instant.
    :param size_bytes: at least the source's; what is more reads as zeros.
    :param format: ``None``: as the source.
    :param provisioning: ``None``: as the source.
    :param pool: ``None``: as the source. Since 1.2.
    """

    source_id: str
    size_bytes: int
    snapshot_id: str | None = None
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    format: Format | None = None
    provisioning: Provisioning | None = None
    pool: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportParameters:
    """A new volume that begins as the disk in an image.

    :param url: where the image is; one that begins as the capacity's
        ``image_urls`` say.
    :param image_format: what the image is said to be, as ``raw`` or
        ``qcow2``.
    :param size_bytes: at least that of the disk in the image.
    :param hash_algorithm: as ``sha512``; empty: nothing is compared.
    :param hash_value: of the image's file, in hexadecimal.
    :param pool: ``None`` leaves the choice to the agent. Since 1.2.
    """

    url: str
    image_format: str
    size_bytes: int
    hash_algorithm: str = ''
    hash_value: str = ''
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    format: Format | None = None
    provisioning: Provisioning | None = None
    pool: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EditParameters:
    """What people say of a volume is to be this; ``None``: as it is.

    None of it is longer than Cinder takes: 255 characters. Since 1.2.

    :param metadata: replaces the whole set; but keys that begin with
        ``OWN_METADATA`` stay as they are unless they are named.
    """

    name: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MigrateParameters:
    """The event's volume is to lie in another pool. Since 1.2.

    :param pool: where it is to be; one where it is already is fine.
    :param provisioning: ``None``: as it is.
    """

    pool: str
    provisioning: Provisioning | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RestoreParameters:
    """A volume that lies in the trash is to be as it was. Since 1.2."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PurgeParameters:
    """A volume that lies in the trash is to be removed for good. Since 1.2.

    :param deleted_by: the event that put it there; what another one has put
        there since is left alone. ``None``: whichever it was.
    """

    deleted_by: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotGroupParameters:
    """Snapshots to take of several volumes, all at one instant: all or none.

    :param snapshots: by the volume's id the id that its snapshot gets. The
        event's volume is among them.
    :param name: of each of the snapshots; likewise those below.
    """

    snapshots: Mapping[str, str]
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ManageParameters:
    """Something in the storage that is to become the event's volume.

    Its bytes are the volume's. Since 1.2.

    :param reference: its name in the storage, as listings of what can be
        managed give it; or the id of a volume that was given up.
    :param size_bytes: at least its present size; what is more reads as
        zeros.
    :param format: what it has to be; ``None``: what it is.
    :param provisioning: likewise.
    :param pool: where it is; ``None``: in the agent's first pool.
    :param instead_of: see ``CLOUD_ID``.
    """

    reference: str
    size_bytes: int
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    format: Format | None = None
    provisioning: Provisioning | None = None
    pool: str | None = None
    instead_of: str = ''


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnmanageParameters:
    """A volume to give up: its bytes stay in the storage.

    One that is gone counts as given up. Since 1.2.
    """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ManageSnapshotParameters:
    """Something in the storage to become a snapshot of the event's volume.

    As ``ManageParameters``; it was a snapshot of this volume before. Since
    1.2.
    """

    snapshot_id: str
    reference: str
    size_bytes: int
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    instead_of: str = ''


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UnmanageSnapshotParameters:
    """A snapshot of the event's volume to give up: its bytes stay.

    One that is gone counts as given up. Since 1.2.
    """

    snapshot_id: str


Parameters = (
    CreateParameters
    | DeleteParameters
    | ExtendParameters
    | ConnectParameters
    | DisconnectParameters
    | SnapshotParameters
    | DeleteSnapshotParameters
    | RevertParameters
    | CloneParameters
    | ImportParameters
    | SnapshotGroupParameters
    | EditParameters
    | RestoreParameters
    | PurgeParameters
    | MigrateParameters
    | ManageParameters
    | UnmanageParameters
    | ManageSnapshotParameters
    | UnmanageSnapshotParameters
)

PARAMETERS_OF: Mapping[Operation, type[Parameters]] = {
    Operation.CREATE: CreateParameters,
    Operation.DELETE: DeleteParameters,
    Operation.EXTEND: ExtendParameters,
    Operation.CONNECT: ConnectParameters,
    Operation.DISCONNECT: DisconnectParameters,
    Operation.SNAPSHOT: SnapshotParameters,
    Operation.DELETE_SNAPSHOT: DeleteSnapshotParameters,
    Operation.REVERT: RevertParameters,
    Operation.CLONE: CloneParameters,
    Operation.IMPORT: ImportParameters,
    Operation.SNAPSHOT_GROUP: SnapshotGroupParameters,
    Operation.MIGRATE: MigrateParameters,
    Operation.EDIT: EditParameters,
    Operation.RESTORE: RestoreParameters,
    Operation.PURGE: PurgeParameters,
    Operation.MANAGE: ManageParameters,
    Operation.UNMANAGE: UnmanageParameters,
    Operation.MANAGE_SNAPSHOT: ManageSnapshotParameters,
    Operation.UNMANAGE_SNAPSHOT: UnmanageSnapshotParameters,
}

_OPERATION_OF: Mapping[type[Parameters], Operation] = {
    kind: operation for operation, kind in PARAMETERS_OF.items()
}


def operation_of(parameters: Parameters) -> Operation:
    """Return the one operation that takes these parameters."""
    return _OPERATION_OF[type(parameters)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One instruction to change the data centre, from either side.

    ``event_id`` names it for ever: submitting the same id again is the same
    event, never a second one.

    :param retry_of: the event that has failed and that this one asks for
        again, as a person wanted; it may be forgotten by now. Since 1.2.
    """

    event_id: str
    operation: Operation
    volume_id: str
    origin: Origin
    parameters: Parameters
    created_at: datetime.datetime
    requested_by: Requester = Requester()
    retry_of: str | None = None

    def __post_init__(self) -> None:
        expected = PARAMETERS_OF[self.operation]
        if type(self.parameters) is not expected:
            raise TypeError(
                f'{self.operation} takes {expected.__name__}, '
                f'not {type(self.parameters).__name__}'
            )

    @property
    def resources(self) -> tuple[str, ...]:
        """What the event must have to itself while it runs.

        Events that share one of these never overlap and keep their order.
        """
        if isinstance(self.parameters, CloneParameters):
            # A source that is its own copy is refused later, with a
            # sentence; here it must only not be counted twice.
            both = {self.volume_id, self.parameters.source_id}
            return tuple(sorted(both))
        return self.volume_ids or (self.volume_id,)

    @property
    def volume_ids(self) -> tuple[str, ...]:
        """All volumes that the event changes, if they may be several.

        Sorted. Empty for operations that change one.
        """
        if isinstance(self.parameters, SnapshotGroupParameters):
            every = {self.volume_id, *self.parameters.snapshots}
            return tuple(sorted(every))
        return ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of an event's state or progress.

    :param sequence: position in the journal's history: 1, 2, 3, ... without
        gaps over all events. Of two transitions the higher is the later.
    :param attempt: how often the event has been started; 0 while it has not.
    :param progress: 0 to 100, or ``None`` when nothing is known. Never falls
        within an attempt; success is always 100.
    :param phase: a short word for what is being done, or empty.
    :param reason: why it failed; ``None`` unless the state is ``failed``.
    :param message: a sentence a person can act on; set on failure.
    :param result: what the data centre has to say on success.
    :param volume_ids: all volumes that the event changes, if they may be
        several; empty otherwise. Since 1.2.
    """

    event_id: str
    operation: Operation
    volume_id: str
    origin: Origin
    state: State
    sequence: int
    occurred_at: datetime.datetime
    requested_by: Requester = Requester()
    attempt: int = 0
    progress: int | None = None
    bytes_done: int | None = None
    bytes_total: int | None = None
    phase: str = ''
    reason: Reason | None = None
    message: str = ''
    result: Mapping[str, object] = dataclasses.field(default_factory=dict)
    volume_ids: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """The first message: an event exists, and who made it.

    A doorbell only. It is safe to lose; the event's transitions follow.
    """

    event_id: str
    operation: Operation
    volume_id: str
    origin: Origin
    sequence: int
    occurred_at: datetime.datetime


Notification = Transition | Announcement | AlarmNotice | Resync


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume as the data centre knows it.

    :param attached_to: names of the hosts that use it now, sorted.
    :param origin: which side made it. Since 1.2.
    :param changed_by: which side asked for the last change of its size,
        name, description or metadata. Since 1.2.
    :param changed_at_sequence: where in the journal's history that change
        ended; 0: before 1.2. Of two changes the higher is the later.
    :param pool: where it lies; empty: in the agent's first pool. Since 1.2.
    :param exporter: how those hosts reach it, if any; empty: by the agent's
        first exporter. Since 1.2.
    """

    volume_id: str
    size_bytes: int
    format: Format
    provisioning: Provisioning
    created_at: datetime.datetime
    updated_at: datetime.datetime
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    project_id: str = ''
    user_id: str = ''
    attached_to: tuple[str, ...] = ()
    origin: Origin = Origin.CLOUD
    changed_by: Origin = Origin.CLOUD
    changed_at_sequence: int = 0
    pool: str = ''
    exporter: str = ''


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrashedVolume:
    """A volume that was deleted, and can still be restored. Since 1.2.

    :param volume: as it was.
    :param until: when it is removed for good.
    :param event_id: of the event that deleted it.
    :param deleted_by: who asked for that.
    :param origin: on which side.
    """

    volume: Volume
    deleted_at: datetime.datetime
    until: datetime.datetime
    event_id: str
    deleted_by: Requester
    origin: Origin


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot as the data centre knows it.

    :param size_bytes: of the volume when it was taken.
    :param origin: which side made it. Since 1.2.
    """

    snapshot_id: str
    volume_id: str
    size_bytes: int
    format: Format
    created_at: datetime.datetime
    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    project_id: str = ''
    user_id: str = ''
    origin: Origin = Origin.CLOUD


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PoolCapacity:
    """One of the storages of an agent; as ``Capacity``. Since 1.2.

    :param name: empty if the agent has one pool only, without a name.
    """

    name: str
    backend: str
    total_bytes: int
    free_bytes: int
    provisioned_bytes: int
    max_over_subscription_ratio: float
    reserved_percentage: int
    operations: frozenset[Operation]
    formats: frozenset[Format]
    provisionings: frozenset[Provisioning]
    volumes: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExporterOffer:
    """One of the ways in which hosts reach volumes. Since 1.2.

    :param name: what ``ConnectParameters.exporter`` takes.
    :param storage_protocol: in Cinder's words.
    """

    name: str
    storage_protocol: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manageable:
    """Something in the storage that is a volume or a snapshot, or may become.

    Since 1.2.

    :param reference: its name in the storage.
    :param size_bytes: as its user would see it; 0 if that is not known.
    :param format: ``None`` if that is not known.
    :param is_safe: whether it can be managed now.
    :param reason: why not, for people; empty if it can.
    :param volume_id: the volume that it is; of a snapshot, whose it is or
        was. ``None``: of none.
    :param snapshot_id: the snapshot that it is; ``None``: it is none.
    """

    reference: str
    size_bytes: int
    format: Format | None
    is_safe: bool
    reason: str = ''
    volume_id: str | None = None
    snapshot_id: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the agent is, and what its storage can still hold.

    Of all pools together: sums of bytes, what any of them offers, the
    strictest ratio and reserve.

    :param backend: of the first pool.
    :param exporter: the first of ``exporters``.
    :param total_bytes: size of the storage.
    :param free_bytes: what is physically unused.
    :param provisioned_bytes: sum of the sizes of all volumes; exceeds
        ``total_bytes`` when thin volumes are over-subscribed.
    :param max_over_subscription_ratio: how far ``provisioned_bytes`` of thin
        volumes may exceed ``total_bytes``.
    :param reserved_percentage: share of ``total_bytes`` never given out.
    :param storage_protocol: how hosts reach volumes, in Cinder's words.
    :param image_urls: what the addresses begin with of images that it can
        read by itself. Since 1.1.
    :param can_grow_in_use: whether a volume is extended while it is attached.
        Since 1.2.
    :param data_centre: the same for all agents that share their volumes, and
        no others. Since 1.2; empty before.
    :param pools: each pool, the first is where volumes go that do not ask.
        Since 1.2; empty before.
    :param exporters: the first serves those that do not ask. Since 1.2.
    """

    agent: str
    backend: str
    exporter: str
    storage_protocol: str
    total_bytes: int
    free_bytes: int
    provisioned_bytes: int
    max_over_subscription_ratio: float
    reserved_percentage: int
    operations: frozenset[Operation]
    formats: frozenset[Format]
    provisionings: frozenset[Provisioning]
    volumes: int = 0
    waiting: int = 0
    running: int = 0
    image_urls: tuple[str, ...] = ()
    can_grow_in_use: bool = True
    data_centre: str = ''
    pools: tuple[PoolCapacity, ...] = ()
    exporters: tuple[ExporterOffer, ...] = ()
