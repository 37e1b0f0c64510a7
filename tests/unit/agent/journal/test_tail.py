from __future__ import annotations

from collections.abc import Sequence
import unittest

from tests.unit.agent import builders
from virtdc_agent.contract.events import Transition
from virtdc_agent.journal.tail import Tail


def made(*sequences: int) -> list[Transition]:
    """Return transitions with these sequences."""
    return [builders.transition(sequence=one) for one in sequences]


def sequences(found: Sequence[Transition]) -> list[int]:
    """Return their sequences."""
    return [one.sequence for one in found]


class TestTail(unittest.TestCase):
    def test_what_follows_in_order_and_bounded(self) -> None:
        tail = Tail()
        tail.add(made(5, 6))
        tail.add(made(7, 8))
        self.assertEqual([6, 7], sequences(tail.following(5, 2)))
        self.assertEqual([5, 6, 7, 8], sequences(tail.following(4, 9)))
        self.assertEqual([], tail.following(8, 9))

    def test_of_what_is_older_it_does_not_know(self) -> None:
        tail = Tail(size=2)
        tail.add(made(5, 6, 7))
        self.assertEqual([], tail.following(4, 9))
        self.assertEqual([6, 7], sequences(tail.following(5, 9)))

    def test_over_what_others_wrote_it_does_not_reach(self) -> None:
        tail = Tail()
        tail.add(made(5, 6))
        tail.add(made(8))
        self.assertEqual([], tail.following(5, 9))
        self.assertEqual([8], sequences(tail.following(7, 9)))

    def test_empty_it_knows_nothing(self) -> None:
        self.assertEqual([], Tail().following(0, 9))
