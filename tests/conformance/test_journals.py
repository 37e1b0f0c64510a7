"""The journals against the rules, and the rules against broken journals."""

from __future__ import annotations

from pathlib import Path
import tempfile
import unittest

from tests.conformance import broken_journals as broken
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance import journal
from virtdc_agent import interfaces
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import SqlJournal


class TestMemory(journal.JournalRules):
    def make_journal(self) -> interfaces.Journal:
        return MemoryJournal(agent='agent', clock=FakeClock())


class TestSqlite(journal.JournalRules):
    def make_journal(self) -> interfaces.Journal:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        engine = engines.make_engine(
            f'sqlite:///{Path(folder.name) / "journal.sqlite"}'
        )
        migrate.sync(engine)
        made = SqlJournal(
            engine, agent='agent', clock=FakeClock(), lease_s=60.0
        )
        self.addCleanup(made.close)
        return made


BROKEN = {
    broken.ForgetsTheRequest: {'test_append_makes_it_waiting'},
    broken.AppendsAgain: {'test_append_again_changes_nothing'},
    broken.TakesAnyContent: {'test_append_of_another_content'},
    broken.NewestFirst: {
        'test_claim_oldest_first',
        'test_fences_grow',
        'test_recover_puts_back_what_ran',
    },
    broken.CountsNoAttempts: {
        'test_claim_makes_it_running',
        'test_progress_begins_anew_with_an_attempt',
        'test_recover_puts_back_what_ran',
    },
    broken.SharesVolumes: {
        'test_cancel_in_the_middle_lets_nobody_overtake',
        'test_cancel_of_a_waiting_event',
        'test_fence_off_ends_it_and_keeps_the_volume_closed',
        'test_one_volume_one_claim',
        'test_recover_opens_what_was_closed',
        'test_recover_puts_back_what_ran',
    },
    broken.DropsResults: {'test_settle_is_final'},
    broken.ProgressLingers: {'test_progress_begins_anew_with_an_attempt'},
    broken.KeepsClosed: {'test_recover_opens_what_was_closed'},
    broken.CancelsForNoReason: {'test_cancel_of_a_waiting_event'},
    broken.TakesOneMore: {'test_claim_no_more_than_asked'},
    broken.KeepsTheVolumeBack: {'test_claim_carries_the_volume'},
    broken.FencesStandStill: {
        'test_counts_follow',
        'test_fences_grow',
        'test_sequences_have_no_gaps',
    },
    broken.SuccessAtWhatever: {'test_success_is_100_per_cent'},
    broken.FailureForgetsWhy: {'test_failure_keeps_the_progress'},
    broken.SettlesTwice: {'test_settle_again_is_the_same'},
    broken.BelievesTheStale: {'test_settle_of_a_lost_claim'},
    broken.NeverRemovesVolumes: {'test_settle_changes_the_volume'},
    broken.ProgressFalls: {'test_progress_never_falls'},
    broken.PutsBackAtTheEnd: {'test_release_keeps_its_place'},
    broken.OpensAtOnce: {'test_fence_off_ends_it_and_keeps_the_volume_closed'},
    broken.ForgetsWhatRan: {'test_recover_puts_back_what_ran'},
    broken.LetsOvertake: {'test_cancel_in_the_middle_lets_nobody_overtake'},
    broken.NeverCancels: {
        'test_cancel_of_a_running_event',
        'test_cancel_of_an_event_that_waits_again',
    },
    broken.RevivesTheDead: {'test_cancel_of_an_ended_event'},
    broken.CancelsNothing: {'test_cancel_of_nothing'},
    broken.InventsEvents: {'test_unknown_events_are_left_out'},
    broken.LosesTheOldest: {'test_changes_in_pages'},
    broken.EndsTooSoon: {'test_volumes_in_pages'},
    broken.PublishesBackwards: {'test_published_never_goes_back'},
    broken.Miscounts: {'test_counts_follow'},
    broken.SkipsSequences: {
        'test_sequences_have_no_gaps',
        'test_tells_of_every_transition',
    },
    broken.TellsNobody: {'test_tells_of_every_transition'},
    broken.GoesOnAfterClose: {'test_no_call_after_close'},
}


class TestRulesCanFail(unittest.TestCase):
    def test_each_broken_journal_trips_its_rule(self) -> None:
        for kind, expected in BROKEN.items():

            class Rules(journal.JournalRules):
                broken = kind
                writers = 4
                writes = 3

                def make_journal(self) -> interfaces.Journal:
                    return self.broken(agent='agent', clock=FakeClock())

            with self.subTest(kind.__name__):
                result = unittest.TestResult()
                unittest.defaultTestLoader.loadTestsFromTestCase(Rules).run(
                    result
                )
                tripped = {
                    test._testMethodName
                    for test, _ in [*result.failures, *result.errors]
                }
                self.assertEqual(expected, tripped)

    def test_every_rule_is_tripped_by_some_journal(self) -> None:
        rules = set(
            unittest.defaultTestLoader.getTestCaseNames(journal.JournalRules)
        )
        self.assertEqual(rules, set().union(*BROKEN.values()))
