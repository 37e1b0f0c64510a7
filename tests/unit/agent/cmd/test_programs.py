"""The programs as they are run, in processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from tests.unit.agent import builders
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import events
from virtdc_agent.contract import signing
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.sql import SqlJournal
from virtdc_agent.scheduling import Lane


PROGRAMS = {'agent': 'agent', 'manage': 'manage.main'}


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
                *(
                    '-W',
                    'ignore',
                    '-m',
                    f'virtdc_agent.cmd.{PROGRAMS[module]}',
                ),
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
            self.assertIn('0008', done.stdout)
        done = self.run_program('manage', 'db', 'version')
        self.assertEqual('0008\n', done.stdout)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run_program('manage', *arguments)

    def shown(self, *arguments: str):
        """Return what a command shows to programs."""
        done = self.manage(*arguments, '-f', 'json')
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def _renewing(self, journal: SqlJournal) -> Iterator[None]:
        """Renew an agent's lease again and again while the body runs."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(0.05):
                journal.renew()

        thread = threading.Thread(target=renew)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def test_what_an_operator_asks_and_does(self) -> None:
        self.manage('db', 'sync')
        engine = engines.make_engine(
            f'sqlite:///{self.folder / "journal.sqlite"}'
        )
        # A dozen programs are started while it lasts.
        journal = SqlJournal(
            engine, agent='one', clock=SystemClock(), lease_s=3600.0
        )
        self.addCleanup(journal.close)
        journal.join()
        event = builders.create('v')
        journal.append(event)
        (claim,) = journal.claim(Lane.QUICK, 1)
        journal.append(builders.delete('v', event_id='waits'))

        rows = self.shown('event', 'list')
        self.assertEqual(
            [('waits', 'waiting'), (event.event_id, 'running')],
            [(row['event_id'], row['state']) for row in rows],
        )
        rows = self.shown('event', 'list', '--state', 'running')
        self.assertEqual(['one'], [row['holder'] for row in rows])
        done = self.manage('event', 'list', '--limit', '1')
        self.assertIn('waits', done.stdout)
        self.assertNotIn(event.event_id, done.stdout)

        done = self.manage('event', 'cancel', 'waits', event.event_id)
        self.assertIn('waits: failed (cancelled)', done.stdout)
        self.assertEqual([claim], list(journal.get_cancelled([claim])))
        shown = self.shown('event', 'show', 'waits')
        self.assertEqual(
            ['waiting', 'failed'], [one['state'] for one in shown['history']]
        )
        self.assertIn(
            'Cancelled', self.manage('event', 'show', 'waits').stdout
        )

        (agent,) = self.shown('agent', 'list')
        self.assertEqual(
            ('one', 1, True, False),
            tuple(
                agent[name]
                for name in ('name', 'running', 'is_alive', 'is_draining')
            ),
        )
        self.manage('agent', 'drain', 'one')
        self.assertTrue(journal.renew().is_draining)
        done = self.manage(
            *('agent', 'drain', 'one', '--wait', '--timeout', '0')
        )
        self.assertEqual(1, done.returncode)
        self.assertIn('Agent one has not heard of it yet', done.stderr)
        with self._renewing(journal):
            done = self.manage(
                *('agent', 'drain', 'one', '--wait', '--timeout', '2')
            )
        self.assertEqual(1, done.returncode)
        self.assertIn('1 events of agent one still run', done.stderr)
        self.manage('agent', 'resume', 'one')
        self.assertFalse(journal.renew().is_draining)

        self.assertEqual([], self.shown('alarm', 'list'))
        journal.mark_published(journal.count().sequence)
        done = self.manage('event', 'purge', '--older-than', '0s')
        self.assertEqual(0, done.returncode)
        self.assertIn('Forgotten: 0 events', done.stdout)
        done = self.manage('db', 'check')
        self.assertEqual((0, '0 problems found.\n'), (0, done.stdout))
        with engine.begin() as connection:
            connection.exec_driver_sql('UPDATE totals SET waiting = 7')
        done = self.manage('db', 'check')
        self.assertEqual(1, done.returncode)
        self.assertIn('waiting: 7 are noted, 0 are there', done.stdout)

    def test_a_new_key(self) -> None:
        done = self.manage('key', 'generate', '--id', 'autumn')
        self.assertEqual((0, ''), (done.returncode, done.stderr))
        signer = signing.Keyring.from_text(done.stdout).signer
        self.assertEqual('autumn', signer.key_id)
        self.assertNotEqual(done.stdout, self.manage('key', 'generate').stdout)

    def test_what_is_not_there_or_cannot_be_meant(self) -> None:
        self.manage('db', 'sync')
        for status, words, arguments in (
            (1, 'There is no event x', ('event', 'show', 'x')),
            (1, 'There is no event x', ('event', 'cancel', 'x')),
            (1, 'No agent x', ('agent', 'drain', 'x')),
            (1, 'No alarm k', ('alarm', 'acknowledge', 'k', 'x')),
            (2, 'no age', ('event', 'purge', '--older-than', 'long')),
            (2, 'at least 1', ('event', 'list', '--limit', '0')),
            (2, 'invalid choice', ('event', 'list', '--state', 'odd')),
            (2, 'required', ('event',)),
            (2, 'must be 1 to 64', ('key', 'generate', '--id', 'a b')),
        ):
            with self.subTest(arguments):
                done = self.manage(*arguments)
                self.assertEqual(status, done.returncode)
                self.assertIn(words, done.stderr)
                self.assertNotIn('Traceback', done.stderr)

    def test_a_folder_that_is_not_there(self) -> None:
        self.write('[database]\nconnection = sqlite:////nowhere/journal\n')
        done = self.run_program('manage', 'db', 'sync')
        self.assertEqual(1, done.returncode)
        self.assertIn('/nowhere/journal', done.stderr)
        self.assertNotIn('Traceback', done.stderr)

    def test_what_an_operator_does_to_volumes(self) -> None:
        self.manage('db', 'sync')
        done = self.manage(
            *('volume', 'create', '10M', '--id', 'v', '--name', 'db data'),
            *('--property', 'a=b', '-f', 'json'),
        )
        self.assertEqual(0, done.returncode, done.stderr)
        made = json.loads(done.stdout)
        self.assertEqual(
            ('create', 'v', 'waiting'),
            (made['operation'], made['volume_id'], made['state']),
        )
        journal = SqlJournal(
            engines.make_engine(f'sqlite:///{self.folder / "journal.sqlite"}'),
            agent='reader',
            clock=SystemClock(),
        )
        self.addCleanup(journal.close)
        event = journal.get_event(made['event_id'])
        self.assertEqual(
            events.CreateParameters(
                size_bytes=10 * 1024**2, name='db data', metadata={'a': 'b'}
            ),
            event.parameters,
        )
        self.assertIs(events.Origin.PLATFORM, event.origin)
        self.assertTrue(event.requested_by.user_id)
        for says, command in (
            ('no volume v', ('volume', 'delete', 'v', '--yes')),
            ('identifier|letters, digits', ('volume', 'resize', '/', '1G')),
            ('not ended after 0 s', ('trash', 'restore', 'v', '--wait')),
        ):
            more = ('--timeout', '0') if command[-1] == '--wait' else ()
            done = self.manage(*command, *more)
            self.assertEqual(1, done.returncode)
            self.assertRegex(done.stderr, says)
        done = self.manage('volume', 'create', 'much')
        self.assertEqual(2, done.returncode)
        self.assertIn('is no size', done.stderr)

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


RUNS = """
[agent]
backend = memory
exporter = memory
[executor]
policy = fixed
batch_size = {limit}
[retention]
max_finished = {finished}
"""


class TestRunningAgent(ProgramCase):
    """The program without a bus, as systemd starts and reloads it."""

    def setUp(self) -> None:
        super().setUp()
        self.write(RUNS.format(limit=3, finished=1000))
        self.run_program('manage', 'db', 'sync')
        self.log = self.folder / 'log'
        self.ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.ready.close)
        self.ready.bind(str(self.folder / 'notify'))
        self.ready.settimeout(60)

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open('wb') as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    *('-W', 'ignore', '-m', 'virtdc_agent.cmd.agent'),
                    *('--config-file', str(self.conf)),
                ],
                env={
                    **os.environ,
                    'NOTIFY_SOCKET': str(self.folder / 'notify'),
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(b'READY=1', self.ready.recv(100))
        return process

    def reload(self, process: subprocess.Popen[bytes], words: str) -> None:
        process.send_signal(signal.SIGHUP)
        for _ in range(600):
            if words in self.log.read_text(encoding='utf-8'):
                return
            time.sleep(0.1)
        self.fail(f'{words!r} not in {self.log.read_text(encoding="utf-8")}')

    def test_reads_its_configuration_again_and_goes_on(self) -> None:
        process = self.start()
        self.write(RUNS.format(limit=7, finished=1000))
        self.reload(process, 'quick lane is fixed now, and begins with 7')
        self.write(RUNS.format(limit=0, finished=1000))
        self.reload(process, 'The changed configuration is not used')
        self.write(RUNS.format(limit=8, finished='many'))
        self.reload(process, 'many')
        self.write(RUNS.format(limit=9, finished=5))
        self.reload(process, 'quick lane is fixed now, and begins with 9')
        self.assertIsNone(process.poll())
        process.terminate()
        self.assertEqual(0, process.wait(60))
        told = self.log.read_text(encoding='utf-8')
        self.assertNotIn('begins with 0', told)
        self.assertNotIn('begins with 8', told)
        # What does not change is not begun anew.
        self.assertNotIn('copy lane is', told)

    def test_no_signal_meets_another_in_a_lock(self) -> None:
        process = self.start()
        for _ in range(500):
            process.send_signal(signal.SIGHUP)
        process.terminate()
        self.assertEqual(0, process.wait(60))
