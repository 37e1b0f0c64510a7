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
