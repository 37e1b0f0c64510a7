"""Making a volume's file of an image, whatever the formats of both.

The image is open, and was found safe: it refers to no other file. It is read
as the format that it was recognised as, never as one that is guessed anew.
"""

from __future__ import annotations

import os

from virtdc_agent.backends.copying import Original
from virtdc_agent.backends.qcow2 import Qcow2Image
from virtdc_agent.backends.qemu_img import QemuImg
from virtdc_agent.backends.raw import RawImage
from virtdc_agent.backends import space
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import interfaces
from virtdc_agent import model


class Importer:
    """Fills files from images. Stateless, safe from any thread."""

    def __init__(self, qemu_img: QemuImg) -> None:
        self._qemu_img = qemu_img
        self._qcow2 = Qcow2Image(qemu_img)

    def fill(
        self,
        image: model.OpenImage,
        descriptor: int,
        size_bytes: int,
        format_: Format,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Make an empty file a volume that begins as an image.

        Not synced. When it raises, the file is to be thrown away.

        :param size_bytes: at least the image's; what is more reads as zeros.
        :raises OperationCancelled: in the middle.
        :raises OSError: as the file system or qemu-img says.
        """
        is_thick = provisioning is Provisioning.THICK
        if image.format is Format.RAW and format_ is Format.RAW:
            RawImage().fill_from(
                Original(
                    descriptor=image.descriptor,
                    provisioning=Provisioning.THIN,
                    keeps_blocks=False,
                    # It is on another file system, as a rule.
                    can_share=False,
                    has_zeros=True,
                ),
                *(descriptor, size_bytes, provisioning, context),
            )
        elif format_ is Format.RAW:
            if is_thick:
                space.reserve(descriptor, 0, size_bytes, context)
            os.ftruncate(descriptor, size_bytes)
            self._convert(
                image,
                descriptor,
                ('-O', 'raw', '-n', '--target-is-zero')
                if not is_thick
                else ('-O', 'raw', '-n', '-S', '0'),
                context,
            )
        else:
            preallocation = 'falloc' if is_thick else 'off'
            self._convert(
                image,
                descriptor,
                ('-O', 'qcow2', '-o', f'preallocation={preallocation}'),
                context,
            )
            if image.size_bytes < size_bytes:
                self._qcow2.grow_new(
                    descriptor, size_bytes, provisioning, context
                )

    def _convert(
        self,
        image: model.OpenImage,
        descriptor: int,
        options: tuple[str, ...],
        context: interfaces.OperationContext,
    ) -> None:
        def told(share: float) -> None:
            context.report(
                int(image.size_bytes * share), image.size_bytes, 'copying'
            )

        self._qemu_img.run(
            (
                *('convert', '-p', '-W', '-m', '8'),
                *('-f', image.format.value, *options),
            ),
            image.descriptor,
            f'/proc/self/fd/{descriptor}',
            context=context,
            guard=descriptor,
            told=told,
        )
