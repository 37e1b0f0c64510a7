"""What the operating system's errors mean to whose event they end."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import errno
import os

from virtdc_agent import exceptions

_Meaning = tuple[type[exceptions.AgentError], str]

_FULL: _Meaning = (
    exceptions.BackendUnavailable,
    'the storage is full; delete volumes or have the operator add space',
)
_READ_ONLY: _Meaning = (
    exceptions.BackendUnavailable,
    'the storage can only be read; its operator has to look at it',
)
_GONE: _Meaning = (
    exceptions.BackendUnavailable,
    'the storage cannot be reached; try again once its operator has '
    'looked at it',
)
_BROKEN: _Meaning = (
    exceptions.BackendUnavailable,
    'the storage failed to read or write; its operator has to look at it',
)
_BUSY: _Meaning = (
    exceptions.BackendBusy,
    'the storage has too much to do; try again later',
)
_TOO_LARGE: _Meaning = (
    exceptions.EventRejected,
    'this is larger than a file can be in this storage; ask for less',
)

_MEANINGS: Mapping[int, _Meaning] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), _READ_ONLY),
    **dict.fromkeys(
        (
            *(errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV),
            *(errno.ENXIO, errno.ENOTCONN, errno.EHOSTDOWN),
            *(errno.EHOSTUNREACH, errno.ESHUTDOWN),
        ),
        _GONE,
    ),
    errno.EIO: _BROKEN,
    **dict.fromkeys(
        (
            *(errno.EBUSY, errno.ETIMEDOUT, errno.ENOLCK, errno.EAGAIN),
            *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        ),
        _BUSY,
    ),
    errno.EFBIG: _TOO_LARGE,
}

# Mode, mount and path stay as they are until a person changes them.
_LASTING = frozenset(
    {
        *(errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.ENOENT, errno.ENOTDIR),
    }
)


def may_pass(number: int | None) -> bool:
    """Say whether an error may go away without a change of configuration."""
    return number in _MEANINGS.keys() - _LASTING


@contextlib.contextmanager
def translated(subject: str) -> Iterator[None]:
    """Raise the agent's errors for the operating system's.

    The sentence names ``subject`` but no path: it is shown to users. The
    path is in the cause, for the log.

    :raises AgentError: as the error means.
    """
    try:
        yield
    except OSError as exc:
        raise translate(subject, exc.errno) from exc


def translate(subject: str, number: int | None) -> exceptions.AgentError:
    """Return the agent's error for one of the operating system's."""
    if number is not None and number in _MEANINGS:
        kind, meaning = _MEANINGS[number]
        return kind(f'{subject}: {meaning}.')
    reason = 'unknown error' if number is None else os.strerror(number)
    return exceptions.BackendError(
        f'{subject}: the storage failed ({reason}); its operator has to look '
        'at it.'
    )
