"""Durable events per second, beside bare commits to the same database.

The limit that physics sets: an event is accepted, begun and ended, each of
which has to be on disk before the next; that is three commits. Beside each
figure stand as many commits of one row, without anything around them, by one
connection (who waits for each) and by sixteen (who share the disk's work).
"""

from __future__ import annotations

from concurrent import futures
import dataclasses
import json
from pathlib import Path
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from typing import Any
import uuid

from oslo_config import cfg
import sqlalchemy as sa

from tests.benchmark import report
from tools.lab import configuration
from tools.lab import mariadb
from tools.lab import postgresql
from tools.lab import processes
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import migrate

EVENTS = 3000
COMMITS_AN_EVENT = 3
CLIENTS = 16
PROBES = 300
_ROW = 'x' * 500


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database, empty."""

    name: str
    url: str
    agents: tuple[int, ...]


class Databases:
    """Servers, started when they are needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._supervisor = processes.Supervisor(folder, uuid.uuid4().hex)

    def places(self) -> list[Place]:
        """Start the servers; return where a journal can be."""
        server = postgresql.PostgreSQL(self._supervisor)
        server.up()
        other = mariadb.MariaDB(self._supervisor, ['virtdc'], durable=True)
        other.up()
        return [
            Place(
                name='SQLite',
                url=f'sqlite:///{self.folder}/journal.sqlite',
                agents=(1,),
            ),
            Place(name='PostgreSQL', url=server.url, agents=(1, 2, 3)),
            Place(name='MariaDB', url=other.url('virtdc'), agents=(1, 2, 3)),
        ]

    def stop(self) -> None:
        """Stop them."""
        processes.end(processes.read_records(self._supervisor.pid_folder))
        self._supervisor.reap()


def run() -> None:
    """Measure and print."""
    # The global object: what is read there must not come from the machine.
    cfg.CONF([], project='virtdc-bench', default_config_files=[])
    with tempfile.TemporaryDirectory(prefix='virtdc-bench-') as name:
        databases = Databases(Path(name))
        try:
            places = databases.places()
            _print_rates(Path(name), places)
            _print_latencies(Path(name), places)
        finally:
            databases.stop()


def _print_rates(folder: Path, places: list[Place]) -> None:
    rows = []
    for place in places:
        alone = _bare(place, 1) / COMMITS_AN_EVENT
        shared = max(alone, _bare(place, CLIENTS) / COMMITS_AN_EVENT)
        for backend in ('memory', 'file'):
            for agents in place.agents:
                found = _burst(folder, place, backend, agents)
                rows.append(
                    [
                        f'{place.name}, {backend}, {agents}',
                        f'{found.accepted:.0f}',
                        f'{found.ended:.0f}',
                        f'{found.ended / alone:.2f}',
                        f'{found.ended / shared:.2f}',
                        f'{found.peak_mib:.0f}',
                    ]
                )
        rows.append(
            [
                f'{place.name}, limit',
                '',
                f'{alone:.0f}, {shared:.0f}',
                '1.00',
                '1.00',
                '',
            ]
        )
    report.show(
        f'Durable events/s, {EVENTS} creates from {CLIENTS} clients, no bus; '
        f'the limit is {COMMITS_AN_EVENT} bare commits an event, by 1 and by '
        f'{CLIENTS} connections',
        (
            'journal, backend, agents',
            'accepted',
            'ended',
            'of limit 1',
            f'of limit {CLIENTS}',
            'peak MiB',
        ),
        rows,
    )


def _print_latencies(folder: Path, places: list[Place]) -> None:
    rows = []
    for place in places:
        (found,) = _measure(
            folder, place, 'memory', 1, ['one_by_one', str(PROBES)]
        )
        rows.append(
            [
                place.name,
                *(
                    f'{1000 * report.percentile(found["seconds"], share):.1f}'
                    for share in (0.5, 0.9, 0.99)
                ),
            ]
        )
    report.show(
        f'From submission to running on an idle agent, ms, {PROBES} events',
        ('journal', 'p50', 'p90', 'p99'),
        rows,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Burst:
    accepted: float
    ended: float
    peak_mib: float


def _burst(folder: Path, place: Place, backend: str, agents: int) -> _Burst:
    found = _measure(
        folder,
        place,
        backend,
        agents,
        ['burst', str(EVENTS // agents), str(CLIENTS // agents)],
    )
    begun = min(one['begun'] for one in found)
    return _Burst(
        *(
            EVENTS / (max(one[name] for one in found) - begun)
            for name in ('accepted', 'ended')
        ),
        max(one['peak_kib'] for one in found) / 1024,
    )


def _measure(
    folder: Path, place: Place, backend: str, agents: int, task: list[str]
) -> list[dict[str, Any]]:
    """Run agents, each in a process of its own, and return what they say."""
    empty(place)
    pool = folder / 'pool'
    shutil.rmtree(pool, ignore_errors=True)
    pool.mkdir()
    workers = []
    try:
        for number in range(agents):
            conf = folder / f'agent-{number}.conf'
            configuration.write_sections(
                conf,
                {
                    'DEFAULT': {
                        'state_path': folder,
                        'transport_url': 'fake://',
                    },
                    'agent': {'name': f'agent-{number}', 'backend': backend},
                    'database': {'connection': place.url},
                    'backend_file': {
                        'path': pool,
                        'max_over_subscription_ratio': 1000,
                    },
                    'exporter_share': {'export': f'127.0.0.1:{pool}'},
                },
            )
            workers.append(
                subprocess.Popen(
                    [
                        *(sys.executable, '-W', 'ignore'),
                        *('-m', 'tests.benchmark.worker', str(conf), *task),
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        for worker in workers:
            _expect(worker, 'ready')
        for worker in workers:
            _say(worker)
        found = [json.loads(worker.stdout.readline()) for worker in workers]
        for worker in workers:
            _say(worker)
            worker.wait(30)
        return found
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _say(worker: subprocess.Popen[str]) -> None:
    worker.stdin.write('go\n')
    worker.stdin.flush()


def _expect(worker: subprocess.Popen[str], word: str) -> None:
    if worker.stdout.readline().strip() != word:
        raise RuntimeError('a worker did not start; it said why above')


def empty(place: Place) -> None:
    """Make the journal anew."""
    engine = engines.make_engine(place.url)
    with engine.begin() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        metadata.drop_all(connection)
    migrate.sync(engine)
    engine.dispose()


def _bare(place: Place, connections: int) -> float:
    """Return commits/s of one row each."""
    count = EVENTS * COMMITS_AN_EVENT // 2
    if place.url.startswith('sqlite'):
        return _bare_sqlite(place, count)
    engine = sa.create_engine(place.url, pool_size=connections)
    with engine.begin() as connection:
        connection.exec_driver_sql('DROP TABLE IF EXISTS bare')
        connection.exec_driver_sql('CREATE TABLE bare (body VARCHAR(600))')

    def work(number: int) -> None:
        connection = engine.raw_connection()
        cursor = connection.cursor()
        for _ in range(count // connections):
            cursor.execute('INSERT INTO bare VALUES (%s)', (_ROW,))
            connection.commit()

    begun = time.monotonic()
    with futures.ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, range(connections)))
    elapsed_s = time.monotonic() - begun
    engine.dispose()
    return count / elapsed_s


def _bare_sqlite(place: Place, count: int) -> float:
    """Return the same of SQLite, which has one writer at a time."""
    path = Path(str(sa.make_url(place.url).database)).with_name('bare')
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute('PRAGMA journal_mode = WAL')
    database.execute('PRAGMA synchronous = FULL')
    database.execute('CREATE TABLE bare (body TEXT)')
    begun = time.monotonic()
    for _ in range(count):
        database.execute('BEGIN IMMEDIATE')
        database.execute('INSERT INTO bare VALUES (?)', (_ROW,))
        database.execute('COMMIT')
    elapsed_s = time.monotonic() - begun
    database.close()
    return count / elapsed_s
