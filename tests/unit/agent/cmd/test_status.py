"""What the upgrade check finds, and that it changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest

from tests.unit.agent import builders
from tests.unit.agent.test_service import ServiceCase
from virtdc_agent.clock import SystemClock
from virtdc_agent.cmd.status import checks
from virtdc_agent import opts
from virtdc_agent import service

NAMES = [name for name, _ in checks.Checks._upgrade_checks]


class StatusCase(ServiceCase):
    def configure(self, **sections):
        conf = super().configure(**sections)
        os.chmod(self.folder / 'agent.conf', 0o600)
        return conf

    def results(self, conf) -> dict[str, tuple[int, str]]:
        found = checks.Checks(conf)
        return {
            name: (int(result.code), result.details or '')
            for name, check in found._upgrade_checks
            for result in [check(found)]
        }


class TestChecks(StatusCase):
    def test_all_is_well(self) -> None:
        key_file = self.folder / 'keys'
        key_file.write_text(f'k1 {"ab" * 32}\n')
        key_file.chmod(0o600)
        conf = self.configure(agent={'key_file': key_file})
        service.sync_journal(conf)
        found = self.results(conf)
        self.assertEqual(NAMES, list(found))
        self.assertEqual({0}, {code for code, _ in found.values()}, found)

    def test_options_that_nobody_reads(self) -> None:
        conf = self.configure(
            executor={'batchsize': 3},
            backend_file={'path': self.folder / 'pool', 'colour': 'red'},
        )
        code, details = self.results(conf)['Configuration']
        self.assertEqual(1, code)
        self.assertIn('[executor] batchsize', details)
        self.assertIn('[backend_file] colour', details)

    def test_options_of_the_libraries_and_pools_are_known(self) -> None:
        conf = self.configure(
            DEFAULT={'debug': True, 'use_json': True},
            agent={'pools': 'fast'},
            pool_fast={'path': self.folder / 'pool'},
            exporter_share={'pool_exports': 'fast:f:/a'},
            oslo_messaging_rabbit={'amqp_durable_queues': True},
            keystone_authtoken={'username': 'virtdc'},
        )
        self.assertEqual((0, ''), self.results(conf)['Configuration'])

    def test_a_configuration_that_cannot_work(self) -> None:
        conf = self.configure(agent={'backend': 'nonsense'})
        found = self.results(conf)
        self.assertEqual(2, found['Configuration'][0])
        self.assertIn('nonsense', found['Configuration'][1])

    def test_a_journal_that_is_not_there(self) -> None:
        conf = self.configure()
        code, details = self.results(conf)['Journal']
        self.assertEqual(2, code)
        self.assertIn('db sync', details)

    def test_a_journal_of_an_earlier_version(self) -> None:
        conf = self.configure()
        engine = service.engines.make_engine(opts.connection_of(conf))
        service.migrate.sync(engine, '0005')
        found = self.results(conf)
        self.assertEqual(1, found['Journal'][0])
        self.assertIn('0005', found['Journal'][1])
        self.assertEqual(1, found['Agents'][0])
        self.assertEqual('0005', service.journal_version(conf))

    def test_a_backlog_that_cannot_be_read(self) -> None:
        conf = self.configure()
        service.sync_journal(conf)
        journal = service.open_journal(conf, SystemClock())
        self.addCleanup(journal.close)
        journal.append(builders.create('v'))
        self.assertEqual(
            (0, '1 events are unfinished.'),
            self.results(conf)['Unfinished events'],
        )
        engine = service.engines.make_engine(opts.connection_of(conf))
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE events SET content = replace(content, '1.2', '9.0')"
            )
        code, details = self.results(conf)['Unfinished events']
        self.assertEqual(2, code, details)
        self.assertIn('9.0', details)

    def test_an_agent_of_another_version(self) -> None:
        conf = self.configure()
        service.sync_journal(conf)
        journal = service.open_journal(conf, SystemClock())
        self.addCleanup(journal.close)
        journal.join()
        self.assertEqual(
            (0, '1 agents are alive.'), self.results(conf)['Agents']
        )
        engine = service.engines.make_engine(opts.connection_of(conf))
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE agents SET version = '0.1'")
        code, details = self.results(conf)['Agents']
        self.assertEqual(1, code)
        self.assertIn('a 0.1', details)

    def test_a_storage_that_is_away(self) -> None:
        conf = self.configure(backend_file={'path': self.folder / 'no'})
        code, details = self.results(conf)['Pools']
        self.assertEqual(2, code)
        self.assertIn('[backend_file] path', details)

    def test_no_trash(self) -> None:
        conf = self.configure(agent={'trash_s': 0})
        self.assertEqual(1, self.results(conf)['Trash'][0])

    def test_files_that_others_may_read(self) -> None:
        key_file = self.folder / 'keys'
        key_file.write_text(f'k1 {"ab" * 32}\n')
        key_file.chmod(0o644)
        conf = self.configure(agent={'key_file': key_file})
        os.chmod(self.folder / 'agent.conf', 0o644)
        code, details = self.results(conf)['Secrets']
        self.assertEqual(2, code)
        self.assertIn('key_file', details)
        self.assertIn('agent.conf', details)


class TestProgram(StatusCase):
    def test_runs_and_exits_with_the_worst(self) -> None:
        conf = self.configure()
        service.sync_journal(conf)
        done = subprocess.run(
            [
                sys.executable,
                *('-W', 'ignore', '-m', 'virtdc_agent.cmd.status.main'),
                *('--config-file', str(self.folder / 'agent.conf')),
                *('upgrade', 'check', '--json'),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(1, done.returncode, done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual(NAMES, [one['check'] for one in found['checks']])


if __name__ == '__main__':
    unittest.main()
