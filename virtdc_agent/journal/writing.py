"""Carries out changes, as many as come together, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
from typing import Any, TypeVar

from oslo_db import exception as db_exception

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent.journal.bell import Bell
from virtdc_agent.journal.change import Change
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.group_commit import GroupCommit
from virtdc_agent.journal.group_commit import Request
from virtdc_agent.journal.tail import Tail
from virtdc_agent.journal.transaction import reading_totals
from virtdc_agent.journal.transaction import Texts
from virtdc_agent.journal.transaction import Totals
from virtdc_agent.journal.transaction import Transaction

R = TypeVar('R')

_ATTEMPTS = 5
"""How often a transaction is begun again that another one stood in the way
of. By the order of its locks that is rare; databases may still say so."""


@dataclasses.dataclass(frozen=True, slots=True)
class Last:
    """The totals as the last commit left them, and when that was.

    :param at: of the monotonic clock, before the commit.
    """

    totals: Totals
    at: float


class Writer:
    """One connection, and all that is to be written through it.

    Safe from any thread.

    :param bell: rung after each commit that made history.
    :param turn: held while the connection is in use, if others use it.
    """

    def __init__(
        self,
        engine: Any,
        texts: Texts,
        clock: interfaces.Clock,
        *,
        bell: Bell | None = None,
        turn: contextlib.AbstractContextManager[Any] | None = None,
    ) -> None:
        self._engine = engine
        self._texts = texts
        self._clock = clock
        self._reading_totals = reading_totals(engines.server_time(engine))
        self._turn = turn or contextlib.nullcontext()
        self._bell = bell or Bell()
        self._connection: Any | None = None
        self._closed = False
        self.last: Last | None = None
        self.tail = Tail()
        self._together: GroupCommit[Change[Any]] = GroupCommit(self._commit)

    def run(self, change: Change[R]) -> R:
        """Carry out a change; return when it is committed.

        :raises AgentError: the change refused itself, and wrote nothing.
        :raises JournalUnavailable: the database did not take it.
        """
        result: R = self._together.run(change)
        return result

    def close(self) -> None:
        """Let go of the connection; no other call may follow."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _commit(self, requests: Sequence[Request[Change[Any]]]) -> None:
        if self._closed:
            raise exceptions.JournalUnavailable('the journal is closed.')
        for attempt in range(1, _ATTEMPTS + 1):
            begun = self._clock.monotonic()
            try:
                with self._turn, engines.translated(self._engine.url):
                    tx = self._try(requests)
            except exceptions.JournalUnavailable as exc:
                # What is tried again was rolled back, all of it.
                if (
                    not isinstance(exc.__cause__, db_exception.DBDeadlock)
                    or attempt == _ATTEMPTS
                ):
                    raise
            else:
                self.last = Last(tx.totals, begun)
                self.tail.add(tx.told)
                if tx.has_history or tx.woken:
                    self._bell.ring(tx.woken)
                return

    def _try(self, requests: Sequence[Request[Change[Any]]]) -> Transaction:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            with engines.writing(self._connection):
                tx = self._carry_out(requests)
        except BaseException:
            self._drop()
            raise
        return tx

    def _carry_out(
        self, requests: Sequence[Request[Change[Any]]]
    ) -> Transaction:
        tx = Transaction(
            self._connection,
            texts=self._texts,
            read_totals=self._reading_totals,
            clock_now=self._clock.now,
        )
        changes = [request.change for request in requests]
        tx.load({one for change in changes for one in change.needs()})
        for change in changes:
            change.lock(tx)
        tx.begin_writing(
            {one for change in changes for one in change.resources()},
            {one for change in changes for one in change.flows()},
        )
        for request in sorted(requests, key=lambda one: one.change.rank):
            # A change that refuses itself has read only; what the database
            # says ends them all.
            try:
                request.result = request.change.apply(tx)
                request.error = None
            except exceptions.AgentError as exc:
                request.error = exc
        tx.flush()
        return tx

    def _drop(self) -> None:
        """Begin anew with another connection after an error."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()
