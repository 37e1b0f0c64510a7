"""The exporter "share": its configuration and what hosts are told."""

from __future__ import annotations

import dataclasses

from tests import base
from virtdc_agent.backends import layout
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance.exporter import FIRST
from virtdc_agent.contract.events import Format
from virtdc_agent import exceptions
from virtdc_agent.exporters.share import ShareExporter
from virtdc_agent import opts


class TestShareExporter(base.TestCase):
    def test_connection_is_what_nova_and_os_brick_take(self) -> None:
        exporter = ShareExporter('filer.example.org:/volumes')
        self.assertEqual(
            {
                'driver_volume_type': 'nfs',
                'data': {
                    'export': 'filer.example.org:/volumes',
                    'name': 'volume-first',
                    'format': 'raw',
                    'options': None,
                },
            },
            exporter.connection(FIRST, 'host'),
        )

    def test_connection_tells_format_and_mount_options(self) -> None:
        exporter = ShareExporter('filer:/v', mount_options=' -o vers=4.2 ')
        volume = dataclasses.replace(FIRST, format=Format.QCOW2)
        data = exporter.connection(volume, 'host')['data']
        self.assertEqual('qcow2', data['format'])
        self.assertEqual('-o vers=4.2', data['options'])

    def test_names_the_file_that_the_backend_makes(self) -> None:
        exporter = ShareExporter('filer:/v')
        self.assertEqual(
            layout.volume(FIRST.volume_id).file,
            exporter.connection(FIRST, 'host')['data']['name'],
        )

    def test_good_exports(self) -> None:
        for export in (
            *('filer:/', 'filer.example.org:/volumes', '192.0.2.7:/a/b-c_d'),
            *('[2001:db8::1]:/volumes', '[fe80::1]:/x:y', 'n:/ä'),
        ):
            with self.subTest(export):
                ShareExporter(export).start()

    def test_bad_exports_are_refused_with_the_option(self) -> None:
        for export in (
            *(None, '', '/volumes', 'filer', 'filer:', 'filer:volumes'),
            *('filer :/v', ':/v', '2001:db8::1:/v', '[2001:db8::1]/v'),
            *('filer:/a b', 'filer:/a\n', '-o:/v', 'nfs://filer/v', 'a:b:/v'),
        ):
            with (
                self.subTest(export),
                self.assertRaisesRegex(
                    exceptions.ConfigInvalid,
                    r'\[exporter_share\] export.*host:/path',
                ),
            ):
                ShareExporter(export).start()

    def test_is_made_from_its_group(self) -> None:
        opts.register_opts(self.conf)
        self.conf([])
        self.conf.set_override('export', 'filer:/v', 'exporter_share')
        self.conf.set_override('mount_options', '-o ro', 'exporter_share')
        exporter = ShareExporter.from_config(
            self.conf, clock=FakeClock(), locate=lambda volume_id: None
        )
        exporter.start()
        self.assertEqual(
            ('filer:/v', '-o ro'),
            (
                exporter.connection(FIRST, 'host')['data']['export'],
                exporter.connection(FIRST, 'host')['data']['options'],
            ),
        )
