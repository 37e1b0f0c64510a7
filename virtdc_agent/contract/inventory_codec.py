"""How what there is is written and read: volumes, snapshots, capacity."""

from __future__ import annotations

from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import ExporterOffer
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import MAX_SIZE_BYTES
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import PoolCapacity
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.pieces import description_from
from virtdc_agent.contract.pieces import description_to
from virtdc_agent.contract.pieces import format_time
from virtdc_agent.contract.pieces import MAX_NAME
from virtdc_agent.contract.pieces import MAX_SEQUENCE
from virtdc_agent.contract.pieces import Primitive
from virtdc_agent.contract.pieces import requester_from
from virtdc_agent.contract.pieces import requester_to
from virtdc_agent.contract.pieces import size
from virtdc_agent.contract.pieces import values_of


def volume_to(volume: Volume) -> Primitive:
    """Write a volume."""
    return {
        'volume_id': volume.volume_id,
        'size_bytes': volume.size_bytes,
        'format': volume.format.value,
        'provisioning': volume.provisioning.value,
        'created_at': format_time(volume.created_at),
        'updated_at': format_time(volume.updated_at),
        **description_to(volume),
        'project_id': volume.project_id,
        'user_id': volume.user_id,
        'attached_to': list(volume.attached_to),
        'origin': volume.origin.value,
        'changed_by': volume.changed_by.value,
        'changed_at_sequence': volume.changed_at_sequence,
        'pool': volume.pool,
        'exporter': volume.exporter,
    }


def volume_from(reader: Reader) -> Volume:
    """Read a volume."""
    return Volume(
        volume_id=reader.identifier('volume_id'),
        size_bytes=size(reader),
        format=reader.choice('format', Format),
        provisioning=reader.choice('provisioning', Provisioning),
        created_at=reader.time('created_at'),
        updated_at=reader.time('updated_at'),
        **description_from(reader),
        project_id=reader.text('project_id', default='', max_length=MAX_NAME),
        user_id=reader.text('user_id', default='', max_length=MAX_NAME),
        attached_to=reader.texts('attached_to'),
        # Records from before 1.2 are of the cloud: it was the only side.
        origin=reader.optional_choice('origin', Origin) or Origin.CLOUD,
        changed_by=(
            reader.optional_choice('changed_by', Origin) or Origin.CLOUD
        ),
        changed_at_sequence=(
            reader.optional_integer(
                'changed_at_sequence', minimum=0, maximum=MAX_SEQUENCE
            )
            or 0
        ),
        pool=reader.text('pool', default='', max_length=64),
        exporter=reader.text('exporter', default='', max_length=64),
    )


def trashed_to(trashed: TrashedVolume) -> Primitive:
    """Write a volume in the trash."""
    return {
        'volume': volume_to(trashed.volume),
        'deleted_at': format_time(trashed.deleted_at),
        'until': format_time(trashed.until),
        'event_id': trashed.event_id,
        'deleted_by': requester_to(trashed.deleted_by),
        'origin': trashed.origin.value,
    }


def trashed_from(reader: Reader) -> TrashedVolume:
    """Read a volume in the trash."""
    return TrashedVolume(
        volume=volume_from(reader.child('volume')),
        deleted_at=reader.time('deleted_at'),
        until=reader.time('until'),
        event_id=reader.identifier('event_id'),
        deleted_by=requester_from(reader.child('deleted_by')),
        origin=reader.choice('origin', Origin),
    )


def snapshot_to(snapshot: Snapshot) -> Primitive:
    """Write a snapshot."""
    return {
        'snapshot_id': snapshot.snapshot_id,
        'volume_id': snapshot.volume_id,
        'size_bytes': snapshot.size_bytes,
        'format': snapshot.format.value,
        'created_at': format_time(snapshot.created_at),
        **description_to(snapshot),
        'project_id': snapshot.project_id,
        'user_id': snapshot.user_id,
        'origin': snapshot.origin.value,
    }


def snapshot_from(reader: Reader) -> Snapshot:
    """Read a snapshot."""
    return Snapshot(
        snapshot_id=reader.identifier('snapshot_id'),
        volume_id=reader.identifier('volume_id'),
        size_bytes=size(reader),
        format=reader.choice('format', Format),
        created_at=reader.time('created_at'),
        **description_from(reader),
        project_id=reader.text('project_id', default='', max_length=MAX_NAME),
        user_id=reader.text('user_id', default='', max_length=MAX_NAME),
        origin=reader.optional_choice('origin', Origin) or Origin.CLOUD,
    )


def _pool_to(pool: PoolCapacity) -> Primitive:
    return {
        'name': pool.name,
        'backend': pool.backend,
        'total_bytes': pool.total_bytes,
        'free_bytes': pool.free_bytes,
        'provisioned_bytes': pool.provisioned_bytes,
        'max_over_subscription_ratio': pool.max_over_subscription_ratio,
        'reserved_percentage': pool.reserved_percentage,
        'operations': values_of(pool.operations),
        'formats': values_of(pool.formats),
        'provisionings': values_of(pool.provisionings),
        'volumes': pool.volumes,
    }


def _pool_from(reader: Reader) -> PoolCapacity:
    return PoolCapacity(
        name=reader.text('name', max_length=64),
        backend=reader.text('backend', max_length=MAX_NAME),
        total_bytes=_count(reader, 'total_bytes'),
        free_bytes=_count(reader, 'free_bytes'),
        provisioned_bytes=_count(reader, 'provisioned_bytes'),
        max_over_subscription_ratio=_ratio(reader),
        reserved_percentage=_percentage(reader),
        operations=reader.choices('operations', Operation),
        formats=reader.choices('formats', Format),
        provisionings=reader.choices('provisionings', Provisioning),
        volumes=_count(reader, 'volumes'),
    )


def _exporter_to(offer: ExporterOffer) -> Primitive:
    return {'name': offer.name, 'storage_protocol': offer.storage_protocol}


def _exporter_from(reader: Reader) -> ExporterOffer:
    return ExporterOffer(
        name=reader.identifier('name'),
        storage_protocol=reader.text('storage_protocol', max_length=MAX_NAME),
    )


def _count(reader: Reader, name: str) -> int:
    return reader.integer(name, minimum=0, maximum=MAX_SIZE_BYTES)


def _ratio(reader: Reader) -> float:
    return reader.number(
        'max_over_subscription_ratio', minimum=1.0, maximum=1e6
    )


def _percentage(reader: Reader) -> int:
    return reader.integer('reserved_percentage', minimum=0, maximum=100)


def capacity_to(capacity: Capacity) -> Primitive:
    """Write a capacity."""
    return {
        'agent': capacity.agent,
        'backend': capacity.backend,
        'exporter': capacity.exporter,
        'storage_protocol': capacity.storage_protocol,
        'total_bytes': capacity.total_bytes,
        'free_bytes': capacity.free_bytes,
        'provisioned_bytes': capacity.provisioned_bytes,
        'max_over_subscription_ratio': capacity.max_over_subscription_ratio,
        'reserved_percentage': capacity.reserved_percentage,
        'operations': values_of(capacity.operations),
        'formats': values_of(capacity.formats),
        'provisionings': values_of(capacity.provisionings),
        'volumes': capacity.volumes,
        'waiting': capacity.waiting,
        'running': capacity.running,
        'image_urls': list(capacity.image_urls),
        'can_grow_in_use': capacity.can_grow_in_use,
        'data_centre': capacity.data_centre,
        'pools': [_pool_to(pool) for pool in capacity.pools],
        'exporters': [_exporter_to(offer) for offer in capacity.exporters],
    }


def capacity_from(reader: Reader) -> Capacity:
    """Read a capacity."""
    return Capacity(
        agent=reader.text('agent', max_length=MAX_NAME),
        backend=reader.text('backend', max_length=MAX_NAME),
        exporter=reader.text('exporter', max_length=MAX_NAME),
        storage_protocol=reader.text('storage_protocol', max_length=MAX_NAME),
        total_bytes=_count(reader, 'total_bytes'),
        free_bytes=_count(reader, 'free_bytes'),
        provisioned_bytes=_count(reader, 'provisioned_bytes'),
        max_over_subscription_ratio=_ratio(reader),
        reserved_percentage=_percentage(reader),
        operations=reader.choices('operations', Operation),
        formats=reader.choices('formats', Format),
        provisionings=reader.choices('provisionings', Provisioning),
        volumes=_count(reader, 'volumes'),
        waiting=_count(reader, 'waiting'),
        running=_count(reader, 'running'),
        image_urls=(
            reader.texts('image_urls') if reader.has('image_urls') else ()
        ),
        # Before 1.2 none said that it could not.
        can_grow_in_use=reader.boolean('can_grow_in_use', default=True),
        data_centre=reader.text('data_centre', default='', max_length=64),
        pools=tuple(map(_pool_from, reader.children('pools'))),
        exporters=tuple(map(_exporter_from, reader.children('exporters'))),
    )
