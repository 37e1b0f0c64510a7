"""Every system call of every operation fails once, with every kind of error.

The crashes at every system call are in the conformance suite; here the
process lives on and must clean up, tell the right family, and be able to do
the work later.
"""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path
import shutil
import tempfile

from tests import base
from tests.unit.agent.backends import syscalls
from virtdc_agent.backends.file import FileBackend
from virtdc_agent.conformance import backend as rules
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent import exceptions

ACTS = (rules.CREATE, rules.CREATE_THICK, rules.DELETE, rules.EXTEND)
ERRORS = {
    errno.EIO: exceptions.BackendUnavailable,
    errno.ENOSPC: exceptions.BackendUnavailable,
    errno.ESTALE: exceptions.BackendUnavailable,
    errno.ETIMEDOUT: exceptions.BackendBusy,
    errno.EXDEV: exceptions.BackendError,
}


class TestEveryCallFails(base.TestCase):
    def prepare(self, act: rules.Act) -> FileBackend:
        path = Path(tempfile.mkdtemp(dir=self.folder))
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        backend = FileBackend(str(path))
        backend.start()
        if act.before:
            rules.create_first(backend, FakeContext())
        return backend

    def test_is_told_and_cleaned_up_and_can_be_done_later(self) -> None:
        for act, number in itertools.product(ACTS, ERRORS):
            steps = 0
            for step in itertools.count(1):
                backend = self.prepare(act)
                descriptors = len(os.listdir('/proc/self/fd'))
                where = f'{act.name}, {errno.errorcode[number]}, call {step}'
                failed = False
                with syscalls.failing(step, number) as was_struck:
                    try:
                        act.operate(backend, FakeContext('struck'))
                    except exceptions.BackendError as exc:
                        failed = True
                        self.assertIs(ERRORS[number], type(exc), where)
                        self.assertNotIn('/', str(exc), where)
                if not was_struck():
                    break
                steps += 1
                sizes = tuple(facts.size_bytes for facts in backend.scan())
                allowed = {act.after}
                if failed:
                    allowed.add(act.before)
                    # Nothing that failed to be made is there all the same.
                    if not act.before:
                        allowed.remove(act.after)
                self.assertIn(sizes, allowed, where)
                self.assertEqual(
                    descriptors, len(os.listdir('/proc/self/fd')), where
                )
                backend.sweep(tuple)
                act.operate(backend, FakeContext('struck', 2))
                self.assertEqual(
                    act.after,
                    tuple(facts.size_bytes for facts in backend.scan()),
                    where,
                )
                self.assertEqual([], list(backend.sweep(tuple)), where)
            self.assertLess(5, steps, act.name)
