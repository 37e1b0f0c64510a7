"""Backends against the rules of the trash, and these against broken ones."""

from __future__ import annotations

import unittest

from tests.conformance import backends
from tests.conformance import broken_trash as broken
from tests.conformance import tripping
from tests.unit.agent.backends import needs
from virtdc_agent.conformance import trash as rules


class TestMemory(backends.MemoryHooks, rules.TrashRules):
    pass


class TestFileRaw(backends.FileHooks, rules.TrashRules):
    pass


@needs.QEMU
class TestFileQcow2(backends.FileQcow2Hooks, rules.TrashRules):
    pass


BROKEN = {
    broken.ThrowsAway: {'test_what_is_restored_is_as_it_was'},
    broken.LeavesInSight: {'test_what_is_discarded_is_out_of_sight'},
    broken.LosesBytes: {'test_what_is_restored_is_as_it_was'},
    broken.KeepsTheLast: {'test_to_discard_again_changes_nothing'},
    broken.RestoresOnce: {'test_to_restore_again_changes_nothing'},
    broken.Replaces: {'test_restore_replaces_nothing'},
    broken.RestoresAny: {'test_nothing_kept_cannot_be_restored'},
    broken.PurgesAll: {'test_what_is_purged_is_gone'},
    broken.TakesStrangers: {'test_a_stranger_is_not_discarded'},
}


class TestRulesCanFail(unittest.TestCase):
    def test_every_rule_has_a_backend_that_trips_it(self) -> None:
        own = {
            name for name in vars(rules.TrashRules) if name.startswith('test_')
        }
        self.assertEqual(own, set().union(*BROKEN.values()))

    def test_broken_backends_trip_their_rules(self) -> None:
        for kind, expected in BROKEN.items():
            with self.subTest(backend=kind.__name__):
                suite = type(
                    'Suite',
                    (backends.MemoryHooks, rules.TrashRules),
                    {'kind': kind},
                )
                tripped = tripping.tripped_rules(suite)
                self.assertLessEqual(expected, tripped)
