"""Strikes a process at its n-th system call, so that a test can walk all.

Calls of ``os`` that a file system sees are counted. Before the n-th the
process is ended as by ``kill -9``, without a handler or ``finally``; or that
call fails with an error of the operating system's.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import ctypes
import fcntl
import os
import sys
import traceback
from typing import Any

CALLS = (
    *('fchmod', 'fdatasync', 'fstat', 'fstatvfs', 'fsync', 'ftruncate'),
    *('link', 'listdir', 'lseek', 'lstat', 'mkdir', 'open', 'pread'),
    *('pwrite', 'read', 'rename', 'unlink', 'write', 'copy_file_range'),
)
LIBRARY_CALL = 'fallocate64'
KILLED, ENDED, FAILED = 9, 0, 1


def ends_before_call(operation: Callable[[], object], number: int) -> bool:
    """Run an operation in a child that is killed at its n-th call.

    :returns: whether it ended before it came to that call.
    """
    child = os.fork()
    if child == 0:
        status = FAILED
        try:
            with struck(number, lambda: os._exit(KILLED)):
                operation()
            status = ENDED
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)
    _, wait_status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(wait_status)
    if code not in (KILLED, ENDED):
        raise AssertionError(f'the operation failed in its child: {code}')
    return code == ENDED


@contextlib.contextmanager
def failing(number: int, error: int) -> Iterator[Callable[[], bool]]:
    """Have the n-th call raise an ``OSError``, once.

    :returns: says whether it came to that call.
    """

    def fail() -> None:
        raise OSError(error, os.strerror(error), '/secret/path')

    with struck(number, fail) as was_struck:
        yield was_struck


@contextlib.contextmanager
def struck(
    number: int, action: Callable[[], None]
) -> Iterator[Callable[[], bool]]:
    """Do ``action`` before the n-th call."""
    count = 0

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                action()
            return call(*args, **kwargs)

        return wrapper

    real_library = ctypes.CDLL

    class Library:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._real = real_library(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            function = getattr(self._real, name)
            if name != LIBRARY_CALL:
                return function

            class Counted:
                argtypes: list[Any] = []
                __call__ = staticmethod(counted(function))

            return Counted()

    originals = [(os, name, getattr(os, name)) for name in CALLS]
    # By this two files come to share blocks.
    originals.append((fcntl, 'ioctl', fcntl.ioctl))
    try:
        for module, name, call in originals:
            setattr(module, name, counted(call))
        ctypes.CDLL = Library
        yield lambda: count >= number
    finally:
        ctypes.CDLL = real_library
        for module, name, call in originals:
            setattr(module, name, call)
