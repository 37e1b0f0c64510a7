"""Two pools and two exporters behind one driver, with real Cinder.

The pool "fast" is a small file system of its own, "slow" a folder of a large
one. What stands for the network are bind mounts, as in ``tools.lab.share``.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import json
import os
from pathlib import Path
import shutil
import sqlite3
import subprocess
import tempfile
import time
from typing import Any, ClassVar

from tests.functional import base as functional
from tests.functional.test_copies import CopiesCase
from tests.functional.test_copies import digest
from tests import tgtd
from tests.unit.agent.backends import mounts
from tools.lab import errors
from tools.lab import nfs_control
from tools.lab import ports
from tools.lab import rest
from tools.lab import share as shares
from tools.lab import stack
from tools.lab import virtdc

MIB = 1024**2
DATA_MIB = 256
CONNECTOR = {
    'host': 'compute-1',
    'ip': '127.0.0.1',
    'initiator': 'iqn.1993-08.org.example:01:compute-1',
}
ZONE = 'dc-1'


class TestPools(CopiesCase):
    own_lab: ClassVar[stack.Lab]
    pools: ClassVar[Mapping[str, Path]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        tgtd.require()
        folder = Path(tempfile.mkdtemp(prefix='virtdc-'))
        cls.addClassCleanup(shutil.rmtree, folder)
        share = shares.Share(folder / 'share')
        try:
            share.mount()
        except errors.LabError as exc:
            mounts.lack(str(exc))
        for path in reversed(share.mounts):
            cls.addClassCleanup(subprocess.run, ['umount', path], check=True)
        slow = folder / 'slow'
        slow.mkdir()
        expected = nfs_control.mount_point(share.base, slow)
        expected.mkdir()
        mounts.mount_again(cls, slow, expected)
        # To Python, what is of the same file system is no mount point.
        cls.addClassCleanup(subprocess.run, ['umount', expected], check=True)
        cls.pools = {'fast': share.pool, 'slow': slow}
        daemon = tgtd.Tgtd(folder)
        cls.addClassCleanup(daemon.close)
        daemon.start()
        cls.own_lab = functional.start(
            functional.settings(
                backends=(
                    virtdc.backend(
                        options={
                            **functional.DRIVER,
                            'virtdc_mount_point_base': share.base,
                            'backend_availability_zone': ZONE,
                        }
                    ),
                ),
                cinder_options={
                    **functional.DURABLE,
                    'DEFAULT': {'default_availability_zone': ZONE},
                },
                agent=virtdc.AgentSettings(
                    options={
                        **functional.DURABLE,
                        'agent': {
                            'pools': 'fast, slow',
                            'exporters': 'share, iscsi-tgt',
                        },
                        'executor': {'progress_interval_s': 0.1},
                        'pool_fast': {
                            'path': share.pool,
                            'max_over_subscription_ratio': 1.0,
                        },
                        'pool_slow': {'path': slow},
                        'exporter_share': {
                            'pool_exports': ','.join(
                                f'{name}:127.0.0.1:{path}'
                                for name, path in cls.pools.items()
                            )
                        },
                        'exporter_iscsi_tgt': {
                            'portals': daemon.portal,
                            'control_socket': daemon.control_socket,
                        },
                    }
                ),
            )
        )
        cls.addClassCleanup(cls.own_lab.down)

    def get_lab(self) -> stack.Lab:
        return self.own_lab

    def setUp(self) -> None:
        super().setUp()
        for name in self.pools:
            self.make_type(f'in-{name}', {'pool_name': name})

    def host(self, pool: str) -> str:
        """Return what Cinder calls a pool."""
        [host] = [
            one['name']
            for one in self.cloud.get('/scheduler-stats/get_pools')['pools']
            if one['name'].endswith(f'#{pool}')
        ]
        return str(host)

    def where(self, volume_id: str) -> set[str]:
        """Return the pools that have a file of a volume."""
        return {
            name
            for name, path in self.pools.items()
            if (path / f'volume-{volume_id}').exists()
        }

    def make_filled(self, **wanted: Any) -> tuple[str, str]:
        """Return a volume in "slow" with much in it, and its checksum.

        There it goes by itself: it has more room.
        """
        volume_id = self.make(**wanted)
        file = self.pools['slow'] / f'volume-{volume_id}'
        with file.open('r+b') as opened:
            for _ in range(DATA_MIB):
                opened.write(os.urandom(MIB))
        return volume_id, digest(file)

    def migrate(self, volume_id: str, pool: str, **more: Any) -> None:
        self.act(
            volume_id,
            'os-migrate_volume',
            host=self.host(pool),
            force_host_copy=more.pop('force_host_copy', False),
            **more,
        )

    def await_migrated(self, volume_id: str, pool: str) -> Mapping[str, Any]:
        """Wait until Cinder is done; it is in the pool then."""

        def is_done() -> bool:
            shown = self.show(volume_id)
            self.assertNotEqual('error', shown['migration_status'])
            return (
                shown['migration_status'] == 'success'
                and shown['status'] == 'available'
            )

        self.until(
            is_done, 120, lambda: f'it is not moved: {self.show(volume_id)}'
        )
        shown = self.show(volume_id)
        self.assertEqual(self.host(pool), shown['os-vol-host-attr:host'])
        return shown

    def told(self, volume_id: str, operation: str) -> list[tuple[str, Any]]:
        """Return the states and progress of a volume's operation."""
        address = f'file:{self.agent.journal}?mode=ro'
        with contextlib.closing(sqlite3.connect(address, uri=True)) as journal:
            bodies = journal.execute(
                'SELECT body FROM transitions ORDER BY sequence'
            ).fetchall()
        return [
            (data['state'], data['progress'])
            for data in (json.loads(body)['data'] for (body,) in bodies)
            if (data['volume_id'], data['operation']) == (volume_id, operation)
        ]

    def test_the_scheduler_places_volumes(self) -> None:
        """By the type's pool, and by what a pool has room for."""
        for pool in self.pools:
            volume_id = self.make(volume_type=f'in-{pool}')
            self.assertEqual({pool}, self.where(volume_id))
            shown = self.show(volume_id)
            self.assertEqual(self.host(pool), shown['os-vol-host-attr:host'])
            self.assertEqual(ZONE, shown['availability_zone'])
        # Larger than "fast" is.
        volume_id = self.make(size=100)
        self.assertEqual({'slow'}, self.where(volume_id))
        answer = self.cloud.ask(
            'POST',
            '/volumes',
            {'volume': {'size': 1, 'availability_zone': 'elsewhere'}},
        )
        self.assertEqual(400, answer.status)

    def test_pools_are_listed_with_what_they_have(self) -> None:
        body = self.cloud.get('/scheduler-stats/get_pools?detail=true')
        found = {
            one['name'].partition('#')[2]: one['capabilities']
            for one in body['pools']
        }
        self.assertEqual(set(self.pools), set(found))
        self.assertLess(
            found['fast']['total_capacity_gb'],
            found['slow']['total_capacity_gb'],
        )
        self.assertEqual(
            *(
                one['location_info'].rpartition(':')[0]
                for one in found.values()
            )
        )

    def test_migrated_by_the_data_centre(self) -> None:
        """There and back, with the same bytes, and nothing left behind."""
        volume_id, then = self.make_filled()
        for pool in ('fast', 'slow'):
            self.migrate(volume_id, pool)
            self.await_migrated(volume_id, pool)
            self.wait(
                volume_id,
                operation='migrate',
                state='success',
                progress='100 %',
            )
            self.assertEqual({pool}, self.where(volume_id))
            self.assertEqual(
                then, digest(self.pools[pool] / f'volume-{volume_id}')
            )
        told = self.told(volume_id, 'migrate')
        self.assertEqual('waiting', told[0][0])
        on_the_way = [
            progress
            for state, progress in told
            if state == 'running' and progress
        ]
        self.assertTrue(any(0 < one < 100 for one in on_the_way), told)

    def test_moved_by_an_operator_of_the_data_centre(self) -> None:
        """Over REST; Cinder's record follows by a migration that is none."""
        volume_id, then = self.make_filled()
        api = self.serve()
        asked = api.ask(
            'POST', f'/v1/volumes/{volume_id}/migrate', {'pool': 'fast'}
        )
        self.assertEqual(202, asked.status, asked.body)
        path = f'/v1/events/{asked.body["event_id"]}'
        self.until(
            lambda: api.get(path)['state'] == 'success',
            60,
            lambda: str(api.get(path)),
        )
        self.assertEqual({'fast'}, self.where(volume_id))
        file = self.pools['fast'] / f'volume-{volume_id}'
        inode = file.stat().st_ino
        self.assertEqual(
            self.host('slow'), self.show(volume_id)['os-vol-host-attr:host']
        )
        self.wait(volume_id, operation='migrate', state='success')
        self.migrate(volume_id, 'fast')
        self.await_migrated(volume_id, 'fast')
        self.assertEqual((inode, then), (file.stat().st_ino, digest(file)))

    def serve(self) -> rest.Rest:
        """Have the agent serve its API, to anybody of this machine."""
        free = ports.Ports()
        port = free.take()
        self.addCleanup(free.release)
        self.agent.reconfigure(
            {
                'api': {
                    'enabled': True,
                    'bind_port': port,
                    'auth_strategy': 'none',
                }
            }
        )
        self.agent.service.restart()
        api = rest.Rest(f'http://127.0.0.1:{port}', {})
        self.until(lambda: api.answers('/healthcheck'), 60, lambda: 'no')
        return api

    def test_killed_in_the_middle(self) -> None:
        volume_id, then = self.make_filled()
        scratch = self.pools['fast'] / '.temporary'
        self.migrate(volume_id, 'fast')
        deadline = time.monotonic() + 60
        while not any(
            path.stat().st_blocks > 0
            for path in scratch.glob(f'{volume_id}.*')
            if path.exists()
        ):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.002)
        self.agent.service.kill()
        self.assertEqual({'slow'}, self.where(volume_id))
        self.agent.service.start()
        self.await_migrated(volume_id, 'fast')
        self.assertEqual({'fast'}, self.where(volume_id))
        self.assertEqual(
            then, digest(self.pools['fast'] / f'volume-{volume_id}')
        )
        self.assertEqual([], list(scratch.glob(f'{volume_id}.*')))

    def test_migrated_by_cinder(self) -> None:
        """As between backends that know nothing of each other."""
        volume_id, then = self.make_filled()
        self.migrate(volume_id, 'fast', force_host_copy=True)
        shown = self.await_migrated(volume_id, 'fast')
        name_id = shown['os-vol-mig-status-attr:name_id']
        self.assertNotEqual(volume_id, name_id)
        self.assertEqual(set(), self.where(volume_id))
        self.assertEqual({'fast'}, self.where(name_id))
        self.assertEqual(
            then, digest(self.pools['fast'] / f'volume-{name_id}')
        )

    def test_a_type_of_another_pool(self) -> None:
        volume_id, then = self.make_filled(volume_type='in-slow')
        self.act(
            volume_id,
            'os-retype',
            new_type='in-fast',
            migration_policy='on-demand',
        )
        self.until(
            lambda: self.show(volume_id)['volume_type'] == 'in-fast',
            60,
            lambda: f'it is of its first type: {self.show(volume_id)}',
        )
        self.wait(volume_id, operation='migrate', state='success')
        # Not by a copy of Cinder's, which would have another name.
        self.assertEqual({'fast'}, self.where(volume_id))
        self.assertEqual(
            then, digest(self.pools['fast'] / f'volume-{volume_id}')
        )
        shown = self.show(volume_id)
        self.assertEqual(self.host('fast'), shown['os-vol-host-attr:host'])

    def test_a_type_chooses_the_exporter(self) -> None:
        self.make_type(
            'by-iscsi', {'virtdc:exporter': 'iscsi-tgt', 'pool_name': 'slow'}
        )
        for wanted, kind in (('by-iscsi', 'iscsi'), ('in-slow', 'nfs')):
            volume_id = self.make(volume_type=wanted)
            info = self.act(
                volume_id, 'os-initialize_connection', connector=CONNECTOR
            )['connection_info']
            self.assertEqual(kind, info['driver_volume_type'])
            if kind == 'nfs':
                self.assertEqual(
                    f'127.0.0.1:{self.pools["slow"]}', info['data']['export']
                )
            else:
                # Through a restart too, it is the right one.
                self.agent.service.restart()
                self.assertTrue(
                    tgtd.can_log_in(info['data'], CONNECTOR['initiator'])
                )
            self.act(volume_id, 'os-terminate_connection', connector=CONNECTOR)
            if kind == 'iscsi':
                self.assertFalse(
                    tgtd.can_log_in(info['data'], CONNECTOR['initiator'])
                )
