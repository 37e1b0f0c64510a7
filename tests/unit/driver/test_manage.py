"""Managing and giving up, as Cinder asks for it."""

from __future__ import annotations

import dataclasses
from typing import Any
import uuid

from cinder import exception

from tests.unit.driver import builders
from tests.unit.driver.test_driver import DriverTestCase
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Reason

GIB = 1024**3
NAME = {'source-name': 'disk.img'}
SORTED = (['reference'], ['asc'])


def there(reference: str = 'disk.img', **changes: Any) -> Manageable:
    """Return something in the storage that can be managed."""
    described = {'size_bytes': GIB, 'format': Format.RAW, 'is_safe': True}
    return Manageable(reference=reference, **described | changes)


class ManageCase(DriverTestCase):
    def put(self, *found: Manageable) -> None:
        self.agent.manageable.update({one.reference: one for one in found})

    def put_snapshots(self, *found: Manageable) -> None:
        self.agent.manageable_snapshots.update(
            {one.reference: one for one in found}
        )


class ManageTest(ManageCase):
    def test_a_volume_is_made_of_what_is_there(self) -> None:
        self.put(there())
        volume = builders.volume(size=0)
        self.assertEqual(1, self.driver.manage_existing_get_size(volume, NAME))
        self.assertIsNone(self.driver.manage_existing(volume, NAME))
        (event,) = self.events()
        self.assertIs(Operation.MANAGE, event.operation)
        self.assertEqual(volume.name_id, event.volume_id)
        self.assertEqual('disk.img', event.parameters.reference)
        self.assertEqual(GIB, event.parameters.size_bytes)
        self.assertEqual(volume.display_name, event.parameters.name)

    def test_sizes_are_rounded_up_and_so_is_the_volume(self) -> None:
        for size_bytes, gib in ((1, 1), (GIB + 1, 2), (3 * GIB, 3)):
            with self.subTest(size_bytes=size_bytes):
                self.put(there(size_bytes=size_bytes))
                volume = builders.volume()
                size = self.driver.manage_existing_get_size(volume, NAME)
                self.assertEqual(gib, size)
                self.driver.manage_existing(volume, NAME)
                made = self.agent.volumes[volume.name_id]
                self.assertEqual(gib * GIB, made.size_bytes)

    def test_by_the_id_of_a_volume_that_was_given_up(self) -> None:
        self.put(there('one'))
        self.driver.manage_existing(builders.volume(), {'source-id': 'one'})
        self.assertEqual('one', self.events()[0].parameters.reference)

    def test_references_that_name_nothing_are_refused(self) -> None:
        self.put(there())
        for reference in (
            *({}, None, 1, {'source-name': ''}, {'source-name': 1}),
            *({'source': 'disk.img'}, {**NAME, 'source-id': 'x'}),
            *({'source-name': 'a\0b'}, {'source-name': 'x' * 256}),
            *({'source-name': 'missing'}, {'source-id': 'missing'}),
        ):
            volume = builders.volume()
            snapshot = builders.snapshot(volume)
            for method, subject in (
                (self.driver.manage_existing_get_size, volume),
                (self.driver.manage_existing, volume),
                (self.driver.manage_existing_snapshot_get_size, snapshot),
                (self.driver.manage_existing_snapshot, snapshot),
            ):
                with (
                    self.subTest(reference=reference, method=method),
                    self.assertRaises(
                        exception.ManageExistingInvalidReference
                    ),
                ):
                    method(subject, reference)
        self.assertEqual([], self.events())

    def refused(self, kind: type[Exception], words: str, **type_: str) -> None:
        volume = builders.volume(
            volume_type=builders.volume_type(**type_) if type_ else None
        )
        for method in (
            self.driver.manage_existing_get_size,
            self.driver.manage_existing,
        ):
            with self.assertRaisesRegex(kind, words):
                method(volume, NAME)
        self.assertEqual([], self.events())

    def test_what_is_not_safe_is_refused_with_its_reason(self) -> None:
        self.put(there(is_safe=False, reason='It is a symbolic link.'))
        self.refused(
            exception.ManageExistingInvalidReference, 'is a symbolic link'
        )

    def test_what_is_a_volume_is_managed_already(self) -> None:
        self.put(there(is_safe=False, reason='x', volume_id='v'))
        self.refused(exception.ManageExistingAlreadyManaged, 'disk.img')

    def test_another_format_than_the_type_wants(self) -> None:
        self.put(there())
        self.refused(
            exception.ManageExistingVolumeTypeMismatch,
            'in format raw, and the volume type asks for qcow2',
            **{'virtdc:format': 'qcow2'},
        )

    def test_unmanage(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        self.driver.unmanage(volume)
        self.driver.unmanage(volume)
        self.assertEqual({}, self.agent.volumes)
        self.assertEqual(
            [Operation.UNMANAGE] * 2,
            [event.operation for event in self.events()[1:]],
        )


class RejectedTest(ManageCase):
    automatic = False

    def reject(self, call: builders.Call, count: int) -> BaseException:
        event = self.agent.await_events(count)[-1]
        self.agent.fail(event.event_id, Reason.REJECTED, 'It is in use.')
        with self.assertRaises(exception.CinderException) as caught:
            call.join()
        return caught.exception

    def test_what_is_taken_meanwhile_is_an_invalid_reference(self) -> None:
        self.put(there())
        call = builders.Call(
            self.driver.manage_existing, builders.volume(), NAME
        )
        error = self.reject(call, 1)
        self.assertIsInstance(error, exception.ManageExistingInvalidReference)
        self.assertIn('It is in use.', str(error))

    def test_a_volume_that_cannot_be_given_up_is_busy(self) -> None:
        volume = builders.volume()
        for count, (method, subject, kind) in enumerate(
            (
                (self.driver.unmanage, volume, exception.VolumeIsBusy),
                (
                    self.driver.unmanage_snapshot,
                    builders.snapshot(volume),
                    exception.SnapshotIsBusy,
                ),
            ),
            1,
        ):
            error = self.reject(builders.Call(method, subject), count)
            self.assertIsInstance(error, kind)


class ListTest(ManageCase):
    def test_shows_what_can_be_managed_and_what_cannot(self) -> None:
        volume = builders.volume()
        self.put(
            there('a', size_bytes=GIB + 1, format=Format.QCOW2),
            there(
                'b',
                is_safe=False,
                reason='It is no regular file.',
                format=None,
                size_bytes=0,
            ),
            there(
                'c',
                is_safe=False,
                reason='It is managed already.',
                volume_id=volume.name_id,
            ),
            there(
                'd',
                is_safe=False,
                reason='It is managed already.',
                volume_id='elsewhere',
            ),
        )
        found = self.driver.get_manageable_volumes(
            [volume], None, 10, None, *SORTED
        )
        self.assertEqual(
            [
                (2, True, None, None, {'format': 'qcow2'}),
                (0, False, 'It is no regular file.', None, None),
                (
                    *(1, False, 'It is managed already.', volume.id),
                    {'format': 'raw'},
                ),
            ],
            [
                (
                    *(one['size'], one['safe_to_manage']),
                    *(one['reason_not_safe'], one['cinder_id']),
                    one['extra_info'],
                )
                for one in found[:3]
            ],
        )
        self.assertEqual({'source-name': 'd'}, found[3]['reference'])
        self.assertIsNone(found[3]['cinder_id'])
        self.assertIn('volume elsewhere', found[3]['reason_not_safe'])

    def test_in_pages_sorted(self) -> None:
        self.put(*(there(f'{at:04}') for at in range(1, 2500)))
        found = self.driver.get_manageable_volumes(
            [], {'source-name': '0100'}, 2, 1, ['reference'], ['desc']
        )
        self.assertEqual(
            ['0098', '0097'],
            [one['reference']['source-name'] for one in found],
        )
        self.assertEqual(3, self.agent.calls.count('get_manageable'))

    def test_snapshots_name_their_volume(self) -> None:
        snapshot = builders.snapshot(builders.volume())
        self.put_snapshots(
            there('a', volume_id='v'),
            there(
                'b',
                volume_id='v',
                snapshot_id=snapshot.id,
                is_safe=False,
                reason='It is managed already.',
            ),
            there(
                'c',
                volume_id='v',
                snapshot_id='other',
                is_safe=False,
                reason='It is managed already.',
            ),
        )
        found = self.driver.get_manageable_snapshots(
            [snapshot], None, 10, None, *SORTED
        )
        self.assertEqual(
            [None, snapshot.id, None], [one['cinder_id'] for one in found]
        )
        self.assertEqual(
            [{'source-id': 'v'}] * 3,
            [one['source_reference'] for one in found],
        )
        self.assertIn('snapshot other', found[2]['reason_not_safe'])

    def test_nothing_is_listed_that_is_not_offered(self) -> None:
        self.put(there())
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity, operations=frozenset({Operation.CREATE})
        )
        self.driver.get_volume_stats(refresh=True)
        for method in (
            self.driver.get_manageable_volumes,
            self.driver.get_manageable_snapshots,
        ):
            self.assertEqual([], method([], None, 10, None, *SORTED))
        self.assertNotIn('get_manageable', self.agent.calls)


class SnapshotTest(ManageCase):
    def test_a_snapshot_is_managed_and_given_up(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        snapshot = builders.snapshot(volume)
        self.put_snapshots(there('old', volume_id=volume.name_id))
        reference = {'source-name': 'old'}
        size = self.driver.manage_existing_snapshot_get_size(
            snapshot, reference
        )
        self.assertEqual(1, size)
        self.driver.manage_existing_snapshot(snapshot, reference)
        self.assertEqual([snapshot.id], list(self.agent.snapshots))
        self.driver.unmanage_snapshot(snapshot)
        self.assertEqual({}, self.agent.snapshots)
        self.assertEqual(
            [volume.name_id] * 3, [one.volume_id for one in self.events()]
        )

    def test_one_that_is_managed_is_refused(self) -> None:
        self.put_snapshots(
            there(
                'old',
                volume_id='v',
                snapshot_id='s',
                is_safe=False,
                reason='It is managed already.',
            )
        )
        for method in (
            self.driver.manage_existing_snapshot_get_size,
            self.driver.manage_existing_snapshot,
        ):
            with self.assertRaises(exception.ManageExistingAlreadyManaged):
                method(
                    builders.snapshot(builders.volume()),
                    {'source-name': 'old'},
                )
        self.assertEqual([], self.events())


class OwnTest(ManageCase):
    """What the data centre has made keeps its name there."""

    def setUp(self) -> None:
        super().setUp()
        self.platform_id = str(uuid.uuid4())
        self.reference = {'source-id': self.platform_id}
        self.platform(
            events.CreateParameters(size_bytes=GIB + 1, name='made there')
        )

    def platform(self, parameters: events.Parameters) -> None:
        event = dataclasses.replace(
            builders.event(),
            event_id=str(uuid.uuid4()),
            operation=events.operation_of(parameters),
            volume_id=self.platform_id,
            origin=events.Origin.PLATFORM,
            parameters=parameters,
        )
        self.agent.submit(event)

    def test_a_volume(self) -> None:
        volume = builders.volume()
        self.assertEqual(
            2, self.driver.manage_existing_get_size(volume, self.reference)
        )
        self.assertEqual(
            {'_name_id': self.platform_id},
            self.driver.manage_existing(volume, self.reference),
        )
        made = self.agent.volumes[self.platform_id]
        self.assertEqual(2 * GIB, made.size_bytes)
        self.assertEqual(volume.id, made.metadata[events.CLOUD_ID])
        self.assertEqual([self.platform_id], list(self.agent.volumes))

    def test_a_volume_that_another_has(self) -> None:
        first, second = builders.volume(), builders.volume()
        self.driver.manage_existing(first, self.reference)
        with self.assertRaises(exception.ManageExistingAlreadyManaged):
            self.driver.manage_existing(second, self.reference)
        with self.assertRaises(exception.ManageExistingInvalidReference):
            self.driver.manage_existing(
                second, {**self.reference, 'instead-of': 'another'}
            )
        self.driver.manage_existing(
            second, {**self.reference, 'instead-of': first.id}
        )
        made = self.agent.volumes[self.platform_id]
        self.assertEqual(second.id, made.metadata[events.CLOUD_ID])

    def test_a_volume_whose_id_is_no_uuid(self) -> None:
        self.platform_id = 'my-disk'
        self.platform(events.CreateParameters(size_bytes=GIB))
        with self.assertRaises(exception.ManageExistingInvalidReference):
            self.driver.manage_existing(
                builders.volume(), {'source-id': 'my-disk'}
            )

    def test_a_snapshot(self) -> None:
        volume = builders.volume(_name_id=self.platform_id)
        self.driver.manage_existing(volume, self.reference)
        self.platform(events.SnapshotParameters(snapshot_id='kept'))
        snapshot = builders.snapshot(volume)
        update = self.driver.manage_existing_snapshot(
            snapshot, {'source-id': 'kept'}
        )
        self.assertEqual({'provider_id': 'kept'}, update)
        self.assertEqual(
            snapshot.id,
            self.agent.snapshots['kept'].metadata[events.CLOUD_ID],
        )
        snapshot.provider_id = 'kept'
        self.driver.create_volume_from_snapshot(builders.volume(), snapshot)
        self.assertEqual('kept', self.events()[-1].parameters.snapshot_id)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual({}, self.agent.snapshots)
