"""The journals against the rules, and the rules against broken journals."""

from __future__ import annotations

import unittest

from tests.conformance import broken_journals as broken
from tests.conformance import broken_mark_journals as broken_marks
from tests.conformance import broken_pages
from tests.conformance import broken_trash_journals as broken_trash
from tests.conformance import journals
from tests.conformance import tripping
from virtdc_agent.conformance import journal_marks
from virtdc_agent.conformance import journal_pages
from virtdc_agent.conformance import journal_rules
from virtdc_agent.conformance import journal_snapshots
from virtdc_agent.conformance import journal_trash
from virtdc_agent.conformance import sharing


class TestMemory(journals.OnMemory, journal_rules.JournalRules):
    pass


class TestSharedMemory(journals.OnMemory, sharing.SharingRules):
    pass


class TestSnapshotsMemory(journals.OnMemory, journal_snapshots.SnapshotRules):
    pass


class TestPagesMemory(journals.OnMemory, journal_pages.PageRules):
    pass


class TestTrashMemory(journals.OnMemory, journal_trash.TrashRules):
    pass


class TestMarksMemory(journals.OnMemory, journal_marks.MarkRules):
    pass


class TestSqlite(journals.OnSqlite, journal_rules.JournalRules):
    pass


class TestSharedSqlite(journals.OnSqlite, sharing.SharingRules):
    pass


class TestSnapshotsSqlite(journals.OnSqlite, journal_snapshots.SnapshotRules):
    pass


class TestPagesSqlite(journals.OnSqlite, journal_pages.PageRules):
    pass


class TestTrashSqlite(journals.OnSqlite, journal_trash.TrashRules):
    pass


class TestMarksSqlite(journals.OnSqlite, journal_marks.MarkRules):
    pass


class TestPostgresql(journals.OnPostgresql, journal_rules.JournalRules):
    pass


class TestSharedPostgresql(journals.OnPostgresql, sharing.SharingRules):
    pass


class TestSnapshotsPostgresql(
    journals.OnPostgresql, journal_snapshots.SnapshotRules
):
    pass


class TestPagesPostgresql(journals.OnPostgresql, journal_pages.PageRules):
    pass


class TestTrashPostgresql(journals.OnPostgresql, journal_trash.TrashRules):
    pass


class TestMarksPostgresql(journals.OnPostgresql, journal_marks.MarkRules):
    pass


class TestMariadb(journals.OnMariadb, journal_rules.JournalRules):
    pass


class TestSharedMariadb(journals.OnMariadb, sharing.SharingRules):
    pass


class TestSnapshotsMariadb(
    journals.OnMariadb, journal_snapshots.SnapshotRules
):
    pass


class TestPagesMariadb(journals.OnMariadb, journal_pages.PageRules):
    pass


class TestTrashMariadb(journals.OnMariadb, journal_trash.TrashRules):
    pass


class TestMarksMariadb(journals.OnMariadb, journal_marks.MarkRules):
    pass


BROKEN = {
    broken.ForgetsTheRequest: {'test_append_makes_it_waiting'},
    broken.AppendsAgain: {'test_append_again_changes_nothing'},
    broken.TakesAnyContent: {'test_append_of_another_content'},
    broken.TakesAnyNumber: {'test_no_more_wait_than_are_allowed'},
    broken.TellsAgain: {'test_what_was_published_since_is_not_asked_for'},
    broken.CountsTooLate: {
        'test_a_late_count_has_what_this_agent_wrote',
        'test_settle_counts_by_pool',
    },
    broken.IgnoresWhatIsKnown: {
        'test_about_a_volume_as_it_was',
        'test_about_a_volume_that_is_being_changed',
        'test_of_many_about_the_same_one_is_accepted',
    },
    broken.KnowsNoQueue: {
        'test_about_a_volume_that_is_being_changed',
        'test_of_many_about_the_same_one_is_accepted',
    },
    broken.LooksBeforehand: {'test_of_many_about_the_same_one_is_accepted'},
    broken.StandsInItsOwnWay: {'test_about_a_volume_as_it_is'},
    broken.NewestFirst: {'test_claim_oldest_first', 'test_fences_grow'},
    broken.CountsNoAttempts: {
        'test_claim_makes_it_running',
        'test_progress_begins_anew_with_an_attempt',
        'test_retry_is_another_attempt',
    },
    broken.SharesVolumes: {
        'test_cancel_in_the_middle_lets_nobody_overtake',
        'test_cancel_of_a_waiting_event',
        'test_fence_off_ends_it_and_keeps_the_volume_closed',
        'test_one_volume_one_claim',
        'test_join_opens_what_was_closed',
        'test_join_puts_back_what_ran',
    },
    broken.DropsResults: {'test_settle_is_final'},
    broken.ProgressLingers: {'test_progress_begins_anew_with_an_attempt'},
    broken.KeepsClosed: {'test_join_opens_what_was_closed'},
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
    broken.BelievesTheStale: {
        'test_retry_is_another_attempt',
        'test_settle_of_a_lost_claim',
    },
    broken.NeverRemovesVolumes: {
        'test_settle_changes_the_volume',
        'test_settle_counts_by_pool',
    },
    broken.ProgressFalls: {'test_progress_never_falls'},
    broken.PutsBackAtTheEnd: {'test_release_keeps_its_place'},
    broken.OpensAtOnce: {
        'test_about_a_volume_that_is_being_changed',
        'test_fence_off_ends_it_and_keeps_the_volume_closed',
    },
    broken.ForgetsWhatRan: {'test_join_puts_back_what_ran'},
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
    broken.Miscounts: {
        'test_a_late_count_has_what_this_agent_wrote',
        'test_counts_follow',
        'test_no_more_wait_than_are_allowed',
    },
    broken.PoursPoolsTogether: {
        'test_a_late_count_has_what_this_agent_wrote',
        'test_settle_counts_by_pool',
    },
    broken.IsRenamed: {'test_names_its_data_centre'},
    broken.SkipsSequences: {
        'test_sequences_have_no_gaps',
        'test_tells_of_every_transition',
    },
    broken.TellsNobody: {'test_tells_of_every_transition'},
    broken.GoesOnAfterClose: {'test_no_call_after_close'},
    broken.RetriesForgetfully: {'test_retry_is_another_attempt'},
    broken.RetriesOnce: {'test_retry_asked_again_is_the_same'},
    broken.JoinsAgain: {'test_join_again_changes_nothing'},
    broken.MixesLanes: {'test_lanes_are_apart'},
    broken.FirstComeFirstServed: {'test_projects_share'},
    broken.OneOrigin: {'test_origins_share'},
    broken.NothingIsUrgent: {
        'test_projects_share',
        'test_the_urgent_go_first',
    },
}


BROKEN_SHARED = {
    broken.TakesWhatIsTaken: {
        'test_renewal_keeps_what_is_held',
        'test_the_dead_keep_nothing_closed',
        'test_the_dead_lose_what_ran',
        'test_the_living_are_left_alone',
    },
    broken.LeavesTheDeadAlone: {
        'test_the_dead_keep_nothing_closed',
        'test_the_dead_lose_what_ran',
        'test_what_kills_is_given_up',
        'test_who_leaves_is_not_waited_for',
    },
    broken.ClaimsWithoutLease: {
        'test_a_second_life_ends_the_first',
        'test_the_dead_take_nothing',
    },
    broken.IgnoresWhatIsKnown: {
        'test_of_what_agents_know_alike_one_event_is_accepted'
    },
    broken.RenewsBlindly: {'test_a_second_life_ends_the_first'},
    broken.LeavesWithoutAWord: {
        'test_one_publishes',
        'test_who_leaves_is_not_waited_for',
    },
    broken.ConvictsNobody: {'test_what_kills_is_given_up'},
    broken.ForgetsFences: {'test_fences_of_all_that_goes_on'},
    broken.AllPublish: {'test_one_publishes'},
    broken.HandsOutAgain: {
        'test_a_volume_is_closed_to_all',
        'test_an_event_is_taken_once',
        'test_fences_of_all_that_goes_on',
        'test_the_dead_keep_nothing_closed',
    },
    broken.SharesVolumes: {
        'test_a_volume_is_closed_to_all',
        'test_the_dead_keep_nothing_closed',
    },
}


BROKEN_TRASH = {
    broken_trash.ForgetsTrash: {
        'test_trash_in_pages_and_by_time',
        'test_what_is_discarded_is_in_the_trash_alone',
        'test_what_is_restored_is_a_volume_again',
    },
    broken_trash.KeepsInTrash: {'test_what_is_restored_is_a_volume_again'},
    broken_trash.NeverPurges: {'test_what_is_purged_counts_no_more'},
    broken_trash.NothingIsDue: {'test_trash_in_pages_and_by_time'},
    broken_trash.StampsNothing: {'test_a_change_is_stamped_with_its_end'},
    broken_trash.RaisesNothing: {
        'test_a_deletion_by_the_cloud_raises_none',
        'test_a_deletion_here_raises_an_alarm_with_its_end',
        'test_a_volume_that_is_there_again_ends_its_alarm',
    },
    broken_trash.RaisesAlways: {'test_a_deletion_by_the_cloud_raises_none'},
    broken_trash.NeverEnds: {
        'test_a_deletion_by_the_cloud_raises_none',
        'test_a_volume_that_is_there_again_ends_its_alarm',
    },
    broken_trash.EachIsNews: {
        'test_acknowledged_is_raised_still',
        'test_ten_thousand_times_the_same_is_one_alarm',
    },
    broken_trash.NothingIsNews: {'test_other_content_is_news'},
    broken_trash.AcknowledgedIsOver: {
        'test_acknowledged_is_raised_still',
        'test_other_content_is_news',
    },
    broken_trash.BeginsAnew: {'test_cleared_is_gone_and_its_revision_goes_on'},
    broken_trash.LastPageOnly: {'test_alarms_in_pages'},
    broken_trash.NobodyScans: {'test_one_agent_scans'},
    broken_trash.EditsCopy: {'test_lanes'},
}

BROKEN_SNAPSHOTS = {
    broken.LosesNames: {
        'test_a_copy_is_told_of_its_source',
        'test_a_group_is_told_of_its_members',
        'test_a_snapshot_is_there_as_it_was_put',
        'test_who_deals_with_snapshots_is_told_of_them',
    },
    broken.KeepsSnapshots: {'test_a_removed_snapshot_is_gone'},
    broken.KeepsOneOfTheGroup: {'test_snapshots_of_a_group_are_put_together'},
    broken.HidesMembers: {'test_a_group_is_told_of_its_members'},
    broken.TellsOneOfTheGroup: {'test_a_group_is_told_as_all_of_its_volumes'},
    broken.OpensTheGroup: {'test_a_group_has_all_its_volumes_to_itself'},
    broken.ShowsAllSnapshots: {
        'test_snapshots_of_a_group_are_put_together',
        'test_snapshots_of_one_volume_in_pages',
    },
    broken.TellsOfNoSnapshots: {
        'test_a_copy_is_told_of_its_source',
        'test_a_group_is_told_of_its_members',
        'test_who_deals_with_snapshots_is_told_of_them',
    },
    broken.HidesTheSource: {'test_a_copy_is_told_of_its_source'},
    broken.SharesVolumes: {
        'test_a_copy_has_its_source_to_itself',
        'test_a_group_has_all_its_volumes_to_itself',
    },
}

BROKEN_MARKS = {
    broken_marks.GivesItToAll: {
        'test_a_lease_ends',
        'test_one_has_it',
        'test_over_another_life',
    },
    broken_marks.OneForAll: {
        'test_each_name_is_its_own',
        'test_over_another_life',
    },
    broken_marks.HoldsForEver: {'test_a_lease_ends', 'test_one_has_it'},
    broken_marks.SettlesForHolders: {
        'test_what_is_settled_is_settled_for_all'
    },
    broken_marks.Forgets: {'test_over_another_life'},
    broken_marks.AsksAgain: {'test_a_comparison_is_asked_for'},
    broken_marks.ComparesTogether: {'test_a_comparison_has_one_listener'},
    broken_marks.EndsAnyNumber: {'test_what_is_not_the_latest_does_not_end'},
    broken_marks.ForgetsCounts: {'test_a_comparison_ends_once'},
}

ALL_BROKEN = (
    (journal_rules.JournalRules, BROKEN),
    (sharing.SharingRules, BROKEN_SHARED),
    (journal_snapshots.SnapshotRules, BROKEN_SNAPSHOTS),
    (journal_trash.TrashRules, BROKEN_TRASH),
    (journal_marks.MarkRules, BROKEN_MARKS),
)


BROKEN_PAGES = {
    broken_pages.SortsById: {'test_volumes_in_every_order'},
    broken_pages.OnlyUp: {'test_volumes_in_every_order'},
    broken_pages.OfAllProjects: {'test_volumes_of_a_project_or_a_name'},
    broken_pages.OfAllNames: {'test_volumes_of_a_project_or_a_name'},
    broken_pages.NoProjectIsAny: {'test_volumes_of_a_project_or_a_name'},
    broken_pages.SearchesByPatterns: {'test_volumes_by_a_part_of_the_name'},
    broken_pages.MarkersDie: {
        'test_a_page_goes_on_though_its_last_volume_is_gone'
    },
    broken_pages.EndsTooSoon: {
        'test_a_page_goes_on_though_its_last_volume_is_gone',
        'test_events_in_pages',
        'test_snapshots_in_pages',
        'test_volumes_in_every_order',
        'test_volumes_of_a_project_or_a_name',
    },
    broken_pages.InventsSnapshots: {'test_a_snapshot'},
    broken_pages.SnapshotsOfAllVolumes: {'test_snapshots_in_pages'},
    broken_pages.SnapshotsOfAllProjects: {'test_snapshots_in_pages'},
    broken_pages.EventsUnfiltered: {'test_events_in_pages'},
    broken_pages.CountsItself: {'test_places_in_line'},
    broken_pages.CountsToTheEnd: {'test_places_in_line'},
    broken_pages.EverybodyWaits: {'test_places_in_line'},
}


class TestRulesCanFail(unittest.TestCase):
    def test_each_broken_journal_trips_its_rule(self) -> None:
        for rules, broken_journals in ALL_BROKEN:
            for broken_kind, expected in broken_journals.items():

                class Rules(journals.OnMemory, rules):
                    kind = broken_kind
                    writers = 4
                    writes = 3

                with self.subTest(broken_kind.__name__):
                    self.assertEqual(expected, tripping.tripped_rules(Rules))

    def test_every_rule_is_tripped_by_some_journal(self) -> None:
        for rules, broken_journals in ALL_BROKEN:
            names = set(unittest.defaultTestLoader.getTestCaseNames(rules))
            self.assertEqual(names, set().union(*broken_journals.values()))

    def test_each_broken_keeping_trips_its_rule(self) -> None:
        for broken_kind, expected in BROKEN_PAGES.items():

            class Rules(journals.OnMemory, journal_pages.PageRules):
                keeping_kind = broken_kind

            with self.subTest(broken_kind.__name__):
                self.assertEqual(expected, tripping.tripped_rules(Rules))

    def test_every_rule_of_pages_is_tripped(self) -> None:
        names = set(
            unittest.defaultTestLoader.getTestCaseNames(
                journal_pages.PageRules
            )
        )
        self.assertEqual(names, set().union(*BROKEN_PAGES.values()))
