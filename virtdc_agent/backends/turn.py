"""Whose turn it is with a volume: fencing in the storage itself.

An agent that was stopped and goes on may hold an operation that others have
taken over and finished meanwhile; in the storage nothing keeps it from
committing. So every commit is a compare-and-set: each volume has a small file
with the highest fence that was seen on it, and who commits holds the lock of
that file, finds no higher fence, and notes its own. The file outlives its
volume for a day, so that a late creation does not bring it back. The idea is
that of the fencing token (Kleppmann, "How to do distributed locking", 2016).

The lock is ``flock``, which NFS carries over to the server, where it ends
with the client. A process that is stopped while it holds the lock makes
others wait until their time is up; nothing is harmed by that.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import fcntl
import os
import threading

from virtdc_agent import exceptions
from virtdc_agent import interfaces

_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o600
_DIGITS = 20
_PAUSE_S = 0.02


class Turn:
    """One operation's standing on one volume. For one thread.

    :param folder: descriptor of the folder of the fences.
    :param also: more names, held with the volume's: a snapshot's, or that
        of a file that is to become a volume. The volume's turn alone does
        not keep apart the snapshots of two volumes that were given one id.
        Fences are not compared there: the operations of two volumes have no
        order.
    """

    def __init__(
        self,
        folder: int,
        volume_id: str,
        context: interfaces.OperationContext,
        *,
        also: tuple[str, ...] = (),
    ) -> None:
        self._also = also
        self._folder = folder
        self._volume_id = volume_id
        self._context = context

    def begin(self) -> None:
        """Note that this operation has begun: no earlier one may commit.

        :raises OperationCancelled: a later one has begun already.
        :raises OSError: the storage fails.
        """
        with self.held():
            pass

    @contextlib.contextmanager
    def held(self) -> Iterator[int]:
        """Hold the volume's lock while the body runs; yield its descriptor.

        Who inherits the descriptor holds it on.

        :raises OperationCancelled: a later operation has begun, or this one
            is withdrawn while it waits.
        :raises OSError: the storage fails.
        """
        with contextlib.ExitStack() as stack:
            descriptor = self._lock(self._volume_id)
            stack.callback(os.close, descriptor)
            self._compare_and_set(descriptor)
            for also in self._also:
                # Always after it, and in this order: nobody holds one who
                # waits for a volume.
                name = self._lock(also)
                stack.callback(os.close, name)
                self._note(name)
            yield descriptor

    def _lock(self, name: str) -> int:
        """Return the file of a fence, open and locked."""
        pause = threading.Event()
        while True:
            descriptor = os.open(name, _FILE, _MODE, dir_fd=self._folder)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A sweep may have removed it before it was locked.
                if _is_at(descriptor, name, self._folder):
                    return descriptor
            except BlockingIOError:
                self._context.check()
                pause.wait(_PAUSE_S)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _compare_and_set(self, descriptor: int) -> None:
        highest = _read(descriptor)
        if highest > self._context.fence:
            raise exceptions.OperationCancelled(
                'a later operation has begun on this volume'
            )
        if highest < self._context.fence:
            self._note(descriptor)

    def _note(self, descriptor: int) -> None:
        text = str(self._context.fence).zfill(_DIGITS)
        os.pwrite(descriptor, text.encode(), 0)


def remove_ended(folder: int, name: str, older_than: float) -> bool:
    """Remove the fence of a volume that is gone, if it is old and unused.

    :param older_than: seconds since 1970.
    :returns: whether it was removed.
    """
    try:
        descriptor = os.open(name, _FILE & ~os.O_CREAT, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_mtime >= older_than:
            return False
        os.unlink(name, dir_fd=folder)
        return True
    except (BlockingIOError, FileNotFoundError):
        return False
    finally:
        os.close(descriptor)


def highest_fence(folder: int, name: str) -> int:
    """Return the highest fence seen on a volume; 0 if there was none."""
    try:
        descriptor = os.open(
            name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder
        )
    except FileNotFoundError:
        return 0
    try:
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> int:
    text = os.pread(descriptor, _DIGITS, 0)
    return int(text) if text.isdigit() else 0


def _is_at(descriptor: int, name: str, folder: int) -> bool:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), found)
