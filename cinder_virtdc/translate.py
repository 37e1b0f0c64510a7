"""Between Cinder's words and the contract's. Pure functions.

A Cinder volume is known in the data centre by its ``name_id``, which stays
with the data when a volume is migrated and its ``id`` does not.
"""

from __future__ import annotations

from collections.abc import Mapping
import datetime
from typing import Any, Protocol, TypeVar

from cinder_virtdc import exceptions
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Capacity
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
STANDARD_PROVISIONING_SPEC = 'provisioning:type'

PROPERTY_PREFIX = 'virtdc.'
"""Of the properties that the listener keeps on a volume."""

TO_BE_FILLED = 'virtdc.to_be_filled'
"""Metadata of a volume that is not whole when the data centre has made it:
Cinder is to copy an image or a backup into it."""

T = TypeVar('T', Format, Provisioning)


class VolumeType(Protocol):
    """What is used of a Cinder volume type."""

    extra_specs: Mapping[str, str] | None


class Volume(Protocol):
    """What is used of a Cinder volume."""

    id: str
    name_id: str
    size: int
    display_name: str | None
    display_description: str | None
    metadata: Mapping[str, str] | None
    project_id: str | None
    user_id: str | None
    volume_type: VolumeType | None


def create_parameters(
    volume: Volume, *, to_be_filled: bool = False
) -> events.CreateParameters:
    """Return what the data centre must know to make a volume.

    :param to_be_filled: whether Cinder will copy something into it.
    :raises InvalidRequest: the volume's type asks for what does not exist.
    """
    specs = (volume.volume_type and volume.volume_type.extra_specs) or {}
    provisioning = _spec(specs, PROVISIONING_SPEC, Provisioning)
    metadata = {
        _clean(key): fields.clean_text(value or '')
        for key, value in (volume.metadata or {}).items()
        if not key.startswith(PROPERTY_PREFIX)
    }
    if to_be_filled:
        metadata[TO_BE_FILLED] = 'true'
    return events.CreateParameters(
        size_bytes=volume.size * GIB,
        name=_clean(volume.display_name),
        description=fields.clean_text(volume.display_description or ''),
        metadata=metadata,
        format=_spec(specs, FORMAT_SPEC, Format),
        provisioning=provisioning
        or _spec(specs, STANDARD_PROVISIONING_SPEC, Provisioning),
    )


def connect_parameters(
    connector: Mapping[str, object],
) -> events.ConnectParameters:
    """Return which host is to reach a volume, and what it said of itself.

    :raises InvalidRequest: the host has no name.
    """
    return events.ConnectParameters(
        host=host_of(connector), connector=dict(connector)
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


def event(
    volume: Volume,
    parameters: events.Parameters,
    *,
    event_id: str,
    now: datetime.datetime,
    request_id: str = '',
) -> Event:
    """Return the event that changes a volume as the parameters say."""
    return Event(
        event_id=event_id,
        operation=_OPERATION_OF[type(parameters)],
        volume_id=volume.name_id,
        origin=Origin.CLOUD,
        parameters=parameters,
        created_at=now,
        requested_by=Requester(
            project_id=_clean(volume.project_id),
            user_id=_clean(volume.user_id),
            request_id=_clean(request_id),
        ),
    )


def stats(capacity: Capacity) -> dict[str, Any]:
    """Return what Cinder's scheduler is to know of a data centre."""
    thin = Provisioning.THIN in capacity.provisionings
    return {
        'backend_state': 'up',
        'storage_protocol': capacity.storage_protocol,
        'total_capacity_gb': _gib(capacity.total_bytes),
        'free_capacity_gb': _gib(capacity.free_bytes),
        'provisioned_capacity_gb': _gib(capacity.provisioned_bytes),
        'max_over_subscription_ratio': capacity.max_over_subscription_ratio,
        'reserved_percentage': capacity.reserved_percentage,
        'thin_provisioning_support': thin,
        'thick_provisioning_support': (
            Provisioning.THICK in capacity.provisionings
        ),
        'online_extend_support': Operation.EXTEND in capacity.operations,
        'total_volumes': capacity.volumes,
        'multiattach': False,
        'QoS_support': False,
        'sparse_copy_volume': thin,
    }


def stats_when_down(known: Capacity | None) -> dict[str, Any]:
    """Return statistics that make the scheduler choose another backend.

    Cinder only displays ``backend_state``. What keeps its capacity filter
    from choosing a backend is a total capacity of 0.

    :param known: what the agent said when it last answered.
    """
    return {
        'storage_protocol': 'unknown',
        **(stats(known) if known else {}),
        'backend_state': 'down',
        'total_capacity_gb': 0,
        'free_capacity_gb': 0,
    }


_OPERATION_OF = {
    kind: operation for operation, kind in events.PARAMETERS_OF.items()
}


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


def _clean(value: str | None) -> str:
    return fields.clean_text(value or '', 255)


def _gib(size_bytes: int) -> float:
    return round(size_bytes / GIB, 2)
