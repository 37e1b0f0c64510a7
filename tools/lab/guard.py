"""Cleans up after a lab whose own process is gone.

A lab starts this program and keeps a pipe to it. Told ``release`` it ends:
the lab stopped itself, or is meant to stay. If the pipe closes without that,
the lab was killed, and everything that it started is stopped from here.
"""

from __future__ import annotations

from pathlib import Path
import signal
import subprocess
import sys

from tools.lab import runfolder

_RELEASE = b'release\n'
_ROOT = Path(__file__).resolve().parents[2]


class Guard:
    """The lab's end of the pipe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start guarding the lab of a folder."""
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'tools.lab.guard', str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=_ROOT,
            start_new_session=True,
        )

    def release(self) -> None:
        """Let the guard end without doing anything. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate(_RELEASE)


def main() -> None:
    """Wait for the end of the lab; see above."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if _RELEASE not in sys.stdin.buffer.read():
        runfolder.take_down(Path(sys.argv[1]))


if __name__ == '__main__':
    main()
