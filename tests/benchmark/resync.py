"""What a comparison of very many volumes costs.

Real Cinder, on MariaDB. All but one volume are put into its database by hand,
as they would be after they were made and shown: Cinder makes ten in a second.
"""

from __future__ import annotations

import concurrent.futures
import datetime
from pathlib import Path
import tempfile
import time
import uuid

from cinder_virtdc.sync import properties
from tests.benchmark import report
from tests.benchmark import sync
from tests.benchmark import usage
from tools.lab import stack
from tools.lab import virtdc
from virtdc_agent.contract import events

VOLUMES = 10_000
PATIENCE_S = 120.0
CLIENTS = 8
SIZE_BYTES = 1024**3

# Promises far more than a small disk may be sold for.
AGENT = {'backend_file': {'max_over_subscription_ratio': 1000}}
LISTENER = {'virtdc': {'resync_interval_s': 3600}}


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        settings = stack.Settings(
            backends=(virtdc.backend(),),
            agent=virtdc.AgentSettings(options=AGENT),
            listener=virtdc.ListenerSettings(options=LISTENER),
        )
        with stack.Lab(Path(folder) / 'lab', settings) as lab:
            bench = Resync(lab)
            rows = [('listener, idle, MiB', bench.memory())]
            bench.make()
            rows += bench.compare()
            rows.append(('listener, after its own, MiB', bench.restart()))
            report.show(
                f'A comparison of {VOLUMES} volumes of both sides',
                ('', 'figure'),
                rows,
            )


class Resync:
    """A cloud with many volumes, and a data centre with the same."""

    def __init__(self, lab: stack.Lab) -> None:
        if lab.listener is None:
            raise RuntimeError('no listener')
        self._lab = lab
        self._service = lab.listener.service
        self._requests = 0
        self._parts = sync.listener_parts(lab, self._count)
        self._database = sync.database(lab)

    def memory(self) -> str:
        """Return the resident memory of the listener."""
        resident, _ = report.memory_kib(self._service.pid)
        return f'{resident / 1024:.0f}'

    def make(self) -> None:
        """Make the volumes on both sides, while no listener looks."""
        self._service.stop()
        cloud = self._lab.cinder.client()
        model = cloud.post('/volumes', {'volume': {'size': 1, 'name': 'many'}})
        ids = [str(uuid.uuid4()) for _ in range(VOLUMES - 1)]
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for one in pool.map(self._submit, ids):
                del one
        deadline = time.monotonic() + PATIENCE_S
        while self._parts.client.get_capacity().volumes < VOLUMES:
            if time.monotonic() > deadline:
                raise TimeoutError('The data centre has not made them all.')
            time.sleep(0.2)
        self._copy(model['volume']['id'], ids)

    def compare(self) -> list[tuple[str, str]]:
        """Compare, without acting."""
        self._requests = 0
        began = time.monotonic()
        used = time.process_time()
        found = self._parts.comparison.run(dry=True)
        return [
            ('volumes in the cloud', str(found.volumes)),
            ('volumes in the data centre', str(found.platform_volumes)),
            ('not in step', str(len(found.actions))),
            ('seconds', f'{time.monotonic() - began:.1f}'),
            (
                "seconds of the listener's processor time",
                f'{time.process_time() - used:.1f}',
            ),
            ("requests to Cinder's API", str(self._requests)),
        ]

    def restart(self) -> str:
        """Have a listener begin; return its memory after its comparison."""
        self._service.start()
        usage.settle(self._lab, 'listener')
        return self.memory()

    def _submit(self, volume_id: str) -> None:
        parameters = events.CreateParameters(
            size_bytes=SIZE_BYTES, name='many'
        )
        self._parts.client.submit(
            events.Event(
                event_id=str(uuid.uuid4()),
                operation=events.operation_of(parameters),
                volume_id=volume_id,
                origin=events.Origin.CLOUD,
                parameters=parameters,
                created_at=datetime.datetime.now(datetime.UTC),
            )
        )

    def _copy(self, model_id: str, ids: list[str]) -> None:
        """Let Cinder have them, with what they would show."""
        self._parts.follower.catch_up(tell=False)
        self._parts.sight.learn()
        with self._database.cursor() as cursor:
            cursor.execute('SHOW COLUMNS FROM volumes')
            names = [row[0] for row in cursor.fetchall() if row[0] != 'id']
            columns = ', '.join(f'`{name}`' for name in names)
            cursor.executemany(
                f'INSERT INTO volumes (id, {columns}) SELECT %s, {columns} '
                'FROM volumes WHERE id = %s',
                [(volume_id, model_id) for volume_id in ids],
            )
            for volume_id in ids:
                latest = self._parts.follower.latest(volume_id)
                if latest is None:
                    raise RuntimeError(f'No event of volume {volume_id}')
                shown = {
                    **self._parts.sight.base_of_new(latest),
                    **properties.properties_of(latest),
                }
                cursor.executemany(
                    'INSERT INTO volume_metadata (created_at, deleted, '
                    'volume_id, `key`, value) VALUES (NOW(), 0, %s, %s, %s)',
                    [(volume_id, *item) for item in shown.items()],
                )

    def _count(self) -> None:
        self._requests += 1
