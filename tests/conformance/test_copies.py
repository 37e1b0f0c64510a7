"""The backends against the rules for copies, and these against broken ones."""

from __future__ import annotations

from collections.abc import Iterator
import unittest

from tests.conformance import backends
from tests.conformance import broken_copies
from tests.conformance import broken_moves
from tests.conformance import tripping
from tests.unit.agent.backends import needs
from virtdc_agent.conformance import acts
from virtdc_agent.conformance import copies as rules
from virtdc_agent.conformance import copy_acts


class TestMemory(backends.MemoryHooks, rules.CopyRules):
    pass


class TestFileRaw(backends.FileHooks, rules.CopyRules):
    pass


class TestFileRawThick(backends.FileThickHooks, rules.CopyRules):
    pass


@needs.QEMU
class TestFileQcow2(backends.FileQcow2Hooks, rules.CopyRules):
    def acts(self) -> Iterator[acts.Act]:
        # The others do the same as raw ones, and to walk them takes long.
        yield copy_acts.CLONE_LARGER
        yield copy_acts.CLONE_THICK


class TestFileShared(backends.FileSharedHooks, rules.CopyRules):
    pass


class TestFileSharedThick(
    backends.FileSharedHooks, backends.FileThickHooks, rules.CopyRules
):
    def acts(self) -> Iterator[acts.Act]:
        yield copy_acts.TAKE
        yield copy_acts.CLONE


BROKEN = {
    broken_copies.RevertsWithoutSnapshots: {
        'test_declares_what_belongs_together'
    },
    broken_copies.MeasuresAnew: {'test_snapshot_tells_what_it_is'},
    broken_copies.ListsSnapshots: {'test_snapshot_tells_what_it_is'},
    broken_copies.FindsAnySnapshot: {'test_unknown_snapshot_is_not_found'},
    broken_copies.KeepsAnew: {'test_snapshot_again_is_the_same'},
    broken_copies.SharesNames: {
        'test_snapshot_keeps_off_another_events_snapshot'
    },
    broken_copies.KeepsNothing: {'test_snapshot_of_nothing_is_rejected'},
    broken_copies.TakesAnySnapshotName: {
        'test_snapshot_refuses_ids_that_are_no_names'
    },
    broken_copies.RemovesStrangeSnapshots: {
        'test_strange_snapshots_are_left_alone'
    },
    broken_copies.DropsAll: {'test_delete_snapshot_removes'},
    broken_copies.MissesGoneSnapshots: {
        'test_delete_snapshot_of_nothing_succeeds'
    },
    broken_copies.IgnoresWhose: {'test_another_volumes_snapshot_is_refused'},
    broken_copies.RevertsInPart: {'test_revert_brings_back_the_moment'},
    broken_copies.ShrinksOnRevert: {
        'test_revert_keeps_the_size_and_adds_zeros'
    },
    broken_copies.ForgetsWhoMadeIt: {
        'test_reverted_volume_is_a_volume_as_before'
    },
    broken_copies.RevertsToMore: {'test_revert_refuses_what_cannot_be'},
    broken_copies.ClonesAsItsSource: {'test_clone_makes_what_was_asked'},
    broken_copies.ClonesWhatIsNow: {
        'test_clone_of_a_snapshot_is_of_that_moment'
    },
    broken_copies.ClonesInItsOwnFormat: {
        'test_clone_in_another_format_is_made_or_rejected'
    },
    broken_copies.LooksForTheSourceFirst: {'test_clone_again_is_the_same'},
    broken_copies.AdoptsAnothersCopy: {
        'test_clone_keeps_off_what_has_the_name'
    },
    broken_copies.ClonesTheBeginning: {'test_clone_refuses_what_cannot_be'},
    broken_copies.SharesWhatIsWritten: {
        'test_copies_are_written_apart',
        'test_revert_brings_back_the_moment',
    },
    broken_copies.DropsCopiesToo: {'test_each_may_go_before_the_others'},
    broken_copies.EmptiesSnapshots: {
        'test_snapshot_outlives_its_volume_whole'
    },
    broken_copies.AsksLeaveTwiceToRevert: {
        'test_nothing_is_visible_before_leave_is_given'
    },
    broken_copies.LittersOnCancelledCopies: {
        'test_cancelled_leaves_nothing',
        'test_the_overtaken_has_no_effect',
    },
    broken_copies.CopiesBackwards: {'test_progress_never_falls'},
    broken_copies.TearsReverts: {
        'test_crash_anywhere_then_again_is_done_once',
        'test_crash_leaves_all_or_nothing',
    },
    broken_copies.GivesUpCopies: {
        'test_crash_anywhere_then_again_is_done_once'
    },
    broken_copies.SweepsCopiesAgain: {
        'test_crash_anywhere_then_again_is_done_once',
        'test_sweep_removes_leftovers_and_nothing_else',
    },
    broken_copies.SweepsTheCopying: {'test_sweep_leaves_alone_what_is_copied'},
    broken_copies.PublishesWhatWasSwept: {
        'test_the_swept_copy_cannot_be_published'
    },
    broken_copies.LetsTheLateCopy: {
        'test_the_overtaken_brings_no_snapshot_back',
        'test_the_overtaken_has_no_effect',
    },
    broken_moves.MeasuresTheOld: {'test_opened_says_what_it_is'},
    broken_moves.LosesTheEnd: {'test_opened_moves_whole'},
    broken_moves.OpensWhatIsNow: {'test_opened_snapshot_is_of_that_moment'},
    broken_moves.LeavesALock: {'test_opened_leaves_the_volume_as_it_is'},
    broken_moves.OpensNothing: {'test_opened_of_nothing_is_rejected'},
}


class TestRulesCanFail(unittest.TestCase):
    def test_each_broken_backend_trips_its_rules_and_no_other(self) -> None:
        for broken, expected in BROKEN.items():

            class Rules(TestMemory):
                kind = broken

            with self.subTest(broken.__name__):
                self.assertEqual(expected, tripping.tripped_rules(Rules))

    def test_every_rule_is_tripped_by_some_backend(self) -> None:
        names = unittest.defaultTestLoader.getTestCaseNames(rules.CopyRules)
        self.assertEqual(set(names), set().union(*BROKEN.values()))
