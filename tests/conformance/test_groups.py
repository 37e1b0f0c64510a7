"""The backends against the rules for groups, and these against broken ones."""

from __future__ import annotations

import unittest

from tests.conformance import backends
from tests.conformance import broken_groups
from tests.conformance import tripping
from virtdc_agent.conformance import groups as rules


class TestMemory(backends.MemoryHooks, rules.GroupRules):
    pass


# The walk through all crashes takes minutes on a file system that does not
# share blocks; what differs there is how one file is copied, which
# ``test_copies`` walks through.
class TestFileShared(backends.FileSharedHooks, rules.GroupRules):
    pass


BROKEN = {
    broken_groups.TellsBackwards: {'test_group_tells_what_it_is'},
    broken_groups.TakesAnew: {'test_group_is_of_its_moment'},
    broken_groups.DropsTogether: {'test_each_is_a_snapshot_like_any_other'},
    broken_groups.TakesOneByOne: {
        'test_group_refuses_ids_that_are_no_names',
        'test_nothing_is_visible_before_leave_is_given',
        'test_one_name_that_is_taken_leaves_none',
        'test_one_volume_that_is_missing_leaves_none',
        'test_progress_never_falls',
        'test_what_a_crash_left_goes_with_an_attempt_that_fails',
    },
    broken_groups.PassesOverTheMissing: {
        'test_one_volume_that_is_missing_leaves_none'
    },
    broken_groups.TakesAnyName: {'test_group_refuses_ids_that_are_no_names'},
    broken_groups.LosesVolumes: {
        'test_crash_anywhere_then_again_is_done_once',
        'test_crash_leaves_all_or_nothing',
        'test_sweep_removes_leftovers_and_nothing_else',
        'test_what_a_crash_left_goes_with_an_attempt_that_fails',
        'test_what_a_crash_left_is_completed_as_it_was',
    },
    broken_groups.CompletesWithNothing: {
        'test_what_a_crash_left_is_completed_as_it_was'
    },
    broken_groups.KeepsWhatWasWithdrawn: {
        'test_cancelled_leaves_nothing',
        'test_what_a_crash_left_goes_with_an_attempt_that_fails',
    },
    broken_groups.GoesBackwards: {'test_progress_never_falls'},
    broken_groups.LetsTheLateIn: {'test_the_overtaken_has_no_effect'},
}


class TestRulesCanFail(unittest.TestCase):
    maxDiff = None

    def test_each_broken_backend_trips_its_rules_and_no_other(self) -> None:
        for broken, expected in BROKEN.items():

            class Rules(TestMemory):
                kind = broken

            with self.subTest(broken.__name__):
                self.assertEqual(expected, tripping.tripped_rules(Rules))

    def test_every_rule_is_tripped_by_some_backend(self) -> None:
        names = unittest.defaultTestLoader.getTestCaseNames(rules.GroupRules)
        self.assertEqual(set(names), set().union(*BROKEN.values()))
