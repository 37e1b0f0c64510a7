from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import inspect
import logging
from typing import Any
import unittest
import uuid

from cinder import exception
from cinder import interface
from cinder.interface import volume_driver
from cinder.interface import volume_snapshot_revert
from cinder.scheduler.filters import capacity_filter
from cinder.scheduler import host_manager
from cinder.volume import driver as base_driver
from oslo_context import context as request_context
from oslo_utils import importutils
from oslo_utils import timeutils

from cinder_virtdc.bus import session
from cinder_virtdc import driver
from cinder_virtdc.driver import core
from cinder_virtdc import translate
from tests.unit.driver import builders
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract import topics

GIB = 1024**3
DATA = '00000000-0000-4000-8000-00000000da7a'
NEW_DATA = '00000000-0000-4000-8000-00000000da7b'
CONNECTOR = {'host': 'compute-1', 'ip': '127.0.0.1'}


class DriverTestCase(unittest.TestCase):
    automatic = True

    def setUp(self) -> None:
        self.rig = builders.Rig(automatic=self.automatic, starts=True)
        self.addCleanup(self.rig.clean_up)
        self.agent = self.rig.agent
        self.driver = self.rig.set_up()

    def events(self) -> list[events.Event]:
        return list(self.agent.events.values())


class InterfaceTest(unittest.TestCase):
    """What Cinder's own compliance tests are to check, and cannot."""

    def interface(self) -> Iterator[tuple[str, Any]]:
        for base in volume_driver.VolumeDriverCore.__mro__[:-1]:
            for name, method in vars(base).items():
                if inspect.isfunction(method) and name[0] != '_':
                    yield name, method

    def test_every_method_is_there_and_takes_what_it_is_to_take(self) -> None:
        names = set()
        for name, wanted in self.interface():
            names.add(name)
            with self.subTest(method=name):
                found = inspect.getattr_static(driver.VirtDCDriver, name)
                if isinstance(found, property):
                    continue  # methods in the interface, but nowhere else
                self.assert_accepts(found, wanted)
        self.assertLessEqual({'create_volume', 'initialize_connection'}, names)

    def test_our_own_methods_name_their_arguments_as_cinder_does(self) -> None:
        checked = set()
        bases = dict(vars(base_driver.BaseVD))
        bases.update(vars(base_driver.VolumeDriver))
        bases.update(vars(volume_snapshot_revert.VolumeSnapshotRevertDriver))
        bases.update(self.interface())
        ours = {
            name: found
            for part in driver.VirtDCDriver.__mro__
            if part.__module__.startswith('cinder_virtdc.')
            for name, found in vars(part).items()
        }
        for name, found in ours.items():
            wanted = bases.get(name)
            if name[0] == '_' or not inspect.isfunction(wanted):
                continue
            if not inspect.isfunction(found):
                continue
            checked.add(name)
            with self.subTest(method=name):
                needed = self.needed(wanted)
                self.assertEqual(needed, self.needed(found)[: len(needed)])
                self.assert_accepts(found, wanted)
        self.assertLessEqual(
            {'create_volume', 'extend_volume', 'revert_to_snapshot'}, checked
        )

    def needed(self, method: Any) -> list[str]:
        return [
            one.name
            for one in inspect.signature(method).parameters.values()
            if one.default is one.empty and one.kind is not one.VAR_KEYWORD
        ]

    def assert_accepts(self, found: Any, wanted: Any) -> None:
        """Whoever calls as the interface says must be understood."""
        positions = self.needed(wanted)
        optional = {
            one.name: None
            for one in inspect.signature(wanted).parameters.values()
            if one.default is not one.empty
        }
        if isinstance(found, staticmethod | classmethod):
            found, positions = found.__func__, positions[1:]
        signature = inspect.signature(found)
        signature.bind(*positions)
        signature.bind(*positions, **optional)

    def test_a_wrong_signature_would_be_found(self) -> None:
        def create_volume(self: object) -> None: ...

        def extend_volume(self: object, volume: object) -> None: ...

        for wrong, right in (
            (create_volume, volume_driver.VolumeDriverCore.create_volume),
            (extend_volume, base_driver.VolumeDriver.extend_volume),
        ):
            self.assertRaises(TypeError, self.assert_accepts, wrong, right)

    def test_it_is_registered(self) -> None:
        self.assertIn(driver.VirtDCDriver, interface._volume_register)

    def test_it_says_what_it_is(self) -> None:
        self.assertRegex(driver.VirtDCDriver.VERSION, r'^\d+\.\d+\.\d+$')
        self.assertTrue(driver.VirtDCDriver.CI_WIKI_NAME)
        names = {one.name for one in driver.VirtDCDriver.get_driver_options()}
        self.assertIn('virtdc_transport_url', names)

    def test_cinder_loads_it(self) -> None:
        rig = builders.Rig()
        self.addCleanup(rig.clean_up)
        found = importutils.import_object(
            'cinder_virtdc.driver.VirtDCDriver',
            configuration=rig.driver.configuration,
            host='host@virtdc',
            cluster_name=None,
            is_vol_db_empty=True,
            active_backend_id=None,
        )
        self.assertIsInstance(found, base_driver.VolumeDriver)
        self.assertIs(session.connect, found._connect)


class SetupTest(unittest.TestCase):
    def setUp(self) -> None:
        self.rig = builders.Rig()
        self.addCleanup(self.rig.clean_up)

    def test_nothing_is_opened_before_setup(self) -> None:
        self.assertEqual([], self.rig.settings)
        with self.assertRaises(exception.VolumeBackendAPIException):
            self.rig.driver.create_volume(builders.volume())

    def test_the_settings(self) -> None:
        self.rig.set_up()
        [settings] = self.rig.settings
        self.assertEqual(topics.RPC_TOPIC, settings.topic)
        self.assertEqual(
            topics.NOTIFICATION_TOPIC, settings.notification_topic
        )
        self.assertEqual('virtdc-driver.host@virtdc', settings.pool)
        self.assertEqual('threading', settings.executor)
        self.assertEqual(3600, settings.operation_timeout_s)

    def test_setup_again_closes_what_was_open(self) -> None:
        self.rig.set_up()
        self.rig.set_up()
        self.assertEqual(1, self.rig.closed)

    def test_no_address(self) -> None:
        self.rig.conf.clear_override('virtdc_transport_url', group='virtdc')
        with self.assertRaisesRegex(
            exception.VolumeDriverException, 'virtdc_transport_url is not set'
        ):
            self.rig.driver.do_setup(None)

    def test_the_agent_does_not_answer(self) -> None:
        self.rig.agent.is_down = True
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, '^The fake agent is down'
        ):
            self.rig.set_up()

    def test_the_agent_speaks_another_version(self) -> None:
        self.rig.agent.speaks_our_version = False
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'another version'
        ):
            self.rig.set_up()
        self.assertEqual(['get_capacity'], self.rig.agent.calls)

    def test_the_storage_lacks_what_is_needed(self) -> None:
        self.rig.agent.capacity = dataclasses.replace(
            self.rig.agent.capacity, operations=frozenset({Operation.DELETE})
        )
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'memory.*connect, create'
        ):
            self.rig.set_up()


class OperationsTest(DriverTestCase):
    def test_create(self) -> None:
        volume = builders.volume(size=2)
        self.driver.create_volume(volume)
        self.assertEqual(2 * GIB, self.agent.volumes[volume.id].size_bytes)

    def test_create_carries_the_request(self) -> None:
        request_context.RequestContext(request_id='req-7', overwrite=True)
        self.driver.create_volume(builders.volume())
        [event] = self.events()
        self.assertEqual('req-7', event.requested_by.request_id)
        uuid.UUID(event.event_id)

    def test_create_of_a_type_that_does_not_exist_makes_no_event(self) -> None:
        volume = builders.volume(
            volume_type=builders.volume_type(virtdc__format='vmdk')
        )
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'raw, qcow2'
        ):
            self.driver.create_volume(volume)
        self.assertEqual([], self.events())

    def test_create_without_an_agent(self) -> None:
        self.agent.is_down = True
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, '^The fake agent is down'
        ):
            self.driver.create_volume(builders.volume())

    def test_create_from_an_image_is_remembered_as_not_whole(self) -> None:
        volume = builders.volume()
        self.assertEqual(
            (None, False),
            self.driver.clone_image(None, volume, None, {}, None),
        )
        self.driver.create_volume(volume)
        self.assertIn(
            translate.TO_BE_FILLED, self.agent.volumes[volume.id].metadata
        )
        self.driver.create_volume(builders.volume())
        self.assertEqual({}, self.events()[1].parameters.metadata)

    def test_create_from_a_backup_is_remembered_as_not_whole(self) -> None:
        volume = builders.volume()
        with self.assertRaises(NotImplementedError):
            self.driver.create_volume_from_backup(volume, None)
        self.driver.create_volume(volume)
        self.assertIn(
            translate.TO_BE_FILLED, self.agent.volumes[volume.id].metadata
        )

    def test_delete(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        volume.status = 'deleting'
        self.driver.delete_volume(volume)
        self.assertEqual({}, self.agent.volumes)
        self.driver.delete_volume(volume)

    def test_cleaning_up_after_a_failed_create_makes_no_event(self) -> None:
        self.driver.delete_volume(builders.volume(host=None))
        self.assertEqual([], self.events())

    def test_extend(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        self.driver.extend_volume(volume, 5)
        self.assertEqual(5 * GIB, self.agent.volumes[volume.id].size_bytes)

    def test_what_the_data_centre_has_grown_needs_no_event(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        self.agent.platform(
            volume.id, events.ExtendParameters(size_bytes=5 * GIB)
        )
        # As a notification would have it.
        self.rig.growth.learn(self.agent.volumes.values())
        count = len(self.events())
        for size_gib in (3, 5):
            self.driver.extend_volume(volume, size_gib)
        self.assertEqual(count, len(self.events()))
        self.driver.extend_volume(volume, 6)
        self.assertEqual(count + 1, len(self.events()))
        self.assertEqual(6 * GIB, self.agent.volumes[volume.id].size_bytes)

    def test_extend_outlasts_a_restart_of_the_agent(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        self.agent.answers_to_drop = 2
        self.driver.extend_volume(volume, 5)
        self.assertEqual(5 * GIB, self.agent.volumes[volume.id].size_bytes)

    def test_connect(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        connection = self.driver.initialize_connection(volume, CONNECTOR)
        self.assertEqual('nfs', connection['driver_volume_type'])
        self.assertTrue(connection['mount_point_base'].endswith('/mnt'))
        self.assertEqual(f'volume-{volume.id}', connection['data']['name'])
        self.driver.initialize_connection(volume, {'host': 'compute-2'})
        self.assertEqual(
            ('compute-1', 'compute-2'),
            self.agent.volumes[volume.id].attached_to,
        )
        self.driver.terminate_connection(volume, CONNECTOR)
        self.assertEqual(
            ('compute-2',), self.agent.volumes[volume.id].attached_to
        )

    def test_cinder_does_not_take_an_image_for_a_disk(self) -> None:
        """It would copy the bytes of the image's file, and call them raw."""
        kind = builders.volume_type(virtdc__format='qcow2')
        volume = builders.volume(volume_type=kind)
        self.driver.create_volume(volume)
        for changes, is_refused in (
            ({'status': 'attaching'}, False),
            ({'status': 'uploading'}, False),
            ({'status': 'available'}, False),
            ({'status': 'backing-up'}, True),
            ({'status': 'restoring-backup'}, True),
            ({'status': 'retyping', 'migration_status': 'migrating'}, True),
            ({'status': 'available', 'migration_status': 'migrating'}, True),
            ({'status': 'available', 'use_quota': False}, True),
            # Nova copies by itself, to a volume that is to take the place.
            ({'status': 'attaching', 'use_quota': False}, False),
        ):
            with self.subTest(**changes):
                found = builders.volume(
                    id=volume.id,
                    volume_type=kind,
                    **{'status': '', **changes},
                )
                if is_refused:
                    with self.assertRaisesRegex(
                        exception.VolumeBackendAPIException, 'qcow2 image'
                    ):
                        self.driver.initialize_connection(found, CONNECTOR)
                else:
                    self.driver.initialize_connection(found, CONNECTOR)
                    self.driver.terminate_connection(found, CONNECTOR)
                self.assertEqual((), self.agent.volumes[volume.id].attached_to)

    def test_cinder_copies_raw_volumes(self) -> None:
        volume = builders.volume(status='backing-up')
        self.driver.create_volume(volume)
        connection = self.driver.initialize_connection(volume, CONNECTOR)
        self.assertEqual('raw', connection['data']['format'])

    def test_disconnect_from_all(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        self.driver.initialize_connection(volume, CONNECTOR)
        self.driver.terminate_connection(volume, None)
        self.assertEqual((), self.agent.volumes[volume.id].attached_to)

    def test_a_connector_without_a_host(self) -> None:
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, '"host"'
        ):
            self.driver.initialize_connection(builders.volume(), {})
        self.assertEqual([], self.events())

    def test_exports_need_nothing(self) -> None:
        volume = builders.volume()
        self.driver.ensure_export(None, volume)
        self.driver.create_export(None, volume, CONNECTOR)
        self.driver.remove_export(None, volume)
        self.assertEqual([], self.events())

    def test_a_host_with_another_attachment_stays_connected(self) -> None:
        volume = builders.volume()
        self.driver.create_volume(volume)
        self.driver.initialize_connection(volume, CONNECTOR)
        for hosts, shared in (
            (('compute-1', 'compute-1'), True),
            (('compute-1', None, 'compute-2'), False),
        ):
            with self.subTest(hosts=hosts):
                volume.volume_attachment = builders.attachments(*hosts)
                self.assertIs(
                    shared, self.driver.terminate_connection(volume, CONNECTOR)
                )
                self.assertEqual(
                    ('compute-1',) if shared else (),
                    self.agent.volumes[volume.id].attached_to,
                )

    def test_all_hosts_are_disconnected_however_many_attachments(self) -> None:
        volume = builders.volume(
            volume_attachment=builders.attachments('compute-1', 'compute-1')
        )
        self.driver.create_volume(volume)
        self.driver.initialize_connection(volume, CONNECTOR)
        self.driver.terminate_connection(volume, None, force=True)
        self.assertEqual((), self.agent.volumes[volume.id].attached_to)


class CopiesTest(DriverTestCase):
    """Snapshots, and volumes made from snapshots and volumes."""

    def setUp(self) -> None:
        super().setUp()
        # Known in the data centre by another name, since it was migrated.
        self.source = builders.volume(size=2, _name_id=DATA)
        self.driver.create_volume(self.source)
        self.snapshot = builders.snapshot(self.source)

    def last(self) -> events.Event:
        return self.events()[-1]

    def test_snapshot(self) -> None:
        self.driver.create_snapshot(self.snapshot)
        found = self.agent.snapshots[self.snapshot.id]
        self.assertEqual(DATA, found.volume_id)
        self.assertEqual(2 * GIB, found.size_bytes)
        self.assertEqual('before', found.name)

    def test_a_snapshot_is_its_owners(self) -> None:
        self.snapshot.user_id = 'another'
        self.driver.create_snapshot(self.snapshot)
        self.assertEqual('another', self.last().requested_by.user_id)

    def test_delete_snapshot(self) -> None:
        self.driver.create_snapshot(self.snapshot)
        self.driver.delete_snapshot(self.snapshot)
        self.assertEqual({}, self.agent.snapshots)
        self.assertEqual(DATA, self.last().volume_id)
        self.driver.delete_snapshot(self.snapshot)

    def test_revert(self) -> None:
        self.driver.create_snapshot(self.snapshot)
        self.driver.revert_to_snapshot(None, self.source, self.snapshot)
        self.assertEqual(Operation.REVERT, self.last().operation)
        self.assertEqual(DATA, self.last().volume_id)
        self.assertEqual(
            events.RevertParameters(snapshot_id=self.snapshot.id),
            self.last().parameters,
        )
        self.assertFalse(self.driver.snapshot_revert_use_temp_snapshot())

    def test_volumes_from_volumes_and_snapshots(self) -> None:
        for size in (2, 5):
            for make, source, snapshot_id in (
                (self.driver.create_cloned_volume, self.source, None),
                (
                    self.driver.create_volume_from_snapshot,
                    self.snapshot,
                    self.snapshot.id,
                ),
            ):
                with self.subTest(size=size, snapshot_id=snapshot_id):
                    volume = builders.volume(size=size)
                    make(volume, source)
                    self.assertEqual(
                        events.CloneParameters(
                            source_id=DATA,
                            snapshot_id=snapshot_id,
                            size_bytes=size * GIB,
                            name='data',
                        ),
                        self.last().parameters,
                    )
                    self.assertEqual(volume.id, self.last().volume_id)
                    self.assertEqual(
                        size * GIB, self.agent.volumes[volume.id].size_bytes
                    )

    def test_a_copy_of_what_is_bootable_is_remembered_as_not_whole(
        self,
    ) -> None:
        """Cinder makes it bootable when the data centre has made it."""
        self.source.bootable = True
        for make, source in (
            (self.driver.create_cloned_volume, self.source),
            (self.driver.create_volume_from_snapshot, self.snapshot),
        ):
            volume = builders.volume()
            make(volume, source)
            self.assertIn(
                translate.TO_BE_FILLED, self.agent.volumes[volume.id].metadata
            )

    def test_a_copy_from_the_cache_of_images(self) -> None:
        volume = builders.volume()
        self.driver.clone_image(None, volume, None, {}, None)
        self.driver.create_cloned_volume(volume, self.source)
        self.assertIn(
            translate.TO_BE_FILLED, self.agent.volumes[volume.id].metadata
        )
        self.driver.create_cloned_volume(volume, self.source)
        self.assertEqual({}, self.last().parameters.metadata)

    def test_the_cache_of_images_fails(self) -> None:
        volume = builders.volume()
        self.driver.clone_image(None, volume, None, {}, None)
        self.agent.is_down = True
        with self.assertRaises(exception.VolumeBackendAPIException):
            self.driver.create_cloned_volume(volume, self.source)
        self.agent.is_down = False
        self.driver.create_volume(volume)
        self.assertIn(
            translate.TO_BE_FILLED, self.agent.volumes[volume.id].metadata
        )

    def test_a_migrated_volume_is_known_by_its_new_data(self) -> None:
        new = builders.volume(_name_id=NEW_DATA, provider_location='there')
        for status in ('available', 'in-use'):
            self.assertEqual(
                {'_name_id': NEW_DATA, 'provider_location': 'there'},
                self.driver.update_migrated_volume(
                    None, self.source, new, status
                ),
            )
        self.assertEqual(1, len(self.events()))


IMAGE = {
    'id': 'image-1',
    'container_format': 'bare',
    'disk_format': 'qcow2',
    'os_hash_algo': 'sha512',
    'os_hash_value': '9b',
}
PLACE = 'file:///srv/images/image-1'


class ImageTest(DriverTestCase):
    """A volume of an image that the data centre can read by itself."""

    def setUp(self) -> None:
        super().setUp()
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity, image_urls=('file:///srv/images/',)
        )
        self.driver.get_volume_stats(refresh=True)

    def make(self, volume: Any, location: object = (PLACE, None)) -> object:
        return self.driver.clone_image(None, volume, location, IMAGE, None)

    def test_it_is_made_there(self) -> None:
        volume = builders.volume(size=3)
        self.assertEqual(({}, True), self.make(volume))
        (event,) = self.events()
        self.assertEqual(
            events.ImportParameters(
                url=PLACE,
                image_format='qcow2',
                size_bytes=3 * GIB,
                hash_algorithm='sha512',
                hash_value='9b',
                name='data',
            ),
            event.parameters,
        )

    def test_elsewhere_cinder_copies_it(self) -> None:
        volume = builders.volume()
        self.assertEqual(
            (None, False), self.make(volume, ('http://glance/1', []))
        )
        self.assertEqual([], self.events())

    def test_what_is_not_a_bare_image_is_left_to_cinder(self) -> None:
        for change in (
            {'container_format': 'ovf'},
            {'disk_format': 'vmdk'},
            {'properties': {'img_signature_hash_method': 'SHA-256'}},
        ):
            with self.subTest(change):
                self.assertEqual(
                    (None, False),
                    self.driver.clone_image(
                        *(None, builders.volume(), (PLACE, None)),
                        *({**IMAGE, **change}, None),
                    ),
                )
        self.assertEqual([], self.events())


class OfferedTest(DriverTestCase):
    """Nothing is submitted that the data centre has not declared."""

    def setUp(self) -> None:
        super().setUp()
        self.volume = builders.volume()
        self.driver.create_volume(self.volume)
        snapshot = builders.snapshot(self.volume)
        new = builders.volume()
        self.calls: dict[Operation, Any] = {
            Operation.EXTEND: (self.driver.extend_volume, self.volume, 2),
            Operation.SNAPSHOT: (self.driver.create_snapshot, snapshot),
            Operation.DELETE_SNAPSHOT: (self.driver.delete_snapshot, snapshot),
            Operation.REVERT: (
                self.driver.revert_to_snapshot,
                None,
                self.volume,
                snapshot,
            ),
            Operation.CLONE: (
                self.driver.create_volume_from_snapshot,
                new,
                snapshot,
            ),
            Operation.IMPORT: (
                self.driver.clone_image,
                *(None, builders.volume(), (PLACE, None), IMAGE, None),
            ),
            Operation.MANAGE: (
                self.driver.manage_existing,
                builders.volume(),
                {'source-name': 'disk.img'},
            ),
            Operation.UNMANAGE: (self.driver.unmanage, builders.volume()),
            Operation.MANAGE_SNAPSHOT: (
                self.driver.manage_existing_snapshot,
                builders.snapshot(self.volume),
                {'source-name': 'snapshot-old'},
            ),
            Operation.UNMANAGE_SNAPSHOT: (
                self.driver.unmanage_snapshot,
                snapshot,
            ),
        }
        self.agent.manageable['disk.img'] = events.Manageable(
            reference='disk.img',
            size_bytes=GIB,
            format=events.Format.RAW,
            is_safe=True,
        )
        self.agent.manageable_snapshots['snapshot-old'] = events.Manageable(
            reference='snapshot-old',
            size_bytes=GIB,
            format=events.Format.RAW,
            is_safe=True,
            volume_id=self.volume.name_id,
        )

    def offer(self, *operations: Operation) -> None:
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity,
            operations=core.NEEDED | {*operations},
            image_urls=('file:///srv/images/',),
        )

    def test_every_operation_is_needed_or_checked(self) -> None:
        # The driver is never asked for these; of groups see test_groups.
        others = {
            *(Operation.EDIT, Operation.RESTORE, Operation.PURGE),
            Operation.SNAPSHOT_GROUP,
        }
        # Without it, Cinder copies: see ``test_pools``.
        others |= {Operation.MIGRATE}
        self.assertEqual(
            set(Operation), core.NEEDED | set(self.calls) | others
        )

    def test_what_is_not_offered_is_not_submitted(self) -> None:
        self.offer()
        self.driver.get_volume_stats(refresh=True)
        for operation, (method, *args) in self.calls.items():
            with (
                self.subTest(operation=operation),
                self.assertRaisesRegex(
                    exception.ExtendVolumeError
                    if operation is Operation.EXTEND
                    else exception.VolumeBackendAPIException,
                    f'memory.*does not offer.* {operation}:.*upgrade',
                ),
            ):
                method(*args)
        self.assertEqual(1, self.agent.calls.count('submit'))

    def test_an_agent_upgraded_since_is_asked_once_more(self) -> None:
        self.offer()
        self.driver.get_volume_stats(refresh=True)
        self.offer(*self.calls)
        asked = self.agent.calls.count('get_capacity')
        for method, *args in self.calls.values():
            method(*args)
        self.assertEqual(asked + 1, self.agent.calls.count('get_capacity'))

    def test_what_was_offered_is_not_asked_for_again(self) -> None:
        self.offer(*self.calls)
        self.driver.get_volume_stats(refresh=True)
        asked = self.agent.calls.count('get_capacity')
        for method, *args in self.calls.values():
            method(*args)
        self.assertEqual(asked, self.agent.calls.count('get_capacity'))


class RetypeTest(DriverTestCase):
    def retype(self, had: dict[str, str], wanted: dict[str, str]) -> bool:
        volume = builders.volume(volume_type=builders.volume_type(**had))
        agreed, update = self.driver.retype(
            *(None, volume, builders.volume_type(**wanted), {}),
            {'host': volume.host},
        )
        self.assertIsNone(update)
        return agreed

    def test_what_the_data_centre_does_not_care_about(self) -> None:
        self.assertTrue(self.retype({}, {'other': 'thing'}))

    def test_what_has_to_be_copied(self) -> None:
        self.assertFalse(self.retype({}, {'virtdc__format': 'qcow2'}))
        self.assertEqual([], self.events())

    def test_what_does_not_exist(self) -> None:
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'raw, qcow2'
        ):
            self.retype({}, {'virtdc__format': 'vmdk'})

    def test_a_volume_without_a_type(self) -> None:
        volume = builders.volume()
        found = self.driver.retype(
            *(None, volume, builders.volume_type(), {}), {'host': volume.host}
        )
        self.assertEqual((True, None), found)


class EndTest(DriverTestCase):
    """Events that end by and by, and not always well."""

    automatic = False

    def start(self, *args: Any) -> tuple[builders.Call, events.Event]:
        call = builders.Call(*args)
        [event] = self.agent.await_events(1)
        return call, event

    def test_create_returns_when_the_event_has_succeeded(self) -> None:
        call, event = self.start(self.driver.create_volume, builders.volume())
        self.agent.run(event.event_id)
        self.assertTrue(call.is_running)
        self.agent.finish(event.event_id)
        self.assertIsNone(call.join())

    def test_failures_are_told_in_the_words_of_the_agent(self) -> None:
        volume = builders.volume()
        snapshot = builders.snapshot(volume)
        busy = exception.VolumeIsBusy
        held = exception.SnapshotIsBusy
        failed = exception.VolumeBackendAPIException
        extend = exception.ExtendVolumeError
        for method, args, reason, expected in (
            ('create_volume', (volume,), Reason.BACKEND, failed),
            ('create_volume', (volume,), Reason.REJECTED, failed),
            ('delete_volume', (volume,), Reason.REJECTED, busy),
            ('delete_volume', (volume,), Reason.TIMEOUT, failed),
            ('create_snapshot', (snapshot,), Reason.REJECTED, failed),
            ('create_snapshot', (snapshot,), Reason.BACKEND, failed),
            ('delete_snapshot', (snapshot,), Reason.REJECTED, held),
            ('delete_snapshot', (snapshot,), Reason.LOST, failed),
            (
                'create_volume_from_snapshot',
                (volume, snapshot),
                Reason.REJECTED,
                failed,
            ),
            ('create_cloned_volume', (volume, volume), Reason.BACKEND, failed),
            (
                'revert_to_snapshot',
                (None, volume, snapshot),
                Reason.REJECTED,
                failed,
            ),
            ('extend_volume', (volume, 2), Reason.BACKEND, extend),
            ('extend_volume', (volume, 2), Reason.REJECTED, extend),
            (
                'initialize_connection',
                (volume, CONNECTOR),
                Reason.REJECTED,
                failed,
            ),
            (
                'terminate_connection',
                (volume, CONNECTOR),
                Reason.BACKEND,
                failed,
            ),
        ):
            with self.subTest(method=method, reason=reason):
                self.agent.forget()
                call, event = self.start(getattr(self.driver, method), *args)
                self.agent.fail(event.event_id, reason, 'It is 100 % full.')
                with self.assertRaises(expected) as caught:
                    call.join()
                self.assertEqual('It is 100 % full.', str(caught.exception))

    def test_an_image_that_is_refused(self) -> None:
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity, image_urls=('file:///srv/images/',)
        )
        for reason, expected in (
            (Reason.REJECTED, exception.ImageUnacceptable),
            (Reason.BACKEND, exception.VolumeBackendAPIException),
        ):
            self.driver.get_volume_stats(refresh=True)
            self.agent.forget()
            call, event = self.start(
                *(self.driver.clone_image, None, builders.volume()),
                *((PLACE, None), IMAGE, None),
            )
            self.agent.fail(event.event_id, reason, 'It is not safe.')
            with self.assertRaisesRegex(expected, 'It is not safe.'):
                call.join()

    def test_the_agent_goes_away_in_the_middle(self) -> None:
        call, event = self.start(self.driver.create_volume, builders.volume())
        self.agent.tells = False
        self.agent.is_down = True
        with self.assertLogs('cinder_virtdc.bus.waiter', 'WARNING'):
            self.rig.clock.await_waiters(2)
            self.rig.clock.advance(3)
            self.agent.await_calls('get_events', 1)
            self.rig.clock.await_waiters(2)
        self.agent.is_down = False
        self.agent.finish(event.event_id)
        self.rig.clock.advance(3)
        call.join()

    def test_two_processes_share_the_messages_of_one_queue(self) -> None:
        """What the other one was told, a question finds out."""
        volumes = [builders.volume() for _ in range(10)]
        calls = [
            builders.Call(self.driver.create_volume, volume)
            for volume in volumes
        ]
        for number, event in enumerate(self.agent.await_events(10)):
            self.agent.tells = number % 2 == 0
            self.agent.finish(event.event_id)
        self.rig.clock.await_waiters(6)
        self.rig.clock.advance(3)
        for call in calls:
            call.join()
        self.assertEqual(1, self.agent.calls.count('get_events'))

    def test_waiting_for_too_long(self) -> None:
        call, event = self.start(self.driver.create_volume, builders.volume())
        self.agent.run(event.event_id, 48)
        self.rig.clock.await_waiters(2)
        self.rig.clock.advance(3600)
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'running .48 %'
        ):
            call.join()
        self.assertIn('cancel', self.agent.calls)
        latest = self.agent.latest(event.event_id)
        assert latest is not None
        self.assertEqual(State.RUNNING, latest.state)


class StatsTest(DriverTestCase):
    def stats(self) -> dict[str, Any]:
        return self.driver.get_volume_stats(refresh=True)

    def passes(self, stats: dict[str, Any], size: int = 1) -> bool:
        """Ask the scheduler's own filter, as the scheduler would."""
        backend = host_manager.BackendState('host@virtdc', None)
        backend.update_from_volume_capability(
            {**stats, 'timestamp': timeutils.utcnow()}
        )
        pool = backend.pools['virtdc']
        return capacity_filter.CapacityFilter().backend_passes(
            pool, {'size': size}
        )

    def test_up(self) -> None:
        stats = self.stats()
        self.assertEqual('virtdc', stats['volume_backend_name'])
        self.assertEqual('VirtDC', stats['vendor_name'])
        self.assertIn('filter_function', stats)
        self.assertTrue(self.passes(stats))
        self.assertFalse(self.passes(stats, size=100_000))

    def test_down_and_up_again(self) -> None:
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.agent.is_down = True
        stats = self.stats()
        self.assertEqual('down', stats['backend_state'])
        self.assertEqual('nfs', stats['storage_protocol'])
        self.assertFalse(self.passes(stats))
        self.agent.is_down = False
        self.assertTrue(self.passes(self.stats()))

    def test_down_is_logged_once(self) -> None:
        self.agent.is_down = True
        with self.assertLogs('cinder_virtdc.driver', 'INFO') as logs:
            self.stats()
            self.stats()
            self.agent.is_down = False
            self.stats()
        self.assertEqual(
            ['WARNING', 'INFO'], [one.levelname for one in logs.records]
        )

    def test_capabilities_tell_the_extra_specs(self) -> None:
        self.driver.init_capabilities()
        found = self.driver.capabilities['properties']
        self.assertEqual(['raw', 'qcow2'], found['virtdc:format']['enum'])
        self.assertEqual(
            ['thin', 'thick'], found['virtdc:provisioning']['enum']
        )
