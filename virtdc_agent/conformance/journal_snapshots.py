"""What a journal must hold of snapshots, and of volumes made from volumes.

As ``journal``; it can be run with one agent.
"""

from __future__ import annotations

import datetime

from virtdc_agent.conformance import journal
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent import model
from virtdc_agent.scheduling import Lane


def event_of(
    event_id: str, volume_id: str, parameters: events.Parameters
) -> events.Event:
    """Return an event that has these parameters."""
    return events.Event(
        event_id=event_id,
        operation=events.operation_of(parameters),
        volume_id=volume_id,
        origin=events.Origin.CLOUD,
        parameters=parameters,
        created_at=journal.NOW,
    )


def snapshot_of(volume_id: str, snapshot_id: str) -> events.Snapshot:
    """Return a snapshot's record."""
    return events.Snapshot(
        snapshot_id=snapshot_id,
        volume_id=volume_id,
        size_bytes=journal.GIB,
        format=events.Format.RAW,
        created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        name='before',
    )


GROUP = events.SnapshotGroupParameters(snapshots={'v': 'sv', 'w': 'sw'})


class SnapshotRules(journal.JournalCase):
    """The rules. Not run by itself: what it needs is for subclasses."""

    def settle_next(
        self, change: model.VolumeChange | None, lane: Lane = Lane.COPY
    ) -> model.Claim:
        """End the next event with a change."""
        (claim,) = self.journal.claim(lane, 1)
        self.journal.settle(
            claim, model.Outcome(state=events.State.SUCCESS, change=change)
        )
        return claim

    def ask(self, volume_id: str, parameters: events.Parameters) -> None:
        """Append an event."""
        self.journal.append(
            event_of(f'e{next(self._ids)}', volume_id, parameters)
        )

    def make_volume(self, volume_id: str) -> None:
        """Have a volume."""
        self.append(volume_id)
        self.settle_next(journal.put(volume_id), Lane.QUICK)

    def take_snapshot(self, volume_id: str, snapshot_id: str) -> model.Claim:
        """Have a snapshot of a volume."""
        self.ask(volume_id, events.SnapshotParameters(snapshot_id=snapshot_id))
        return self.settle_next(
            model.PutSnapshot(snapshot=snapshot_of(volume_id, snapshot_id))
        )

    def ids(self, volume_id: str | None = None) -> list[str]:
        """Return the ids of snapshots."""
        page = self.journal.get_snapshots(volume_id, None, 100)
        return [one.snapshot_id for one in page.snapshots]

    def test_a_snapshot_is_there_as_it_was_put(self) -> None:
        """Settling a snapshot keeps its record, whole."""
        self.make_volume('v')
        self.take_snapshot('v', 's')
        page = self.journal.get_snapshots(None, None, 10)
        self.assertEqual([snapshot_of('v', 's')], list(page.snapshots))
        self.assertIsNone(page.next_marker)

    def test_a_removed_snapshot_is_gone(self) -> None:
        """And others stay."""
        self.make_volume('v')
        for snapshot_id in ('a', 'b'):
            self.take_snapshot('v', snapshot_id)
        self.ask('v', events.DeleteSnapshotParameters(snapshot_id='a'))
        self.settle_next(model.RemoveSnapshot(snapshot_id='a'), Lane.QUICK)
        self.assertEqual(['b'], self.ids())

    def test_snapshots_of_one_volume_in_pages(self) -> None:
        """In order of their ids, none twice."""
        for volume_id in ('v', 'w'):
            self.make_volume(volume_id)
        for number in range(4):
            self.take_snapshot('v', f's{number}')
        self.take_snapshot('w', 'other')
        self.assertEqual(['other'], self.ids('w'))
        marker, found = None, []
        while True:
            page = self.journal.get_snapshots('v', marker, 3)
            found += [one.snapshot_id for one in page.snapshots]
            self.assertLessEqual(len(page.snapshots), 3)
            marker = page.next_marker
            if marker is None:
                break
        self.assertEqual(['s0', 's1', 's2', 's3'], found)

    def test_who_deals_with_snapshots_is_told_of_them(self) -> None:
        """Of those of the event's volume, as they are when it begins."""
        for volume_id in ('v', 'w'):
            self.make_volume(volume_id)
        self.assertEqual((), self.take_snapshot('v', 'a').snapshots)
        self.take_snapshot('w', 'other')
        claim = self.take_snapshot('v', 'b')
        self.assertEqual((snapshot_of('v', 'a'),), claim.snapshots)
        for parameters, lane in (
            (events.RevertParameters(snapshot_id='a'), Lane.COPY),
            (events.DeleteSnapshotParameters(snapshot_id='a'), Lane.QUICK),
            (events.DeleteParameters(), Lane.QUICK),
        ):
            self.ask('v', parameters)
            claim = self.settle_next(None, lane)
            self.assertEqual(
                ['a', 'b'], [one.snapshot_id for one in claim.snapshots]
            )

    def test_a_copy_is_told_of_its_source(self) -> None:
        """The volume, and its snapshots; both may be missing."""
        self.make_volume('v')
        self.take_snapshot('v', 's')
        copy = events.CloneParameters(
            source_id='v', snapshot_id='s', size_bytes=journal.GIB
        )
        self.ask('w', copy)
        claim = self.settle_next(journal.put('w'))
        self.assertIsNone(claim.volume)
        self.assertIsNotNone(claim.source)
        self.assertEqual('v', claim.source and claim.source.volume_id)
        self.assertEqual((snapshot_of('v', 's'),), claim.snapshots)
        self.ask(
            'x',
            events.CloneParameters(
                source_id='nothing', size_bytes=journal.GIB
            ),
        )
        claim = self.settle_next(None)
        self.assertEqual((None, ()), (claim.source, claim.snapshots))

    def test_a_copy_has_its_source_to_itself(self) -> None:
        """It begins after what came before on either, others after it."""
        for volume_id in ('v', 'w'):
            self.make_volume(volume_id)
        self.append('v')
        (before,) = self.claim(1)
        self.ask(
            'w', events.CloneParameters(source_id='v', size_bytes=journal.GIB)
        )
        after = self.append('v', 'w')
        self.assertEqual([], list(self.journal.claim(Lane.COPY, 5)))
        self.assertEqual([], self.claim(5))
        self.journal.settle(before, journal.SUCCESS)
        (copy,) = self.journal.claim(Lane.COPY, 5)
        self.assertIs(Operation.CLONE, copy.event.operation)
        self.assertEqual([], self.claim(5))
        self.journal.settle(copy, journal.SUCCESS)
        self.assertEqual(after, [claim.event for claim in self.claim(5)])

    def test_snapshots_of_a_group_are_put_together(self) -> None:
        """Each under its volume, by one settlement."""
        for volume_id in ('v', 'w'):
            self.make_volume(volume_id)
        self.ask('v', GROUP)
        self.settle_next(
            model.PutSnapshots(
                snapshots=(snapshot_of('v', 'sv'), snapshot_of('w', 'sw'))
            )
        )
        for volume_id, snapshot_id in GROUP.snapshots.items():
            page = self.journal.get_snapshots(volume_id, None, 10)
            self.assertEqual(
                [snapshot_of(volume_id, snapshot_id)], list(page.snapshots)
            )

    def test_a_group_is_told_of_its_members(self) -> None:
        """Of those that there are, and of the snapshots of all of them."""
        for volume_id in ('v', 'w'):
            self.make_volume(volume_id)
        self.take_snapshot('w', 'earlier')
        self.ask('v', GROUP)
        claim = self.settle_next(None)
        self.assertEqual(
            ['v', 'w'], [volume.volume_id for volume in claim.members]
        )
        self.assertEqual((snapshot_of('w', 'earlier'),), claim.snapshots)
        self.ask('x', events.SnapshotGroupParameters(snapshots={'x': 's'}))
        claim = self.settle_next(None)
        self.assertEqual(
            (None, (), ()), (claim.volume, claim.members, claim.snapshots)
        )

    def test_a_group_is_told_as_all_of_its_volumes(self) -> None:
        """Each of its transitions names them; those of others do not."""
        self.make_volume('v')
        self.ask('v', GROUP)
        self.settle_next(None)
        for transition in self.journal.get_changes(0, 100).transitions:
            is_group = transition.operation is Operation.SNAPSHOT_GROUP
            self.assertEqual(
                ('v', 'w') if is_group else (), transition.volume_ids
            )

    def test_a_group_has_all_its_volumes_to_itself(self) -> None:
        """It begins after what came before on any, others after it."""
        for volume_id in ('v', 'w'):
            self.make_volume(volume_id)
        self.append('w')
        (before,) = self.claim(1)
        self.ask('v', GROUP)
        after = self.append('v', 'w')
        self.assertEqual([], list(self.journal.claim(Lane.COPY, 5)))
        self.assertEqual([], self.claim(5))
        self.journal.settle(before, journal.SUCCESS)
        (group,) = self.journal.claim(Lane.COPY, 5)
        self.assertIs(Operation.SNAPSHOT_GROUP, group.event.operation)
        self.assertEqual([], self.claim(5))
        self.journal.settle(group, journal.SUCCESS)
        self.assertEqual(after, [claim.event for claim in self.claim(5)])
