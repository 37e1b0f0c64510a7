"""Snapshots and copies through real Cinder, the bus, the agent and back."""

from __future__ import annotations

import hashlib
import itertools
import os
from pathlib import Path
from typing import Any

from tests.functional import base

GIB = base.GIB
BLOCK = 64 * 1024
HOST = {'host': 'compute-1', 'ip': '127.0.0.1', 'initiator': ''}


def write(path: Path, text: str, offset: int = 0) -> None:
    """Write a block into a raw volume, as a server would."""
    block = (text.encode() * BLOCK)[:BLOCK]
    with path.open('r+b') as file:
        file.seek(offset)
        file.write(block)


def digest(path: Path, size: int | None = None) -> str:
    """Return a checksum of what the first bytes of a raw volume read as.

    Holes read as zeros: where they lie does not matter.
    """
    found = hashlib.sha256()
    end = size or path.stat().st_size
    with path.open('rb') as file:
        offset = 0
        while offset < end:
            try:
                start = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError:
                break
            start -= start % BLOCK
            block = os.pread(file.fileno(), BLOCK, start)
            if start < end and block.strip(b'\0'):
                found.update(start.to_bytes(8) + block)
            offset = start + BLOCK
    return found.hexdigest()


class CopiesCase(base.CloudCase):
    def setUp(self) -> None:
        super().setUp()
        self._snapshots: list[str] = []

    def make(self, **wanted: Any) -> str:
        """Return a volume that is there."""
        volume_id = self.create(**wanted)
        self.wait(volume_id, state='success')
        return volume_id

    def make_written(self) -> str:
        """Return a volume of 1 GiB with something in it."""
        volume_id = self.make()
        write(self.file_of(volume_id), 'first', 0)
        write(self.file_of(volume_id), 'last', GIB - BLOCK)
        return volume_id

    def snapshot(self, volume_id: str, status: str = 'available') -> str:
        """Take a snapshot; return its id when Cinder is done with it."""
        answer = self.cloud.post(
            '/snapshots',
            {'snapshot': {'volume_id': volume_id, 'name': self.id()}},
        )
        snapshot_id: str = answer['snapshot']['id']
        self._snapshots.append(snapshot_id)
        self.wait_snapshot(snapshot_id, status)
        return snapshot_id

    def wait_snapshot(
        self, snapshot_id: str, status: str = 'available'
    ) -> None:
        """Wait until a snapshot has a status."""

        def seen() -> str:
            answer = self.cloud.get(f'/snapshots/{snapshot_id}')
            return str(answer['snapshot']['status'])

        self.until(
            lambda: seen() == status, 60, lambda: f'the snapshot is {seen()}'
        )

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Delete a snapshot, and wait until it is gone."""
        path = f'/snapshots/{snapshot_id}'
        self.cloud.delete(path)
        self.wait_snapshot_gone(snapshot_id)

    def wait_snapshot_gone(self, snapshot_id: str) -> None:
        """Wait until Cinder knows a snapshot no more."""
        path = f'/snapshots/{snapshot_id}'
        self.until(
            lambda: self.cloud.ask('GET', path).status == 404,
            60,
            lambda: f'{path} is still there',
        )

    def delete(self, volume_id: str) -> None:
        """Delete a volume, and wait until it is gone."""
        self.cloud.delete(f'/volumes/{volume_id}')
        self.wait_gone(volume_id)

    def attach(self, volume_id: str) -> str:
        """Attach a volume to a host; return the attachment's id."""
        answer = self.cloud.post(
            '/attachments',
            {'attachment': {'volume_uuid': volume_id, 'connector': HOST}},
        )
        attachment_id: str = answer['attachment']['id']
        self.cloud.post(
            f'/attachments/{attachment_id}/action', {'os-complete': {}}
        )
        return attachment_id

    def make_type(self, name: str, extra_specs: dict[str, str]) -> None:
        """Make a volume type, unless another test has made it."""
        specs = {'volume_backend_name': 'virtdc', **extra_specs}
        answer = self.cloud.ask(
            'POST',
            '/types',
            {'volume_type': {'name': name, 'extra_specs': specs}},
        )
        self.assertIn(answer.status, (200, 409))

    def left(self) -> set[str]:
        """Return what the pool holds of our volumes and snapshots."""
        ours = {*self._made, *self._snapshots}
        return {
            str(path.relative_to(self.pool))
            for path in self.pool.rglob('*')
            if path.is_file()
            and '.fences' not in path.parts
            and any(one in path.name for one in ours)
        }

    def _clean_up(self) -> None:
        for snapshot_id in self._snapshots:
            self.cloud.ask(
                'POST',
                f'/snapshots/{snapshot_id}/action',
                {'os-force_delete': {}},
            )
        for snapshot_id in self._snapshots:
            self.wait_snapshot_gone(snapshot_id)
        super()._clean_up()


class TestCopies(CopiesCase):
    def test_a_snapshot_is_shown_on_its_volume(self) -> None:
        volume_id = self.make_written()
        snapshot_id = self.snapshot(volume_id)
        self.wait(volume_id, operation='snapshot', state='success')
        self.assertTrue(any(snapshot_id in name for name in self.left()))
        self.delete_snapshot(snapshot_id)
        self.wait(volume_id, operation='delete_snapshot', state='success')
        self.delete(volume_id)
        self.assertEqual(set(), self.left())

    def test_volumes_from_a_snapshot_are_as_it_was(self) -> None:
        volume_id = self.make_written()
        then = digest(self.file_of(volume_id))
        snapshot_id = self.snapshot(volume_id)
        write(self.file_of(volume_id), 'changed since')
        for size in (1, 3):
            copy_id = self.make(snapshot_id=snapshot_id, size=size)
            shown = self.wait(copy_id, operation='clone', progress='100 %')
            file = self.file_of(copy_id)
            self.assertEqual(size, shown['size'])
            self.assertEqual(size * GIB, file.stat().st_size)
            # Of the whole file: what is more reads as zeros.
            self.assertEqual(then, digest(file))

    def test_clones_are_as_the_volume_is(self) -> None:
        volume_id = self.make_written()
        for size in (1, 3):
            copy_id = self.make(source_volid=volume_id, size=size)
            file = self.file_of(copy_id)
            self.wait(copy_id, operation='clone', progress='100 %')
            self.assertEqual(size * GIB, file.stat().st_size)
            self.assertEqual(digest(self.file_of(volume_id)), digest(file))
            # Independent, both ways.
            write(file, 'of the copy')
            write(self.file_of(volume_id), f'of the source, {size}')
            self.assertNotEqual(digest(self.file_of(volume_id)), digest(file))

    def test_a_volume_reads_again_as_its_latest_snapshot(self) -> None:
        volume_id = self.make_written()
        then = digest(self.file_of(volume_id))
        snapshot_id = self.snapshot(volume_id)
        for _ in range(2):
            write(self.file_of(volume_id), 'a mistake')
            write(self.file_of(volume_id), 'a mistake', GIB // 2)
            self.act(volume_id, 'revert', snapshot_id=snapshot_id)
            self.wait(volume_id, operation='revert', state='success')
            self.wait_snapshot(snapshot_id)
            self.assertEqual(then, digest(self.file_of(volume_id)))
        # Cinder took none of its own, in case the revert should fail.
        [only] = self.cloud.get(f'/snapshots?volume_id={volume_id}')[
            'snapshots'
        ]
        self.assertEqual(snapshot_id, only['id'])

    def test_deletion_in_every_order(self) -> None:
        """Cinder wants snapshots gone before their volume; else as one likes.

        What is left is whole after each step.
        """
        kinds = ('snapshot', 'from snapshot', 'clone', 'volume')
        for order in itertools.permutations(kinds):
            if order.index('snapshot') > order.index('volume'):
                continue
            with self.subTest(order=order):
                volume_id = self.make_written()
                then = digest(self.file_of(volume_id))
                snapshot_id = self.snapshot(volume_id)
                there = {
                    'volume': volume_id,
                    'clone': self.make(source_volid=volume_id),
                    'from snapshot': self.make(snapshot_id=snapshot_id),
                }
                for kind in order:
                    if kind == 'snapshot':
                        self.delete_snapshot(snapshot_id)
                    else:
                        self.delete(there.pop(kind))
                    for rest in there.values():
                        self.assertEqual(then, digest(self.file_of(rest)))
                self.assertEqual(set(), self.left())

    def test_a_volume_with_snapshots_is_not_deleted(self) -> None:
        volume_id = self.make_written()
        snapshot_id = self.snapshot(volume_id)
        answer = self.cloud.ask('DELETE', f'/volumes/{volume_id}')
        self.assertEqual(400, answer.status)
        self.cloud.delete(f'/volumes/{volume_id}?cascade=true')
        self.wait_gone(volume_id)
        self.wait_snapshot_gone(snapshot_id)
        self.assertEqual(set(), self.left())

    def test_a_snapshot_of_an_attached_volume(self) -> None:
        """It is exact, or refused with a reason; never a part of the data."""
        volume_id = self.make_written()
        attachment_id = self.attach(volume_id)
        self.wait(volume_id, 'in-use', operation='connect', state='success')
        then = digest(self.file_of(volume_id))
        answer = self.cloud.post(
            '/snapshots', {'snapshot': {'volume_id': volume_id}}
        )
        snapshot_id = answer['snapshot']['id']
        self._snapshots.append(snapshot_id)
        path = f'/snapshots/{snapshot_id}'
        self.until(
            lambda: self.cloud.get(path)['snapshot']['status'] != 'creating',
            60,
            lambda: 'it is still creating',
        )
        status = self.cloud.get(path)['snapshot']['status']
        if status == 'available':
            copy_id = self.make(snapshot_id=snapshot_id)
            self.assertEqual(then, digest(self.file_of(copy_id)))
        else:
            self.assertEqual('error', status)
            shown = self.wait(
                volume_id, 'in-use', operation='snapshot', state='failed'
            )
            self.assertIn('compute-1', shown['metadata']['virtdc.message'])
        self.cloud.delete(f'/attachments/{attachment_id}')
        self.wait(volume_id, operation='disconnect', state='success')

    def test_a_host_stays_connected_until_its_last_attachment_ends(
        self,
    ) -> None:
        self.make_type('shared', {'multiattach': '<is> True'})
        volume_id = self.make(volume_type='shared')
        first = self.attach(volume_id)
        second = self.attach(volume_id)
        shown = self.wait(volume_id, 'in-use', state='success')
        self.cloud.delete(f'/attachments/{first}')
        # Nothing was asked of the data centre.
        again = self.wait(volume_id, 'in-use', operation='connect')
        self.assertEqual(
            shown['metadata']['virtdc.event_id'],
            again['metadata']['virtdc.event_id'],
        )
        self.cloud.delete(f'/attachments/{second}')
        self.wait(volume_id, operation='disconnect', state='success')

    def test_another_type_that_asks_for_nothing_else(self) -> None:
        self.make_type('twin', {'note:purpose': 'another'})
        volume_id = self.make_written()
        before = self.file_of(volume_id).stat()
        # Cinder copies no volume that has snapshots.
        snapshot_id = self.snapshot(volume_id)
        self.act(
            volume_id, 'os-retype', new_type='twin', migration_policy='never'
        )
        self.until(
            lambda: self.show(volume_id)['volume_type'] == 'twin',
            60,
            lambda: 'it is still of its first type',
        )
        self.wait(volume_id, operation='snapshot', state='success')
        self.assertEqual(before.st_ino, self.file_of(volume_id).stat().st_ino)
        self.wait_snapshot(snapshot_id)

    def test_another_type_that_asks_for_a_copy(self) -> None:
        self.make_type('thick', {'virtdc:provisioning': 'thick'})
        volume_id = self.make()
        shown = self.wait(volume_id)
        self.act(
            volume_id, 'os-retype', new_type='thick', migration_policy='never'
        )
        self.wait(volume_id)
        self.assertEqual(
            shown['volume_type'], self.show(volume_id)['volume_type']
        )
