"""What may be done to the journal in one transaction with others."""

from __future__ import annotations

import abc
from collections.abc import Collection
from typing import Generic, TypeVar

from virtdc_agent.journal.transaction import Transaction

R_co = TypeVar('R_co', covariant=True)


class Change(abc.ABC, Generic[R_co]):
    """One wish of one caller.

    Those that come together are carried out in one transaction, in the order
    of ``rank`` and then of their coming: they are all at the same time, so
    any order is a right one. A change that refuses itself, by an
    ``AgentError`` from ``apply``, must have written nothing.
    """

    rank = 1
    """Who joins a queue does so before others leave it: then that they leave
    is told to all who wait."""

    def needs(self) -> Collection[str]:
        """Return the events whose rows it reads."""
        return ()

    def resources(self) -> Collection[str]:
        """Return the resources whose queues it joins."""
        return ()

    def flows(self) -> Collection[str]:
        """Return the flows whose end it reads."""
        return ()

    def lock(self, tx: Transaction) -> None:
        """Read and lock other rows of events; phase one."""

    @abc.abstractmethod
    def apply(self, tx: Transaction) -> R_co:
        """Do it; phase two."""
