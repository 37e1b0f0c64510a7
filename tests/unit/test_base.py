"""The test case itself must be able to fail."""

from __future__ import annotations

import logging
import threading
import unittest

from tests import base


def outcome_of(body: object, timeout_s: int = 60) -> unittest.TestResult:
    """Run a test with this body."""

    class Example(base.TestCase):
        def test_body(self) -> None:
            body(self)

    Example.timeout_s = timeout_s
    result = unittest.TestResult()
    Example('test_body').run(result)
    return result


class TestLog(unittest.TestCase):
    def test_wrong_format_fails(self) -> None:
        def log_wrongly(test: base.TestCase) -> None:
            logging.getLogger('some').debug('%d bytes', 'many')

        result = outcome_of(log_wrongly)
        self.assertIn('cannot be formatted', result.failures[0][1])
        self.assertIn('%d bytes', result.failures[0][1])

    def test_wrong_format_in_a_thread_fails(self) -> None:
        def log_wrongly(test: base.TestCase) -> None:
            thread = threading.Thread(
                target=logging.getLogger('some').debug, args=('%d', 'many')
            )
            thread.start()
            thread.join()

        self.assertEqual(1, len(outcome_of(log_wrongly).failures))

    def test_text_is_kept(self) -> None:
        seen = []

        def log(test: base.TestCase) -> None:
            logging.getLogger('some').debug('%d bytes', 3)
            seen.append(test.log.text)

        self.assertTrue(outcome_of(log).wasSuccessful())
        self.assertEqual(['DEBUG [some] 3 bytes'], seen)

    def test_logging_is_put_back(self) -> None:
        root = logging.getLogger()
        before = (root.handlers, root.level)
        outcome_of(lambda test: None)
        self.assertEqual(before, (root.handlers, root.level))


class TestTimeout(unittest.TestCase):
    def test_a_test_that_hangs_ends(self) -> None:
        def hang(test: base.TestCase) -> None:
            threading.Event().wait(30)

        result = outcome_of(hang, timeout_s=1)
        self.assertIn('TimeoutException', result.errors[0][1])


class TestFolder(unittest.TestCase):
    def test_folder_is_empty_and_goes_away(self) -> None:
        seen = []

        def look(test: base.TestCase) -> None:
            seen.append((test.folder, list(test.folder.iterdir())))

        self.assertTrue(outcome_of(look).wasSuccessful())
        folder, content = seen[0]
        self.assertEqual([], content)
        self.assertFalse(folder.exists())
