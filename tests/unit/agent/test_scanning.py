"""What is done behind the agent's back is found, and nothing else."""

from __future__ import annotations

import unittest

from tests.unit.agent import builders
from tests.unit.agent.executor import test_deleting
from virtdc_agent.backends.memory_storage import MemoryVolume
from virtdc_agent.contract.alarms import CONFIRMED
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.intake import Intake
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.scanning import Findings
from virtdc_agent.scanning import judge
from virtdc_agent.scanning import Scanner

GIB = builders.GIB


class TestJudge(unittest.TestCase):
    def test_what_differs(self) -> None:
        self.assertEqual(
            Findings(missing=('a',), grown=('b',), unknown=('e',)),
            judge(
                {'a': 1, 'b': 1, 'c': 1, 'd': 2},
                {'b': 2, 'c': 1, 'd': 1, 'e': 1},
                5,
            ),
        )

    def test_many_at_once_are_not_believed(self) -> None:
        known = {str(number): 1 for number in range(100)}
        for gone, is_vanished in ((5, False), (6, True), (100, True)):
            found = dict(list(known.items())[gone:])
            self.assertIs(is_vanished, judge(known, found, 5).is_vanished)

    def test_half_of_some_is_many(self) -> None:
        for known, gone, is_vanished in (
            (1, 1, False),
            (2, 2, False),
            (3, 1, False),
            (3, 2, True),
            (4, 2, False),
        ):
            volumes = {str(number): 1 for number in range(known)}
            found = dict(list(volumes.items())[gone:])
            self.assertIs(is_vanished, judge(volumes, found, 5).is_vanished)


class TestScanner(test_deleting.DeletingCase):
    def setUp(self) -> None:
        super().setUp()
        self.scanner = self.make_scanner(self.journal)
        self.create()
        for number in range(3):
            self.do(
                events.CreateParameters(size_bytes=GIB),
                Origin.CLOUD,
                f'w{number}',
            )

    def make_scanner(self, journal: MemoryJournal) -> Scanner:
        return Scanner(
            backend=self.backend,
            journal=journal,
            keeping=SqlKeeping(journal.storage.engine, clock=self.clock),
            intake=Intake(journal, max_waiting=100),
            clock=self.clock,
            vanish_limit=5,
        )

    def lose(self, volume_id: str = 'v') -> MemoryVolume:
        return self.backend.storage.volumes.pop(volume_id)

    def waiting(self) -> int:
        return self.journal.count().waiting

    def test_nothing_is_found_where_nothing_is(self) -> None:
        for _ in range(3):
            self.assertEqual(Findings(), self.scanner.scan())
        self.assertEqual((0, []), (self.waiting(), self.alarms()))

    def test_missing_twice_is_a_deletion(self) -> None:
        volume = self.lose()
        self.scanner.scan()
        self.assertEqual(0, self.waiting())
        self.scanner.scan()
        self.assertEqual(1, self.waiting())
        # While it waits, no other is asked for.
        self.scanner.scan()
        self.assertEqual(1, self.waiting())
        self.assertIs(State.SUCCESS, self.run_waiting().state)
        (alarm,) = self.alarms()
        self.assertEqual('volume-deleted', alarm.kind)
        self.assertEqual(
            'virtdc-scan', alarm.details['requested_by']['user_id']
        )
        self.assertRegex(alarm.message, 'removed by hand')
        for _ in range(3):
            self.scanner.scan()
        self.assertEqual((0, 1), (self.waiting(), self.alarms()[0].count))
        # It comes back, and so does its record.
        self.backend.storage.volumes['v'] = volume
        for _ in range(2):
            self.scanner.scan()
        self.assertIs(State.SUCCESS, self.run_waiting().state)
        self.assertEqual([], self.alarms())
        self.assertEqual('v', self.journal.get_volume('v').volume_id)

    def test_back_in_between_is_nothing(self) -> None:
        volume = self.lose()
        self.scanner.scan()
        self.backend.storage.volumes['v'] = volume
        self.scanner.scan()
        self.lose()
        self.scanner.scan()
        self.assertEqual(0, self.waiting())

    def test_back_before_its_turn_is_no_deletion(self) -> None:
        volume = self.lose()
        for _ in range(2):
            self.scanner.scan()
        self.backend.storage.volumes['v'] = volume
        self.assertIs(State.FAILED, self.run_waiting().state)
        self.assertEqual([], self.alarms())

    def test_an_unmounted_pool_is_one_alarm(self) -> None:
        volumes = dict(self.backend.storage.volumes)
        self.backend.storage.volumes.clear()
        for _ in range(5):
            self.scanner.scan()
        (alarm,) = self.alarms()
        self.assertEqual(
            ('pool-vanished', 'storage', 5),
            (alarm.kind, alarm.subject, alarm.count),
        )
        self.assertEqual(0, self.waiting())
        self.backend.storage.volumes.update(volumes)
        self.scanner.scan()
        self.assertEqual((0, []), (self.waiting(), self.alarms()))

    def test_an_incomplete_listing_says_nothing(self) -> None:
        self.lose()
        self.scanner.scan()

        def broken():
            yield from ()
            raise exceptions.BackendError('It broke.')

        scan, self.backend.scan = self.backend.scan, broken
        with self.assertRaises(exceptions.BackendError):
            self.scanner.scan()
        self.backend.scan = scan
        # What was seen before does not count any more either.
        self.scanner.scan()
        self.assertEqual(0, self.waiting())

    def test_a_storage_that_is_not_there_is_one_alarm(self) -> None:
        def away():
            raise exceptions.BackendUnavailable('It is not mounted.')

        scan, self.backend.scan = self.backend.scan, away
        for count in (0, 1, 1, 1):
            with self.assertRaises(exceptions.BackendUnavailable):
                self.scanner.scan()
            self.assertEqual(count, len(self.alarms()))
        (alarm,) = self.alarms()
        self.assertEqual(
            ('pool-vanished', 'storage', 'It is not mounted.'),
            (alarm.kind, alarm.subject, alarm.message),
        )
        self.backend.scan = scan
        self.scanner.scan()
        self.assertEqual((0, []), (self.waiting(), self.alarms()))

    def test_what_has_grown_is_extended(self) -> None:
        self.backend.storage.volumes['v'].size_bytes = 2 * GIB
        for _ in range(2):
            self.scanner.scan()
        self.assertIs(State.SUCCESS, self.run_waiting().state)
        volume = self.journal.get_volume('v')
        self.assertEqual(
            (2 * GIB, Origin.PLATFORM), (volume.size_bytes, volume.changed_by)
        )

    def test_what_nobody_knows_is_an_alarm(self) -> None:
        volumes = self.backend.storage.volumes
        volumes['x'] = volumes['v']
        for _ in range(4):
            self.scanner.scan()
        (alarm,) = self.alarms()
        self.assertEqual(
            ('volume-unknown', 'x', 1),
            (alarm.kind, alarm.subject, alarm.count),
        )
        del volumes['x']
        self.scanner.scan()
        self.assertEqual([], self.alarms())

    def test_what_a_person_confirms_counts(self) -> None:
        self.backend.storage.volumes.clear()
        for comment, lost in (('I see.', 0), (CONFIRMED, 4)):
            for _ in range(2):
                self.scanner.scan()
            self.journal.acknowledge_alarm(
                *('pool-vanished', 'storage', 'eve', comment)
            )
            self.scanner.scan()
            self.assertEqual(lost, self.waiting())

    def test_what_vanishes_after_that_is_not_confirmed(self) -> None:
        for volume_id in ('w0', 'w1', 'w2'):
            del self.backend.storage.volumes[volume_id]
        for _ in range(2):
            self.scanner.scan()
        self.journal.acknowledge_alarm(
            *('pool-vanished', 'storage', 'eve', CONFIRMED)
        )
        self.backend.storage.volumes.clear()
        for _ in range(3):
            self.scanner.scan()
        self.assertEqual(0, self.waiting())
        (alarm,) = self.alarms()
        self.assertEqual('', alarm.acknowledged_by)

    def test_many_that_nobody_knows_are_one_alarm(self) -> None:
        volumes = self.backend.storage.volumes
        volumes.update({f'x{n}': volumes['v'] for n in range(9)})
        for _ in range(2):
            self.scanner.scan()
        self.assertEqual(['storage'], [one.subject for one in self.alarms()])

    def test_one_agent_scans(self) -> None:
        other = MemoryJournal(
            self.journal.storage, agent='other', clock=self.clock
        )
        self.addCleanup(other.close)
        other.join()
        second = self.make_scanner(other)
        self.lose()
        for _ in range(2):
            self.scanner.scan()
            second.scan()
        self.assertEqual(1, self.waiting())
