"""Who lives, who is ready, and who is told."""

from __future__ import annotations

import json
from pathlib import Path
import socket
import tempfile
import threading
import unittest

from virtdc_agent.clock import FakeClock
from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring import health
from virtdc_agent.monitoring.health import Check
from virtdc_agent.monitoring.health import Health
from virtdc_agent.monitoring.reaching import Reach
from virtdc_agent.monitoring.serving import Application
from virtdc_agent.monitoring.systemd import Notifier


class HealthCase(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = FakeClock()
        self.health = Health(self.clock.monotonic)

    def wrong(self) -> list[str]:
        return [one.name for one in self.health.liveness() if not one.ok]


class TestLiveness(HealthCase):
    def test_a_loop_that_turns_in_time(self) -> None:
        pulse = self.health.pulse('lease')
        self.assertEqual([], self.wrong())
        for _ in range(5):
            pulse.beat(10.0)
            self.clock.advance(10.0 + health.GRACE_S)
            self.assertEqual([], self.wrong())

    def test_a_loop_that_hangs(self) -> None:
        pulse = self.health.pulse('lease')
        self.health.pulse('outbox').beat(1e6)
        pulse.beat(10.0)
        self.clock.advance(11.0 + health.GRACE_S)
        self.assertEqual(['lease'], self.wrong())
        pulse.beat(10.0)
        self.assertEqual([], self.wrong())

    def test_work_that_takes_long_is_no_hanging(self) -> None:
        pulse = self.health.pulse('outbox')
        pulse.beat(1.0)
        pulse.beat()
        self.clock.advance(1e6)
        self.assertEqual([], self.wrong())

    def test_a_thread_that_has_died(self) -> None:
        go_on = threading.Event()
        thread = threading.Thread(target=go_on.wait, name='of-the-test')
        thread.start()
        self.health.expect(['of-the-test'])
        self.assertEqual([], self.wrong())
        go_on.set()
        thread.join()
        self.assertEqual(['of-the-test'], self.wrong())

    def test_at_the_end_threads_are_meant_to_end(self) -> None:
        self.health.expect(['of-nobody'])
        self.health.end()
        self.assertEqual([], self.wrong())
        self.assertFalse(self.health.readiness()[0].ok)


class TestReach(unittest.TestCase):
    def test_one_of_several_is_enough(self) -> None:
        def connect(address: tuple[str, int]) -> None:
            if address[0] == 'away':
                raise ConnectionRefusedError('refused')

        reach = Reach('bus', [('away', 1), ('there', 2)], connect=connect)
        reach.look()
        self.assertTrue(reach.check().ok)
        reach = Reach('bus', [('away', 1)], connect=connect)
        reach.look()
        self.assertFalse(reach.check().ok)
        self.assertIn('away:1: refused', reach.check().message)

    def test_a_real_address(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as server:
            address = server.getsockname()
            reach = Reach('bus', [address])
            reach.look()
            self.assertTrue(reach.check().ok)
        reach.look()
        self.assertFalse(reach.check().ok)


class TestApplication(HealthCase):
    def ask(self, path: str, method: str = 'GET') -> tuple[str, str]:
        answers: list[str] = []
        application = Application(Board([]), self.health)
        body = application(
            {
                'REQUEST_METHOD': method,
                'PATH_INFO': path,
                'QUERY_STRING': '',
            },
            lambda status, headers: answers.append(status),
        )
        return answers[0], b''.join(body).decode()

    def test_what_is_wrong_is_said(self) -> None:
        self.health.ask(lambda: [Check('bus', False, 'not reached')])
        self.assertEqual('200 OK', self.ask('/healthcheck/live')[0])
        status, body = self.ask('/healthcheck')
        self.assertEqual('503 Service Unavailable', status)
        self.assertEqual(
            {
                'status': 'unavailable',
                'checks': [
                    {'name': 'bus', 'ok': False, 'message': 'not reached'}
                ],
            },
            json.loads(body),
        )

    def test_one_that_hangs_is_neither_alive_nor_ready(self) -> None:
        self.health.expect(['of-nobody'])
        for path in ('/healthcheck/live', '/healthcheck'):
            self.assertEqual('503 Service Unavailable', self.ask(path)[0])

    def test_other_paths_and_methods(self) -> None:
        self.assertEqual('404 Not Found', self.ask('/v1/volumes')[0])
        self.assertEqual(
            '405 Method Not Allowed', self.ask('/metrics', 'POST')[0]
        )
        self.assertIn('process_', self.ask('/metrics')[1])
        self.assertIn('/metrics', self.ask('/')[1])


class TestNotifier(HealthCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = str(Path(folder.name) / 'notify')
        self.systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.systemd.close)
        self.systemd.bind(path)
        self.systemd.settimeout(10)
        self.environment = {'NOTIFY_SOCKET': path, 'WATCHDOG_USEC': '300000'}

    def heard(self) -> str:
        return self.systemd.recv(500).decode()

    def test_it_is_told_of_life_while_there_is_any(self) -> None:
        notifier = Notifier(self.environment)
        self.assertEqual({}, self.environment)
        self.assertEqual(0.3, notifier.watchdog_s)
        self.assertTrue(notifier.tell(self.health))
        self.assertEqual('WATCHDOG=1', self.heard())
        self.health.expect(['of-nobody'])
        with self.assertLogs('virtdc_agent.monitoring', 'ERROR'):
            self.assertFalse(notifier.tell(self.health))
        self.assertEqual(
            'STATUS=of-nobody: its thread has ended', self.heard()
        )

    def test_it_is_told_again_and_again(self) -> None:
        notifier = Notifier(self.environment)
        notifier.ready(self.health)
        self.assertEqual('READY=1', self.heard())
        for _ in range(3):
            self.assertEqual('WATCHDOG=1', self.heard())
        notifier.stopping()

    def test_the_watchdog_of_another_process_is_none_of_ours(self) -> None:
        self.environment['WATCHDOG_PID'] = '1'
        self.assertIsNone(Notifier(self.environment).watchdog_s)

    def test_without_systemd_nothing_is_said(self) -> None:
        notifier = Notifier({})
        notifier.ready(self.health)
        notifier.stopping()
