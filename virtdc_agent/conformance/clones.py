"""What holds for volumes that are made from others."""

from __future__ import annotations

import dataclasses
import itertools

from virtdc_agent.conformance import acts
from virtdc_agent.conformance.acts import create_first
from virtdc_agent.conformance.acts import MARK
from virtdc_agent.conformance.acts import MIB
from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.conformance.copy_acts import clone_first
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
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import model


class CloneRules(CopyActs):
    """The rules; a part of ``copies.CopyRules``."""

    # Clone.

    def test_clone_makes_what_was_asked(self) -> None:
        """Size and provisioning are exact, in each combination of these."""
        backend = self.having(Operation.CLONE)
        combinations = itertools.product(
            sorted(backend.formats),
            sorted(backend.provisionings),
            (None, *sorted(backend.provisionings)),
            (MIB, 3 * MIB + 512),
        )
        for number, (format_, given, asked, size) in enumerate(combinations):
            source_id = f'source-{number}'
            backend.create(
                source_id,
                CreateParameters(
                    size_bytes=MIB, format=format_, provisioning=given
                ),
                FakeContext(f'create-{number}'),
            )
            self.write(backend, source_id, MIB // 2, MARK)
            facts = backend.clone(
                f'made-{number}',
                CloneParameters(
                    source_id=source_id, size_bytes=size, provisioning=asked
                ),
                FakeContext(f'clone-{number}'),
            )
            expected = model.VolumeFacts(
                volume_id=f'made-{number}',
                size_bytes=size,
                format=format_,
                provisioning=asked or given,
            )
            self.assertEqual(expected, facts)
            self.assertEqual(expected, backend.find(f'made-{number}'))
            self.assertEqual(
                bytes(MIB // 2) + MARK + bytes(size - MIB // 2 - len(MARK)),
                self.read(backend, f'made-{number}', 0, size),
            )

    def test_clone_of_a_snapshot_is_of_that_moment(self) -> None:
        """Whatever was written since; the source's kind is remembered."""
        backend = self.having(Operation.SNAPSHOT, Operation.CLONE)
        volume = create_first(backend, FakeContext('create', 2))
        snapshot_first(backend, FakeContext('snapshot'))
        self.write(backend, VOLUME, 0, LATER_MARK)
        facts = clone_snapshot(backend, FakeContext('clone'))
        self.assertEqual(dataclasses.replace(volume, volume_id=COPY), facts)
        self.assertEqual(
            MARK + bytes(MIB - len(MARK)), self.read(backend, COPY, 0, MIB)
        )

    def test_clone_in_another_format_is_made_or_rejected(self) -> None:
        """Never is something else made than was asked, of any format."""
        backend = self.having(Operation.CLONE)
        combinations = itertools.product(
            sorted(backend.formats), sorted(Format), (MIB, 2 * MIB)
        )
        for given, format_, size in combinations:
            source_id, copy_id = (
                f'{one}-{given}-{format_}-{size}' for one in ('from', 'as')
            )
            backend.create(
                source_id,
                CreateParameters(size_bytes=MIB, format=given),
                FakeContext(f'create-{source_id}'),
            )
            self.write(backend, source_id, MIB // 2, MARK)
            parameters = CloneParameters(
                source_id=source_id, size_bytes=size, format=format_
            )
            try:
                facts = backend.clone(copy_id, parameters, FakeContext('as'))
            except exceptions.EventRejected:
                self.assertIsNone(backend.find(copy_id))
                continue
            self.assertEqual((format_, size), (facts.format, facts.size_bytes))
            self.assertEqual(facts, backend.find(copy_id))
            self.assertEqual(
                bytes(MIB // 2) + MARK + bytes(size - MIB // 2 - len(MARK)),
                self.read(backend, copy_id, 0, size),
            )

    def test_clone_again_is_the_same(self) -> None:
        """A later attempt finds its volume, whatever happened since."""
        backend = self.having(Operation.CLONE)
        first = clone_first(backend, FakeContext('clone'))
        self.write(backend, VOLUME, 0, LATER_MARK)
        again = clone_first(backend, FakeContext('clone', 2))
        self.assertEqual(first, again)
        self.assertEqual(MARK, self.read(backend, COPY, 0, len(MARK)))
        backend.delete(VOLUME, FakeContext('delete'))
        self.assertEqual(first, clone_first(backend, FakeContext('clone', 3)))

    def test_clone_keeps_off_what_has_the_name(self) -> None:
        """Whatever the attempt; a volume of another event or a stranger."""
        backend = self.having(Operation.CLONE)
        self.create(backend, COPY)
        before = self.look(backend)
        for attempt in (1, 2):
            with self.assertRaises(exceptions.EventRejected):
                clone_first(backend, FakeContext('clone', attempt))
            self.assertEqual(before, self.look(backend))
        backend.delete(COPY, FakeContext('delete'))
        self.place_stranger(backend, COPY)
        for attempt in (1, 2):
            with self.assertRaises(exceptions.EventRejected):
                clone_first(backend, FakeContext('strange', attempt))
        self.assertTrue(self.is_stranger_there(backend, COPY))
        self.assertIsNone(backend.find(COPY))

    def test_clone_refuses_what_cannot_be(self) -> None:
        """No such source, too small, or no name: nothing is made."""
        backend = self.having(Operation.CLONE)
        self.place_stranger(backend, 'strange')
        asked = [
            (COPY, CloneParameters(source_id='unknown', size_bytes=MIB)),
            (COPY, CloneParameters(source_id='strange', size_bytes=MIB)),
            (COPY, CloneParameters(source_id='../out', size_bytes=MIB)),
            (COPY, CloneParameters(source_id=VOLUME, size_bytes=MIB // 2)),
            *(
                (name, CloneParameters(source_id=VOLUME, size_bytes=MIB))
                for name in NO_NAMES
            ),
            *(
                (
                    COPY,
                    CloneParameters(
                        source_id=VOLUME, size_bytes=MIB, provisioning=one
                    ),
                )
                for one in sorted(set(Provisioning) - backend.provisionings)
            ),
        ]
        if Operation.SNAPSHOT in backend.operations:
            asked += [
                (
                    COPY,
                    CloneParameters(
                        source_id=VOLUME, size_bytes=MIB, snapshot_id=name
                    ),
                )
                for name in ('unknown', '../out')
            ]
        for volume_id, parameters in asked:
            with self.assertRaises(exceptions.EventRejected, msg=parameters):
                backend.clone(volume_id, parameters, FakeContext('clone'))
            self.assertEqual({VOLUME: MIB}, acts.sizes(backend))
        self.assertEqual([], list(backend.sweep(tuple)))

    # Independence.

    def test_copies_are_written_apart(self) -> None:
        """What is written to one is not read from another."""
        backend = self.having(
            Operation.SNAPSHOT, Operation.CLONE, Operation.REVERT
        )
        snapshot_first(backend, FakeContext('snapshot'))
        clone_snapshot(backend, FakeContext('clone'))
        self.clone(backend, OTHER)
        self.write(backend, COPY, 0, LATER_MARK)
        self.assertEqual(MARK, self.read(backend, VOLUME, 0, len(MARK)))
        self.write(backend, VOLUME, PART, LATER_MARK)
        for copy_id in (COPY, OTHER):
            self.assertEqual(
                bytes(PART), self.read(backend, copy_id, PART, PART)
            )
        self.assertEqual(MARK, self.read(backend, OTHER, 0, len(MARK)))
        revert_first(backend, FakeContext('revert'))
        self.write(backend, VOLUME, 0, LATER_MARK)
        revert_first(backend, FakeContext('again'))
        self.assertEqual(
            MARK + bytes(PART),
            self.read(backend, VOLUME, 0, len(MARK) + PART),
        )

    def test_each_may_go_before_the_others(self) -> None:
        """Volume, snapshot and copies; those that are left read as before."""
        for order in itertools.permutations((VOLUME, SNAPSHOT, COPY)):
            backend = self.having(Operation.SNAPSHOT, Operation.CLONE)
            snapshot_first(backend, FakeContext('snapshot'))
            clone_snapshot(backend, FakeContext('clone'))
            self.clone(backend, OTHER)
            left = {VOLUME, COPY, OTHER}
            for name in order:
                if name == SNAPSHOT:
                    delete_snapshot_of_first(backend, FakeContext('drop'))
                else:
                    backend.delete(name, FakeContext('delete'))
                    left.remove(name)
                backend.sweep(tuple)
                self.assertEqual(left, set(acts.sizes(backend)), order)
                for volume_id in sorted(left):
                    self.assertEqual(
                        MARK,
                        self.read(backend, volume_id, 0, len(MARK)),
                        order,
                    )
                self.assertEqual(
                    SNAPSHOT not in order[: order.index(name) + 1],
                    backend.find_snapshot(SNAPSHOT) is not None,
                    order,
                )

    def test_snapshot_outlives_its_volume_whole(self) -> None:
        """A copy can be made of it when the volume is gone."""
        backend = self.having(Operation.SNAPSHOT, Operation.CLONE)
        snapshot_first(backend, FakeContext('snapshot'))
        backend.delete(VOLUME, FakeContext('delete'))
        backend.sweep(tuple)
        clone_snapshot(backend, FakeContext('clone'))
        self.assertEqual(
            MARK + bytes(MIB - len(MARK)), self.read(backend, COPY, 0, MIB)
        )
