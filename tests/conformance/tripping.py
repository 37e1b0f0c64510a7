"""Which rules of a suite a broken plugin trips."""

from __future__ import annotations

import unittest


def tripped_rules(suite: type[unittest.TestCase]) -> set[str]:
    """Run a suite; return the names of the rules that do not pass."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(suite).run(result)
    return {
        test._testMethodName for test, _ in result.failures + result.errors
    }
