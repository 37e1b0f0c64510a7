"""What a journal must hold of what it tells: pages, counts, one history."""

from __future__ import annotations

import threading

from virtdc_agent.conformance import journal
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent import model


class ReadingRules(journal.JournalCase):
    """The rules; see ``journal_rules``."""

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
                model.Outcome(
                    state=State.SUCCESS, change=journal.put(volume_id)
                ),
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

    def test_a_late_count_has_what_this_agent_wrote(self) -> None:
        """Who asks nobody knows of its own writes at least."""
        for number in range(3):
            self.append(f'v{number}')
            self.assertEqual(self.journal.count(), self.journal.count_lately())
            (claim,) = self.claim(1)
            self.journal.settle(claim, journal.SUCCESS)
            self.assertEqual(self.journal.count(), self.journal.count_lately())

    def test_counts_follow(self) -> None:
        """What waits and runs is counted as it goes."""
        self.append('a', 'b', 'c')
        claims = self.claim(2)
        self.assertEqual(
            (1, 2),
            (self.journal.count().waiting, self.journal.count().running),
        )
        self.journal.settle(claims[0], journal.SUCCESS)
        self.journal.release(claims[1])
        self.assertEqual(
            (2, 0),
            (self.journal.count().waiting, self.journal.count().running),
        )

    def test_names_its_data_centre(self) -> None:
        """All who share a journal name one, and it stays."""
        name = self.journal.data_centre
        self.assertTrue(name)
        self.assertEqual(name, self.journal.data_centre)

    def test_sequences_have_no_gaps(self) -> None:
        """Many threads write one history, each its part in order."""
        failures: list[BaseException] = []

        def write(name: str) -> None:
            try:
                for index in range(self.writes):
                    event_id = f'{name}-{index}'
                    self.journal.append(
                        journal.create_event(event_id, event_id)
                    )
                    for claim in self.claim(2):
                        self.journal.settle(claim, journal.SUCCESS)
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
        self.journal.settle(claim, journal.SUCCESS)
        self.assertLessEqual({1, 2, 3, 4}, set(seen))

    def test_no_call_after_close(self) -> None:
        """A closed journal says so."""
        self.journal.close()
        for call in (
            lambda: self.journal.append(journal.create_event('e', 'v')),
            lambda: self.claim(1),
            lambda: self.journal.count(),
        ):
            with self.assertRaises(exceptions.JournalUnavailable):
                call()
