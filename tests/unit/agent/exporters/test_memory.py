"""What only the memory exporter has: records and faults."""

from __future__ import annotations

from tests import base
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance.exporter import FIRST
from virtdc_agent.contract.events import ConnectParameters
from virtdc_agent import exceptions
from virtdc_agent.exporters.memory import MemoryExporter


class TestMemoryExporter(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.exporter = MemoryExporter.from_config(
            self.conf, clock=FakeClock(), locate=lambda volume_id: None
        )

    def test_remembers_who_may_reach_what(self) -> None:
        for host in ('one', 'two', 'one'):
            self.exporter.connect(FIRST, ConnectParameters(host=host))
        self.exporter.disconnect(FIRST, 'two')
        self.assertEqual({('first', 'one')}, self.exporter.connected)
        self.assertEqual(
            [
                ('connect', 'first', 'one'),
                ('connect', 'first', 'two'),
                ('connect', 'first', 'one'),
                ('disconnect', 'first', 'two'),
            ],
            self.exporter.calls,
        )

    def test_fails_once_when_told_to(self) -> None:
        error = exceptions.BackendBusy('on demand')
        self.exporter.fail(error)
        with self.assertRaises(exceptions.BackendBusy) as caught:
            self.exporter.connect(FIRST, ConnectParameters(host='one'))
        self.assertIs(error, caught.exception)
        self.assertEqual(set(), self.exporter.connected)
        self.exporter.connect(FIRST, ConnectParameters(host='one'))
