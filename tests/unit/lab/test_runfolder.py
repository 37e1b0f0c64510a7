"""The run folder: never someone else's, and enough to stop a lab by."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
import secrets
import subprocess
import sys
import tempfile
import unittest

from tools.lab import errors
from tools.lab import processes
from tools.lab import runfolder

IDLE = (sys.executable, '-c', 'import time; time.sleep(300)')


class RunFolder(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.state = runfolder.State(
            token=secrets.token_hex(8),
            environment={'OS_X': 'y'},
            addresses={'cinder': 'http://127.0.0.1:1'},
        )

    def test_state_is_read_as_written(self) -> None:
        self.state.write(self.folder)
        self.assertEqual(self.state, runfolder.State.read(self.folder))

    def test_broken_state_is_told(self) -> None:
        (self.folder / runfolder.STATE_FILE).write_text('{}')
        with self.assertRaisesRegex(errors.LabError, runfolder.STATE_FILE):
            runfolder.State.read(self.folder)

    def test_a_new_folder_is_private(self) -> None:
        made = runfolder.prepare(self.folder / 'new')
        self.assertEqual(0o700, made.stat().st_mode & 0o777)

    def test_a_folder_of_others_is_refused(self) -> None:
        precious = self.folder / 'precious'
        precious.touch()
        with self.assertRaisesRegex(errors.LabError, 'not empty'):
            runfolder.prepare(self.folder)
        self.assertTrue(precious.exists())

    def test_names_that_do_not_do_are_refused(self) -> None:
        for name in ('with blank', 'x' * 100):
            with self.assertRaisesRegex(errors.LabError, 'must have'):
                runfolder.prepare(self.folder / name)

    def test_one_of_a_stopped_lab_is_emptied(self) -> None:
        self.state.write(self.folder)
        (self.folder / 'data').mkdir()
        runfolder.prepare(self.folder)
        self.assertEqual([], list(self.folder.iterdir()))

    def test_one_of_a_running_lab_is_refused(self) -> None:
        self.state.write(self.folder)
        mine = processes.Identity.of(os.getpid())
        assert mine is not None
        record = processes.Record(name='me', identity=mine)
        record.write(self.folder / 'pids' / 'me.json')
        with self.assertRaisesRegex(errors.LabError, 'already runs'):
            runfolder.prepare(self.folder)

    def test_taking_down_ends_what_has_no_pid_file(self) -> None:
        self.state.write(self.folder)
        child = subprocess.Popen(
            IDLE,
            env={processes.TOKEN_VARIABLE: self.state.token},
        )
        runfolder.take_down(self.folder)
        self.assertEqual(-9, child.wait(30))
        found = runfolder.State.read(self.folder)
        self.assertEqual(dataclasses.replace(self.state, token=''), found)

    def test_taking_down_leaves_those_that_took_over_an_id(self) -> None:
        self.state.write(self.folder)
        mine = processes.Identity.of(os.getpid())
        assert mine is not None
        stale = dataclasses.replace(mine, started=mine.started - 1)
        processes.Record(name='old', identity=stale).write(
            self.folder / 'pids' / 'old.json'
        )
        self.assertEqual([], runfolder.take_down(self.folder))

    def test_taking_down_twice_or_nothing_is_fine(self) -> None:
        self.assertEqual([], runfolder.take_down(self.folder))
        self.state.write(self.folder)
        for _ in range(2):
            self.assertEqual([], runfolder.take_down(self.folder))
