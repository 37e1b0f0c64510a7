"""What an agent says of its pools, each and all together."""

from __future__ import annotations

from collections.abc import Sequence

from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent import exceptions
from virtdc_agent.exports import Exporters
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools
from virtdc_agent.space import SpaceReader

_NOTHING = model.StorageSpace(total_bytes=0, free_bytes=0)


def pool_capacity(
    pool: Pool, counts: model.PoolCounts, *, is_only: bool
) -> events.PoolCapacity:
    """Ask a pool for its space, and return what is to be told of it.

    A pool whose storage cannot say has no room, so that the others go on.

    :raises BackendError: it cannot say, and there is no other.
    """
    try:
        space = pool.backend.space()
    except exceptions.BackendError:
        if is_only:
            raise
        space = _NOTHING
    return _told(pool, counts, space)


def _told(
    pool: Pool, counts: model.PoolCounts, space: model.StorageSpace
) -> events.PoolCapacity:
    return events.PoolCapacity(
        name=pool.name,
        backend=pool.plugin,
        total_bytes=space.total_bytes,
        free_bytes=space.free_bytes,
        provisioned_bytes=counts.provisioned_bytes,
        max_over_subscription_ratio=space.max_over_subscription_ratio,
        reserved_percentage=space.reserved_percentage,
        operations=pool.backend.operations,
        formats=pool.backend.formats,
        provisionings=pool.backend.provisionings,
        volumes=counts.volumes,
    )


def capacity(
    *,
    agent: str,
    data_centre: str,
    pools: Sequence[events.PoolCapacity],
    exporters: tuple[events.ExporterOffer, ...],
    can_grow_in_use: bool,
    operations: frozenset[Operation],
    counts: model.Counts,
    image_urls: tuple[str, ...],
) -> events.Capacity:
    """Return what is to be told of all pools together. Pure."""
    return events.Capacity(
        agent=agent,
        backend=pools[0].backend,
        exporter=exporters[0].name,
        storage_protocol=exporters[0].storage_protocol,
        total_bytes=sum(pool.total_bytes for pool in pools),
        free_bytes=sum(pool.free_bytes for pool in pools),
        provisioned_bytes=counts.provisioned_bytes,
        max_over_subscription_ratio=min(
            pool.max_over_subscription_ratio for pool in pools
        ),
        reserved_percentage=max(pool.reserved_percentage for pool in pools),
        operations=operations,
        formats=frozenset().union(*(pool.formats for pool in pools)),
        provisionings=frozenset().union(
            *(pool.provisionings for pool in pools)
        ),
        volumes=counts.volumes,
        waiting=counts.waiting,
        running=counts.running,
        image_urls=image_urls,
        can_grow_in_use=can_grow_in_use,
        data_centre=data_centre,
        pools=tuple(pools),
        exporters=exporters,
    )


class Describer:
    """Says what an agent is and what its pools hold. Safe from any thread.

    :param operations: what can be asked for.
    :param image_urls: what addresses of readable images begin with.
    """

    def __init__(
        self,
        *,
        agent: str,
        journal: interfaces.Journal,
        pools: Pools,
        exporters: Exporters,
        operations: frozenset[Operation],
        image_urls: tuple[str, ...] = (),
    ) -> None:
        self._agent = agent
        self._journal = journal
        self._pools = pools
        self._exporters = exporters
        self._operations = operations
        self._image_urls = image_urls

    def describe(self) -> events.Capacity:
        """Ask the storage and the journal, now.

        :raises BackendError: the only pool does not answer.
        :raises JournalUnavailable: the journal does not.
        """
        counts = self._journal.count()
        return self._capacity(
            counts,
            [
                pool_capacity(
                    pool,
                    self._pools.counts_of(pool, counts),
                    is_only=len(self._pools) == 1,
                )
                for pool in self._pools
            ],
        )

    def describe_lately(self, reader: SpaceReader) -> model.Description:
        """Ask the journal now, and the storage not at all.

        :param reader: knows what the storage has said.
        :raises JournalUnavailable: the journal does not answer.
        """
        counts = self._journal.count()
        readings = {pool.name: reader.get(pool.name) for pool in self._pools}
        return model.Description(
            capacity=self._capacity(
                counts,
                [
                    _told(
                        pool,
                        self._pools.counts_of(pool, counts),
                        readings[pool.name].space or _NOTHING,
                    )
                    for pool in self._pools
                ],
            ),
            readings=readings,
        )

    def _capacity(
        self, counts: model.Counts, pools: Sequence[events.PoolCapacity]
    ) -> events.Capacity:
        return capacity(
            agent=self._agent,
            data_centre=self._journal.data_centre,
            pools=pools,
            exporters=self._exporters.offers,
            can_grow_in_use=self._exporters.can_grow_in_use,
            operations=self._operations,
            counts=counts,
            image_urls=self._image_urls,
        )
