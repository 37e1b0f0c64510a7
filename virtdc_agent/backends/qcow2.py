"""Volumes whose file is a qcow2 image."""

from __future__ import annotations

import os

from virtdc_agent.backends import copying
from virtdc_agent.backends.copying import Original
from virtdc_agent.backends.image import Lock
from virtdc_agent.backends.qemu_img import QemuImg
from virtdc_agent.backends import space
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces

_SECTOR_BYTES = 512
_MAX_BYTES = 2**51
"""What the tables of an image with clusters of 64 KiB can describe."""

# The file format's specification, docs/interop/qcow2.txt in QEMU's source.
_MAGIC = b'QFI\xfb'
_HEADER_BYTES = 32
_VERSION_FIELD = slice(4, 8)
_BACKING_FIELD = slice(8, 16)
_SIZE_FIELD = slice(24, 32)
_WITH_FEATURES = 3
_FEATURES_AT = 72
_FEATURES_BYTES = 8
# What a reader must understand: bit 0 says that it was not closed cleanly, 3
# how clusters are compressed. Bit 2 would have the data in another file.
_FEATURES_OF_OURS = 0b1001


class Qcow2Image:
    """The format ``qcow2``. See ``image.Image`` for the promises.

    Images have no backing file. One that is in use is locked by its user
    and cannot grow here.
    """

    def __init__(self, qemu_img: QemuImg) -> None:
        self._qemu_img = qemu_img

    def check_size(self, size_bytes: int) -> None:
        """Refuse what qemu-img would round, or could not describe."""
        if size_bytes % _SECTOR_BYTES:
            raise exceptions.EventRejected(
                f'A qcow2 volume cannot have {size_bytes} bytes: ask for a '
                f'multiple of {_SECTOR_BYTES}.'
            )
        if size_bytes > _MAX_BYTES:
            raise exceptions.EventRejected(
                f'A qcow2 volume cannot have {size_bytes} bytes: ask for at '
                f'most {_MAX_BYTES}.'
            )

    def fill(
        self,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Have qemu-img make an image. How far it is, it does not say."""
        thick = provisioning is Provisioning.THICK
        if thick:
            context.report(phase='zeroing')
        preallocation = 'full' if thick else 'off'
        self._qemu_img.run(
            (
                *('create', '-q', '-f', 'qcow2'),
                *('-o', f'preallocation={preallocation}'),
            ),
            descriptor,
            str(size_bytes),
            context=context,
        )

    def fill_from(
        self,
        original: Original,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Copy the image's file, and have qemu-img grow the copy.

        A thin image is no thick one by its bytes: where it has no clusters
        yet, qemu-img has to give it some.
        """
        present_bytes = self.measure(original.descriptor)
        check_stands_alone(original.descriptor)
        is_thick = provisioning is Provisioning.THICK
        if is_thick and original.provisioning is not Provisioning.THICK:
            self._convert(original, descriptor, context)
        else:
            if is_thick:
                file_bytes = os.fstat(original.descriptor).st_size
                space.reserve(descriptor, 0, file_bytes, context)
            copying.copy(original, descriptor, provisioning, context)
        if present_bytes < size_bytes:
            self._resize(descriptor, size_bytes, provisioning, context)

    def measure(self, descriptor: int) -> int:
        """Read the size in the header: a microsecond, against 5 ms."""
        return int.from_bytes(_read_header(descriptor)[_SIZE_FIELD], 'big')

    def grow(
        self,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
        lock: Lock,
    ) -> None:
        """Have qemu-img grow the image where it is.

        It writes the new size last: killed before, it leaves a valid image
        of the old size, with some clusters that nobody uses. What a thick
        volume gains is reserved and not written, so that this is short: it
        cannot be cancelled.
        """
        with lock() as guard:
            context.begin_commit()
            self._resize(descriptor, size_bytes, provisioning, context, guard)

    def grow_new(
        self,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Grow an image that is nobody's yet."""
        self._resize(descriptor, size_bytes, provisioning, context)

    def _resize(
        self,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
        guard: int | None = None,
    ) -> None:
        thick = provisioning is Provisioning.THICK
        self._qemu_img.run(
            (
                *('resize', '-q', '-f', 'qcow2'),
                f'--preallocation={"falloc" if thick else "off"}',
            ),
            descriptor,
            str(size_bytes),
            context=context,
            guard=guard,
        )

    def _convert(
        self,
        original: Original,
        descriptor: int,
        context: interfaces.OperationContext,
    ) -> None:
        """Have qemu-img copy into clusters that are all there."""
        context.report(phase='copying')
        self._qemu_img.run(
            (
                *('convert', '-q', '-f', 'qcow2', '-O', 'qcow2'),
                *('-o', 'preallocation=falloc'),
            ),
            original.descriptor,
            f'/proc/self/fd/{descriptor}',
            context=context,
            guard=descriptor,
        )


def _read_header(descriptor: int) -> bytes:
    header = os.pread(descriptor, _HEADER_BYTES, 0)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise ValueError('its file does not begin as a qcow2 image')
    return header


def check_stands_alone(descriptor: int) -> None:
    """Refuse an image that would have other files of the host copied.

    :raises ValueError: it names a backing file, or one that has its data;
        none of ours does.
    """
    header = _read_header(descriptor)
    if any(header[_BACKING_FIELD]):
        raise ValueError('its image names a backing file')
    if int.from_bytes(header[_VERSION_FIELD], 'big') < _WITH_FEATURES:
        return
    features = os.pread(descriptor, _FEATURES_BYTES, _FEATURES_AT)
    if int.from_bytes(features, 'big') & ~_FEATURES_OF_OURS:
        raise ValueError('its image is of a kind that is not made here')
