"""Every law of the chaos run can be broken, and is silent otherwise."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any
import unittest

from tests.chaos import laws
from tests.chaos.witnesses import Change
from tests.chaos.witnesses import Seen
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
MIB = 1024**2
CREATE, EXTEND, DELETE = Operation.CREATE, Operation.EXTEND, Operation.DELETE
SNAPSHOT, CLONE = Operation.SNAPSHOT, Operation.CLONE
WAITING, RUNNING = State.WAITING, State.RUNNING
SUCCESS, FAILED = State.SUCCESS, State.FAILED
MADE, REMOVED = Seen('v', Change.MADE), Seen('v', Change.REMOVED)


def event(event_id: str, operation: Operation) -> events.Event:
    """Return an event of volume ``v``."""
    parameters: Any = {
        CREATE: events.CreateParameters(size_bytes=MIB),
        EXTEND: events.ExtendParameters(size_bytes=2 * MIB),
        DELETE: events.DeleteParameters(),
    }[operation]
    return events.Event(
        event_id=event_id,
        operation=operation,
        volume_id='v',
        origin=events.Origin.CLOUD,
        parameters=parameters,
        created_at=NOW,
    )


def history(*steps: tuple[str, Operation, State]) -> list[events.Transition]:
    """Return a journal of these steps, all of volume ``v``."""
    return [
        events.Transition(
            event_id=event_id,
            operation=operation,
            volume_id='v',
            origin=events.Origin.CLOUD,
            state=state,
            sequence=index + 1,
            occurred_at=NOW,
            attempt=0 if state is WAITING else 1,
        )
        for index, (event_id, operation, state) in enumerate(steps)
    ]


def volume(size_bytes: int) -> events.Volume:
    """Return the record of volume ``v``."""
    return events.Volume(
        volume_id='v',
        size_bytes=size_bytes,
        format=events.Format.RAW,
        provisioning=events.Provisioning.THIN,
        created_at=NOW,
        updated_at=NOW,
    )


SOUND = laws.Evidence(
    asked={'a': event('a', CREATE), 'b': event('b', EXTEND)},
    accepted=[['a', 'b']],
    history=history(
        ('a', CREATE, WAITING),
        ('b', EXTEND, WAITING),
        ('a', CREATE, RUNNING),
        ('a', CREATE, SUCCESS),
        ('b', EXTEND, RUNNING),
        ('b', EXTEND, SUCCESS),
    ),
    volumes=[volume(2 * MIB)],
    sizes={'v': 2 * MIB},
    leftovers=[],
    # At least once: some come again.
    heard=[1, 2, 3, 4, 3, 4, 5, 6],
    seen=[MADE],
)


class TestLaws(unittest.TestCase):
    def test_sound_evidence_breaks_none(self) -> None:
        self.assertEqual([], laws.breaches(SOUND))

    def assert_broken(self, *expected: str, **changes: Any) -> None:
        found = laws.breaches(dataclasses.replace(SOUND, **changes))
        self.assertEqual(set(expected), {breach.law for breach in found})

    def test_lost(self) -> None:
        self.assert_broken('lost', accepted=[['a', 'b', 'c']])

    def test_lost_half_way(self) -> None:
        self.assert_broken(
            'lost',
            history=SOUND.history[:5],
            heard=[1, 2, 3, 4, 5],
            volumes=[volume(MIB)],
            sizes={'v': MIB},
        )

    def test_ended_twice(self) -> None:
        again = dataclasses.replace(SOUND.history[5], sequence=7)
        self.assert_broken(
            'ended twice',
            history=[*SOUND.history, again],
            heard=[*range(1, 8)],
        )

    def test_accepted_out_of_order(self) -> None:
        self.assert_broken('out of order', accepted=[['b', 'a']])

    def test_run_out_of_order(self) -> None:
        self.assert_broken(
            'out of order',
            'overlapping',
            history=history(
                ('a', CREATE, WAITING),
                ('b', EXTEND, WAITING),
                ('a', CREATE, RUNNING),
                ('b', EXTEND, RUNNING),
                ('a', CREATE, SUCCESS),
                ('b', EXTEND, SUCCESS),
            ),
        )

    def test_gaps(self) -> None:
        last = dataclasses.replace(SOUND.history[5], sequence=7)
        self.assert_broken(
            'gaps',
            history=[*SOUND.history[:5], last],
            heard=[1, 2, 3, 4, 5, 7],
        )

    def test_not_told(self) -> None:
        self.assert_broken('not told', heard=[1, 2, 3, 5, 6])

    def test_told_what_is_not_so(self) -> None:
        self.assert_broken('not told', heard=[*range(1, 7), 99])

    def test_told_late(self) -> None:
        self.assert_broken('told late', heard=[1, 2, 4, 3, 5, 6])

    def test_applied_twice(self) -> None:
        self.assert_broken('applied twice', seen=[MADE, REMOVED, MADE])
        self.assert_broken('applied twice', seen=[MADE, MADE])
        self.assert_broken('applied twice', seen=[])

    def test_an_attempt_cut_short_may_have_made_it_before(self) -> None:
        again = [
            dataclasses.replace(one, attempt=2) if one.attempt else one
            for one in SOUND.history
        ]
        self.assert_broken(history=again, seen=[MADE, REMOVED, MADE])

    def test_disks_that_differ(self) -> None:
        for changes in (
            {'sizes': {'v': MIB}},
            {'sizes': {}},
            {'sizes': {'v': 2 * MIB, 'w': MIB}},
            {'volumes': []},
            {'volumes': [volume(MIB)], 'sizes': {'v': MIB}},
        ):
            with self.subTest(changes=changes):
                self.assert_broken('disks that differ', **changes)

    def test_attachments_that_differ(self) -> None:
        attached = dataclasses.replace(volume(2 * MIB), attached_to=('h',))
        self.assert_broken('disks that differ', volumes=[attached])

    def copied(self) -> laws.Evidence:
        """Return sound evidence of a snapshot, and of a copy of it."""
        clone = dataclasses.replace(
            event('d', DELETE),
            operation=CLONE,
            volume_id='w',
            parameters=events.CloneParameters(
                source_id='v', snapshot_id='s', size_bytes=3 * MIB
            ),
        )
        take = dataclasses.replace(
            event('c', DELETE),
            operation=SNAPSHOT,
            parameters=events.SnapshotParameters(snapshot_id='s'),
        )
        steps = [
            *(('c', SNAPSHOT, state) for state in (WAITING, RUNNING, SUCCESS)),
            *(('d', CLONE, state) for state in (WAITING, RUNNING, SUCCESS)),
        ]
        more = [
            dataclasses.replace(
                one,
                sequence=6 + number,
                volume_id='w' if one.operation is CLONE else 'v',
            )
            for number, one in enumerate(history(*steps), 1)
        ]
        return dataclasses.replace(
            SOUND,
            asked={**SOUND.asked, 'c': take, 'd': clone},
            accepted=[['a', 'b', 'c'], ['d']],
            history=[*SOUND.history, *more],
            volumes=[
                volume(2 * MIB),
                dataclasses.replace(volume(3 * MIB), volume_id='w'),
            ],
            snapshots=[
                events.Snapshot(
                    snapshot_id='s',
                    volume_id='v',
                    size_bytes=2 * MIB,
                    format=events.Format.RAW,
                    created_at=NOW,
                )
            ],
            sizes={'v': 2 * MIB, '@s': 2 * MIB, 'w': 3 * MIB},
            heard=list(range(1, 13)),
            seen=[MADE, Seen('@s', Change.MADE), Seen('w', Change.MADE)],
        )

    def test_snapshots_and_copies(self) -> None:
        sound = self.copied()
        self.assertEqual([], laws.breaches(sound))
        for law, changes in (
            ('applied twice', {'seen': sound.seen[:2]}),
            ('applied twice', {'seen': [sound.seen[0], sound.seen[2]]}),
            ('disks that differ', {'snapshots': []}),
            ('disks that differ', {'sizes': {'v': 2 * MIB, 'w': 3 * MIB}}),
        ):
            found = laws.breaches(dataclasses.replace(sound, **changes))
            self.assertEqual({law}, {breach.law for breach in found})

    def test_a_copy_beside_its_source(self) -> None:
        """The copy begins while the snapshot is still being taken."""
        sound = self.copied()
        steps = [*sound.history[:8], *sound.history[9:11]]
        steps += [sound.history[8], sound.history[11]]
        found = laws.breaches(
            dataclasses.replace(
                sound,
                history=[
                    dataclasses.replace(one, sequence=number)
                    for number, one in enumerate(steps, 1)
                ],
            )
        )
        self.assertEqual(
            {'out of order', 'overlapping'}, {breach.law for breach in found}
        )

    def test_leftovers_and_the_journals_own_check(self) -> None:
        self.assert_broken('leftovers', leftovers=['.trash/x'])
        self.assert_broken('unsound', problems=['a queue is wrong'])

    def test_given_up_in_silence(self) -> None:
        lost = dataclasses.replace(
            SOUND.history[5], state=FAILED, reason=Reason.LOST
        )
        changes = {
            'history': [*SOUND.history[:5], lost],
            'volumes': [volume(MIB)],
            'sizes': {'v': MIB},
        }
        self.assert_broken('no alarm', **changes)
        self.assert_broken(**changes, alarmed={'v'})

    def test_every_law_is_listed(self) -> None:
        broken = dataclasses.replace(SOUND, leftovers=['x'])
        for breach in laws.breaches(broken):
            self.assertIn(breach.law, laws.LAWS)


if __name__ == '__main__':
    unittest.main()
