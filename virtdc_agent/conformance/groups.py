"""What every backend must hold that takes snapshots of several volumes.

With the hooks of ``acts.ActRules``, and two that ``copies`` has as well:
``place_strange_snapshot`` and ``is_strange_snapshot_there``. A backend that
does not declare the operation is skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from virtdc_agent.conformance import acts
from virtdc_agent.conformance.acts import Act
from virtdc_agent.conformance.acts import create_first
from virtdc_agent.conformance.acts import MARK
from virtdc_agent.conformance.acts import MIB
from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.conformance.copy_acts import COPY
from virtdc_agent.conformance.copy_acts import CopyActs
from virtdc_agent.conformance.copy_acts import LATER_MARK
from virtdc_agent.conformance.copy_acts import NO_NAMES
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

SECOND = 'second'
GROUP: Mapping[str, str] = {
    VOLUME: 'of-first',
    SECOND: 'of-second',
}
SIZES = {VOLUME: MIB, SECOND: 2 * MIB}


def snapshot_group(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> Sequence[model.SnapshotFacts]:
    """Take the snapshots of most rules."""
    return backend.snapshot_group(GROUP, context)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that can be seen of what most rules have."""

    volumes: dict[str, int]
    snapshots: dict[str, int]


BEFORE = Seen(volumes=SIZES, snapshots={})
AFTER = Seen(
    volumes=SIZES,
    snapshots={one: SIZES[volume_id] for volume_id, one in GROUP.items()},
)


def _written(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    create_first(backend, FakeContext('create'))
    backend.create(
        SECOND,
        CreateParameters(size_bytes=SIZES[SECOND]),
        FakeContext('create-second'),
    )
    for volume_id in SIZES:
        rules.write(backend, volume_id, 0, _mark(volume_id))


TAKE_GROUP = Act(
    name='snapshot group',
    prepare=_written,
    operate=snapshot_group,
    before=BEFORE,
    after=AFTER,
)


class GroupRules(CopyActs):
    """The rules. Not run by itself: ``make_backend`` is for subclasses."""

    def acts(self) -> Iterator[Act]:
        """Yield what the backend can do with groups."""
        if Operation.SNAPSHOT_GROUP not in self.start().operations:
            self.skipTest(f'not declared: {Operation.SNAPSHOT_GROUP}')
        yield TAKE_GROUP

    def look(self, backend: interfaces.Backend) -> object:
        """Return what there is of volumes and of snapshots."""
        found = {one: backend.find_snapshot(one) for one in GROUP.values()}
        return Seen(
            volumes=acts.sizes(backend),
            snapshots={
                one: facts.size_bytes
                for one, facts in found.items()
                if facts is not None
            },
        )

    def grouped(self) -> interfaces.Backend:
        """Return a backend that has the volumes."""
        (act,) = self.acts()
        return self._backend_for(act)

    # What it makes.

    def test_group_tells_what_it_is(self) -> None:
        """One snapshot a volume, in the order of the volumes' ids."""
        backend = self.grouped()
        facts = snapshot_group(backend, FakeContext('group'))
        self.assertEqual(
            [(one, SIZES[volume_id]) for volume_id, one in GROUP.items()],
            [(one.snapshot_id, one.size_bytes) for one in facts],
        )
        survivor = self.restart(backend)
        for one in facts:
            self.assertEqual(one, survivor.find_snapshot(one.snapshot_id))

    def test_group_is_of_its_moment(self) -> None:
        """Whatever is written afterwards, and also on a later attempt."""
        backend = self.grouped()
        first = snapshot_group(backend, FakeContext('group'))
        for volume_id in SIZES:
            self.write(backend, volume_id, 0, LATER_MARK)
        self.assertEqual(
            first, snapshot_group(backend, FakeContext('group', 2))
        )
        self._check_contents(backend)

    def test_each_is_a_snapshot_like_any_other(self) -> None:
        """It is removed by itself, and the others stay."""
        backend = self.grouped()
        snapshot_group(backend, FakeContext('group'))
        left = dict(GROUP)
        for volume_id, snapshot_id in GROUP.items():
            backend.delete_snapshot(
                volume_id, snapshot_id, FakeContext(f'drop-{volume_id}')
            )
            del left[volume_id]
            for one in GROUP.values():
                self.assertEqual(
                    one in left.values(),
                    backend.find_snapshot(one) is not None,
                )

    # All or none.

    def test_one_name_that_is_taken_leaves_none(self) -> None:
        """By another event, another volume or a stranger, in any place."""
        for volume_id, snapshot_id in GROUP.items():
            for taken_by in (volume_id, 'elsewhere', None):
                backend = self.grouped()
                if taken_by is None:
                    self.place_strange_snapshot(backend, snapshot_id)
                else:
                    if taken_by not in SIZES:
                        self.create(backend, taken_by)
                    backend.snapshot(
                        taken_by, snapshot_id, FakeContext('another')
                    )
                before = self.look(backend)
                for attempt in (1, 2):
                    with self.assertRaises(exceptions.EventRejected):
                        snapshot_group(backend, FakeContext('group', attempt))
                    self.assertEqual(before, self.look(backend), volume_id)
                self.assertEqual([], list(backend.sweep(tuple)))
                if taken_by is None:
                    self.assertTrue(
                        self.is_strange_snapshot_there(backend, snapshot_id)
                    )

    def test_one_volume_that_is_missing_leaves_none(self) -> None:
        """Wherever in the group it is."""
        for volume_id in GROUP:
            backend = self.grouped()
            backend.delete(volume_id, FakeContext('delete'))
            before = self.look(backend)
            with self.assertRaises(exceptions.EventRejected):
                snapshot_group(backend, FakeContext('group'))
            self.assertEqual(before, self.look(backend))
            self.assertEqual([], list(backend.sweep(tuple)))

    def test_group_refuses_ids_that_are_no_names(self) -> None:
        """Of volumes and of snapshots."""
        backend = self.grouped()
        for name in NO_NAMES:
            for snapshots in (
                {VOLUME: 'of-first', name: 'of-other'},
                {VOLUME: 'of-first', SECOND: name},
            ):
                with self.assertRaises(exceptions.EventRejected, msg=name):
                    backend.snapshot_group(snapshots, FakeContext('group'))
                self.assertEqual(BEFORE, self.look(backend), name)

    def test_crash_leaves_all_or_nothing(self) -> None:
        """Or some, for the next attempt; volumes are never touched."""
        for backend, act, step in self._crashes():
            seen = self.look(self.restart(backend))
            where = f'{act.name}, step {step}'
            self.assertIsInstance(seen, Seen)
            if isinstance(seen, Seen):
                self.assertEqual(SIZES, seen.volumes, where)
                self.assertLessEqual(
                    seen.snapshots.items(), AFTER.snapshots.items(), where
                )

    def test_what_a_crash_left_is_completed_as_it_was(self) -> None:
        """The next attempt brings what is missing, of the same moment."""
        for backend, _, _ in self._crashes():
            survivor = self.restart(backend)
            snapshot_group(survivor, FakeContext('crashed', 2))
            self._check_contents(survivor)

    def test_what_a_crash_left_goes_with_an_attempt_that_fails(self) -> None:
        """Then none is left, unless the crash came after the last."""
        for backend, act, step in self._crashes():
            survivor = self.restart(backend)
            where = f'{act.name}, step {step}'
            withdrawn = FakeContext('crashed', 2, fail_at_commit=True)
            try:
                snapshot_group(survivor, withdrawn)
            except exceptions.OperationCancelled:
                self.assertEqual(BEFORE, self.look(survivor), where)
            else:
                self.assertEqual(AFTER, self.look(survivor), where)
            self.assertEqual([], list(survivor.sweep(tuple)), where)

    def _check_contents(self, backend: interfaces.Backend) -> None:
        for volume_id, snapshot_id in GROUP.items():
            copy_id = f'{COPY}-{volume_id}'
            backend.clone(
                copy_id,
                CloneParameters(
                    source_id=volume_id,
                    snapshot_id=snapshot_id,
                    size_bytes=SIZES[volume_id],
                ),
                FakeContext(f'clone-{volume_id}'),
            )
            self.assertEqual(
                _mark(volume_id),
                self.read(backend, copy_id, 0, len(_mark(volume_id))),
            )


def _mark(volume_id: str) -> bytes:
    return MARK + volume_id.encode()
