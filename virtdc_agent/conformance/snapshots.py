"""What holds for snapshots, and for volumes that return to one."""

from __future__ import annotations

from collections.abc import Callable
import itertools

from virtdc_agent.conformance import acts
from virtdc_agent.conformance.acts import create_first
from virtdc_agent.conformance.acts import MARK
from virtdc_agent.conformance.acts import MIB
from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.conformance.copy_acts import clone_snapshot
from virtdc_agent.conformance.copy_acts import COPY
from virtdc_agent.conformance.copy_acts import CopyActs
from virtdc_agent.conformance.copy_acts import delete_snapshot_of_first
from virtdc_agent.conformance.copy_acts import LATER_MARK
from virtdc_agent.conformance.copy_acts import NO_NAMES
from virtdc_agent.conformance.copy_acts import OTHER
from virtdc_agent.conformance.copy_acts import PART
from virtdc_agent.conformance.copy_acts import revert_first
from virtdc_agent.conformance.copy_acts import SNAPSHOT
from virtdc_agent.conformance.copy_acts import snapshot_first
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent import exceptions
from virtdc_agent import model


class SnapshotRules(CopyActs):
    """The rules; a part of ``copies.CopyRules``."""

    # What there is.

    def test_declares_what_belongs_together(self) -> None:
        """Who takes snapshots removes them; who reverts has taken some."""
        operations = self.start().operations
        self.assertEqual(
            Operation.SNAPSHOT in operations,
            Operation.DELETE_SNAPSHOT in operations,
        )
        if Operation.REVERT in operations:
            self.assertIn(Operation.SNAPSHOT, operations)
        if Operation.SNAPSHOT_GROUP in operations:
            self.assertIn(Operation.SNAPSHOT, operations)

    def test_snapshot_tells_what_it_is(self) -> None:
        """Of the volume's size and format then; found, also after a restart.

        It is no volume.
        """
        backend = self.having(Operation.SNAPSHOT)
        volume = create_first(backend, FakeContext('create', 2))
        facts = snapshot_first(backend, FakeContext('snapshot'))
        expected = model.SnapshotFacts(
            snapshot_id=SNAPSHOT, size_bytes=MIB, format=volume.format
        )
        self.assertEqual(expected, facts)
        if Operation.EXTEND in backend.operations:
            backend.extend(VOLUME, 2 * MIB, FakeContext('extend'))
        self.assertEqual(expected, backend.find_snapshot(SNAPSHOT))
        self.assertEqual([VOLUME], list(acts.sizes(backend)))
        self.assertIsNone(backend.find(SNAPSHOT))
        again = self.restart(backend)
        self.assertEqual(expected, again.find_snapshot(SNAPSHOT))

    def test_unknown_snapshot_is_not_found(self) -> None:
        """``find_snapshot`` returns ``None``; also for what can be no id."""
        backend = self.having(Operation.SNAPSHOT)
        snapshot_first(backend, FakeContext('snapshot'))
        for snapshot_id in ('unknown', VOLUME, '', f'../{SNAPSHOT}'):
            self.assertIsNone(backend.find_snapshot(snapshot_id), snapshot_id)

    # Snapshot.

    def test_snapshot_again_is_the_same(self) -> None:
        """A later attempt finds it as it was, whatever happened since."""
        backend = self.having(Operation.SNAPSHOT, Operation.REVERT)
        first = snapshot_first(backend, FakeContext('snapshot'))
        for attempt in (2, 3):
            self.write(backend, VOLUME, 0, LATER_MARK)
            again = snapshot_first(backend, FakeContext('snapshot', attempt))
            self.assertEqual(first, again)
        revert_first(backend, FakeContext('revert'))
        self.assertEqual(MARK, self.read(backend, VOLUME, 0, len(MARK)))

    def test_snapshot_keeps_off_another_events_snapshot(self) -> None:
        """Whatever the attempt and the volume, its name is taken."""
        backend = self.having(Operation.SNAPSHOT)
        self.create(backend, OTHER)
        before = snapshot_first(backend, FakeContext('snapshot'))
        for attempt in (1, 2):
            for event, volume_id in (
                ('another', VOLUME),
                ('another', OTHER),
                ('snapshot', OTHER),
            ):
                with self.assertRaises(exceptions.EventRejected):
                    backend.snapshot(
                        volume_id, SNAPSHOT, FakeContext(event, attempt)
                    )
                self.assertEqual(before, backend.find_snapshot(SNAPSHOT))

    def test_snapshot_of_nothing_is_rejected(self) -> None:
        """An unknown volume has no moment to keep."""
        backend = self.having(Operation.SNAPSHOT)
        with self.assertRaises(exceptions.EventRejected):
            backend.snapshot('unknown', SNAPSHOT, FakeContext('snapshot'))
        self.assertIsNone(backend.find_snapshot(SNAPSHOT))

    def test_snapshot_refuses_ids_that_are_no_names(self) -> None:
        """Whatever could lead elsewhere is rejected, and keeps nothing."""
        backend = self.having(Operation.SNAPSHOT)
        for snapshot_id in NO_NAMES:
            with self.assertRaises(exceptions.EventRejected, msg=snapshot_id):
                backend.snapshot(VOLUME, snapshot_id, FakeContext('snapshot'))
            self.assertIsNone(backend.find_snapshot(snapshot_id))
            self.assertEqual([VOLUME], list(acts.sizes(backend)))

    def test_strange_snapshots_are_left_alone(self) -> None:
        """What no event made is no snapshot, not taken and not removed."""
        backend = self.having(Operation.SNAPSHOT)
        self.place_strange_snapshot(backend, SNAPSHOT)
        operations: list[acts.Operate] = [
            snapshot_first,
            delete_snapshot_of_first,
        ]
        if Operation.REVERT in backend.operations:
            operations.append(revert_first)
        if Operation.CLONE in backend.operations:
            operations.append(clone_snapshot)
        self.assertIsNone(backend.find_snapshot(SNAPSHOT))
        for attempt, operate in itertools.product((1, 2), operations):
            with self.assertRaises(exceptions.EventRejected):
                operate(backend, FakeContext('strange', attempt))
        backend.sweep(tuple)
        self.assertIsNone(backend.find_snapshot(SNAPSHOT))
        self.assertTrue(self.is_strange_snapshot_there(backend, SNAPSHOT))
        self.assertEqual([VOLUME], list(acts.sizes(backend)))

    # Delete snapshot.

    def test_delete_snapshot_removes(self) -> None:
        """The snapshot is gone, and only it."""
        backend = self.having(Operation.SNAPSHOT)
        snapshot_first(backend, FakeContext('snapshot'))
        backend.snapshot(VOLUME, OTHER, FakeContext('another'))
        delete_snapshot_of_first(backend, FakeContext('delete'))
        self.assertIsNone(backend.find_snapshot(SNAPSHOT))
        self.assertIsNotNone(backend.find_snapshot(OTHER))
        self.assertEqual([VOLUME], list(acts.sizes(backend)))

    def test_delete_snapshot_of_nothing_succeeds(self) -> None:
        """One that is gone, or never was, counts as removed."""
        backend = self.having(Operation.SNAPSHOT)
        snapshot_first(backend, FakeContext('snapshot'))
        for attempt in (1, 2, 3):
            delete_snapshot_of_first(backend, FakeContext('delete', attempt))
        backend.delete_snapshot(VOLUME, 'never', FakeContext('never'))
        backend.delete_snapshot('unknown', 'never', FakeContext('never'))
        self.assertIsNone(backend.find_snapshot(SNAPSHOT))

    def test_another_volumes_snapshot_is_refused(self) -> None:
        """It is not removed, and nothing is made of it."""
        backend = self.having(Operation.SNAPSHOT)
        self.create(backend, OTHER)
        snapshot_first(backend, FakeContext('snapshot'))
        operations: list[Callable[[FakeContext], object]] = [
            lambda context: backend.delete_snapshot(OTHER, SNAPSHOT, context)
        ]
        if Operation.REVERT in backend.operations:
            operations.append(
                lambda context: backend.revert(OTHER, SNAPSHOT, context)
            )
        if Operation.CLONE in backend.operations:
            parameters = CloneParameters(
                source_id=OTHER, snapshot_id=SNAPSHOT, size_bytes=MIB
            )
            operations.append(
                lambda context: backend.clone(COPY, parameters, context)
            )
        for operate in operations:
            with self.assertRaises(exceptions.EventRejected):
                operate(FakeContext('mistaken'))
        self.assertIsNotNone(backend.find_snapshot(SNAPSHOT))
        self.assertEqual({VOLUME: MIB, OTHER: MIB}, acts.sizes(backend))
        self.assertEqual(bytes(PART), self.read(backend, OTHER, 0, PART))

    # Revert.

    def test_revert_brings_back_the_moment(self) -> None:
        """All reads as it did, as often as it is asked; the snapshot stays."""
        backend = self.having(Operation.SNAPSHOT, Operation.REVERT)
        self.write(backend, VOLUME, MIB - len(MARK), MARK)
        before = backend.find(VOLUME)
        snapshot_first(backend, FakeContext('snapshot'))
        for attempt in (1, 2):
            self.write(backend, VOLUME, 0, LATER_MARK)
            self.write(backend, VOLUME, MIB // 2, LATER_MARK)
            facts = revert_first(backend, FakeContext('revert', attempt))
            self.assertEqual(before, facts)
            self.assertEqual(before, backend.find(VOLUME))
            self.assertEqual(
                MARK + bytes(MIB - 2 * len(MARK)) + MARK,
                self.read(backend, VOLUME, 0, MIB),
            )
            self.assertIsNotNone(backend.find_snapshot(SNAPSHOT))
        self.assertEqual([], list(backend.sweep(tuple)))

    def test_reverted_volume_is_a_volume_as_before(self) -> None:
        """Its creation is done, and it grows and goes as any other."""
        backend = self.having(Operation.SNAPSHOT, Operation.REVERT)
        snapshot_first(backend, FakeContext('snapshot'))
        revert_first(backend, FakeContext('revert'))
        again = create_first(backend, FakeContext('create', 2))
        self.assertEqual(again, backend.find(VOLUME))
        self.assertEqual(MARK, self.read(backend, VOLUME, 0, len(MARK)))
        if Operation.EXTEND in backend.operations:
            backend.extend(VOLUME, 2 * MIB, FakeContext('extend'))
            self.assertEqual({VOLUME: 2 * MIB}, acts.sizes(backend))
        self.write(backend, VOLUME, 0, LATER_MARK)
        revert_first(backend, FakeContext('again'))
        backend.delete(VOLUME, FakeContext('delete'))
        self.assertEqual({}, acts.sizes(backend))

    def test_revert_keeps_the_size_and_adds_zeros(self) -> None:
        """What the volume has grown by since reads as zeros."""
        backend = self.having(
            Operation.SNAPSHOT, Operation.REVERT, Operation.EXTEND
        )
        snapshot_first(backend, FakeContext('snapshot'))
        backend.extend(VOLUME, 3 * MIB, FakeContext('extend'))
        self.write(backend, VOLUME, 2 * MIB, LATER_MARK)
        facts = revert_first(backend, FakeContext('revert'))
        self.assertEqual(3 * MIB, facts.size_bytes)
        self.assertEqual(facts, backend.find(VOLUME))
        self.assertEqual(
            MARK + bytes(3 * MIB - len(MARK)),
            self.read(backend, VOLUME, 0, 3 * MIB),
        )

    def test_revert_refuses_what_cannot_be(self) -> None:
        """No such volume or snapshot, or a larger one: nothing changes."""
        backend = self.having(Operation.SNAPSHOT, Operation.REVERT)
        snapshot_first(backend, FakeContext('snapshot'))
        for volume_id, snapshot_id in (
            (VOLUME, 'unknown'),
            (VOLUME, '../out'),
            ('unknown', SNAPSHOT),
            ('unknown', 'unknown'),
        ):
            with self.assertRaises(exceptions.EventRejected):
                backend.revert(volume_id, snapshot_id, FakeContext('revert'))
        backend.delete(VOLUME, FakeContext('delete'))
        with self.assertRaises(exceptions.EventRejected):
            revert_first(backend, FakeContext('revert'))
        backend.create(
            VOLUME,
            CreateParameters(size_bytes=MIB // 2),
            FakeContext('smaller'),
        )
        with self.assertRaises(exceptions.EventRejected):
            revert_first(backend, FakeContext('revert'))
        self.assertEqual({VOLUME: MIB // 2}, acts.sizes(backend))
        self.assertEqual(bytes(PART), self.read(backend, VOLUME, 0, PART))
