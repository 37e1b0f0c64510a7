"""What holds for every operation of a backend, and the hooks of its tests.

An operation with an effect is an ``Act``. The rules here hold for each act
that a suite has: it asks leave once and cannot be seen before, leaves nothing
when it is cancelled, has no effect when it was overtaken, and can be killed
anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import functools
import itertools
from typing import Protocol
import unittest

from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

MIB = 1024**2
VOLUME = 'first'
MARK = b'what the user wrote'


class Operate(Protocol):
    """Does one operation."""

    def __call__(
        self,
        backend: interfaces.Backend,
        context: interfaces.OperationContext,
    ) -> object:
        """Do it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """An operation with an effect, for rules that hold for each of them.

    :param prepare: makes what must be there before.
    :param before: what ``ActRules.look`` sees before.
    :param after: what it sees after.
    """

    name: str
    prepare: Callable[[ActRules, interfaces.Backend], None]
    operate: Operate
    before: object
    after: object


def create_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> model.VolumeFacts:
    """Make the volume of most rules."""
    return backend.create(VOLUME, CreateParameters(size_bytes=MIB), context)


def create_thick(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> model.VolumeFacts:
    """Make the volume of most rules, with its space taken at once."""
    parameters = CreateParameters(
        size_bytes=MIB, provisioning=Provisioning.THICK
    )
    return backend.create(VOLUME, parameters, context)


class ActRules(unittest.TestCase):
    """The hooks, and what holds for each act. Subclasses name the acts."""

    def make_backend(self) -> interfaces.Backend:
        """Return a new backend on empty storage; it is not started."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def reopen(self, backend: interfaces.Backend) -> interfaces.Backend:
        """Return another backend on the same storage; it is not started."""
        raise unittest.SkipTest('no hook: reopen')

    def place_stranger(
        self, backend: interfaces.Backend, volume_id: str
    ) -> None:
        """Put something that no event made under a volume's name."""
        raise unittest.SkipTest('no hook: place_stranger')

    def is_stranger_there(
        self, backend: interfaces.Backend, volume_id: str
    ) -> bool:
        """Say whether what was put there is there, as it was."""
        raise unittest.SkipTest('no hook: is_stranger_there')

    def read(
        self,
        backend: interfaces.Backend,
        volume_id: str,
        offset: int,
        length: int,
    ) -> bytes:
        """Return what a user of the volume reads."""
        raise unittest.SkipTest('no hook: read')

    def write(
        self,
        backend: interfaces.Backend,
        volume_id: str,
        offset: int,
        content: bytes,
    ) -> None:
        """Write as a user of the volume."""
        raise unittest.SkipTest('no hook: write')

    def crash(
        self,
        backend: interfaces.Backend,
        operation: Callable[[interfaces.Backend], object],
        step: int,
    ) -> bool:
        """Run an operation, and end it as a kill would at a step.

        Nothing of the backend's own clean-up may run.

        :param step: 1, 2, 3 ... as the hook counts them.
        :returns: ``False``: it ended before it came to that step.
        """
        raise unittest.SkipTest('no hook: crash')

    def start(self) -> interfaces.Backend:
        """Return a new backend, ready for operations."""
        return started(self.make_backend())

    def start_with_first(self) -> interfaces.Backend:
        """Return a backend that holds the volume of most rules."""
        backend = self.start()
        create_first(backend, FakeContext())
        return backend

    def restart(self, backend: interfaces.Backend) -> interfaces.Backend:
        """Return another backend on the storage, ready for operations."""
        return started(self.reopen(backend))

    def place_strange_snapshot(
        self, backend: interfaces.Backend, snapshot_id: str
    ) -> None:
        """Put something that no event made under a snapshot's name."""
        raise unittest.SkipTest('no hook: place_strange_snapshot')

    def is_strange_snapshot_there(
        self, backend: interfaces.Backend, snapshot_id: str
    ) -> bool:
        """Say whether what was put there is there, as it was."""
        raise unittest.SkipTest('no hook: is_strange_snapshot_there')

    def place_manageable(
        self, backend: interfaces.Backend, reference: str, content: bytes
    ) -> None:
        """Put something raw there that may become a volume."""
        raise unittest.SkipTest('no hook: place_manageable')

    def content_of_manageable(
        self, backend: interfaces.Backend, reference: str
    ) -> bytes | None:
        """Return all bytes of what has a reference; ``None``: nothing."""
        raise unittest.SkipTest('no hook: content_of_manageable')

    # For suites.

    def acts(self) -> Iterator[Act]:
        """Yield what the backend can do."""
        raise unittest.SkipTest('a suite names its acts')

    def look(self, backend: interfaces.Backend) -> object:
        """Return all that can be seen, so that it can be compared."""
        raise unittest.SkipTest('a suite says what it sees')

    # Commit and cancellation.

    def test_nothing_is_visible_before_leave_is_given(self) -> None:
        """Each effect asks leave, and cannot be seen until it has it."""
        for act in self.acts():
            backend = self._backend_for(act)
            before = self.look(backend)
            seen = self._look_at_commit(act, backend)
            self.assertEqual([before], seen, f'{act.name}: seen when it asked')
            self.assertEqual(act.after, self.look(backend), act.name)

    def test_cancelled_leaves_nothing(self) -> None:
        """Cancelled before its commit, it is as if it had not been."""
        for act in self.acts():
            backend = self._backend_for(act)
            before = self.look(backend)
            early, late = (
                FakeContext('cancelled'),
                FakeContext('cancelled', 2, fail_at_commit=True),
            )
            early.cancel()
            for context in (early, late):
                with self.assertRaises(
                    exceptions.OperationCancelled, msg=act.name
                ):
                    act.operate(backend, context)
                self.assertEqual(before, self.look(backend), act.name)
            self.assertEqual([], list(backend.sweep(tuple)), act.name)
            act.operate(backend, FakeContext('another'))
            self.assertEqual(act.after, self.look(backend), act.name)

    def test_progress_never_falls(self) -> None:
        """Bytes done grow up to one total, which stays."""
        for act in self.acts():
            backend = self._backend_for(act)
            context = FakeContext('progress')
            act.operate(backend, context)
            done = [
                report.bytes_done
                for report in context.reports
                if report.bytes_done is not None
            ]
            totals = {
                report.bytes_total
                for report in context.reports
                if report.bytes_total is not None
            }
            self.assertEqual(sorted(done), done, act.name)
            self.assertLessEqual(len(totals), 1, act.name)
            self.assertLessEqual(max(done, default=0), max(totals, default=0))

    def test_the_overtaken_has_no_effect(self) -> None:
        """Once a later operation has begun, an earlier one does nothing."""
        for act in self.acts():
            backend = self._backend_for(act)
            late = FakeContext('late')
            act.operate(backend, FakeContext('successor', 2))
            before = self.look(backend)
            with self.assertRaises(
                exceptions.OperationCancelled, msg=act.name
            ):
                act.operate(backend, late)
            self.assertEqual(before, self.look(backend), act.name)
            self.assertEqual([], list(backend.sweep(tuple)), act.name)

    # Crashes.

    def test_crash_leaves_all_or_nothing(self) -> None:
        """What can be seen after a crash is what was, or what was asked."""
        for backend, act, step in self._crashes():
            self.assertIn(
                self.look(self.restart(backend)),
                (act.before, act.after),
                f'{act.name}, step {step}',
            )

    def test_crash_anywhere_then_again_is_done_once(self) -> None:
        """The next attempt of the event finishes what was begun."""
        for backend, act, step in self._crashes():
            survivor = self.restart(backend)
            act.operate(survivor, FakeContext('crashed', 2))
            where = f'{act.name}, step {step}'
            self.assertEqual(act.after, self.look(survivor), where)
            self.assertEqual([], list(survivor.sweep(tuple)), where)

    def test_sweep_removes_leftovers_and_nothing_else(self) -> None:
        """After a crash anywhere: names what it removes, once."""
        swept: list[str] = []
        for backend, act, step in self._crashes():
            survivor = self.reopen(backend)
            survivor.start()
            before = self.look(survivor)
            swept += survivor.sweep(tuple)
            where = f'{act.name}, step {step}'
            self.assertEqual([], list(survivor.sweep(tuple)), where)
            self.assertEqual(before, self.look(survivor), where)
        self.assertTrue(swept, 'no crash left anything')

    def _backend_for(self, act: Act) -> interfaces.Backend:
        backend = self.start()
        act.prepare(self, backend)
        return backend

    def _look_at_commit(
        self, act: Act, backend: interfaces.Backend
    ) -> list[object]:
        """Return what could be seen each time when leave was asked."""
        seen: list[object] = []

        def look() -> None:
            seen.append(self.look(backend))

        act.operate(backend, FakeContext('seen', before_commit=look))
        return seen

    def _crashes(self) -> Iterator[tuple[interfaces.Backend, Act, int]]:
        """Yield backends in which an operation crashed, for every step."""
        for act in self.acts():
            for step in itertools.count(1):
                backend = self._backend_for(act)
                operate = functools.partial(
                    act.operate, context=FakeContext('crashed')
                )
                if not self.crash(backend, operate, step):
                    self.assertLess(1, step, 'the hook never crashed it')
                    break
                yield backend, act, step


def sizes(backend: interfaces.Backend) -> dict[str, int]:
    """Return the sizes of all volumes, by their ids."""
    return {facts.volume_id: facts.size_bytes for facts in backend.scan()}


def started(backend: interfaces.Backend) -> interfaces.Backend:
    """Return a backend as the agent has it after its start."""
    backend.start()
    backend.sweep(tuple)
    return backend
