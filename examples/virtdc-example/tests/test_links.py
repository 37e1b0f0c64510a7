"""The exporter "links" holds the rules of exporters."""

from __future__ import annotations

from pathlib import Path
import tempfile

from oslo_config import cfg

from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance import exporter as rules
from virtdc_agent.contract.events import Volume
from virtdc_agent import interfaces
from virtdc_agent import plugins


class TestLinks(rules.ExporterRules):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.volumes = Path(folder.name) / 'volumes'
        self.exports = Path(folder.name) / 'exports'
        self.volumes.mkdir()
        self.exports.mkdir()

    def make_exporter(self) -> interfaces.Exporter:
        kind = plugins.load(plugins.EXPORTERS, 'links', 'exporter')
        file = self.exports.with_suffix('.conf')
        file.write_text(
            '[exporter_links]\n'
            f'path = {self.exports}\n'
            'export = filer.example.org:/exports\n'
        )
        conf = cfg.ConfigOpts()
        conf(['--config-file', str(file)])
        return kind.from_config(conf, clock=FakeClock(), locate=self.locate)

    def locate(self, volume_id: str) -> str:
        """Return a file for any volume."""
        path = self.volumes / volume_id
        path.touch()
        return str(path)

    def reaches(
        self, exporter: interfaces.Exporter, volume: Volume, host: str
    ) -> bool:
        return (self.exports / host / volume.volume_id).exists()
