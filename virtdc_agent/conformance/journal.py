"""What every journal must hold; for the test suite of any journal.

A journal's test is a subclass with ``make_storage`` and ``open_journal``::

    class TestMine(journal.JournalRules, unittest.TestCase):
        def make_storage(self):
            return MyDatabase(...)

        def open_journal(self, storage, agent):
            return MyJournal(storage, agent=agent)

``sharing`` has the rules for several agents.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime
import itertools
import threading
from typing import Any
import unittest

from virtdc_agent.contract import events
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

GIB = 1024**3
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SUCCESS = model.Outcome(state=State.SUCCESS)
FAILURE = model.Outcome(
    state=State.FAILED, reason=Reason.BACKEND, message='It broke.'
)


def create_event(
    event_id: str,
    volume_id: str,
    size_bytes: int = GIB,
    *,
    thick: bool = False,
    project: str = '',
    origin: events.Origin = events.Origin.CLOUD,
) -> events.Event:
    """Return an event that creates a volume."""
    return events.Event(
        event_id=event_id,
        operation=events.Operation.CREATE,
        volume_id=volume_id,
        origin=origin,
        parameters=events.CreateParameters(
            size_bytes=size_bytes,
            provisioning=events.Provisioning.THICK if thick else None,
        ),
        created_at=NOW,
        requested_by=events.Requester(project_id=project),
    )


def put(
    volume_id: str, size_bytes: int = GIB, pool: str = ''
) -> model.PutVolume:
    """Return the change that there is a volume now."""
    return model.PutVolume(
        volume=events.Volume(
            volume_id=volume_id,
            size_bytes=size_bytes,
            format=events.Format.RAW,
            provisioning=events.Provisioning.THIN,
            created_at=NOW,
            updated_at=NOW,
            pool=pool,
        )
    )


def suspect_of(shared: interfaces.Journal) -> model.Claim:
    """Claim the next suspect; there is one."""
    claim = shared.claim_suspect(Lane.QUICK)
    if claim is None:
        raise AssertionError('there is no suspect')
    return claim


class JournalCase(unittest.TestCase):
    """What the rules of journals are written with."""

    def make_storage(self) -> Any:
        """Return a new, empty storage for a journal."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def open_journal(self, storage: Any, agent: str) -> interfaces.Journal:
        """Return a life of an agent that has not joined yet."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def setUp(self) -> None:
        """Begin with an empty journal, which one agent has joined."""
        super().setUp()
        self.storage = self.make_storage()
        self.journal = self.open('agent')
        self.journal.join()
        self._ids = itertools.count(1)

    def open(self, agent: str) -> interfaces.Journal:
        """Return a new life of an agent, which has not joined yet."""
        journal = self.open_journal(self.storage, agent)
        self.addCleanup(journal.close)
        return journal

    def append(self, *volume_ids: str) -> list[events.Event]:
        """Append an event for each volume."""
        made = [
            create_event(f'e{next(self._ids)}', volume_id)
            for volume_id in volume_ids
        ]
        for event in made:
            self.journal.append(event)
        return made

    def claim(self, limit: int) -> list[model.Claim]:
        """Claim events of the quick lane."""
        return list(self.journal.claim(Lane.QUICK, limit))

    def claim_one(self, volume_id: str = 'v') -> model.Claim:
        """Append an event and claim it."""
        self.append(volume_id)
        (claim,) = self.claim(1)
        return claim

    def latest(self, event_id: str) -> events.Transition:
        """Return an event's latest transition."""
        return self.journal.get_latest([event_id])[event_id]

    def history(self) -> Sequence[events.Transition]:
        """Return all transitions."""
        return self.journal.get_changes(0, 10_000).transitions


class JournalRules(JournalCase):
    """The rules. Not run by itself: what it needs is for subclasses."""

    writers = 16
    writes = 10

    # append

    def test_append_makes_it_waiting(self) -> None:
        """An accepted event waits, and can be read back as it was."""
        (event,) = self.append('v')
        transition = self.latest(event.event_id)
        self.assertIs(State.WAITING, transition.state)
        self.assertEqual(0, transition.attempt)
        self.assertEqual(event, self.journal.get_event(event.event_id))

    def test_append_again_changes_nothing(self) -> None:
        """The same event twice is one, whatever has become of it."""
        (event,) = self.append('v')
        for step in (
            lambda: None,
            lambda: self.journal.settle(self.claim(1)[0], SUCCESS),
        ):
            step()
            before = self.latest(event.event_id)
            self.assertEqual(before, self.journal.append(event))
        self.assertEqual(3, len(self.history()))

    def test_append_of_another_content(self) -> None:
        """An id that is taken by another event is refused."""
        self.journal.append(create_event('e', 'v'))
        with self.assertRaises(exceptions.EventConflict):
            self.journal.append(create_event('e', 'w'))
        self.assertEqual('v', self.journal.get_event('e').volume_id)

    # claim

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
        change = put('v')
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
            self.journal.settle(claim, SUCCESS)

    # settle

    def test_settle_is_final(self) -> None:
        """An end is told once, with all it says."""
        claim = self.claim_one()
        outcome = model.Outcome(
            state=State.SUCCESS, result={'size_bytes': GIB}
        )
        ended = self.journal.settle(claim, outcome)
        self.assertEqual(ended, self.latest(claim.event.event_id))
        self.assertIs(State.SUCCESS, ended.state)
        self.assertEqual({'size_bytes': GIB}, dict(ended.result))

    def test_success_is_100_per_cent(self) -> None:
        """Success forces the progress to 100."""
        claim = self.claim_one()
        self.journal.record_progress(
            claim, model.Progress(bytes_done=5, bytes_total=10)
        )
        self.assertEqual(100, self.journal.settle(claim, SUCCESS).progress)

    def test_failure_keeps_the_progress(self) -> None:
        """Failure says why, and how far it had come."""
        claim = self.claim_one()
        self.journal.record_progress(
            claim, model.Progress(bytes_done=5, bytes_total=10)
        )
        ended = self.journal.settle(claim, FAILURE)
        self.assertEqual(50, ended.progress)
        self.assertIs(Reason.BACKEND, ended.reason)
        self.assertEqual('It broke.', ended.message)

    def test_settle_again_is_the_same(self) -> None:
        """The first end stays."""
        claim = self.claim_one()
        ended = self.journal.settle(claim, SUCCESS)
        self.assertEqual(ended, self.journal.settle(claim, FAILURE))
        self.assertEqual(3, len(self.history()))

    def test_settle_of_a_lost_claim(self) -> None:
        """A claim that another has replaced writes nothing."""
        lost = self.claim_one()
        self.journal.release(lost)
        with self.assertRaises(exceptions.LeaseLost):
            self.journal.settle(lost, SUCCESS)
        (claim,) = self.claim(1)
        for write in (
            lambda: self.journal.settle(
                lost, model.Outcome(state=State.SUCCESS, change=put('v'))
            ),
            lambda: self.journal.release(lost),
            lambda: self.journal.fence_off(lost, FAILURE),
            lambda: self.journal.record_progress(lost, model.Progress()),
        ):
            with self.assertRaises(exceptions.LeaseLost):
                write()
        self.assertEqual(0, self.journal.count().volumes)
        self.journal.settle(claim, SUCCESS)

    def test_settle_changes_the_volume(self) -> None:
        """Volumes and their sum follow what operations say."""
        for size, change in (
            (3, put('v', 3)),
            (5, put('v', 5)),
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
            ({'a': (1, 3)}, put('v', 3, pool='a')),
            ({'a': (1, 3), '': (1, 7)}, put('w', 7)),
            ({'a': (1, 5), '': (1, 7)}, put('v', 5, pool='a')),
            ({'b': (1, 5), '': (1, 7)}, put('v', 5, pool='b')),
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

    def test_names_its_data_centre(self) -> None:
        """All who share a journal name one, and it stays."""
        name = self.journal.data_centre
        self.assertTrue(name)
        self.assertEqual(name, self.journal.data_centre)

    # progress

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

    # release, fence_off, unfence, join

    def test_release_keeps_its_place(self) -> None:
        """What is put back is taken first again."""
        first, _ = self.append('a', 'b')
        (claim,) = self.claim(1)
        self.journal.release(claim)
        self.assertIs(State.WAITING, self.latest(first.event_id).state)
        self.assertEqual(first, self.claim(1)[0].event)

    def test_fence_off_ends_it_and_keeps_the_volume_closed(self) -> None:
        """Later events of the volume wait until it is opened."""
        claim = self.claim_one()
        (following,) = self.append('v')
        ended = self.journal.fence_off(claim, FAILURE)
        self.assertIs(State.FAILED, ended.state)
        self.assertEqual([], self.claim(10))
        self.journal.unfence(claim, put('v'))
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
            claim = suspect_of(self.journal)
            self.assertEqual((event, 2), (claim.event, claim.attempt))
            self.assertEqual(1, claim.losses)
            self.journal.settle(claim, SUCCESS)
        self.assertIsNone(self.journal.claim_suspect(Lane.QUICK))
        self.assertEqual([third], [claim.event for claim in self.claim(10)])

    def test_join_opens_what_was_closed(self) -> None:
        """Nothing stays closed by an agent that is gone."""
        claim = self.claim_one()
        (following,) = self.append('v')
        self.journal.fence_off(claim, FAILURE)
        self.journal = self.open('agent')
        self.assertEqual([], list(self.journal.join().returned))
        self.assertEqual(following, self.claim(10)[0].event)
        self.journal.unfence(claim, put('v'))
        self.assertEqual(0, self.journal.count().volumes)

    def test_join_again_changes_nothing(self) -> None:
        """One life joins once, however often it asks."""
        claim = self.claim_one()
        self.assertEqual([], list(self.journal.join().returned))
        self.journal.settle(claim, SUCCESS)

    # retry

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
            self.journal.settle(claim, SUCCESS)
        self.journal.settle(again, SUCCESS)
        self.assertEqual(
            1, len([t for t in self.history() if t.state.is_final])
        )

    def test_retry_asked_again_is_the_same(self) -> None:
        """An answer that was not heard is given again."""
        claim = self.claim_one()
        again = self.journal.retry(claim)
        self.assertEqual(again, self.journal.retry(claim))
        self.journal.settle(again, SUCCESS)
        with self.assertRaises(exceptions.LeaseLost):
            self.journal.retry(again)

    # lanes and shares

    def test_lanes_are_apart(self) -> None:
        """Who asks for one lane gets nothing of the other."""
        thick = create_event('thick', 'a', thick=True)
        self.journal.append(thick)
        (quick,) = self.append('b')
        self.assertEqual([quick], [claim.event for claim in self.claim(10)])
        (claim,) = self.journal.claim(Lane.COPY, 10)
        self.assertEqual((thick, Lane.COPY), (claim.event, claim.lane))

    def test_projects_share(self) -> None:
        """One that comes with one event does not wait behind a hundred."""
        for index in range(20):
            self.journal.append(
                create_event(f'a{index}', f'a{index}', project='a')
            )
        self.journal.settle(self.claim(1)[0], SUCCESS)
        self.journal.append(create_event('b', 'b', project='b'))
        taken = [claim.event.event_id for claim in self.claim(2)]
        self.assertIn('b', taken)

    def test_origins_share(self) -> None:
        """Of two origins that both have work, each gets half."""
        for index in range(10):
            for project in 'xy':
                name = f'{project}{index}'
                self.journal.append(create_event(name, name, project=project))
            name = f'p{index}'
            self.journal.append(
                create_event(name, name, origin=events.Origin.PLATFORM)
            )
        taken = [claim.event.origin for claim in self.claim(10)]
        self.assertEqual(5, taken.count(events.Origin.PLATFORM))

    def test_the_urgent_go_first(self) -> None:
        """A server that waits to boot does not wait for bulk."""
        self.append('a', 'b', 'c')
        urgent = dataclasses.replace(
            create_event('urgent', 'd'),
            operation=events.Operation.CONNECT,
            parameters=events.ConnectParameters(host='h'),
        )
        self.journal.append(urgent)
        self.assertEqual([urgent], [claim.event for claim in self.claim(1)])

    # cancel

    def test_cancel_of_a_waiting_event(self) -> None:
        """It fails at once, and makes way."""
        first, second, third = self.append('v', 'v', 'v')
        for event in (second, first):
            ended = self.journal.cancel(event.event_id)
            self.assertIs(Reason.CANCELLED, ended.reason)
        (claim,) = self.claim(10)
        self.assertEqual(third, claim.event)

    def test_cancel_in_the_middle_lets_nobody_overtake(self) -> None:
        """Who waits behind the first still waits for the first."""
        _, second, third = self.append('v', 'v', 'v')
        (claim,) = self.claim(10)
        self.journal.cancel(second.event_id)
        self.assertEqual([], self.claim(10))
        self.journal.settle(claim, SUCCESS)
        self.assertEqual(third, self.claim(10)[0].event)

    def test_cancel_of_an_event_that_waits_again(self) -> None:
        """What an attempt may have left is not forgotten by cancelling."""
        claim = self.claim_one()
        self.journal.release(claim)
        event_id = claim.event.event_id
        self.assertIs(State.WAITING, self.journal.cancel(event_id).state)
        (again,) = self.claim(1)
        self.assertEqual([again], list(self.journal.get_cancelled([again])))

    def test_cancel_of_a_running_event(self) -> None:
        """The wish is noted for whoever holds it."""
        claim, other = self.claim_one('v'), self.claim_one('w')
        self.assertEqual([], list(self.journal.get_cancelled([claim, other])))
        self.assertIs(
            State.RUNNING, self.journal.cancel(claim.event.event_id).state
        )
        self.assertEqual(
            [claim], list(self.journal.get_cancelled([claim, other]))
        )

    def test_cancel_of_an_ended_event(self) -> None:
        """It stays as it is."""
        claim = self.claim_one()
        ended = self.journal.settle(claim, SUCCESS)
        self.assertEqual(ended, self.journal.cancel(claim.event.event_id))

    def test_cancel_of_nothing(self) -> None:
        """An unknown event is an error."""
        with self.assertRaises(exceptions.EventNotFound):
            self.journal.cancel('unknown')

    # reading

    def test_unknown_events_are_left_out(self) -> None:
        """Questions for many answer for those there are."""
        (event,) = self.append('v')
        found = self.journal.get_latest(
            [event.event_id, *(f'x{index}' for index in range(1500))]
        )
        self.assertEqual([event.event_id], list(found))
        with self.assertRaises(exceptions.EventNotFound):
            self.journal.get_event('unknown')
        with self.assertRaises(exceptions.VolumeNotFound):
            self.journal.get_volume('unknown')

    def test_changes_in_pages(self) -> None:
        """The history is read in order, page by page."""
        empty = self.journal.get_changes(0, 10)
        self.assertEqual(
            (0, 0, 0), (len(empty.transitions), empty.oldest, empty.last)
        )
        self.append(*'abcde')
        seen: list[int] = []
        while True:
            page = self.journal.get_changes(seen[-1] if seen else 0, 2)
            if not page.transitions:
                break
            self.assertLessEqual(len(page.transitions), 2)
            self.assertEqual((1, 5), (page.oldest, page.last))
            seen += [one.sequence for one in page.transitions]
        self.assertEqual([1, 2, 3, 4, 5], seen)

    def test_volumes_in_pages(self) -> None:
        """Volumes are read in order of id, page by page."""
        for volume_id in ('c', 'a', 'b'):
            self.journal.settle(
                self.claim_one(volume_id),
                model.Outcome(state=State.SUCCESS, change=put(volume_id)),
            )
        page = self.journal.get_volumes(None, 2)
        self.assertEqual(['a', 'b'], [one.volume_id for one in page.volumes])
        self.assertEqual('b', page.next_marker)
        page = self.journal.get_volumes(page.next_marker, 2)
        self.assertEqual(['c'], [one.volume_id for one in page.volumes])
        self.assertIsNone(page.next_marker)

    def test_published_never_goes_back(self) -> None:
        """The note of what is on the bus only grows."""
        self.append('a', 'b', 'c')
        for sequence in (2, 1):
            self.journal.mark_published(sequence)
            self.assertEqual(2, self.journal.count().published)
            (left,) = self.journal.get_unpublished(10)
            self.assertEqual(3, left.sequence)
        self.journal.mark_published(3)
        self.assertEqual([], list(self.journal.get_unpublished(10)))

    def test_what_was_published_since_is_not_asked_for(self) -> None:
        """Who tells may be further than the note."""
        self.append('a', 'b', 'c')
        self.journal.mark_published(1)
        for after, expected in ((0, [2, 3]), (2, [3]), (3, [])):
            left = self.journal.get_unpublished(10, after=after)
            self.assertEqual(expected, [one.sequence for one in left])

    def test_no_more_wait_than_are_allowed(self) -> None:
        """A journal that is full says so, and still knows what it has."""
        known, _ = self.append('a', 'b')
        other = create_event('other', 'c')
        with self.assertRaises(exceptions.JournalUnavailable):
            self.journal.append(other, max_waiting=2)
        self.assertEqual(2, self.journal.count().waiting)
        again = self.journal.append(known, max_waiting=2)
        self.assertEqual(known.event_id, again.event_id)
        self.claim(1)
        self.journal.append(other, max_waiting=2)
        self.assertEqual(2, self.journal.count().waiting)

    def test_a_late_count_has_what_this_agent_wrote(self) -> None:
        """Who asks nobody knows of its own writes at least."""
        for number in range(3):
            self.append(f'v{number}')
            self.assertEqual(self.journal.count(), self.journal.count_lately())
            (claim,) = self.claim(1)
            self.journal.settle(claim, SUCCESS)
            self.assertEqual(self.journal.count(), self.journal.count_lately())

    def test_counts_follow(self) -> None:
        """What waits and runs is counted as it goes."""
        self.append('a', 'b', 'c')
        claims = self.claim(2)
        self.assertEqual(
            (1, 2),
            (self.journal.count().waiting, self.journal.count().running),
        )
        self.journal.settle(claims[0], SUCCESS)
        self.journal.release(claims[1])
        self.assertEqual(
            (2, 0),
            (self.journal.count().waiting, self.journal.count().running),
        )

    # all together

    def test_sequences_have_no_gaps(self) -> None:
        """Many threads write one history, each its part in order."""
        failures: list[BaseException] = []

        def write(name: str) -> None:
            try:
                for index in range(self.writes):
                    event_id = f'{name}-{index}'
                    self.journal.append(create_event(event_id, event_id))
                    for claim in self.claim(2):
                        self.journal.settle(claim, SUCCESS)
            except BaseException as exc:
                failures.append(exc)

        threads = [
            threading.Thread(target=write, args=(f't{index}',))
            for index in range(self.writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], failures)
        history = self.history()
        self.assertEqual(
            list(range(1, len(history) + 1)),
            [transition.sequence for transition in history],
        )
        steps: dict[str, list[State]] = {}
        for transition in history:
            steps.setdefault(transition.event_id, []).append(transition.state)
        whole = [State.WAITING, State.RUNNING, State.SUCCESS]
        self.assertEqual(self.writers * self.writes, len(steps))
        self.assertEqual(
            {}, {key: seen for key, seen in steps.items() if seen != whole}
        )

    def test_tells_of_every_transition(self) -> None:
        """Who listens is called after each commit that is of interest."""
        seen: list[int] = []
        self.journal.subscribe(
            lambda: seen.append(self.journal.get_changes(0, 1).last)
        )
        claim = self.claim_one()
        self.journal.record_progress(claim, model.Progress())
        self.journal.settle(claim, SUCCESS)
        self.assertLessEqual({1, 2, 3, 4}, set(seen))

    def test_no_call_after_close(self) -> None:
        """A closed journal says so."""
        self.journal.close()
        for call in (
            lambda: self.journal.append(create_event('e', 'v')),
            lambda: self.claim(1),
            lambda: self.journal.count(),
        ):
            with self.assertRaises(exceptions.JournalUnavailable):
                call()
