"""What the agent's scan finds in its pools, and what the cloud makes of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
import shutil
import subprocess
import tempfile
from typing import Any, ClassVar

from tests.functional import base
from tests.functional import test_bus
from tests.unit.agent.backends import mounts
from tools.lab import stack
from tools.lab import virtdc


class TestScan(test_bus.BusCase):
    """Two pools, of which one is mounted."""

    own_lab: ClassVar[stack.Lab]
    mounted: ClassVar[Path]
    behind: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = Path(tempfile.mkdtemp(prefix='virtdc-'))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.mounted, cls.behind = folder / 'mounted', folder / 'behind'
        other = folder / 'other'
        for path in (cls.mounted, cls.behind, other):
            path.mkdir()
        mounts.mount_again(cls, cls.behind, cls.mounted)
        cls.addClassCleanup(cls.unmount)
        cls.own_lab = base.start(
            base.settings(
                agent=virtdc.AgentSettings(
                    options={
                        **base.DURABLE,
                        'agent': {
                            'pools': 'mounted, other',
                            'scan_interval_s': 2,
                        },
                        'pool_mounted': {'path': cls.mounted},
                        'pool_other': {'path': other},
                        'exporter_share': {
                            'pool_exports': f'mounted:127.0.0.1:{cls.mounted},'
                            f'other:127.0.0.1:{other}'
                        },
                    }
                )
            )
        )
        cls.addClassCleanup(cls.own_lab.down)

    @classmethod
    def unmount(cls) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(
                ['umount', '-l', str(cls.mounted)],
                check=True,
                capture_output=True,
            )

    def get_lab(self) -> stack.Lab:
        return self.own_lab

    def alarms(self) -> set[tuple[str, str]]:
        items = self.call('get_alarms')['items']
        return {(one['data']['kind'], one['data']['subject']) for one in items}

    def wait_alarms(self, *wanted: tuple[str, str]) -> None:
        self.until(
            lambda: self.alarms() == set(wanted),
            60,
            lambda: f'{wanted} wanted, not {self.alarms()}',
        )

    def made_in(self, pool: str, count: int) -> list[str]:
        name = f'in-{pool}'
        types = self.cloud.get('/types')['volume_types']
        if not any(one['name'] == name for one in types):
            self.cloud.post(
                '/types',
                {
                    'volume_type': {
                        'name': name,
                        'extra_specs': {'pool_name': pool},
                    }
                },
            )
        made = [self.create(volume_type=name) for _ in range(count)]
        for volume_id in made:
            self.wait(volume_id, state='success')
        return made

    def states(self, volume_ids: list[str]) -> set[Any]:
        return {
            (
                self.show(volume_id)['status'],
                self.show(volume_id)['metadata'].get('virtdc.alarm'),
            )
            for volume_id in volume_ids
        }

    def test_an_unmounted_pool_is_one_alarm(self) -> None:
        here = self.made_in('mounted', 3)
        there = self.made_in('other', 5)
        self.unmount()
        try:
            self.wait_alarms(('pool-vanished', 'mounted'))
            # In the other pool one is removed by hand: that is found.
            (self.mounted.parent / f'other/volume-{there[0]}').unlink()
            self.wait(there[0], 'error', alarm='volume-deleted')
            self.wait_alarms(
                ('pool-vanished', 'mounted'), ('volume-deleted', there[0])
            )
            self.assertEqual(
                {('available', None)}, self.states([*here, *there[1:]])
            )
        finally:
            subprocess.run(
                ['mount', '--bind', str(self.behind), str(self.mounted)],
                check=True,
            )
        self.wait_alarms(('volume-deleted', there[0]))
        self.assertEqual({('available', None)}, self.states(here))
