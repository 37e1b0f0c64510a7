"""How much there is in each pool, as one short text in ``totals``.

It is read and written together with the other totals, so that to keep it
costs no statement, and to know it no question. There are a few pools, never
many.
"""

from __future__ import annotations

from collections.abc import Mapping
import json

from virtdc_agent import model


class PoolTotals:
    """Counts volumes and bytes by pool. Of one transaction.

    :param text: as ``to_text`` has left it.
    """

    def __init__(self, text: str) -> None:
        self._counts: dict[str, list[int]] = json.loads(text)

    def add(self, pool: str, volumes: int, size_bytes: int) -> None:
        """Count volumes in, or out."""
        counts = self._counts.setdefault(pool, [0, 0])
        counts[0] += volumes
        counts[1] += size_bytes

    def to_text(self) -> str:
        """Return what is to be kept: pools that have something."""
        return json.dumps(
            {
                pool: counts
                for pool, counts in self._counts.items()
                if any(counts)
            },
            sort_keys=True,
        )


def read(text: str) -> Mapping[str, model.PoolCounts]:
    """Return the counts of all pools that have something, by name."""
    return {
        pool: model.PoolCounts(volumes=volumes, provisioned_bytes=size_bytes)
        for pool, (volumes, size_bytes) in json.loads(text).items()
    }
