"""What tempest prints is read right, its failures above all."""

from __future__ import annotations

import unittest

from tests.acceptance import tempest

OUTPUT = """\
{0} tempest.api.volume.A.test_one [1.2s] ... ok
{1} tempest.api.volume.A.test_two [0.1s] ... FAILED
{0} setUpClass (tempest.api.volume.B) ... SKIPPED: no network
{0} tempest.api.volume.C.test_three ... SKIPPED: no compute
{0} setUpClass (tempest.api.volume.D) [0.0s] ... FAILED

Ran: 5 tests in 3.0 sec.
 - Passed: 1
 - Skipped: 2
 - Expected Fail: 0
 - Unexpected Success: 0
 - Failed: 2
"""


class TestResult(unittest.TestCase):
    def test_what_passed_failed_and_was_skipped(self) -> None:
        result = tempest.result_of(OUTPUT, 1)
        self.assertEqual(1, result.passed)
        self.assertEqual(
            [
                'setUpClass (tempest.api.volume.D)',
                'tempest.api.volume.A.test_two',
            ],
            result.failed,
        )
        self.assertEqual(
            {
                'setUpClass (tempest.api.volume.B)': 'no network',
                'tempest.api.volume.C.test_three': 'no compute',
            },
            result.skipped,
        )

    def test_no_test_at_all_is_a_failure(self) -> None:
        for status in (0, 1):
            result = tempest.result_of('nothing to run', status)
            self.assertEqual([f'tempest ended with {status}'], result.failed)

    def test_an_end_that_no_test_explains_is_a_failure(self) -> None:
        output = OUTPUT.replace('FAILED', 'ok')
        self.assertEqual(
            ['tempest ended with 2'], tempest.result_of(output, 2).failed
        )
        self.assertEqual([], tempest.result_of(output, 0).failed)
