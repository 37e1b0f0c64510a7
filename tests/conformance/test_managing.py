"""The backends against the rules for managing; these against broken ones."""

from __future__ import annotations

from collections.abc import Iterator
import unittest

from tests.conformance import backends
from tests.conformance import broken_managing
from tests.conformance import tripping
from tests.unit.agent.backends import needs
from virtdc_agent.conformance import acts
from virtdc_agent.conformance import managing as rules


class TestMemory(backends.MemoryHooks, rules.ManageRules):
    pass


class TestFile(backends.FileHooks, rules.ManageRules):
    pass


@needs.QEMU
class TestFileQcow2(backends.FileQcow2Hooks, rules.ManageRules):
    def acts(self) -> Iterator[acts.Act]:
        # What is given up is a qcow2 image here.
        yield rules.UNMANAGE


BROKEN = {
    broken_managing.NeverGivesUp: {'test_declares_what_belongs_together'},
    broken_managing.ListsAgain: {'test_lists_in_pages_and_in_order'},
    broken_managing.FindsByPath: {'test_what_is_not_there_is_not_found'},
    broken_managing.ManagesEmpty: {
        'test_manage_makes_a_volume_of_the_same_bytes'
    },
    broken_managing.ManagesAnew: {'test_manage_again_is_the_same'},
    broken_managing.KeepsTheSize: {'test_managed_as_larger_it_is_grown'},
    broken_managing.ManagesTheBeginning: {
        'test_manage_refuses_what_cannot_be'
    },
    broken_managing.TakesTheName: {'test_manage_keeps_off_what_has_the_name'},
    broken_managing.ManagesTwice: {
        'test_what_is_managed_is_not_managed_twice'
    },
    broken_managing.GivesUpTheBytes: {
        'test_what_is_given_up_can_be_managed_again'
    },
    broken_managing.MissesWhatIsGone: {'test_unmanage_of_nothing_succeeds'},
    broken_managing.SweepsWhatWasGivenUp: {
        'test_what_is_given_up_is_nobodys_to_remove'
    },
    broken_managing.ForgetsWhose: {
        'test_a_snapshot_given_up_can_be_managed_again'
    },
    broken_managing.ForgetsLineage: {'test_snapshots_follow_their_volume'},
    broken_managing.TakesAnySnapshot: {
        'test_manage_snapshot_refuses_what_cannot_be'
    },
    broken_managing.GivesUpAnySnapshot: {
        'test_unmanage_snapshot_minds_whose_it_is'
    },
    broken_managing.AsksLeaveTwice: {
        'test_nothing_is_visible_before_leave_is_given'
    },
    broken_managing.TearsTakingOver: {
        'test_cancelled_leaves_nothing',
        'test_crash_leaves_all_or_nothing',
        'test_crash_anywhere_then_again_is_done_once',
    },
    broken_managing.LetsTheLate: {'test_the_overtaken_has_no_effect'},
}


class TestSuite(unittest.TestCase):
    def test_broken_backends_trip_their_rules(self) -> None:
        for kind, expected in BROKEN.items():
            with self.subTest(kind=kind.__name__):
                suite = type(
                    'Suite',
                    (backends.MemoryHooks, rules.ManageRules),
                    {'kind': kind},
                )
                self.assertLessEqual(expected, tripping.tripped_rules(suite))

    def test_every_rule_has_one_that_trips_it(self) -> None:
        every = unittest.defaultTestLoader.getTestCaseNames(rules.ManageRules)
        tripped = {rule for expected in BROKEN.values() for rule in expected}
        # Those of all acts have theirs where copies are.
        common = set(
            unittest.defaultTestLoader.getTestCaseNames(acts.ActRules)
        )
        self.assertEqual(set(), {*every} - tripped - common)
