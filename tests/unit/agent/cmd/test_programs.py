"""The programs as they are run, in processes of their own."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys
import tempfile
import unittest


class ProgramCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.conf = self.folder / 'agent.conf'
        self.write('')

    def write(self, more: str) -> None:
        self.conf.write_text(
            f'[DEFAULT]\nstate_path = {self.folder}\n'
            f'transport_url = fake://\n{more}',
            encoding='utf-8',
        )

    def run_program(
        self, module: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                *('-W', 'ignore', '-m', f'virtdc_agent.cmd.{module}'),
                *('--config-file', str(self.conf), *arguments),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


class TestManage(ProgramCase):
    def test_db_sync_and_version(self) -> None:
        done = self.run_program('manage', 'db', 'version')
        self.assertIn('virtdc-manage db sync', done.stdout)
        for _ in range(2):
            done = self.run_program('manage', 'db', 'sync')
            self.assertEqual((0, ''), (done.returncode, done.stderr))
            self.assertIn('0002', done.stdout)
        done = self.run_program('manage', 'db', 'version')
        self.assertEqual('0002\n', done.stdout)

    def test_a_folder_that_is_not_there(self) -> None:
        self.write('[database]\nconnection = sqlite:////nowhere/journal\n')
        done = self.run_program('manage', 'db', 'sync')
        self.assertEqual(1, done.returncode)
        self.assertIn('/nowhere/journal', done.stderr)
        self.assertNotIn('Traceback', done.stderr)

    def test_no_command(self) -> None:
        done = self.run_program('manage')
        self.assertNotEqual(0, done.returncode)
        self.assertIn('usage', done.stderr)


class TestAgent(ProgramCase):
    def test_a_bad_configuration_is_one_line_and_78(self) -> None:
        for more, words in (
            ('[agent]\nbackend = nonsense\n', 'nonsense is unknown'),
            ('[executor]\nbatch_size = 0\n', 'batch_size'),
            ('', '[backend_file] path'),
        ):
            with self.subTest(words):
                self.write(more)
                done = self.run_program('agent')
                self.assertEqual(78, done.returncode)
                self.assertIn(words, done.stderr)
                self.assertNotIn('Traceback', done.stderr)

    def test_a_configuration_file_that_is_not_there(self) -> None:
        self.conf.unlink()
        done = self.run_program('agent')
        self.assertEqual(78, done.returncode)
        self.assertIn(str(self.conf), done.stderr)
