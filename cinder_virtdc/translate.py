"""Between Cinder's words and the contract's. Pure functions.

A Cinder volume is known in the data centre by its ``name_id``, which stays
with the data when a volume is migrated and its ``id`` does not.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import datetime
import re
from typing import Any, Protocol, TypeVar

from cinder_virtdc import exceptions
from cinder_virtdc import pools
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Requester
from virtdc_agent.contract import fields

GIB = 1024**3

FORMAT_SPEC = 'virtdc:format'
PROVISIONING_SPEC = 'virtdc:provisioning'
EXPORTER_SPEC = 'virtdc:exporter'
STANDARD_PROVISIONING_SPEC = 'provisioning:type'
IMAGE_FORMATS = frozenset({'raw', 'qcow2'})
"""Of images that a data centre may read by itself."""
HASH_ALGORITHMS = frozenset({'sha256', 'sha384', 'sha512'})
SIGNATURE_PREFIX = 'img_signature'
MULTIATTACH_SPEC = 'multiattach'
"""Cinder's own; it holds for a type if the value is exactly ``<is> True``."""

PROPERTY_PREFIX = 'virtdc.'
"""Of the properties that the listener keeps on a volume."""

TYPE_KEY = 'virtdc.volume_type'
"""Metadata in the data centre that names the volume's type in the cloud."""
NAME_REFERENCE = 'source-name'
ID_REFERENCE = 'source-id'
"""How Cinder's users name what is to be managed."""
INSTEAD_REFERENCE = 'instead-of'
"""How the listener names what nothing has come of; see ``events.CLOUD_ID``."""

TO_BE_FILLED = 'virtdc.to_be_filled'
"""Metadata of a volume that is not whole when the data centre has made it:
Cinder is to copy an image or a backup into it, or to make it bootable."""

_COPIED_STATUSES = frozenset(
    {'backing-up', 'restoring-backup', 'maintenance', 'retyping'}
)

_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')

T = TypeVar('T', Format, Provisioning)


class VolumeType(Protocol):
    """What is used of a Cinder volume type."""

    name: str | None
    extra_specs: Mapping[str, str] | None


class Owned(Protocol):
    """What has an owner."""

    project_id: str | None
    user_id: str | None


class Described(Owned, Protocol):
    """What its owner has given a name."""

    id: str
    display_name: str | None
    display_description: str | None
    metadata: Mapping[str, str] | None


class Volume(Described, Protocol):
    """What is used of a Cinder volume."""

    name_id: str
    size: int
    volume_type: VolumeType | None
    encryption_key_id: str | None


class Kept(Protocol):
    """What is used of a Cinder snapshot that is there."""

    id: str
    provider_id: str | None


class InUse(Protocol):
    """What Cinder keeps of what is being done with a volume."""

    status: str
    migration_status: str | None
    use_quota: bool


class Attachment(Protocol):
    """What is used of one attachment of a Cinder volume."""

    connector: Mapping[str, object] | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Storing:
    """How a volume type wants its volumes stored; ``None``: does not care."""

    format: Format | None
    provisioning: Provisioning | None


def storing_of(
    volume_type: VolumeType | None, *, is_encrypted: bool = False
) -> Storing:
    """Return what a volume type asks of the data centre.

    :param is_encrypted: hosts write the volume's bytes encrypted, where a
        qcow2 image would have its header.
    :raises InvalidRequest: it asks for what does not exist.
    """
    specs = (volume_type and volume_type.extra_specs) or {}
    format_ = _spec(specs, FORMAT_SPEC, Format)
    if is_encrypted:
        if format_ is Format.QCOW2:
            raise exceptions.InvalidRequest(
                'The volume type asks for encryption and for '
                f'{FORMAT_SPEC} = {format_}: only a raw volume can be '
                'encrypted by those who use it.'
            )
        format_ = Format.RAW
    if specs.get(MULTIATTACH_SPEC) == '<is> True':
        if format_ is Format.QCOW2:
            raise exceptions.InvalidRequest(
                f'The volume type asks for {MULTIATTACH_SPEC} and for '
                f'{FORMAT_SPEC} = {format_}: only a raw volume may be '
                'written to by several hosts.'
            )
        format_ = Format.RAW
    return Storing(
        format=format_,
        provisioning=_spec(specs, PROVISIONING_SPEC, Provisioning)
        or _spec(specs, STANDARD_PROVISIONING_SPEC, Provisioning),
    )


def is_met(
    wanted: VolumeType | None,
    had: VolumeType | None,
    storage: pools.Storage,
) -> bool:
    """Say whether volumes of one type are stored as another wants them.

    :raises InvalidRequest: a type asks for what does not exist.
    """
    one, other = storing_of(wanted), storing_of(had)
    return _is_met(one.format, other.format, storage.formats) and _is_met(
        one.provisioning, other.provisioning, storage.provisionings
    )


def check_offered(operation: Operation, capacity: events.Capacity) -> None:
    """Refuse what a data centre has not declared that it can do.

    :raises OperationUnsupported: says which, and what to do.
    """
    if operation not in capacity.operations:
        raise exceptions.OperationUnsupported(
            f'The storage {capacity.backend} of agent {capacity.agent} does '
            f'not offer the operation {operation}: upgrade the agent, or '
            'configure another backend there.'
        )


def create_parameters(
    volume: Volume, *, pool: str | None = None, to_be_filled: bool = False
) -> events.CreateParameters:
    """Return what the data centre must know to make a volume.

    :param pool: where; ``None``: the agent may choose.
    :param to_be_filled: whether Cinder will copy something into it.
    :raises InvalidRequest: the volume's type asks for what does not exist.
    """
    storing = storing_of(
        volume.volume_type, is_encrypted=volume.encryption_key_id is not None
    )
    return events.CreateParameters(
        size_bytes=volume.size * GIB,
        name=_clean(volume.display_name),
        description=_description(volume),
        metadata=_metadata(
            volume, volume.volume_type, to_be_filled=to_be_filled
        ),
        format=storing.format,
        provisioning=storing.provisioning,
        pool=pool,
    )


def clone_parameters(
    volume: Volume,
    source_id: str,
    *,
    snapshot_id: str | None = None,
    pool: str | None = None,
    to_be_filled: bool = False,
) -> events.CloneParameters:
    """Return what the data centre must know to make a copy.

    :param source_id: the data centre's name of what is copied.
    :param snapshot_id: the snapshot of it to copy, or the volume itself.
    :param pool: where; ``None``: where the source is.
    :param to_be_filled: whether Cinder has more to do with the copy.
    :raises InvalidRequest: the volume's type asks for what does not exist.
    """
    storing = storing_of(
        volume.volume_type, is_encrypted=volume.encryption_key_id is not None
    )
    return events.CloneParameters(
        source_id=source_id,
        snapshot_id=snapshot_id,
        size_bytes=volume.size * GIB,
        name=_clean(volume.display_name),
        description=_description(volume),
        metadata=_metadata(
            volume, volume.volume_type, to_be_filled=to_be_filled
        ),
        format=storing.format,
        provisioning=storing.provisioning,
        pool=pool,
    )


def url_of_image(
    location: object, image: Mapping[str, Any], readable: Collection[str]
) -> str | None:
    """Return where the data centre can read an image by itself, if it can.

    Images that are signed or wrapped are left to Cinder, which knows what to
    make of them.

    :param location: as Glance tells Cinder: an address, and a list of more.
    :param image: Cinder's description of it.
    :param readable: what addresses begin with that the data centre can read.
    """
    properties = image.get('properties') or {}
    if (
        image.get('container_format') != 'bare'
        or image.get('disk_format') not in IMAGE_FORMATS
        or any(str(name).startswith(SIGNATURE_PREFIX) for name in properties)
    ):
        return None
    direct, more = location if isinstance(location, tuple) else (location, [])
    for url in (direct, *(one.get('url') for one in more or ())):
        if isinstance(url, str) and url.startswith(tuple(readable)):
            return url
    return None


def import_parameters(
    volume: Volume,
    url: str,
    image: Mapping[str, Any],
    *,
    pool: str | None = None,
) -> events.ImportParameters:
    """Return what the data centre must know to make a volume of an image.

    :raises InvalidRequest: the volume's type asks for what does not exist.
    """
    storing = storing_of(
        volume.volume_type, is_encrypted=volume.encryption_key_id is not None
    )
    algorithm = image.get('os_hash_algo') or ''
    is_known = algorithm in HASH_ALGORITHMS
    return events.ImportParameters(
        url=url,
        image_format=str(image['disk_format']),
        size_bytes=volume.size * GIB,
        hash_algorithm=algorithm if is_known else '',
        hash_value=(image.get('os_hash_value') or '') if is_known else '',
        name=_clean(volume.display_name),
        description=_description(volume),
        metadata=_metadata(volume, volume.volume_type),
        format=storing.format,
        provisioning=storing.provisioning,
        pool=pool,
    )


def snapshot_parameters(snapshot: Described) -> events.SnapshotParameters:
    """Return what the data centre must know to take a snapshot."""
    return events.SnapshotParameters(
        snapshot_id=snapshot.id,
        name=_clean(snapshot.display_name),
        description=_description(snapshot),
        metadata=_metadata(snapshot),
    )


def snapshot_group_parameters(
    snapshots: Mapping[str, str], *, name: str | None, description: str | None
) -> events.SnapshotGroupParameters:
    """Return what the data centre must know to take a group's snapshots.

    :param snapshots: by the data centre's name of a volume its snapshot's id.
    :param name: of each of them; likewise the description.
    :raises InvalidRequest: they are too many for one event.
    """
    if len(snapshots) > fields.MAX_ENTRIES:
        raise exceptions.InvalidRequest(
            f'A group of {len(snapshots)} volumes is too large: snapshots '
            f'at one instant are taken of at most {fields.MAX_ENTRIES}.'
        )
    return events.SnapshotGroupParameters(
        snapshots=dict(snapshots),
        name=_clean(name),
        description=fields.clean_text(description or ''),
    )


def reference_of(existing: object) -> str:
    """Return what in the storage is meant.

    :param existing: as Cinder hands it on from whoever asked.
    :raises NotManageable: it names nothing, or too much.
    """
    if isinstance(existing, str):
        existing = {NAME_REFERENCE: existing}
    match existing:
        case {'source-name': str(name), **rest} if name and not rest:
            reference = name
        case {'source-id': str(former_id), **rest} if (
            former_id and rest.keys() <= {INSTEAD_REFERENCE}
        ):
            reference = former_id
        case _:
            raise exceptions.NotManageable(
                f'A reference has either "{NAME_REFERENCE}", the name of a '
                f'file in the pool, or "{ID_REFERENCE}", the id of a volume '
                'or snapshot that was given up, or that the data centre has '
                'made, and nothing else.'
            )
    if reference != fields.clean_text(reference, 255):
        raise exceptions.NotManageable(
            'A reference is one name in the pool, of at most 255 characters.'
        )
    return reference


def instead_of(existing: object) -> str:
    """Return the id of Cinder's of which nothing has come, if one is named.

    Only who has seen that nothing has come of it names one: the listener.
    """
    match existing:
        case {'instead-of': str(cloud_id)}:
            return fields.clean_text(cloud_id, 64)
    return ''


def check_manageable(
    found: events.Manageable | None,
    reference: str,
    *,
    instead_of: str = '',
    volume_type: VolumeType | None = None,
    as_snapshot: bool = False,
) -> events.Manageable:
    """Return what was found, if it can be taken over.

    :param instead_of: see the function.
    :param volume_type: how it is to be stored, for a volume.
    :param as_snapshot: as a snapshot, which may know whose it was.
    :raises NotManageable: says why not.
    :raises InvalidRequest: the type asks for what does not exist.
    """
    if found is None:
        raise exceptions.NotManageable(
            f'The pool has nothing of the name {reference}.'
        )
    if is_own(found, as_snapshot=as_snapshot) and not (
        found.is_safe or instead_of
    ):
        raise exceptions.AlreadyManaged(reference)
    if not found.is_safe and not instead_of:
        raise exceptions.NotManageable(found.reason)
    wanted = storing_of(volume_type).format
    if wanted not in (None, found.format):
        raise exceptions.OtherThanAsked(
            f'{reference} is in format {found.format}, and the volume type '
            f'asks for {wanted}.'
        )
    return found


def is_own(found: events.Manageable, *, as_snapshot: bool = False) -> bool:
    """Say whether it is a volume or a snapshot of the data centre already."""
    return found.snapshot_id is not None or (
        found.volume_id is not None and not as_snapshot
    )


def own_id(found: events.Manageable) -> str:
    """Return the id of a volume of the data centre, to be Cinder's name_id.

    :raises NotManageable: Cinder cannot have volumes of such ids.
    """
    volume_id = found.volume_id or ''
    if _UUID.fullmatch(volume_id) is None:
        raise exceptions.NotManageable(
            f'The data centre has made a volume with the id {volume_id}, '
            'which is no UUID: Cinder has no place for it.'
        )
    return volume_id


def own_parameters(
    volume: Volume, found: events.Manageable, *, instead_of: str = ''
) -> events.ManageParameters:
    """Return what the data centre must know to let Cinder have its volume."""
    wanted = manage_parameters(volume, found)
    return dataclasses.replace(
        wanted,
        reference=own_id(found),
        metadata={**wanted.metadata, events.CLOUD_ID: volume.id},
        instead_of=instead_of,
    )


def own_snapshot_parameters(
    snapshot: Described, found: events.Manageable, *, instead_of: str = ''
) -> events.ManageSnapshotParameters:
    """Return what the data centre must know to let Cinder have a snapshot."""
    wanted = manage_snapshot_parameters(snapshot, found)
    kept_id = found.snapshot_id or ''
    return dataclasses.replace(
        wanted,
        snapshot_id=kept_id,
        reference=kept_id,
        metadata={**wanted.metadata, events.CLOUD_ID: snapshot.id},
        instead_of=instead_of,
    )


def kept_id(snapshot: Kept) -> str:
    """Return the id that a snapshot has in the data centre.

    Its own, unless the data centre has made it.
    """
    return snapshot.provider_id or snapshot.id


def manage_parameters(
    volume: Volume, found: events.Manageable, *, pool: str | None = None
) -> events.ManageParameters:
    """Return what the data centre must know to take over a volume.

    It is grown to whole GiB, as Cinder counts nothing else.

    :param pool: where it is; ``None``: in the agent's first.
    :raises InvalidRequest: the volume's type asks for what does not exist.
    """
    storing = storing_of(volume.volume_type)
    return events.ManageParameters(
        reference=found.reference,
        size_bytes=whole_gib(found.size_bytes) * GIB,
        name=_clean(volume.display_name),
        description=_description(volume),
        metadata=_metadata(volume),
        format=storing.format,
        provisioning=storing.provisioning,
        pool=pool,
    )


def manage_snapshot_parameters(
    snapshot: Described, found: events.Manageable
) -> events.ManageSnapshotParameters:
    """Return what the data centre must know to take over a snapshot."""
    return events.ManageSnapshotParameters(
        snapshot_id=snapshot.id,
        reference=found.reference,
        size_bytes=whole_gib(found.size_bytes) * GIB,
        name=_clean(snapshot.display_name),
        description=_description(snapshot),
        metadata=_metadata(snapshot),
    )


def whole_gib(size_bytes: int) -> int:
    """Return a size in GiB, rounded up, as Cinder counts."""
    return max(1, -(-size_bytes // GIB))


def manageable_volume(
    found: events.Manageable, known: Mapping[str, str]
) -> dict[str, Any]:
    """Return an entry of Cinder's list of manageable volumes.

    :param known: Cinder's ids of its volumes, by their names here.
    """
    cinder_id = known.get(found.volume_id or '')
    reason = found.reason
    if found.volume_id is not None and not found.is_safe and not cinder_id:
        reason = (
            f'The data centre has it as volume {found.volume_id}, which is '
            'none of this backend in Cinder.'
        )
    return _manageable(found, cinder_id, reason)


def manageable_snapshot(
    found: events.Manageable,
    known: Mapping[str, str],
) -> dict[str, Any]:
    """Return an entry of Cinder's list of manageable snapshots.

    :param known: the ids of Cinder's snapshots, by their ids here.
    """
    cinder_id = known.get(found.snapshot_id or '')
    reason = found.reason
    if found.snapshot_id is not None and not found.is_safe and not cinder_id:
        reason = (
            f'The data centre has it as snapshot {found.snapshot_id}, which '
            'is none of this backend in Cinder.'
        )
    return {
        **_manageable(found, cinder_id, reason),
        'source_reference': {ID_REFERENCE: found.volume_id or ''},
    }


def connect_parameters(
    connector: Mapping[str, object], *, exporter: str | None = None
) -> events.ConnectParameters:
    """Return which host is to reach a volume, and what it said of itself.

    :param exporter: how; ``None``: the agent may choose.
    :raises InvalidRequest: the host has no name.
    """
    return events.ConnectParameters(
        host=host_of(connector),
        connector=dict(connector),
        exporter=exporter,
    )


def exporter_of(
    volume_type: VolumeType | None, capacity: events.Capacity
) -> str | None:
    """Return how a volume type wants its volumes reached, if it cares.

    :raises InvalidRequest: the data centre has no such exporter.
    """
    specs = (volume_type and volume_type.extra_specs) or {}
    wanted = specs.get(EXPORTER_SPEC)
    if wanted is None:
        return None
    # Agents that do not list them have one, and cannot be asked for it.
    offered = [offer.name for offer in capacity.exporters]
    if wanted in offered:
        return wanted
    if not offered and wanted == capacity.exporter:
        return None
    raise exceptions.InvalidRequest(
        f'The volume type asks for {EXPORTER_SPEC} = {wanted}, and the data '
        f'centre has {", ".join(sorted(offered)) or capacity.exporter}.'
    )


def exporter_choices(capacity: events.Capacity | None) -> dict[str, Any]:
    """Return what a volume type may ask for, as a property's ``enum``."""
    if capacity is None or not capacity.exporters:
        return {}
    return {'enum': [offer.name for offer in capacity.exporters]}


def migrate_parameters(
    pool: str, wanted: VolumeType | None = None, had: VolumeType | None = None
) -> events.MigrateParameters | None:
    """Return what the data centre must know to move a volume.

    :param wanted: the type that it is to have then, if another than ``had``.
    :returns: ``None``: its bytes would have to be written in another format,
        which is not done on the way.
    """
    one, other = storing_of(wanted), storing_of(had)
    if one.format not in (None, other.format):
        return None
    return events.MigrateParameters(
        pool=pool,
        provisioning=(
            one.provisioning
            if one.provisioning is not other.provisioning
            else None
        ),
    )


def host_of(connector: Mapping[str, object]) -> str:
    """Return the name under which an attachment is kept.

    :raises InvalidRequest: the connector has none.
    """
    host = connector.get('host')
    if not isinstance(host, str) or not host:
        raise exceptions.InvalidRequest(
            'The connector has no "host": the data centre keeps attachments '
            'by the name of the host.'
        )
    return fields.clean_text(host, 255)


def is_shared(
    attachments: Iterable[Attachment], connector: Mapping[str, object]
) -> bool:
    """Say whether a host has more attachments than the one that ends.

    The data centre knows hosts. Two attachments of a volume to one host, of
    two servers or of one that is resized in its place, are one there.

    :param attachments: all of a volume, with the one that ends.
    :raises InvalidRequest: the connector that ends has no host.
    """
    host = host_of(connector)
    return [
        fields.clean_text(str(one.connector.get('host')), 255)
        for one in attachments
        if one.connector
    ].count(host) > 1


def format_of(connection: Mapping[str, object]) -> Format:
    """Return how the bytes lie that a host finds behind a connection."""
    data = connection.get('data')
    named = data.get('format') if isinstance(data, Mapping) else None
    return Format(named) if isinstance(named, str) else Format.RAW


def is_copied_byte_by_byte(volume: InUse) -> bool:
    """Say whether Cinder itself is about to copy a volume's bytes.

    For a backup, a migration, or a retype that copies. It takes what it
    finds for the bytes of a disk, and asks for no format. Images are another
    thing: see ``copy_volume_to_image`` of the driver.

    :param volume: as it is when Cinder asks for a connection.
    """
    if volume.status in _COPIED_STATUSES:
        return True
    # The copies that it makes for the occasion are in no quota.
    return volume.status == 'available' and (
        not volume.use_quota or volume.migration_status == 'migrating'
    )


def event(
    volume: Volume,
    parameters: events.Parameters,
    *,
    event_id: str,
    now: datetime.datetime,
    request_id: str = '',
    owner: Owned | None = None,
    name_id: str | None = None,
    trace: str = '',
) -> Event:
    """Return the event that changes a volume as the parameters say.

    :param owner: on whose behalf, if not the volume's owner's.
    :param name_id: the volume's name in the data centre, if it is not yet
        what Cinder believes.
    :param trace: the span that it belongs to, as W3C's ``traceparent``.
    """
    owner = owner or volume
    return Event(
        event_id=event_id,
        operation=events.operation_of(parameters),
        volume_id=name_id or volume.name_id,
        origin=Origin.CLOUD,
        parameters=parameters,
        created_at=now,
        requested_by=Requester(
            project_id=_clean(owner.project_id),
            user_id=_clean(owner.user_id),
            request_id=_clean(request_id),
            trace=trace,
        ),
    )


def _spec(specs: Mapping[str, str], name: str, kind: type[T]) -> T | None:
    wanted = specs.get(name)
    if wanted is None:
        return None
    try:
        return kind(wanted.strip().lower())
    except ValueError:
        valid = ', '.join(member.value for member in kind)
        raise exceptions.InvalidRequest(
            f'The volume type asks for {name} = {wanted}, which does not '
            f'exist. Valid: {valid}.'
        ) from None


def _is_met(wanted: T | None, had: T | None, offered: Collection[T]) -> bool:
    # What a type left open was chosen by the data centre; which of several,
    # is not known here.
    return wanted is None or wanted == had or set(offered) == {wanted}


def _metadata(
    described: Described,
    volume_type: VolumeType | None = None,
    *,
    to_be_filled: bool = False,
) -> dict[str, str]:
    metadata = {
        _clean(key): fields.clean_text(value or '')
        for key, value in (described.metadata or {}).items()
        if not key.startswith(PROPERTY_PREFIX)
    }
    if to_be_filled:
        metadata[TO_BE_FILLED] = 'true'
    name = volume_type and volume_type.name
    if name:
        metadata[TYPE_KEY] = _clean(name)
    return metadata


def _description(described: Described) -> str:
    return fields.clean_text(described.display_description or '')


def _manageable(
    found: events.Manageable, cinder_id: str | None, reason: str
) -> dict[str, Any]:
    return {
        'reference': {NAME_REFERENCE: found.reference},
        'size': whole_gib(found.size_bytes) if found.size_bytes else 0,
        'safe_to_manage': found.is_safe,
        'reason_not_safe': reason or None,
        'cinder_id': cinder_id,
        'extra_info': (
            {'format': found.format.value} if found.format else None
        ),
    }


def _clean(value: str | None) -> str:
    return fields.clean_text(value or '', 255)
