"""What is configured wrong is refused at the start, by name."""

from __future__ import annotations

from pathlib import Path
import tempfile
import threading
import time
import unittest
from unittest import mock

from oslo_config import cfg

from tests.unit.agent import builders
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.exporters.share import ShareExporter
from virtdc_agent import model
from virtdc_agent import opts
from virtdc_agent.scheduling import Lane
from virtdc_agent import service

WAIT_S = 10.0


class ServiceCase(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / 'pool').mkdir()

    def configure(self, **sections: dict[str, object]) -> cfg.ConfigOpts:
        """Return a configuration that works but for what is given."""
        wanted: dict[str, dict[str, object]] = {
            'DEFAULT': {
                'transport_url': 'fake://',
                'state_path': self.folder,
            },
            'agent': {'name': 'a'},
            'backend_file': {'path': self.folder / 'pool'},
            'exporter_share': {'export': 'filer:/volumes'},
        }
        for section, options in sections.items():
            wanted[section] = {**wanted.get(section, {}), **options}
        file = self.folder / 'agent.conf'
        file.write_text(
            ''.join(
                f'[{section}]\n'
                + ''.join(
                    f'{name} = {value}\n' for name, value in options.items()
                )
                for section, options in wanted.items()
            ),
            encoding='utf-8',
        )
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf(['--config-file', str(file)], project='virtdc-test')
        return conf

    def start(self, conf: cfg.ConfigOpts) -> service.Service:
        agent = service.Service(conf)
        agent.start()
        self.addCleanup(agent.stop)
        return agent


class TestRefusals(ServiceCase):
    def assert_refused(self, words: str, **sections) -> None:
        conf = self.configure(**sections)
        with self.assertRaisesRegex(exceptions.ConfigInvalid, words):
            self.start(conf)

    def test_unknown_plugins_are_named_with_the_known_ones(self) -> None:
        for option, section, known in (
            ('backend', 'agent', 'file, memory'),
            ('exporter', 'agent', 'iscsi-tgt, memory, share'),
            ('policy', 'executor', 'adaptive, aimd, fixed, shrink'),
        ):
            with self.subTest(option):
                self.assert_refused(
                    rf'{option} = nonsense is unknown; there are: {known}',
                    **{section: {option: 'nonsense'}},
                )

    def test_a_policy_that_starves_needs_consent(self) -> None:
        self.assert_refused(
            'accept_starvation = true', executor={'policy': 'shrink'}
        )
        conf = self.configure(
            executor={'policy': 'shrink', 'accept_starvation': True}
        )
        with self.assertLogs('virtdc_agent.service', 'WARNING') as logs:
            service.Service(conf)
        self.assertIn('may lower its limit to 0', ''.join(logs.output))

    def test_storage_that_cannot_be_used(self) -> None:
        missing = self.folder / 'missing'
        for words, options in (
            ('path', {'path': ''}),
            ('missing', {'path': missing}),
            ('require_mount|mount point', {'require_mount': True}),
        ):
            with self.subTest(words):
                self.assert_refused(words, backend_file=options)

    def configure_pools(self, **sections):
        """Return a configuration of two pools that works."""
        wanted = {
            'agent': {'pools': 'fast, slow'},
            'pool_fast': {'path': self.folder / 'pool'},
            'pool_slow': {'backend': 'memory'},
            'exporter_share': {'pool_exports': 'fast:f:/a,slow:f:/b'},
        }
        for section, options in sections.items():
            wanted[section] = {**wanted.get(section, {}), **options}
        return self.configure(**wanted)

    def test_pools_that_cannot_be(self) -> None:
        missing = self.folder / 'missing'
        for words, sections in (
            ('twice', {'agent': {'pools': 'fast, fast'}}),
            (r"pools has 'a/b'", {'agent': {'pools': 'fast, a/b'}}),
            ('remove one of the two', {'agent': {'pool_name': 'x'}}),
            (
                r'\[pool_slow\] backend = x is unknown; there are: file',
                {'pool_slow': {'backend': 'x'}},
            ),
            (r'\[pool_fast\] path is not set', {'pool_fast': {'path': ''}}),
            (
                r'\[pool_fast\] path = .*missing is not a folder',
                {'pool_fast': {'path': missing}},
            ),
            (
                r'\[pool_fast\].*reserved_percentage',
                {'pool_fast': {'reserved_percentage': 101}},
            ),
            (
                'pool_exports does not say .* pool slow',
                {'exporter_share': {'pool_exports': 'fast:f:/a'}},
            ),
            (
                'pool_exports names warm',
                {
                    'exporter_share': {
                        'pool_exports': 'fast:f:/a,slow:f:/b,warm:f:/c'
                    }
                },
            ),
            (
                "pool_exports has 'nonsense' for slow",
                {
                    'exporter_share': {
                        'pool_exports': 'fast:f:/a,slow:nonsense'
                    }
                },
            ),
            ('twice', {'agent': {'exporters': 'share, share'}}),
            (
                r'\[agent\] exporters = x is unknown; there are: iscsi-tgt',
                {'agent': {'exporters': 'share, x'}},
            ),
        ):
            with (
                self.subTest(words),
                self.assertRaisesRegex(exceptions.ConfigInvalid, words),
            ):
                self.start(self.configure_pools(**sections))

    def test_a_pool_that_is_not_configured_any_more_is_reported(self) -> None:
        conf = self.configure_pools()
        service.sync_journal(conf)
        journal = service.open_journal(conf, SystemClock())
        journal.join()
        journal.append(builders.create('v'))
        [claim] = journal.claim(Lane.QUICK, 1)
        volume = builders.volume('v', pool='gone')
        journal.settle(
            claim,
            model.Outcome(
                state=State.SUCCESS, change=model.PutVolume(volume=volume)
            ),
        )
        journal.close()
        with self.assertLogs('virtdc_agent.service', 'ERROR') as logs:
            self.start(conf)
        self.assertIn('1 volumes are in pool gone', ''.join(logs.output))

    def test_an_export_that_nobody_can_mount(self) -> None:
        self.assert_refused('export', exporter_share={'export': 'nonsense'})
        self.assert_refused('export', exporter_share={'export': ''})

    def test_a_bus_address_that_is_none(self) -> None:
        for url in ('nonsense://x', 'rabbit://h:port'):
            with self.subTest(url):
                self.assert_refused(
                    'transport_url', DEFAULT={'transport_url': url}
                )

    def test_a_journal_without_its_tables(self) -> None:
        self.assert_refused('virtdc-manage db sync')

    def test_numbers_out_of_range(self) -> None:
        for option, value in (
            ('batch_size', 0),
            ('batch_size', 1001),
            ('batch_size', 'ten'),
            ('interval_s', 0),
            ('interval_s', -2),
            ('timeout_s', 0),
            ('timeout_s', 1e9),
            ('dispatch', 'sometimes'),
            ('operation_timeouts', 'create:soon'),
            ('operation_timeouts', 'paint:5'),
            ('extendable', 'create,paint'),
            ('batch_size', 257),
            ('copy_batch_size', 257),
            ('lease_s', 0),
            ('retries', -1),
        ):
            with self.subTest(f'{option} = {value}'):
                conf = self.configure(executor={option: value})
                with self.assertRaisesRegex(exceptions.ConfigInvalid, option):
                    service.Service(conf)


class TestLife(ServiceCase):
    def test_the_exporter_is_told_all_that_is_attached(self) -> None:
        conf = self.configure(agent={'backend': 'memory'})
        service.sync_journal(conf)
        journal = service.open_journal(conf, SystemClock())
        journal.join()
        for event in (
            builders.create('free'),
            *(builders.create(f'v-{number}') for number in range(5)),
            *(builders.connect(f'v-{number}', 'h') for number in range(5)),
        ):
            journal.append(event)
            [claim] = journal.claim(Lane.QUICK, 1)
            volume = builders.volume(
                event.volume_id,
                attached_to=('h',) * (event.operation is Operation.CONNECT),
            )
            journal.settle(
                claim,
                model.Outcome(
                    state=State.SUCCESS, change=model.PutVolume(volume=volume)
                ),
            )
        journal.close()
        told: list[events.Volume] = []
        with (
            mock.patch.object(service, '_PAGE', 2),
            mock.patch.object(
                ShareExporter,
                'resume',
                autospec=True,
                side_effect=lambda self, volumes: told.extend(volumes),
            ),
        ):
            self.start(conf)
        self.assertEqual(
            [f'v-{number}' for number in range(5)],
            [volume.volume_id for volume in told],
        )

    def test_starts_recovers_and_stops(self) -> None:
        conf = self.configure()
        service.sync_journal(conf)
        self.assertEqual('0008', service.journal_version(conf))
        journal = service.open_journal(conf, SystemClock())
        interrupted = builders.create('v')
        journal.join()
        journal.append(interrupted)
        journal.claim(Lane.QUICK, 1)
        journal.close()
        agent = self.start(conf)
        reader = service.open_journal(conf, SystemClock())
        self.addCleanup(reader.close)
        deadline = time.monotonic() + WAIT_S
        while True:
            latest = reader.get_latest([interrupted.event_id])
            if latest[interrupted.event_id].state is State.SUCCESS:
                break
            self.assertLess(time.monotonic(), deadline)
            threading.Event().wait(0.01)
        self.assertEqual(2, latest[interrupted.event_id].attempt)
        self.assertTrue((self.folder / 'pool' / 'volume-v').exists())
        self.assertTrue(agent.stop())
