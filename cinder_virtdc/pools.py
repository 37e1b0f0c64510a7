"""Which pool of a data centre Cinder means. Pure functions.

Cinder names a pool in the host of a volume, ``host@backend#pool``.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Protocol

from cinder_virtdc import exceptions
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import PoolCapacity

Storage = Capacity | PoolCapacity
"""What has room: a pool, or all of a data centre that has but one."""

_KIND = 'VirtDCDriver'
_SETTLED = frozenset({'available', 'in-use'})


class Placed(Protocol):
    """What is used of a Cinder volume."""

    host: str | None
    status: str


def named(capacity: Capacity) -> Sequence[PoolCapacity]:
    """Return the pools that Cinder is told of by name."""
    return [pool for pool in capacity.pools if pool.name]


def choose(
    host: str | None, capacity: Capacity, backend_name: str
) -> str | None:
    """Return what the agent is to be asked for; ``None``: it may choose.

    :param host: of the volume, as Cinder has it.
    :param backend_name: what Cinder calls the pool of a backend that reports
        none. So do hosts of volumes from before there were pools.
    :raises InvalidRequest: the data centre has no such pool.
    """
    known = [pool.name for pool in named(capacity)]
    wanted = (host or '').partition('#')[2]
    if not known or wanted in ('', backend_name) and wanted not in known:
        return None
    if wanted not in known:
        raise exceptions.InvalidRequest(
            f'The data centre has no pool {wanted} now; it has '
            f'{", ".join(sorted(known))}. See to [agent] pools of its agent.'
        )
    return wanted


def storage_of(capacity: Capacity, pool: str | None) -> Storage:
    """Return what is known of a pool; of all that there is, if of none."""
    for one in named(capacity):
        if one.name == pool:
            return one
    return capacity


def location_of(capacity: Capacity, pool: str) -> str:
    """Name a pool among all data centres, as drivers tell each other.

    Empty if the agent does not say which data centre it serves.
    """
    if not capacity.data_centre:
        return ''
    return f'{_KIND}:{capacity.data_centre}:{pool}'


def destination(
    capabilities: Mapping[str, object], capacity: Capacity
) -> str | None:
    """Return the pool of this data centre that a destination is, if it is.

    :param capabilities: of the destination's pool, as the scheduler has them.
    """
    location = capabilities.get('location_info')
    for pool in named(capacity):
        wanted = location_of(capacity, pool.name)
        if wanted and wanted == location:
            return pool.name
    return None


def problem_of(
    volume: Placed, found: str | None, capacity: Capacity
) -> str | None:
    """Say what is wrong with where Cinder believes a volume to be.

    :param volume: as Cinder has it.
    :param found: the pool that the data centre has it in, empty if that has
        no name; ``None``: it does not have it.
    """
    if volume.status not in _SETTLED:
        return None
    if found is None:
        return 'the data centre does not have it.'
    known = [pool.name for pool in named(capacity)]
    if not known:
        return None
    lies_in = found or known[0]
    believed = (volume.host or '').partition('#')[2]
    if believed == lies_in or believed == '':
        return None
    return (
        f'the data centre has it in the pool {lies_in}, and Cinder in '
        f'{believed}: see "cinder-manage volume update_host".'
    )
