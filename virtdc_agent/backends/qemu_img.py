"""Runs qemu-img on one open file."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import errno
import os
import re
import shutil
import subprocess  # nosec B404
from typing import IO

from virtdc_agent import interfaces

_MAX_MEMORY_BYTES = 2 * 1024**3
_MAX_CPU_S = 3600
_SHARE = re.compile(rb'\(([0-9.]+)/100%\)')
_MEANINGS = (
    ('No space left on device', errno.ENOSPC),
    ('Disk quota exceeded', errno.EDQUOT),
    ('File too large', errno.EFBIG),
    ('too large', errno.EFBIG),
    ('Read-only file system', errno.EROFS),
    ('Stale file handle', errno.ESTALE),
    ('Input/output error', errno.EIO),
    # Another process has the image open: a guest.
    ('lock', errno.EBUSY),
    ('Cannot allocate memory', errno.ENOMEM),
)


class QemuImg:
    """The program qemu-img, kept in bounds.

    It dies with this process, may take so much memory and processor time and
    no more, and is ended when its operation is cancelled. It is shown its
    file by number, never by name: no name can then be taken for an option, a
    protocol or another file.
    """

    def __init__(self, program: str = 'qemu-img') -> None:
        self._program = program

    def get_missing(self) -> Sequence[str]:
        """Return which of the programs needed are not installed."""
        return [
            program
            for program in (self._program, 'setpriv', 'prlimit')
            if shutil.which(program) is None
        ]

    def run(
        self,
        command: Sequence[str],
        descriptor: int,
        *arguments: str,
        context: interfaces.OperationContext,
        guard: int | None = None,
        told: Callable[[float], None] | None = None,
    ) -> None:
        """Run ``command`` on an open file, and wait for its end.

        :param arguments: what follows the file's name.
        :param guard: a descriptor that it keeps open while it runs.
        :param told: called with the share, 0 to 1, that is done, if the
            command tells it.
        :raises OperationCancelled: it was ended by a cancellation.
        :raises OSError: it failed; as far as it can be told, why.
        """
        # A list of arguments and an open file: no shell, no name.
        process = subprocess.Popen(  # nosec B603
            [
                *('setpriv', '--pdeathsig', 'KILL'),
                *('prlimit', f'--as={_MAX_MEMORY_BYTES}'),
                f'--cpu={_MAX_CPU_S}',
                *(self._program, *command),
                f'/proc/self/fd/{descriptor}',
                *arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if told is None else subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=((descriptor,) if guard is None else (descriptor, guard)),
            # Its own session: what is typed at our terminal is not for it.
            start_new_session=True,
            env={'PATH': os.environ.get('PATH', os.defpath), 'LC_ALL': 'C'},
        )
        with process:
            # Safe at any time: a process that was waited for is not killed.
            context.on_cancel(process.kill)
            if told is not None and process.stdout is not None:
                # What it says of errors is little, and fits into a pipe.
                _follow(process.stdout, told)
            _, said = process.communicate()
            context.on_cancel(_nothing)
        if process.returncode == 0:
            return
        if process.returncode < 0:
            context.check()
        text = said.decode('utf-8', 'replace').strip()
        raise OSError(
            _meaning_of(text),
            f'qemu-img ended with {process.returncode}: {text}',
        )


def _follow(output: IO[bytes], told: Callable[[float], None]) -> None:
    """Read ``(12.34/100%)`` again and again, until the output ends."""
    kept = b''
    while block := os.read(output.fileno(), 4096):
        *whole, kept = (kept + block).split(b'\r')
        for line in whole:
            found = _SHARE.search(line)
            if found:
                told(float(found[1]) / 100)


def _meaning_of(text: str) -> int:
    for words, number in _MEANINGS:
        if words in text:
            return number
    return errno.EIO


def _nothing() -> None:
    """Do nothing on cancellation any more."""
