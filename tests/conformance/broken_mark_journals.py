"""Journals that break one rule of marks each."""

from __future__ import annotations

from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent import model


class GivesItToAll(MemoryJournal):
    """Everybody has every mark."""

    def take_mark(self, name, holder, lease_s):
        mark = super().take_mark(name, holder, lease_s)
        return mark if mark.is_settled else model.Mark(is_granted=True)


class OneForAll(MemoryJournal):
    """Makes no difference between names."""

    def take_mark(self, name, holder, lease_s):
        return super().take_mark('m', holder, lease_s)


class HoldsForEver(MemoryJournal):
    """Leases do not end."""

    def take_mark(self, name, holder, lease_s):
        return super().take_mark(name, holder, 3600)


class SettlesForHolders(MemoryJournal):
    """Only who has it may settle it."""

    def settle_mark(self, name, holder):
        if self.take_mark(name, holder, 0).is_granted:
            super().settle_mark(name, holder)


class Forgets(MemoryJournal):
    """Has new marks with each life."""

    def join(self):
        self._prefix = f'{id(self)}/'
        return super().join()

    def take_mark(self, name, holder, lease_s):
        return super().take_mark(self._prefix + name, holder, lease_s)

    def settle_mark(self, name, holder):
        super().settle_mark(self._prefix + name, holder)


class AsksAgain(MemoryJournal):
    """Each wish is a comparison of its own."""

    def request_resync(self, by):
        self.take_resync('nobody', 0)
        return super().request_resync(by)


class ComparesTogether(MemoryJournal):
    """Takes no notice of leases."""

    def take_resync(self, listener, lease_s):
        return super().take_resync(listener, 0)


class EndsAnyNumber(MemoryJournal):
    """Takes every end for that of the latest."""

    def end_resync(self, number, listener, counts):
        return super().end_resync(self.get_resync().number, listener, counts)


class ForgetsCounts(MemoryJournal):
    """Drops what was found."""

    def end_resync(self, number, listener, counts):
        return super().end_resync(number, listener, {})
