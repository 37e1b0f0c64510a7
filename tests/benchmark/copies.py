"""Seconds of what copies volumes, through real Cinder, beside its NFS driver.

Ours has its volumes on an XFS whose files can share blocks, as an operator
would have it; Cinder's driver has no use for that. Both go through the same
API, scheduler and image service, one operation at a time.
"""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import statistics
import tempfile
import time

from tests.benchmark import report
from tools.lab import images
from tools.lab import stack
from tools.lab import virtdc

ROUNDS = 5
MIB = 1024**2
FILLED_MIB = 1024
IMAGE_MIB = 512
KINDS = ('virtdc', 'nfs')
STUCK_S = 300.0


def settings() -> stack.Settings:
    """Return a cloud with images, our driver and its peer."""
    return stack.Settings(
        backends=(virtdc.backend(),),
        nfs_control=True,
        agent=virtdc.AgentSettings(),
        listener=virtdc.ListenerSettings(),
        keystone=True,
        glance=True,
        share=True,
        reads_images=True,
    )


class Copies:
    """What is measured, of one driver after the other."""

    def __init__(self, lab: stack.Lab, image: str) -> None:
        self._cloud = lab.cinder.client()
        self._image = image
        if lab.agent is None or lab.nfs_control is None:
            raise RuntimeError('no agent, or no peer')
        self._folders = {
            'virtdc': lab.agent.pool,
            'nfs': lab.nfs_control.export,
        }

    def round(self, kind: str) -> dict[str, float]:
        """Do everything once; return how long each took."""
        found: dict[str, float] = {}
        found['create 1 GiB'] = self._timed(
            lambda: self._volume(kind, 'empty')
        )
        source = self._volume(kind, 'source')
        _fill(self._folders[kind] / f'volume-{source}')
        found['snapshot'] = self._timed(lambda: self._snapshot(source))
        (snapshot,) = self._list('snapshots')
        found['volume from snapshot'] = self._timed(
            lambda: self._volume(kind, 'restored', snapshot_id=snapshot)
        )
        found[f'clone, {FILLED_MIB} MiB written'] = self._timed(
            lambda: self._volume(kind, 'clone', source_volid=source)
        )
        found[f'image of {IMAGE_MIB} MiB to volume'] = self._timed(
            lambda: self._volume(kind, 'booted', imageRef=self._image)
        )
        found['delete snapshot'] = self._timed(
            lambda: self._remove('snapshots')
        )
        self._remove('volumes')
        return found

    @staticmethod
    def _timed(work: Callable[[], object]) -> float:
        begun = time.monotonic()
        work()
        return time.monotonic() - begun

    def _volume(self, kind: str, name: str, **more: object) -> str:
        body = {'name': name, 'size': 1, 'volume_type': kind, **more}
        made = self._cloud.post('/volumes', {'volume': body})['volume']
        self._await('volume', made['id'])
        return str(made['id'])

    def _snapshot(self, volume_id: str) -> None:
        body = {'volume_id': volume_id, 'name': 'snapshot'}
        made = self._cloud.post('/snapshots', {'snapshot': body})['snapshot']
        self._await('snapshot', made['id'])

    def _await(self, what: str, id_: str) -> None:
        deadline = time.monotonic() + STUCK_S
        while True:
            shown = self._cloud.get(f'/{what}s/{id_}')[what]
            if shown['status'] == 'available':
                return
            if shown['status'] == 'error' or time.monotonic() > deadline:
                raise RuntimeError(f'{what} {id_} is {shown["status"]}')
            time.sleep(0.02)

    def _list(self, what: str) -> list[str]:
        return [str(one['id']) for one in self._cloud.get(f'/{what}')[what]]

    def _remove(self, what: str) -> None:
        for id_ in self._list(what):
            self._cloud.delete(f'/{what}/{id_}')
        deadline = time.monotonic() + STUCK_S
        while self._list(what):
            if time.monotonic() > deadline:
                raise RuntimeError(f'there are still {what}')
            time.sleep(0.02)


def run() -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory(prefix='virtdc-bench-') as name,
        stack.Lab(settings=settings()) as lab,
    ):
        copies = Copies(lab, _upload(lab, Path(name) / 'image'))
        took: dict[str, dict[str, list[float]]] = {}
        for turn in range(ROUNDS + 1):
            for kind in KINDS if turn % 2 else reversed(KINDS):
                for what, seconds in copies.round(kind).items():
                    # The first of each is slower.
                    if turn:
                        took.setdefault(what, {}).setdefault(kind, []).append(
                            seconds
                        )
    rows = []
    for what, found in took.items():
        ours, peer = (statistics.median(found[kind]) for kind in KINDS)
        rows.append([what, f'{ours:.2f}', f'{peer:.2f}', f'{ours / peer:.2f}'])
    report.show(
        f"Seconds through Cinder, median of {ROUNDS}, beside Cinder's NFS "
        'driver',
        ('operation', *KINDS, 'ratio'),
        rows,
    )


def _fill(path: Path) -> None:
    """Write a volume full, as a server would, with what is not zeros."""
    with path.open('r+b') as file:
        for _ in range(FILLED_MIB):
            file.write(os.urandom(MIB))
        os.fsync(file.fileno())


def _upload(lab: stack.Lab, path: Path) -> str:
    with path.open('wb') as file:
        for _ in range(IMAGE_MIB):
            file.write(os.urandom(MIB))
    return images.upload(lab.environment, path)
