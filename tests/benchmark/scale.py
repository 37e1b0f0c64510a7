"""What the hot path costs beside a hundred events, and beside a million.

The journal is filled by bare inserts of rows as it writes them itself, then
events are submitted, begun and ended one after the other, each of which is a
transaction. If a cost grew with how many wait or have ended, it would show
here; beside it stands the smallest journal.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import datetime
import itertools
from pathlib import Path
import resource
import tempfile
import time
from typing import Any
import uuid

import sqlalchemy as sa

from tests.benchmark import durable
from tests.benchmark import report
from tests.benchmark import worker
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import rows
from virtdc_agent.journal.sql import SqlJournal
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent.journal.tables import FLOWS
from virtdc_agent.journal.tables import QUEUE
from virtdc_agent.journal.tables import TOTALS
from virtdc_agent.journal.tables import TRANSITIONS
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

SIZES = (100, 10_000, 1_000_000)
ROUNDS = 300
WARM_UP = 20
PROJECTS = 100
STEP = 10_000
_SHARE = 'quick/1/cloud'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What a journal holds before it is measured."""

    waiting: int
    finished: int

    @property
    def name(self) -> str:
        """Say it in words."""
        return f'{self.waiting:,} waiting, {self.finished:,} ended'


FILLINGS = (
    *(Filling(waiting=size, finished=0) for size in SIZES),
    Filling(waiting=SIZES[0], finished=SIZES[-1]),
)


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix='virtdc-bench-') as name:
        databases = durable.Databases(Path(name))
        try:
            table = [
                [f'{place.name}, {filling.name}', *_measure(place, filling)]
                for place in databases.places()
                for filling in FILLINGS
            ]
        finally:
            databases.stop()
    report.show(
        f'Cost of one event by what the journal holds, ms, {ROUNDS} rounds',
        (
            'journal',
            'submit p50',
            'p99',
            'claim p50',
            'p99',
            'settle p50',
            'p99',
            'MiB',
        ),
        table,
    )


def _measure(place: durable.Place, filling: Filling) -> list[str]:
    durable.empty(place)
    engine = engines.make_engine(place.url)
    _fill(engine, filling)
    journal = SqlJournal(
        engine, agent='bench', clock=SystemClock(), lease_s=600.0
    )
    journal.join()
    took: dict[str, list[float]] = {'submit': [], 'claim': [], 'settle': []}
    success = model.Outcome(state=State.SUCCESS)
    for number in range(ROUNDS + WARM_UP):
        event = worker.create_event(project=f'project-{number % PROJECTS}')
        spent = {'submit': _timed(lambda event=event: journal.append(event))}
        claims: list[model.Claim] = []
        spent['claim'] = _timed(
            lambda claims=claims: claims.extend(journal.claim(Lane.QUICK, 1))
        )
        spent['settle'] = _timed(
            lambda claims=claims: journal.settle(claims[0], success)
        )
        if number >= WARM_UP:
            for stage, seconds in spent.items():
                took[stage].append(seconds)
    journal.close()
    return [
        *(
            f'{1000 * report.percentile(seconds, share):.2f}'
            for seconds in took.values()
            for share in (0.5, 0.99)
        ),
        f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}',
    ]


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _fill(engine: Any, filling: Filling) -> None:
    count = filling.waiting + filling.finished
    for chunk in _chunks(_numbered(filling), STEP):
        with engine.begin() as connection:
            for table in (EVENTS, QUEUE, TRANSITIONS):
                found = [row[table] for row in chunk if table in row]
                if found:
                    connection.execute(table.insert(), found)
    with engine.begin() as connection:
        connection.execute(
            FLOWS.insert(),
            [
                {
                    'flow': f'{_SHARE}/project-{project}',
                    'share': _SHARE,
                    'finish': filling.waiting // PROJECTS + 1,
                }
                for project in range(PROJECTS)
            ],
        )
        connection.execute(
            TOTALS.update().values(
                event=count,
                sequence=count,
                published=count,
                waiting=filling.waiting,
                finished=filling.finished,
            )
        )
    with engine.connect() as connection:
        # As the databases do by themselves after some minutes.
        connection = connection.execution_options(isolation_level='AUTOCOMMIT')
        statement = 'ANALYZE TABLE events, queue'
        if engine.dialect.name not in ('mysql', 'mariadb'):
            statement = 'ANALYZE'
        connection.execute(sa.text(statement))


def _numbered(filling: Filling) -> Iterator[dict[sa.Table, dict[str, Any]]]:
    """Yield rows as the journal writes them, by their table."""
    event = worker.create_event()
    content = rows.event_text(event)
    now = datetime.datetime.now(datetime.UTC)
    latest = rows.transition_text(
        Transition(
            event_id=event.event_id,
            operation=event.operation,
            volume_id=event.volume_id,
            origin=event.origin,
            state=State.WAITING,
            sequence=1,
            occurred_at=now,
            requested_by=event.requested_by,
        )
    )
    for number in range(1, filling.waiting + filling.finished + 1):
        waits = number > filling.finished
        event_id, volume_id = str(uuid.uuid4()), str(uuid.uuid4())

        def own(text: str, event_id=event_id, volume_id=volume_id) -> str:
            return text.replace(event.event_id, event_id).replace(
                event.volume_id, volume_id
            )

        found: dict[sa.Table, dict[str, Any]] = {
            EVENTS: {
                'id': number,
                'event_id': event_id,
                'content': own(content),
                'latest': own(latest),
                'operation': event.operation.value,
                'volume_id': volume_id,
                'project_id': f'project-{number % PROJECTS}',
                'origin': event.origin.value,
                'lane': Lane.QUICK.value,
                'urgency': 1,
                'tag': number // PROJECTS,
                'state': 'waiting' if waits else 'success',
                'blockers': 0,
                'attempt': 0 if waits else 1,
                'losses': 0,
                'fence': 0,
                'holder': None,
                'accepted': now.timestamp(),
                'ended': None if waits else now.timestamp(),
                'is_suspect': False,
                'is_closed': False,
                'cancel_requested': False,
            },
            TRANSITIONS: {
                'sequence': number,
                'event': number,
                'occurred': now.timestamp(),
                'body': own(latest),
            },
        }
        if waits:
            found[QUEUE] = {'resource': volume_id, 'event': number}
        yield found


def _chunks(found: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(found)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
