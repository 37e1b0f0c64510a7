"""Images and volumes, by Cinder's own copies and by the agent's."""

from __future__ import annotations

import hashlib
from pathlib import Path
import struct
from typing import Any

from tests.functional import base
from tests.functional import generic
from tests.functional import test_copies
from tools.lab import errors

GIB = base.GIB
MIB = generic.MIB


class TestImages(generic.GenericCase):
    def test_a_volume_as_an_image_and_as_a_volume_again(self) -> None:
        volume_id = self.make_written()
        image = self.to_image(volume_id, 'raw')
        file = self.file_of(volume_id)
        with file.open('rb') as content:
            found = hashlib.file_digest(content, 'sha512').hexdigest()
        self.assertEqual((GIB, found), (image['size'], image['os_hash_value']))
        shown = self.wait(volume_id, operation='disconnect', state='success')
        self.assertEqual([], shown['attachments'])
        copy_id = self.make(imageRef=image['id'], size=2)
        self.wait(copy_id, operation='import', progress='100 %')
        self.assertEqual(
            test_copies.digest(file), test_copies.digest(self.file_of(copy_id))
        )

    def test_a_qcow2_volume_and_images(self) -> None:
        """Cinder's generic copies would take the file for a disk."""
        self.make_type('qcow2', {'virtdc:format': 'qcow2'})
        volume_id = self.make(volume_type='qcow2')
        file = self.file_of(volume_id)
        generic.write_disk(file, 'qcow2', 0, 0xAB)
        generic.write_disk(file, 'qcow2', GIB - 64 * 1024, 0xCD)
        image = self.to_image(volume_id, 'qcow2')
        self.wait(volume_id)
        stored = self.stored_images / image['id']
        generic.assert_same_disk(file, 'qcow2', stored, 'qcow2')
        # The other way, through Cinder: the agent does not read this one.
        path = self.image_file(64 * MIB, 'vdi')
        image_id = self.upload(path, 'vdi')
        copy_id = self.make(volume_type='qcow2', imageRef=image_id)
        copy = self.file_of(copy_id)
        self.assertIn(f'{GIB} bytes', generic.qemu_img('info', str(copy)))
        generic.assert_same_disk(path, 'vdi', copy, 'qcow2')
        generic.qemu_img('check', '-q', '-f', 'qcow2', str(copy))

    def test_the_second_volume_of_an_image_is_a_clone(self) -> None:
        path = self.image_file(64 * MIB, 'vdi')
        image_id = self.upload(path, 'vdi')
        for size in (1, 2):
            copy_id = self.make(imageRef=image_id, size=size)
            generic.assert_same_disk(path, 'vdi', self.file_of(copy_id), 'raw')
        self.wait(copy_id, operation='clone')


class TestBadImages(generic.GenericCase):
    """What Cinder or the agent finds when the image is already in the store.

    Glance itself refuses most of it, as it comes in.
    """

    def assert_refused(self, image_id: str, words: str, **wanted: Any) -> None:
        """Ask for a volume; it fails, says why, and leaves nothing."""
        volume_id = self.create(imageRef=image_id, **wanted)
        shown = self.wait(volume_id, 'error', state='failed')
        self.assertEqual('rejected', shown['metadata']['virtdc.reason'])
        self.assertIn(words, shown['metadata']['virtdc.message'])
        self.assertEqual(set(), self.left())

    def stored(self, path: Path, kind: str) -> tuple[str, Path]:
        """Upload an image; return its id, and where it lies in the store."""
        image_id = self.upload(path, kind)
        return image_id, self.stored_images / image_id

    def test_larger_than_the_volume(self) -> None:
        path = self.image_file(2 * GIB, 'qcow2')
        image_id, stored = self.stored(path, 'qcow2')
        answer = self.cloud.ask(
            'POST', '/volumes', {'volume': {'size': 1, 'imageRef': image_id}}
        )
        self.assertEqual(400, answer.status, answer.body)
        # What Cinder's API believes of an image may be wrong.
        generic.qemu_img('resize', '-q', '-f', 'qcow2', str(stored), '3G')
        self.assert_refused(image_id, 'does not fit', size=2)

    def test_a_wrong_checksum(self) -> None:
        image_id, stored = self.stored(self.image_file(8 * MIB, 'raw'), 'raw')
        generic.write_disk(stored, 'raw', 4 * MIB, 0xEE)
        self.assert_refused(image_id, 'damaged')

    def test_a_wrong_checksum_of_what_cinder_copies(self) -> None:
        image_id, stored = self.stored(self.image_file(8 * MIB, 'vdi'), 'vdi')
        with stored.open('r+b') as file:
            file.seek(stored.stat().st_size - 4096)
            file.write(b'changed')
        volume_id = self.create(imageRef=image_id)
        # It finds that before it asks for a volume to write to.
        shown = self.wait(volume_id, 'error')
        self.assertEqual({}, shown['metadata'])
        self.assertEqual(set(), self.left())

    def test_a_hostile_header(self) -> None:
        image_id, stored = self.stored(
            self.image_file(8 * MIB, 'qcow2'), 'qcow2'
        )
        name = b'/etc/passwd'
        with stored.open('r+b') as file:
            # Where the name of the backing file is, and how long it is.
            file.seek(8)
            file.write(struct.pack('>QI', 512, len(name)))
            file.seek(512)
            file.write(name)
        self.assert_refused(image_id, 'is not safe')
        # What Glance does with one that it is given.
        with self.assertRaisesRegex(errors.LabError, '415'):
            self.upload(stored, 'qcow2')
