"""What a journal must hold about marks and resyncs. Beside ``journal``."""

from __future__ import annotations

from virtdc_agent.conformance import journal
from virtdc_agent import exceptions


class MarkRules(journal.JournalCase):
    """The rules. Not run by itself: what it needs is for subclasses."""

    def test_one_has_it(self) -> None:
        """Until it lets it lie; whoever has it may take it again."""
        self.assertTrue(self.journal.take_mark('m', 'a', 60).is_granted)
        self.assertTrue(self.journal.take_mark('m', 'a', 60).is_granted)
        mark = self.journal.take_mark('m', 'b', 60)
        self.assertFalse(mark.is_granted)
        self.assertFalse(mark.is_settled)
        self.assertTrue(0 < mark.wait_s <= 60)

    def test_each_name_is_its_own(self) -> None:
        """Byte by byte."""
        for name in ('m', 'M', 'ö', 'o'):
            self.assertTrue(self.journal.take_mark(name, name, 9).is_granted)

    def test_a_lease_ends(self) -> None:
        """Then another may have it, and the first has it no more."""
        self.journal.take_mark('m', 'a', 0)
        self.assertTrue(self.journal.take_mark('m', 'b', 60).is_granted)
        self.assertFalse(self.journal.take_mark('m', 'a', 60).is_granted)

    def test_what_is_settled_is_settled_for_all(self) -> None:
        """Whoever settles it, also late, and as often as they like."""
        self.journal.take_mark('m', 'a', 0)
        self.journal.take_mark('m', 'b', 60)
        for _ in range(2):
            self.journal.settle_mark('m', 'a')
        for holder in 'abc':
            mark = self.journal.take_mark('m', holder, 60)
            self.assertFalse(mark.is_granted)
            self.assertTrue(mark.is_settled)

    def test_over_another_life(self) -> None:
        """Marks outlive the agent that answered."""
        self.journal.take_mark('held', 'a', 600)
        self.journal.settle_mark('settled', 'a')
        self.journal.leave()
        again = self.open('agent')
        again.join()
        self.assertFalse(again.take_mark('held', 'b', 60).is_granted)
        self.assertTrue(again.take_mark('settled', 'b', 60).is_settled)

    def test_a_comparison_is_asked_for(self) -> None:
        """Once, until somebody has begun it."""
        self.assertIsNone(self.journal.get_resync())
        self.assertIsNone(self.journal.take_resync('a', 60))
        first = self.journal.request_resync('alice')
        self.assertEqual(first, self.journal.request_resync('bob'))
        self.assertEqual(first, self.journal.get_resync())
        self.assertEqual('alice', first.asked_by)
        self.journal.take_resync('a', 60)
        again = self.journal.request_resync('bob')
        self.assertEqual(first.number + 1, again.number)
        self.assertIsNone(again.started_at)

    def test_a_comparison_has_one_listener(self) -> None:
        """Until its lease is over."""
        wanted = self.journal.request_resync('alice')
        taken = self.journal.take_resync('a', 60)
        self.assertEqual(wanted.number, taken.number if taken else 0)
        self.assertIsNone(self.journal.take_resync('b', 60))
        self.assertIsNotNone(self.journal.take_resync('a', 0))
        self.assertIsNotNone(self.journal.take_resync('b', 60))

    def test_a_comparison_ends_once(self) -> None:
        """With what was found, which stays."""
        wanted = self.journal.request_resync('alice')
        self.journal.take_resync('a', 60)
        ended = self.journal.end_resync(wanted.number, 'a', {'repaired': 3})
        self.assertIsNotNone(ended.ended_at)
        self.assertEqual(('a', 3), (ended.listener, ended.repaired))
        self.assertEqual(
            ended, self.journal.end_resync(wanted.number, 'b', {})
        )
        self.assertEqual(ended, self.journal.get_resync())
        self.assertIsNone(self.journal.take_resync('b', 60))

    def test_what_is_not_the_latest_does_not_end(self) -> None:
        """It says so."""
        wanted = self.journal.request_resync('alice')
        with self.assertRaises(exceptions.ResyncNotFound):
            self.journal.end_resync(wanted.number + 1, 'a', {})
