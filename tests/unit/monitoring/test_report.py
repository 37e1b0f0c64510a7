"""A report says what runs, and no secret."""

from __future__ import annotations

import os
from pathlib import Path
import tempfile
import unittest

from oslo_config import cfg
import oslo_messaging

from tests.unit.agent import builders
from tests.unit.agent.test_service import ServiceCase
from virtdc_agent.clock import SystemClock
from virtdc_agent.executor.operation import RunningOperation
from virtdc_agent.executor.timing import Budget
from virtdc_agent.executor.watch import Watch
from virtdc_agent.monitoring import report
from virtdc_agent import service

SECRET = 'hunter2secret'


class ReportCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        # The library reports on the global object, which both programs use.
        cfg.CONF.reset()
        report.register_opts(cfg.CONF)
        cfg.CONF([], project='virtdc-test', default_config_files=[])
        # Registers its options.
        oslo_messaging.get_rpc_transport(cfg.CONF, url='fake://').cleanup()
        self.addCleanup(cfg.CONF.reset)

    def report(self, **sections) -> report.Report:
        return report.Report(
            cfg.CONF, product='virtdc-test', version='1.2', sections=sections
        )


class TestReport(ReportCase):
    def test_says_what_there_is_to_say(self) -> None:
        text = self.report(
            Lanes=lambda: {'quick': {'limit': 10, 'in_flight': 3}}
        ).make()
        for words in ('Lanes', 'in_flight', 'Threads', 'test_report.py'):
            self.assertIn(words, text)

    def test_a_section_that_fails_does_not_hide_the_others(self) -> None:
        def fail() -> dict[str, object]:
            raise RuntimeError('the journal is away')

        text = self.report(Bad=fail, Good=lambda: {'limit': 10}).make()
        self.assertIn('the journal is away', text)
        self.assertIn('limit', text)

    def test_secrets_are_masked(self) -> None:
        cfg.CONF.set_override(
            'transport_url', f'rabbit://u:{SECRET}@broker:5672/virtdc'
        )
        text = self.report(
            Odd=lambda: {
                'address': f'mysql+pymysql://u:{SECRET}@db/virtdc',
                'note': f"password = '{SECRET}'",
            }
        ).make()
        self.assertNotIn(SECRET, text)
        self.assertIn('mysql+pymysql://u:***@db/virtdc', text)
        self.assertIn('transport_url: ***', text.replace(' = ', ': '))

    def test_a_file_that_nobody_else_may_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cfg.CONF.set_override('log_dir', folder, group='oslo_reports')
            self.report(Lanes=lambda: {'limit': 10}).write()
            (path,) = Path(folder).iterdir()
            self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
            self.assertIn('limit', path.read_text())

    def test_a_folder_that_is_not_there_is_logged(self) -> None:
        cfg.CONF.set_override('log_dir', '/nonexistent', group='oslo_reports')
        with self.assertLogs('virtdc_agent.monitoring.report', 'ERROR'):
            self.report().write()


class TestWhatTheAgentSays(ServiceCase):
    def test_its_sections(self) -> None:
        conf = self.configure()
        service.sync_journal(conf)
        agent = self.start(conf)
        found = {title: make() for title, make in agent.sections().items()}
        self.assertEqual('good', found['Agent']['lease'])
        self.assertEqual(10, found['Agent']['lane quick']['limit'])
        self.assertEqual(0, found['Journal']['waiting'])
        self.assertEqual({}, found['Running events'])
        self.assertIn('lease', found['Health'])

    def test_what_runs(self) -> None:
        watch = Watch(
            journal=None,
            clock=SystemClock(),
            give_up=lambda operation: None,
            progress_interval_s=1.0,
        )
        operation = RunningOperation(
            builders.claim(builders.create('v')),
            clock=SystemClock(),
            budget=Budget(timeout_s=60.0),
            lease=_Good(),
        )
        watch.add(operation)
        operation.report(bytes_done=3, bytes_total=9, phase='copying')
        (found,) = watch.look()
        self.assertEqual('v', found.event.volume_id)
        self.assertEqual('copying', found.progress.phase)
        self.assertEqual('', found.withdrawn)


class _Good:
    is_good = True
