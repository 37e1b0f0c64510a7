"""Taking space for a file before it is needed: reserved, or written."""

from __future__ import annotations

import ctypes
import errno
import os

from virtdc_agent import interfaces

RESERVE_STEP_BYTES = 1024**3
WRITE_STEP_BYTES = 8 * 1024**2
SYNC_STEP_BYTES = 64 * 1024**2
"""How much may be unwritten: bounds what the last fsync has to wait for."""

_KEEP_SIZE = 1


def reserve(
    descriptor: int,
    start: int,
    end: int,
    context: interfaces.OperationContext,
) -> None:
    """Have the file system set space aside, also beyond the file's end.

    The file's size and content stay as they are; what is reserved reads as
    zeros once the size reaches it. Idempotent.

    :raises OperationCancelled: some may be reserved; ``release`` it.
    :raises OSError: ENOSPC if there is no room, EOPNOTSUPP if the file
        system cannot do this; some may be reserved.
    """
    for position in range(start, end, RESERVE_STEP_BYTES):
        context.check()
        _fallocate(
            descriptor, position, min(RESERVE_STEP_BYTES, end - position)
        )


def release(descriptor: int) -> None:
    """Give back what is reserved beyond the file's end."""
    os.ftruncate(descriptor, os.fstat(descriptor).st_size)


def can_reserve(descriptor: int) -> bool:
    """Say whether the file system of a scratch file can reserve space.

    :raises OSError: it cannot say.
    """
    try:
        _fallocate(descriptor, 0, 4096)
    except OSError as exc:
        if exc.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        raise
    return True


def write_zeros(
    descriptor: int, size_bytes: int, context: interfaces.OperationContext
) -> None:
    """Fill a file with zeros from its beginning; report how far it is.

    Written, not only reserved: storage behind the file system that
    allocates on the first write has then allocated, and the first use of the
    volume is as fast as the second. The last part is not yet synced.

    :raises OperationCancelled: between two steps.
    """
    zeros = memoryview(bytes(min(WRITE_STEP_BYTES, size_bytes)))
    position = unsynced = 0
    while position < size_bytes:
        context.check()
        written = os.pwrite(
            descriptor, zeros[: size_bytes - position], position
        )
        position += written
        unsynced += written
        if unsynced >= SYNC_STEP_BYTES:
            os.fdatasync(descriptor)
            unsynced = 0
        context.report(position, size_bytes, 'zeroing')


def _fallocate(descriptor: int, start: int, length: int) -> None:
    # os.posix_fallocate cannot keep the size, and where the file system
    # cannot reserve, the C library writes instead.
    library = ctypes.CDLL(None, use_errno=True)
    fallocate = library.fallocate64
    fallocate.argtypes = [
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int64,
        ctypes.c_int64,
    ]
    while fallocate(descriptor, _KEEP_SIZE, start, length) != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
