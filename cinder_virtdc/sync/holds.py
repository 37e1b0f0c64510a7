"""Keeping users away from a volume that the data centre is changing.

Pure functions. Cinder has a status for exactly this, ``maintenance``, and it
cannot be used: a volume in it takes no metadata, so that its progress could
not be shown, and it is set and left without a condition. What has conditions,
in one statement of Cinder's database, is ``os-reserve`` (from ``available``
to ``attaching``) and ``os-unreserve`` (back): whoever else has taken the
volume meanwhile is not disturbed. A volume so reserved can be shown, but is
neither extended, deleted, attached nor snapshotted.

A volume in use is left alone: it cannot be deleted anyway, a change of its
status would break its detaching, and an extend of it waits in the agent's
queue behind what is under way.
"""

from __future__ import annotations

from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.sync import properties
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Transition

HOLDING = frozenset({Operation.EXTEND, Operation.DELETE, Operation.REVERT})
"""What the data centre does that users must not come in between of."""


def is_under_way(latest: Transition | None) -> bool:
    """Say whether the data centre is changing a volume by itself."""
    return (
        latest is not None
        and latest.origin is Origin.PLATFORM
        and latest.operation in HOLDING
        and not latest.state.is_final
    )


def is_to_be_held(volume: CloudVolume, latest: Transition | None) -> bool:
    """Say whether to reserve a volume now."""
    return (
        is_under_way(latest)
        and volume.status == 'available'
        and not volume.is_attached
    )


def is_to_be_released(volume: CloudVolume, latest: Transition | None) -> bool:
    """Say whether a volume is held, or marked as held, and need not be."""
    return properties.HELD in volume.properties and not is_under_way(latest)
