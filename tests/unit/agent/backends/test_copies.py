"""What only the backend "file" can get wrong when it copies volumes."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import subprocess
import threading
import time

from tests.conformance import qcow2_images
from tests.unit.agent.backends import mounts
from tests.unit.agent.backends import needs
from tests.unit.agent.backends import test_file
from virtdc_agent.backends import copying
from virtdc_agent.backends.file import FileBackend
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions

MIB = 1024**2
MARK = b'what the user wrote'
CLONE = CloneParameters(source_id='one', size_bytes=64 * MIB)
CLONE_THICK = CloneParameters(
    source_id='one', size_bytes=64 * MIB, provisioning=Provisioning.THICK
)


class CopiesCase(test_file.FileCase):
    def create(
        self,
        backend: FileBackend,
        provisioning: Provisioning = Provisioning.THIN,
        format_: Format = Format.RAW,
        size_bytes: int = 64 * MIB,
    ) -> Path:
        backend.create(
            'one',
            CreateParameters(
                size_bytes=size_bytes,
                format=format_,
                provisioning=provisioning,
            ),
            FakeContext('create'),
        )
        return self.path / 'volume-one'

    def write(self, path: Path, offset: int, content: bytes) -> None:
        with path.open('r+b') as file:
            file.seek(offset)
            file.write(content)

    def read(self, path: Path, offset: int, length: int) -> bytes:
        with path.open('rb') as file:
            file.seek(offset)
            return file.read(length)

    def allocated(self, name: str) -> int:
        return (self.path / name).stat().st_blocks * 512


class TestFiles(CopiesCase):
    def test_a_snapshot_is_a_file_of_its_name(self) -> None:
        backend = self.start()
        self.create(backend)
        backend.snapshot('one', 'moment', FakeContext('snapshot'))
        entries = self.entries()
        self.assertIn('snapshot-moment', entries['.'])
        self.assertEqual(['@moment', 'one'], entries['.labels'])
        self.assertEqual(['@moment', 'one'], entries['.fences'])
        self.assertEqual([], entries['.temporary'])
        self.assertEqual([], list(backend.sweep(tuple)))
        backend.delete_snapshot('one', 'moment', FakeContext('delete'))
        entries = self.entries()
        self.assertNotIn('snapshot-moment', entries['.'])
        self.assertEqual(['one'], entries['.labels'])
        self.assertEqual([], entries['.trash'])

    def test_one_id_for_a_volume_and_a_snapshot(self) -> None:
        backend = self.start()
        self.create(backend)
        backend.snapshot('one', 'one', FakeContext('snapshot'))
        backend.delete('one', FakeContext('delete'))
        self.assertIsNone(backend.find('one'))
        self.assertIsNotNone(backend.find_snapshot('one'))
        self.assertEqual([], list(backend.sweep(tuple)))
        backend.delete_snapshot('one', 'one', FakeContext('drop'))
        self.assertEqual([], self.entries()['.labels'])

    def test_a_label_of_no_snapshot_is_swept(self) -> None:
        backend = self.start()
        self.create(backend)
        backend.snapshot('one', 'moment', FakeContext('snapshot'))
        (self.path / 'snapshot-moment').unlink()
        self.assertEqual(['.labels/@moment'], list(backend.sweep(tuple)))
        self.assertEqual(['one'], self.entries()['.labels'])

    def test_one_name_for_two_volumes_at_once(self) -> None:
        # They are not of one turn; the loser must not take the winner's label.
        backend = self.start()
        self.create(backend)
        backend.create('two', test_file.RAW, FakeContext('create'))
        winner = FakeContext('winner')
        outcomes: list[object] = []

        def lose() -> None:
            try:
                backend.snapshot('two', 'moment', FakeContext('loser'))
            except exceptions.EventRejected as exc:
                outcomes.append(exc)

        loser = threading.Thread(target=lose)
        winner.before_commit = loser.start
        backend.snapshot('one', 'moment', winner)
        loser.join()
        self.assertEqual(1, len(outcomes))
        self.assertIsNotNone(backend.find_snapshot('moment'))
        self.assertEqual([], list(backend.sweep(tuple)))

    def test_a_late_creation_leaves_a_reverted_volume_its_label(self) -> None:
        # The label has the number of the file that the revert replaced.
        backend = self.start()
        file = self.create(backend)
        before = file.stat().st_ino
        backend.snapshot('one', 'moment', FakeContext('snapshot'))
        backend.revert('one', 'moment', FakeContext('revert'))
        self.assertNotEqual(before, file.stat().st_ino)
        facts = backend.create(
            'one',
            CreateParameters(size_bytes=64 * MIB),
            FakeContext('create', 2),
        )
        self.assertEqual(facts, backend.find('one'))


class TestBytes(CopiesCase):
    def test_holes_stay_holes(self) -> None:
        backend = self.start()
        file = self.create(backend)
        for offset in (0, 20 * MIB, 64 * MIB - len(MARK)):
            self.write(file, offset, MARK)
        backend.snapshot('one', 'moment', FakeContext('snapshot'))
        backend.clone('two', CLONE, FakeContext('clone'))
        backend.revert('one', 'moment', FakeContext('revert'))
        for name in ('snapshot-moment', 'volume-two', 'volume-one'):
            self.assertLess(self.allocated(name), MIB, name)
            for offset in (0, 20 * MIB, 64 * MIB - len(MARK)):
                self.assertEqual(
                    MARK, self.read(self.path / name, offset, len(MARK))
                )

    def test_zeros_become_holes_where_holes_are_not_told(self) -> None:
        # NFS before 4.2 takes all of a file for data.
        real = os.lseek

        def lseek(descriptor: int, position: int, whence: int) -> int:
            if whence == os.SEEK_DATA:
                return position
            if whence == os.SEEK_HOLE:
                return os.fstat(descriptor).st_size
            return real(descriptor, position, whence)

        backend = self.start()
        file = self.create(backend)
        self.write(file, 20 * MIB, MARK)
        self.addCleanup(setattr, os, 'lseek', real)
        os.lseek = lseek
        backend.clone('two', CLONE, FakeContext('clone'))
        os.lseek = real
        self.assertLess(self.allocated('volume-two'), MIB)
        self.assertEqual(file.read_bytes(), self.whole('volume-two'))

    def test_copies_itself_where_the_file_system_does_not(self) -> None:
        def refuse(*arguments: object) -> int:
            raise OSError(95, 'Operation not supported')

        backend = self.start()
        file = self.create(backend)
        content = os.urandom(9 * MIB)
        self.write(file, 3 * MIB, content)
        self.addCleanup(setattr, os, 'copy_file_range', os.copy_file_range)
        os.copy_file_range = refuse
        backend.clone('two', CLONE, FakeContext('clone'))
        self.assertEqual(file.read_bytes(), self.whole('volume-two'))
        self.assertLess(self.allocated('volume-two'), 10 * MIB)

    def test_thick_has_its_space(self) -> None:
        backend = self.start()
        file = self.create(backend)
        self.write(file, 20 * MIB, MARK)
        backend.clone('two', CLONE_THICK, FakeContext('clone'))
        self.assertLessEqual(64 * MIB, self.allocated('volume-two'))
        self.assertEqual(file.read_bytes(), self.whole('volume-two'))
        backend.snapshot('two', 'moment', FakeContext('snapshot'))
        self.assertLess(self.allocated('snapshot-moment'), MIB)
        backend.revert('two', 'moment', FakeContext('revert'))
        self.assertLessEqual(64 * MIB, self.allocated('volume-two'))
        self.assertEqual(file.read_bytes(), self.whole('volume-two'))

    def test_stops_between_two_steps(self) -> None:
        class Impatient(FakeContext):
            def report(self, *args: object, **kwargs: object) -> None:
                super().report(*args, **kwargs)
                if len(self.reports) == 2:
                    self.cancel()

        backend = self.start()
        file = self.create(backend)
        self.write(file, 0, os.urandom(48 * MIB))
        self.addCleanup(setattr, copying, 'COPY_STEP_BYTES', 8 * MIB)
        copying.COPY_STEP_BYTES = 4 * MIB
        for context in (Impatient('clone'), Impatient('snapshot')):
            with self.assertRaises(exceptions.OperationCancelled):
                if context.event_id == 'clone':
                    backend.clone('two', CLONE, context)
                else:
                    backend.snapshot('one', 'moment', context)
            self.assertEqual(2, len(context.reports))
            self.assertEqual([], self.entries()['.temporary'])
            self.assertEqual(['one'], self.entries()['.labels'])

    def test_full_in_the_middle_of_a_copy(self) -> None:
        mounts.mount_small(self, self.path, '8m')
        backend = self.start()
        file = self.create(backend)
        self.write(file, 0, os.urandom(5 * MIB))
        backend.create('small', test_file.RAW, FakeContext('create'))
        free = backend.space().free_bytes
        for operate in (
            lambda context: backend.clone('two', CLONE, context),
            lambda context: backend.clone('two', CLONE_THICK, context),
            lambda context: backend.snapshot('one', 'moment', context),
        ):
            with self.assertRaisesRegex(
                exceptions.BackendUnavailable, 'is full'
            ):
                operate(FakeContext('copy'))
            self.assertEqual([], self.entries()['.temporary'])
            self.assertEqual(['one', 'small'], self.entries()['.labels'])
        # The fences stay a while: 4 KiB each.
        self.assertLessEqual(free - backend.space().free_bytes, 2 * 4096)

    def whole(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


@needs.QEMU
class TestQcow2(CopiesCase):
    def test_copies_are_what_qemu_takes_for_images(self) -> None:
        backend = self.start()
        for given in Provisioning:
            file = self.create(backend, given, Format.QCOW2, 8 * MIB)
            qcow2_images.write(file, 5 * MIB, MARK)
            backend.snapshot('one', 'moment', FakeContext('snapshot'))
            for asked in Provisioning:
                copy = self.path / f'volume-{asked}'
                backend.clone(
                    f'{asked}',
                    CloneParameters(
                        source_id='one',
                        snapshot_id='moment',
                        size_bytes=16 * MIB,
                        provisioning=asked,
                    ),
                    FakeContext('clone'),
                )
                self.check(copy, 16 * MIB)
                if asked is Provisioning.THICK:
                    self.assertLessEqual(16 * MIB, self.allocated(copy.name))
                else:
                    self.assertLess(self.allocated(copy.name), MIB)
                backend.delete(f'{asked}', FakeContext('delete'))
            backend.extend('one', 16 * MIB, FakeContext('extend'))
            backend.revert('one', 'moment', FakeContext('revert'))
            self.check(file, 16 * MIB)
            backend.delete_snapshot('one', 'moment', FakeContext('drop'))
            backend.delete('one', FakeContext('delete'))

    def test_a_damaged_image_is_not_copied(self) -> None:
        backend = self.start()
        file = self.create(backend, format_=Format.QCOW2)
        backend.snapshot('one', 'moment', FakeContext('snapshot'))
        for damaged in (self.path / 'snapshot-moment', file):
            self.write(damaged, 0, bytes(4))
        for operate in (
            lambda context: backend.snapshot('one', 'other', context),
            lambda context: backend.clone('two', CLONE, context),
            lambda context: backend.revert('one', 'moment', context),
            lambda context: backend.find_snapshot('moment'),
        ):
            with self.assertRaisesRegex(exceptions.BackendError, 'damaged'):
                operate(FakeContext('copy'))
        self.assertEqual([], list(backend.sweep(tuple)))
        backend.delete_snapshot('one', 'moment', FakeContext('drop'))
        self.assertIsNone(backend.find_snapshot('moment'))

    def test_an_image_that_names_another_file_is_not_copied(self) -> None:
        secret = self.folder / 'secret'
        secret.write_bytes(b'not for guests'.ljust(MIB))
        backend = self.start()
        file = self.create(backend, format_=Format.QCOW2)
        subprocess.run(
            [
                *('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', secret),
                *('-F', 'raw', file, str(64 * MIB)),
            ],
            check=True,
        )
        for parameters in (CLONE, CLONE_THICK):
            with self.assertRaisesRegex(exceptions.BackendError, 'damaged'):
                backend.clone('two', parameters, FakeContext('clone'))
        self.assertIsNone(backend.find('two'))

    def test_a_size_that_qemu_would_round_is_refused(self) -> None:
        backend = self.start()
        self.create(backend, format_=Format.QCOW2)
        with self.assertRaisesRegex(exceptions.EventRejected, 'multiple'):
            backend.clone(
                'two',
                CloneParameters(source_id='one', size_bytes=64 * MIB + 1),
                FakeContext('clone'),
            )

    def check(self, path: Path, size_bytes: int) -> None:
        """Ask qemu whether an image is whole and has what was written."""
        for command in (
            ('qemu-img', 'check', '-q', '-f', 'qcow2', path),
            *(
                ('qemu-io', '-f', 'qcow2', '-r', '-c', command, path)
                for command in (
                    f'read -P 0 0 {5 * MIB}',
                    f'read -P 0 {6 * MIB} {size_bytes - 6 * MIB}',
                )
            ),
        ):
            subprocess.run(command, check=True, capture_output=True)
        self.assertEqual(
            MARK, qcow2_images.read(path, 5 * MIB, len(MARK)), path
        )


class TestAttacks(CopiesCase):
    def setUp(self) -> None:
        super().setUp()
        self.secret = self.folder / 'secret'
        self.secret.write_bytes(b'not for guests')
        self.backend = self.start()
        self.file = self.create(self.backend)
        self.backend.snapshot('one', 'moment', FakeContext('snapshot'))

    def exchange(self, path: Path) -> Iterator[None]:
        """Put one thing after the other in a file's place."""
        path.unlink()
        path.symlink_to(self.secret)
        yield
        path.unlink()
        os.mkfifo(path)
        yield
        path.unlink()
        path.mkdir()
        yield
        path.rmdir()
        self.assertEqual(b'not for guests', self.secret.read_bytes())

    def test_links_and_other_things_are_no_volumes(self) -> None:
        for _ in self.exchange(self.file):
            for operate in (
                lambda context: self.backend.snapshot('one', 'new', context),
                lambda context: self.backend.clone('two', CLONE, context),
                lambda context: self.backend.revert('one', 'moment', context),
            ):
                with self.assertRaises(exceptions.EventRejected):
                    operate(FakeContext('copy'))

    def test_links_and_other_things_are_no_snapshots(self) -> None:
        clone = CloneParameters(
            source_id='one', snapshot_id='moment', size_bytes=64 * MIB
        )
        for _ in self.exchange(self.path / 'snapshot-moment'):
            self.assertIsNone(self.backend.find_snapshot('moment'))
            for operate in (
                lambda context: self.backend.snapshot(
                    'one', 'moment', context
                ),
                lambda context: self.backend.delete_snapshot(
                    'one', 'moment', context
                ),
                lambda context: self.backend.clone('two', clone, context),
                lambda context: self.backend.revert('one', 'moment', context),
            ):
                with self.assertRaises(exceptions.EventRejected):
                    operate(FakeContext('copy'))

    def test_a_link_as_temporary_file_is_not_written_through(self) -> None:
        scratch = 'two.clone.777'
        for name in (scratch, f'{scratch}.label', f'{scratch}.frozen'):
            (self.path / '.temporary' / name).symlink_to(self.secret)
        self.backend.clone('two', CLONE, FakeContext('clone', fence=777))
        self.assertTrue((self.path / 'volume-two').is_file())
        self.assertEqual(b'not for guests', self.secret.read_bytes())

    def test_a_volume_that_was_exchanged_meanwhile_is_not_replaced(
        self,
    ) -> None:
        moved = self.folder / 'moved'
        file = self.file

        class Meddling(FakeContext):
            def check(self) -> None:
                super().check()
                if not moved.exists():
                    file.rename(moved)
                    file.write_bytes(b'another')

        with self.assertRaises(exceptions.OperationCancelled):
            self.backend.revert('one', 'moment', Meddling('revert'))
        self.assertEqual(b'another', file.read_bytes())
        self.assertEqual([], self.entries()['.temporary'])


class TestSharing(CopiesCase):
    def setUp(self) -> None:
        super().setUp()
        mounts.mount_sharing(self, self.path)
        self.backend = self.start()

    def test_thin_copies_share_their_blocks(self) -> None:
        file = self.create(self.backend)
        self.write(file, 0, os.urandom(32 * MIB))
        os.sync()
        free = self.backend.space().free_bytes
        self.backend.snapshot('one', 'moment', FakeContext('snapshot'))
        context = FakeContext('clone')
        self.backend.clone('two', CLONE, context)
        self.backend.revert('one', 'moment', FakeContext('revert'))
        self.assertLess(free - self.backend.space().free_bytes, 4 * MIB)
        self.assertEqual(
            file.read_bytes(), (self.path / 'volume-two').read_bytes()
        )
        self.assertEqual(
            [64 * MIB], [report.bytes_done for report in context.reports]
        )

    def test_thick_volumes_share_nothing(self) -> None:
        file = self.create(self.backend, Provisioning.THICK)
        self.write(file, 0, os.urandom(8 * MIB))
        self.backend.snapshot('one', 'moment', FakeContext('snapshot'))
        self.backend.clone('two', CLONE, FakeContext('clone'))
        self.backend.clone(
            'three',
            CloneParameters(
                source_id='one',
                snapshot_id='moment',
                size_bytes=64 * MIB,
                provisioning=Provisioning.THIN,
            ),
            FakeContext('clone'),
        )
        for name in ('volume-one', 'volume-two'):
            # XFS lets go of a removed file's blocks in the background.
            for _ in range(1000):
                if not self.shared(name):
                    break
                time.sleep(0.01)
            self.assertEqual(0, self.shared(name), name)
        # A snapshot has nothing that it must keep for itself.
        self.assertLess(0, self.shared('volume-three'))
        self.assertEqual([], self.entries()['.temporary'])

    def test_a_volume_in_use_is_copied_as_it_was_at_once(self) -> None:
        file = self.create(self.backend, Provisioning.THICK)
        content = os.urandom(32 * MIB)
        self.write(file, 0, content)

        class Writing(FakeContext):
            def report(inner, *args: object, **kwargs: object) -> None:
                super().report(*args, **kwargs)
                self.write(file, 24 * MIB, MARK)

        self.backend.clone('two', CLONE, Writing('clone'))
        self.assertEqual(
            content, self.read(self.path / 'volume-two', 0, 32 * MIB)
        )

    def test_without_sharing_nothing_is_instant(self) -> None:
        elsewhere = self.folder / 'elsewhere'
        elsewhere.mkdir()
        mounts.mount_small(self, elsewhere, '4m')
        self.assertFalse(self.start(elsewhere).has_instant_copies)
        self.assertTrue(self.backend.has_instant_copies)

    def shared(self, name: str) -> int:
        """Return how many extents of a file are others' too."""
        said = subprocess.run(
            ['filefrag', '-v', self.path / name],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        return said.count('shared')
