"""What operators ask of the running processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import Any
import urllib.error
import urllib.request

from cinder_virtdc.listener import metering as listener_metering
from tests.functional import base
from tools.lab import processes
from virtdc_agent import metering

UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}')
REQUEST = re.compile(r'req-[0-9a-f-]{36}')
PORT = re.compile(r'Metrics and health are served on port (\d+)')


class OperationsCase(base.CloudCase):
    def ask(self, service: processes.Service, path: str) -> tuple[int, str]:
        """Ask a process where its log says that it listens."""
        port = PORT.findall(service.log.read_text(errors='replace'))[-1]
        url = f'http://127.0.0.1:{port}{path}'
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()

    def value(self, service: processes.Service, series: str) -> float:
        """Return a series' value; 0 if it is not there."""
        found = re.search(
            rf'^{re.escape(series)} (\S+)$',
            self.ask(service, '/metrics')[1],
            re.MULTILINE,
        )
        return float(found[1]) if found else 0.0

    def is_ready(self, service: processes.Service) -> bool:
        return self.ask(service, '/healthcheck')[0] == 200


class TestMetrics(OperationsCase):
    def test_a_volume_is_seen_in_both(self) -> None:
        ended = (
            'virtdc_events_ended_total{lane="quick",operation="create",'
            'origin="cloud",outcome="success"}'
        )
        before = self.value(self.agent.service, ended)
        volume_id = self.create()
        self.wait(volume_id, state='success')
        self.assertEqual(before + 1, self.value(self.agent.service, ended))
        for service, module in (
            (self.agent.service, metering),
            (self.listener.service, listener_metering),
        ):
            text = self.ask(service, '/metrics')[1]
            self.assertNotRegex(text, UUID)
            for metric in module.METRICS:
                self.assertIn(f'# TYPE {metric.name} {metric.kind}\n', text)
        self.until(
            lambda: (
                self.value(self.listener.service, 'virtdc_listener_sequence')
                == self.value(self.agent.service, 'virtdc_journal_sequence')
                > 0
            ),
            15,
            lambda: 'the listener is not where the journal is',
        )
        self.assertGreater(
            self.value(
                self.listener.service,
                'virtdc_listener_cinder_requests_total'
                '{method="POST",status="200"}',
            ),
            0,
        )


class TestHealth(OperationsCase):
    def test_without_its_storage_it_lives_and_is_not_ready(self) -> None:
        for service in (self.agent.service, self.listener.service):
            self.until(
                lambda service=service: self.is_ready(service),
                40,
                lambda service=service: self.ask(service, '/healthcheck')[1],
            )
            self.assertEqual(200, self.ask(service, '/healthcheck/live')[0])
        self.agent.service.stop()
        self.addCleanup(self.agent.service.start)
        self.until(
            lambda: not self.is_ready(self.listener.service),
            40,
            lambda: self.ask(self.listener.service, '/healthcheck')[1],
        )
        status, body = self.ask(self.listener.service, '/healthcheck')
        wrong = {
            check['name']
            for check in json.loads(body)['checks']
            if not check['ok']
        }
        self.assertEqual({'agent'}, wrong)
        self.assertEqual(
            200, self.ask(self.listener.service, '/healthcheck/live')[0]
        )


class TestReport(OperationsCase):
    def test_each_tells_all_but_secrets_and_goes_on(self) -> None:
        password = self.lab.rabbitmq.private_url.split(':')[2].split('@')[0]
        for service, title in (
            (self.agent.service, 'Running events'),
            (self.listener.service, 'volumes to look at'),
        ):
            size = service.log.stat().st_size
            pid = service.pid

            def told(service: Any = service, size: int = size) -> str:
                with service.log.open(errors='replace') as log:
                    log.seek(size)
                    return log.read()

            subprocess.run(
                ['kill', f'-{signal.SIGUSR2.value}', str(pid)], check=True
            )
            self.until(
                lambda told=told, title=title: (
                    title in told() and 'Configuration' in told()
                ),
                20,
                told,
            )
            self.assertIn('transport_url', told())
            self.assertNotIn(password, told())
            self.assertEqual(pid, service.pid)


class TestRequestIds(OperationsCase):
    def debug(self, part: Any, *, is_on: bool) -> None:
        """Have a process log single events, or no more."""
        text = part.conf.read_text()
        part.conf.write_text(
            text.replace('[DEFAULT]\n', '[DEFAULT]\ndebug = true\n')
            if is_on
            else text.replace('debug = true\n', '')
        )
        subprocess.run(['kill', '-HUP', str(part.service.pid)], check=True)

    def test_one_is_found_in_every_log(self) -> None:
        sizes = {}
        for part in (self.agent, self.listener):
            self.debug(part, is_on=True)
            self.addCleanup(self.debug, part, is_on=False)
            sizes[part] = part.service.log.stat().st_size
            self.until(
                lambda part=part: (
                    'The configuration was read again'
                    in part.service.log.read_text(errors='replace')[-20000:]
                ),
                10,
                lambda: 'the configuration was not read again',
            )
        volume_id = self.create()
        self.wait(volume_id, state='success')
        accepted = self.line(self.agent, f'Accepted event .*{volume_id}')
        request_id = REQUEST.search(accepted)[0]
        for part, words in (
            (self.agent, rf'{request_id}.*{volume_id}\): success'),
            (self.agent, rf'{request_id}.*Told of event'),
            (self.listener, rf'{request_id}.*Heard of event'),
            (self.listener, rf'{request_id}.*its volume shows success'),
        ):
            self.line(part, words)
        volume_log = self.lab.cinder.volumes['virtdc'].log_text()
        self.assertIn(request_id, volume_log)

    def line(self, part: Any, words: str) -> str:
        """Return the line of a log that matches."""
        found: list[str] = []

        def is_there() -> bool:
            text = part.service.log.read_text(errors='replace')
            found[:] = [
                line for line in text.splitlines() if re.search(words, line)
            ]
            return bool(found)

        self.until(
            is_there, 15, lambda: f'{words} is not in {part.service.log}'
        )
        return found[-1]
