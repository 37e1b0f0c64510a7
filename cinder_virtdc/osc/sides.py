"""One volume as the cloud and as the data centre have it, and what differs.

:func:`compare` is pure. What counts as a difference, the listener's own
rules say: those of :mod:`cinder_virtdc.sync.edits` and
:mod:`cinder_virtdc.sync.sizes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import re
from typing import Any
import urllib.parse

from osc_lib import exceptions as osc_exceptions

from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.cloud.sdk import SdkCloud
from cinder_virtdc import exceptions
from cinder_virtdc.sync import edits
from cinder_virtdc.sync import properties
from cinder_virtdc.translate import GIB
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.inventory_codec import volume_from

View = Mapping[str, Any]

_UUID = re.compile(
    '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing that both sides say of a volume.

    :param cloud: plain JSON; ``None``: it says nothing of it.
    :param differs: the two ought to agree and do not.
    """

    field: str
    cloud: Any
    platform: Any
    differs: bool = False


def cloud(manager: Any) -> SdkCloud:
    """Return Cinder with the rights of the user.

    :param manager: the ``ClientManager``.
    """
    return SdkCloud(manager.sdk_connection.block_storage)


def cloud_volume(manager: Any, name_or_id: str) -> CloudVolume | None:
    """Return a volume of Cinder by its name or id, if there is one.

    :raises CommandError: Cinder cannot be asked.
    """
    api = cloud(manager)
    try:
        if is_id(name_or_id):
            return api.get_volume(name_or_id)
        query = urllib.parse.urlencode({'name': name_or_id})
        found = api.ask('GET', f'/volumes/detail?{query}')['volumes']
        if len(found) > 1:
            raise osc_exceptions.CommandError(
                f'Several volumes are called {name_or_id}; name one by its '
                'id: ' + ', '.join(one['id'] for one in found)
            )
        return api.get_volume(found[0]['id']) if found else None
    except exceptions.VolumeGone:
        return None
    except exceptions.CloudError as exc:
        raise osc_exceptions.CommandError(str(exc)) from exc


def is_id(text: str) -> bool:
    """Say whether something is called as Cinder calls volumes."""
    return _UUID.fullmatch(text) is not None


def platform_volume(view: View) -> Volume:
    """Read what the API tells of a volume.

    :raises CommandError: it tells something else.
    """
    try:
        return volume_from(Reader(view, ''))
    except MalformedMessage as exc:
        raise osc_exceptions.CommandError(
            f'The data centre tells of a volume what cannot be read: {exc}'
        ) from exc


def compare(
    volume: CloudVolume | None,
    platform: Volume | None,
    latest: View | None = None,
) -> Sequence[Row]:
    """Put both sides beside each other.

    :param latest: the record of the volume's latest event.
    """
    return [
        *_ids(volume, platform),
        *_fields(volume, platform),
        *_event(volume, platform, latest),
    ]


def differences(
    volume: CloudVolume | None, platform: Volume | None
) -> Sequence[str]:
    """Return the names of the fields in which the sides differ."""
    return [row.field for row in compare(volume, platform) if row.differs]


def _ids(volume: CloudVolume | None, platform: Volume | None) -> Sequence[Row]:
    return [
        Row(
            field='id',
            cloud=volume and volume.volume_id,
            platform=platform and platform.volume_id,
            # A volume that was migrated has another name there.
            differs=(volume is None) != (platform is None),
        ),
        Row(
            field='status',
            cloud=volume and volume.status,
            platform='present' if platform else 'absent',
        ),
    ]


def _fields(
    volume: CloudVolume | None, platform: Volume | None
) -> Sequence[Row]:
    both = volume is not None and platform is not None
    said = {} if volume is None else _of_cloud(volume)
    there = {} if platform is None else _of_platform(platform)
    return [
        Row(
            field=field,
            cloud=said.get(field),
            platform=there.get(field),
            differs=(
                both
                and field in _COMPARED
                and said.get(field) != there.get(field)
            ),
        )
        for field in _NAMES
    ]


_NAMES = (
    *('name', 'description', 'size', 'metadata', 'type', 'project'),
    *('attached', 'attached_to', 'format', 'provisioning', 'pool'),
    *('exporter', 'changed_by'),
)
_COMPARED = frozenset(
    {'name', 'description', 'size', 'metadata', 'type', 'attached'}
)


def _of_cloud(volume: CloudVolume) -> dict[str, Any]:
    fields = edits.fields_of_cloud(
        name=volume.name,
        description=volume.description,
        properties=volume.properties,
        volume_type=volume.volume_type,
    )
    return {
        **_said(fields),
        'size': volume.size_gib * GIB,
        'project': volume.project_id,
        'attached': volume.is_attached,
        'attached_to': list(volume.server_ids),
        'pool': volume.host,
    }


def _of_platform(platform: Volume) -> dict[str, Any]:
    return {
        **_said(edits.fields_of_platform(platform)),
        'size': platform.size_bytes,
        'project': platform.project_id,
        'attached': bool(platform.attached_to),
        'attached_to': list(platform.attached_to),
        'format': platform.format.value,
        'provisioning': platform.provisioning.value,
        'pool': platform.pool,
        'exporter': platform.exporter,
        'changed_by': platform.changed_by.value,
    }


def _said(fields: edits.Fields) -> dict[str, Any]:
    return {
        'name': fields.name,
        'description': fields.description,
        'metadata': dict(fields.metadata),
        'type': fields.volume_type,
    }


def _event(
    volume: CloudVolume | None,
    platform: Volume | None,
    latest: View | None,
) -> Sequence[Row]:
    shown = {} if volume is None else volume.properties
    told = latest or {}
    words = (
        ('event', properties.EVENT_ID, told.get('event_id')),
        ('operation', properties.OPERATION, told.get('operation')),
        ('state', properties.STATE, told.get('state')),
        ('message', properties.MESSAGE, told.get('message') or None),
    )
    rows = [
        Row(
            field=field,
            cloud=shown.get(key),
            platform=there,
            differs=(
                field == 'state'
                and volume is not None
                and latest is not None
                and (shown.get(properties.EVENT_ID), shown.get(key))
                != (told['event_id'], there)
            ),
        )
        for field, key, there in words
    ]
    if properties.ALARM in shown:
        rows.append(
            Row(
                field='alarm',
                cloud=shown.get(properties.ALARM_MESSAGE),
                platform=None,
            )
        )
    return rows
