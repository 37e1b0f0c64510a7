"""What is left out of the tests of others is left out on purpose."""

from __future__ import annotations

import unittest

from tests.acceptance import excluded
from tests.acceptance import tempest


class TestExcluded(unittest.TestCase):
    def test_each_is_in_a_part_and_has_a_reason(self) -> None:
        for one in excluded.EXCLUDED:
            with self.subTest(test=one.test):
                self.assertTrue(one.reason)
                found = [
                    part
                    for part in tempest.PASSES
                    if one
                    in excluded.excluded(part.regex, native_threads=True)
                ]
                self.assertTrue(found)

    def test_others_are_not_left_out(self) -> None:
        self.assertEqual([], excluded.excluded('^x', native_threads=True))
        for one in excluded.excluded('.', native_threads=False):
            self.assertFalse(one.native_only)
