"""A compute host's process, from outside; see ``nova_host``."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
from pathlib import Path
import subprocess
import threading
from typing import Any

_END_S = 5.0
_PROGRAM = Path(__file__).with_name('nova_host.py')


class ComputeError(Exception):
    """Nova has failed; the message is what it raised."""


class Compute:
    """Asks a compute host, one thing after the other, from any thread.

    :param beside: what a command begins with that is to run on that host.
    :param programs: a folder with what stands for programs of the host.
    """

    def __init__(
        self,
        python: str,
        conf: Path,
        log: Path,
        *,
        initiator: str,
        beside: Sequence[str],
        programs: Path,
    ) -> None:
        self._log = log
        with log.open('ab') as output:
            self._process = subprocess.Popen(
                [
                    # It would outlive one that is killed.
                    *('setpriv', '--pdeathsig', 'KILL'),
                    *beside,
                    *(python, str(_PROGRAM), str(conf), initiator),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={
                    **os.environ,
                    'PATH': f'{programs}:{os.environ["PATH"]}',
                },
            )
        self._lock = threading.Lock()

    def ask(self, call: str, **arguments: Any) -> Any:
        """Ask and return the answer.

        :raises ComputeError: it was refused, or the process is gone.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ComputeError('There is no pipe.')
        request = json.dumps({'call': call, 'arguments': arguments})
        with self._lock:
            try:
                self._process.stdin.write(request + '\n')
                self._process.stdin.flush()
                line = self._process.stdout.readline()
            except OSError as exc:
                raise ComputeError(f'Nova has ended: {exc}') from exc
        if not line:
            raise ComputeError(f'Nova has ended; see {self._log}.')
        answer: Mapping[str, Any] = json.loads(line)
        if 'error' in answer:
            raise ComputeError(str(answer['error']))
        return answer['result']

    def close(self) -> None:
        """End it. Idempotent."""
        # It ends when there is nothing more to be asked.
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
