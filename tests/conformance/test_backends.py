"""The backends against the rules, and the rules against broken backends."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import shutil
import subprocess
import tempfile
import unittest

from tests.conformance import broken_backends
from tests.unit.agent.backends import needs
from tests.unit.agent.backends import syscalls
from virtdc_agent.backends.faults import Crash
from virtdc_agent.backends.faults import Step
from virtdc_agent.backends.faults import Target
from virtdc_agent.backends.file import FileBackend
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.conformance import backend as rules
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import interfaces


class TestMemory(rules.BackendRules):
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


class TestFileRaw(rules.BackendRules):
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

    def read(
        self, backend: FileBackend, volume_id: str, offset: int, length: int
    ) -> bytes:
        with self._file(backend, volume_id).open('rb') as file:
            return os.pread(file.fileno(), length, offset)

    def write(
        self, backend: FileBackend, volume_id: str, offset: int, content: bytes
    ) -> None:
        with self._file(backend, volume_id).open('r+b') as file:
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

    def _file(self, backend: FileBackend, volume_id: str) -> Path:
        return self._path(backend) / f'volume-{volume_id}'


class TestFileRawThick(TestFileRaw):
    provisioning = Provisioning.THICK
    sizes = (512, 1024**2, 3 * 1024**2 + 512, 5 * 1024**2)


@needs.QEMU
class TestFileQcow2(TestFileRaw):
    format = Format.QCOW2

    def read(
        self, backend: FileBackend, volume_id: str, offset: int, length: int
    ) -> bytes:
        image = self._file(backend, volume_id)
        raw = image.with_suffix('.raw')
        self.addCleanup(raw.unlink, missing_ok=True)
        subprocess.run(
            ['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', image, raw],
            check=True,
        )
        with raw.open('rb') as file:
            return os.pread(file.fileno(), length, offset)

    def write(
        self, backend: FileBackend, volume_id: str, offset: int, content: bytes
    ) -> None:
        with tempfile.NamedTemporaryFile() as source:
            source.write(content)
            source.flush()
            subprocess.run(
                [
                    *('qemu-io', '-f', 'qcow2', '-c'),
                    f'write -s {source.name} {offset} {len(content)}',
                    self._file(backend, volume_id),
                ],
                check=True,
                stdout=subprocess.DEVNULL,
            )


BROKEN = {
    broken_backends.DeclaresNoDelete: {'test_declares_what_it_has'},
    broken_backends.HasMoreFreeThanAll: {'test_space_is_plausible'},
    broken_backends.FindsAnything: {'test_unknown_volume_is_not_found'},
    broken_backends.ListsTwice: {'test_find_and_scan_agree'},
    broken_backends.ForgetsOnRestart: {'test_survives_a_restart'},
    broken_backends.AlwaysThin: {'test_create_makes_what_was_asked'},
    broken_backends.RoundsUp: {'test_create_chooses_what_was_not_asked'},
    broken_backends.TakesAnyFormat: {
        'test_create_refuses_what_is_not_declared'
    },
    broken_backends.TakesAnyName: {
        'test_create_refuses_ids_that_are_no_names'
    },
    broken_backends.ReusesBytes: {'test_new_volume_reads_as_zeros'},
    broken_backends.RefusesItsOwnWork: {'test_create_again_is_the_same'},
    broken_backends.AdoptsAnothersVolume: {
        'test_create_keeps_off_another_events_volume'
    },
    broken_backends.RemovesStrangers: {'test_strangers_are_left_alone'},
    broken_backends.LosesConcurrentCreates: {'test_creates_at_once'},
    broken_backends.DeletesMore: {'test_delete_removes'},
    broken_backends.MissesWhatIsGone: {'test_delete_of_nothing_succeeds'},
    broken_backends.GrowsTwice: {'test_extend_grows_exactly'},
    broken_backends.ZeroesOnExtend: {'test_extend_keeps_and_adds_zeros'},
    broken_backends.Shrinks: {'test_extend_never_shrinks'},
    broken_backends.MakesByExtending: {'test_extend_of_nothing_is_rejected'},
    broken_backends.AsksLeaveTwice: {
        'test_nothing_is_visible_before_leave_is_given'
    },
    broken_backends.LittersOnCancel: {
        'test_cancelled_leaves_nothing',
        'test_the_overtaken_brings_nothing_back',
        'test_the_overtaken_has_no_effect',
        'test_the_swept_cannot_commit',
    },
    broken_backends.ReportsBackwards: {'test_progress_never_falls'},
    broken_backends.TearsInCrashes: {
        'test_crash_leaves_all_or_nothing',
        'test_crash_anywhere_then_again_is_done_once',
    },
    broken_backends.GivesUpAfterCrashes: {
        'test_crash_anywhere_then_again_is_done_once'
    },
    broken_backends.SweepsAgainAndAgain: {
        'test_crash_anywhere_then_again_is_done_once',
        'test_sweep_removes_leftovers_and_nothing_else',
    },
    broken_backends.NeverSweeps: {
        'test_sweep_removes_leftovers_and_nothing_else',
        'test_the_swept_cannot_commit',
    },
    broken_backends.LetsTheLateAct: {
        'test_the_overtaken_brings_nothing_back',
        'test_the_overtaken_has_no_effect',
    },
    broken_backends.ForgetsTheGone: {
        'test_the_overtaken_brings_nothing_back',
        'test_the_overtaken_has_no_effect',
    },
    broken_backends.SweepsTheLiving: {
        'test_sweep_leaves_alone_what_goes_on',
    },
    broken_backends.CommitsWhatWasSwept: {
        'test_the_swept_cannot_commit',
    },
}


class TestRulesCanFail(unittest.TestCase):
    def test_each_broken_backend_trips_its_rules_and_no_other(self) -> None:
        for broken, expected in BROKEN.items():

            class Rules(TestMemory):
                kind = broken

            with self.subTest(broken.__name__):
                result = unittest.TestResult()
                unittest.defaultTestLoader.loadTestsFromTestCase(Rules).run(
                    result
                )
                tripped = {
                    test._testMethodName
                    for test, _ in result.failures + result.errors
                }
                self.assertEqual(expected, tripped)

    def test_every_rule_is_tripped_by_some_backend(self) -> None:
        names = unittest.defaultTestLoader.getTestCaseNames(rules.BackendRules)
        self.assertEqual(set(names), set().union(*BROKEN.values()))
