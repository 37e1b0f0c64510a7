"""What the documents take from the code is what the code says."""

from __future__ import annotations

from pathlib import Path
import sys
import typing
import unittest
from xml.etree import ElementTree

from virtdc_agent.contract import catalogue
from virtdc_agent.contract import codec
from virtdc_agent.contract import events

ROOT = Path(__file__).parents[2]
EXT = str(ROOT / 'doc' / 'ext')
sys.path.insert(0, EXT)
try:
    import contract_reference
    import sequence_diagram
finally:
    sys.path.remove(EXT)


class TestContractReference(unittest.TestCase):
    def test_alarms_are_those_of_the_catalogue(self) -> None:
        kinds = catalogue.CATALOGUE.values()
        page = '\n'.join(contract_reference.alarm_lines(kinds))
        for kind in kinds:
            for text in (
                *(f'\n{kind.kind}\n===', f'Severity: {kind.severity}.'),
                *(kind.cause, kind.effect, kind.repair, kind.clears),
            ):
                with self.subTest(kind=kind.kind):
                    self.assertIn(text, f'\n{page}')

    def test_each_operation_has_its_parameters(self) -> None:
        page = '\n'.join(contract_reference.operation_lines())
        for operation in events.Operation:
            self.assertIn(f'\n{operation}\n^^', f'\n{page}')
        for name in ('source_id', 'image_format', 'deleted_by', 'connector'):
            self.assertIn(f'- ``{name}``', page)

    def test_fields_say_what_is_needed_and_since_when(self) -> None:
        rows = {
            row[0]: row[1:]
            for row in contract_reference.field_rows(events.CreateParameters)
        }
        self.assertEqual(('integer', 'yes'), rows['``size_bytes``'][:2])
        self.assertEqual(
            ('string, or null', ''),
            rows['``pool``'][:2],
        )
        self.assertIn('Since 1.2.', rows['``pool``'][2])
        self.assertIn('``null``', rows['``pool``'][2])

    def test_values_have_the_text_below_them(self) -> None:
        rows = dict(contract_reference.value_rows(events.Reason))
        self.assertEqual(
            'It was not finished at its deadline.', rows['``timeout``']
        )
        self.assertEqual(1 + len(events.Reason), len(rows))

    def test_what_the_page_names_there_is(self) -> None:
        page = ROOT / 'doc' / 'source' / 'contributor' / 'contract.rst'
        names = [
            line.split(':: ')[1]
            for line in page.read_text('utf-8').splitlines()
            if line.startswith('.. contract-sample:: ')
        ]
        self.assertGreater(len(names), 4)
        for name in names:
            path = contract_reference.SAMPLES / codec.VERSION / f'{name}.json'
            self.assertTrue(path.exists(), path)

    def test_the_page_has_every_message(self) -> None:
        page = ROOT / 'doc' / 'source' / 'contributor' / 'contract.rst'
        shown = page.read_text('utf-8')
        for kind in typing.get_args(codec.Message):
            self.assertIn(f'.. contract-fields:: {kind.__name__}\n', shown)


class TestSequenceDiagram(unittest.TestCase):
    LANES = {'a': 'One <&>', 'b': 'Two'}

    def rows(self, *lines: str) -> list[sequence_diagram.Row]:
        return sequence_diagram.parse(lines, [*self.LANES])

    def test_draws_all_that_is_said(self) -> None:
        rows = self.rows(
            *('a -> b: ask', '', 'b -> b: think', 'b --> a: <answer>'),
            *('== later', 'note a: It is so.'),
        )
        drawing = sequence_diagram.draw(self.LANES, rows, 'who & what')
        tree = ElementTree.fromstring(drawing)
        self.assertEqual('who & what', tree.get('aria-label'))
        self.assertEqual(
            [
                *('One <&>', 'Two', 'ask', 'think', '<answer>', 'later'),
                'It is so.',
            ],
            [one.text for one in tree.iter() if one.tag.endswith('text')],
        )

    def test_refuses_what_it_does_not_understand(self) -> None:
        for line in ('a => b: ask', 'a -> c: ask', 'note c: no', 'a -> b'):
            with self.subTest(line), self.assertRaises(ValueError):
                self.rows(line)
