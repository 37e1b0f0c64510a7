from __future__ import annotations

from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import unittest

from cinder_virtdc.cmd import listener

GOOD = """
[DEFAULT]
transport_url = rabbit://user:secret@127.0.0.1:1/virtdc
[cinder]
auth_type = admin_token
endpoint = http://127.0.0.1:1/v3/project
token = admin:project
"""


class CommandTest(unittest.TestCase):
    """The program itself, without a bus, an agent or a cloud."""

    def start(self, text: str) -> subprocess.Popen[str]:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, 'listener.conf')
        path.write_text(text, encoding='utf-8')
        process = subprocess.Popen(
            [
                sys.executable,
                *('-W', 'ignore', '-m', 'cinder_virtdc.cmd.listener'),
                *('--config-file', str(path)),
            ],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_a_configuration_that_cannot_work(self) -> None:
        for text, words in (
            ('[DEFAULT]\n', 'auth_type is not set'),
            (GOOD.replace('rabbit:', 'nobus:'), 'transport_url'),
            (GOOD + '[virtdc]\nresync_interval_s = 0\n', 'resync_interval_s'),
            ('nonsense', 'listener.conf'),
        ):
            with self.subTest(words=words):
                process = self.start(text)
                told, _ = process.communicate(timeout=60)
                self.assertEqual(listener.EXIT_CONFIG, process.returncode)
                self.assertIn(words, told)
                self.assertNotIn('secret', told)

    def test_it_runs_without_anybody_and_stops_when_told(self) -> None:
        process = self.start(GOOD)
        assert process.stdout is not None
        for line in process.stdout:
            if 'The listener runs' in line:
                break
        process.send_signal(signal.SIGTERM)
        self.assertIn('has stopped', process.stdout.read())
        self.assertEqual(0, process.wait(60))
