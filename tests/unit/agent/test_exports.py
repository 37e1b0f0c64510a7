"""Which exporter a volume is in use by."""

from __future__ import annotations

import unittest

from tests.unit.agent import builders
from virtdc_agent import exceptions
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exporters.share import ShareExporter
from virtdc_agent.exports import Exporters


class TestExporters(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.one, self.other = MemoryExporter(), MemoryExporter()
        self.exporters = Exporters({'one': self.one, 'other': self.other})

    def refused(self, says: str):
        return self.assertRaisesRegex(exceptions.EventRejected, says)

    def test_there_must_be_one(self) -> None:
        with self.assertRaises(ValueError):
            Exporters({})

    def test_what_is_offered(self) -> None:
        exporters = Exporters(
            {'share': ShareExporter('filer:/v'), 'memory': self.one}
        )
        self.assertEqual(
            [('share', 'nfs'), ('memory', 'memory')],
            [(one.name, one.storage_protocol) for one in exporters.offers],
        )

    def test_who_does_not_ask_gets_the_first_or_what_is_in_use(self) -> None:
        free = builders.volume('v')
        self.assertEqual('one', self.exporters.choose(free, None))
        self.assertEqual('other', self.exporters.choose(free, 'other'))
        for name in ('other', 'gone'):
            free = builders.volume('v', metadata={'virtdc.exporter': name})
            self.assertEqual('one', self.exporters.choose(free, 'one'))
            if name == 'other':
                self.assertEqual('other', self.exporters.choose(free, None))
            else:
                with self.refused('no exporter gone; it has one, other'):
                    self.exporters.choose(free, None)
        used = builders.volume(
            'v',
            attached_to=('h',),
            exporter='other',
            metadata={'virtdc.exporter': 'one'},
        )
        self.assertEqual('other', self.exporters.choose(used, None))
        self.assertEqual('other', self.exporters.choose(used, 'other'))
        with self.refused('by h through the exporter other'):
            self.exporters.choose(used, 'one')
        with self.refused('no exporter third; it has one, other'):
            self.exporters.choose(used, 'third')
        # Attached before there was a choice.
        former = builders.volume('v', attached_to=('h',))
        self.assertEqual('one', self.exporters.choose(former, None))
        with self.refused('through the exporter one'):
            self.exporters.choose(former, 'other')

    def test_the_one_in_use_is_gone(self) -> None:
        volume = builders.volume('v', attached_to=('h',), exporter='gone')
        with self.refused('through the exporter gone, which this agent'):
            self.exporters.of(volume)

    def test_each_resumes_its_own(self) -> None:
        volumes = [
            builders.volume('a', attached_to=('h',)),
            builders.volume('b', attached_to=('h',), exporter='other'),
            builders.volume('c', attached_to=('h',), exporter='gone'),
        ]
        with self.assertLogs('virtdc_agent.exports', 'ERROR') as logs:
            self.exporters.resume(lambda: iter(volumes))
        self.assertEqual({('a', 'h')}, self.one.connected)
        self.assertEqual({('b', 'h')}, self.other.connected)
        self.assertIn('Volume c is attached to h', ''.join(logs.output))
