"""Our backends, as the suites want them."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import re
import shutil
import tempfile

from tests.conformance import qcow2_images
from tests.unit.agent.backends import mounts
from tests.unit.agent.backends import syscalls
from virtdc_agent.backends.faults import Crash
from virtdc_agent.backends.faults import Step
from virtdc_agent.backends.faults import Target
from virtdc_agent.backends.file import FileBackend
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.backends.memory_storage import MemoryStranger
from virtdc_agent.conformance import acts
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import interfaces


class MemoryHooks(acts.ActRules):
    """The backend "memory", which can be told to crash."""

    kind: type[MemoryBackend] = MemoryBackend

    def make_backend(self) -> MemoryBackend:
        return self.kind()

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        return self.kind(backend.storage)

    def place_stranger(self, backend: MemoryBackend, volume_id: str) -> None:
        backend.storage.strangers.add(volume_id)

    def is_stranger_there(
        self, backend: MemoryBackend, volume_id: str
    ) -> bool:
        return volume_id in backend.storage.strangers

    def place_strange_snapshot(
        self, backend: MemoryBackend, snapshot_id: str
    ) -> None:
        backend.storage.strange_snapshots.add(snapshot_id)

    def is_strange_snapshot_there(
        self, backend: MemoryBackend, snapshot_id: str
    ) -> bool:
        return snapshot_id in backend.storage.strange_snapshots

    def place_manageable(
        self, backend: MemoryBackend, reference: str, content: bytes
    ) -> None:
        backend.storage.manageable[reference] = MemoryStranger(
            size_bytes=len(content),
            written={
                found.start(): found[0][0]
                for found in re.finditer(rb'[^\0]', content)
            },
        )

    def content_of_manageable(
        self, backend: MemoryBackend, reference: str
    ) -> bytes | None:
        found = backend.storage.manageable.get(reference)
        if found is None:
            return None
        content = bytearray(found.size_bytes)
        for at, byte in found.written.items():
            content[at] = byte
        return bytes(content)

    def read(
        self, backend: MemoryBackend, volume_id: str, offset: int, length: int
    ) -> bytes:
        return backend.storage.volumes[volume_id].read(offset, length)

    def write(
        self,
        backend: MemoryBackend,
        volume_id: str,
        offset: int,
        content: bytes,
    ) -> None:
        backend.storage.volumes[volume_id].write(offset, content)

    def crash(
        self,
        backend: MemoryBackend,
        operation: Callable[[interfaces.Backend], object],
        step: int,
    ) -> bool:
        if step > max(Step):
            return False
        backend.faults.fail(Target(step=Step(step)), Crash())
        try:
            operation(backend)
        except Crash:
            return True
        return False


class FileHooks(acts.ActRules):
    """The backend "file", which is killed at each system call."""

    format = Format.RAW
    provisioning = Provisioning.THIN

    def make_backend(self) -> FileBackend:
        path = Path(tempfile.mkdtemp(prefix='virtdc-'))
        self.addCleanup(shutil.rmtree, path)
        return self._at(path)

    def reopen(self, backend: FileBackend) -> FileBackend:
        return self._at(self._path(backend))

    def place_stranger(self, backend: FileBackend, volume_id: str) -> None:
        self._file(backend, volume_id).write_bytes(b"another's")

    def is_stranger_there(self, backend: FileBackend, volume_id: str) -> bool:
        return self._file(backend, volume_id).read_bytes() == b"another's"

    def place_strange_snapshot(
        self, backend: FileBackend, snapshot_id: str
    ) -> None:
        self._snapshot(backend, snapshot_id).write_bytes(b"another's")

    def is_strange_snapshot_there(
        self, backend: FileBackend, snapshot_id: str
    ) -> bool:
        there = self._snapshot(backend, snapshot_id).read_bytes()
        return there == b"another's"

    def place_manageable(
        self, backend: FileBackend, reference: str, content: bytes
    ) -> None:
        (self._path(backend) / reference).write_bytes(content)

    def content_of_manageable(
        self, backend: FileBackend, reference: str
    ) -> bytes | None:
        path = self._path(backend) / reference
        return path.read_bytes() if path.exists() else None

    def read(
        self, backend: FileBackend, volume_id: str, offset: int, length: int
    ) -> bytes:
        path = self._file(backend, volume_id)
        if self._is_qcow2(backend, volume_id):
            return qcow2_images.read(path, offset, length)
        with path.open('rb') as file:
            return os.pread(file.fileno(), length, offset)

    def write(
        self, backend: FileBackend, volume_id: str, offset: int, content: bytes
    ) -> None:
        path = self._file(backend, volume_id)
        if self._is_qcow2(backend, volume_id):
            qcow2_images.write(path, offset, content)
            return
        with path.open('r+b') as file:
            os.pwrite(file.fileno(), content, offset)

    def crash(
        self,
        backend: FileBackend,
        operation: Callable[[interfaces.Backend], object],
        step: int,
    ) -> bool:
        return not syscalls.ends_before_call(lambda: operation(backend), step)

    def _at(self, path: Path) -> FileBackend:
        return FileBackend(
            str(path), format=self.format, provisioning=self.provisioning
        )

    def _path(self, backend: FileBackend) -> Path:
        return Path(backend._path)

    def _is_qcow2(self, backend: FileBackend, volume_id: str) -> bool:
        facts = backend.find(volume_id)
        return facts is not None and facts.format is Format.QCOW2

    def _file(self, backend: FileBackend, volume_id: str) -> Path:
        return self._path(backend) / f'volume-{volume_id}'

    def _snapshot(self, backend: FileBackend, snapshot_id: str) -> Path:
        return self._path(backend) / f'snapshot-{snapshot_id}'


class FileThickHooks(FileHooks):
    """The same with volumes whose space is taken at once."""

    provisioning = Provisioning.THICK
    sizes = (512, 1024**2, 3 * 1024**2 + 512, 5 * 1024**2)


class FileQcow2Hooks(FileHooks):
    """The same with qcow2 images."""

    format = Format.QCOW2


class FileSharedHooks(FileHooks):
    """The same on a file system where copies share their blocks."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = Path(tempfile.mkdtemp(prefix='virtdc-'))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.mount = folder / 'mount'
        cls.mount.mkdir()
        mounts.mount_sharing(cls, cls.mount)

    def make_backend(self) -> FileBackend:
        path = Path(tempfile.mkdtemp(dir=self.mount))
        self.addCleanup(shutil.rmtree, path)
        return self._at(path)

    def start(self) -> FileBackend:
        backend = super().start()
        self.assertTrue(backend.has_instant_copies)
        return backend
