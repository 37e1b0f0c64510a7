"""How soon the cloud shows a change, and what a comparison costs.

Real Cinder, on MariaDB. What is seen is read from Cinder's database, so that
looking does not load the API that is measured.
"""

from __future__ import annotations

import concurrent.futures
import datetime
from pathlib import Path
import tempfile
import time
from typing import Any
import urllib.parse
import uuid

from oslo_config import cfg
import pymysql

from cinder_virtdc import opts
from cinder_virtdc import parts
from tests.benchmark import report
from tools.lab import stack
from tools.lab import virtdc
from virtdc_agent.contract import events

RATE = 20.0
CHANGES = 200
VOLUMES = 50
MANY = 10_000
PATIENCE_S = 120.0
GIB = 1024**3

LISTENER = {
    'virtdc': {
        'write_duty_percent': 100,
        'cinder_requests_per_s': 0,
        'resync_interval_s': 3600,
    }
}


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        settings = stack.Settings(
            backends=(virtdc.backend(),),
            agent=virtdc.AgentSettings(),
            listener=virtdc.ListenerSettings(options=LISTENER),
        )
        with stack.Lab(Path(folder) / 'lab', settings) as lab:
            bench = Sync(lab)
            bench.make()
            rows = [
                (f'{name}, {rate:g}/s', *bench.latencies(kind, rate))
                for rate in (2.0, RATE)
                for name, kind in (
                    ('name edited', bench.rename),
                    ('grown by 1 GiB', bench.grow),
                )
            ]
            report.show(
                'From a change in the data centre to its being visible in '
                'the cloud, s',
                ('change', 'seen', 'p50', 'p99'),
                rows,
            )
            bench.make_many()
            report.show(
                f'A comparison of {MANY} volumes of both sides',
                ('', 'figure'),
                bench.comparison(),
            )


class Sync:
    """A cloud, and what happens in its data centre."""

    def __init__(self, lab: stack.Lab) -> None:
        if lab.listener is None:
            raise RuntimeError('no listener')
        self._lab = lab
        self._cloud = lab.cinder.client()
        self._listener = lab.listener
        conf = cfg.CONF
        opts.register_listener_opts(conf)
        conf([], default_config_files=[str(lab.listener.conf)])
        self.requests = 0
        self._parts = parts.Parts.from_config(conf, on_request=self._count)
        self._client = self._parts.client
        url = urllib.parse.urlsplit(lab.mariadb.url('cinder'))
        self._database = pymysql.connect(
            unix_socket=str(lab.mariadb.socket),
            user=url.username,
            password=url.password or '',
            database='cinder',
            autocommit=True,
        )
        self._ids: list[str] = []
        self._sizes: dict[str, int] = {}

    def make(self) -> None:
        """Make the volumes that will change."""
        for number in range(VOLUMES):
            body = {'volume': {'size': 1, 'name': f'volume-{number}'}}
            self._ids.append(
                self._cloud.post('/volumes', body)['volume']['id']
            )
        self._await(
            lambda: (
                all(row[1] == 1 for row in self._rows("status = 'available'"))
                and len(self._rows("status = 'available'")) == VOLUMES
            )
        )
        time.sleep(5)
        self._sizes = dict.fromkeys(self._ids, 1)

    def latencies(self, change: Any, rate: float) -> tuple[str, str, str]:
        """Change volumes at a rate; return how soon it was seen."""
        pending: dict[str, tuple[float, str, object]] = {}
        taken: list[float] = []
        count = int(min(CHANGES, rate * 10))
        began = time.monotonic()
        done = 0
        while done < count or pending:
            now = time.monotonic()
            if now - began > count / rate + PATIENCE_S:
                break
            if done < count and now >= began + done / rate:
                volume_id = self._ids[done % VOLUMES]
                if volume_id not in pending:
                    column, wanted = change(volume_id, done)
                    pending[volume_id] = (time.monotonic(), column, wanted)
                    done += 1
                    continue
            seen = {row[0]: row for row in self._rows('1')}
            for volume_id, (at, column, wanted) in list(pending.items()):
                if seen[volume_id][1 if column == 'size' else 2] == wanted:
                    taken.append(time.monotonic() - at)
                    del pending[volume_id]
            time.sleep(0.005)
        return (
            f'{len(taken)} of {count}',
            f'{report.percentile(taken, 0.5):.2f}',
            f'{report.percentile(taken, 0.99):.2f}',
        )

    def rename(self, volume_id: str, number: int) -> tuple[str, object]:
        """Have the data centre rename a volume."""
        name = f'{number}-{uuid.uuid4()}'
        self._submit(volume_id, events.EditParameters(name=name))
        return 'name', name

    def grow(self, volume_id: str, number: int) -> tuple[str, object]:
        """Have the data centre grow a volume."""
        self._sizes[volume_id] += 1
        size = self._sizes[volume_id]
        self._submit(volume_id, events.ExtendParameters(size_bytes=size * GIB))
        return 'size', size

    def make_many(self) -> None:
        """Give both sides many volumes: rows in Cinder, events here.

        Not while the listener shows each of them.
        """
        self._listener.service.stop()
        source, missing = self._ids[0], MANY - VOLUMES
        ids = [str(uuid.uuid4()) for _ in range(missing)]
        with self._database.cursor() as cursor:
            cursor.execute('SHOW COLUMNS FROM volumes')
            names = [row[0] for row in cursor.fetchall() if row[0] != 'id']
            columns = ', '.join(f'`{name}`' for name in names)
            for volume_id in ids:
                cursor.execute(
                    f'INSERT INTO volumes (id, {columns}) SELECT %s, '
                    f'{columns} FROM volumes WHERE id = %s',
                    (volume_id, source),
                )
        size = self._sizes[source]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for one in pool.map(
                lambda volume_id: self._submit(
                    volume_id,
                    events.CreateParameters(
                        size_bytes=size * GIB, name='many'
                    ),
                    events.Origin.CLOUD,
                ),
                ids,
            ):
                del one
        self._await(lambda: self._client.get_capacity().volumes >= MANY)

    def comparison(self) -> list[tuple[str, str]]:
        """Compare once, without acting, and once in the listener."""
        self.requests = 0
        began = time.monotonic()
        found = self._parts.comparison.run(dry=True)
        took = time.monotonic() - began
        requests = self.requests
        self._listener.service.start()
        time.sleep(max(10.0, 3 * took))
        _, memory = report.memory_kib(self._listener.service.pid)
        return [
            ('volumes in the cloud', str(found.volumes)),
            ('volumes in the data centre', str(found.platform_volumes)),
            ('seconds', f'{took:.1f}'),
            ("requests to Cinder's API", str(requests)),
            ("listener's memory after it, MiB", f'{memory / 1024:.0f}'),
        ]

    def _submit(
        self,
        volume_id: str,
        parameters: events.Parameters,
        origin: events.Origin = events.Origin.PLATFORM,
    ) -> None:
        self._client.submit(
            events.Event(
                event_id=str(uuid.uuid4()),
                operation=events.operation_of(parameters),
                volume_id=volume_id,
                origin=origin,
                parameters=parameters,
                created_at=datetime.datetime.now(datetime.UTC),
            )
        )

    def _rows(self, where: str) -> list[tuple[Any, ...]]:
        with self._database.cursor() as cursor:
            cursor.execute(
                'SELECT id, size, display_name FROM volumes '
                f'WHERE deleted = 0 AND {where}'
            )
            return list(cursor.fetchall())

    def _await(self, is_so: Any) -> None:
        deadline = time.monotonic() + 10 * PATIENCE_S
        while not is_so():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.2)

    def _count(self) -> None:
        self.requests += 1
