"""The comparison of both sides that was asked for last: one row."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
from typing import Any

import sqlalchemy as sa

from virtdc_agent.contract import codec
from virtdc_agent.contract.resyncs import Resync
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent.journal.change import Change
from virtdc_agent.journal.reading import Reader
from virtdc_agent.journal.tables import RESYNCS
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent.journal.writing import Writer

_LATEST = sa.select(RESYNCS).order_by(RESYNCS.c.number.desc()).limit(1)


class ResyncBook(interfaces.Resyncs):
    """A part of the journal; see the interface."""

    _reader: Reader
    _writer: Writer

    def request_resync(self, by: str) -> Resync:
        """See the interface."""
        return self._writer.run(_Request(by))

    def get_resync(self) -> Resync | None:
        """See the interface."""
        for row in self._reader.ask(_LATEST):
            return _resync(row)
        return None

    def take_resync(self, listener: str, lease_s: float) -> Resync | None:
        """See the interface."""
        return self._writer.run(_Take(listener, lease_s))

    def end_resync(
        self, number: int, listener: str, counts: Mapping[str, int]
    ) -> Resync:
        """See the interface."""
        return self._writer.run(_End(number, listener, counts))


class _Request(Change[Resync]):
    def __init__(self, by: str) -> None:
        self._by = by

    def apply(self, tx: Transaction) -> Resync:
        """See the base."""
        found = _find(tx)
        known = None if found is None else _resync(found)
        if known is not None and known.started_at is None:
            return known
        wanted = Resync(
            number=known.number + 1 if known else 1,
            asked_at=tx.now,
            asked_by=self._by,
        )
        tx.connection.execute(RESYNCS.delete())
        tx.connection.execute(
            RESYNCS.insert(),
            {'number': wanted.number, 'until': 0.0, 'body': _text(wanted)},
        )
        return wanted


class _Take(Change[Resync | None]):
    def __init__(self, listener: str, lease_s: float) -> None:
        self._listener = listener
        self._lease_s = lease_s

    def apply(self, tx: Transaction) -> Resync | None:
        """See the base."""
        found = _find(tx)
        if found is None:
            return None
        known = _resync(found)
        if known.ended_at is not None or (
            found.until > tx.seconds and known.listener != self._listener
        ):
            return None
        taken = dataclasses.replace(
            known, listener=self._listener, started_at=tx.now
        )
        _put(tx, taken, until=tx.seconds + self._lease_s)
        return taken


class _End(Change[Resync]):
    def __init__(
        self, number: int, listener: str, counts: Mapping[str, int]
    ) -> None:
        self._number = number
        self._listener = listener
        self._counts = counts

    def apply(self, tx: Transaction) -> Resync:
        """See the base."""
        found = _find(tx)
        if found is None or found.number != self._number:
            raise exceptions.ResyncNotFound(
                f'Resync {self._number} is not the latest.'
            )
        known = _resync(found)
        if known.ended_at is not None:
            return known
        ended = dataclasses.replace(
            known,
            listener=self._listener,
            started_at=known.started_at or tx.now,
            ended_at=tx.now,
            **self._counts,  # type: ignore[arg-type]
        )
        _put(tx, ended, until=tx.seconds)
        return ended


def _find(tx: Transaction) -> Any:
    return tx.connection.execute(_LATEST).first()


def _put(tx: Transaction, resync: Resync, *, until: float) -> None:
    tx.connection.execute(
        RESYNCS.update()
        .where(RESYNCS.c.number == resync.number)
        .values(until=until, body=_text(resync))
    )


def _text(resync: Resync) -> str:
    return json.dumps(codec.encode(resync))


def _resync(row: Any) -> Resync:
    return codec.decode(json.loads(row.body), Resync)
