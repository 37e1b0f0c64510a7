"""What is asked and what goes wrong in a chaos run, by seed."""

from __future__ import annotations

import itertools
import unittest

import hypothesis
from hypothesis import strategies

from tests.chaos import faults
from tests.chaos import load
from virtdc_agent.contract.events import Operation


class TestFaults(unittest.TestCase):
    def plan(self, seed: int, **changes):
        return faults.plan(
            seed, **{'seconds': 300, 'agents': 3, 'lease_s': 2.0, **changes}
        )

    def test_a_seed_says_all(self) -> None:
        self.assertEqual(self.plan(1), self.plan(1))
        self.assertNotEqual(self.plan(1), self.plan(2))

    def test_all_kinds_come(self) -> None:
        kinds = {fault.kind for fault in self.plan(1, seconds=3000)}
        self.assertEqual(set(faults.Kind), kinds)

    @hypothesis.given(strategies.integers(0, 10**6))
    def test_no_two_on_one_target(self, seed: int) -> None:
        ends: dict[str, float] = {}
        for fault in self.plan(seed):
            self.assertGreaterEqual(fault.at_s, ends.get(fault.target, 0.0))
            ends[fault.target] = fault.at_s + fault.lasts_s

    @hypothesis.given(strategies.integers(0, 10**6))
    def test_only_what_can(self, seed: int) -> None:
        kinds = {faults.Kind.KILL_AGENT, faults.Kind.FREEZE_AGENT}
        for fault in self.plan(seed, kinds=kinds, agents=1):
            self.assertIn(fault.kind, kinds)
            self.assertEqual('agent-1', fault.target)


class TestLives(unittest.TestCase):
    def lives(self, seed: int):
        return list(itertools.islice(load.lives(seed), 300))

    def test_a_seed_says_all(self) -> None:
        def shape(seed: int):
            return [
                (one.event.event_id, one.event.parameters, one.is_doubled)
                for life in self.lives(seed)
                for one in life
            ]

        self.assertEqual(shape(3), shape(3))
        self.assertNotEqual(shape(3), shape(4))

    def test_each_life_is_of_one_volume_and_its_copies(self) -> None:
        for life in self.lives(5):
            self.assertIs(Operation.CREATE, life[0].event.operation)
            known = {life[0].event.volume_id}
            for one in life:
                if one.event.operation is Operation.CLONE:
                    known.add(one.event.volume_id)
                self.assertIn(one.event.volume_id, known)

    def test_all_that_is_asked_for(self) -> None:
        steps = [one for life in self.lives(6) for one in life]
        # Images want an image store, and what is managed a file to be there;
        # what people say of volumes, the trash, pools, and groups, which are
        # of several lives, have tests of their own.
        others = {
            *(Operation.IMPORT, Operation.EDIT, Operation.RESTORE),
            *(Operation.PURGE, Operation.SNAPSHOT_GROUP, Operation.MIGRATE),
            *(Operation.MANAGE, Operation.UNMANAGE),
            *(Operation.MANAGE_SNAPSHOT, Operation.UNMANAGE_SNAPSHOT),
        }
        self.assertEqual(
            set(Operation) - others, {one.event.operation for one in steps}
        )
        for mark in ('is_doubled', 'is_forged', 'is_cancelled'):
            self.assertTrue(any(getattr(one, mark) for one in steps), mark)


if __name__ == '__main__':
    unittest.main()
