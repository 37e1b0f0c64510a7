"""Journals that break one rule each, to show that each rule can fail."""

from __future__ import annotations

import dataclasses

from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent import model


class ForgetsTheRequest(MemoryJournal):
    """Returns an event that is not what was accepted."""

    def get_event(self, event_id):
        event = super().get_event(event_id)
        return dataclasses.replace(event, event_id='another')


class AppendsAgain(MemoryJournal):
    """Notes a change when nothing has changed."""

    def append(self, event):
        known = event.event_id in self.get_latest([event.event_id])
        transition = super().append(event)
        if known and transition.state.is_final:
            self._write(
                lambda tx: tx.note(
                    dataclasses.replace(
                        transition, sequence=tx.add('sequence', 1)
                    )
                )
            )
        return transition


class TakesAnyContent(MemoryJournal):
    """Answers for another event of the same id."""

    def append(self, event):
        try:
            return super().append(event)
        except exceptions.EventConflict:
            return self.get_latest([event.event_id])[event.event_id]


class NewestFirst(MemoryJournal):
    """Hands out what came last."""

    def claim(self, limit):
        claims = super().claim(limit)
        return claims[::-1] if len(claims) > 1 else claims


class TakesOneMore(MemoryJournal):
    """Ignores a limit of nothing."""

    def claim(self, limit):
        return super().claim(max(1, limit))


class KeepsTheVolumeBack(MemoryJournal):
    """Hands out claims without their volume."""

    def claim(self, limit):
        return [
            dataclasses.replace(claim, volume=None)
            for claim in super().claim(limit)
        ]


class SuccessAtWhatever(MemoryJournal):
    """Leaves success at the progress last seen."""

    def _final(self, tx, row, outcome):
        transition = super()._final(tx, row, outcome)
        if transition.bytes_total and outcome.state is State.SUCCESS:
            transition = dataclasses.replace(transition, progress=99)
        return transition


class FailureForgetsWhy(MemoryJournal):
    """Drops the sentence of a failure."""

    def settle(self, claim, outcome):
        return super().settle(claim, dataclasses.replace(outcome, message=''))


class SettlesTwice(MemoryJournal):
    """Says that the second end holds."""

    def settle(self, claim, outcome):
        ended = super().settle(claim, outcome)
        return dataclasses.replace(
            ended, state=outcome.state, reason=outcome.reason
        )


class BelievesTheStale(MemoryJournal):
    """Does not tell a claim that it is lost."""

    def settle(self, claim, outcome):
        try:
            return super().settle(claim, outcome)
        except exceptions.LeaseLost:
            return self.get_latest([claim.event.event_id])[
                claim.event.event_id
            ]


class NeverRemovesVolumes(MemoryJournal):
    """Keeps volumes that are gone."""

    def settle(self, claim, outcome):
        if isinstance(outcome.change, model.RemoveVolume):
            outcome = dataclasses.replace(outcome, change=None)
        return super().settle(claim, outcome)


class ProgressFalls(MemoryJournal):
    """Writes whatever it is told."""

    def record_progress(self, claim, progress):
        super().record_progress(claim, progress)

        def overwrite(tx):
            row = tx.held(claim)
            latest = self.get_latest([row.event_id])[row.event_id]
            tx.save(
                row,
                dataclasses.replace(
                    latest,
                    sequence=tx.add('sequence', 1),
                    progress=progress.percent,
                ),
                fence=claim.fence,
                holder=self._agent,
            )

        if progress.phase:
            self._write(overwrite)


class OpensAtOnce(MemoryJournal):
    """Lets the next event in while the storage is still at the last."""

    def fence_off(self, claim, outcome):
        return super().settle(claim, outcome)


class ForgetsWhatRan(MemoryJournal):
    """Leaves running what nobody runs."""

    def recover(self):
        super_recovered = super().recover()
        return super_recovered[:0]


class NeverCancels(MemoryJournal):
    """Takes the wish, and keeps it to itself."""

    def get_cancelled(self, claims):
        return []


class InventsEvents(MemoryJournal):
    """Answers for events there are not."""

    def get_event(self, event_id):
        try:
            return super().get_event(event_id)
        except exceptions.EventNotFound:
            return None


class CancelsNothing(MemoryJournal):
    """Is silent about what it does not know."""

    def cancel(self, event_id):
        try:
            return super().cancel(event_id)
        except exceptions.EventNotFound:
            return None


class RevivesTheDead(MemoryJournal):
    """Calls an ended event cancelled."""

    def cancel(self, event_id):
        transition = super().cancel(event_id)
        if transition.state is State.SUCCESS:
            transition = dataclasses.replace(transition, state=State.FAILED)
        return transition


class LosesTheOldest(MemoryJournal):
    """Begins its history too late."""

    def get_changes(self, after, limit):
        changes = super().get_changes(after, limit)
        return dataclasses.replace(changes, oldest=0)


class EndsTooSoon(MemoryJournal):
    """Says that there are no more volumes."""

    def get_volumes(self, marker, limit):
        page = super().get_volumes(marker, limit)
        return dataclasses.replace(page, next_marker=None)


class PublishesBackwards(MemoryJournal):
    """Forgets what is on the bus."""

    def mark_published(self, sequence):
        self._writes.run(
            lambda tx: tx.add('published', sequence - tx.counter('published'))
        )


class Miscounts(MemoryJournal):
    """Says that nothing waits."""

    def count(self):
        return dataclasses.replace(super().count(), waiting=0)


class TellsNobody(MemoryJournal):
    """Keeps its commits to itself."""

    def subscribe(self, callback):
        pass


class GoesOnAfterClose(MemoryJournal):
    """Answers when it should not."""

    def claim(self, limit):
        if self._closed:
            return []
        return super().claim(limit)


class FencesStandStill(MemoryJournal):
    """Gives every claim the same fence."""

    def release(self, claim):
        super().release(claim)

    def claim(self, limit):
        claims = super().claim(limit)
        if len(claims) == 2:
            claims = [
                dataclasses.replace(claim, fence=claims[0].fence)
                for claim in claims
            ]
        return claims


class SkipsSequences(MemoryJournal):
    """Leaves holes in its history."""

    def _begin(self, tx, row):
        tx.add('sequence', 1)
        return super()._begin(tx, row)


class PutsBackAtTheEnd(MemoryJournal):
    """Makes what is released wait behind all others."""

    def release(self, claim):
        super().release(claim)
        self.released = claim.event.event_id

    def claim(self, limit):
        claims = super().claim(limit)
        if (
            len(claims) == 1
            and claims[0].event.event_id == getattr(self, 'released', '')
            and self.count().waiting
        ):
            others = super().claim(limit)
            if others:
                super().release(claims[0])
                return others
        return claims


class LetsOvertake(MemoryJournal):
    """Frees the next event when one in the middle is cancelled."""

    def cancel(self, event_id):
        transition = super().cancel(event_id)
        if transition.sequence > 4 and transition.state is State.FAILED:
            self._write(
                lambda tx: tx.connection.execute(
                    EVENTS.update()
                    .where(EVENTS.c.state == 'waiting')
                    .values(blockers=0)
                )
            )
        return transition


class CountsNoAttempts(MemoryJournal):
    """Tells the claim that it is the attempt before."""

    def _begin(self, tx, row):
        claim = super()._begin(tx, row)
        return dataclasses.replace(claim, attempt=claim.attempt - 1)


class SharesVolumes(MemoryJournal):
    """Hands out all events of a volume at once."""

    def append(self, event):
        transition = super().append(event)
        self._write(
            lambda tx: tx.connection.execute(
                EVENTS.update().values(blockers=0)
            )
        )
        return transition


class DropsResults(MemoryJournal):
    """Forgets what success had to say."""

    def settle(self, claim, outcome):
        return super().settle(claim, dataclasses.replace(outcome, result={}))


class ProgressLingers(MemoryJournal):
    """Begins an attempt where the last one was."""

    def _begin(self, tx, row):
        claim = super()._begin(tx, row)
        if claim.attempt > 1:
            self._linger = claim.event.event_id
        return claim

    def get_latest(self, event_ids):
        return {
            key: dataclasses.replace(value, progress=50)
            if key == getattr(self, '_linger', None)
            and value.state is State.RUNNING
            else value
            for key, value in super().get_latest(event_ids).items()
        }


class KeepsClosed(MemoryJournal):
    """Leaves closed what a dead agent closed."""

    def recover(self):
        opening, self._open = self._open, lambda tx, row: None
        try:
            return super().recover()
        finally:
            self._open = opening


class CancelsForNoReason(MemoryJournal):
    """Gives another reason than that somebody wanted it."""

    def cancel(self, event_id):
        transition = super().cancel(event_id)
        if transition.state is State.FAILED:
            transition = dataclasses.replace(
                transition, reason=Reason.REJECTED
            )
        return transition
