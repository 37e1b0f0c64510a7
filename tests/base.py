"""The test case that ours build on, where they need more than unittest's."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import Path
import unittest

import fixtures
from oslo_config import cfg

TIMEOUT_S = int(os.environ.get('OS_TEST_TIMEOUT', '60'))


class LogCapture(logging.Handler):
    """Keeps every record as the text that a log file would hold.

    Formatting is part of the test: a message whose arguments do not fit its
    format is kept in ``errors``, whichever thread logged it.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(
            logging.Formatter('%(levelname)s [%(name)s] %(message)s')
        )
        self.lines: list[str] = []
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's text, or what is wrong with it."""
        try:
            self.lines.append(self.format(record))
        except Exception as exc:
            # What logging does itself is to print and go on.
            self.errors.append(
                f'{record.pathname}:{record.lineno}: {record.msg!r}: {exc!r}'
            )

    @property
    def text(self) -> str:
        """All that was logged, a record a line."""
        return '\n'.join(self.lines)


class LogFixture(fixtures.Fixture):
    """Sends the root logger, at DEBUG, to a ``LogCapture`` alone."""

    def __init__(self) -> None:
        super().__init__()
        self.capture = LogCapture()

    def _setUp(self) -> None:
        root = logging.getLogger()
        handlers, level = root.handlers, root.level
        self.addCleanup(setattr, root, 'handlers', handlers)
        self.addCleanup(root.setLevel, level)
        root.handlers = [self.capture]
        root.setLevel(logging.DEBUG)


class TestCase(fixtures.TestWithFixtures, unittest.TestCase):
    """A test with its own configuration, log, folder and time limit.

    ``conf``
        A ``ConfigOpts`` of its own, without options until some are
        registered.
    ``log``
        A ``LogCapture``. A log call that cannot be formatted fails the test.
    ``folder``
        An empty folder, made when first asked for, removed at the end.
    """

    timeout_s = TIMEOUT_S

    def setUp(self) -> None:
        super().setUp()
        self.useFixture(fixtures.Timeout(self.timeout_s, gentle=True))
        self.log = self.useFixture(LogFixture()).capture
        self.addCleanup(self._check_log)
        self.conf = cfg.ConfigOpts()
        self.addCleanup(self.conf.reset)

    @functools.cached_property
    def folder(self) -> Path:
        """An empty folder of this test's own."""
        return Path(self.useFixture(fixtures.TempDir()).path)

    def _check_log(self) -> None:
        if self.log.errors:
            self.fail('cannot be formatted: ' + '; '.join(self.log.errors))
