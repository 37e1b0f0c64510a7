"""The example of the documents, installed as by anybody, holds the rules."""

from __future__ import annotations

import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from virtdc_agent.conformance import backend
from virtdc_agent.conformance import exporter
from virtdc_agent.conformance import policy

EXAMPLE = Path(__file__).parents[2] / 'examples' / 'virtdc-example'
SUITES = (backend.BackendRules, exporter.ExporterRules, policy.PolicyRules)
PROGRAMS = Path(sys.executable).parent


class TestExample(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix='virtdc-')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        # Building leaves files beside the source.
        source = cls.folder / 'source'
        shutil.copytree(EXAMPLE, source)
        cls.environment = {
            **os.environ,
            'PYTHONPATH': str(cls.folder / 'installed'),
        }
        cls._run(
            *(sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps'),
            *('--no-build-isolation', '--no-index'),
            *('--target', cls.environment['PYTHONPATH'], str(source)),
        )

    @classmethod
    def _run(cls, *command: str) -> str:
        """Run a command where the example is installed; return its output."""
        done = subprocess.run(
            command,
            cwd=cls.folder,
            env=cls.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f'{command}: {done.stdout}')
        return done.stdout

    def test_its_own_tests_pass(self) -> None:
        output = self._run(
            *(sys.executable, '-m', 'unittest', 'discover'),
            *('--start-directory', str(EXAMPLE / 'tests')),
        )
        ran = re.search(r'Ran (\d+) tests', output)
        assert ran is not None
        rules = sum(
            len(unittest.defaultTestLoader.getTestCaseNames(suite))
            for suite in SUITES
        )
        self.assertGreaterEqual(int(ran[1]), rules)
        self.assertNotIn('skipped', output)

    def test_an_agent_runs_with_it(self) -> None:
        conf = self.folder / 'virtdc-agent.conf'
        for name in ('state', 'volumes', 'exports'):
            (self.folder / name).mkdir()
        conf.write_text(
            (EXAMPLE / 'virtdc-agent.conf')
            .read_text('utf-8')
            .replace('/srv', str(self.folder)),
            'utf-8',
        )
        manage = (str(PROGRAMS / 'virtdc-manage'), '--config-file', str(conf))
        self._run(*manage, 'db', 'sync')
        agent = subprocess.Popen(
            [str(PROGRAMS / 'virtdc-agent'), '--config-file', str(conf)],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._run(
                *manage, 'volume', 'create', '1G', '--name', 'first', '--wait'
            )
        finally:
            agent.terminate()
            status = agent.wait()
        self.assertEqual(0, status)
        (data,) = (self.folder / 'volumes' / 'volumes').glob('*/data')
        self.assertEqual(1024**3, data.stat().st_size)
