"""Volumes of files that were there, and given up again, with real Cinder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
import subprocess
from typing import Any

from tests.functional import test_copies

GIB = test_copies.GIB


class ManageCase(test_copies.CopiesCase):
    def setUp(self) -> None:
        super().setUp()
        (pool,) = self.cloud.get('/scheduler-stats/get_pools')['pools']
        self.host = pool['name']
        self._placed: list[Path] = []
        self.addCleanup(self._remove_placed)

    def _remove_placed(self) -> None:
        for path in self._placed:
            with contextlib.suppress(OSError):
                path.unlink()

    def place(self, name: str, size: int = GIB) -> Path:
        """Put a raw disk into the pool that nobody manages."""
        path = self.pool / name
        path.touch()
        os.truncate(path, size)
        test_copies.write(path, 'was here before')
        test_copies.write(path, 'its end', size - test_copies.BLOCK)
        self._placed.append(path)
        return path

    def list_manageable(self, kind: str = 'volumes', **query: Any) -> list:
        """Return what Cinder says can be managed."""
        asked = '&'.join(f'{key}={value}' for key, value in query.items())
        answer = self.cloud.ask(
            'GET', f'/manageable_{kind}/detail?host={self.host}&{asked}'
        )
        self.assertEqual(200, answer.status, answer.body)
        found: list = answer.body[f'manageable-{kind}']
        return found

    def manage(
        self, status: str = 'available', **reference: str
    ) -> dict[str, Any]:
        """Manage a volume; return it when Cinder is done with it."""
        body = {
            'volume': {'host': self.host, 'ref': reference, 'name': self.id()}
        }
        answer = self.cloud.ask('POST', '/manageable_volumes', body)
        self.assertEqual(202, answer.status, answer.body)
        volume_id = answer.body['volume']['id']
        self._made.append(volume_id)
        self.until(
            lambda: self.show(volume_id)['status'] == status,
            60,
            lambda: f'{status} wanted, not {self.show(volume_id)["status"]}',
        )
        return dict(self.show(volume_id))

    def unmanage(self, volume_id: str) -> Path:
        """Give up a volume; return its file."""
        self.act(volume_id, 'os-unmanage')
        self.wait_gone(volume_id)
        path = self.file_of(volume_id)
        self._placed.append(path)
        return path


class TestManage(ManageCase):
    def test_a_file_becomes_a_volume_and_is_given_up_again(self) -> None:
        path = self.place('was-there.img')
        then = test_copies.digest(path)
        (entry,) = [
            one
            for one in self.list_manageable()
            if one['reference'] == {'source-name': path.name}
        ]
        self.assertEqual(
            (1, True, None),
            (entry['size'], entry['safe_to_manage'], entry['cinder_id']),
        )
        reference = {'source-name': path.name}
        for _ in range(3):
            volume = self.manage(**reference)
            reference = {'source-id': volume['id']}
            self.wait(volume['id'], operation='manage', state='success')
            self.assertEqual(1, volume['size'])
            file = self.file_of(volume['id'])
            self.assertEqual(then, test_copies.digest(file))
            (entry,) = [
                one
                for one in self.list_manageable()
                if one['cinder_id'] == volume['id']
            ]
            self.assertFalse(entry['safe_to_manage'])
            self.unmanage(volume['id'])
            self.assertEqual(then, test_copies.digest(file))
        self.assertFalse(path.exists())

    def test_a_managed_volume_is_a_volume_as_any_other(self) -> None:
        """It is grown to whole GiB, attached, extended, copied, deleted."""
        path = self.place('odd.img', GIB + 5 * test_copies.BLOCK)
        volume = self.manage(**{'source-name': path.name})
        volume_id = volume['id']
        file = self.file_of(volume_id)
        self.assertEqual((2, 2 * GIB), (volume['size'], file.stat().st_size))
        then = test_copies.digest(file)
        attachment_id = self.attach(volume_id)
        self.wait(volume_id, 'in-use', operation='connect', state='success')
        self.cloud.delete(f'/attachments/{attachment_id}')
        self.wait(volume_id, operation='disconnect', state='success')
        copy_id = self.make(source_volid=volume_id, size=2)
        self.assertEqual(then, test_copies.digest(self.file_of(copy_id)))
        self.act(volume_id, 'os-extend', new_size=3)
        self.wait(volume_id, operation='extend', state='success')
        self.assertEqual(3 * GIB, file.stat().st_size)
        self.delete(volume_id)
        self.assertFalse(file.exists())

    def test_what_must_not_be_managed(self) -> None:
        """Cinder says so, and nothing in the pool has changed."""
        outside = self.pool.parent / 'outside.img'
        outside.write_bytes(b's' * 4096)
        self._placed.append(outside)
        link = self.pool / 'link.img'
        link.symlink_to(outside)
        twin = self.pool / 'twin.img'
        os.link(outside, twin)
        hostile = self.pool / 'hostile.qcow2'
        subprocess.run(
            [
                *('qemu-img', 'create', '-q', '-f', 'qcow2'),
                *('-b', str(outside), '-F', 'raw', str(hostile), '1G'),
            ],
            check=True,
        )
        self._placed += [link, twin, hostile]
        managed_id = self.make()
        before = self.names()
        for reference in (
            *('missing.img', 'link.img', 'twin.img', 'hostile.qcow2'),
            *('../outside.img', str(outside), '.virtdc'),
        ):
            with self.subTest(reference=reference):
                volume = self.manage('error', **{'source-name': reference})
                self.assertEqual(before, self.names())
                self.assertFalse(self.file_of(volume['id']).exists())
        # What is a volume of its own Cinder knows by its name.
        answer = self.cloud.ask(
            'POST',
            '/manageable_volumes',
            {
                'volume': {
                    'host': self.host,
                    'ref': {'source-name': f'volume-{managed_id}'},
                }
            },
        )
        self.assertEqual(400, answer.status, answer.body)
        self.assertEqual(before, self.names())
        reasons = {
            one['reference']['source-name']: one['reason_not_safe']
            for one in self.list_manageable()
            if not one['safe_to_manage']
        }
        self.assertIn('symbolic link', reasons['link.img'])
        self.assertIn('other names', reasons['twin.img'])
        self.assertIn('not safe', reasons['hostile.qcow2'])
        self.assertNotIn('missing.img', reasons)
        self.assertEqual(b's' * 4096, outside.read_bytes())

    def names(self) -> dict[str, tuple[int, int, int]]:
        """Return what is in the pool, with inode, size and links."""
        return {
            path.name: (
                path.lstat().st_ino,
                path.lstat().st_size,
                path.lstat().st_nlink,
            )
            for path in self.pool.iterdir()
            if not path.name.startswith('.')
        }

    def test_lists_are_sorted_and_in_pages(self) -> None:
        for name in ('page-b', 'page-a', 'page-c'):
            self.place(f'{name}.img')
        found = self.list_manageable(sort='reference:desc', limit=1000)
        names = [
            one['reference']['source-name']
            for one in found
            if one['reference']['source-name'].startswith('page-')
        ]
        self.assertEqual(['page-c.img', 'page-b.img', 'page-a.img'], names)
        (page,) = self.list_manageable(
            sort='reference:asc',
            limit=1,
            marker='{"source-name":"page-a.img"}',
        )
        self.assertEqual({'source-name': 'page-b.img'}, page['reference'])

    def test_a_snapshot_is_given_up_and_managed_again(self) -> None:
        """Also under a volume that was given up itself in between."""
        volume_id = self.make_written()
        then = test_copies.digest(self.file_of(volume_id))
        snapshot_id = self.snapshot(volume_id)
        test_copies.write(self.file_of(volume_id), 'since')
        self.cloud.post(
            f'/snapshots/{snapshot_id}/action', {'os-unmanage': {}}
        )
        self.wait_snapshot_gone(snapshot_id)
        kept = self.pool / f'snapshot-{snapshot_id}'
        self._placed.append(kept)
        self.assertEqual(then, test_copies.digest(kept))
        self.unmanage(volume_id)
        volume = self.manage(**{'source-id': volume_id})
        (entry,) = [
            one
            for one in self.list_manageable('snapshots')
            if one['reference'] == {'source-name': kept.name}
        ]
        self.assertEqual(
            ({'source-id': volume['id']}, True),
            (entry['source_reference'], entry['safe_to_manage']),
        )
        answer = self.cloud.ask(
            'POST',
            '/manageable_snapshots',
            {
                'snapshot': {
                    'volume_id': volume['id'],
                    'ref': entry['reference'],
                    'name': self.id(),
                }
            },
        )
        self.assertEqual(202, answer.status, answer.body)
        again_id = answer.body['snapshot']['id']
        self._snapshots.append(again_id)
        self.wait_snapshot(again_id)
        self.act(volume['id'], 'revert', snapshot_id=again_id)
        self.wait(volume['id'], operation='revert', state='success')
        self.assertEqual(then, test_copies.digest(self.file_of(volume['id'])))
