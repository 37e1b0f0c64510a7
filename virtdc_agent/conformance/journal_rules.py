"""What every journal must hold; for the test suite of any journal.

A journal's test is a subclass with ``make_storage`` and ``open_journal``::

    class TestMine(journal_rules.JournalRules, unittest.TestCase):
        def make_storage(self):
            return MyDatabase(...)

        def open_journal(self, storage, agent):
            return MyJournal(storage, agent=agent)

``sharing`` has the rules for several agents, ``journal_snapshots``,
``journal_trash`` and ``journal_marks`` those of what is kept beside events,
``journal_pages`` those of ``interfaces.JournalKeeping``.
"""

from __future__ import annotations

from virtdc_agent.conformance.journal_accepting import AcceptingRules
from virtdc_agent.conformance.journal_executing import ExecutingRules
from virtdc_agent.conformance.journal_order import OrderRules
from virtdc_agent.conformance.journal_reading import ReadingRules


class JournalRules(AcceptingRules, ExecutingRules, OrderRules, ReadingRules):
    """The rules. Not run by itself: what it needs is for subclasses."""
