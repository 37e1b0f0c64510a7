"""The agent's metrics: what there is, how it is counted, how it is read."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import threading

from virtdc_agent.contract import catalogue as alarm_catalogue
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring.catalogue import Kind
from virtdc_agent.monitoring.catalogue import Metric
from virtdc_agent.monitoring.catalogue import Reading
from virtdc_agent.monitoring.catalogue import REQUESTS
from virtdc_agent.pools import Pools
from virtdc_agent.scheduling import Lane

SURVEY_S = 5.0
"""The journal is asked at most so often, however often metrics are."""
OTHER = 'other'

_OF_EVENT = ('operation', 'lane', 'origin')
METRICS = (
    Metric(
        name='virtdc_build_info',
        kind=Kind.GAUGE,
        meaning='Always 1; its labels say what runs.',
        labels=('version', 'contract'),
    ),
    Metric(
        name='virtdc_events_accepted_total',
        kind=Kind.COUNTER,
        meaning='Events handed in at this agent and accepted. One that is '
        'handed in again counts again.',
        labels=('operation', 'origin'),
    ),
    Metric(
        name='virtdc_events_refused_total',
        kind=Kind.COUNTER,
        meaning='Events that were not accepted: the journal was full or '
        'away, or their id belonged to another.',
        labels=('operation', 'origin'),
    ),
    Metric(
        name='virtdc_events_begun_total',
        kind=Kind.COUNTER,
        meaning='Events taken by this agent; a further start counts too.',
        labels=_OF_EVENT,
    ),
    Metric(
        name='virtdc_event_retries_total',
        kind=Kind.COUNTER,
        meaning='Further attempts, since the storage had been busy.',
        labels=('operation', 'lane'),
    ),
    Metric(
        name='virtdc_events_put_back_total',
        kind=Kind.COUNTER,
        meaning='Events that ran and wait again, as this agent stopped.',
        labels=('operation', 'lane'),
    ),
    Metric(
        name='virtdc_events_ended_total',
        kind=Kind.COUNTER,
        meaning='Events that this agent ended. The outcome is success, or '
        'the reason of the failure: rejected, timeout, backend, cancelled, '
        'lost (of the lane other). Those that are cancelled while they wait '
        'do not count.',
        labels=(*_OF_EVENT, 'outcome'),
    ),
    Metric(
        name='virtdc_event_wait_seconds',
        kind=Kind.HISTOGRAM,
        meaning='From when an event was made, by the clock of who made it, '
        'to its first start.',
        labels=('operation', 'lane'),
    ),
    Metric(
        name='virtdc_event_run_seconds',
        kind=Kind.HISTOGRAM,
        meaning='From the start of an event to its end, retries included.',
        labels=('operation', 'lane', 'outcome'),
    ),
    Metric(
        name='virtdc_events_waiting',
        kind=Kind.GAUGE,
        meaning='Events in the journal, of all agents, that wait.',
        labels=('operation', 'lane'),
    ),
    Metric(
        name='virtdc_events_oldest_waiting_seconds',
        kind=Kind.GAUGE,
        meaning='How long the oldest of them has waited; 0 if none does.',
        labels=('lane',),
    ),
    Metric(
        name='virtdc_events_running',
        kind=Kind.GAUGE,
        meaning='Events in the journal, of all agents, that run.',
    ),
    Metric(
        name='virtdc_events_suspect',
        kind=Kind.GAUGE,
        meaning='Events that wait and of which an agent has died.',
    ),
    Metric(
        name='virtdc_limit',
        kind=Kind.GAUGE,
        meaning='How many events this agent may run at once now.',
        labels=('lane',),
    ),
    Metric(
        name='virtdc_in_flight',
        kind=Kind.GAUGE,
        meaning='How many events run in this agent under its limit.',
        labels=('lane',),
    ),
    Metric(
        name='virtdc_paused',
        kind=Kind.GAUGE,
        meaning='How many events pause in this agent before they are tried '
        'again.',
        labels=('lane',),
    ),
    Metric(
        name='virtdc_abandoned',
        kind=Kind.GAUGE,
        meaning='Operations that were given up and that the storage has not '
        'let go of; their volumes are closed.',
        labels=('lane',),
    ),
    Metric(
        name='virtdc_draining',
        kind=Kind.GAUGE,
        meaning='1 while an operator has this agent drained.',
    ),
    Metric(
        name='virtdc_outbox_pending',
        kind=Kind.GAUGE,
        meaning='Messages in the journal that are not on the bus yet.',
    ),
    Metric(
        name='virtdc_outbox_oldest_seconds',
        kind=Kind.GAUGE,
        meaning='For how long the first of them has waited; 0 if none does.',
    ),
    Metric(
        name='virtdc_published_total',
        kind=Kind.COUNTER,
        meaning='Messages that the bus has taken.',
    ),
    Metric(
        name='virtdc_publish_failures_total',
        kind=Kind.COUNTER,
        meaning='Messages that the bus has not taken; they are sent again.',
    ),
    Metric(
        name='virtdc_journal_up',
        kind=Kind.GAUGE,
        meaning='1 if the journal answers.',
    ),
    Metric(
        name='virtdc_journal_sequence',
        kind=Kind.GAUGE,
        meaning='The latest sequence of the journal: where a listener is '
        'that knows all.',
    ),
    Metric(
        name='virtdc_journal_finished_events',
        kind=Kind.GAUGE,
        meaning='Ended events that are still kept.',
    ),
    Metric(
        name='virtdc_volumes',
        kind=Kind.GAUGE,
        meaning='Volumes in the journal.',
    ),
    Metric(
        name='virtdc_agents',
        kind=Kind.GAUGE,
        meaning='Agents of this journal whose lease is good: active, or '
        'draining.',
        labels=('state',),
    ),
    Metric(
        name='virtdc_alarms',
        kind=Kind.GAUGE,
        meaning='Alarms that are raised. A kind that the catalogue does not '
        'have is "other".',
        labels=('kind', 'severity', 'acknowledged'),
    ),
    Metric(
        name='virtdc_pool_up',
        kind=Kind.GAUGE,
        meaning="1 if the pool's storage has said lately how full it is.",
        labels=('pool',),
    ),
    Metric(
        name='virtdc_pool_total_bytes',
        kind=Kind.GAUGE,
        meaning="The size of the pool's storage.",
        labels=('pool',),
    ),
    Metric(
        name='virtdc_pool_free_bytes',
        kind=Kind.GAUGE,
        meaning='What of it is unused.',
        labels=('pool',),
    ),
    Metric(
        name='virtdc_pool_provisioned_bytes',
        kind=Kind.GAUGE,
        meaning='The sum of the sizes of its volumes, the trash included.',
        labels=('pool',),
    ),
    Metric(
        name='virtdc_pool_volumes',
        kind=Kind.GAUGE,
        meaning='Volumes in the pool.',
        labels=('pool',),
    ),
    Metric(
        name='virtdc_api_requests_total',
        kind=Kind.COUNTER,
        meaning='Answers of the REST API. The route is a template, or "none".',
        labels=('method', 'route', 'status'),
    ),
    Metric(
        name='virtdc_api_request_seconds',
        kind=Kind.HISTOGRAM,
        meaning='How long they took. Those that follow changes wait for them.',
        labels=('method', 'route'),
        buckets=REQUESTS,
    ),
)

_METHODS = frozenset({'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'})
NO_NAME = 'default'
"""What stands for the one pool that has no name."""


class BoardMeter(interfaces.Meter):
    """Counts on a board. Safe from any thread."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def accepted(self, event: events.Event) -> None:
        """See the base."""
        self._count(
            'virtdc_events_accepted_total', event.operation, event.origin
        )

    def refused(self, event: events.Event) -> None:
        """See the base."""
        self._count(
            'virtdc_events_refused_total', event.operation, event.origin
        )

    def begun(self, claim: model.Claim, waited_s: float | None) -> None:
        """See the base."""
        event = claim.event
        self._count(
            'virtdc_events_begun_total',
            *(event.operation, claim.lane, event.origin),
        )
        if waited_s is not None:
            self._board.observe(
                'virtdc_event_wait_seconds',
                max(0.0, waited_s),
                *(event.operation.value, claim.lane.value),
            )

    def retried(self, claim: model.Claim) -> None:
        """See the base."""
        self._count(
            'virtdc_event_retries_total', claim.event.operation, claim.lane
        )

    def put_back(self, claim: model.Claim) -> None:
        """See the base."""
        self._count(
            'virtdc_events_put_back_total', claim.event.operation, claim.lane
        )

    def ended(
        self, claim: model.Claim, outcome: model.Outcome, run_s: float
    ) -> None:
        """See the base."""
        event = claim.event
        how = (outcome.reason or outcome.state).value
        self._count(
            'virtdc_events_ended_total',
            *(event.operation, claim.lane, event.origin),
            how,
        )
        self._board.observe(
            'virtdc_event_run_seconds',
            run_s,
            *(event.operation.value, claim.lane.value, how),
        )

    def lost(self, transition: events.Transition) -> None:
        """See the base."""
        self._count(
            'virtdc_events_ended_total',
            *(transition.operation, OTHER, transition.origin),
            events.Reason.LOST,
        )

    def published(self) -> None:
        """See the base."""
        self._board.count('virtdc_published_total')

    def not_published(self) -> None:
        """See the base."""
        self._board.count('virtdc_publish_failures_total')

    def answered(
        self, method: str, route: str, status: int, duration_s: float
    ) -> None:
        """See the base."""
        method = method if method in _METHODS else OTHER
        self._board.count(
            'virtdc_api_requests_total', method, route, str(status)
        )
        self._board.observe(
            'virtdc_api_request_seconds', duration_s, method, route
        )

    def _count(self, name: str, *labels: str) -> None:
        self._board.count(name, *map(str, labels))


class MeteredPublisher:
    """A publisher whose messages are counted."""

    def __init__(
        self, publisher: interfaces.Publisher, meter: interfaces.Meter
    ) -> None:
        self._publisher = publisher
        self._meter = meter

    def publish(self, notification: events.Notification) -> None:
        """See the interface."""
        try:
            self._publisher.publish(notification)
        except exceptions.PublishFailed:
            self._meter.not_published()
            raise
        self._meter.published()


class Gauges:
    """What is asked for at a scrape. Safe from any thread.

    Asks the journal now and then, and the storage never.

    :param lanes: how the executor is doing.
    :param space: what a pool has said last of its storage.
    """

    def __init__(
        self,
        *,
        keeping: interfaces.JournalKeeping,
        lanes: Callable[[], Mapping[Lane, model.LaneFacts]],
        is_draining: Callable[[], bool],
        pools: Pools,
        space: Callable[[str], model.SpaceReading],
        clock: interfaces.Clock,
        version: str,
    ) -> None:
        self._keeping = keeping
        self._lanes = lanes
        self._is_draining = is_draining
        self._pools = pools
        self._space = space
        self._clock = clock
        self._version = version
        self._lock = threading.Lock()
        self._asked_at = float('-inf')
        self._survey: model.Survey | None = None

    def survey(self) -> model.Survey | None:
        """Return how the journal was lately; ``None``: it does not answer."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._asked_at >= SURVEY_S:
                try:
                    self._survey = self._keeping.survey()
                except exceptions.JournalUnavailable:
                    self._survey = None
                self._asked_at = self._clock.monotonic()
            return self._survey

    def read(self) -> Iterator[Reading]:
        """Yield all of it."""
        yield Reading('virtdc_build_info', 1.0, (self._version, codec.VERSION))
        yield from self._of_the_executor()
        survey = self.survey()
        yield Reading('virtdc_journal_up', float(survey is not None))
        if survey is not None:
            yield from _of_the_journal(survey)
        yield from self._of_the_pools(survey)

    def _of_the_executor(self) -> Iterator[Reading]:
        for lane, facts in self._lanes().items():
            for name, value in (
                ('virtdc_limit', facts.limit),
                ('virtdc_in_flight', facts.in_flight),
                ('virtdc_paused', facts.paused),
                ('virtdc_abandoned', facts.abandoned),
            ):
                yield Reading(name, value, (lane.value,))
        yield Reading('virtdc_draining', float(self._is_draining()))

    def _of_the_pools(self, survey: model.Survey | None) -> Iterator[Reading]:
        for pool in self._pools:
            labels = (pool.name or NO_NAME,)
            reading = self._space(pool.name)
            yield Reading('virtdc_pool_up', float(reading.is_current), labels)
            if reading.space is not None:
                yield Reading(
                    'virtdc_pool_total_bytes',
                    reading.space.total_bytes,
                    labels,
                )
                yield Reading(
                    'virtdc_pool_free_bytes',
                    reading.space.free_bytes,
                    labels,
                )
            if survey is not None:
                counts = self._pools.counts_of(pool, survey.counts)
                yield Reading(
                    'virtdc_pool_provisioned_bytes',
                    counts.provisioned_bytes,
                    labels,
                )
                yield Reading('virtdc_pool_volumes', counts.volumes, labels)


def _of_the_journal(survey: model.Survey) -> Iterable[Reading]:
    counts = survey.counts
    oldest = dict.fromkeys(Lane, survey.now)
    for one in survey.queue:
        oldest[one.lane] = min(oldest[one.lane], one.oldest_at)
        yield Reading(
            'virtdc_events_waiting',
            one.waiting,
            (one.operation, one.lane.value),
        )
    for lane, since in oldest.items():
        yield Reading(
            'virtdc_events_oldest_waiting_seconds',
            (survey.now - since).total_seconds(),
            (lane.value,),
        )
    yield Reading('virtdc_events_running', counts.running)
    yield Reading('virtdc_events_suspect', counts.suspects)
    yield Reading('virtdc_journal_sequence', counts.sequence)
    yield Reading('virtdc_journal_finished_events', counts.finished)
    yield Reading('virtdc_volumes', counts.volumes)
    yield Reading(
        'virtdc_outbox_pending', max(0, counts.sequence - counts.published)
    )
    untold = survey.untold_since or survey.now
    yield Reading(
        'virtdc_outbox_oldest_seconds',
        max(0.0, (survey.now - untold).total_seconds()),
    )
    alive, draining = survey.agents
    yield Reading('virtdc_agents', alive - draining, ('active',))
    yield Reading('virtdc_agents', draining, ('draining',))
    alarms: dict[tuple[str, str, str], int] = {}
    for (kind, severity, is_seen), raised in survey.alarms.items():
        known = kind if kind in alarm_catalogue.CATALOGUE else OTHER
        key = (known, severity, 'yes' if is_seen else 'no')
        alarms[key] = alarms.get(key, 0) + raised
    for labels, raised in alarms.items():
        yield Reading('virtdc_alarms', raised, labels)
