"""Users' images, the hostile ones above all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
import shutil
import struct
import tempfile
import unittest

from tests.unit.agent import builders
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent import exceptions
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent.images import ImageFolders

MIB = 1024**2


def qcow2_header(
    size_bytes: int, *, backing: bytes = b'', incompatible: int = 0
) -> bytes:
    """Return the beginning of a qcow2 image, version 3."""
    offset = 104 if backing else 0
    header = struct.pack(
        '>4sIQIIQIIQQIIQQQQII',
        *(b'QFI\xfb', 3, offset, len(backing), 16, size_bytes, 0, 1),
        *(3 * 65536, 65536, 1, 0, 0, incompatible, 0, 0, 4, 104),
    )
    return (header + backing).ljust(65536, b'\0')


class TestImages(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.store = self.folder / 'images'
        self.store.mkdir()
        self.images = ImageFolders([str(self.store)])
        self.context = UndoContext(builders.claim(builders.create('v')))

    def put(self, content: bytes, name: str = 'image') -> str:
        (self.store / name).write_bytes(content)
        return f'file://{self.store}/{name}'

    def open(self, url: str, image_format: str = 'raw', **more):
        return self.images.open(
            events.ImportParameters(
                url=url,
                image_format=image_format,
                **{'size_bytes': 10 * MIB, **more},
            ),
            self.context,
        )

    def refuse(self, says: str, url: str, *args, **more) -> None:
        with self.assertRaisesRegex(exceptions.EventRejected, says):
            with self.open(url, *args, **more):
                self.fail('it was opened')

    def test_a_raw_image(self) -> None:
        url = self.put(b'disk' * MIB)
        with self.open(url) as image:
            self.assertEqual(
                (Format.RAW, 4 * MIB), (image.format, image.size_bytes)
            )
            self.assertEqual(b'disk', os.pread(image.descriptor, 4, 0))
        with self.assertRaises(OSError):
            os.fstat(image.descriptor)

    def test_a_raw_image_with_partitions(self) -> None:
        sector = bytearray(512)
        sector[510:] = b'\x55\xaa'
        sector[446:462] = struct.pack(
            '<B3sB3sII', 0, b'', 0xEE, b'', 1, 0xFFFFFFFF
        )
        with self.open(self.put(bytes(sector) + bytes(MIB))) as image:
            self.assertIs(Format.RAW, image.format)

    def test_a_qcow2_image_has_the_size_of_its_disk(self) -> None:
        url = self.put(qcow2_header(5 * MIB))
        with self.open(url, 'qcow2') as image:
            self.assertEqual(
                (Format.QCOW2, 5 * MIB), (image.format, image.size_bytes)
            )

    def test_a_backing_file_is_refused(self) -> None:
        url = self.put(qcow2_header(MIB, backing=b'/etc/shadow'))
        self.refuse('not safe', url, 'qcow2')

    def test_an_external_data_file_is_refused(self) -> None:
        self.refuse(
            'not safe', self.put(qcow2_header(MIB, incompatible=4)), 'qcow2'
        )

    def test_what_is_not_what_it_is_said_to_be(self) -> None:
        qcow2 = self.put(qcow2_header(MIB, backing=b'/etc/shadow'), 'q')
        self.refuse('said to be raw, but begins as qcow2', qcow2, 'raw')
        raw = self.put(bytes(MIB), 'r')
        self.refuse('said to be qcow2, but begins as raw', raw, 'qcow2')

    def test_other_formats_are_refused(self) -> None:
        vmdk = self.put(
            b'KDMV' + struct.pack('<IIQQQQ', 3, 0, 8, 8, 1, 1) + bytes(MIB)
        )
        with self.assertRaises(exceptions.EventRejected):
            with self.open(vmdk, 'vmdk'):
                self.fail('it was opened')

    def test_a_promise_of_more_than_fits(self) -> None:
        bomb = self.put(qcow2_header(2**60))
        self.refuse('does not fit into 0.01 GiB', bomb, 'qcow2')
        self.refuse('does not fit', self.put(bytes(11 * MIB)), 'raw')

    def test_only_files_in_the_folders(self) -> None:
        secret = self.folder / 'secret'
        secret.write_bytes(bytes(MIB))
        (self.store / 'link').symlink_to(secret)
        (self.store / 'out').symlink_to(self.folder)
        (self.store / 'sub').mkdir()
        os.mkfifo(self.store / 'pipe')
        sibling = self.folder / 'images-of-others'
        sibling.mkdir()
        (sibling / 'image').write_bytes(bytes(MIB))
        store = f'file://{self.store}'
        for url in (
            f'file://{secret}',
            f'{store}/../secret',
            f'{store}/%2e%2e/secret',
            f'{store}/link',
            f'{store}/out/secret',
            f'{store}/sub',
            f'{store}/pipe',
            f'{store}/missing',
            f'file://{sibling}/image',
            'file:///dev/zero',
            f'file://elsewhere{self.store}/image',
            f'{store}/image?x=1',
            f'{store}/image#x',
            f'{store}/a%00b',
            f'http://127.0.0.1{self.store}/image',
            f'{self.store}/image',
            'file:image',
            '',
        ):
            with self.subTest(url=url):
                self.put(bytes(MIB))
                self.refuse('not in a place', url)

    def test_links_inside_the_folders_are_followed(self) -> None:
        """As an image store that was moved has them."""
        self.put(bytes(MIB))
        (self.store / 'inner').symlink_to(self.store / 'image')
        with self.open(f'file://{self.store}/inner') as image:
            self.assertEqual(MIB, image.size_bytes)

    def test_its_checksum(self) -> None:
        content = b'x' * (5 * MIB)
        url = self.put(content)
        right = hashlib.sha512(content).hexdigest()
        for value in (right, right.upper()):
            with self.open(url, hash_algorithm='sha512', hash_value=value):
                pass
        self.refuse(
            'damaged', url, hash_algorithm='sha512', hash_value='0' * 128
        )
        self.refuse('not computed', url, hash_algorithm='md5', hash_value='0')

    def test_names_are_quoted(self) -> None:
        self.put(bytes(MIB), 'a b%')
        with self.open(f'file://{self.store}/a%20b%25') as image:
            self.assertEqual(MIB, image.size_bytes)

    def test_says_what_can_be_read(self) -> None:
        self.assertEqual((f'file://{self.store}/',), self.images.urls)
        self.assertEqual((), ImageFolders([]).urls)

    def test_a_folder_that_is_not_there(self) -> None:
        for folder in ('relative', '/nowhere/at/all'):
            with self.assertRaisesRegex(
                exceptions.ConfigInvalid, 'image_folders'
            ):
                ImageFolders([folder])

    def test_no_folder_no_image(self) -> None:
        self.images = ImageFolders([])
        self.refuse('not in a place', self.put(bytes(MIB)))
