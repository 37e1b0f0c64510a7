"""What a journal must hold about marks. Beside ``journal``."""

from __future__ import annotations

from virtdc_agent.conformance import journal


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
