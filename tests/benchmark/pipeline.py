"""Events per second through the agent, and what each stage costs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import datetime
from pathlib import Path
import sqlite3
import tempfile
import time
import uuid

from oslo_config import cfg
import oslo_messaging

from cinder_virtdc.bus.caller import BusCaller
from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.clock import SystemClock as CloudClock
from tests.benchmark import report
from tools.lab import installation
from tools.lab import ports
from tools.lab import processes
from tools.lab import rabbitmq
from tools.lab import virtdc
from virtdc_agent.bus import BusPublisher
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import events
from virtdc_agent.contract.events import State
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import SqlJournal
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

GIB = 1024**3
EVENTS = 2000
CLIENTS = 16
WAITING = 10_000


def create_event() -> events.Event:
    """Return an event that creates a volume of its own."""
    return events.Event(
        event_id=str(uuid.uuid4()),
        operation=events.Operation.CREATE,
        volume_id=str(uuid.uuid4()),
        origin=events.Origin.CLOUD,
        parameters=events.CreateParameters(size_bytes=GIB),
        created_at=datetime.datetime.now(datetime.UTC),
    )


class Bench:
    """A broker, and agents one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.supervisor = processes.Supervisor(folder, uuid.uuid4().hex)
        self.rabbitmq = rabbitmq.RabbitMQ(self.supervisor, ports.Ports())
        cfg.CONF([], project='virtdc-bench', default_config_files=[])

    def agent(self, name: str, backend: str) -> virtdc.Agent:
        """Return an agent, not yet started."""
        agent = virtdc.Agent(
            self.supervisor,
            self.rabbitmq,
            venv=installation.Installation.current(),
            pool=self.folder / f'pool-{name}',
            settings=virtdc.AgentSettings(
                name=name,
                options={
                    'agent': {'backend': backend, 'topic': f'rpc-{name}'},
                    'backend_file': {'max_over_subscription_ratio': 1000},
                    'executor': {'batch_size': 16},
                },
            ),
        )
        agent.configure()
        return agent

    def client(self, name: str) -> AgentClient:
        """Return a client of an agent."""
        return client_of(self.rabbitmq.private_url, topic=f'rpc-{name}')

    def publisher(self) -> BusPublisher:
        """Return a publisher as the agent's."""
        return BusPublisher(
            oslo_messaging.get_notification_transport(
                cfg.CONF, url=self.rabbitmq.private_url
            ),
            topic='bench',
            publisher_id='bench',
            clock=SystemClock(),
        )


def client_of(url: str, *, topic: str) -> AgentClient:
    """Return a client of the agent on a topic."""
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
    return AgentClient(
        BusCaller(transport, topic=topic),
        clock=CloudClock(),
        submit_timeout_s=60,
        rpc_timeout_s=30,
    )


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix='virtdc-bench-') as name:
        bench = Bench(Path(name))
        try:
            bench.rabbitmq.up()
            _print_rates(bench)
            _print_stages(bench)
        finally:
            processes.end(processes.read_records(bench.supervisor.pid_folder))
            bench.supervisor.reap()


def _print_rates(bench: Bench) -> None:
    rows = []
    for backend in ('memory', 'file'):
        agent = bench.agent(backend, backend)
        agent.service.start()
        client = bench.client(backend)
        submit_s, total_s = _push(client, EVENTS)
        told_s = _await_told(agent.journal, total_s)
        agent.service.stop()
        rows.append(
            [
                backend,
                *(
                    f'{EVENTS / seconds:.0f}'
                    for seconds in (submit_s, total_s, told_s)
                ),
            ]
        )
    rows.append(['bare commits', '', f'{_bare_commits(bench.folder):.0f}', ''])
    report.show(
        f'Events/s over RabbitMQ, {EVENTS} creates from {CLIENTS} clients, '
        'SQLite; beside it the same number of bare commits',
        ('backend', 'accepted', 'executed', 'told'),
        rows,
    )


def _push(client: AgentClient, count: int) -> tuple[float, float]:
    """Submit events; return seconds until all accepted, and all executed."""
    made = [create_event() for _ in range(count)]
    begun = time.monotonic()
    with futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client.submit, made))
    submit_s = time.monotonic() - begun
    while True:
        counts = client.get_capacity()
        if counts.waiting + counts.running == 0:
            break
        time.sleep(0.05)
    total_s = time.monotonic() - begun
    ends = client.get_events([event.event_id for event in made]).values()
    if any(one.state is not State.SUCCESS for one in ends):
        raise RuntimeError('an event failed')
    return submit_s, total_s


def _await_told(journal: Path, total_s: float) -> float:
    """Return seconds from the beginning until all is on the bus."""
    begun = time.monotonic() - total_s
    with sqlite3.connect(f'file:{journal}?mode=ro', uri=True) as database:
        while True:
            published, sequence = database.execute(
                'SELECT published, sequence FROM totals'
            ).fetchone()
            if published == sequence:
                return time.monotonic() - begun
            time.sleep(0.02)


def _bare_commits(folder: Path) -> float:
    """Return durable SQLite commits/s of one row each, in one thread."""
    database = sqlite3.connect(folder / 'bare', isolation_level=None)
    database.execute('PRAGMA journal_mode = WAL')
    database.execute('PRAGMA synchronous = FULL')
    database.execute('CREATE TABLE bare (body TEXT)')
    begun = time.monotonic()
    for _ in range(EVENTS):
        database.execute('BEGIN IMMEDIATE')
        database.execute('INSERT INTO bare VALUES (?)', ('x' * 500,))
        database.execute('COMMIT')
    elapsed_s = time.monotonic() - begun
    database.close()
    return EVENTS / elapsed_s


def _print_stages(bench: Bench) -> None:
    engine = engines.make_engine(f'sqlite:///{bench.folder / "stages.sqlite"}')
    migrate.sync(engine)
    journal = SqlJournal(
        engine, agent='bench', clock=SystemClock(), lease_s=60.0
    )
    journal.join()
    agent = bench.agent('stages', 'memory')
    agent.service.start()
    client = bench.client('stages')
    publisher = bench.publisher()
    made = [create_event() for _ in range(EVENTS)]
    costs = [
        ('call and answer', _each(EVENTS, lambda n: client.get_capacity())),
        ('append', _each(EVENTS, lambda n: journal.append(made[n]))),
    ]
    claims: list[model.Claim] = []
    begun = time.monotonic()
    while taken := journal.claim(Lane.QUICK, 16):
        claims += taken
    costs.append(('claim, 16 at a time', (time.monotonic() - begun) / EVENTS))
    success = model.Outcome(state=State.SUCCESS)
    costs.append(
        (
            'settle',
            _each(EVENTS, lambda n: journal.settle(claims[n], success)),
        )
    )
    history = journal.get_changes(0, 1000).transitions
    begun = time.monotonic()
    for transition in history:
        publisher.publish(transition)
    costs.append(
        ('publish, 3 an event', 3 * (time.monotonic() - begun) / len(history))
    )
    agent.service.stop()
    journal.close()
    total = sum(seconds for _, seconds in costs)
    report.show(
        f'Cost by stage, {CLIENTS} threads where the agent has threads',
        ('stage', 'µs/event', 'share'),
        [
            [name, f'{1e6 * seconds:.0f}', f'{seconds / total:.0%}']
            for name, seconds in costs
        ],
    )


def _each(count: int, work: Callable[[int], object]) -> float:
    """Return seconds per call, of many threads together."""
    begun = time.monotonic()
    with futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(work, range(count)))
    return (time.monotonic() - begun) / count


def memory(pid: int) -> list[str]:
    """Return a process's resident and proportional memory, in MiB."""
    return [f'{kib / 1024:.0f}' for kib in report.memory_kib(pid)]
