"""The exporters against the rules, and the rules against broken ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import tempfile
import unittest

from tests.conformance import broken_exporters
from tests import tgtd
from virtdc_agent.clock import FakeClock
from virtdc_agent.clock import SystemClock
from virtdc_agent.conformance import exporter as rules
from virtdc_agent.contract.events import ConnectParameters
from virtdc_agent.contract.events import Volume
from virtdc_agent.exporters.iscsi_tgt import IscsiTgtExporter
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exporters.share import ShareExporter
from virtdc_agent.exporters.tgt_memory import MemoryTgt
from virtdc_agent import interfaces


class TestMemory(rules.ExporterRules):
    kind: type[MemoryExporter] = MemoryExporter

    def make_exporter(self) -> interfaces.Exporter:
        return self.kind()

    def reaches(
        self, exporter: MemoryExporter, volume: Volume, host: str
    ) -> bool | None:
        return (volume.volume_id, host) in exporter.connected


class TestShare(rules.ExporterRules):
    def make_exporter(self) -> interfaces.Exporter:
        return ShareExporter('filer.example.org:/volumes')


class TestIscsiTgt(rules.ExporterRules):
    """Over a daemon that only remembers."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix='virtdc-')
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.tgt = MemoryTgt()

    def make_exporter(self) -> IscsiTgtExporter:
        return IscsiTgtExporter(
            self.tgt,
            state_path=str(self.folder),
            portals=['127.0.0.1:3260'],
            prefix='iqn.2026-01.org.example:test',
            clock=FakeClock(),
            locate=lambda volume_id: f'/volumes/{volume_id}',
        )

    def make_parameters(self, host: str) -> ConnectParameters:
        return ConnectParameters(
            host=host, connector={'initiator': initiator_of(host)}
        )

    def restart(self, exporter: IscsiTgtExporter) -> IscsiTgtExporter:
        self.tgt.restart()
        return self.make_exporter()

    def reaches(
        self, exporter: IscsiTgtExporter, volume: Volume, host: str
    ) -> bool:
        credentials = exporter._secrets.of(volume.volume_id, host)
        return self.can_log_in(
            {
                'target_portal': exporter._portals[0],
                'target_iqn': exporter._target_name(volume.volume_id),
                'target_lun': 1,
                'auth_username': credentials.account,
                'auth_password': credentials.secret,
            },
            initiator_of(host),
        )

    def can_log_in(self, data: Mapping[str, object], initiator: str) -> bool:
        return (
            self.tgt.log_in(
                str(data['target_iqn']),
                initiator,
                str(data['auth_username']),
                str(data['auth_password']),
            )
            is not None
        )


class TestIscsiTgtReal(TestIscsiTgt):
    """Over a real one, with real logins."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        tgtd.require()
        folder = tempfile.TemporaryDirectory(prefix='virtdc-')
        cls.addClassCleanup(folder.cleanup)
        cls.daemon = tgtd.Tgtd(Path(folder.name))
        cls.addClassCleanup(cls.daemon.close)

    def setUp(self) -> None:
        super().setUp()
        self.daemon.restart()

    def make_exporter(self) -> IscsiTgtExporter:
        return IscsiTgtExporter(
            self.daemon.control,
            state_path=str(self.folder),
            portals=[self.daemon.portal],
            prefix='iqn.2026-01.org.example:test',
            clock=SystemClock(),
            locate=self.locate,
        )

    def locate(self, volume_id: str) -> str:
        path = self.folder / f'volume-{volume_id}'
        with path.open('ab') as file:
            file.truncate(1024**2)
        return str(path)

    def restart(self, exporter: IscsiTgtExporter) -> IscsiTgtExporter:
        self.daemon.restart()
        return self.make_exporter()

    def can_log_in(self, data: Mapping[str, object], initiator: str) -> bool:
        return tgtd.can_log_in(data, initiator)


def initiator_of(host: str) -> str:
    return f'iqn.1993-08.org.example:01:{host.strip() or "nobody"}'


BROKEN = {
    broken_exporters.HasNoProtocol: {'test_names_its_protocol'},
    broken_exporters.MayGrowPerhaps: {'test_says_whether_volumes_grow_in_use'},
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
    broken_exporters.LeavesTheDoorOpen: {
        'test_only_the_connected_reach_a_volume'
    },
    broken_exporters.TellsAnewOnResume: {'test_resume_after_nothing_was_lost'},
    broken_exporters.ResumesTheFirstHost: {'test_resume_after_a_restart'},
    broken_exporters.KeepsWhoHasLeft: {'test_resume_lets_nobody_else_in'},
    broken_exporters.StopsAtTheUnknown: {
        'test_resume_goes_on_without_what_is_lost'
    },
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
