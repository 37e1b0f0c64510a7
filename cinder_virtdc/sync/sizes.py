"""Sizes: what the data centre has grown, Cinder is to grow too.

Pure functions. Cinder counts whole GiB and the data centre bytes: a volume
that was grown to something between two GiB is grown, by Cinder's own extend,
to the next whole one on both sides. Nothing ever shrinks.
"""

from __future__ import annotations

from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.translate import GIB
from virtdc_agent.contract.events import Volume

EXTENDABLE = frozenset({'available', 'in-use'})


def whole_gib(size_bytes: int) -> int:
    """Return the least whole number of GiB that holds a size."""
    return -(-size_bytes // GIB)


def wanted_gib(volume: CloudVolume, platform: Volume) -> int | None:
    """Return what Cinder's volume is to be grown to; ``None``: nothing."""
    wanted = whole_gib(platform.size_bytes)
    return wanted if wanted > volume.size_gib else None


def is_smaller(volume: CloudVolume, platform: Volume) -> bool:
    """Say whether the data centre has less than Cinder thinks."""
    return whole_gib(platform.size_bytes) < volume.size_gib
