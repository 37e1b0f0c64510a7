"""The backend "directories" holds the rules of backends."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import shutil
import sys
import tempfile
from typing import Any

from oslo_config import cfg

from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance import backend as rules
from virtdc_agent import interfaces
from virtdc_agent import plugins


class TestDirectories(rules.BackendRules):
    def make_backend(self) -> interfaces.Backend:
        self.path = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.path)
        return self.reopen(None)

    def reopen(self, backend: interfaces.Backend | None) -> Any:
        kind = plugins.load(plugins.BACKENDS, 'directories', 'backend')
        file = self.path / 'agent.conf'
        file.write_text(f'[backend_directories]\npath = {self.path}\n')
        conf = cfg.ConfigOpts()
        conf(['--config-file', str(file)])
        return kind.from_config(conf, clock=FakeClock())

    # The hooks: what a storage's operators and users do to it.

    def place_stranger(
        self, backend: interfaces.Backend, volume_id: str
    ) -> None:
        (self.path / 'volumes' / volume_id).write_bytes(b"another's")

    def is_stranger_there(
        self, backend: interfaces.Backend, volume_id: str
    ) -> bool:
        found = (self.path / 'volumes' / volume_id).read_bytes()
        return found == b"another's"

    def read(
        self,
        backend: interfaces.Backend,
        volume_id: str,
        offset: int,
        length: int,
    ) -> bytes:
        with self.data(volume_id).open('rb') as file:
            return os.pread(file.fileno(), length, offset)

    def write(
        self,
        backend: interfaces.Backend,
        volume_id: str,
        offset: int,
        content: bytes,
    ) -> None:
        with self.data(volume_id).open('r+b') as file:
            os.pwrite(file.fileno(), content, offset)

    def crash(
        self,
        backend: interfaces.Backend,
        operation: Callable[[interfaces.Backend], object],
        step: int,
    ) -> bool:
        """Run it in a child that ends before its n-th call of the system."""
        child = os.fork()
        if child == 0:
            _end_before(step)
            operation(backend)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status) == 9

    def data(self, volume_id: str) -> Path:
        return self.path / 'volumes' / volume_id / 'data'


def _end_before(step: int) -> None:
    """End this process, as ``kill -9`` does, before its n-th such call."""
    left = step

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event == 'open' or event.startswith(('os.', 'fcntl.')):
            left -= 1
            if left == 0:
                os._exit(9)

    sys.addaudithook(hook)
