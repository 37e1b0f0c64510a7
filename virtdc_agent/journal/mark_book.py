"""The marks of a journal, for those who take and settle them."""

from __future__ import annotations

from virtdc_agent import interfaces
from virtdc_agent.journal import marks
from virtdc_agent.journal.writing import Writer
from virtdc_agent import model


class MarkBook(interfaces.Marks):
    """A part of the journal; see the interface."""

    _writer: Writer

    def take_mark(self, name: str, holder: str, lease_s: float) -> model.Mark:
        """See the interface."""
        return self._writer.run(marks.TakeMark(name, holder, lease_s))

    def settle_mark(self, name: str, holder: str) -> None:
        """See the interface."""
        self._writer.run(marks.SettleMark(name, holder))
