"""What every backend must hold that takes over what is in its storage.

With the hooks of ``acts.ActRules``, two of which are for this suite alone:
``place_manageable`` and ``content_of_manageable``. A rule whose operation is
not declared is skipped and names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import itertools
import unittest

from virtdc_agent.conformance import acts
from virtdc_agent.conformance.acts import Act
from virtdc_agent.conformance.acts import create_first
from virtdc_agent.conformance.acts import MARK
from virtdc_agent.conformance.acts import MIB
from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.conformance.copy_acts import delete_snapshot_of_first
from virtdc_agent.conformance.copy_acts import LATER_MARK
from virtdc_agent.conformance.copy_acts import NO_NAMES
from virtdc_agent.conformance.copy_acts import OTHER
from virtdc_agent.conformance.copy_acts import SNAPSHOT
from virtdc_agent.conformance.copy_acts import snapshot_first
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import ManageParameters
from virtdc_agent.contract.events import ManageSnapshotParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

REFERENCE = 'disk.img'
AGAIN = 'again'
CONTENT = MARK + bytes(MIB - 2 * len(MARK)) + MARK
NOT_THERE = (
    *('', '.', '..', '../disk.img', '/etc/passwd', './disk.img', 'a/b'),
    *('missing', 'disk.img/', '.hidden', 'a\0b', 'disk.img\n', 'x' * 255),
)


def manage_first(
    backend: interfaces.Backend,
    context: interfaces.OperationContext,
    *,
    volume_id: str = VOLUME,
    reference: str = REFERENCE,
    size_bytes: int = MIB,
    format: Format | None = None,
) -> model.VolumeFacts:
    """Make the volume of most rules of what is there."""
    return backend.manage(
        volume_id,
        ManageParameters(
            reference=reference, size_bytes=size_bytes, format=format
        ),
        context,
    )


def unmanage_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> None:
    """Give up the volume of most rules."""
    backend.unmanage(VOLUME, context)


def manage_snapshot_of_first(
    backend: interfaces.Backend,
    context: interfaces.OperationContext,
    *,
    volume_id: str = VOLUME,
    reference: str = SNAPSHOT,
    size_bytes: int = MIB,
) -> model.SnapshotFacts:
    """Have the snapshot of most rules again, under another id."""
    return backend.manage_snapshot(
        volume_id,
        ManageSnapshotParameters(
            snapshot_id=AGAIN, reference=reference, size_bytes=size_bytes
        ),
        context,
    )


def unmanage_snapshot_of_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> None:
    """Give up the snapshot of most rules."""
    backend.unmanage_snapshot(VOLUME, SNAPSHOT, context)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that can be seen.

    :param contents: what the volumes begin with.
    :param manageable: the sizes of what may become a volume.
    :param manageable_snapshots: of what may become a snapshot.
    """

    contents: dict[str, bytes]
    snapshots: frozenset[str] = frozenset()
    manageable: tuple[int, ...] = ()
    manageable_snapshots: tuple[int, ...] = ()


def _placed(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    rules.place_manageable(backend, REFERENCE, CONTENT)


def _written(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    create_first(backend, FakeContext('create'))
    rules.write(backend, VOLUME, 0, MARK)


def _kept(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    _written(rules, backend)
    snapshot_first(backend, FakeContext('snapshot'))


def _given_up(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    _kept(rules, backend)
    unmanage_snapshot_of_first(backend, FakeContext('unmanage'))


HAD = {VOLUME: MARK}
MANAGE = Act(
    name='manage',
    prepare=_placed,
    operate=manage_first,
    before=Seen(contents={}, manageable=(MIB,)),
    after=Seen(contents=HAD),
)
UNMANAGE = Act(
    name='unmanage',
    prepare=_written,
    operate=unmanage_first,
    before=Seen(contents=HAD),
    after=Seen(contents={}, manageable=(MIB,)),
)
MANAGE_SNAPSHOT = Act(
    name='manage snapshot',
    prepare=_given_up,
    operate=manage_snapshot_of_first,
    before=Seen(contents=HAD, manageable_snapshots=(MIB,)),
    after=Seen(contents=HAD, snapshots=frozenset({AGAIN})),
)
UNMANAGE_SNAPSHOT = Act(
    name='unmanage snapshot',
    prepare=_kept,
    operate=unmanage_snapshot_of_first,
    before=Seen(contents=HAD, snapshots=frozenset({SNAPSHOT})),
    after=Seen(contents=HAD, manageable_snapshots=(MIB,)),
)


class ManageRules(acts.ActRules):
    """The rules. Not run by itself: ``make_backend`` is for subclasses."""

    def acts(self) -> Iterator[Act]:
        """Yield what the backend can do."""
        operations = self.start().operations
        if Operation.MANAGE in operations:
            yield MANAGE
            yield UNMANAGE
        if Operation.MANAGE_SNAPSHOT in operations:
            yield MANAGE_SNAPSHOT
            yield UNMANAGE_SNAPSHOT

    def look(self, backend: interfaces.Backend) -> object:
        """Return what there is, and what there might be."""
        has_snapshots = Operation.MANAGE_SNAPSHOT in backend.operations
        return Seen(
            contents={
                facts.volume_id: self.read(
                    backend, facts.volume_id, 0, len(MARK)
                )
                for facts in backend.scan()
            },
            snapshots=frozenset(
                snapshot_id
                for snapshot_id in (SNAPSHOT, AGAIN)
                if has_snapshots and backend.find_snapshot(snapshot_id)
            ),
            manageable=_safe(backend.list_manageable(None, 100)),
            manageable_snapshots=(
                _safe(backend.list_manageable_snapshots(None, 100))
                if has_snapshots
                else ()
            ),
        )

    def managing(self, *operations: Operation) -> interfaces.Backend:
        """Return a backend on empty storage.

        :raises SkipTest: an operation is not declared.
        """
        backend = self.start()
        for operation in (Operation.MANAGE, *operations):
            if operation not in backend.operations:
                raise unittest.SkipTest(f'not declared: {operation}')
        return backend

    # What there is.

    def test_declares_what_belongs_together(self) -> None:
        """Who takes over gives up; who does so with snapshots takes them."""
        operations = self.start().operations
        for one, other in (
            (Operation.MANAGE, Operation.UNMANAGE),
            (Operation.MANAGE_SNAPSHOT, Operation.UNMANAGE_SNAPSHOT),
        ):
            self.assertEqual(one in operations, other in operations)
        if Operation.MANAGE_SNAPSHOT in operations:
            self.assertIn(Operation.MANAGE, operations)
            self.assertIn(Operation.SNAPSHOT, operations)

    def test_lists_in_pages_and_in_order(self) -> None:
        """Each once, volumes too, with what they are; as found one by one."""
        backend = self.managing()
        for name in ('d', 'a', 'c', 'b'):
            self.place_manageable(backend, name, CONTENT)
        manage_first(backend, FakeContext('manage'), reference='b')
        found: list[Manageable] = []
        marker = None
        while page := list(backend.list_manageable(marker, 2)):
            self.assertLessEqual(len(page), 2)
            found += page
            marker = page[-1].reference
        references = [one.reference for one in found]
        self.assertEqual(sorted(set(references)), references)
        self.assertLessEqual({'a', 'c', 'd'}, {*references})
        self.assertNotIn('b', references)
        for one in found:
            self.assertEqual(one, backend.find_manageable(one.reference))
            self.assertEqual(MIB, one.size_bytes)
            self.assertIs(Format.RAW, one.format)
            self.assertEqual(one.is_safe, not one.reason)
            self.assertEqual(one.is_safe, one.volume_id is None)
        managed = [one.volume_id for one in found if not one.is_safe]
        self.assertEqual([VOLUME], managed)

    def test_what_is_not_there_is_not_found(self) -> None:
        """Nor is anything outside of the storage."""
        backend = self.managing()
        _placed(self, backend)
        for reference in NOT_THERE:
            self.assertIsNone(backend.find_manageable(reference), reference)

    # Managing.

    def test_manage_makes_a_volume_of_the_same_bytes(self) -> None:
        """Found, also after a restart; it is a volume as any other."""
        backend = self.managing()
        _placed(self, backend)
        facts = manage_first(backend, FakeContext('manage'))
        self.assertEqual(VOLUME, facts.volume_id)
        self.assertEqual(MIB, facts.size_bytes)
        self.assertIs(Format.RAW, facts.format)
        self.assertIsNone(self.content_of_manageable(backend, REFERENCE))
        again = self.restart(backend)
        self.assertEqual(facts, again.find(VOLUME))
        self.assertEqual(CONTENT, self.read(again, VOLUME, 0, MIB))
        if Operation.EXTEND in again.operations:
            again.extend(VOLUME, 2 * MIB, FakeContext('extend'))
            self.assertEqual(
                CONTENT + bytes(MIB), self.read(again, VOLUME, 0, 2 * MIB)
            )
        again.delete(VOLUME, FakeContext('delete'))
        self.assertEqual(Seen(contents={}), self.look(again))
        self.assertEqual([], list(again.sweep(tuple)))

    def test_manage_again_is_the_same(self) -> None:
        """A later attempt finds it, whatever was written since."""
        backend = self.managing()
        _placed(self, backend)
        first = manage_first(backend, FakeContext('manage'))
        for attempt in (2, 3):
            self.write(backend, VOLUME, 0, LATER_MARK)
            again = manage_first(backend, FakeContext('manage', attempt))
            self.assertEqual(first, again)
            self.assertEqual(
                LATER_MARK, self.read(backend, VOLUME, 0, len(LATER_MARK))
            )

    def test_managed_as_larger_it_is_grown(self) -> None:
        """What is more reads as zeros."""
        backend = self.managing()
        _placed(self, backend)
        facts = manage_first(
            backend, FakeContext('manage'), size_bytes=2 * MIB
        )
        self.assertEqual(2 * MIB, facts.size_bytes)
        self.assertEqual({VOLUME: 2 * MIB}, acts.sizes(backend))
        self.assertEqual(
            CONTENT + bytes(MIB), self.read(backend, VOLUME, 0, 2 * MIB)
        )

    def test_manage_refuses_what_cannot_be(self) -> None:
        """What is there stays as it is, and nothing is made of it."""
        backend = self.managing()
        _placed(self, backend)
        before = self.look(backend)
        for reference in NOT_THERE:
            for attempt in (1, 2):
                with self.assertRaises(exceptions.EventRejected):
                    manage_first(
                        backend,
                        FakeContext('manage', attempt),
                        reference=reference,
                    )
        for size_bytes, format_ in (
            (MIB - 1, None),
            (1, None),
            (MIB, Format.QCOW2),
        ):
            with self.assertRaises(exceptions.EventRejected):
                manage_first(
                    backend,
                    FakeContext('manage'),
                    size_bytes=size_bytes,
                    format=format_,
                )
        for volume_id in NO_NAMES:
            with self.assertRaises(exceptions.EventRejected, msg=volume_id):
                manage_first(
                    backend, FakeContext('manage'), volume_id=volume_id
                )
        self.assertEqual(before, self.look(backend))
        self.assertEqual(
            CONTENT, self.content_of_manageable(backend, REFERENCE)
        )
        self.assertEqual([], list(backend.sweep(tuple)))

    def test_manage_keeps_off_what_has_the_name(self) -> None:
        """Another event's volume, or what is none, stays as it is."""
        backend = self.managing()
        _placed(self, backend)
        create_first(backend, FakeContext('create'))
        self.place_stranger(backend, OTHER)
        for attempt, volume_id in itertools.product((1, 2), (VOLUME, OTHER)):
            with self.assertRaises(exceptions.EventRejected):
                manage_first(
                    backend,
                    FakeContext('manage', attempt),
                    volume_id=volume_id,
                )
        self.assertEqual({VOLUME: MIB}, acts.sizes(backend))
        self.assertTrue(self.is_stranger_there(backend, OTHER))
        self.assertEqual(
            CONTENT, self.content_of_manageable(backend, REFERENCE)
        )

    def test_what_is_managed_is_not_managed_twice(self) -> None:
        """Neither by its first name nor as the volume that it is."""
        backend = self.managing()
        _placed(self, backend)
        manage_first(backend, FakeContext('manage'))
        references = [
            one.reference for one in backend.list_manageable(None, 100)
        ]
        for reference in (REFERENCE, VOLUME, *references):
            for attempt in (1, 2):
                with self.assertRaises(exceptions.EventRejected):
                    manage_first(
                        backend,
                        FakeContext('another', attempt),
                        volume_id=OTHER,
                        reference=reference,
                    )
        self.assertEqual({VOLUME: MIB}, acts.sizes(backend))
        self.assertEqual(CONTENT, self.read(backend, VOLUME, 0, MIB))

    # Giving up.

    def test_what_is_given_up_can_be_managed_again(self) -> None:
        """By its id, under another one or the same, with the same bytes."""
        backend = self.managing()
        _written(self, backend)
        self.write(backend, VOLUME, MIB - len(MARK), MARK)
        volume_id = VOLUME
        for following in (OTHER, OTHER, VOLUME):
            facts = backend.find(volume_id)
            backend.unmanage(volume_id, FakeContext(f'unmanage-{volume_id}'))
            self.assertEqual({}, acts.sizes(backend))
            found = backend.find_manageable(volume_id)
            self.assertIsNotNone(found)
            again = manage_first(
                backend,
                FakeContext(f'manage-{following}'),
                volume_id=following,
                reference=volume_id,
                format=facts.format if facts else None,
            )
            volume_id = following
            self.assertEqual(again, backend.find(volume_id))
            self.assertEqual(CONTENT, self.read(backend, volume_id, 0, MIB))
        self.assertEqual([], list(backend.sweep(tuple)))

    def test_unmanage_of_nothing_succeeds(self) -> None:
        """One that is gone, or never was, counts as given up."""
        backend = self.managing()
        _written(self, backend)
        for attempt in (1, 2, 3):
            unmanage_first(backend, FakeContext('unmanage', attempt))
        backend.unmanage('never', FakeContext('never'))
        self.assertEqual(UNMANAGE.after, self.look(backend))

    def test_what_is_given_up_is_nobodys_to_remove(self) -> None:
        """Neither a sweep nor a deletion nor a new volume takes its bytes."""
        backend = self.managing()
        _written(self, backend)
        unmanage_first(backend, FakeContext('unmanage'))
        operations: list[acts.Operate] = [
            lambda backend, context: backend.delete(VOLUME, context),
            create_first,
        ]
        for attempt, operate in itertools.product((1, 2), operations):
            with self.assertRaises(exceptions.EventRejected):
                operate(backend, FakeContext('create', attempt))
        again = self.restart(backend)
        self.assertEqual(UNMANAGE.after, self.look(again))
        manage_first(again, FakeContext('manage'), reference=VOLUME)
        self.assertEqual(MARK, self.read(again, VOLUME, 0, len(MARK)))

    # Snapshots.

    def test_a_snapshot_given_up_can_be_managed_again(self) -> None:
        """It is listed with its volume, and is again what it was."""
        backend = self.managing(Operation.MANAGE_SNAPSHOT)
        _kept(self, backend)
        unmanage_snapshot_of_first(backend, FakeContext('unmanage'))
        (found,) = backend.list_manageable_snapshots(None, 100)
        self.assertEqual((VOLUME, True), (found.volume_id, found.is_safe))
        self.assertEqual(
            found, backend.find_manageable_snapshot(found.reference)
        )
        self.write(backend, VOLUME, 0, LATER_MARK)
        facts = manage_snapshot_of_first(backend, FakeContext('manage'))
        self.assertEqual(facts, backend.find_snapshot(AGAIN))
        self.assertEqual(
            facts, manage_snapshot_of_first(backend, FakeContext('manage', 2))
        )
        (found,) = backend.list_manageable_snapshots(None, 100)
        self.assertEqual(
            (VOLUME, AGAIN, False),
            (found.volume_id, found.snapshot_id, found.is_safe),
        )
        if Operation.REVERT in backend.operations:
            backend.revert(VOLUME, AGAIN, FakeContext('revert'))
            self.assertEqual(MARK, self.read(backend, VOLUME, 0, len(MARK)))
        backend.delete_snapshot(VOLUME, AGAIN, FakeContext('delete'))
        self.assertEqual(Seen(contents=HAD), self.look(backend))

    def test_snapshots_follow_their_volume(self) -> None:
        """Under whatever id it is managed, and however often."""
        backend = self.managing(Operation.MANAGE_SNAPSHOT)
        _given_up(self, backend)
        volume_id = VOLUME
        for following in (OTHER, 'third'):
            backend.unmanage(volume_id, FakeContext(f'unmanage-{volume_id}'))
            (found,) = backend.list_manageable_snapshots(None, 100)
            self.assertFalse(found.is_safe)
            manage_first(
                backend,
                FakeContext(f'manage-{following}'),
                volume_id=following,
                reference=volume_id,
            )
            volume_id = following
        (found,) = backend.list_manageable_snapshots(None, 100)
        self.assertEqual((volume_id, True), (found.volume_id, found.is_safe))
        manage_snapshot_of_first(
            backend,
            FakeContext('manage'),
            volume_id=volume_id,
            reference=found.reference,
        )
        self.assertIsNotNone(backend.find_snapshot(AGAIN))

    def test_manage_snapshot_refuses_what_cannot_be(self) -> None:
        """What is another volume's or no snapshot, or would be larger."""
        backend = self.managing(Operation.MANAGE_SNAPSHOT)
        _given_up(self, backend)
        _placed(self, backend)
        backend.create(
            OTHER, CreateParameters(size_bytes=MIB), FakeContext('other')
        )
        before = self.look(backend)
        for volume_id, reference, size_bytes in (
            (OTHER, SNAPSHOT, MIB),
            ('unknown', SNAPSHOT, MIB),
            (VOLUME, SNAPSHOT, MIB - 1),
            (VOLUME, SNAPSHOT, 2 * MIB),
            (VOLUME, REFERENCE, MIB),
            (VOLUME, VOLUME, MIB),
            *((VOLUME, reference, MIB) for reference in NOT_THERE),
        ):
            with self.assertRaises(exceptions.EventRejected, msg=reference):
                manage_snapshot_of_first(
                    backend,
                    FakeContext('manage'),
                    volume_id=volume_id,
                    reference=reference,
                    size_bytes=size_bytes,
                )
        self.assertEqual(before, self.look(backend))
        self.assertEqual([], list(backend.sweep(tuple)))

    def test_unmanage_snapshot_minds_whose_it_is(self) -> None:
        """Another volume's is refused; one that is gone is fine."""
        backend = self.managing(Operation.MANAGE_SNAPSHOT)
        _kept(self, backend)
        before = self.look(backend)
        with self.assertRaises(exceptions.EventRejected):
            backend.unmanage_snapshot(OTHER, SNAPSHOT, FakeContext('other'))
        self.assertEqual(before, self.look(backend))
        backend.unmanage_snapshot(VOLUME, 'never', FakeContext('never'))
        delete_snapshot_of_first(backend, FakeContext('delete'))
        unmanage_snapshot_of_first(backend, FakeContext('unmanage'))
        self.assertEqual(Seen(contents=HAD), self.look(backend))


def _safe(found: Sequence[Manageable]) -> tuple[int, ...]:
    return tuple(one.size_bytes for one in found if one.is_safe)
