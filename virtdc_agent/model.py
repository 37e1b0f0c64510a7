"""The agent's own values: claims, outcomes, samples.

What both sides share is in ``contract``; this is what only the agent's parts
say to each other. All immutable.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import enum

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An agent's right to execute one event, until its lease ends.

    :param attempt: 1 for the first start.
    :param fence: grows with every claim in the journal. The journal accepts
        a settlement only with the fence of the event's latest claim.
    :param volume: the volume as it was when claimed; nothing else changes it
        while the claim holds. ``None``: there is no such volume.
    """

    event: Event
    attempt: int
    fence: int
    volume: Volume | None = None


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
    """The volume exists no more."""

    volume_id: str


VolumeChange = PutVolume | RemoveVolume


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much the journal holds now; cheap to ask."""

    waiting: int
    running: int
    volumes: int
    provisioned_bytes: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFacts:
    """What a backend says of a volume in its storage."""

    volume_id: str
    size_bytes: int
    format: Format
    provisioning: Provisioning


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

    :param duration_s: from its start to its end.
    :param in_flight: how many ran when it started, itself included.
    """

    operation: Operation
    signal: Signal
    duration_s: float
    in_flight: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a policy judges: a batch (interval) or a span of T1 (continuous).

    :param limit: the limit in force.
    :param taken: how many were taken.
    :param full: whether the limit held work back.
    :param samples: those that ended.
    :param duration_s: how long it lasted.
    """

    limit: int
    taken: int
    full: bool
    samples: Sequence[Sample]
    duration_s: float
