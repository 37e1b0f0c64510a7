from __future__ import annotations

import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any
import unittest

PROGRAM = """
from cinder import monkey_patch
monkey_patch.patch()  # before all else, as cinder-volume does
from tests.unit.driver import mode_program
mode_program.main()
"""


class ModesTest(unittest.TestCase):
    """The driver over a bus, in both ways in which cinder-volume runs."""

    def run_program(self, *, native_threads: bool) -> Any:
        done = subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', PROGRAM],
            env={
                **os.environ,
                'PYTHONPATH': str(Path(__file__).parents[3]),
                'OS_CINDER_DISABLE_EVENTLET_PATCHING': (
                    'true' if native_threads else 'false'
                ),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def check(self, seen: Any) -> None:
        self.assertEqual((40, 0), (seen['made'], seen['stuck']))
        # For what was lost; not one for each volume.
        self.assertIn(seen['questions'], range(1, 10))

    def test_eventlet(self) -> None:
        seen = self.run_program(native_threads=False)
        self.assertTrue(seen['patched'])
        self.assertEqual('eventlet', seen['executor'])
        self.check(seen)

    def test_native_threads(self) -> None:
        seen = self.run_program(native_threads=True)
        self.assertFalse(seen['patched'])
        self.assertEqual('threading', seen['executor'])
        self.check(seen)
