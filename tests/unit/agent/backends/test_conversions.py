"""Copies of volumes in another format; real qemu-img."""

from __future__ import annotations

import itertools
import os
import subprocess

from tests.conformance import qcow2_images
from tests.unit.agent.backends import needs
from tests.unit.agent.backends import test_file
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions

MIB = 1024**2
SIZE = 4 * MIB
MARK = b'what the user wrote'
OTHER = {Format.RAW: Format.QCOW2, Format.QCOW2: Format.RAW}
DATA_ELSEWHERE = 1 << 2


@needs.QEMU
class TestConversions(test_file.FileCase):
    def setUp(self) -> None:
        super().setUp()
        self.backend = self.start()
        for format_ in Format:
            self.backend.create(
                format_,
                CreateParameters(size_bytes=SIZE, format=format_),
                FakeContext(f'create-{format_}'),
            )
            self.write(format_, format_, 2 * MIB, MARK)

    def file_named(self, volume_id: str):
        return self.path / f'volume-{volume_id}'

    def write(
        self, volume_id: str, format_: Format, offset: int, content: bytes
    ) -> None:
        if format_ is Format.QCOW2:
            qcow2_images.write(self.file_named(volume_id), offset, content)
            return
        with self.file_named(volume_id).open('r+b') as file:
            os.pwrite(file.fileno(), content, offset)

    def read(self, volume_id: str, format_: Format, length: int) -> bytes:
        if format_ is Format.QCOW2:
            return qcow2_images.read(self.file_named(volume_id), 0, length)
        return self.file_named(volume_id).read_bytes()[:length]

    def clone(
        self,
        source: Format,
        volume_id: str = 'copy',
        *,
        context: FakeContext | None = None,
        **asked: object,
    ):
        return self.backend.clone(
            volume_id,
            CloneParameters(
                source_id=source,
                format=OTHER[source],
                **{'size_bytes': SIZE, **asked},
            ),
            context or FakeContext(f'clone-{volume_id}'),
        )

    def left(self) -> list[str]:
        return sorted(path.name for path in self.path.glob('volume-*'))

    def test_content_size_and_kind_are_what_was_asked(self) -> None:
        for number, (source, size, provisioning) in enumerate(
            itertools.product(
                Format, (SIZE, 2 * SIZE), (None, Provisioning.THICK)
            )
        ):
            with self.subTest(source=source, size=size, kind=provisioning):
                copy_id = f'copy-{number}'
                context = FakeContext(copy_id)
                facts = self.clone(
                    source,
                    copy_id,
                    context=context,
                    size_bytes=size,
                    provisioning=provisioning,
                )
                self.assertEqual(
                    (OTHER[source], size, provisioning or Provisioning.THIN),
                    (facts.format, facts.size_bytes, facts.provisioning),
                )
                self.assertEqual(facts, self.backend.find(copy_id))
                expected = bytearray(size)
                expected[2 * MIB : 2 * MIB + len(MARK)] = MARK
                self.assertEqual(
                    bytes(expected), self.read(copy_id, facts.format, size)
                )
                self.assertTrue(context.reports)
                taken = self.file_named(copy_id).stat().st_blocks * 512
                self.assertEqual(
                    provisioning is Provisioning.THICK, taken >= size
                )

    def test_of_a_snapshot_it_is_of_that_moment(self) -> None:
        for source in Format:
            self.backend.snapshot(source, f's-{source}', FakeContext(source))
            self.write(source, source, 2 * MIB, b'afterwards')
            self.clone(source, f'copy-{source}', snapshot_id=f's-{source}')
            content = self.read(f'copy-{source}', OTHER[source], SIZE)
            self.assertEqual(MARK, content[2 * MIB : 2 * MIB + len(MARK)])

    def test_cancelled_leaves_nothing(self) -> None:
        before = self.left()
        for source in Format:
            early = FakeContext('early')
            early.cancel()
            late = FakeContext('late', fail_at_commit=True)
            for context in (early, late):
                with self.assertRaises(exceptions.OperationCancelled):
                    self.clone(source, context=context)
                self.assertEqual(before, self.left())
        self.assertEqual([], list(self.backend.sweep(tuple)))

    def test_sizes_that_the_format_has_not_are_refused(self) -> None:
        with self.assertRaisesRegex(exceptions.EventRejected, 'multiple'):
            self.clone(Format.RAW, size_bytes=SIZE + 1)
        self.assertIsNone(self.backend.find('copy'))

    def test_an_image_that_refers_to_other_files_is_not_read(self) -> None:
        """Whoever can write to its file could have made it so."""
        secret = self.folder.parent / f'{self.folder.name}-secret'
        secret.write_bytes(b'secret'.ljust(SIZE, b'!'))
        self.addCleanup(secret.unlink)
        path = self.file_named(Format.QCOW2)
        good = path.read_bytes()
        features = int.from_bytes(good[72:80], 'big') | DATA_ELSEWHERE
        path.write_bytes(good[:72] + features.to_bytes(8, 'big') + good[80:])
        with self.assertRaisesRegex(exceptions.BackendError, 'of a kind'):
            self.clone(Format.QCOW2)
        path.write_bytes(good)
        subprocess.run(
            [
                *('qemu-img', 'rebase', '-q', '-u', '-F', 'raw'),
                *('-b', str(secret), str(path)),
            ],
            check=True,
        )
        with self.assertRaisesRegex(exceptions.BackendError, 'backing'):
            self.clone(Format.QCOW2)
        self.assertIsNone(self.backend.find('copy'))
        self.assertEqual([], list(self.backend.sweep(tuple)))
