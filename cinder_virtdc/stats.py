"""What Cinder's scheduler is told of a data centre. Pure functions.

A data centre whose pools have names is told pool by pool; one with a single
pool without a name as one backend, whose pool Cinder then names itself. So
the hosts of volumes stay what they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinder_virtdc import pools
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning

GIB = 1024**3
# The scheduler adds the other spelling of a protocol only where there is one.
_SPELLINGS = {'nfs': ('NFS', 'nfs'), 'iSCSI': ('iSCSI', 'iscsi')}


def stats(capacity: Capacity) -> dict[str, Any]:
    """Return what Cinder's scheduler is to know of a data centre."""
    protocol = _protocol(capacity)
    named = pools.named(capacity)
    if not named:
        return {
            **_storage(capacity, capacity.can_grow_in_use),
            'storage_protocol': protocol,
            'location_info': pools.location_of(capacity, ''),
        }
    return {
        'backend_state': 'up',
        'storage_protocol': protocol,
        'pools': [
            {
                'pool_name': pool.name,
                **_storage(pool, capacity.can_grow_in_use),
                'storage_protocol': protocol,
                'location_info': pools.location_of(capacity, pool.name),
            }
            for pool in named
        ],
    }


def without(
    known: Mapping[str, Any], *, provisioned_bytes: int, taken_bytes: int
) -> dict[str, Any]:
    """Return statistics as if some bytes were not provisioned yet.

    In which pool they are is not known here, so that each is told so: what
    really fits, the agent decides.

    :param provisioned_bytes: that the data centre has promised.
    :param taken_bytes: of those, what is no longer free.
    """
    if 'pools' in known:
        return {
            **known,
            'pools': [
                without(
                    pool,
                    provisioned_bytes=provisioned_bytes,
                    taken_bytes=taken_bytes,
                )
                for pool in known['pools']
            ],
        }
    return {
        **known,
        'provisioned_capacity_gb': max(
            0,
            round(
                known['provisioned_capacity_gb'] - provisioned_bytes / GIB, 2
            ),
        ),
        'free_capacity_gb': min(
            known['total_capacity_gb'],
            round(known['free_capacity_gb'] + taken_bytes / GIB, 2),
        ),
    }


def stats_when_down(known: Capacity | None) -> dict[str, Any]:
    """Return statistics that make the scheduler choose another backend.

    Cinder only displays ``backend_state``. What keeps its capacity filter
    from choosing a backend is a total capacity of 0.

    :param known: what the agent said when it last answered.
    """
    nothing = {
        'backend_state': 'down',
        'total_capacity_gb': 0,
        'free_capacity_gb': 0,
    }
    before = stats(known) if known else {}
    if 'pools' not in before:
        return {'storage_protocol': 'unknown', **before, **nothing}
    return {
        **before,
        'backend_state': 'down',
        'pools': [{**pool, **nothing} for pool in before['pools']],
    }


def _storage(storage: pools.Storage, can_grow_in_use: bool) -> dict[str, Any]:
    thin = Provisioning.THIN in storage.provisionings
    return {
        'backend_state': 'up',
        'total_capacity_gb': _gib(storage.total_bytes),
        'free_capacity_gb': _gib(storage.free_bytes),
        'provisioned_capacity_gb': _gib(storage.provisioned_bytes),
        'max_over_subscription_ratio': storage.max_over_subscription_ratio,
        'reserved_percentage': storage.reserved_percentage,
        'thin_provisioning_support': thin,
        'thick_provisioning_support': (
            Provisioning.THICK in storage.provisionings
        ),
        'online_extend_support': (
            Operation.EXTEND in storage.operations and can_grow_in_use
        ),
        'total_volumes': storage.volumes,
        # A qcow2 image has one writer. Which volumes may have several is for
        # Cinder to say, by their types.
        'multiattach': Format.RAW in storage.formats,
        'consistent_group_snapshot_enabled': (
            Operation.SNAPSHOT_GROUP in storage.operations
        ),
        'QoS_support': False,
        'sparse_copy_volume': thin,
    }


def _protocol(capacity: Capacity) -> str | list[str]:
    """Return how hosts reach volumes: a list if there are several ways."""
    protocols = {offer.storage_protocol for offer in capacity.exporters}
    if len(protocols) < 2:
        return capacity.storage_protocol
    return sorted(
        spelling
        for protocol in protocols
        for spelling in _SPELLINGS.get(protocol, (protocol,))
    )


def _gib(size_bytes: int) -> float:
    return round(size_bytes / GIB, 2)
