"""The exporters against the rules, and the rules against broken ones."""

from __future__ import annotations

import unittest

from tests.conformance import broken_exporters
from virtdc_agent.conformance import exporter as rules
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exporters.share import ShareExporter
from virtdc_agent import interfaces


class TestMemory(rules.ExporterRules):
    kind: type[MemoryExporter] = MemoryExporter

    def make_exporter(self) -> interfaces.Exporter:
        return self.kind()


class TestShare(rules.ExporterRules):
    def make_exporter(self) -> interfaces.Exporter:
        return ShareExporter('filer.example.org:/volumes')


BROKEN = {
    broken_exporters.HasNoProtocol: {'test_names_its_protocol'},
    broken_exporters.ForgetsAtStart: {'test_start_can_be_repeated'},
    broken_exporters.AnswersInBytes: {
        'test_connection_has_the_form_that_hosts_take'
    },
    broken_exporters.MixesVolumesUp: {'test_connection_tells_volumes_apart'},
    broken_exporters.SharesItsAnswer: {'test_connection_is_the_callers_own'},
    broken_exporters.CountsConnects: {'test_connect_again_changes_nothing'},
    broken_exporters.ServesOneHost: {
        'test_connect_of_another_host_leaves_the_first'
    },
    broken_exporters.TakesAnyHost: {
        'test_connect_refuses_a_host_without_a_name'
    },
    broken_exporters.MissesTheUnknown: {'test_disconnect_of_nobody_is_fine'},
    broken_exporters.RemembersLeavers: {'test_connect_after_disconnect'},
    broken_exporters.HasOnePlace: {'test_connects_at_once'},
}


class TestRulesCanFail(unittest.TestCase):
    def test_each_broken_exporter_trips_its_rule_and_no_other(self) -> None:
        for broken, expected in BROKEN.items():

            class Rules(TestMemory):
                kind = broken

            with self.subTest(broken.__name__):
                result = unittest.TestResult()
                unittest.defaultTestLoader.loadTestsFromTestCase(Rules).run(
                    result
                )
                tripped = {
                    test._testMethodName
                    for test, _ in result.failures + result.errors
                }
                self.assertEqual(expected, tripped)

    def test_every_rule_is_tripped_by_some_exporter(self) -> None:
        names = unittest.defaultTestLoader.getTestCaseNames(
            rules.ExporterRules
        )
        self.assertEqual(set(names), set().union(*BROKEN.values()))
