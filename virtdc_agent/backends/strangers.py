"""Files in the folder that are no volumes, and whether they may become ones.

A stranger may be a trap: a link to a file outside, one of several names of a
file that somebody goes on writing to, an image that names other files. So it
is opened once, without following links, and looked at through that. What it
is, its content says, as for images; unless it was a volume that was given up:
then a memory of its label says it, as a guest may have written anything.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import stat
import struct

from virtdc_agent.backends import finding
from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.contract.events import Format
from virtdc_agent import recognition

# QEMU's locks on a file that a guest uses: one byte for each permission from
# 100 on, and from 200 on for what must not be shared (block/file-posix.c).
_FIRST_LOCK, _LOCKS = 100, 200
# struct flock: type, whence, start, length, process id.
_FLOCK = struct.Struct('hhqqi4x')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A file without a label.

    :param format: ``None`` if it is none that a volume can be in.
    :param size_bytes: as its user would see it; 0 if that is not known.
    :param was: what it was before it was given up, if it was ours.
    :param reason: why it cannot become a volume, as a sentence; empty: it
        can.
    """

    status: os.stat_result
    format: Format | None = None
    size_bytes: int = 0
    was: Label | None = None
    reason: str = ''


def look(
    folder: OpenFolder, name: str, images: finding.Images
) -> Stranger | None:
    """Look at a file, which is not changed; ``None``: there is none.

    :param images: the formats that there are here.
    :raises OSError: the storage fails.
    """
    status = folder.find(name)
    if status is None:
        return None
    reason = _reason_of(status)
    if reason:
        return Stranger(status=status, reason=reason)
    try:
        with folder.opened(name, os.O_RDWR) as descriptor:
            if not os.path.samestat(status, os.fstat(descriptor)):
                return None
            return _look_inside(folder, name, descriptor, status, images)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno not in (errno.EACCES, errno.EPERM, errno.ELOOP):
            raise
        return Stranger(
            status=status, reason='The agent may not read and write it.'
        )


def _reason_of(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return 'It is a symbolic link.'
    if not stat.S_ISREG(status.st_mode):
        return 'It is no regular file.'
    if status.st_nlink != 1:
        return 'The file has other names (hard links) as well.'
    if os.geteuid() not in (0, status.st_uid):
        return "The file belongs to another user than the agent's."
    if status.st_size == 0:
        return 'The file is empty.'
    return ''


def _look_inside(
    folder: OpenFolder,
    name: str,
    descriptor: int,
    status: os.stat_result,
    images: finding.Images,
) -> Stranger:
    if _is_in_use(descriptor):
        return Stranger(
            status=status, reason='The file is in use, as by a guest.'
        )
    was = _memory_of(folder, name, status)
    if was is not None and was.format is Format.RAW:
        return Stranger(
            status=status,
            format=Format.RAW,
            size_bytes=status.st_size,
            was=was,
        )
    try:
        found = recognition.recognise(descriptor)
    except recognition.Unsafe as exc:
        return Stranger(
            status=status,
            reason=f'Its image is not safe ({exc}): it may refer to other '
            'files.',
        )
    except recognition.Unrecognised as exc:
        return Stranger(
            status=status, reason=f'It cannot be recognised ({exc}).'
        )
    reason = ''
    if found.format not in images:
        reason = f'Volumes cannot be in its format, {found.name}.'
    elif was is not None and was.format is not found.format:
        reason = f'It was {was.format}, and begins as {found.name}.'
    elif found.size_bytes == 0:
        reason = 'Its disk is empty.'
    return Stranger(
        status=status,
        format=found.format,
        size_bytes=found.size_bytes,
        was=was,
        reason=reason,
    )


def _memory_of(
    folder: OpenFolder, name: str, status: os.stat_result
) -> Label | None:
    """Return what a file was, unless another one has its name since."""
    try:
        was = folder.read_label(layout.memory_of(name))
    except ValueError:
        # A damaged one says nothing.
        return None
    except OSError as exc:
        # No other error may pass for its absence: a raw volume could then
        # be taken for the image that its guest has written into it.
        if exc.errno != errno.ENAMETOOLONG:
            raise
        return None
    return was if was is not None and was.inode == status.st_ino else None


def _is_in_use(descriptor: int) -> bool:
    """Say whether a program has the file locked, as QEMU has its images."""
    wanted = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FIRST_LOCK, _LOCKS, 0)
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, wanted)
    except OSError:
        # The file system knows no locks.
        return False
    return bool(_FLOCK.unpack(found)[0] != fcntl.F_UNLCK)
