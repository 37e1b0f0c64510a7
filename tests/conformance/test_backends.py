"""The backends against the rules, and the rules against broken backends."""

from __future__ import annotations

import unittest

from tests.conformance import backends
from tests.conformance import broken_backends
from tests.conformance import tripping
from tests.unit.agent.backends import needs
from virtdc_agent.conformance import backend as rules


class TestMemory(backends.MemoryHooks, rules.BackendRules):
    pass


class TestFileRaw(backends.FileHooks, rules.BackendRules):
    pass


class TestFileRawThick(backends.FileThickHooks, rules.BackendRules):
    pass


@needs.QEMU
class TestFileQcow2(backends.FileQcow2Hooks, rules.BackendRules):
    pass


BROKEN = {
    broken_backends.DeclaresNoDelete: {'test_declares_what_it_has'},
    broken_backends.HasMoreFreeThanAll: {'test_space_is_plausible'},
    broken_backends.FindsAnything: {'test_unknown_volume_is_not_found'},
    broken_backends.ListsTwice: {'test_find_and_scan_agree'},
    broken_backends.LocatesAnything: {'test_locate_leads_to_the_bytes'},
    broken_backends.ForgetsOnRestart: {'test_survives_a_restart'},
    broken_backends.AlwaysThin: {'test_create_makes_what_was_asked'},
    broken_backends.RoundsUp: {'test_create_chooses_what_was_not_asked'},
    broken_backends.TakesAnyFormat: {
        'test_create_refuses_what_is_not_declared'
    },
    broken_backends.TakesAnyName: {
        'test_create_refuses_ids_that_are_no_names'
    },
    broken_backends.ReusesBytes: {'test_new_volume_reads_as_zeros'},
    broken_backends.RefusesItsOwnWork: {'test_create_again_is_the_same'},
    broken_backends.AdoptsAnothersVolume: {
        'test_create_keeps_off_another_events_volume'
    },
    broken_backends.RemovesStrangers: {'test_strangers_are_left_alone'},
    broken_backends.LosesConcurrentCreates: {'test_creates_at_once'},
    broken_backends.DeletesMore: {'test_delete_removes'},
    broken_backends.MissesWhatIsGone: {'test_delete_of_nothing_succeeds'},
    broken_backends.GrowsTwice: {'test_extend_grows_exactly'},
    broken_backends.ZeroesOnExtend: {'test_extend_keeps_and_adds_zeros'},
    broken_backends.Shrinks: {'test_extend_never_shrinks'},
    broken_backends.MakesByExtending: {'test_extend_of_nothing_is_rejected'},
    broken_backends.AsksLeaveTwice: {
        'test_nothing_is_visible_before_leave_is_given'
    },
    broken_backends.LittersOnCancel: {
        'test_cancelled_leaves_nothing',
        'test_the_overtaken_brings_nothing_back',
        'test_the_overtaken_has_no_effect',
        'test_the_swept_cannot_commit',
    },
    broken_backends.ReportsBackwards: {'test_progress_never_falls'},
    broken_backends.TearsInCrashes: {
        'test_crash_leaves_all_or_nothing',
        'test_crash_anywhere_then_again_is_done_once',
    },
    broken_backends.GivesUpAfterCrashes: {
        'test_crash_anywhere_then_again_is_done_once'
    },
    broken_backends.SweepsAgainAndAgain: {
        'test_crash_anywhere_then_again_is_done_once',
        'test_sweep_removes_leftovers_and_nothing_else',
    },
    broken_backends.NeverSweeps: {
        'test_sweep_removes_leftovers_and_nothing_else',
        'test_the_swept_cannot_commit',
    },
    broken_backends.LetsTheLateAct: {
        'test_the_overtaken_brings_nothing_back',
        'test_the_overtaken_has_no_effect',
    },
    broken_backends.ForgetsTheGone: {
        'test_the_overtaken_brings_nothing_back',
        'test_the_overtaken_has_no_effect',
    },
    broken_backends.SweepsTheLiving: {
        'test_sweep_leaves_alone_what_goes_on',
    },
    broken_backends.CommitsWhatWasSwept: {
        'test_the_swept_cannot_commit',
    },
}


class TestRulesCanFail(unittest.TestCase):
    def test_each_broken_backend_trips_its_rules_and_no_other(self) -> None:
        for broken, expected in BROKEN.items():

            class Rules(TestMemory):
                kind = broken

            with self.subTest(broken.__name__):
                self.assertEqual(expected, tripping.tripped_rules(Rules))

    def test_every_rule_is_tripped_by_some_backend(self) -> None:
        names = unittest.defaultTestLoader.getTestCaseNames(rules.BackendRules)
        self.assertEqual(set(names), set().union(*BROKEN.values()))
