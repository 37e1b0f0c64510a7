from __future__ import annotations

import dataclasses
import random
import unittest

from hypothesis import given
from hypothesis import strategies as st

from cinder_virtdc.bus.client import Changes
from cinder_virtdc import exceptions
from cinder_virtdc.listener import follow
from cinder_virtdc.listener.follow import Follower
from tests.unit.driver.builders import transition
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition


class Journal:
    """A history, in pages of three."""

    def __init__(self, *transitions: Transition) -> None:
        self.transitions = list(transitions)
        self.questions: list[int] = []
        self.is_down = False
        self.last: int | None = None
        self.unknown: set[int] = set()

    def get_changes(self, after: int) -> Changes:
        if self.is_down:
            raise exceptions.AgentUnreachable('down')
        self.questions.append(after)
        found = [one for one in self.transitions if one.sequence > after][:3]
        known = self.transitions
        return Changes(
            transitions=[
                one for one in found if one.sequence not in self.unknown
            ],
            reached=found[-1].sequence if found else 0,
            oldest=known[0].sequence if known else 0,
            last=known[-1].sequence if known else self.last or 0,
        )


class FollowerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.journal = Journal()
        self.told: list[int] = []
        self.follower = Follower(
            self.journal, lambda one: self.told.append(one.sequence)
        )

    def offer(self, *sequences: int) -> None:
        for sequence in sequences:
            self.follower.offer(transition(sequence))

    def test_what_is_about_several_volumes_is_told_of_each(self) -> None:
        told: list[tuple[str, int]] = []
        follower = Follower(
            self.journal,
            lambda one: told.append((one.volume_id, one.sequence)),
        )
        group = transition(
            1, operation=Operation.SNAPSHOT_GROUP, volume_ids=('v', 'w')
        )
        later = transition(3, volume_id='w')
        for one in (group, later, dataclasses.replace(group, sequence=2)):
            follower.offer(one)
        self.assertEqual([('v', 1), ('w', 1), ('w', 3), ('v', 2)], told)
        self.assertEqual(3, follower.cursor)
        for volume_id, sequence in (('v', 2), ('w', 3)):
            latest = follower.latest(volume_id)
            self.assertEqual(sequence, latest and latest.sequence)

    def test_in_order(self) -> None:
        self.offer(1, 2, 3)
        self.assertEqual([1, 2, 3], self.told)
        self.assertEqual(3, self.follower.cursor)
        self.assertFalse(self.follower.is_behind)
        self.assertEqual([], self.journal.questions)

    def test_repeated(self) -> None:
        self.offer(1, 2, 1, 2, 2)
        self.assertEqual([1, 2], self.told)

    def test_overtaken(self) -> None:
        self.offer(1, 3)
        self.assertTrue(self.follower.is_behind)
        self.offer(2)
        self.assertFalse(self.follower.is_behind)
        self.assertEqual([1, 3], self.told)

    def test_what_is_not_known_here_is_passed_over(self) -> None:
        """Also if a whole page of it comes before what is known."""
        for unknown in (
            {1},
            {2},
            {1, 2, 3},
            {1, 2, 3, 4, 5},
            set(range(1, 8)),
        ):
            with self.subTest(unknown=unknown):
                self.setUp()
                self.journal.transitions = [
                    transition(n, volume_id=f'volume-{n}') for n in range(1, 8)
                ]
                self.journal.unknown = unknown
                self.follower.catch_up()
                self.assertEqual(sorted(set(range(1, 8)) - unknown), self.told)
                self.assertEqual(7, self.follower.cursor)

    def test_a_gap_is_closed_by_asking(self) -> None:
        other = transition(2, volume_id='volume-2')
        self.journal.transitions = [transition(1), other, transition(3)]
        self.offer(1, 3)
        self.follower.catch_up()
        self.assertEqual([1, 3, 2], self.told)
        self.assertEqual(3, self.follower.cursor)
        self.assertFalse(self.follower.is_behind)
        self.assertEqual([1, 3], self.journal.questions)

    def test_a_doorbell_whose_event_does_not_come(self) -> None:
        self.follower.offer(
            events.Announcement(
                event_id='event-1',
                operation=Operation.CREATE,
                volume_id='volume-1',
                origin=events.Origin.PLATFORM,
                sequence=1,
                occurred_at=transition(1).occurred_at,
            )
        )
        self.assertTrue(self.follower.is_behind)
        self.journal.transitions = [transition(1)]
        self.follower.catch_up()
        self.assertEqual([1], self.told)
        self.assertFalse(self.follower.is_behind)

    def test_the_history_in_pages_and_silently(self) -> None:
        self.journal.transitions = [transition(n) for n in range(1, 8)]
        self.follower.catch_up(tell=False)
        self.assertEqual([], self.told)
        self.assertEqual(7, self.follower.cursor)
        latest = self.follower.latest('volume-1')
        assert latest is not None
        self.assertEqual(7, latest.sequence)

    def test_a_purged_history(self) -> None:
        self.journal.transitions = [transition(n) for n in (5, 6)]
        self.offer(1)
        self.follower.catch_up()
        self.assertEqual(6, self.follower.cursor)
        self.journal.transitions = []
        self.journal.last = 9
        self.follower.catch_up()
        self.assertEqual(9, self.follower.cursor)

    def test_another_journal(self) -> None:
        self.offer(1, 2, 3)
        self.journal.transitions = [transition(1, event_id='new')]
        self.follower.catch_up()
        self.assertEqual(1, self.follower.cursor)
        latest = self.follower.latest('volume-1')
        assert latest is not None
        self.assertEqual('new', latest.event_id)

    def test_an_agent_that_is_away(self) -> None:
        self.offer(1, 3)
        self.journal.is_down = True
        self.assertRaises(exceptions.AgentUnreachable, self.follower.catch_up)
        self.assertTrue(self.follower.is_behind)
        self.assertEqual(1, self.follower.cursor)

    def test_a_deleted_volume_is_told_and_forgotten(self) -> None:
        self.offer(1)
        self.follower.offer(
            transition(2, State.SUCCESS, operation=Operation.DELETE)
        )
        self.assertEqual([1, 2], self.told)
        self.assertIsNone(self.follower.latest('volume-1'))

    def test_retain(self) -> None:
        for number in (1, 2, 3):
            self.follower.offer(
                transition(number, volume_id=f'volume-{number}')
            )
        self.follower.retain({'volume-1'}, up_to=2)
        self.assertIsNotNone(self.follower.latest('volume-1'))
        self.assertIsNone(self.follower.latest('volume-2'))
        self.assertIsNotNone(self.follower.latest('volume-3'))

    def test_what_lies_ahead_is_bounded(self) -> None:
        for sequence in range(2, follow.MAX_AHEAD + 10):
            self.offer(sequence)
        self.assertLessEqual(len(self.follower._ahead), follow.MAX_AHEAD)
        self.assertTrue(self.follower.is_behind)

    @given(
        volumes=st.lists(st.integers(0, 3), min_size=1, max_size=30),
        seed=st.randoms(use_true_random=False),
    )
    def test_whatever_the_bus_does_the_end_is_known(
        self, volumes: list[int], seed: random.Random
    ) -> None:
        """Lost, repeated, mixed up, with questions in between."""
        journal = Journal(
            *(
                transition(sequence, volume_id=f'volume-{number}')
                for sequence, number in enumerate(volumes, 1)
            )
        )
        shown: dict[str, int] = {}

        def show(one: Transition) -> None:
            # Never an older one after a later one.
            self.assertGreater(one.sequence, shown.get(one.volume_id, 0))
            shown[one.volume_id] = one.sequence

        follower = Follower(journal, show)
        bus = [one for one in journal.transitions for _ in range(2)]
        seed.shuffle(bus)
        for notification in bus[: len(bus) // 2]:
            follower.offer(notification)
            if seed.random() < 0.1:
                follower.catch_up()
        follower.catch_up()
        self.assertEqual(
            {one.volume_id: one.sequence for one in journal.transitions},
            shown,
        )
        self.assertEqual(len(volumes), follower.cursor)
        self.assertFalse(follower.is_behind)
