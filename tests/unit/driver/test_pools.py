"""Several pools and exporters behind one driver."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

from cinder import exception
from cinder.scheduler.filters import capabilities_filter
from cinder.scheduler.filters import capacity_filter
from cinder.scheduler import host_manager
from oslo_utils import timeutils

from tests.unit.driver import builders
from tests.unit.driver.test_driver import CONNECTOR
from tests.unit.driver.test_driver import DriverTestCase
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning

GIB = 1024**3
FAST, SLOW = 'host@virtdc#fast', 'host@virtdc#slow'


def pool(name: str, gib: int, **changes: Any) -> events.PoolCapacity:
    """Return a pool, half of it unused."""
    values: dict[str, Any] = {
        'total_bytes': gib * GIB,
        'free_bytes': gib * GIB // 2,
        'provisioned_bytes': gib * GIB // 2,
        'max_over_subscription_ratio': 2.0,
        'reserved_percentage': 0,
        'operations': frozenset(Operation),
        'formats': frozenset(Format),
        'provisionings': frozenset(Provisioning),
        'volumes': gib,
    }
    return events.PoolCapacity(
        name=name, backend='file', **{**values, **changes}
    )


class PoolsCase(DriverTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity,
            data_centre='dc1',
            pools=(
                pool('fast', 10),
                pool(
                    'slow', 100, provisionings=frozenset({Provisioning.THIN})
                ),
            ),
            exporters=(
                events.ExporterOffer(name='share', storage_protocol='nfs'),
                events.ExporterOffer(
                    name='iscsi-tgt', storage_protocol='iSCSI'
                ),
            ),
        )
        self.driver.get_volume_stats(refresh=True)

    def parameters(self) -> Any:
        return self.events()[-1].parameters

    def volume(self, host: str = FAST, **more: Any) -> Any:
        return builders.volume(host=host, status='available', **more)


class StatsTest(PoolsCase):
    def pools(self) -> dict[str, Any]:
        """Return the pools as the scheduler has them."""
        backend = host_manager.BackendState('host@virtdc', None)
        backend.update_from_volume_capability(
            {
                **self.driver.get_volume_stats(refresh=True),
                'timestamp': timeutils.utcnow(),
            }
        )
        return backend.pools

    def test_each_pool_is_told_of(self) -> None:
        pools = self.pools()
        self.assertEqual({'fast', 'slow'}, set(pools))
        fast, slow = pools['fast'].capabilities, pools['slow'].capabilities
        self.assertEqual(
            (10, 100), (fast['total_capacity_gb'], slow['total_capacity_gb'])
        )
        self.assertTrue(fast['thick_provisioning_support'])
        self.assertFalse(slow['thick_provisioning_support'])
        self.assertEqual('VirtDCDriver:dc1:fast', fast['location_info'])
        for spelling in ('nfs', 'NFS', 'iSCSI', 'iscsi'):
            self.assertIn(spelling, fast['storage_protocol'])

    def test_cinders_filters_choose_between_them(self) -> None:
        pools = self.pools()
        capacity = capacity_filter.CapacityFilter()
        wanted = {
            'resource_type': {
                'extra_specs': {
                    'pool_name': 'slow',
                    'storage_protocol': '<in> iSCSI',
                }
            }
        }
        for name, size, has_room, is_wanted in (
            ('fast', 4, True, False),
            ('fast', 40, False, False),
            ('slow', 40, True, True),
        ):
            self.assertIs(
                has_room,
                capacity.backend_passes(pools[name], {'size': size}),
            )
            self.assertIs(
                is_wanted,
                capabilities_filter.CapabilitiesFilter().backend_passes(
                    pools[name], wanted
                ),
            )

    def test_nothing_is_scheduled_while_the_agent_is_down(self) -> None:
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.agent.is_down = True
        for found in self.pools().values():
            self.assertEqual('down', found.capabilities['backend_state'])
            self.assertFalse(
                capacity_filter.CapacityFilter().backend_passes(
                    found, {'size': 1}
                )
            )

    def test_a_pool_without_a_name_is_told_as_before(self) -> None:
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity, pools=(pool('', 100),), exporters=()
        )
        stats = self.driver.get_volume_stats(refresh=True)
        self.assertNotIn('pools', stats)
        self.assertEqual('nfs', stats['storage_protocol'])
        self.assertEqual('virtdc', self.driver.get_pool(self.volume()))

    def test_exporters_are_among_the_vendor_properties(self) -> None:
        self.driver.init_capabilities()
        found = self.driver.capabilities['properties']
        self.assertEqual(
            ['share', 'iscsi-tgt'], found['virtdc:exporter']['enum']
        )


class PlacingTest(PoolsCase):
    def test_volumes_go_where_the_scheduler_says(self) -> None:
        volume = self.volume(SLOW)
        self.driver.create_volume(volume)
        self.assertEqual('slow', self.parameters().pool)
        self.driver.create_cloned_volume(self.volume(SLOW), self.volume())
        self.assertEqual('slow', self.parameters().pool)
        self.driver.create_volume_from_snapshot(
            self.volume(), builders.snapshot(volume)
        )
        self.assertEqual('fast', self.parameters().pool)

    def test_hosts_from_before_there_were_pools(self) -> None:
        for host in ('host@virtdc#virtdc', 'host@virtdc'):
            self.driver.create_volume(self.volume(host))
            self.assertIsNone(self.parameters().pool)
        self.assertEqual('fast', self.driver.get_pool(self.volume()))

    def test_a_pool_that_is_not_there(self) -> None:
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException,
            'has no pool warm now; it has fast, slow',
        ):
            self.driver.create_volume(self.volume('host@virtdc#warm'))
        self.assertEqual([], self.events())
        # Before the answer is no, the agent is asked once more.
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity,
            pools=(*self.agent.capacity.pools, pool('warm', 1)),
        )
        self.driver.create_volume(self.volume('host@virtdc#warm'))
        self.assertEqual('warm', self.parameters().pool)


class ExporterTest(PoolsCase):
    def connect(self, **specs: str) -> Any:
        volume = self.volume(volume_type=builders.volume_type(**specs))
        self.agent.volumes[volume.name_id] = events.Volume(
            volume_id=volume.name_id,
            size_bytes=GIB,
            format=Format.RAW,
            provisioning=Provisioning.THIN,
            created_at=builders.NOW,
            updated_at=builders.NOW,
        )
        self.driver.initialize_connection(volume, CONNECTOR)
        return self.parameters().exporter

    def test_the_type_chooses(self) -> None:
        self.assertEqual(
            'iscsi-tgt', self.connect(virtdc__exporter='iscsi-tgt')
        )
        self.assertIsNone(self.connect())
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException,
            'asks for virtdc:exporter = rbd.* has iscsi-tgt, share',
        ):
            self.connect(virtdc__exporter='rbd')

    def test_an_older_agent_has_one(self) -> None:
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity, exporters=()
        )
        self.driver.get_volume_stats(refresh=True)
        self.assertIsNone(self.connect(virtdc__exporter='memory'))
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'data centre has memory'
        ):
            self.connect(virtdc__exporter='share')


class MigrateTest(PoolsCase):
    def migrate(self, location: str, volume: Any = None) -> Any:
        return self.driver.migrate_volume(
            None,
            volume or self.volume(),
            {'host': SLOW, 'capabilities': {'location_info': location}},
        )

    def test_to_another_pool_of_the_data_centre(self) -> None:
        self.assertEqual((True, None), self.migrate('VirtDCDriver:dc1:slow'))
        self.assertEqual(
            events.MigrateParameters(pool='slow'), self.parameters()
        )

    def test_elsewhere_cinder_copies(self) -> None:
        for location in (
            *('', 'VirtDCDriver:dc2:slow', 'VirtDCDriver:dc1:warm'),
            'LVMVolumeDriver:host:vg:thin:0',
        ):
            self.assertEqual((False, None), self.migrate(location))
        self.assertEqual(
            (False, None),
            self.driver.migrate_volume(
                None, self.volume(), {'host': SLOW, 'capabilities': {}}
            ),
        )
        self.assertEqual([], self.events())

    def test_an_agent_that_cannot(self) -> None:
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity,
            operations=frozenset(Operation) - {Operation.MIGRATE},
        )
        self.driver.get_volume_stats(refresh=True)
        self.assertEqual((False, None), self.migrate('VirtDCDriver:dc1:slow'))

    def retype(self, host: str = SLOW, **specs: str) -> Any:
        return self.driver.retype(
            None,
            self.volume(),
            builders.volume_type(**specs),
            {},
            {'host': host},
        )

    def test_a_type_of_another_pool(self) -> None:
        self.assertEqual((True, None), self.retype(pool_name='slow'))
        self.assertEqual(
            events.MigrateParameters(pool='slow'), self.parameters()
        )
        self.assertEqual(
            (True, None), self.retype(virtdc__provisioning='thick')
        )
        self.assertEqual(Provisioning.THICK, self.parameters().provisioning)

    def test_a_type_that_wants_another_format(self) -> None:
        self.assertEqual((False, None), self.retype(virtdc__format='qcow2'))
        self.assertEqual([], self.events())

    def test_a_type_of_the_same_pool(self) -> None:
        self.assertEqual((True, None), self.retype(FAST, note='x'))
        self.assertEqual(
            (False, None), self.retype(FAST, virtdc__provisioning='thick')
        )
        self.assertEqual([], self.events())


class ProviderInfoTest(PoolsCase):
    def update(self, *volumes: Any) -> Any:
        return self.driver.update_provider_info(list(volumes), [])

    def there(self, volume: Any, in_pool: str = '') -> Any:
        self.agent.volumes[volume.name_id] = events.Volume(
            volume_id=volume.name_id,
            size_bytes=GIB,
            format=Format.RAW,
            provisioning=Provisioning.THIN,
            created_at=builders.NOW,
            updated_at=builders.NOW,
            pool=in_pool,
        )
        return volume

    def test_what_changed_is_told(self) -> None:
        new = self.there(self.volume(provider_id=None))
        told = self.there(self.volume(provider_id=None), 'fast')
        told.provider_id = told.name_id
        self.assertEqual(
            ([{'id': new.id, 'provider_id': new.name_id}], None),
            self.update(new, told),
        )

    def test_what_is_not_as_cinder_believes_is_logged(self) -> None:
        gone = self.volume(provider_id=None)
        elsewhere = self.there(self.volume(provider_id=None), 'slow')
        creating = self.volume(provider_id=None)
        creating.status = 'creating'
        with self.assertLogs('cinder_virtdc.driver', 'WARNING') as logs:
            self.update(gone, elsewhere, creating)
        self.assertEqual(2, len(logs.output))
        self.assertRegex(logs.output[0], f'{gone.id}.*does not have it')
        self.assertRegex(logs.output[1], 'in the pool slow, .* in fast')

    def test_an_agent_that_is_down_is_not_waited_for(self) -> None:
        volume = self.volume(provider_id=None)
        self.agent.is_down = True
        with self.assertLogs('cinder_virtdc.driver', 'WARNING'):
            self.assertEqual((None, None), self.update(volume))
        self.assertEqual((None, None), self.update())
