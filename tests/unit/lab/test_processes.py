"""Processes: known by id and start time, stopped for sure."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from tools.lab import errors
from tools.lab import processes

PYTHON = sys.executable
IDLE = (PYTHON, '-c', 'import time; time.sleep(300)')
STUBBORN = (
    PYTHON,
    '-c',
    'import signal, time\n'
    'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
    'print("deaf", flush=True)\n'
    'time.sleep(300)\n',
)
WITH_CHILD = (
    PYTHON,
    '-c',
    'import os, subprocess, sys, time\n'
    'child = subprocess.Popen([sys.executable, "-c", '
    '"import time; time.sleep(300)"], start_new_session=True)\n'
    'print(child.pid, flush=True)\n'
    'time.sleep(300)\n',
)


class LabCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.token = secrets.token_hex(8)
        self.supervisor = processes.Supervisor(self.folder, self.token)
        self.addCleanup(self._end_all)

    def _end_all(self) -> None:
        processes.sweep(self.token)
        self.supervisor.reap()

    def service(
        self, argv: tuple[str, ...], name: str = 'one', **options: object
    ) -> processes.Service:
        return self.supervisor.service(
            processes.Program(name=name, argv=argv, **options)  # type: ignore[arg-type]
        )


class Identities(LabCase):
    def test_of_this_process(self) -> None:
        mine = processes.Identity.of(os.getpid())
        assert mine is not None
        self.assertTrue(mine.is_alive())

    def test_of_nobody(self) -> None:
        self.assertIsNone(processes.Identity.of(2**22 + 1))

    def test_another_start_time_is_another_process(self) -> None:
        mine = processes.Identity.of(os.getpid())
        assert mine is not None
        other = dataclasses.replace(mine, started=mine.started + 1)
        self.assertFalse(other.is_alive())
        # Were it sent, it would end this test run.
        self.assertFalse(other.send(signal.SIGKILL))

    def test_a_zombie_has_ended(self) -> None:
        child = subprocess.Popen([PYTHON, '-c', ''])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assertIsNone(processes.Identity.of(child.pid))
        child.wait()

    def test_a_strange_name_does_not_confuse(self) -> None:
        strange = self.folder / 'a) S (b'
        strange.symlink_to('/bin/sleep')
        child = subprocess.Popen([str(strange), '300'])
        try:
            self.assertIsNotNone(processes.Identity.of(child.pid))
        finally:
            child.kill()
            child.wait()


class Records(LabCase):
    def test_are_read_as_written(self) -> None:
        record = processes.Record(
            name='one',
            identity=processes.Identity(pid=1, started=2),
            rank=processes.Rank.NAMING,
            grace_s=1.5,
        )
        record.write(self.folder / 'one.json')
        self.assertEqual([record], processes.read_records(self.folder))

    def test_broken_ones_are_left_out(self) -> None:
        for number, text in enumerate(('', '[]', '{"pid": 1}', 'null')):
            (self.folder / f'{number}.json').write_text(text)
        self.assertEqual([], processes.read_records(self.folder))


class Services(LabCase):
    def test_runs_with_a_pid_file_until_stopped(self) -> None:
        service = self.service(IDLE)
        service.start()
        identity = processes.Identity.of(service.pid)
        (record,) = processes.read_records(self.supervisor.pid_folder)
        self.assertEqual(identity, record.identity)
        service.stop()
        self.assertFalse(service.is_running())
        self.assertEqual(
            [], processes.read_records(self.supervisor.pid_folder)
        )

    def test_one_that_dies_is_told_with_the_end_of_its_log(self) -> None:
        program = 'print("no disk today"); raise SystemExit(3)'
        service = self.service((PYTHON, '-c', program), ready=lambda: False)
        with self.assertRaises(errors.ProgramError) as caught:
            service.start()
        self.assertIn('exit status 3', str(caught.exception))
        self.assertIn('  | no disk today', str(caught.exception))
        self.assertIn(str(service.log), str(caught.exception))

    def test_only_the_log_of_the_last_start_is_quoted(self) -> None:
        self.supervisor.log_folder.mkdir()
        self.supervisor.log_path('one').write_text('long ago\n')
        service = self.service((PYTHON, '-c', ''), ready=lambda: False)
        with self.assertRaises(errors.ProgramError) as caught:
            service.start()
        self.assertNotIn('long ago', str(caught.exception))

    def test_an_answer_of_another_server_is_no_sign_of_life(self) -> None:
        service = self.service((PYTHON, '-c', ''))

        def ready() -> bool:
            os.waitid(os.P_PID, service.pid, os.WEXITED | os.WNOWAIT)
            return True

        service.program = dataclasses.replace(service.program, ready=ready)
        with self.assertRaisesRegex(errors.ProgramError, 'exit status 0'):
            service.start()

    def test_one_that_is_never_ready_is_given_up(self) -> None:
        service = self.service(IDLE, ready=lambda: False, ready_timeout_s=0.0)
        with self.assertRaisesRegex(errors.ProgramError, 'not ready after'):
            service.start()

    def test_a_missing_program_is_named(self) -> None:
        service = self.service(('/no/such/program',))
        with self.assertRaisesRegex(errors.LabError, '/no/such/program'):
            service.start()

    def test_one_that_ignores_term_is_killed(self) -> None:
        service = self.service(STUBBORN, grace_s=0.0)
        self._start_and_wait(service, 'deaf')
        service.stop()
        self.assertFalse(service.is_running())

    def test_a_paused_one_can_be_stopped(self) -> None:
        service = self.service(IDLE)
        service.start()
        service.pause()
        service.stop()
        self.assertFalse(service.is_running())

    def test_can_be_started_again_after_a_kill(self) -> None:
        service = self.service(IDLE)
        service.start()
        first = service.pid
        service.kill()
        self.assertFalse(service.is_running())
        service.start()
        self.assertNotEqual(first, service.pid)

    def test_without_foreign_credentials_and_proxies(self) -> None:
        kept = processes.clean_environment(
            {
                'PATH': '/bin',
                'OS_PASSWORD': 'x',
                'https_proxy': 'x',
                'HTTP_PROXY': 'x',
                'PYTHONPATH': 'x',
                'RABBITMQ_NODENAME': 'x',
            }
        )
        self.assertEqual({'PATH': '/bin'}, kept)

    def _start_and_wait(self, service: processes.Service, said: str) -> None:
        service.program = dataclasses.replace(
            service.program, ready=lambda: said in service.log_text()
        )
        service.start()


class Closing(LabCase):
    def test_nothing_starts_any_more(self) -> None:
        self.supervisor.close()
        with self.assertRaises(errors.LabClosed):
            self.service(IDLE).start()
        with self.assertRaises(errors.LabClosed):
            self.supervisor.run('one', IDLE)

    def test_wakes_those_that_wait(self) -> None:
        asked = threading.Event()
        caught: list[BaseException] = []

        def ready() -> bool:
            asked.set()
            return False

        def start() -> None:
            try:
                self.service(IDLE, ready=ready).start()
            except errors.LabError as exc:
                caught.append(exc)

        thread = threading.Thread(target=start)
        thread.start()
        self.assertTrue(asked.wait(30))
        self.supervisor.close()
        thread.join(30)
        self.assertIsInstance(caught[0], errors.LabClosed)


class Commands(LabCase):
    def test_a_failed_one_is_told_with_the_end_of_its_log(self) -> None:
        with self.assertRaisesRegex(errors.ProgramError, r'\| oh no'):
            self.supervisor.run(
                'cmd', (PYTHON, '-c', 'raise SystemExit("oh no")')
            )

    def test_one_that_takes_too_long_is_killed(self) -> None:
        with self.assertRaisesRegex(errors.ProgramError, 'more than 0 s'):
            self.supervisor.run('cmd', IDLE, timeout_s=0.0)
        self.assertEqual([], processes.sweep(self.token))


class Sweeping(LabCase):
    def test_finds_what_went_off_on_its_own(self) -> None:
        service = self.service(WITH_CHILD)
        service.program = dataclasses.replace(
            service.program, ready=lambda: bool(service.log_text().strip())
        )
        service.start()
        child = int(service.log_text())
        service.kill()
        self.assertIsNotNone(processes.Identity.of(child))
        self.assertEqual([child], processes.sweep(self.token))
        self.assertIsNone(processes.Identity.of(child))

    def test_without_a_token_touches_nothing(self) -> None:
        self.assertEqual([], processes.sweep(''))


class Ending(LabCase):
    def test_goes_by_rank(self) -> None:
        """What others need goes last, whatever the order of the records."""
        names = ('naming', 'infrastructure', 'application')
        ranks = sorted(processes.Rank, reverse=True)
        for name, rank in zip(names, ranks, strict=True):
            log = (
                'import signal, sys, time\n'
                f'def end(*_):\n'
                f'    open({str(self.folder / "order")!r}, "a").write('
                f'{name!r} + " ")\n'
                '    sys.exit()\n'
                'signal.signal(signal.SIGTERM, end)\n'
                'print("up", flush=True)\n'
                'time.sleep(300)\n'
            )
            service = self.service((PYTHON, '-c', log), name, rank=rank)
            service.program = dataclasses.replace(
                service.program, ready=lambda s=service: 'up' in s.log_text()
            )
            service.start()
        killed = processes.end(
            processes.read_records(self.supervisor.pid_folder)
        )
        self.assertEqual([], killed)
        self.assertEqual(
            'application infrastructure naming ',
            (self.folder / 'order').read_text(),
        )

    def test_names_those_that_had_to_be_killed(self) -> None:
        service = self.service(STUBBORN, 'deaf', grace_s=0.0)
        service.program = dataclasses.replace(
            service.program, ready=lambda: 'deaf' in service.log_text()
        )
        service.start()
        killed = processes.end(
            processes.read_records(self.supervisor.pid_folder)
        )
        self.assertEqual(['deaf'], killed)


class LogTail(unittest.TestCase):
    def test_is_the_end_of_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, 'log')
            log.write_bytes(b''.join(b'%d \xff\n' % n for n in range(100)))
            tail = errors.log_tail(log, lines=2)
        self.assertEqual(['98 \ufffd', '99 \ufffd'], tail)

    def test_a_missing_log_has_none(self) -> None:
        self.assertEqual([], errors.log_tail(Path('/no/such/log')))
        error = errors.ProgramError('it failed', Path('/no/such/log'))
        self.assertIn('(empty)', str(error))
