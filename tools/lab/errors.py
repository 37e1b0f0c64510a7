"""What can go wrong in a lab."""

from __future__ import annotations

from pathlib import Path

TAIL_LINES = 25


class LabError(Exception):
    """The lab cannot do what was asked; the message says why."""


class LabClosed(LabError):
    """The lab is being stopped: nothing new is started any more."""


class ProgramError(LabError):
    """A program failed. The message ends with the last lines of its log."""

    def __init__(self, what: str, log: Path, *, offset: int = 0) -> None:
        tail = log_tail(log, offset=offset)
        quoted = '\n'.join(f'  | {line}' for line in tail)
        if not tail:
            quoted = '  | (empty)'
        super().__init__(f'{what}\nThe end of {log}:\n{quoted}')
        self.log = log


def log_tail(
    log: Path, *, offset: int = 0, lines: int = TAIL_LINES
) -> list[str]:
    """Return the last lines of a log, of what was written after ``offset``.

    A missing log has no lines; bytes that are not UTF-8 are replaced.
    """
    try:
        with log.open('rb') as file:
            file.seek(0, 2)
            size = file.tell()
            file.seek(max(offset, size - 64 * 1024))
            text = file.read().decode('utf-8', 'replace')
    except OSError:
        return []
    return text.splitlines()[-lines:]
