"""The agent's storages: which there are, and which one a volume is in.

Each pool is a backend of its own, with its own space and abilities. The name
of a volume's pool stands in its record. Records from before there were pools
have none: those volumes are in the first pool, and that is written down with
their next change.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A storage under its name.

    :param name: empty if it is the only one and has none.
    :param plugin: name of the kind of its backend.
    """

    name: str
    backend: interfaces.Backend
    plugin: str = ''

    def check_offers(self, operation: Operation) -> None:
        """Refuse what this pool's storage cannot do.

        :raises EventRejected: it cannot.
        """
        if operation not in self.backend.operations:
            where = f'of pool {self.name}' if self.name else 'here'
            raise exceptions.EventRejected(
                f'The storage {where} cannot {operation} volumes.'
            )


class Pools:
    """All pools, of which the first is for those who do not ask.

    Immutable, safe from any thread.

    :param pools: at least one; no name twice.
    """

    def __init__(self, pools: Sequence[Pool]) -> None:
        self._pools: Mapping[str, Pool] = {pool.name: pool for pool in pools}
        if not pools or len(self._pools) < len(pools):
            raise ValueError('pools must have names of their own')
        self.first = pools[0]

    @classmethod
    def of_one(cls, backend: interfaces.Backend, plugin: str = '') -> Pools:
        """Return the pools of an agent with one storage, without a name."""
        return cls([Pool(name='', backend=backend, plugin=plugin)])

    def __iter__(self) -> Iterator[Pool]:
        return iter(self._pools.values())

    def __len__(self) -> int:
        return len(self._pools)

    @property
    def operations(self) -> frozenset[Operation]:
        """What can be done in at least one pool."""
        every = frozenset[Operation]().union(
            *(pool.backend.operations for pool in self)
        )
        return every - {Operation.MIGRATE} if len(self) == 1 else every

    def choose(self, name: str | None) -> Pool:
        """Return the pool that is asked for; the first if none is.

        :raises EventRejected: there is none of this name; names those there
            are.
        """
        if not name:
            return self.first
        found = self._pools.get(name)
        if found is None:
            known = ', '.join(filter(None, sorted(self._pools)))
            raise exceptions.EventRejected(
                f'This data centre has no pool {name}; '
                + (f'it has {known}.' if known else 'its pool has no name.')
            )
        return found

    def of(
        self, volume: events.Volume, operation: Operation | None = None
    ) -> Pool:
        """Return the pool that a volume is in.

        :param operation: what is to be done to it there.
        :raises EventRejected: the pool is not configured any more, or its
            storage cannot do that.
        """
        pool = self.first if not volume.pool else self._pools.get(volume.pool)
        if pool is None:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in pool {volume.pool}, which '
                "this agent does not have now; the data centre's operator "
                'has to configure it again.'
            )
        if operation is not None:
            pool.check_offers(operation)
        return pool

    def placed(self, volume: events.Volume) -> events.Volume:
        """Return a volume's record with the name of its pool.

        :raises EventRejected: the pool is not configured any more.
        """
        pool = self.of(volume)
        if volume.pool == pool.name:
            return volume
        return dataclasses.replace(volume, pool=pool.name)

    def counts_of(self, pool: Pool, counts: model.Counts) -> model.PoolCounts:
        """Return how much the journal has in a pool."""
        found = counts.pools.get(pool.name, model.PoolCounts())
        if pool is not self.first or not pool.name:
            return found
        former = counts.pools.get('', model.PoolCounts())
        return model.PoolCounts(
            volumes=found.volumes + former.volumes,
            provisioned_bytes=(
                found.provisioned_bytes + former.provisioned_bytes
            ),
        )

    def unknown(self, counts: model.Counts) -> Mapping[str, int]:
        """Return pools that are not configured, and how many volumes each.

        Of those that the journal has volumes in.
        """
        return {
            name: found.volumes
            for name, found in sorted(counts.pools.items())
            if name and name not in self._pools
        }
