"""What every backend must hold; for the test suite of any backend.

A backend's test is a subclass with a few hooks::

    class TestMine(backend.BackendRules):
        def make_backend(self):
            return MyBackend(...)

        def reopen(self, backend):
            return MyBackend(...)  # on the same storage

        def place_stranger(self, backend, volume_id): ...
        def read(self, backend, volume_id, offset, length): ...
        def write(self, backend, volume_id, offset, content): ...
        def crash(self, backend, operation, step): ...

Only ``make_backend`` and ``reopen`` must be given. A rule whose hook is
missing is skipped by name, so that it can be seen what is not proved. With
the same hooks ``copies.CopyRules`` has the rules for snapshots and clones.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
import itertools
import unittest

from virtdc_agent.conformance import acts
from virtdc_agent.conformance.acts import Act
from virtdc_agent.conformance.acts import create_first
from virtdc_agent.conformance.acts import create_thick
from virtdc_agent.conformance.acts import MARK
from virtdc_agent.conformance.acts import MIB
from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model


def delete_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> None:
    """Remove the volume of most rules."""
    backend.delete(VOLUME, context)


def extend_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> model.VolumeFacts:
    """Make the volume of most rules twice as large."""
    return backend.extend(VOLUME, 2 * MIB, context)


def _nothing(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    """Leave the storage empty."""


def _first(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    create_first(backend, FakeContext())


CREATE = Act(
    name='create',
    prepare=_nothing,
    operate=create_first,
    before={},
    after={VOLUME: MIB},
)
CREATE_THICK = Act(
    name='create thick',
    prepare=_nothing,
    operate=create_thick,
    before={},
    after={VOLUME: MIB},
)
DELETE = Act(
    name='delete',
    prepare=_first,
    operate=delete_first,
    before={VOLUME: MIB},
    after={},
)
EXTEND = Act(
    name='extend',
    prepare=_first,
    operate=extend_first,
    before={VOLUME: MIB},
    after={VOLUME: 2 * MIB},
)


class BackendRules(acts.ActRules):
    """The rules. Not run by itself: ``make_backend`` is for subclasses."""

    sizes = (512, MIB, 3 * MIB + 512, 1024 * MIB)
    """Sizes that the backend can make exactly."""

    # What there is.

    def test_declares_what_it_has(self) -> None:
        """It creates and deletes, in some format and provisioning."""
        backend = self.start()
        self.assertLessEqual(
            {Operation.CREATE, Operation.DELETE}, backend.operations
        )
        self.assertTrue(backend.formats)
        self.assertTrue(backend.provisionings)

    def test_space_is_plausible(self) -> None:
        """Free is no more than all; the rest is within its bounds."""
        space = self.start().space()
        self.assertLess(0, space.total_bytes)
        self.assertLessEqual(0, space.free_bytes)
        self.assertLessEqual(space.free_bytes, space.total_bytes)
        self.assertLessEqual(1.0, space.max_over_subscription_ratio)
        self.assertIn(space.reserved_percentage, range(101))

    def test_unknown_volume_is_not_found(self) -> None:
        """``find`` returns ``None``; also for what cannot be an id."""
        backend = self.start_with_first()
        for volume_id in ('unknown', '', '../first', './first', 'first/'):
            self.assertIsNone(backend.find(volume_id), volume_id)

    def test_find_and_scan_agree(self) -> None:
        """What is listed is found, each once, and says the same."""
        backend = self.start()
        for number, size in enumerate(self.sizes):
            self._create(backend, f'volume-{number}', size)
        backend.delete('volume-0', FakeContext('delete'))
        listed = list(backend.scan())
        self.assertCountEqual(
            [f'volume-{number}' for number in range(1, len(self.sizes))],
            [facts.volume_id for facts in listed],
        )
        for facts in listed:
            self.assertEqual(facts, backend.find(facts.volume_id))

    def test_survives_a_restart(self) -> None:
        """Another backend on the same storage has the same volumes."""
        backend = self.start_with_first()
        before = backend.find(VOLUME)
        self.assertIsNotNone(before)
        self.assertEqual(before, self.restart(backend).find(VOLUME))

    def test_locate_leads_to_the_bytes(self) -> None:
        """Where there is a path, the volume's bytes are at it, no others."""
        backend = self.start_with_first()
        for volume_id in ('unknown', '', '../first', './first', 'first/'):
            self.assertIsNone(backend.locate(volume_id), volume_id)
        path = backend.locate(VOLUME)
        if path is not None:
            self.write(backend, VOLUME, 4096, MARK)
            with open(path, 'rb') as file:
                content = file.read()
            self.assertEqual(MIB, len(content))
            self.assertEqual(MARK, content.strip(b'\0'))
            self.assertEqual(MARK, content[4096 : 4096 + len(MARK)])
        backend.delete(VOLUME, FakeContext('delete'))
        self.assertIsNone(backend.locate(VOLUME))

    # Create.

    def test_create_makes_what_was_asked(self) -> None:
        """Size, format and provisioning are exact, each combination."""
        backend = self.start()
        combinations = itertools.product(
            self.sizes[:2],
            sorted(backend.formats),
            sorted(backend.provisionings),
        )
        for number, (size, format_, provisioning) in enumerate(combinations):
            facts = backend.create(
                f'made-{number}',
                CreateParameters(
                    size_bytes=size, format=format_, provisioning=provisioning
                ),
                FakeContext(f'event-{number}'),
            )
            expected = model.VolumeFacts(
                volume_id=f'made-{number}',
                size_bytes=size,
                format=format_,
                provisioning=provisioning,
            )
            self.assertEqual(expected, facts)
            self.assertEqual(expected, backend.find(f'made-{number}'))

    def test_create_chooses_what_was_not_asked(self) -> None:
        """Without a choice it makes one of those it declares."""
        backend = self.start()
        for number, size in enumerate(self.sizes):
            facts = self._create(backend, f'chosen-{number}', size)
            self.assertEqual(size, facts.size_bytes)
            self.assertIn(facts.format, backend.formats)
            self.assertIn(facts.provisioning, backend.provisionings)

    def test_create_refuses_what_is_not_declared(self) -> None:
        """A format or provisioning that is not offered is rejected."""
        backend = self.start()
        asked = [
            CreateParameters(size_bytes=MIB, format=format_)
            for format_ in sorted(set(Format) - backend.formats)
        ] + [
            CreateParameters(size_bytes=MIB, provisioning=provisioning)
            for provisioning in sorted(
                set(Provisioning) - backend.provisionings
            )
        ]
        for parameters in asked:
            with self.assertRaises(exceptions.EventRejected):
                backend.create(VOLUME, parameters, FakeContext())
            self.assertEqual([], list(backend.scan()))

    def test_create_refuses_ids_that_are_no_names(self) -> None:
        """Whatever could lead elsewhere is rejected, and makes nothing."""
        backend = self.start()
        for volume_id in (
            *('', '.', '..', '../out', '/out', 'a/b', 'a\\b', 'a\0b', ' a'),
            *('a\n', '-a', '.a', 'a b', 'ä', 'a' * 65, '$(a)', 'a:b'),
        ):
            with self.assertRaises(exceptions.EventRejected, msg=volume_id):
                self._create(backend, volume_id, MIB)
            self.assertEqual([], list(backend.scan()))

    def test_new_volume_reads_as_zeros(self) -> None:
        """Also under a name whose earlier volume was written to."""
        backend = self.start_with_first()
        self.write(backend, VOLUME, 0, MARK)
        backend.delete(VOLUME, FakeContext('delete'))
        create_first(backend, FakeContext('again'))
        self.assertEqual(bytes(4096), self.read(backend, VOLUME, 0, 4096))

    def test_create_again_is_the_same(self) -> None:
        """A later attempt of the same event finds its volume, as it is."""
        backend = self.start()
        first = create_first(backend, FakeContext())
        for attempt in (2, 3):
            again = create_first(backend, FakeContext(attempt=attempt))
            self.assertEqual(first, again)
        self.assertEqual([first], list(backend.scan()))

    def test_create_keeps_off_another_events_volume(self) -> None:
        """Whatever the attempt, another event's volume is not taken."""
        backend = self.start_with_first()
        before = backend.find(VOLUME)
        for attempt in (1, 2):
            with self.assertRaises(exceptions.EventRejected):
                create_first(backend, FakeContext('another', attempt))
            self.assertEqual(before, backend.find(VOLUME))

    def test_strangers_are_left_alone(self) -> None:
        """What no event made is no volume, not taken and not removed."""
        backend = self.start()
        self.place_stranger(backend, VOLUME)
        self.assertIsNone(backend.find(VOLUME))
        self.assertEqual([], list(backend.scan()))
        for attempt in (1, 2):
            for operate in (create_first, delete_first, extend_first):
                with self.assertRaises(exceptions.EventRejected):
                    operate(backend, FakeContext(attempt=attempt))
        backend.sweep(tuple)
        self.assertIsNone(backend.find(VOLUME))
        self.assertTrue(self.is_stranger_there(backend, VOLUME))

    def test_creates_at_once(self) -> None:
        """Operations on different volumes do not disturb each other."""
        backend = self.start()
        names = [f'together-{number}' for number in range(32)]
        with futures.ThreadPoolExecutor(8) as pool:
            list(
                pool.map(lambda name: self._create(backend, name, MIB), names)
            )
        self.assertCountEqual(
            names, [facts.volume_id for facts in backend.scan()]
        )

    # Delete.

    def test_delete_removes(self) -> None:
        """The volume is gone, and only it."""
        backend = self.start_with_first()
        self._create(backend, 'second', MIB)
        delete_first(backend, FakeContext('delete'))
        self.assertIsNone(backend.find(VOLUME))
        self.assertEqual(
            ['second'], [facts.volume_id for facts in backend.scan()]
        )

    def test_delete_of_nothing_succeeds(self) -> None:
        """One that is gone, or never was, counts as removed."""
        backend = self.start_with_first()
        for attempt in (1, 2, 3):
            delete_first(backend, FakeContext('delete', attempt))
        backend.delete('never', FakeContext('delete'))
        self.assertEqual([], list(backend.scan()))

    # Extend.

    def test_extend_grows_exactly(self) -> None:
        """To the size asked for; also when it is asked again."""
        backend = self._extending()
        for attempt in (1, 2):
            facts = backend.extend(
                VOLUME, 2 * MIB, FakeContext('extend', attempt)
            )
            self.assertEqual(2 * MIB, facts.size_bytes)
            self.assertEqual(facts, backend.find(VOLUME))

    def test_extend_keeps_and_adds_zeros(self) -> None:
        """What was written stays; what is new reads as zeros."""
        backend = self._extending()
        self.write(backend, VOLUME, MIB - len(MARK), MARK)
        extend_first(backend, FakeContext('extend'))
        self.assertEqual(
            MARK + bytes(4096),
            self.read(backend, VOLUME, MIB - len(MARK), len(MARK) + 4096),
        )

    def test_extend_never_shrinks(self) -> None:
        """A smaller size is rejected and changes nothing."""
        backend = self._extending()
        with self.assertRaises(exceptions.EventRejected):
            backend.extend(VOLUME, MIB // 2, FakeContext('shrink'))
        self.assertEqual(MIB, self._size(backend))

    def test_extend_of_nothing_is_rejected(self) -> None:
        """An unknown volume is not made by extending it."""
        backend = self._extending()
        with self.assertRaises(exceptions.EventRejected):
            backend.extend('unknown', MIB, FakeContext('extend'))
        self.assertIsNone(backend.find('unknown'))

    # Fencing.

    def test_the_overtaken_brings_nothing_back(self) -> None:
        """Nor does it take away what was made since."""
        backend = self.start()
        late_create, late_delete = FakeContext('late'), FakeContext('later')
        create_first(backend, FakeContext('late', 2))
        delete_first(backend, FakeContext('delete'))
        with self.assertRaises(exceptions.OperationCancelled):
            create_first(backend, late_create)
        self.assertEqual([], list(backend.scan()))
        create_first(backend, FakeContext('another'))
        with self.assertRaises(exceptions.OperationCancelled):
            delete_first(backend, late_delete)
        self.assertEqual(MIB, self._size(backend))

    def test_sweep_leaves_alone_what_goes_on(self) -> None:
        """Operations of other agents are not interrupted by it."""
        backend = self.start()
        context = FakeContext('create')
        swept: list[str] = []

        def look() -> None:
            swept.extend(backend.sweep(lambda: {context.fence}))

        context.before_commit = look
        create_first(backend, context)
        self.assertEqual([], swept)
        self.assertEqual(MIB, self._size(backend))

    def test_the_swept_cannot_commit(self) -> None:
        """What was taken from an operation it does not make visible."""
        backend = self.start()
        context = FakeContext('create')
        context.before_commit = lambda: list(backend.sweep(tuple))
        with self.assertRaises(exceptions.OperationCancelled):
            create_first(backend, context)
        self.assertEqual([], list(backend.scan()))
        create_first(backend, FakeContext('create', 2))
        self.assertEqual(MIB, self._size(backend))

    def _create(
        self, backend: interfaces.Backend, volume_id: str, size_bytes: int
    ) -> model.VolumeFacts:
        return backend.create(
            volume_id,
            CreateParameters(size_bytes=size_bytes),
            FakeContext('event-of-many'),
        )

    def _size(self, backend: interfaces.Backend) -> int | None:
        facts = backend.find(VOLUME)
        return None if facts is None else facts.size_bytes

    def _extending(self) -> interfaces.Backend:
        backend = self.start_with_first()
        if Operation.EXTEND not in backend.operations:
            raise unittest.SkipTest('not declared: extend')
        return backend

    def acts(self) -> Iterator[Act]:
        """Yield what the backend can do to volumes."""
        backend = self.start()
        yield CREATE
        yield DELETE
        if Provisioning.THICK in backend.provisionings:
            yield CREATE_THICK
        if Operation.EXTEND in backend.operations:
            yield EXTEND

    def look(self, backend: interfaces.Backend) -> object:
        """Return the sizes of all volumes."""
        return acts.sizes(backend)
