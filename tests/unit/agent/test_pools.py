"""Which pool a volume is in, and what each has."""

from __future__ import annotations

import unittest

from tests.unit.agent import builders
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.contract.events import Operation
from virtdc_agent import describing
from virtdc_agent import exceptions
from virtdc_agent import model
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools

COUNTS = model.Counts(
    waiting=0,
    running=0,
    volumes=10,
    provisioned_bytes=100,
    pools={
        '': model.PoolCounts(volumes=1, provisioned_bytes=10),
        'fast': model.PoolCounts(volumes=2, provisioned_bytes=20),
        'gone': model.PoolCounts(volumes=7, provisioned_bytes=70),
    },
)


class TestPools(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.pools = Pools(
            [
                Pool(name=name, backend=MemoryBackend(), plugin='memory')
                for name in ('fast', 'slow')
            ]
        )

    def refused(self, says: str):
        return self.assertRaisesRegex(exceptions.EventRejected, says)

    def test_names_are_their_own(self) -> None:
        for pools in ([], [self.pools.first, self.pools.first]):
            with self.assertRaises(ValueError):
                Pools(pools)

    def test_who_does_not_ask_gets_the_first(self) -> None:
        self.assertEqual('fast', self.pools.choose(None).name)
        self.assertEqual('slow', self.pools.choose('slow').name)
        with self.refused('no pool warm; it has fast, slow'):
            self.pools.choose('warm')
        with self.refused('its pool has no name'):
            Pools.of_one(MemoryBackend()).choose('warm')

    def test_a_volume_from_before_is_in_the_first(self) -> None:
        volume = builders.volume('v')
        self.assertIs(self.pools.first, self.pools.of(volume))
        self.assertEqual('fast', self.pools.placed(volume).pool)
        only = Pools.of_one(MemoryBackend())
        self.assertEqual('', only.placed(volume).pool)

    def test_a_volume_whose_pool_is_gone(self) -> None:
        volume = builders.volume('v', pool='gone')
        for pools in (self.pools, Pools.of_one(MemoryBackend())):
            for ask in (pools.of, pools.placed):
                with self.refused('Volume v is in pool gone, which'):
                    ask(volume)

    def test_what_a_pool_cannot_do(self) -> None:
        self.pools.first.backend.operations = frozenset({Operation.CREATE})
        volume = builders.volume('v')
        self.pools.of(volume, Operation.CREATE)
        with self.refused('pool fast cannot snapshot'):
            self.pools.of(volume, Operation.SNAPSHOT)
        self.assertIn(Operation.SNAPSHOT, self.pools.operations)
        # Alone it has nowhere to move them to.
        only = Pools.of_one(MemoryBackend())
        self.assertNotIn(Operation.MIGRATE, only.operations)

    def test_what_is_in_each(self) -> None:
        fast, slow = self.pools
        self.assertEqual(
            [(3, 30), (0, 0)],
            [
                (found.volumes, found.provisioned_bytes)
                for found in (
                    self.pools.counts_of(fast, COUNTS),
                    self.pools.counts_of(slow, COUNTS),
                )
            ],
        )
        only = Pools.of_one(MemoryBackend())
        self.assertEqual(1, only.counts_of(only.first, COUNTS).volumes)
        self.assertEqual({'gone': 7}, self.pools.unknown(COUNTS))
        self.assertEqual({'fast': 2, 'gone': 7}, only.unknown(COUNTS))


class TestDescribing(unittest.TestCase):
    def test_a_pool_that_cannot_say_has_no_room(self) -> None:
        backend = MemoryBackend()

        def broken() -> model.StorageSpace:
            raise exceptions.BackendUnavailable('the share is away')

        backend.space = broken
        pool = Pool(name='slow', backend=backend)
        found = describing.pool_capacity(
            pool, model.PoolCounts(), is_only=False
        )
        self.assertEqual((0, 0), (found.total_bytes, found.free_bytes))
        with self.assertRaises(exceptions.BackendUnavailable):
            describing.pool_capacity(pool, model.PoolCounts(), is_only=True)
