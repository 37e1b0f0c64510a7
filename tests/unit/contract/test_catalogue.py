"""Every kind of alarm is in the catalogue, and the catalogue is whole."""

from __future__ import annotations

from pathlib import Path
import re
import unittest

from tests.unit.contract import golden
from virtdc_agent.contract import alarms
from virtdc_agent.contract import catalogue
from virtdc_agent.contract import codec
from virtdc_agent.contract.fields import MAX_TEXT

ROOT = Path(__file__).parents[3]


class TestCatalogue(unittest.TestCase):
    def test_every_entry_can_travel_and_says_everything(self) -> None:
        for name, kind in catalogue.CATALOGUE.items():
            with self.subTest(kind=name):
                self.assertEqual(name, kind.kind)
                alarm = alarms.Alarm(
                    kind=name,
                    subject='v',
                    severity=kind.severity,
                    message=kind.repair,
                    raised_at=golden.at(1),
                    updated_at=golden.at(1),
                )
                self.assertEqual(
                    alarm, codec.decode(codec.encode(alarm), alarms.Alarm)
                )
                for text in (
                    kind.cause,
                    kind.effect,
                    kind.repair,
                    kind.clears,
                ):
                    self.assertRegex(text, r'^[A-Z].*\.$')
                    self.assertLess(len(text), MAX_TEXT)

    def test_every_constant_is_listed(self) -> None:
        constants = {
            value.kind
            for value in vars(catalogue).values()
            if isinstance(value, catalogue.AlarmKind)
        }
        self.assertEqual(constants, set(catalogue.CATALOGUE))

    def test_kinds_are_spelled_nowhere_else(self) -> None:
        """Code names a kind by its entry, so that none can be without."""
        spelled = {
            f'{path.relative_to(ROOT)}: {found}'
            for package in ('virtdc_agent', 'cinder_virtdc')
            for path in (ROOT / package).rglob('*.py')
            if path.name != 'catalogue.py'
            for found in re.findall(
                r"""['"]([a-z0-9-]+)['"]""", path.read_text('utf-8')
            )
            if found in catalogue.CATALOGUE
        }
        self.assertEqual(set(), spelled)

    def test_severities_are_ranked(self) -> None:
        self.assertEqual(
            sorted(alarms.Severity, key=lambda one: one.rank),
            list(alarms.Severity),
        )
