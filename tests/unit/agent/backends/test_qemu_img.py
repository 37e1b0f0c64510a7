"""qemu-img's bounds, tried on a program that does what a test wants."""

from __future__ import annotations

import errno
import os
from pathlib import Path
import tempfile
import textwrap
import threading
import unittest

from tests import base
from virtdc_agent.backends.qemu_img import QemuImg
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent import exceptions


class TestQemuImg(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.image = self.enterContext(
            tempfile.NamedTemporaryFile(dir=self.folder)
        )

    def program(self, script: str) -> QemuImg:
        path = self.folder / 'program'
        path.write_text('#!/bin/sh\n' + textwrap.dedent(script))
        path.chmod(0o700)
        return QemuImg(str(path))

    def run_program(
        self, script: str, context: FakeContext | None = None
    ) -> None:
        self.program(script).run(
            ('create', '-q'),
            self.image.fileno(),
            '1024',
            context=context or FakeContext(),
        )

    def test_is_given_the_open_file_and_nothing_else(self) -> None:
        self.run_program(
            f"""
            echo "$@" > {self.folder}/arguments
            echo content > "$3"
            ulimit -v > {self.folder}/memory
            ulimit -t > {self.folder}/time
            echo "$LC_ALL" > {self.folder}/language
            """
        )
        self.assertEqual(
            f'create -q /proc/self/fd/{self.image.fileno()} 1024\n',
            (self.folder / 'arguments').read_text(),
        )
        self.assertEqual('content\n', Path(self.image.name).read_text())
        self.assertEqual('2097152\n', (self.folder / 'memory').read_text())
        self.assertEqual('3600\n', (self.folder / 'time').read_text())
        self.assertEqual('C\n', (self.folder / 'language').read_text())

    def test_failures_are_told_apart(self) -> None:
        for said, number in (
            ('Could not write: No space left on device', errno.ENOSPC),
            ('Disk quota exceeded', errno.EDQUOT),
            ('The image size is too large for file format', errno.EFBIG),
            ('Failed to get "write" lock', errno.EBUSY),
            ('something new', errno.EIO),
        ):
            with self.subTest(said), self.assertRaises(OSError) as caught:
                self.run_program(f"echo '{said}' >&2; exit 1")
            self.assertEqual(number, caught.exception.errno)
            self.assertIn(said, str(caught.exception))

    def test_is_killed_on_cancellation(self) -> None:
        os.mkfifo(self.folder / 'started')
        context = FakeContext()

        def cancel_once_started() -> None:
            (self.folder / 'started').read_bytes()
            context.cancel()

        canceller = threading.Thread(target=cancel_once_started)
        canceller.start()
        with self.assertRaises(exceptions.OperationCancelled):
            self.run_program(
                f"""
                echo > {self.folder}/started
                echo $$ > {self.folder}/pid
                exec sleep 1000
                """,
                context,
            )
        canceller.join()

    def test_is_not_run_when_cancelled_before(self) -> None:
        context = FakeContext()
        context.cancel()
        with self.assertRaises(exceptions.OperationCancelled):
            self.run_program('exec sleep 1000', context)

    def test_killed_by_another_is_a_failure(self) -> None:
        with self.assertRaisesRegex(OSError, 'ended with -9'):
            self.run_program('kill -9 $$')

    def test_late_cancellation_harms_nobody(self) -> None:
        context = FakeContext()
        self.run_program('true', context)
        context.cancel()

    def test_dies_with_the_agent(self) -> None:
        os.mkfifo(self.folder / 'alive')
        child = os.fork()
        if child == 0:
            try:
                self.run_program(
                    f'exec 3> {self.folder}/alive; echo >&3; exec sleep 1000'
                )
            finally:
                os._exit(1)
        with (self.folder / 'alive').open() as alive:
            self.assertEqual('\n', alive.readline())
            os.kill(child, 9)
            os.waitpid(child, 0)
            # The end of the pipe comes when the program's end is closed.
            self.assertEqual('', alive.read())

    def test_says_what_is_not_installed(self) -> None:
        self.assertEqual(
            ['no-such-qemu-img'],
            list(QemuImg('no-such-qemu-img').get_missing()),
        )


if __name__ == '__main__':
    unittest.main()
