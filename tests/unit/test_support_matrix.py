"""The page of what is supported says what is declared."""

from __future__ import annotations

from pathlib import Path
import sys
import unittest

from cinder.volume import driver as cinder_driver

from virtdc_agent.backends.file import FileBackend
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.contract.events import Operation

EXT = str(Path(__file__).parents[2] / 'doc' / 'ext')
sys.path.insert(0, EXT)
try:
    import features
    import support_matrix
finally:
    sys.path.remove(EXT)

SOURCE = features.driver_source()
METHODS = features.driver_methods(SOURCE)


class Poor(MemoryBackend):
    """A storage that makes volumes, and no more."""

    operations = frozenset({Operation.CREATE, Operation.DELETE})


class TestFeatures(unittest.TestCase):
    def test_the_driver_has_nothing_that_no_row_names(self) -> None:
        features.check(METHODS)
        self.assertLess({'create_volume', 'create_group_snapshot'}, METHODS)
        self.assertNotIn('_run', METHODS)

    def test_what_no_row_names_is_refused(self) -> None:
        more = SOURCE.replace('def create_volume(', 'def make_coffee(', 1)
        with self.assertRaisesRegex(features.Undocumented, 'make_coffee'):
            features.check(features.driver_methods(more))
        less = [
            one
            for one in features.FEATURES
            if Operation.REVERT not in one.operations
        ]
        with self.assertRaisesRegex(
            features.Undocumented, 'revert,? .*revert_to_snapshot'
        ):
            features.check(METHODS, less)

    def test_rows_name_what_cinder_has(self) -> None:
        """A misspelt method would say for ever that there is none."""
        kinds = [
            kind
            for kind in vars(cinder_driver).values()
            if isinstance(kind, type)
        ]
        for feature in features.FEATURES:
            for name in feature.methods:
                with self.subTest(name=name):
                    self.assertTrue(any(hasattr(kind, name) for kind in kinds))

    def test_a_backend_that_does_not_declare_has_it_not(self) -> None:
        for feature in features.FEATURES:
            offered = features.is_offered(feature, METHODS, Poor)
            beyond = set(feature.operations) - (
                Poor.operations | features.BY_AGENT
            )
            with self.subTest(feature.title):
                self.assertEqual(
                    not beyond and set(feature.methods) <= METHODS, offered
                )

    def test_a_driver_without_the_method_has_it_not(self) -> None:
        for feature in features.FEATURES:
            for name in feature.methods:
                self.assertFalse(
                    features.is_offered(feature, METHODS - {name}, FileBackend)
                )


class TestPage(unittest.TestCase):
    def test_it_is_of_what_is_installed(self) -> None:
        header, *rows = support_matrix.feature_rows()
        self.assertEqual(('Feature', '``file``', 'Remarks'), header)
        self.assertEqual(len(features.FEATURES), len(rows))
        marks = {title: mark for title, mark, _ in rows}
        self.assertEqual(
            features.YES, marks['Snapshots of a group at one instant']
        )
        self.assertEqual(features.NO, marks['Replication'])

    def test_exporters(self) -> None:
        _, *rows = support_matrix.exporter_rows()
        self.assertEqual(
            [
                ('``iscsi-tgt``', 'iSCSI', features.NO),
                ('``share``', 'nfs', features.YES),
            ],
            rows,
        )

    def test_the_table(self) -> None:
        self.assertEqual(
            ['   * - a', '     - b', '   * - c', '     -'],
            support_matrix.table_of([('a', 'b'), ('c', '')])[3:],
        )
