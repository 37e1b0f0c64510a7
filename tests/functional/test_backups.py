"""Backups by cinder-backup, which reads and writes volumes as a host does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.functional import base
from tests.functional import generic
from tests.functional import test_copies

GIB = base.GIB


class TestBackups(generic.GenericCase):
    def setUp(self) -> None:
        self._backups: list[str] = []
        super().setUp()

    def _clean_up(self) -> None:
        # The later ones first: they build upon the others.
        for backup_id in reversed(self._backups):
            path = f'/backups/{backup_id}'
            self.cloud.ask('DELETE', path)
            self.until(
                lambda path=path: self.cloud.ask('GET', path).status == 404,
                60,
                lambda path=path: f'{path} is still there',
            )
        super()._clean_up()

    def back_up(
        self, volume_id: str, status: str = 'available', **wanted: Any
    ) -> Mapping[str, Any]:
        """Back a volume up; return the backup when Cinder is done."""
        body = {'volume_id': volume_id, 'name': self.id(), **wanted}
        answer = self.cloud.post('/backups', {'backup': body})
        backup_id: str = answer['backup']['id']
        self._backups.append(backup_id)
        return self.await_backup(backup_id, status)

    def await_backup(
        self, backup_id: str, status: str = 'available'
    ) -> Mapping[str, Any]:
        """Wait until a backup has a status, or has failed."""
        backup: Mapping[str, Any] = {}

        def is_done() -> bool:
            nonlocal backup
            backup = self.cloud.get(f'/backups/{backup_id}')['backup']
            return backup['status'] in (status, 'error')

        self.until(is_done, 180, lambda: f'it is {backup["status"]}')
        self.assertEqual(status, backup['status'], backup['fail_reason'])
        return backup

    def restore(self, backup_id: str, volume_id: str | None = None) -> str:
        """Restore a backup, to a new volume or to this; return which."""
        answer = self.cloud.post(
            f'/backups/{backup_id}/restore',
            {'restore': {'volume_id': volume_id, 'name': self.id()}},
        )
        restored_id: str = answer['restore']['volume_id']
        if volume_id is None:
            self._made.append(restored_id)
        # By then Cinder has detached it, and may have named it since, of which
        # the data centre is told: which operation is the last is open.
        self.await_backup(backup_id)
        self.wait(restored_id, state='success')
        return restored_id

    def digest(self, volume_id: str) -> str:
        """Return a checksum of a raw volume."""
        return test_copies.digest(self.file_of(volume_id))

    def test_full_and_incremental(self) -> None:
        volume_id = self.make_written()
        first = self.digest(volume_id)
        full = self.back_up(volume_id)
        test_copies.write(self.file_of(volume_id), 'changed', GIB // 2)
        second = self.digest(volume_id)
        more = self.back_up(volume_id, incremental=True)
        self.assertEqual(
            (False, True), (full['is_incremental'], more['is_incremental'])
        )
        self.wait(volume_id, operation='disconnect', state='success')
        self.assertEqual(second, self.digest(volume_id))
        # To a new volume, and over one that has something else in it.
        self.assertEqual(second, self.digest(self.restore(more['id'])))
        test_copies.write(self.file_of(volume_id), 'a mistake', GIB // 4)
        self.restore(full['id'], volume_id)
        self.assertEqual(first, self.digest(volume_id))

    def test_of_a_volume_in_use(self) -> None:
        """Cinder makes a copy for the occasion, and removes it."""
        volume_id = self.make_written()
        then = self.digest(volume_id)
        attachment_id = self.attach(volume_id)
        before = set(self.pool.glob('volume-*'))
        backup = self.back_up(volume_id, force=True)
        self.until(
            lambda: set(self.pool.glob('volume-*')) == before,
            60,
            lambda: 'the copy is still there',
        )
        self.wait(volume_id, 'in-use')
        self.cloud.delete(f'/attachments/{attachment_id}')
        self.wait(volume_id, operation='disconnect', state='success')
        self.assertEqual(then, self.digest(self.restore(backup['id'])))

    def test_a_qcow2_volume_is_refused(self) -> None:
        """Cinder would keep the file, and restore it as if it were a disk."""
        self.make_type('qcow2', {'virtdc:format': 'qcow2'})
        volume_id = self.make(volume_type='qcow2')
        backup = self.back_up(volume_id, 'error')
        self.assertIn('qcow2', backup['fail_reason'])
        shown = self.wait(volume_id, operation='disconnect', state='success')
        self.assertEqual([], shown['attachments'])
        # What the sentence says to do instead.
        file = self.file_of(volume_id)
        generic.write_disk(file, 'qcow2', GIB // 2, 0xAB)
        self.make_type('raw', {'virtdc:format': 'raw'})
        copy_id = self.make(source_volid=volume_id, volume_type='raw')
        generic.assert_same_disk(file, 'qcow2', self.file_of(copy_id), 'raw')
        backup = self.back_up(copy_id)
        restored_id = self.restore(backup['id'])
        generic.assert_same_disk(
            file, 'qcow2', self.file_of(restored_id), 'raw'
        )
