"""Volumes of images, whatever the formats of both; real qemu-img."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
import subprocess

from tests.unit.agent.backends import needs
from tests.unit.agent.backends import test_file
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ImportParameters
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import model

MIB = 1024**2
SIZE = 8 * MIB
CONTENT = b'boot'.ljust(MIB, b'\1') + bytes(5 * MIB) + b'end'.ljust(MIB, b'\2')
"""7 MiB with a hole in the middle."""


@needs.QEMU
class TestImport(test_file.FileCase):
    def setUp(self) -> None:
        super().setUp()
        self.backend = self.start()
        self.raw = self.folder / 'image.raw'
        self.raw.write_bytes(CONTENT)
        self.qcow2 = self.folder / 'image.qcow2'
        self.convert('raw', self.raw, 'qcow2', self.qcow2)

    @staticmethod
    def convert(
        source: str, source_path: Path, target: str, target_path: Path
    ) -> None:
        subprocess.run(
            [
                *('qemu-img', 'convert', '-f', source, '-O', target),
                *(str(source_path), str(target_path)),
            ],
            check=True,
        )

    def open(self, format_: Format) -> model.OpenImage:
        path = self.raw if format_ is Format.RAW else self.qcow2
        descriptor = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        return model.OpenImage(
            descriptor=descriptor, format=format_, size_bytes=len(CONTENT)
        )

    def run_import(
        self,
        image_format: Format = Format.QCOW2,
        *,
        volume_id: str = 'v',
        context: FakeContext | None = None,
        image: model.OpenImage | None = None,
        **parameters: object,
    ) -> model.VolumeFacts:
        return self.backend.import_image(
            volume_id,
            ImportParameters(
                **{
                    'url': '',
                    'image_format': image_format.value,
                    'size_bytes': SIZE,
                    **parameters,
                }
            ),
            image or self.open(image_format),
            context or FakeContext(),
        )

    def content(self, volume_id: str, format_: Format) -> bytes:
        path = self.path / f'volume-{volume_id}'
        if format_ is Format.RAW:
            return path.read_bytes()
        flat = self.folder / f'flat-{volume_id}'
        self.convert('qcow2', path, 'raw', flat)
        return flat.read_bytes()

    def test_every_format_into_every_other(self) -> None:
        expected = CONTENT.ljust(SIZE, b'\0')
        for number, (source, target, provisioning) in enumerate(
            itertools.product(Format, Format, Provisioning)
        ):
            with self.subTest(
                source=source, target=target, provisioning=provisioning
            ):
                context = FakeContext()
                facts = self.run_import(
                    source,
                    volume_id=f'v{number}',
                    context=context,
                    format=target,
                    provisioning=provisioning,
                )
                self.assertEqual(
                    (SIZE, target, provisioning),
                    (facts.size_bytes, facts.format, facts.provisioning),
                )
                self.assertEqual(facts, self.backend.find(f'v{number}'))
                self.assertTrue(
                    expected == self.content(f'v{number}', target),
                    'the content is another one',
                )
                taken = os.stat(self.path / f'volume-v{number}').st_blocks
                if provisioning is Provisioning.THICK:
                    self.assertGreaterEqual(taken * 512, SIZE)
                else:
                    self.assertLess(taken * 512, 4 * MIB)
                self.assertTrue(context.reports, 'it told no progress')
        self.assertEqual([], self.entries()['.temporary'])

    def test_again_is_the_same(self) -> None:
        context = FakeContext(event_id='e')
        facts = self.run_import(context=context)
        again = FakeContext(event_id='e', attempt=2)
        self.assertEqual(facts, self.run_import(context=again))
        with self.assertRaisesRegex(exceptions.EventRejected, 'already'):
            self.run_import(context=FakeContext(event_id='other'))

    def test_cancelled_it_leaves_nothing(self) -> None:
        for format_ in Format:
            context = FakeContext()
            context.cancel()
            with self.assertRaises(exceptions.OperationCancelled):
                self.run_import(format_, context=context)
        self.assertIsNone(self.backend.find('v'))
        self.assertEqual([], self.entries()['.temporary'])

    def test_an_image_that_is_damaged_inside(self) -> None:
        """Its header is fine; qemu-img finds that its tables are not."""
        damaged = bytearray(self.qcow2.read_bytes())
        damaged[0x30000:] = b'\xff' * (len(damaged) - 0x30000)
        self.qcow2.write_bytes(damaged)
        with self.assertRaises(exceptions.AgentError):
            self.run_import()
        self.assertIsNone(self.backend.find('v'))
        self.assertEqual([], self.entries()['.temporary'])

    def test_it_is_read_as_what_it_was_recognised_as(self) -> None:
        """A raw image whose bytes are those of a qcow2 image stays raw."""
        image = model.OpenImage(
            descriptor=self.open(Format.QCOW2).descriptor,
            format=Format.RAW,
            size_bytes=self.qcow2.stat().st_size,
        )
        self.run_import(Format.RAW, image=image)
        self.assertTrue(
            self.content('v', Format.RAW).startswith(
                self.qcow2.read_bytes()[:512]
            )
        )

    def test_without_qemu_img_only_raw(self) -> None:
        self.backend.formats = frozenset({Format.RAW})
        with self.assertRaisesRegex(exceptions.EventRejected, 'no format'):
            self.run_import(Format.QCOW2)
        self.run_import(Format.RAW)
