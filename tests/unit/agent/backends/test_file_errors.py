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
from tests.conformance import backends
from tests.unit.agent.backends import syscalls
from virtdc_agent.backends.file import FileBackend
from virtdc_agent.conformance import acts
from virtdc_agent.conformance import backend as volumes
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.conformance import copies
from virtdc_agent.conformance import copy_acts
from virtdc_agent.conformance import managing
from virtdc_agent import exceptions

VOLUME_ACTS = (
    volumes.CREATE,
    volumes.CREATE_THICK,
    volumes.DELETE,
    volumes.EXTEND,
)
COPY_ACTS = (
    *(copy_acts.TAKE, copy_acts.DROP, copy_acts.REVERT),
    *(copy_acts.CLONE_LARGER, copy_acts.CLONE_THICK),
)
MANAGE_ACTS = (
    *(managing.MANAGE, managing.UNMANAGE),
    *(managing.MANAGE_SNAPSHOT, managing.UNMANAGE_SNAPSHOT),
)
MAKES = frozenset(
    {
        *(volumes.CREATE.name, volumes.CREATE_THICK.name),
        *(copy_acts.TAKE.name, copy_acts.CLONE_LARGER.name),
        copy_acts.CLONE_THICK.name,
        *(managing.MANAGE.name, managing.MANAGE_SNAPSHOT.name),
    }
)
ERRORS = {
    errno.EIO: exceptions.BackendUnavailable,
    errno.ENOSPC: exceptions.BackendUnavailable,
    errno.ESTALE: exceptions.BackendUnavailable,
    errno.ETIMEDOUT: exceptions.BackendBusy,
    errno.EXDEV: exceptions.BackendError,
}


def hooks_of(suite: type[acts.ActRules]) -> acts.ActRules:
    """Return what prepares and looks as a suite does, without its rules."""

    class Hooks(backends.FileHooks):
        look = suite.look

    return Hooks()


class TestEveryCallFails(base.TestCase):
    def prepare(self, rules: acts.ActRules, act: acts.Act) -> FileBackend:
        path = Path(tempfile.mkdtemp(dir=self.folder))
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        backend = FileBackend(str(path))
        backend.start()
        act.prepare(rules, backend)
        return backend

    def walk(self, rules: acts.ActRules, act: acts.Act, number: int) -> int:
        """Fail at every call; return how many there were."""
        for step in itertools.count(1):
            backend = self.prepare(rules, act)
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
                return step - 1
            allowed = [act.after]
            if failed:
                allowed.append(act.before)
                # Nothing that failed to be made is there all the same.
                if act.name in MAKES:
                    allowed.remove(act.after)
            self.assertIn(rules.look(backend), allowed, where)
            self.assertEqual(
                descriptors, len(os.listdir('/proc/self/fd')), where
            )
            backend.sweep(tuple)
            act.operate(backend, FakeContext('struck', 2))
            self.assertEqual(act.after, rules.look(backend), where)
            self.assertEqual([], list(backend.sweep(tuple)), where)
        raise AssertionError('it has no end')

    def test_is_told_and_cleaned_up_and_can_be_done_later(self) -> None:
        rules = hooks_of(volumes.BackendRules)
        for act, number in itertools.product(VOLUME_ACTS, ERRORS):
            steps = self.walk(rules, act, number)
            self.assertLess(5, steps, act.name)

    def test_so_it_is_with_what_is_managed(self) -> None:
        rules = hooks_of(managing.ManageRules)
        # The errors differ in what is told, which is the same for all acts.
        for act, number in itertools.product(MANAGE_ACTS, (errno.EIO,)):
            steps = self.walk(rules, act, number)
            self.assertLess(5, steps, act.name)

    def test_so_it_is_with_copies(self) -> None:
        rules = hooks_of(copies.CopyRules)
        for act, number in itertools.product(COPY_ACTS, ERRORS):
            steps = self.walk(rules, act, number)
            self.assertLess(5, steps, act.name)
