"""How soon the cloud shows a change that was made in the data centre.

Real Cinder, on MariaDB. What is seen is read from Cinder's database, so that
looking does not load the API that is measured. The peer is Cinder itself: the
same change asked of its API, with nobody in the data centre behind it.
"""

from __future__ import annotations

from collections.abc import Callable
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

from cinder_virtdc.listener import parts
from cinder_virtdc import opts
from tests.benchmark import report
from tests.benchmark import usage
from tools.lab import stack
from tools.lab import virtdc
from virtdc_agent.contract import events

RATES = (2.0, 10.0, 20.0)
CHANGES = 200
VOLUMES = 50
PATIENCE_S = 120.0
GIB = 1024**3
CLIENTS = 8
PARTS = (
    'cinder-api',
    'cinder-scheduler',
    'cinder-volume-virtdc',
    'listener',
    'agent',
)

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
                for rate in RATES
                for name, kind in (
                    ('renamed in the data centre', bench.rename),
                    ("renamed through Cinder's API", bench.ask_to_rename),
                    ('grown in the data centre', bench.grow),
                    ("grown through Cinder's API", bench.ask_to_grow),
                )
            ]
            report.show(
                'From a change to its being visible in the cloud, s, and the '
                'processor time of one change, ms',
                ('change', 'seen', 'p50', 'p99', *PARTS, 'others'),
                rows,
            )


def listener_parts(
    lab: stack.Lab, on_request: Callable[[], None] = lambda: None
) -> parts.Parts:
    """Return what the lab's listener is made of, made anew."""
    if lab.listener is None:
        raise RuntimeError('no listener')
    conf = cfg.CONF
    opts.register_listener_opts(conf)
    conf([], default_config_files=[str(lab.listener.conf)])
    return parts.Parts.from_config(conf, on_request=on_request)


def database(lab: stack.Lab) -> pymysql.Connection[Any]:
    """Return a connection to Cinder's database."""
    url = urllib.parse.urlsplit(lab.mariadb.url('cinder'))
    return pymysql.connect(
        unix_socket=str(lab.mariadb.socket),
        user=url.username,
        password=url.password or '',
        database='cinder',
        autocommit=True,
    )


Change = Callable[[str, int], tuple[str, object]]
"""Changes a volume, the how manyth time; returns what will be seen where."""


class Sync:
    """A cloud, and what happens in its data centre."""

    def __init__(self, lab: stack.Lab) -> None:
        self._lab = lab
        self._cloud = lab.cinder.client()
        self._client = listener_parts(lab).client
        self._database = database(lab)
        self._clients = concurrent.futures.ThreadPoolExecutor(CLIENTS)
        self._ids: list[str] = []
        self._sizes: dict[str, int] = {}

    def make(self) -> None:
        """Make the volumes that will change."""
        for number in range(VOLUMES):
            body = {'volume': {'size': 1, 'name': f'volume-{number}'}}
            self._ids.append(
                self._cloud.post('/volumes', body)['volume']['id']
            )
        deadline = time.monotonic() + PATIENCE_S
        while len(self._rows("status = 'available'")) < VOLUMES:
            if time.monotonic() > deadline:
                raise TimeoutError('The volumes are not available.')
            time.sleep(0.2)
        usage.settle(self._lab, 'cinder-api', 'cinder-volume-virtdc')
        self._sizes = dict.fromkeys(self._ids, 1)

    def latencies(self, change: Change, rate: float) -> tuple[str, ...]:
        """Change volumes at a rate; return how soon it was seen."""
        pending: dict[str, tuple[float, str, object]] = {}
        taken: list[float] = []
        count = int(min(CHANGES, rate * 10))
        usage.settle(self._lab, 'cinder-api', 'cinder-volume-virtdc')
        before = usage.processor_s(self._lab)
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
                    pending[volume_id] = (now, column, wanted)
                    done += 1
                    continue
            seen = {row[0]: row for row in self._rows('1')}
            for volume_id, (at, column, wanted) in list(pending.items()):
                if seen[volume_id][1 if column == 'size' else 2] == wanted:
                    taken.append(time.monotonic() - at)
                    del pending[volume_id]
            time.sleep(0.01)
        usage.settle(self._lab, 'cinder-api', 'cinder-volume-virtdc')
        after = usage.processor_s(self._lab)
        used = {
            name: 1000 * (after[name] - before.get(name, 0.0)) / count
            for name in after
        }
        others = sum(used[name] for name in used.keys() - set(PARTS))
        return (
            f'{len(taken)} of {count}',
            f'{report.percentile(taken, 0.5):.2f}',
            f'{report.percentile(taken, 0.99):.2f}',
            *(f'{used[name]:.0f}' for name in PARTS),
            f'{others:.0f}',
        )

    def rename(self, volume_id: str, number: int) -> tuple[str, object]:
        """Have the data centre rename a volume."""
        name = f'{number}-{uuid.uuid4()}'
        self.submit(volume_id, events.EditParameters(name=name))
        return 'name', name

    def grow(self, volume_id: str, number: int) -> tuple[str, object]:
        """Have the data centre grow a volume."""
        self._sizes[volume_id] += 1
        size = self._sizes[volume_id]
        self.submit(volume_id, events.ExtendParameters(size_bytes=size * GIB))
        return 'size', size

    def ask_to_rename(self, volume_id: str, number: int) -> tuple[str, object]:
        """Have a user of the cloud rename a volume."""
        name = f'{number}-{uuid.uuid4()}'
        self._clients.submit(
            self._cloud.put,
            f'/volumes/{volume_id}',
            {'volume': {'name': name}},
        )
        return 'name', name

    def ask_to_grow(self, volume_id: str, number: int) -> tuple[str, object]:
        """Have a user of the cloud extend a volume."""
        del number
        self._sizes[volume_id] += 1
        size = self._sizes[volume_id]
        self._clients.submit(
            self._cloud.post,
            f'/volumes/{volume_id}/action',
            {'os-extend': {'new_size': size}},
        )
        return 'size', size

    def submit(
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
