"""What a backend must hold whose volumes can move to other pools.

A part of ``copies``. What a backend opens is read here by another of its
kind, which makes a volume of it.
"""

from __future__ import annotations

import os

from virtdc_agent.conformance.acts import MARK
from virtdc_agent.conformance.acts import MIB
from virtdc_agent.conformance.acts import started
from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.conformance.copy_acts import CopyActs
from virtdc_agent.conformance.copy_acts import LATER_MARK
from virtdc_agent.conformance.copy_acts import SNAPSHOT
from virtdc_agent.conformance.copy_acts import snapshot_first
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ImportParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent import exceptions
from virtdc_agent import interfaces


class MoveRules(CopyActs):
    """The rules. Not run by itself: ``make_backend`` is for subclasses."""

    def moving(self, *operations: Operation) -> interfaces.Backend:
        """Return a backend whose first volume has something in it."""
        backend = self.having(Operation.MIGRATE, *operations)
        self.write(backend, VOLUME, 0, MARK)
        self.write(backend, VOLUME, MIB - len(MARK), MARK)
        return backend

    def test_opened_says_what_it_is(self) -> None:
        """Its size and format are the volume's, also after it has grown."""
        backend = self.moving()
        facts = backend.extend(VOLUME, 2 * MIB, FakeContext('extend'))
        with backend.opened(VOLUME) as image:
            self.assertEqual(facts.size_bytes, image.size_bytes)
            self.assertIs(facts.format, image.format)
            if image.format is Format.RAW:
                self.assertEqual(
                    MARK, os.pread(image.descriptor, len(MARK), 0)
                )

    def test_opened_moves_whole(self) -> None:
        """Another storage can make the same volume of it, or a larger one."""
        backend = self.moving(Operation.IMPORT)
        for size_bytes in (MIB, 3 * MIB):
            other = started(self.make_backend())
            with backend.opened(VOLUME) as image:
                facts = other.import_image(
                    VOLUME,
                    ImportParameters(
                        url='',
                        image_format=image.format.value,
                        size_bytes=size_bytes,
                        format=image.format,
                    ),
                    image,
                    FakeContext('move'),
                )
            self.assertEqual(size_bytes, facts.size_bytes)
            self.assertEqual(facts, other.find(VOLUME))
            self.assertEqual(MARK, self.read(other, VOLUME, 0, len(MARK)))
            self.assertEqual(
                MARK + bytes(size_bytes - MIB),
                self.read(
                    *(other, VOLUME, MIB - len(MARK)),
                    len(MARK) + size_bytes - MIB,
                ),
            )

    def test_opened_snapshot_is_of_that_moment(self) -> None:
        """What was written since is not in it."""
        backend = self.moving(Operation.SNAPSHOT)
        snapshot_first(backend, FakeContext('snapshot'))
        self.write(backend, VOLUME, 0, LATER_MARK)
        with backend.opened(VOLUME, SNAPSHOT) as image:
            self.assertEqual(MIB, image.size_bytes)
            if image.format is Format.RAW:
                self.assertEqual(
                    MARK, os.pread(image.descriptor, len(MARK), 0)
                )

    def test_opened_leaves_the_volume_as_it_is(self) -> None:
        """Reading changes nothing, and keeps nothing from going on."""
        backend = self.moving()
        before = backend.find(VOLUME)
        for _ in range(2):
            with backend.opened(VOLUME):
                pass
        self.assertEqual(before, backend.find(VOLUME))
        self.assertEqual(MARK, self.read(backend, VOLUME, 0, len(MARK)))
        backend.extend(VOLUME, 2 * MIB, FakeContext('extend'))
        backend.delete(VOLUME, FakeContext('delete'))
        self.assertEqual([], list(backend.sweep(tuple)))

    def test_opened_of_nothing_is_rejected(self) -> None:
        """A volume that is not there, or a snapshot of another."""
        backend = self.moving(Operation.SNAPSHOT)
        self.create(backend, 'second')
        snapshot_first(backend, FakeContext('snapshot'))
        for volume_id, snapshot_id in (
            ('nothing', None),
            (VOLUME, 'nothing'),
            ('second', SNAPSHOT),
            ('../first', None),
        ):
            with (
                self.assertRaises(exceptions.EventRejected),
                backend.opened(volume_id, snapshot_id),
            ):
                self.fail('it was opened')
