"""Small private files that are on disk as a whole, or not there."""

from __future__ import annotations

import contextlib
import os
import tempfile

_TEMPORARY = '.tmp-'


def prepare(folder: str) -> None:
    """Make a folder that only its owner may enter, and clear it of leftovers.

    :raises OSError: it cannot be made or read.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
        _sync(os.path.dirname(folder))
    for name in os.listdir(folder):
        if name.startswith(_TEMPORARY):
            os.unlink(os.path.join(folder, name))


def write(path: str, content: bytes) -> None:
    """Give a file this content; a crash leaves the old one or this.

    :raises OSError: it may have either.
    """
    temporary = _temporary(path, content)
    try:
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    _sync(os.path.dirname(path))


def make(path: str, content: bytes) -> None:
    """Make a file, unless there is one; never one with other content.

    :raises OSError: it may be there or not.
    """
    temporary = _temporary(path, content)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)
    _sync(os.path.dirname(path))


def remove(path: str) -> None:
    """Remove a file; one that is not there is fine.

    :raises OSError: it may be there or not.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    _sync(os.path.dirname(path))


def _temporary(path: str, content: bytes) -> str:
    """Write content to a new file beside ``path``, for its owner only."""
    descriptor, temporary = tempfile.mkstemp(
        dir=os.path.dirname(path), prefix=_TEMPORARY
    )
    try:
        with os.fdopen(descriptor, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        os.unlink(temporary)
        raise
    return temporary


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
