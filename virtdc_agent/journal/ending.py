"""What a claim's holder writes: progress, and one of several ends."""

from __future__ import annotations

from collections.abc import Collection
import dataclasses

from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract import fields
from virtdc_agent.journal.change import Change
from virtdc_agent.journal import consequences
from virtdc_agent.journal.row import Row
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model


class _OfClaim(Change[Transition]):
    def __init__(self, claim: model.Claim) -> None:
        self.claim = claim

    def needs(self) -> Collection[str]:
        """See the base."""
        return (self.claim.event.event_id,)


class Progress(_OfClaim):
    """Note how far it is. Before an end that comes at the same time."""

    rank = 0

    def __init__(self, claim: model.Claim, progress: model.Progress) -> None:
        super().__init__(claim)
        self._progress = progress

    def apply(self, tx: Transaction) -> Transition:
        """See the base."""
        row = tx.held(self.claim)
        latest = tx.latest(row)
        known = [
            percent
            for percent in (latest.progress, self._progress.percent)
            if percent is not None
        ]
        transition = dataclasses.replace(
            latest,
            sequence=tx.next_sequence(),
            occurred_at=tx.now,
            progress=max(known, default=None),
            bytes_done=self._progress.bytes_done,
            bytes_total=self._progress.bytes_total,
            phase=fields.clean_text(self._progress.phase, 64),
        )
        tx.transit(row, transition)
        return transition


class Settle(_OfClaim):
    """End an event, change its volume, let the next ones in."""

    def __init__(self, claim: model.Claim, outcome: model.Outcome) -> None:
        super().__init__(claim)
        self._outcome = outcome

    def apply(self, tx: Transaction) -> Transition:
        """See the base."""
        row = tx.row(self.claim.event.event_id)
        if row is not None and row.fence == self.claim.fence:
            latest = tx.latest(row)
            if latest.state.is_final:
                return latest
        row = tx.held(self.claim)
        transition = final_of(tx, row, self._outcome)
        row.holder = None
        tx.transit(row, transition)
        consequences.carry(
            tx, self.claim, self._outcome.change, transition.sequence
        )
        tx.leave(row, self.claim.event.resources)
        return transition


class FenceOff(_OfClaim):
    """End an event; let nobody in."""

    def __init__(self, claim: model.Claim, outcome: model.Outcome) -> None:
        super().__init__(claim)
        self._outcome = outcome

    def apply(self, tx: Transaction) -> Transition:
        """See the base."""
        row = tx.row(self.claim.event.event_id)
        if row is not None and row.fence == self.claim.fence and row.is_closed:
            return tx.latest(row)
        row = tx.held(self.claim)
        transition = final_of(tx, row, self._outcome)
        row.is_closed = True
        tx.transit(row, transition)
        return transition


class Unfence(Change[None]):
    """Let the next ones in after ``FenceOff``."""

    def __init__(
        self, claim: model.Claim, change: model.VolumeChange | None
    ) -> None:
        self._claim = claim
        self._change = change

    def needs(self) -> Collection[str]:
        """See the base."""
        return (self._claim.event.event_id,)

    def apply(self, tx: Transaction) -> None:
        """See the base."""
        row = tx.row(self._claim.event.event_id)
        if row is None or row.fence != self._claim.fence or not row.is_closed:
            return
        consequences.carry(
            tx, self._claim, self._change, tx.latest(row).sequence
        )
        open_closed(tx, row, self._claim.event.resources)


class Release(_OfClaim):
    """Put an event back in its old place."""

    def apply(self, tx: Transaction) -> Transition:
        """See the base."""
        return put_back(tx, tx.held(self.claim))


def final_of(tx: Transaction, row: Row, outcome: model.Outcome) -> Transition:
    """Return the last transition of an event."""
    latest = tx.latest(row)
    succeeded = outcome.state is State.SUCCESS
    return dataclasses.replace(
        latest,
        state=outcome.state,
        sequence=tx.next_sequence(),
        occurred_at=tx.now,
        progress=100 if succeeded else latest.progress,
        bytes_done=latest.bytes_total if succeeded else latest.bytes_done,
        reason=outcome.reason,
        message=fields.clean_text(outcome.message),
        result=outcome.result,
    )


def put_back(tx: Transaction, row: Row) -> Transition:
    """Have a running event wait again."""
    transition = dataclasses.replace(
        tx.latest(row),
        state=State.WAITING,
        sequence=tx.next_sequence(),
        occurred_at=tx.now,
        progress=None,
        bytes_done=None,
        bytes_total=None,
        phase='',
    )
    row.holder = None
    tx.transit(row, transition)
    return transition


def open_closed(tx: Transaction, row: Row, resources: Collection[str]) -> None:
    """Open what a timeout had kept closed."""
    row.is_closed = False
    row.holder = None
    tx.touch(row)
    tx.leave(row, resources)
