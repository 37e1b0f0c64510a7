"""Alarms leave, at least once each change, whatever is in the way."""

from __future__ import annotations

from pathlib import Path
import tempfile
import threading
import unittest

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.alarms.ledger import FileLedger
from cinder_virtdc.alarms.ledger import Ledger
from cinder_virtdc.alarms.relay import LogOutlet
from cinder_virtdc.alarms.relay import Relay
from cinder_virtdc.alarms.reports import Report
from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.clock import FakeClock
from cinder_virtdc import exceptions
from tests.unit.driver import builders
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import catalogue

KIND = catalogue.VOLUME_DELETED.kind


class Outlet:
    """Keeps what it is given; fails as often as it is told to."""

    name = 'outlet'

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.failures = 0
        self.arrived = threading.Event()

    def send(self, report: Report) -> None:
        if self.failures:
            self.failures -= 1
            raise exceptions.OutletFailed('It is away.')
        self.reports.append(report)
        self.arrived.set()

    @property
    def changes(self) -> list[str]:
        return [one.change.value for one in self.reports]


class RelayTest(unittest.TestCase):
    def setUp(self) -> None:
        self.agent = FakeAgent()
        self.client = builders.client_of(self.agent)
        self.book = AlarmBook(self.client)
        self.clock = FakeClock()
        self.outlet = Outlet()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / 'state' / 'alarms.json'
        self.relay = self.make_relay()

    def make_relay(self, ledger: Ledger | None = None) -> Relay:
        return Relay(
            self.outlet,
            marks=self.client,
            holder='here',
            book=self.book,
            ledger=ledger or FileLedger(self.path),
            clock=self.clock,
            describe=lambda alarm: {'project_id': 'p', 'name': 'data'},
        )

    def put(self, message: str = 'It was deleted.') -> None:
        self.client.raise_alarm(
            KIND,
            'volume-1',
            severity=Severity.CRITICAL,
            message=message,
            details={
                'requested_by': {'user_id': 'bob'},
                'attached_to': ['compute-1'],
            },
        )

    def deliver(self) -> None:
        self.book.refresh()
        self.relay.deliver()

    def test_a_life(self) -> None:
        self.put()
        self.deliver()
        self.deliver()
        self.put('It was deleted twice.')
        self.deliver()
        self.client.acknowledge_alarm(
            KIND, 'volume-1', by='eve', comment='Seen.'
        )
        self.deliver()
        self.client.clear_alarm(KIND, 'volume-1')
        self.deliver()
        self.deliver()
        self.assertEqual(
            ['raised', 'changed', 'acknowledged', 'cleared'],
            self.outlet.changes,
        )
        self.assertEqual(
            ['ERROR', 'ERROR', 'INFO', 'INFO'],
            [one.priority for one in self.outlet.reports],
        )
        self.assertEqual(1, self.relay.sent['raised'])

    def test_what_a_report_says(self) -> None:
        self.put()
        self.deliver()
        payload = self.outlet.reports[0].payload
        for key, value in (
            ('tenant_id', 'p'),
            ('project_id', 'p'),
            ('volume_id', 'volume-1'),
            ('display_name', 'data'),
            ('severity', 'critical'),
            ('attached_to', ['compute-1']),
            ('repair', catalogue.VOLUME_DELETED.repair),
        ):
            self.assertEqual(value, payload[key])
        self.assertEqual('bob', payload['actor']['user_id'])

    def test_over_a_restart_nothing_is_told_twice(self) -> None:
        self.put()
        self.deliver()
        self.relay = self.make_relay(FileLedger(self.path))
        self.deliver()
        self.assertEqual(['raised'], self.outlet.changes)
        self.client.clear_alarm(KIND, 'volume-1')
        self.relay = self.make_relay(FileLedger(self.path))
        self.deliver()
        self.assertEqual(['raised', 'cleared'], self.outlet.changes)

    def test_before_the_agent_was_asked_nothing_is_cleared(self) -> None:
        self.put()
        self.deliver()
        self.book = AlarmBook(self.client)
        self.make_relay(FileLedger(self.path)).deliver()
        self.assertEqual(['raised'], self.outlet.changes)

    def test_a_broken_ledger_is_set_aside(self) -> None:
        """The agent still knows what was told, unless it has no marks."""
        self.put()
        self.deliver()
        self.path.write_text('nonsense')
        with self.assertLogs('cinder_virtdc.alarms.ledger', 'WARNING'):
            self.relay = self.make_relay(FileLedger(self.path))
        self.deliver()
        self.assertEqual(['raised'], self.outlet.changes)
        self.agent.marks.settled.clear()
        self.path.write_text('{"outlet": {"x": 1}}')
        with self.assertLogs('cinder_virtdc.alarms.ledger', 'WARNING'):
            self.relay = self.make_relay(FileLedger(self.path))
        self.deliver()
        first, second = self.outlet.reports
        self.assertEqual(first.message_id, second.message_id)
        self.assertEqual(first.payload['revision'], second.payload['revision'])

    def test_raised_again_is_raised(self) -> None:
        self.put()
        self.deliver()
        self.client.clear_alarm(KIND, 'volume-1')
        self.agent.submit(builders.event())
        self.put()
        self.deliver()
        self.assertEqual(['raised', 'raised'], self.outlet.changes)

    def test_a_failing_outlet_is_asked_again(self) -> None:
        self.outlet.failures = 2
        self.put()
        self.book.refresh()
        with self.assertLogs('cinder_virtdc.alarms.relay', 'INFO') as logs:
            self.relay.start()
            self.relay.ring()
            for _ in range(200):
                if self.outlet.arrived.wait(0.05):
                    break
                self.clock.advance(1)
            self.relay.stop()
        self.assertEqual(['raised'], self.outlet.changes)
        self.assertEqual(
            ['WARNING', 'INFO'], [one.levelname for one in logs.records]
        )

    def test_the_log(self) -> None:
        self.put()
        self.deliver()
        with self.assertLogs('cinder_virtdc.alarms.relay', 'ERROR') as logs:
            LogOutlet().send(self.outlet.reports[0])
        self.assertIn('volume-1', logs.output[0])
