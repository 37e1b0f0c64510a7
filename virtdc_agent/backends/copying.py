"""Copying the bytes of a file, in one of three ways.

Where the file system can, the copy shares the blocks of its original until
one of them is written to: all at one instant, and at no cost. Otherwise bytes
are copied, by the file system if it can, and holes stay holes.

What is thick has blocks of its own, so that a write never needs new space.
Neither is it made to share blocks, nor is its original: the original would
need new space for its next write too.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import errno
import fcntl
import os

from virtdc_agent.backends import space
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import interfaces

COPY_STEP_BYTES = 8 * 1024**2
ZEROS_STEP_BYTES = 64 * 1024
"""So many zeros at least are left out where the copy need not have them."""

_FICLONE = 0x40049409
_CANNOT = frozenset(
    {
        *(errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS),
        *(errno.EINVAL, errno.EXDEV),
    }
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """What is to be copied.

    :param descriptor: of its file, open for reading. Nobody writes to it
        while its bytes are copied.
    :param provisioning: of the volume that it is, or was taken of.
    :param keeps_blocks: whether its blocks must stay its own.
    :param can_share: whether its file system has ``share``.
    :param has_zeros: whether zeros may well be written in it where a hole
        would do, as in images that were uploaded; they are then left out.
    """

    descriptor: int
    provisioning: Provisioning
    keeps_blocks: bool
    can_share: bool
    has_zeros: bool = False

    def must_move(self, provisioning: Provisioning) -> bool:
        """Say whether a copy must have other blocks from the beginning."""
        return self.keeps_blocks or provisioning is Provisioning.THICK


def can_share(descriptor: int, scratch: int) -> bool:
    """Say whether files of this file system can share blocks.

    :param descriptor: of a file to which may be written.
    :param scratch: of another, empty one.
    :raises OSError: it cannot say.
    """
    os.pwrite(descriptor, b'to be shared', 0)
    try:
        share(descriptor, scratch)
    except OSError as exc:
        if exc.errno in _CANNOT:
            return False
        raise
    return True


def share(original: int, descriptor: int) -> None:
    """Make an empty file a copy that shares its original's blocks.

    At one instant, whoever writes to the original meanwhile.

    :raises OSError: the file system cannot, or has no room.
    """
    fcntl.ioctl(descriptor, _FICLONE, original)


def copy(
    original: Original,
    descriptor: int,
    provisioning: Provisioning,
    context: interfaces.OperationContext,
) -> None:
    """Make an empty file a copy; report how far it is. Not synced at its end.

    :param provisioning: of what the copy is to be. If it is thick, space has
        been reserved, and what is not written reads as zeros.
    :raises OperationCancelled: between two steps.
    :raises OSError: as the file system says; the copy is to be thrown away.
    """
    size_bytes = os.fstat(original.descriptor).st_size
    context.check()
    must_move = original.must_move(provisioning)
    if original.can_share and not must_move:
        share(original.descriptor, descriptor)
        context.report(size_bytes, size_bytes, 'copying')
        return
    os.ftruncate(descriptor, size_bytes)
    mover = _Mover(
        original.descriptor,
        descriptor,
        may_share=not must_move
        and not original.has_zeros
        and _tells_holes(original.descriptor),
        keeps_zeros=provisioning is Provisioning.THICK,
    )
    unsynced = 0
    for start, end in _data(original.descriptor, size_bytes):
        position = start
        while position < end:
            context.check()
            moved = mover.move(position, min(COPY_STEP_BYTES, end - position))
            if moved == 0:
                raise OSError(errno.EIO, 'the original has become shorter')
            position += moved
            unsynced += moved
            if unsynced >= space.SYNC_STEP_BYTES:
                os.fdatasync(descriptor)
                unsynced = 0
            context.report(position, size_bytes, 'copying')


class _Mover:
    """Moves bytes from one open file to the same place in another."""

    def __init__(
        self,
        source: int,
        target: int,
        *,
        may_share: bool,
        keeps_zeros: bool,
    ) -> None:
        self._source = source
        self._target = target
        # The file system may well share blocks when it is let to copy.
        self._by_file_system = may_share
        self._keeps_zeros = keeps_zeros

    def move(self, position: int, length: int) -> int:
        """Move up to so many bytes; return how many; 0 at the end."""
        if self._by_file_system:
            try:
                return os.copy_file_range(
                    self._source, self._target, length, position, position
                )
            except OSError as exc:
                if exc.errno not in _CANNOT:
                    raise
                self._by_file_system = False
        content = os.pread(self._source, length, position)
        for start, end in self._worth_writing(content):
            view = memoryview(content)[start:end]
            while view:
                written = os.pwrite(self._target, view, position + start)
                start += written
                view = view[written:]
        return len(content)

    def _worth_writing(self, content: bytes) -> Iterator[tuple[int, int]]:
        """Yield what is not zeros anyway, in pieces as long as possible."""
        if self._keeps_zeros:
            yield 0, len(content)
            return
        begun: int | None = None
        for start in range(0, len(content), ZEROS_STEP_BYTES):
            piece = content[start : start + ZEROS_STEP_BYTES]
            if piece != bytes(len(piece)):
                begun = start if begun is None else begun
            elif begun is not None:
                yield begun, start
                begun = None
        if begun is not None:
            yield begun, len(content)


def _data(descriptor: int, size_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has bytes, and leave out its holes."""
    position = 0
    while position < size_bytes:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:
                return
            raise
        position = min(os.lseek(descriptor, start, os.SEEK_HOLE), size_bytes)
        yield start, position


def _tells_holes(descriptor: int) -> bool:
    """Say whether a file has no holes, or they can be asked for.

    NFS before 4.2 takes all for data. Zeros have then to be looked for.
    """
    status = os.fstat(descriptor)
    return (
        status.st_blocks * 512 >= status.st_size
        or os.lseek(descriptor, 0, os.SEEK_HOLE) < status.st_size
    )
