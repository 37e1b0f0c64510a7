"""What the agent tells of itself."""

from __future__ import annotations

import json
import re
import threading
import time
import unittest
import urllib.error
import urllib.request

from tests.unit.agent import builders
from tests.unit.agent.test_service import ServiceCase
from virtdc_agent.clock import FakeClock
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.intake import Intake
from virtdc_agent import interfaces
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent import metering
from virtdc_agent import model
from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring.catalogue import Kind
from virtdc_agent.pools import Pools
from virtdc_agent import service
from virtdc_agent.space import SpaceReader

WAIT_S = 10.0
UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-')


class TestCatalogue(unittest.TestCase):
    def test_names_follow_the_conventions_of_prometheus(self) -> None:
        for metric in metering.METRICS:
            with self.subTest(metric.name):
                self.assertRegex(metric.name, r'^virtdc_[a-z_]+$')
                self.assertEqual(
                    metric.kind is Kind.COUNTER,
                    metric.name.endswith('_total'),
                )
                if metric.kind is Kind.HISTOGRAM:
                    self.assertTrue(metric.name.endswith('_seconds'))
                self.assertTrue(metric.meaning.endswith('.'))

    def test_no_label_can_be_an_id_or_a_name_of_a_user(self) -> None:
        known = {
            *('version', 'contract', 'operation', 'lane', 'origin'),
            *('outcome', 'state', 'kind', 'severity', 'acknowledged'),
            *('pool', 'method', 'route', 'status'),
        }
        for metric in metering.METRICS:
            self.assertLessEqual(set(metric.labels), known, metric.name)


class MeterCase(unittest.TestCase):
    def setUp(self) -> None:
        self.board = Board(metering.METRICS)
        self.meter = metering.BoardMeter(self.board)

    def value(self, name: str, **labels: str) -> float | None:
        return self.board.registry.get_sample_value(name, labels)


class TestMeter(MeterCase):
    def test_how_events_end(self) -> None:
        claim = builders.claim(builders.create())
        self.meter.ended(claim, model.Outcome(state=State.SUCCESS), 0.3)
        self.meter.ended(
            claim,
            model.Outcome(
                state=State.FAILED, reason=Reason.TIMEOUT, message='Late.'
            ),
            60.0,
        )
        labels = {'operation': 'create', 'lane': 'quick'}
        for outcome in ('success', 'timeout'):
            self.assertEqual(
                1.0,
                self.value(
                    'virtdc_events_ended_total',
                    **labels,
                    origin='cloud',
                    outcome=outcome,
                ),
            )
        self.assertEqual(
            60.0,
            self.value(
                'virtdc_event_run_seconds_sum', **labels, outcome='timeout'
            ),
        )

    def test_clocks_that_differ_make_no_negative_wait(self) -> None:
        self.meter.begun(builders.claim(builders.create()), -3.0)
        self.assertEqual(
            0.0,
            self.value(
                'virtdc_event_wait_seconds_sum',
                operation='create',
                lane='quick',
            ),
        )

    def test_what_is_handed_in(self) -> None:
        journal = MemoryJournal(clock=FakeClock())
        self.addCleanup(journal.close)
        intake = Intake(journal, max_waiting=1, meter=self.meter)
        intake.submit(builders.create())
        with self.assertRaises(exceptions.JournalUnavailable):
            intake.submit(builders.create())
        labels = {'operation': 'create', 'origin': 'cloud'}
        self.assertEqual(
            1.0, self.value('virtdc_events_accepted_total', **labels)
        )
        self.assertEqual(
            1.0, self.value('virtdc_events_refused_total', **labels)
        )

    def test_what_leaves(self) -> None:
        class Bus:
            def __init__(self) -> None:
                self.is_away = False

            def publish(self, notification: object) -> None:
                if self.is_away:
                    raise exceptions.PublishFailed('away')

        bus = Bus()
        publisher = metering.MeteredPublisher(bus, self.meter)
        publisher.publish(builders.transition())
        bus.is_away = True
        with self.assertRaises(exceptions.PublishFailed):
            publisher.publish(builders.transition())
        self.assertEqual(1.0, self.value('virtdc_published_total'))
        self.assertEqual(1.0, self.value('virtdc_publish_failures_total'))

    def test_methods_that_are_none_are_one(self) -> None:
        for method in ('GET', 'EVIL1', 'EVIL2'):
            self.meter.answered(method, '/v1/volumes', 200, 0.1)
        self.assertEqual(
            2.0,
            self.value(
                'virtdc_api_requests_total',
                method='other',
                route='/v1/volumes',
                status='200',
            ),
        )


class _Keeping:
    """Keeping that answers or not, and counts how often it is asked."""

    def __init__(self, survey: model.Survey | None) -> None:
        self.answer = survey
        self.asked = 0

    def survey(self) -> model.Survey:
        self.asked += 1
        if self.answer is None:
            raise exceptions.JournalUnavailable('away')
        return self.answer


class TestGauges(MeterCase):
    def gauges(self, keeping: _Keeping, backend: object) -> metering.Gauges:
        self.clock = FakeClock()
        self.pools = pools = Pools.of_one(backend)
        self.space = SpaceReader(pools, clock=self.clock, interval_s=10.0)
        gauges = metering.Gauges(
            keeping=keeping,
            lanes=dict,
            is_draining=lambda: False,
            pools=pools,
            space=self.space.get,
            clock=self.clock,
            version='1.0',
        )
        self.board.read_from(gauges.read)
        return gauges

    def test_a_journal_that_is_away(self) -> None:
        keeping = _Keeping(None)
        self.gauges(keeping, _Full())
        self.assertEqual(0.0, self.value('virtdc_journal_up'))
        self.assertIsNone(self.value('virtdc_outbox_pending'))

    def test_the_journal_is_not_asked_at_each_scrape(self) -> None:
        keeping = _Keeping(None)
        gauges = self.gauges(keeping, _Full())
        for _ in range(10):
            list(gauges.read())
        self.assertEqual(1, keeping.asked)
        self.clock.advance(metering.SURVEY_S)
        list(gauges.read())
        self.assertEqual(2, keeping.asked)

    def test_a_storage_that_hangs_is_seen_and_not_waited_for(self) -> None:
        self.gauges(_Keeping(None), _Full())
        self.assertEqual(0.0, self.value('virtdc_pool_up', pool='default'))
        self.space.read(self.pools.first)
        self.assertEqual(1.0, self.value('virtdc_pool_up', pool='default'))
        self.assertEqual(
            100.0, self.value('virtdc_pool_total_bytes', pool='default')
        )
        self.clock.advance(31.0)
        self.assertEqual(0.0, self.value('virtdc_pool_up', pool='default'))

    def test_alarms_of_kinds_that_nobody_knows_are_one(self) -> None:
        at = self_now = FakeClock().now()
        keeping = _Keeping(
            model.Survey(
                now=self_now,
                counts=model.Counts(
                    waiting=0, running=0, volumes=0, provisioned_bytes=0
                ),
                queue=(),
                untold_since=at,
                alarms={
                    ('made-up-1', 'minor', False): 2,
                    ('made-up-2', 'minor', False): 1,
                },
                agents=(1, 0),
            )
        )
        self.gauges(keeping, _Full())
        self.assertEqual(
            3.0,
            self.value(
                'virtdc_alarms',
                kind='other',
                severity='minor',
                acknowledged='no',
            ),
        )


class _Full:
    def space(self) -> model.StorageSpace:
        return model.StorageSpace(total_bytes=100, free_bytes=40)


class TestScrape(ServiceCase):
    def test_everything_is_there_and_no_id_is(self) -> None:
        conf = self.configure(
            monitoring={'enabled': True, 'bind_port': 0},
            api={'enabled': True, 'bind_port': 0, 'auth_strategy': 'none'},
        )
        service.sync_journal(conf)
        agent = self.start(conf)
        journal = service.open_journal(conf, SystemClock())
        self.addCleanup(journal.close)
        event = builders.create()
        journal.append(event)
        urllib.request.urlopen(
            f'http://127.0.0.1:{agent.api_port}/v1/volumes', timeout=WAIT_S
        ).close()
        deadline = time.monotonic() + WAIT_S
        while 'outcome="success"' not in (text := self.scrape(agent)):
            self.assertLess(time.monotonic(), deadline, text)
            threading.Event().wait(0.05)
        self.assertNotRegex(text, UUID)
        for metric in metering.METRICS:
            self.assertIn(f'# TYPE {metric.name} {metric.kind}\n', text)
            self.assertIn(f'# HELP {metric.name} ', text)
        self.assertIn('virtdc_limit{lane="quick"} 10.0\n', text)
        self.assertIn('route="/v1/volumes",status="200"} 1.0\n', text)
        self.assertIn('virtdc_pool_up{pool="default"} 1.0\n', text)

    def scrape(self, agent: service.Service) -> str:
        with urllib.request.urlopen(
            f'http://127.0.0.1:{agent.monitoring_port}/metrics',
            timeout=WAIT_S,
        ) as answer:
            return answer.read().decode()

    def test_it_lives_and_is_ready(self) -> None:
        conf = self.configure(monitoring={'enabled': True, 'bind_port': 0})
        service.sync_journal(conf)
        agent = self.start(conf)
        url = f'http://127.0.0.1:{agent.monitoring_port}/healthcheck'
        with urllib.request.urlopen(f'{url}/live', timeout=WAIT_S) as answer:
            live = json.load(answer)
        self.assertLessEqual(
            {'lease', 'outbox', 'dispatch-quick', 'dispatch-copy'},
            {check['name'] for check in live['checks']},
        )
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
                    ready = json.load(answer)
                break
            except urllib.error.HTTPError as exc:
                # The storage has not been asked yet.
                self.assertLess(time.monotonic(), deadline, exc.read())
                exc.close()
                threading.Event().wait(0.05)
        self.assertLessEqual(
            {'journal', 'lease', 'bus', 'pool default'},
            {check['name'] for check in ready['checks']},
        )
        self.assertTrue(agent.stop())
        self.assertEqual((), agent.health.liveness())

    def test_a_port_that_is_taken(self) -> None:
        conf = self.configure(monitoring={'enabled': True, 'bind_port': 0})
        service.sync_journal(conf)
        port = self.start(conf).monitoring_port
        conf = self.configure(
            agent={'name': 'b'},
            monitoring={'enabled': True, 'bind_port': port},
        )
        with self.assertRaisesRegex(
            exceptions.ConfigInvalid, r'\[monitoring\] bind_host'
        ):
            self.start(conf)


class TestNobodyCounts(unittest.TestCase):
    def test_the_base_bears_everything(self) -> None:
        meter = interfaces.Meter()
        claim = builders.claim(builders.create())
        meter.begun(claim, None)
        meter.ended(claim, model.Outcome(state=State.SUCCESS), 0.1)
        meter.answered('GET', '/', 200, 0.1)
