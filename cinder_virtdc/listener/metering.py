"""The listener's metrics: what there is, and how it is counted."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Protocol

from cinder_virtdc.bus.caller import Caller
from cinder_virtdc.clock import Clock
from cinder_virtdc import exceptions
from cinder_virtdc.meter import Meter
from virtdc_agent.contract import codec
from virtdc_agent.contract import errors
from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring.catalogue import Kind
from virtdc_agent.monitoring.catalogue import Metric
from virtdc_agent.monitoring.catalogue import Reading
from virtdc_agent.monitoring.catalogue import REQUESTS

METRICS = (
    Metric(
        name='virtdc_listener_build_info',
        kind=Kind.GAUGE,
        meaning='Always 1; its labels say what runs.',
        labels=('version', 'contract'),
    ),
    Metric(
        name='virtdc_listener_notifications_total',
        kind=Kind.COUNTER,
        meaning='Messages taken from the bus: transition, announcement, '
        'alarm.',
        labels=('kind',),
    ),
    Metric(
        name='virtdc_listener_rejected_total',
        kind=Kind.COUNTER,
        meaning='Messages that were discarded: malformed, of another '
        'version, not authentic, or since they met a defect.',
        labels=('reason',),
    ),
    Metric(
        name='virtdc_listener_sequence',
        kind=Kind.GAUGE,
        meaning="The sequence of the agent's journal up to which all is "
        'known here.',
    ),
    Metric(
        name='virtdc_listener_sequences_behind',
        kind=Kind.GAUGE,
        meaning='How many sequences of those that were heard of lie beyond '
        'a gap.',
    ),
    Metric(
        name='virtdc_listener_gaps_total',
        kind=Kind.COUNTER,
        meaning='How often a message was found to be missing; what it said '
        'is asked for.',
    ),
    Metric(
        name='virtdc_listener_agent_calls_total',
        kind=Kind.COUNTER,
        meaning='Questions to the agent. The outcome is answered or failed.',
        labels=('method', 'outcome'),
    ),
    Metric(
        name='virtdc_listener_agent_contact_age_seconds',
        kind=Kind.GAUGE,
        meaning='How long ago the agent has answered; missing before its '
        'first answer.',
    ),
    Metric(
        name='virtdc_listener_cinder_requests_total',
        kind=Kind.COUNTER,
        meaning="Requests to Cinder's API. The status is none if there was "
        'no answer.',
        labels=('method', 'status'),
    ),
    Metric(
        name='virtdc_listener_cinder_request_seconds',
        kind=Kind.HISTOGRAM,
        meaning='How long they took.',
        labels=('method',),
        buckets=REQUESTS,
    ),
    Metric(
        name='virtdc_listener_tasks_total',
        kind=Kind.COUNTER,
        meaning='What is done every so often: resync, catch_up, repair, '
        'recover, look_up. The outcome is done, put_off (a side did not '
        'answer) or error.',
        labels=('task', 'outcome'),
    ),
    Metric(
        name='virtdc_listener_task_seconds',
        kind=Kind.HISTOGRAM,
        meaning='How long that took.',
        labels=('task',),
    ),
    Metric(
        name='virtdc_listener_task_age_seconds',
        kind=Kind.GAUGE,
        meaning='How long ago that was done; missing before the first time.',
        labels=('task',),
    ),
    Metric(
        name='virtdc_listener_compared_volumes',
        kind=Kind.GAUGE,
        meaning='Volumes that the last resync compared.',
        labels=('side',),
    ),
    Metric(
        name='virtdc_listener_drift_volumes',
        kind=Kind.GAUGE,
        meaning='Volumes that the last resync found to be out of step.',
    ),
    Metric(
        name='virtdc_listener_repairs_total',
        kind=Kind.COUNTER,
        meaning='What was done to volumes to bring both sides in step, by '
        'what it was. The outcome is done or refused.',
        labels=('action', 'outcome'),
    ),
    Metric(
        name='virtdc_listener_backlog',
        kind=Kind.GAUGE,
        meaning='Volumes that wait to be looked at.',
    ),
    Metric(
        name='virtdc_listener_alarms_told_total',
        kind=Kind.COUNTER,
        meaning='Changes of alarms that were told, by outlet and by what '
        'had become of the alarm.',
        labels=('outlet', 'change'),
        is_read=True,
    ),
    Metric(
        name='virtdc_listener_alarm_failures_total',
        kind=Kind.COUNTER,
        meaning='How often an outlet could not send.',
        labels=('outlet',),
        is_read=True,
    ),
)

_REASONS: Mapping[type, str] = {
    errors.MalformedMessage: 'malformed',
    errors.UnsupportedVersion: 'version',
    errors.NotAuthentic: 'not_authentic',
}


class BoardMeter(Meter):
    """Counts on a board. Safe from any thread."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._compared: tuple[int, int, int] | None = None
        self._done_at: dict[str, float] = {}
        self._answered_at: float | None = None
        self._cloud_answered_at: float | None = None

    def heard(self, kind: str) -> None:
        """See the base."""
        self._board.count('virtdc_listener_notifications_total', kind)

    def rejected(self, error: Exception) -> None:
        """See the base."""
        self._board.count(
            'virtdc_listener_rejected_total',
            _REASONS.get(type(error), 'defect'),
        )

    def gap(self) -> None:
        """See the base."""
        self._board.count('virtdc_listener_gaps_total')

    def called(self, method: str, *, answered: bool) -> None:
        """See the base."""
        if answered:
            self._answered_at = self._clock.monotonic()
        self._board.count(
            'virtdc_listener_agent_calls_total',
            method,
            'answered' if answered else 'failed',
        )

    def requested(
        self, method: str, status: int | None, duration_s: float
    ) -> None:
        """See the base."""
        if status is not None and status < 500:
            self._cloud_answered_at = self._clock.monotonic()
        self._board.count(
            'virtdc_listener_cinder_requests_total',
            method,
            'none' if status is None else str(status),
        )
        self._board.observe(
            'virtdc_listener_cinder_request_seconds', duration_s, method
        )

    def tried(self, task: str, outcome: str, duration_s: float) -> None:
        """See the base."""
        if outcome == 'done':
            self._done_at[task] = self._clock.monotonic()
        self._board.count('virtdc_listener_tasks_total', task, outcome)
        self._board.observe('virtdc_listener_task_seconds', duration_s, task)

    def compared(self, cloud: int, platform: int, drifted: int) -> None:
        """See the base."""
        self._compared = (cloud, platform, drifted)

    def acted(self, action: str, *, done: bool) -> None:
        """See the base."""
        self._board.count(
            'virtdc_listener_repairs_total',
            action,
            'done' if done else 'refused',
        )

    @property
    def contact_age_s(self) -> float | None:
        """How long ago the agent has answered, if it ever has."""
        if self._answered_at is None:
            return None
        return self._clock.monotonic() - self._answered_at

    @property
    def cloud_age_s(self) -> float | None:
        """How long ago Cinder has answered, if it ever has."""
        if self._cloud_answered_at is None:
            return None
        return self._clock.monotonic() - self._cloud_answered_at

    def task_age_s(self, task: str) -> float | None:
        """Return how long ago something was done, if it ever was."""
        done_at = self._done_at.get(task)
        return None if done_at is None else self._clock.monotonic() - done_at

    def read(self) -> Iterator[Reading]:
        """Yield what is known only now."""
        if self.contact_age_s is not None:
            yield Reading(
                'virtdc_listener_agent_contact_age_seconds',
                self.contact_age_s,
            )
        for task, done_at in list(self._done_at.items()):
            yield Reading(
                'virtdc_listener_task_age_seconds',
                self._clock.monotonic() - done_at,
                (task,),
            )
        if self._compared is not None:
            cloud, platform, drifted = self._compared
            yield Reading(
                'virtdc_listener_compared_volumes', cloud, ('cloud',)
            )
            yield Reading(
                'virtdc_listener_compared_volumes', platform, ('platform',)
            )
            yield Reading('virtdc_listener_drift_volumes', drifted)


class MeteredCaller:
    """A caller whose calls are counted; see ``Caller``."""

    def __init__(self, caller: Caller, meter: Meter) -> None:
        self._caller = caller
        self._meter = meter

    def call(
        self, method: str, arguments: Mapping[str, object], timeout_s: float
    ) -> object:
        """See the protocol."""
        try:
            answer = self._caller.call(method, arguments, timeout_s)
        except exceptions.VirtDCError:
            self._meter.called(method, answered=False)
            raise
        self._meter.called(method, answered=True)
        return answer


class Following(Protocol):
    """How far a listener has come; see ``Follower``."""

    @property
    def cursor(self) -> int:
        """The sequence up to which everything was seen."""

    @property
    def behind(self) -> int:
        """How many sequences that were heard of lie beyond it."""


class Backlog(Protocol):
    """What waits; see ``Syncer``."""

    @property
    def backlog(self) -> int:
        """How many volumes wait to be looked at."""


class Telling(Protocol):
    """Tells alarms; see ``Relay``."""

    @property
    def outlet_name(self) -> str:
        """Name of its outlet."""

    @property
    def sent(self) -> Mapping[str, int]:
        """How many reports left, by what had become of their alarm."""

    @property
    def failed(self) -> int:
        """How often it could not send."""


def read_parts(
    *,
    version: str,
    follower: Following,
    syncer: Backlog,
    relays: Sequence[Telling],
) -> Iterable[Reading]:
    """Yield how the parts are doing. Asks nobody else."""
    yield Reading('virtdc_listener_build_info', 1.0, (version, codec.VERSION))
    yield Reading('virtdc_listener_sequence', follower.cursor)
    yield Reading('virtdc_listener_sequences_behind', follower.behind)
    yield Reading('virtdc_listener_backlog', syncer.backlog)
    for relay in relays:
        for change, sent in list(relay.sent.items()):
            yield Reading(
                'virtdc_listener_alarms_told_total',
                sent,
                (relay.outlet_name, change),
            )
        yield Reading(
            'virtdc_listener_alarm_failures_total',
            relay.failed,
            (relay.outlet_name,),
        )
