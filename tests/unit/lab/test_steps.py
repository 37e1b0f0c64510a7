"""Steps: in order of need, and none left behind after a failure."""

from __future__ import annotations

import threading
import unittest

from tools.lab import errors
from tools.lab import steps


def ignore(progress: steps.Progress) -> None:
    """Report nothing."""


class Steps(unittest.TestCase):
    def setUp(self) -> None:
        self.done: list[str] = []
        self.aborted = threading.Event()

    def step(self, name: str, *after: str) -> steps.Step:
        return steps.Step(name, lambda: self.done.append(name), after)

    def carry_out(self, *plan: steps.Step) -> None:
        steps.carry_out(plan, report=ignore, abort=self.aborted.set)

    def test_wait_for_those_they_need(self) -> None:
        self.carry_out(
            self.step('a'), self.step('b', 'a'), self.step('c', 'a', 'b')
        )
        self.assertEqual(['a', 'b', 'c'], self.done)
        self.assertFalse(self.aborted.is_set())

    def test_run_at_the_same_time_otherwise(self) -> None:
        meeting = threading.Barrier(2, timeout=30)
        self.carry_out(
            steps.Step('a', lambda: void(meeting.wait())),
            steps.Step('b', lambda: void(meeting.wait())),
        )

    def test_nothing_to_do(self) -> None:
        self.carry_out()

    def test_a_failure_ends_the_others_and_is_raised(self) -> None:
        def fail() -> None:
            raise ValueError('first')

        def wait() -> None:
            self.assertTrue(self.aborted.wait(30))
            raise errors.LabClosed('closed')

        with self.assertRaisesRegex(ValueError, 'first'):
            self.carry_out(
                steps.Step('waits', wait),
                steps.Step('fails', fail),
                self.step('never', 'fails'),
            )
        self.assertEqual([], self.done)

    def test_an_interruption_ends_all(self) -> None:
        def wait() -> None:
            self.assertTrue(self.aborted.wait(30))

        def report(progress: steps.Progress) -> None:
            raise KeyboardInterrupt

        with self.assertRaises(KeyboardInterrupt):
            steps.carry_out(
                [steps.Step('waits', wait)],
                report=report,
                abort=self.aborted.set,
            )
        self.assertTrue(self.aborted.is_set())

    def test_are_reported(self) -> None:
        told: list[tuple[str, str]] = []

        def fail() -> None:
            raise ValueError

        with self.assertRaises(ValueError):
            steps.carry_out(
                [self.step('a'), steps.Step('b', fail, ['a'])],
                report=lambda p: told.append((p.step, p.phase)),
                abort=self.aborted.set,
            )
        self.assertEqual(
            [
                ('a', 'started'),
                ('a', 'done'),
                ('b', 'started'),
                ('b', 'failed'),
            ],
            told,
        )


def void(_: object) -> None:
    """Forget a result."""
