"""What holds for a backend that keeps what was deleted for a while."""

from __future__ import annotations

from collections.abc import Iterator

from virtdc_agent.conformance import acts
from virtdc_agent.conformance.acts import create_first
from virtdc_agent.conformance.acts import MARK
from virtdc_agent.conformance.acts import MIB
from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent import exceptions
from virtdc_agent import interfaces

DELETION = 'deletion'


def discard_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> None:
    """Discard the volume of most rules."""
    backend.discard(VOLUME, context)


def restore_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> object:
    """Restore it from what ``discarded`` has made."""
    return backend.restore(VOLUME, DELETION, context)


def present(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    """Have the volume, with something in it."""
    create_first(backend, FakeContext('create'))
    rules.write(backend, VOLUME, 0, MARK)


def discarded(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    """Have it in the trash."""
    present(rules, backend)
    discard_first(backend, FakeContext(DELETION))


DISCARD = acts.Act(
    name='discard',
    prepare=present,
    operate=discard_first,
    before={VOLUME: MIB},
    after={},
)
RESTORE = acts.Act(
    name='restore',
    prepare=discarded,
    operate=restore_first,
    before={},
    after={VOLUME: MIB},
)


class TrashRules(acts.ActRules):
    """The rules. Not run by itself: what it needs is for subclasses."""

    def acts(self) -> Iterator[acts.Act]:
        """See the base."""
        yield DISCARD
        yield RESTORE

    def look(self, backend: interfaces.Backend) -> object:
        """See the base: sizes, by volume."""
        return acts.sizes(backend)

    def begin(self) -> interfaces.Backend:
        """Return a backend that has the volume."""
        backend = self.start()
        self.assertTrue(backend.has_trash)
        present(self, backend)
        return backend

    def test_what_is_discarded_is_out_of_sight(self) -> None:
        """Not found, nor listed, also after a restart."""
        backend = self.begin()
        discard_first(backend, FakeContext(DELETION))
        for one in (backend, self.restart(backend)):
            self.assertIsNone(one.find(VOLUME))
            self.assertEqual({}, acts.sizes(one))

    def test_what_is_restored_is_as_it_was(self) -> None:
        """With its size and bytes, after a restart and a sweep."""
        backend = self.begin()
        before = backend.find(VOLUME)
        discard_first(backend, FakeContext(DELETION))
        backend = self.restart(backend)
        backend.sweep(tuple)
        self.assertEqual(before, restore_first(backend, FakeContext('back')))
        self.assertEqual(before, backend.find(VOLUME))
        self.assertEqual(MARK, self.read(backend, VOLUME, 0, len(MARK)))

    def test_to_discard_again_changes_nothing(self) -> None:
        """Nor does it when there is none."""
        backend = self.begin()
        discard_first(backend, FakeContext(DELETION))
        discard_first(backend, FakeContext(DELETION, 2))
        discard_first(backend, FakeContext('another'))
        restore_first(backend, FakeContext('back'))
        self.assertEqual(MARK, self.read(backend, VOLUME, 0, len(MARK)))

    def test_to_restore_again_changes_nothing(self) -> None:
        """What has been written since stays."""
        backend = self.begin()
        discard_first(backend, FakeContext(DELETION))
        first = restore_first(backend, FakeContext('back'))
        self.write(backend, VOLUME, 0, b'later')
        again = restore_first(backend, FakeContext('back', 2))
        self.assertEqual(first, again)
        self.assertEqual(b'later', self.read(backend, VOLUME, 0, 5))

    def test_restore_replaces_nothing(self) -> None:
        """A volume that has the id since is left as it is, and so is this."""
        backend = self.begin()
        discard_first(backend, FakeContext(DELETION))
        backend.create(
            VOLUME, CreateParameters(size_bytes=2 * MIB), FakeContext('anew')
        )
        with self.assertRaises(exceptions.EventRejected):
            restore_first(backend, FakeContext('back'))
        self.assertEqual({VOLUME: 2 * MIB}, acts.sizes(backend))
        discard_first(backend, FakeContext('deleted-anew'))
        restore_first(backend, FakeContext('back', 2))
        self.assertEqual({VOLUME: MIB}, acts.sizes(backend))
        self.assertEqual(MARK, self.read(backend, VOLUME, 0, len(MARK)))

    def test_nothing_kept_cannot_be_restored(self) -> None:
        """Of another event, or never discarded."""
        backend = self.begin()
        discard_first(backend, FakeContext(DELETION))
        for volume_id, event_id in ((VOLUME, 'other'), ('other', DELETION)):
            with self.assertRaises(exceptions.EventRejected):
                backend.restore(volume_id, event_id, FakeContext('back'))

    def test_what_is_purged_is_gone(self) -> None:
        """And only that; to purge again is fine."""
        backend = self.begin()
        discard_first(backend, FakeContext(DELETION))
        create_first(backend, FakeContext('anew'))
        discard_first(backend, FakeContext('second'))
        for attempt in (1, 2):
            backend.purge(VOLUME, DELETION, FakeContext('purge', attempt))
        with self.assertRaises(exceptions.EventRejected):
            restore_first(backend, FakeContext('back'))
        backend.restore(VOLUME, 'second', FakeContext('back-2'))
        self.assertEqual({VOLUME: MIB}, acts.sizes(backend))

    def test_a_stranger_is_not_discarded(self) -> None:
        """What no event has made is left alone."""
        backend = self.start()
        self.place_stranger(backend, VOLUME)
        with self.assertRaises(exceptions.EventRejected):
            discard_first(backend, FakeContext(DELETION))
        self.assertTrue(self.is_stranger_there(backend, VOLUME))
