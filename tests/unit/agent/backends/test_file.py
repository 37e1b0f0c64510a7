"""What only the backend "file" has: its folder, its formats, its errors."""

from __future__ import annotations

import os
from pathlib import Path
import stat
import subprocess

from tests import base
from tests.unit.agent.backends import mounts
from tests.unit.agent.backends import needs
from virtdc_agent.backends.file import FileBackend
from virtdc_agent.backends.folder import Abilities
from virtdc_agent.backends import layout
from virtdc_agent.backends.qemu_img import QemuImg
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import opts

MIB = 1024**2
RAW = CreateParameters(size_bytes=MIB, format=Format.RAW)
QCOW2 = CreateParameters(size_bytes=MIB, format=Format.QCOW2)
THICK = CreateParameters(size_bytes=MIB, provisioning=Provisioning.THICK)
QCOW2_THICK = CreateParameters(
    size_bytes=8 * MIB,
    format=Format.QCOW2,
    provisioning=Provisioning.THICK,
)
QCOW2_MAGIC = b'QFI\xfb\x00\x00\x00\x03'


class FileCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / 'volumes'
        self.path.mkdir()

    def start(
        self, path: Path | None = None, **options: object
    ) -> FileBackend:
        backend = FileBackend(str(path or self.path), **options)
        backend.start()
        return backend

    def entries(self) -> dict[str, list[str]]:
        """Return what is in the folder and in each of its own parts."""
        return {
            name: sorted(os.listdir(self.path / name))
            for name in ('.', *layout.FOLDERS)
        }


class TestStart(FileCase):
    def refused(self, words: str, path: object, **options: object) -> None:
        with self.assertRaisesRegex(exceptions.ConfigInvalid, words):
            FileBackend(path and str(path), **options).start()

    def fill(self, filler: Path) -> None:
        free = os.statvfs(filler.parent)
        with filler.open('wb') as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)

    def test_names_the_option_and_the_next_step(self) -> None:
        option = r'\[backend_file\] path'
        self.refused(f'{option} is not set: name the folder', None)
        self.refused(f'{option} = volumes depends on', 'volumes')
        missing = self.folder / 'missing'
        self.refused(f'{option} = {missing} is not a folder', missing)
        file = self.folder / 'file'
        file.touch()
        self.refused(f'{option} = {file} is not a folder', file)
        self.refused('require_mount = false', self.path, require_mount=True)

    def test_a_folder_that_is_read_only_is_refused(self) -> None:
        mounts.mount_small(self, self.path, '1m')
        mounts.make_read_only(self.path)
        self.refused('cannot be used: Read-only file system', self.path)

    def test_a_full_folder_may_get_room_again(self) -> None:
        mounts.mount_small(self, self.path, '64k')
        filler = self.path / 'filler'
        self.fill(filler)
        with self.assertRaisesRegex(exceptions.BackendUnavailable, 'is full'):
            FileBackend(str(self.path)).start()
        filler.unlink()
        self.start()

    def test_a_folder_that_was_used_and_is_full_is_taken(self) -> None:
        mounts.mount_small(self, self.path, '64k')
        self.start()
        self.fill(self.path / 'filler')
        with self.assertLogs('virtdc_agent', 'WARNING'):
            self.start()

    def test_a_folder_whose_parts_are_elsewhere_is_refused(self) -> None:
        elsewhere = self.folder / 'elsewhere'
        elsewhere.mkdir()
        (self.path / '.labels').symlink_to(elsewhere)
        self.refused('cannot be used', self.path)

    def test_a_mounted_folder_is_taken(self) -> None:
        mounts.mount_small(self, self.path, '1m')
        self.start(require_mount=True)

    @needs.QEMU
    def test_qcow2_needs_its_program(self) -> None:
        absent = QemuImg('no-such-qemu-img')
        self.refused(
            'format = qcow2 needs no-such-qemu-img: install',
            self.path,
            format=Format.QCOW2,
            qemu_img=absent,
        )
        backend = self.start(qemu_img=absent)
        self.assertEqual({Format.RAW}, backend.formats)
        self.assertEqual(set(Format), self.start().formats)

    def test_thick_needs_a_file_system_that_reserves(self) -> None:
        class Unable(FileBackend):
            def __init__(self, path: str, **options: object) -> None:
                super().__init__(path, **options)
                self._folder.prepare = lambda: Abilities(
                    can_reserve=False, can_share=False
                )

        with self.assertRaisesRegex(
            exceptions.ConfigInvalid, 'provisioning = thick needs'
        ):
            Unable(str(self.path), provisioning=Provisioning.THICK).start()
        backend = Unable(str(self.path))
        backend.start()
        self.assertEqual({Provisioning.THIN}, backend.provisionings)

    def test_leaves_no_trace_of_its_trial(self) -> None:
        for _ in range(2):
            self.start()
            self.assertEqual(
                {
                    '.': [
                        *('.discarded', '.fences', '.labels', '.temporary'),
                        *('.trash', '.virtdc'),
                    ],
                    '.discarded': [],
                    '.fences': [],
                    '.labels': [],
                    '.temporary': [],
                    '.trash': [],
                },
                self.entries(),
            )

    @needs.QEMU
    def test_is_made_from_its_group(self) -> None:
        opts.register_opts(self.conf)
        self.conf([])
        for name, value in (
            ('path', str(self.path)),
            ('format', 'qcow2'),
            ('provisioning', 'thick'),
            ('max_over_subscription_ratio', 3.0),
            ('reserved_percentage', 7),
        ):
            self.conf.set_override(name, value, 'backend_file')
        backend = FileBackend.from_config(self.conf, clock=FakeClock())
        backend.start()
        space = backend.space()
        self.assertEqual(3.0, space.max_over_subscription_ratio)
        self.assertEqual(7, space.reserved_percentage)
        self.assertIs(Provisioning.THICK, backend.default_provisioning)
        facts = backend.create(
            'one', CreateParameters(size_bytes=MIB), FakeContext()
        )
        self.assertEqual(
            (Format.QCOW2, Provisioning.THICK),
            (facts.format, facts.provisioning),
        )


class TestFiles(FileCase):
    def test_a_volume_is_a_file_of_its_name(self) -> None:
        previous = os.umask(0o077)
        self.addCleanup(os.umask, previous)
        backend = self.start()
        backend.create('one', RAW, FakeContext())
        self.assertEqual(
            {
                '.': [
                    *('.discarded', '.fences', '.labels', '.temporary'),
                    *('.trash', '.virtdc', 'volume-one'),
                ],
                '.discarded': [],
                '.fences': ['one'],
                '.labels': ['one'],
                '.temporary': [],
                '.trash': [],
            },
            self.entries(),
        )
        status = (self.path / 'volume-one').stat()
        self.assertEqual(0o660, stat.S_IMODE(status.st_mode))
        self.assertEqual((MIB, 0), (status.st_size, status.st_blocks))
        backend.delete('one', FakeContext('delete'))
        self.assertEqual(
            [
                *('.discarded', '.fences', '.labels', '.temporary', '.trash'),
                '.virtdc',
            ],
            self.entries()['.'],
        )
        self.assertEqual([], self.entries()['.labels'])

    def test_thick_is_written_and_reported(self) -> None:
        size = 20 * MIB
        context = FakeContext()
        self.start().create(
            'one',
            CreateParameters(size_bytes=size, provisioning=Provisioning.THICK),
            context,
        )
        status = (self.path / 'volume-one').stat()
        self.assertLessEqual(size, status.st_blocks * 512)
        self.assertEqual(
            [8 * MIB, 16 * MIB, 20 * MIB],
            [report.bytes_done for report in context.reports],
        )

    def test_thick_stops_between_two_steps(self) -> None:
        backend = self.start()
        parameters = CreateParameters(
            size_bytes=64 * MIB, provisioning=Provisioning.THICK
        )

        class Impatient(FakeContext):
            def report(self, *args: object, **kwargs: object) -> None:
                super().report(*args, **kwargs)
                if len(self.reports) == 2:
                    self.cancel()

        context = Impatient()
        with self.assertRaises(exceptions.OperationCancelled):
            backend.create('one', parameters, context)
        self.assertEqual(2, len(context.reports))
        self.assertEqual([], list(backend.sweep(tuple)))
        self.assertEqual([], self.entries()['.temporary'])

    def test_thick_growth_is_reserved_or_given_back(self) -> None:
        backend = self.start()
        backend.create('one', THICK, FakeContext())
        file = self.path / 'volume-one'
        before = file.stat().st_blocks
        with self.assertRaises(exceptions.OperationCancelled):
            backend.extend('one', 9 * MIB, FakeContext(fail_at_commit=True))
        self.assertEqual(before, file.stat().st_blocks)
        backend.extend('one', 9 * MIB, FakeContext('extend'))
        self.assertLessEqual(9 * MIB, file.stat().st_blocks * 512)

    @needs.QEMU
    def test_qcow2_is_what_qemu_takes_for_it(self) -> None:
        backend = self.start()
        for provisioning in Provisioning:
            name = f'{provisioning}'
            backend.create(
                name,
                CreateParameters(
                    size_bytes=MIB,
                    format=Format.QCOW2,
                    provisioning=provisioning,
                ),
                FakeContext(),
            )
            backend.extend(name, 4 * MIB, FakeContext('extend'))
            file = self.path / f'volume-{name}'
            subprocess.run(
                ['qemu-img', 'check', '-f', 'qcow2', file],
                check=True,
                capture_output=True,
            )
            allocated = file.stat().st_blocks * 512
            if provisioning is Provisioning.THICK:
                self.assertLessEqual(4 * MIB, allocated)
            else:
                self.assertLess(allocated, MIB)
            self.assertEqual(4 * MIB, backend.find(name).size_bytes)

    @needs.QEMU
    def test_qcow2_refuses_sizes_it_would_round(self) -> None:
        backend = self.start(format=Format.QCOW2)
        for size in (1000, MIB + 1, 2**52, 2**63 - 1):
            with (
                self.subTest(size),
                self.assertRaisesRegex(exceptions.EventRejected, 'qcow2'),
            ):
                backend.create(
                    'one', CreateParameters(size_bytes=size), FakeContext()
                )
        self.assertEqual([], list(backend.scan()))

    @needs.QEMU
    def test_qcow2_in_use_is_busy(self) -> None:
        backend = self.start()
        backend.create('one', QCOW2, FakeContext())
        user = subprocess.Popen(
            ['qemu-io', '-f', 'qcow2', self.path / 'volume-one'],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with user:
            user.stdin.write(b'length\n')
            user.stdin.flush()
            user.stdout.readline()
            with self.assertRaises(exceptions.BackendBusy):
                backend.extend('one', 2 * MIB, FakeContext('extend'))
            user.communicate(b'quit\n')
        self.assertEqual(MIB, backend.find('one').size_bytes)
        backend.extend('one', 2 * MIB, FakeContext('extend', 2))

    def test_larger_than_a_file_can_be_is_rejected(self) -> None:
        # Elsewhere, as in memory, they may be of any size.
        mounts.mount_with_small_files(self, self.path)
        backend = self.start()
        for parameters in (
            CreateParameters(size_bytes=2**63 - 1),
            CreateParameters(size_bytes=2**60),
        ):
            with self.assertRaisesRegex(
                exceptions.EventRejected, 'larger than a file can be'
            ):
                backend.create('one', parameters, FakeContext())
        backend.create('one', RAW, FakeContext())
        with self.assertRaises(exceptions.EventRejected):
            backend.extend('one', 2**63 - 1, FakeContext('extend'))
        self.assertEqual(MIB, backend.find('one').size_bytes)
        self.assertEqual([], list(backend.sweep(tuple)))


class TestAttacks(FileCase):
    def setUp(self) -> None:
        super().setUp()
        self.backend = self.start()
        self.secret = self.folder / 'secret'
        self.secret.write_bytes(b'not for guests')

    @needs.QEMU
    def test_a_raw_volume_that_looks_like_qcow2_stays_raw(self) -> None:
        self.backend.create('one', RAW, FakeContext())
        file = self.path / 'volume-one'
        with file.open('r+b') as volume:
            # A header that claims 8 EiB, as a guest could write it.
            volume.write(QCOW2_MAGIC + bytes(16) + b'\x7f' + bytes(7))
        for backend in (self.backend, self.start(format=Format.QCOW2)):
            facts = backend.find('one')
            self.assertEqual(
                (Format.RAW, MIB), (facts.format, facts.size_bytes)
            )
            self.assertEqual([facts], list(backend.scan()))
        self.backend.extend('one', 2 * MIB, FakeContext('extend'))
        self.assertEqual(2 * MIB, file.stat().st_size)

    @needs.QEMU
    def test_a_qcow2_volume_without_its_header_is_damaged(self) -> None:
        self.backend.create('one', QCOW2, FakeContext())
        with (self.path / 'volume-one').open('r+b') as volume:
            volume.write(bytes(4))
        for ask in (
            lambda: self.backend.find('one'),
            lambda: list(self.backend.scan()),
            lambda: self.backend.extend('one', 2 * MIB, FakeContext('e')),
        ):
            with self.assertRaisesRegex(
                exceptions.BackendError, 'Volume one is damaged'
            ):
                ask()
        self.backend.delete('one', FakeContext('delete'))
        self.assertIsNone(self.backend.find('one'))

    def test_links_and_other_things_are_no_volumes(self) -> None:
        self.backend.create('one', RAW, FakeContext())
        file = self.path / 'volume-one'
        file.unlink()
        for make in (
            lambda: file.symlink_to(self.secret),
            lambda: file.symlink_to(self.folder / 'missing'),
            lambda: os.mkfifo(file),
            file.mkdir,
        ):
            make()
            self.assertIsNone(self.backend.find('one'))
            self.assertEqual([], list(self.backend.scan()))
            for operate in (
                lambda: self.backend.create('one', RAW, FakeContext()),
                lambda: self.backend.extend('one', 9 * MIB, FakeContext()),
                lambda: self.backend.delete('one', FakeContext()),
            ):
                with self.assertRaises(exceptions.EventRejected):
                    operate()
            self.assertEqual(b'not for guests', self.secret.read_bytes())
            if file.is_dir() and not file.is_symlink():
                file.rmdir()
            else:
                file.unlink()
        self.assertFalse((self.folder / 'missing').exists())

    def test_links_as_temporary_files_are_not_written_through(self) -> None:
        for name in ('one.event-1.1', 'one.event-1.1.label'):
            (self.path / '.temporary' / name).symlink_to(self.secret)
        self.backend.create('one', RAW, FakeContext())
        self.assertEqual(b'not for guests', self.secret.read_bytes())
        self.assertTrue((self.path / 'volume-one').is_file())

    def test_a_label_that_is_a_link_is_not_read(self) -> None:
        self.backend.create('one', RAW, FakeContext())
        label = self.path / '.labels' / 'one'
        label.rename(self.folder / 'label')
        label.symlink_to(self.folder / 'label')
        with self.assertRaises(exceptions.BackendError):
            self.backend.find('one')

    def test_a_damaged_label_is_told_and_nothing_is_guessed(self) -> None:
        self.backend.create('one', RAW, FakeContext())
        (self.path / '.labels' / 'one').write_text('{}')
        for ask in (
            lambda: self.backend.find('one'),
            lambda: list(self.backend.scan()),
            lambda: self.backend.delete('one', FakeContext()),
        ):
            with self.assertRaisesRegex(
                exceptions.BackendError, 'label of volume one'
            ):
                ask()
        self.assertTrue((self.path / 'volume-one').exists())

    def test_event_ids_are_checked_too(self) -> None:
        for operate in (
            lambda context: self.backend.create('one', RAW, context),
            lambda context: self.backend.delete('one', context),
        ):
            with self.assertRaises(exceptions.EventRejected):
                operate(FakeContext('../../one'))

    def test_our_label_beside_anothers_file_is_taken_back(self) -> None:
        # Killed between label and file; then something took the name.
        self.backend.create('one', RAW, FakeContext())
        file = self.path / 'volume-one'
        file.rename(self.folder / 'elsewhere')
        file.write_bytes(b'another')
        with self.assertRaisesRegex(exceptions.EventRejected, 'exists'):
            self.backend.create('one', RAW, FakeContext(attempt=2))
        self.assertIsNone(self.backend.find('one'))
        self.assertEqual(b'another', file.read_bytes())

    def test_a_name_taken_in_the_last_moment_is_left_alone(self) -> None:
        file = self.path / 'volume-one'
        context = FakeContext(
            before_commit=lambda: file.write_bytes(b'another') and None
        )
        with self.assertRaisesRegex(exceptions.EventRejected, 'exists'):
            self.backend.create('one', RAW, context)
        self.assertEqual(b'another', file.read_bytes())
        self.assertIsNone(self.backend.find('one'))
        self.assertEqual([], list(self.backend.sweep(tuple)))


class TestStorageFaults(FileCase):
    @needs.QEMU
    def test_full(self) -> None:
        mounts.mount_small(self, self.path, '4m')
        backend = self.start()
        free = backend.space().free_bytes
        too_thick = CreateParameters(
            size_bytes=8 * MIB, provisioning=Provisioning.THICK
        )
        for parameters in (too_thick, QCOW2_THICK):
            with self.assertRaisesRegex(
                exceptions.BackendUnavailable, 'Volume one: .*full'
            ):
                backend.create('one', parameters, FakeContext())
            self.assertEqual([], list(backend.scan()))
            self.assertEqual([], list(backend.sweep(tuple)))
            # The fence stays a while: 4 KiB.
            self.assertLessEqual(free - backend.space().free_bytes, 4096)
        backend.create('one', THICK, FakeContext())
        with self.assertRaisesRegex(exceptions.BackendUnavailable, 'full'):
            backend.extend('one', 8 * MIB, FakeContext('extend'))
        self.assertEqual(MIB, backend.find('one').size_bytes)
        with (self.path / 'filler').open('wb') as filler:
            os.posix_fallocate(filler.fileno(), 0, backend.space().free_bytes)
        with self.assertRaisesRegex(exceptions.BackendUnavailable, 'full'):
            backend.create('two', RAW, FakeContext())
        backend.delete('one', FakeContext('delete'))
        backend.create('two', RAW, FakeContext())

    def test_read_only_later(self) -> None:
        mounts.mount_small(self, self.path, '4m')
        backend = self.start()
        backend.create('one', RAW, FakeContext())
        mounts.make_read_only(self.path)
        for operate in (
            lambda: backend.create('two', RAW, FakeContext()),
            lambda: backend.extend('one', 2 * MIB, FakeContext()),
            lambda: backend.delete('one', FakeContext()),
        ):
            with self.assertRaisesRegex(
                exceptions.BackendUnavailable, 'can only be read'
            ) as caught:
                operate()
            self.assertNotIn(str(self.path), str(caught.exception))
        self.assertEqual(MIB, backend.find('one').size_bytes)

    def test_gone_later(self) -> None:
        backend = self.start()
        backend.create('one', RAW, FakeContext())
        self.path.rename(self.folder / 'elsewhere')
        for operate in (
            backend.space,
            lambda: backend.sweep(tuple),
            lambda: list(backend.scan()),
            lambda: backend.find('one'),
            lambda: backend.create('two', RAW, FakeContext()),
            lambda: backend.delete('one', FakeContext()),
        ):
            with self.assertRaisesRegex(
                exceptions.BackendUnavailable, 'cannot be reached'
            ) as caught:
                operate()
            self.assertNotIn(str(self.path), str(caught.exception))

    def test_unmounted_later_is_noticed_and_not_written_around(self) -> None:
        mounts.mount_small(self, self.path, '4m')
        backend = self.start()
        share = self.folder / 'share'
        share.mkdir()
        mounts.mount_again(self, self.path, share)
        backend.create('one', RAW, FakeContext())
        mounts.unmount(self.path)
        for operate in (
            lambda: backend.create('two', RAW, FakeContext()),
            lambda: backend.delete('one', FakeContext()),
            lambda: list(backend.scan()),
        ):
            with self.assertRaisesRegex(
                exceptions.BackendUnavailable, 'not the one'
            ):
                operate()
        self.assertEqual([], os.listdir(self.path))
        # And its return is noticed too.
        mounts.mount_again(self, share, self.path)
        self.assertEqual(
            ['one'], [facts.volume_id for facts in backend.scan()]
        )

    def test_another_folder_in_its_place(self) -> None:
        backend = self.start()
        self.path.rename(self.folder / 'elsewhere')
        self.path.mkdir()
        self.start()
        with self.assertRaisesRegex(
            exceptions.BackendUnavailable, 'not the one'
        ):
            backend.create('one', RAW, FakeContext())

    def test_a_copied_folder_keeps_its_volumes(self) -> None:
        self.start().create('one', RAW, FakeContext())
        copy = self.folder / 'copy'
        subprocess.run(['cp', '-r', self.path, copy], check=True)
        facts = self.start(copy).find('one')
        self.assertEqual((MIB, Format.RAW), (facts.size_bytes, facts.format))

    def test_trash_that_cannot_be_emptied_waits(self) -> None:
        backend = self.start()
        backend.create('one', RAW, FakeContext())

        real = os.unlink

        def unlink(name: str, **kwargs: int) -> None:
            if name == 'one.delete.777':
                raise OSError(5, 'Input/output error')
            real(name, **kwargs)

        self.addCleanup(setattr, os, 'unlink', real)
        os.unlink = unlink
        backend.delete('one', FakeContext('delete', fence=777))
        os.unlink = real
        self.assertIsNone(backend.find('one'))
        self.assertIn('Volume one: what is left over', self.log.text)
        self.assertEqual(['.trash/one.delete.777'], list(backend.sweep(tuple)))
