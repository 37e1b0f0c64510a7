"""What in the folder becomes a volume, and what is a trap."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
import socket
import struct
import subprocess
from unittest import mock

from tests.unit.agent.backends import needs
from tests.unit.agent.backends import test_file
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ManageParameters
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import model

MIB = 1024**2


class ManagingCase(test_file.FileCase):
    def setUp(self) -> None:
        super().setUp()
        self.backend = self.start()

    def put(self, name: str, content: bytes = b'\1' * MIB) -> Path:
        path = self.path / name
        path.write_bytes(content)
        return path

    def manage(
        self,
        reference: str = 'disk.img',
        volume_id: str = 'one',
        size_bytes: int = MIB,
        **wanted: object,
    ) -> model.VolumeFacts:
        return self.backend.manage(
            volume_id,
            ManageParameters(
                reference=reference, size_bytes=size_bytes, **wanted
            ),
            FakeContext('manage'),
        )

    def refused(self, words: str, reference: str = 'disk.img') -> None:
        """It is listed with its reason, not taken, and nothing changes."""
        before = self.everything()
        found = self.backend.find_manageable(reference)
        self.assertRegex(found.reason, words)
        self.assertFalse(found.is_safe)
        self.assertIn(found, self.backend.list_manageable(None, 100))
        with self.assertRaisesRegex(exceptions.EventRejected, words):
            self.manage(reference)
        self.assertEqual(before, self.everything())

    def everything(self) -> dict[str, object]:
        """Return all names, what they are, and what they hold."""
        found = {}
        for path in sorted(self.path.rglob('*')):
            status = path.lstat()
            if '.fences' not in path.parts:
                found[str(path)] = (
                    *(status.st_ino, status.st_mode, status.st_nlink),
                    *(status.st_size, status.st_mtime_ns),
                )
        return found

    def qemu(self, *arguments: object) -> None:
        subprocess.run(
            ['qemu-img', *map(str, arguments)], check=True, capture_output=True
        )


class TestTraps(ManagingCase):
    def test_a_link_leads_nowhere(self) -> None:
        outside = self.folder / 'outside'
        outside.write_bytes(b'secret')
        (self.path / 'disk.img').symlink_to(outside)
        self.refused('symbolic link')
        (self.path / 'dangling').symlink_to('nowhere')
        self.refused('symbolic link', 'dangling')
        self.assertEqual(b'secret', outside.read_bytes())

    def test_a_file_with_two_names_is_somebody_elses_too(self) -> None:
        outside = self.folder / 'outside'
        outside.write_bytes(b'x' * 512)
        os.link(outside, self.path / 'disk.img')
        self.refused('other names')

    def test_other_things_are_no_disks(self) -> None:
        (self.path / 'folder').mkdir()
        os.mkfifo(self.path / 'pipe')
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.path / 'socket'))
        for name in ('folder', 'pipe', 'socket'):
            self.refused('no regular file', name)
        self.put('empty', b'')
        self.refused('empty', 'empty')

    def test_what_is_outside_is_no_name(self) -> None:
        outside = self.folder / 'outside'
        outside.write_bytes(b'x' * 512)
        (self.path / 'below').mkdir()
        (self.path / 'below' / 'file').write_bytes(b'x' * 512)
        for reference in (
            *('../outside', str(outside), 'below/file', '.virtdc', '.labels'),
            *('.labels/one', './disk.img', '..', 'a\nb', '\x1b[2J'),
        ):
            self.assertIsNone(self.backend.find_manageable(reference))
            with self.assertRaises(exceptions.EventRejected):
                self.manage(reference)
        self.assertEqual(b'x' * 512, outside.read_bytes())

    def test_another_users_file_is_left_to_them(self) -> None:
        self.put('disk.img')
        with mock.patch.object(os, 'geteuid', return_value=os.getuid() + 7):
            self.refused('another user')

    def test_what_a_guest_uses_is_not_taken(self) -> None:
        path = self.put('disk.img')
        with path.open('r+b') as file:
            # As QEMU does for what it may write to.
            lock = struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 101, 1, 0)
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
            self.refused('in use')
        self.manage()

    @needs.QEMU
    def test_images_that_name_other_files(self) -> None:
        secret = self.folder / 'secret'
        secret.write_bytes(b's' * MIB)
        for number, options in enumerate(
            (
                ('-b', secret, '-F', 'raw'),
                ('-o', f'data_file={self.folder / "data"},data_file_raw=on'),
            )
        ):
            name = f'trap-{number}'
            self.qemu(
                *('create', '-f', 'qcow2', *options),
                *(self.path / name, '1M'),
            )
            self.refused('not safe', name)

    def test_a_header_that_lies(self) -> None:
        header = struct.pack('>4sIQIIQ', b'QFI\xfb', 3, 4096, 8, 16, 2**63 - 1)
        self.put('huge', header + bytes(4096))
        self.refused('not safe|recognised', 'huge')
        unknown = bytearray(
            struct.pack('>4sIQIIQ', b'QFI\xfb', 3, 0, 0, 16, MIB) + bytes(4096)
        )
        unknown[72:80] = b'\xff' * 8
        self.put('unknown', bytes(unknown))
        self.refused('not safe', 'unknown')

    @needs.QEMU
    def test_formats_that_volumes_cannot_have(self) -> None:
        for format_ in ('vmdk', 'vdi', 'vhdx'):
            path = self.path / f'disk.{format_}'
            self.qemu('create', '-f', format_, path, '1M')
            self.refused('format|recognised|not safe', path.name)

    def test_exchanged_while_it_was_looked_at(self) -> None:
        path = self.put('disk.img')
        outside = self.folder / 'outside'
        outside.write_bytes(b'secret' * 1000)

        def exchange() -> None:
            path.rename(self.folder / 'was')
            path.symlink_to(outside)

        with self.assertRaisesRegex(exceptions.EventRejected, 'another one'):
            self.backend.manage(
                'one',
                ManageParameters(reference='disk.img', size_bytes=MIB),
                FakeContext('manage', before_commit=exchange),
            )
        self.assertIsNone(self.backend.find('one'))
        self.assertFalse((self.path / 'volume-one').is_symlink())
        self.assertEqual(b'secret' * 1000, outside.read_bytes())
        self.assertEqual([], list(self.backend.sweep(tuple)))

    def test_one_file_for_two_volumes_at_once(self) -> None:
        self.put('disk.img')
        lost = []

        def meanwhile() -> None:
            context = FakeContext('other')
            context.cancel()
            try:
                self.backend.manage(
                    'two',
                    ManageParameters(reference='disk.img', size_bytes=MIB),
                    context,
                )
            except exceptions.AgentError as exc:
                lost.append(exc)

        self.backend.manage(
            'one',
            ManageParameters(reference='disk.img', size_bytes=MIB),
            FakeContext('manage', before_commit=meanwhile),
        )
        self.assertEqual(1, len(lost))
        self.assertIsNone(self.backend.find('two'))
        self.assertIsNotNone(self.backend.find('one'))

    def test_names_that_nobody_can_write_are_not_listed(self) -> None:
        self.put('disk.img')
        with open(os.fsencode(self.path) + b'/bad-\xff', 'wb') as file:
            file.write(b'x' * 512)
        self.put('esc\x1b[31m')
        self.assertEqual(
            ['disk.img'],
            [one.reference for one in self.backend.list_manageable(None, 9)],
        )

    def test_a_damaged_label_is_told(self) -> None:
        self.backend.create('two', test_file.RAW, FakeContext('create'))
        (self.path / '.labels' / 'two').write_bytes(b'{')
        (found,) = self.backend.list_manageable(None, 9)
        self.assertRegex(found.reason, 'label of volume two cannot be read')


class TestTaking(ManagingCase):
    def test_the_file_is_the_volume_and_its_users_may_use_it(self) -> None:
        path = self.put('disk.img')
        path.chmod(0o600)
        inode = path.stat().st_ino
        self.manage()
        status = (self.path / 'volume-one').stat()
        self.assertEqual(
            (inode, 0o660, 1),
            (status.st_ino, status.st_mode & 0o777, status.st_nlink),
        )
        self.assertFalse(path.exists())

    def test_provisioning_is_what_it_is(self) -> None:
        self.put('full')
        sparse = self.put('sparse', b'')
        os.truncate(sparse, MIB)
        thick = {'provisioning': Provisioning.THICK}
        self.assertIs(
            Provisioning.THICK,
            self.manage('full', 'one', **thick).provisioning,
        )
        with self.assertRaisesRegex(exceptions.EventRejected, 'reserved'):
            self.manage('sparse', 'two', **thick)
        self.assertIs(
            Provisioning.THIN, self.manage('sparse', 'two').provisioning
        )

    @needs.QEMU
    def test_a_qcow2_image_grows_to_what_is_asked(self) -> None:
        self.qemu('create', '-f', 'qcow2', self.path / 'disk.qcow2', '1M')
        facts = self.manage('disk.qcow2', size_bytes=2 * MIB)
        self.assertEqual(
            (Format.QCOW2, 2 * MIB), (facts.format, facts.size_bytes)
        )
        self.assertEqual(facts, self.backend.find('one'))
        self.qemu('check', '-f', 'qcow2', self.path / 'volume-one')

    def test_growth_that_fails_leaves_it_as_it_was(self) -> None:
        path = self.put('disk.img')
        with (
            mock.patch.object(
                self.backend._images[Format.RAW],
                'grow',
                side_effect=OSError(28, 'x'),
            ),
            self.assertRaisesRegex(exceptions.BackendUnavailable, 'full'),
        ):
            self.manage(size_bytes=2 * MIB)
        self.assertEqual(MIB, path.stat().st_size)
        self.assertEqual(1, path.stat().st_nlink)
        self.assertIsNone(self.backend.find('one'))
        self.assertTrue(self.backend.find_manageable('disk.img').is_safe)

    def test_a_raw_volume_that_looks_like_an_image_stays_raw(self) -> None:
        """Its guest may write what it likes, also before it was given up."""
        self.backend.create('one', test_file.RAW, FakeContext('create'))
        path = self.path / 'volume-one'
        header = struct.pack('>4sIQIIQ', b'QFI\xfb', 3, 4096, 8, 16, 2**50)
        with path.open('r+b') as file:
            file.write(header)
        self.backend.unmanage('one', FakeContext('unmanage'))
        found = self.backend.find_manageable('one')
        self.assertEqual(
            (Format.RAW, MIB, True),
            (found.format, found.size_bytes, found.is_safe),
        )
        # Another file of its name is not it.
        content = path.read_bytes()
        path.rename(self.folder / 'was')
        path.write_bytes(content)
        self.assertFalse(self.backend.find_manageable('one').is_safe)
        (self.folder / 'was').rename(path)
        facts = self.manage('one', 'two')
        self.assertIs(Format.RAW, facts.format)
        self.assertEqual([], list(self.backend.sweep(tuple)))

    def test_a_crash_between_two_names_keeps_others_away(self) -> None:
        self.put('disk.img')
        self.manage()
        os.link(self.path / 'volume-one', self.path / 'disk.img')
        self.assertRegex(
            self.backend.find_manageable('disk.img').reason, 'other names'
        )
        self.backend.manage(
            'one',
            ManageParameters(reference='disk.img', size_bytes=MIB),
            FakeContext('manage', 2),
        )
        self.assertFalse((self.path / 'disk.img').exists())
