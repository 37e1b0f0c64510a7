"""Journals that break one rule each, to show that each rule can fail."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import uuid

from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.journal.change import Change
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.journal.tables import AGENTS
from virtdc_agent.journal.tables import EVENTS
from virtdc_agent import model
from virtdc_agent.scheduling import Lane


class Do(Change):
    """Whatever a broken journal does in a transaction."""

    def __init__(self, do, event_id=None) -> None:
        self._do = do
        self._event_id = event_id

    def needs(self):
        return () if self._event_id is None else (self._event_id,)

    def apply(self, tx):
        return self._do(tx)


class ForgetsTheRequest(MemoryJournal):
    """Returns an event that is not what was accepted."""

    def get_event(self, event_id):
        event = super().get_event(event_id)
        return dataclasses.replace(event, event_id='another')


class AppendsAgain(MemoryJournal):
    """Notes a change when nothing has changed."""

    def append(self, event, **limits):
        known = event.event_id in self.get_latest([event.event_id])
        transition = super().append(event, **limits)
        if known and transition.state.is_final:
            self._writer.run(
                Do(lambda tx: self._note(tx, transition), event.event_id)
            )
        return transition

    @staticmethod
    def _note(tx, transition):
        tx.transit(
            tx.row(transition.event_id),
            dataclasses.replace(transition, sequence=tx.next_sequence()),
        )


class TakesAnyContent(MemoryJournal):
    """Answers for another event of the same id."""

    def append(self, event, **limits):
        try:
            return super().append(event, **limits)
        except exceptions.EventConflict:
            return self.get_latest([event.event_id])[event.event_id]


class TakesAnyNumber(MemoryJournal):
    """Accepts more than may wait."""

    def append(self, event, *, max_waiting=None, **limits):
        return super().append(event, **limits)


class IgnoresWhatIsKnown(MemoryJournal):
    """Accepts what is about a volume as it was."""

    def append(self, event, *, unchanged=None, **limits):
        return super().append(event, **limits)


class KnowsNoQueue(MemoryJournal):
    """Does not see what is yet to be done to the volume."""

    def append(self, event, *, unchanged=None, **limits):
        try:
            return super().append(event, unchanged=unchanged, **limits)
        except exceptions.VolumeChanging:
            return super().append(event, **limits)


class LooksBeforehand(MemoryJournal):
    """Compares, and accepts afterwards."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._both = threading.Barrier(2)

    def append(self, event, *, unchanged=None, **limits):
        is_new = not self.get_latest([event.event_id])
        if unchanged is not None and is_new:
            if self.count().waiting or self.get_fences():
                open_events = self.keeping().get_records(
                    model.RecordQuery(volume_id=event.volume_id)
                )
                if any(
                    one.is_closed or not one.latest.state.is_final
                    for one in open_events.records
                ):
                    raise exceptions.VolumeChanging('look again')
            try:
                volume = self.get_volume(event.volume_id)
            except exceptions.VolumeNotFound:
                volume = None
            if volume != unchanged:
                raise exceptions.VolumeChanged('look again')
            # Another one has looked by then, too, if there is one.
            with contextlib.suppress(threading.BrokenBarrierError):
                self._both.wait(1.0)
        return super().append(event, **limits)

    def keeping(self):
        return SqlKeeping(self.storage.engine, clock=self._clock)


class StandsInItsOwnWay(MemoryJournal):
    """Finds an event that is sent again in the way of itself."""

    def append(self, event, *, unchanged=None, **limits):
        if unchanged is not None and self.get_latest([event.event_id]):
            raise exceptions.VolumeChanging('look again')
        return super().append(event, unchanged=unchanged, **limits)


class TellsAgain(MemoryJournal):
    """Hands out for telling what its caller has told already."""

    def get_unpublished(self, limit, *, after=0):
        return super().get_unpublished(limit)


class CountsTooLate(MemoryJournal):
    """Remembers its counts for ever."""

    _first = None

    def count_lately(self):
        self._first = self._first or super().count_lately()
        return self._first


class NewestFirst(MemoryJournal):
    """Hands out what came last."""

    def claim(self, lane, limit):
        claims = super().claim(lane, limit)
        return claims[::-1] if len(claims) > 1 else claims


class TakesOneMore(MemoryJournal):
    """Ignores a limit of nothing."""

    def claim(self, lane, limit):
        return super().claim(lane, max(1, limit))


class KeepsTheVolumeBack(MemoryJournal):
    """Hands out claims without their volume."""

    def claim(self, lane, limit):
        return [
            dataclasses.replace(claim, volume=None)
            for claim in super().claim(lane, limit)
        ]


class SuccessAtWhatever(MemoryJournal):
    """Leaves success at the progress last seen."""

    def settle(self, claim, outcome):
        ended = super().settle(claim, outcome)
        if ended.bytes_total and outcome.state is State.SUCCESS:
            ended = dataclasses.replace(ended, progress=99)
        return ended


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
            tx.transit(
                row,
                dataclasses.replace(
                    tx.latest(row),
                    sequence=tx.next_sequence(),
                    progress=progress.percent,
                ),
            )

        if progress.phase:
            self._writer.run(Do(overwrite, claim.event.event_id))


class OpensAtOnce(MemoryJournal):
    """Lets the next event in while the storage is still at the last."""

    def fence_off(self, claim, outcome):
        return super().settle(claim, outcome)


class ForgetsWhatRan(MemoryJournal):
    """Leaves running what nobody runs."""

    def join(self):
        taken = super().join()
        return dataclasses.replace(taken, returned=taken.returned[:0])


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

        def note(tx):
            tx.totals.published = sequence

        self._writer.run(Do(note))


class Miscounts(MemoryJournal):
    """Says that nothing waits."""

    def count(self):
        return dataclasses.replace(super().count(), waiting=0)


class PoursPoolsTogether(MemoryJournal):
    """Counts all volumes as in the pool without a name."""

    def count(self):
        counts = super().count()
        every = model.PoolCounts(
            volumes=counts.volumes, provisioned_bytes=counts.provisioned_bytes
        )
        return dataclasses.replace(counts, pools={'': every})


class IsRenamed(MemoryJournal):
    """Names another data centre whenever it is asked."""

    @property
    def data_centre(self):
        return uuid.uuid4().hex


class TellsNobody(MemoryJournal):
    """Keeps its commits to itself."""

    def subscribe(self, callback, lane=None):
        pass


class GoesOnAfterClose(MemoryJournal):
    """Answers when it should not."""

    def claim(self, lane, limit):
        if self._writer._closed:
            return []
        return super().claim(lane, limit)


class FencesStandStill(MemoryJournal):
    """Gives every claim the same fence."""

    def release(self, claim):
        super().release(claim)

    def claim(self, lane, limit):
        claims = super().claim(lane, limit)
        if len(claims) == 2:
            claims = [
                dataclasses.replace(claim, fence=claims[0].fence)
                for claim in claims
            ]
        return claims


class SkipsSequences(MemoryJournal):
    """Leaves holes in its history."""

    def claim(self, lane, limit):
        claims = super().claim(lane, limit)
        if claims:
            self._writer.run(Do(lambda tx: tx.next_sequence()))
        return claims


class PutsBackAtTheEnd(MemoryJournal):
    """Makes what is released wait behind all others."""

    def release(self, claim):
        super().release(claim)
        self.released = claim.event.event_id

    def claim(self, lane, limit):
        claims = super().claim(lane, limit)
        if (
            len(claims) == 1
            and claims[0].event.event_id == getattr(self, 'released', '')
            and self.count().waiting
        ):
            others = super().claim(lane, limit)
            if others:
                super().release(claims[0])
                return others
        return claims


class LetsOvertake(MemoryJournal):
    """Frees the next event when one in the middle is cancelled."""

    def cancel(self, event_id):
        transition = super().cancel(event_id)
        if transition.sequence > 4 and transition.state is State.FAILED:
            unblocked = (
                EVENTS.update()
                .where(EVENTS.c.state == 'waiting')
                .values(blockers=0)
            )
            self._writer.run(Do(lambda tx: tx.connection.execute(unblocked)))
        return transition


class CountsNoAttempts(MemoryJournal):
    """Tells the claim that it is the attempt before."""

    def claim(self, lane, limit):
        return [
            dataclasses.replace(claim, attempt=claim.attempt - 1)
            for claim in super().claim(lane, limit)
        ]


class SharesVolumes(MemoryJournal):
    """Hands out all events of a volume at once."""

    def append(self, event, **limits):
        transition = super().append(event, **limits)
        unblocked = EVENTS.update().values(blockers=0)
        self._writer.run(Do(lambda tx: tx.connection.execute(unblocked)))
        return transition


class DropsResults(MemoryJournal):
    """Forgets what success had to say."""

    def settle(self, claim, outcome):
        return super().settle(claim, dataclasses.replace(outcome, result={}))


class ProgressLingers(MemoryJournal):
    """Begins an attempt where the last one was."""

    def claim(self, lane, limit):
        claims = super().claim(lane, limit)
        for claim in claims:
            if claim.attempt > 1:
                self._linger = claim.event.event_id
        return claims

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

    def join(self):
        fences = self.get_fences()
        taken = super().join()
        if fences and not taken.returned:
            blocked = EVENTS.update().values(blockers=1)
            self._writer.run(Do(lambda tx: tx.connection.execute(blocked)))
        return taken


class CancelsForNoReason(MemoryJournal):
    """Gives another reason than that somebody wanted it."""

    def cancel(self, event_id):
        transition = super().cancel(event_id)
        if transition.state is State.FAILED:
            transition = dataclasses.replace(
                transition, reason=Reason.REJECTED
            )
        return transition


class RetriesForgetfully(MemoryJournal):
    """Gives every retry the number of the first attempt."""

    def retry(self, claim):
        return dataclasses.replace(super().retry(claim), attempt=1)


class RetriesOnce(MemoryJournal):
    """Does not know again what it has answered."""

    def retry(self, claim):
        if (
            claim.attempt
            != self.get_latest([claim.event.event_id])[
                claim.event.event_id
            ].attempt
        ):
            raise exceptions.LeaseLost('asked again')
        return super().retry(claim)


class JoinsAgain(MemoryJournal):
    """Takes its own running events for a former life's."""

    def join(self):
        if not self.get_fences():
            return super().join()
        self._identity = dataclasses.replace(self._identity, life='another')
        return super().join()


class MixesLanes(MemoryJournal):
    """Gives everything to who asks first."""

    def claim(self, lane, limit):
        claims = super().claim(lane, limit)
        other = Lane.COPY if lane is Lane.QUICK else Lane.QUICK
        return [*claims, *super().claim(other, limit - len(claims))]


class FirstComeFirstServed(MemoryJournal):
    """Has no shares."""

    def claim(self, lane, limit):
        oldest = EVENTS.update().values(tag=EVENTS.c.id)
        self._writer.run(Do(lambda tx: tx.connection.execute(oldest)))
        return super().claim(lane, limit)


class OneOrigin(MemoryJournal):
    """Serves the cloud until there is nothing left to do."""

    def claim(self, lane, limit):
        claims = super().claim(lane, limit)
        first = [claim for claim in claims if claim.event.origin == 'cloud']
        return first or claims


class NothingIsUrgent(MemoryJournal):
    """Has one queue for all."""

    def claim(self, lane, limit):
        alike = EVENTS.update().values(urgency=1, tag=EVENTS.c.id)
        self._writer.run(Do(lambda tx: tx.connection.execute(alike)))
        return super().claim(lane, limit)


# Those that break a rule of sharing.


class TakesWhatIsTaken(MemoryJournal):
    """Takes over from everybody."""

    def take_over(self):
        lapse = AGENTS.update().values(lease_until=0.0)
        self._writer.run(Do(lambda tx: tx.connection.execute(lapse)))
        return super().take_over()


class LeavesTheDeadAlone(MemoryJournal):
    """Never looks after others."""

    def take_over(self):
        return model.Takeover()


class ClaimsWithoutLease(MemoryJournal):
    """Does not mind that its lease has ended."""

    def claim(self, lane, limit):
        try:
            return super().claim(lane, limit)
        except exceptions.LeaseLost:
            self.join()
            return super().claim(lane, limit)


class RenewsBlindly(MemoryJournal):
    """Renews whoever's lease it is."""

    def renew(self):
        try:
            return super().renew()
        except exceptions.LeaseLost:
            return model.Membership(lease_s=60.0)


class LeavesWithoutAWord(MemoryJournal):
    """Keeps its lease when it goes."""

    def leave(self):
        pass


class ConvictsNobody(MemoryJournal):
    """Tries for ever what kills."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, max_losses=10**6, **kwargs)


class ForgetsFences(MemoryJournal):
    """Knows of what runs here alone."""

    def get_fences(self):
        return sorted(super().get_fences())[:1]


class AllPublish(MemoryJournal):
    """Publishes beside others."""

    def get_unpublished(self, limit, *, after=0):
        after = max(after, self.count().published)
        return self.get_changes(after, limit).transitions


class HandsOutAgain(MemoryJournal):
    """Hands out what another agent was given."""

    def claim(self, lane, limit):
        free = (
            EVENTS.update()
            .where(EVENTS.c.holder != self._identity.name)
            .values(state='waiting')
        )
        self._writer.run(Do(lambda tx: tx.connection.execute(free)))
        return super().claim(lane, limit)


# Those that break a rule of snapshots.


class LosesNames(MemoryJournal):
    """Forgets what people call their snapshots."""

    def settle(self, claim, outcome):
        change = outcome.change
        if isinstance(change, model.PutSnapshot):
            nameless = dataclasses.replace(change.snapshot, name='')
            outcome = dataclasses.replace(
                outcome, change=model.PutSnapshot(snapshot=nameless)
            )
        return super().settle(claim, outcome)


class KeepsSnapshots(MemoryJournal):
    """Never removes one."""

    def settle(self, claim, outcome):
        if isinstance(outcome.change, model.RemoveSnapshot):
            outcome = dataclasses.replace(outcome, change=None)
        return super().settle(claim, outcome)


class ShowsAllSnapshots(MemoryJournal):
    """Shows those of other volumes as well."""

    def get_snapshots(self, volume_id, marker, limit):
        return super().get_snapshots(None, marker, limit)


class TellsOfNoSnapshots(MemoryJournal):
    """Leaves who deals with snapshots in the dark."""

    def claim(self, lane, limit):
        return [
            dataclasses.replace(one, snapshots=())
            for one in super().claim(lane, limit)
        ]


class HidesTheSource(MemoryJournal):
    """Does not say what a copy's source is."""

    def claim(self, lane, limit):
        return [
            dataclasses.replace(one, source=None)
            for one in super().claim(lane, limit)
        ]


class KeepsOneOfTheGroup(MemoryJournal):
    """Has room for one change in a settlement."""

    def settle(self, claim, outcome):
        if isinstance(outcome.change, model.PutSnapshots):
            first = outcome.change.snapshots[0]
            outcome = dataclasses.replace(
                outcome, change=model.PutSnapshot(snapshot=first)
            )
        return super().settle(claim, outcome)


class HidesMembers(MemoryJournal):
    """Tells a group only of the volume in whose name it goes."""

    def claim(self, lane, limit):
        return [
            dataclasses.replace(one, members=one.members[:1])
            for one in super().claim(lane, limit)
        ]


class TellsOneOfTheGroup(MemoryJournal):
    """Tells a group as an event of one volume."""

    def get_changes(self, after, limit):
        changes = super().get_changes(after, limit)
        return dataclasses.replace(
            changes,
            transitions=[
                dataclasses.replace(one, volume_ids=())
                for one in changes.transitions
            ],
        )


class OpensTheGroup(MemoryJournal):
    """Lets others in as soon as a group has begun."""

    def claim(self, lane, limit):
        taken = super().claim(lane, limit)
        held = [one.event.volume_ids for one in taken if one.event.volume_ids]
        if held:
            self._writer.run(
                Do(
                    lambda tx: tx.connection.execute(
                        EVENTS.update()
                        .where(EVENTS.c.volume_id.in_(held[0]))
                        .where(EVENTS.c.state == 'waiting')
                        .values(blockers=0)
                    )
                )
            )
        return taken
