"""What a journal must hold of events that are executed: once, by one."""

from __future__ import annotations

import dataclasses

from virtdc_agent.conformance import journal
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent import model
from virtdc_agent.scheduling import Lane


class ExecutingRules(journal.JournalCase):
    """The rules; see ``journal_rules``."""

    def test_claim_oldest_first(self) -> None:
        """Events are taken in the order of their acceptance."""
        made = self.append('c', 'a', 'b')
        taken = [*self.claim(2), *self.claim(2)]
        self.assertEqual(made, [claim.event for claim in taken])

    def test_claim_no_more_than_asked(self) -> None:
        """A limit is a limit, 0 included."""
        self.append('a', 'b')
        self.assertEqual([], self.claim(0))
        self.assertEqual(1, len(self.claim(1)))

    def test_claim_makes_it_running(self) -> None:
        """A claim counts an attempt and is told."""
        claim = self.claim_one()
        transition = self.latest(claim.event.event_id)
        self.assertIs(State.RUNNING, transition.state)
        self.assertEqual((1, 1), (claim.attempt, transition.attempt))

    def test_claim_carries_the_volume(self) -> None:
        """The claim says how the volume is."""
        claim = self.claim_one()
        self.assertIsNone(claim.volume)
        change = journal.put('v')
        self.journal.settle(
            claim, model.Outcome(state=State.SUCCESS, change=change)
        )
        carried = self.claim_one().volume
        if carried is None:
            self.fail('it is not told')
        # Where in the history it was changed, the journal adds.
        self.assertEqual(
            change.volume, dataclasses.replace(carried, changed_at_sequence=0)
        )

    def test_fences_grow(self) -> None:
        """Each claim has a higher fence than all before."""
        self.append('a', 'b', 'c')
        claims = self.claim(2)
        self.journal.release(claims[0])
        claims += self.claim(2)
        fences = [claim.fence for claim in claims]
        self.assertEqual(sorted(set(fences)), fences)

    def test_one_volume_one_claim(self) -> None:
        """Of one volume's events only the first can be taken."""
        first, second, third = self.append('v', 'v', 'v')
        for event in (first, second, third):
            (claim,) = self.claim(10)
            self.assertEqual(event, claim.event)
            self.assertEqual([], self.claim(10))
            self.journal.settle(claim, journal.SUCCESS)

    def test_settle_is_final(self) -> None:
        """An end is told once, with all it says."""
        claim = self.claim_one()
        outcome = model.Outcome(
            state=State.SUCCESS, result={'size_bytes': journal.GIB}
        )
        ended = self.journal.settle(claim, outcome)
        self.assertEqual(ended, self.latest(claim.event.event_id))
        self.assertIs(State.SUCCESS, ended.state)
        self.assertEqual({'size_bytes': journal.GIB}, dict(ended.result))

    def test_success_is_100_per_cent(self) -> None:
        """Success forces the progress to 100."""
        claim = self.claim_one()
        self.journal.record_progress(
            claim, model.Progress(bytes_done=5, bytes_total=10)
        )
        self.assertEqual(
            100, self.journal.settle(claim, journal.SUCCESS).progress
        )

    def test_failure_keeps_the_progress(self) -> None:
        """Failure says why, and how far it had come."""
        claim = self.claim_one()
        self.journal.record_progress(
            claim, model.Progress(bytes_done=5, bytes_total=10)
        )
        ended = self.journal.settle(claim, journal.FAILURE)
        self.assertEqual(50, ended.progress)
        self.assertIs(Reason.BACKEND, ended.reason)
        self.assertEqual('It broke.', ended.message)

    def test_settle_again_is_the_same(self) -> None:
        """The first end stays."""
        claim = self.claim_one()
        ended = self.journal.settle(claim, journal.SUCCESS)
        self.assertEqual(ended, self.journal.settle(claim, journal.FAILURE))
        self.assertEqual(3, len(self.history()))

    def test_settle_of_a_lost_claim(self) -> None:
        """A claim that another has replaced writes nothing."""
        lost = self.claim_one()
        self.journal.release(lost)
        with self.assertRaises(exceptions.LeaseLost):
            self.journal.settle(lost, journal.SUCCESS)
        (claim,) = self.claim(1)
        for write in (
            lambda: self.journal.settle(
                lost,
                model.Outcome(state=State.SUCCESS, change=journal.put('v')),
            ),
            lambda: self.journal.release(lost),
            lambda: self.journal.fence_off(lost, journal.FAILURE),
            lambda: self.journal.record_progress(lost, model.Progress()),
        ):
            with self.assertRaises(exceptions.LeaseLost):
                write()
        self.assertEqual(0, self.journal.count().volumes)
        self.journal.settle(claim, journal.SUCCESS)

    def test_settle_changes_the_volume(self) -> None:
        """Volumes and their sum follow what operations say."""
        for size, change in (
            (3, journal.put('v', 3)),
            (5, journal.put('v', 5)),
            (0, model.RemoveVolume(volume_id='v')),
            (0, model.RemoveVolume(volume_id='v')),
        ):
            self.journal.settle(
                self.claim_one(),
                model.Outcome(state=State.SUCCESS, change=change),
            )
            counts = self.journal.count()
            self.assertEqual(size, counts.provisioned_bytes)
            self.assertEqual(int(size > 0), counts.volumes)

    def test_settle_counts_by_pool(self) -> None:
        """Each pool's volumes and their sum follow, also when one moves."""
        for expected, change in (
            ({'a': (1, 3)}, journal.put('v', 3, pool='a')),
            ({'a': (1, 3), '': (1, 7)}, journal.put('w', 7)),
            ({'a': (1, 5), '': (1, 7)}, journal.put('v', 5, pool='a')),
            ({'b': (1, 5), '': (1, 7)}, journal.put('v', 5, pool='b')),
            ({'': (1, 7)}, model.RemoveVolume(volume_id='v')),
            ({}, model.RemoveVolume(volume_id='w')),
        ):
            self.journal.settle(
                self.claim_one(),
                model.Outcome(state=State.SUCCESS, change=change),
            )
            for counts in (self.journal.count(), self.journal.count_lately()):
                self.assertEqual(
                    expected,
                    {
                        pool: (found.volumes, found.provisioned_bytes)
                        for pool, found in counts.pools.items()
                    },
                )

    def test_progress_never_falls(self) -> None:
        """Within an attempt the percentage only grows."""
        claim = self.claim_one()
        seen = []
        for done in (10, 50, 30, 60):
            self.journal.record_progress(
                claim,
                model.Progress(bytes_done=done, bytes_total=100, phase='copy'),
            )
            seen.append(self.latest(claim.event.event_id).progress)
        self.assertEqual([10, 50, 50, 60], seen)
        self.assertEqual('copy', self.latest(claim.event.event_id).phase)

    def test_progress_begins_anew_with_an_attempt(self) -> None:
        """Another attempt knows nothing of the one before."""
        claim = self.claim_one()
        self.journal.record_progress(
            claim, model.Progress(bytes_done=5, bytes_total=10)
        )
        self.journal.release(claim)
        (again,) = self.claim(1)
        transition = self.latest(claim.event.event_id)
        self.assertEqual(2, again.attempt)
        self.assertEqual(2, transition.attempt)
        self.assertIsNone(transition.progress)

    def test_release_keeps_its_place(self) -> None:
        """What is journal.put back is taken first again."""
        first, _ = self.append('a', 'b')
        (claim,) = self.claim(1)
        self.journal.release(claim)
        self.assertIs(State.WAITING, self.latest(first.event_id).state)
        self.assertEqual(first, self.claim(1)[0].event)

    def test_fence_off_ends_it_and_keeps_the_volume_closed(self) -> None:
        """Later events of the volume wait until it is opened."""
        claim = self.claim_one()
        (following,) = self.append('v')
        ended = self.journal.fence_off(claim, journal.FAILURE)
        self.assertIs(State.FAILED, ended.state)
        self.assertEqual([], self.claim(10))
        self.journal.unfence(claim, journal.put('v'))
        self.journal.unfence(claim, None)
        (next_claim,) = self.claim(10)
        self.assertEqual(following, next_claim.event)
        self.assertEqual('v', self.journal.get_volume('v').volume_id)
        self.assertEqual(ended, self.latest(claim.event.event_id))

    def test_join_puts_back_what_ran(self) -> None:
        """What a former life had running waits again, under suspicion."""
        first, second, third = self.append('a', 'b', 'b')
        self.claim(10)
        self.journal = self.open('agent')
        taken = self.journal.join()
        self.assertEqual(
            [first.event_id, second.event_id],
            [transition.event_id for transition in taken.returned],
        )
        for transition in taken.returned:
            self.assertIs(State.WAITING, transition.state)
            self.assertEqual(1, transition.attempt)
        self.assertEqual(2, self.journal.count().suspects)
        self.assertEqual([], self.claim(10))
        for event in (first, second):
            claim = journal.suspect_of(self.journal)
            self.assertEqual((event, 2), (claim.event, claim.attempt))
            self.assertEqual(1, claim.losses)
            self.journal.settle(claim, journal.SUCCESS)
        self.assertIsNone(self.journal.claim_suspect(Lane.QUICK))
        self.assertEqual([third], [claim.event for claim in self.claim(10)])

    def test_join_opens_what_was_closed(self) -> None:
        """Nothing stays closed by an agent that is gone."""
        claim = self.claim_one()
        (following,) = self.append('v')
        self.journal.fence_off(claim, journal.FAILURE)
        self.journal = self.open('agent')
        self.assertEqual([], list(self.journal.join().returned))
        self.assertEqual(following, self.claim(10)[0].event)
        self.journal.unfence(claim, journal.put('v'))
        self.assertEqual(0, self.journal.count().volumes)

    def test_join_again_changes_nothing(self) -> None:
        """One life joins once, however often it asks."""
        claim = self.claim_one()
        self.assertEqual([], list(self.journal.join().returned))
        self.journal.settle(claim, journal.SUCCESS)

    def test_retry_is_another_attempt(self) -> None:
        """It stays running, told anew; the former claim is void."""
        claim = self.claim_one()
        self.journal.record_progress(
            claim, model.Progress(bytes_done=5, bytes_total=10)
        )
        again = self.journal.retry(claim)
        self.assertEqual(2, again.attempt)
        self.assertGreater(again.fence, claim.fence)
        latest = self.latest(claim.event.event_id)
        self.assertEqual(
            (State.RUNNING, 2, None),
            (latest.state, latest.attempt, latest.progress),
        )
        with self.assertRaises(exceptions.LeaseLost):
            self.journal.settle(claim, journal.SUCCESS)
        self.journal.settle(again, journal.SUCCESS)
        self.assertEqual(
            1, len([t for t in self.history() if t.state.is_final])
        )

    def test_retry_asked_again_is_the_same(self) -> None:
        """An answer that was not heard is given again."""
        claim = self.claim_one()
        again = self.journal.retry(claim)
        self.assertEqual(again, self.journal.retry(claim))
        self.journal.settle(again, journal.SUCCESS)
        with self.assertRaises(exceptions.LeaseLost):
            self.journal.retry(again)
