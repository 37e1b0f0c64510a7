"""Kill the agent before every single step of its events."""

from __future__ import annotations

from concurrent import futures
import json
import multiprocessing
import os
from pathlib import Path
import shutil
import tempfile
import unittest

from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import codec
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.sql import SqlJournal

GIB = 1024**3
IDS = tuple(f'e{number}' for number in range(1, 13))
AT_ONCE = 2
MEMORY = '/dev/shm'


class TestCrashWalk(unittest.TestCase):
    def setUp(self) -> None:
        # A process is killed, not the machine: memory keeps what it wrote.
        memory = MEMORY if os.access(MEMORY, os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix='virtdc-walk-', dir=memory))
        self.addCleanup(shutil.rmtree, self.folder)
        self.forks = multiprocessing.get_context('forkserver')
        self.forks.set_forkserver_preload(['tests.functional.crashing'])

    def test_before_every_step(self) -> None:
        """Whatever is cut short, the next start ends it right."""
        whole = self.prepare('whole')
        self.assertTrue(self.run_agent(whole, 0), self.said(whole))
        self.empty = whole / 'empty.sqlite'
        total = int((whole / 'steps').read_text(encoding='ascii'))
        self.assertGreater(total, 50)
        self.check(self.folder / 'whole')
        with futures.ThreadPoolExecutor(AT_ONCE) as pool:
            walks = list(pool.map(self.walk, range(1, total + 1)))
        for problem in walks:
            self.assertIsNone(problem)

    def walk(self, crash_at: int) -> str | None:
        """Crash at a step, start again, and say what is wrong then."""
        folder = self.prepare(str(crash_at))
        # Its tables are not what is walked, and take long to make.
        shutil.copy(self.empty, folder / 'journal.sqlite')
        # Threads take turns differently each time: a late step may not come.
        self.run_agent(folder, crash_at)
        if (folder / 'broken').stat().st_size:
            return f'step {crash_at}: {self.said(folder)}'
        if not self.run_agent(folder, 0):
            return f'after step {crash_at}: {self.said(folder)}'
        try:
            self.check(folder)
        except AssertionError as exc:
            return f'after a crash at step {crash_at}: {exc}'
        shutil.rmtree(folder)
        return None

    def said(self, folder: Path) -> str:
        """Return the end of all that an agent said."""
        text = ''.join(
            (folder / name).read_text(encoding='utf-8')
            for name in ('said', 'broken')
        )
        return text[-8000:]

    def prepare(self, name: str) -> Path:
        folder = self.folder / name
        (folder / 'pool').mkdir(parents=True)
        stranger = folder / 'pool' / 'stranger'
        stranger.touch()
        os.truncate(stranger, GIB)
        (folder / 'agent.conf').write_text(
            '[DEFAULT]\n'
            'transport_url = fake://\n'
            f'state_path = {folder}\n'
            '[agent]\n'
            'name = walked\n'
            '[backend_file]\n'
            f'path = {folder / "pool"}\n'
            'max_over_subscription_ratio = 100\n'
            '[exporter_share]\n'
            'export = filer:/volumes\n',
            encoding='utf-8',
        )
        return folder

    def run_agent(self, folder: Path, crash_at: int) -> bool:
        """Run an agent; return whether it came to the end of its events.

        By what it left, not by its exit status: of processes that several
        threads start, one thread may take the status from the other.
        """
        steps = folder / 'steps'
        steps.unlink(missing_ok=True)
        process = self.forks.Process(target=_run, args=(folder, crash_at))
        process.start()
        process.join(60)
        if process.is_alive():
            process.kill()
            process.join()
        return steps.exists()

    def check(self, folder: Path) -> None:
        """One final state an event, the right disks, the whole history."""
        engine = engines.make_engine(f'sqlite:///{folder}/journal.sqlite')
        journal = SqlJournal(
            engine, agent='reader', clock=SystemClock(), lease_s=60.0
        )
        try:
            latest = journal.get_latest(IDS)
            history = journal.get_changes(0, 10_000).transitions
            counts = journal.count()
        finally:
            journal.close()
        self.assertEqual(
            dict.fromkeys(IDS, State.SUCCESS),
            {key: one.state for key, one in latest.items()},
        )
        finals = [one.event_id for one in history if one.state.is_final]
        self.assertEqual(sorted(IDS), sorted(finals))
        self.assertEqual((0, 0), (counts.waiting, counts.running))
        self.assertEqual(8 * GIB, counts.provisioned_bytes)
        files = {
            path.name: path.stat().st_size
            for path in (folder / 'pool').iterdir()
            if not path.name.startswith('.')
        }
        self.assertEqual(
            {
                'volume-v': 3 * GIB,
                'volume-w': GIB,
                'volume-x': 4 * GIB,
                'volume-y': 2 * GIB,
                'snapshot-gv': 3 * GIB,
                'snapshot-gx': 4 * GIB,
            },
            files,
        )
        self.assertEqual(
            {'v', 'w', 'x', '@gv', '@gx', '~volume-y'},
            {path.name for path in (folder / 'pool' / '.labels').iterdir()},
        )
        left = [
            str(path.relative_to(folder))
            for place in ('.temporary', '.trash')
            for path in (folder / 'pool' / place).iterdir()
        ]
        self.assertEqual([], left)
        self.check_told(folder / 'bus', [one.sequence for one in history])

    def check_told(self, bus: Path, sequences: list[int]) -> None:
        told = [
            codec.decode(json.loads(line), Transition).sequence
            for line in bus.read_text(encoding='utf-8').splitlines()
        ]
        self.assertEqual(sequences, sorted(set(told)))
        # At least once, and anew only from where it was noted last.
        at = 0
        for sequence in told:
            self.assertLessEqual(sequence, at + 1)
            at = max(at, sequence)


if __name__ == '__main__':
    unittest.main()


def _run(folder: Path, crash_at: int) -> None:
    # It is not for this process: it chooses the threads of oslo's libraries.
    from tests.functional import crashing

    crashing.run(folder, crash_at)
