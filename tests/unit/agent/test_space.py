"""How full pools were lately, one of them on a share that hangs."""

from __future__ import annotations

import threading

from tests import base
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.clock import FakeClock
from virtdc_agent import exceptions
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools
from virtdc_agent.space import SpaceReader


class Hanging(MemoryBackend):
    """Answers when it is let to, as a share whose server is away."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.released = threading.Event()

    def space(self):
        self.asked.set()
        self.released.wait()
        return super().space()


class Counting(MemoryBackend):
    """Says how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)

    def space(self):
        found = super().space()
        self.asked.release()
        return found


class TestSpace(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = FakeClock()

    def reader(self, **backends: MemoryBackend) -> SpaceReader:
        self.pools = Pools(
            [
                Pool(name=name, backend=backend)
                for name, backend in backends.items()
            ]
        )
        return SpaceReader(self.pools, clock=self.clock, interval_s=5.0)

    def test_one_that_hangs_holds_up_nobody(self) -> None:
        hanging, counting = Hanging(), Counting()
        pause = threading.Event()
        reader = self.reader(hung=hanging, sound=counting)
        self.addCleanup(reader.stop)
        self.addCleanup(hanging.released.set)
        reader.start()
        self.assertTrue(hanging.asked.wait(30))
        for _ in range(8):
            self.assertTrue(counting.asked.acquire(timeout=30))
            # Its thread pauses: it is woken by the time alone.
            while not self.clock.waiters:
                pause.wait(0.001)
            self.clock.advance(5)
        hung, sound = reader.get('hung'), reader.get('sound')
        self.assertEqual(
            (None, None, False), (hung.space, hung.age_s, hung.is_current)
        )
        self.assertTrue(sound.is_current)
        self.assertIsNotNone(sound.space)

    def test_what_hangs_later_is_told_with_its_age(self) -> None:
        reader = self.reader(only=MemoryBackend())
        for pool in self.pools:
            reader.read(pool)
        first = reader.get('only')
        self.clock.advance(15)
        self.assertTrue(reader.get('only').is_current)
        self.clock.advance(1)
        late = reader.get('only')
        self.assertEqual(
            (first.space, first.read_at, 16.0, False),
            (late.space, late.read_at, late.age_s, late.is_current),
        )

    def test_what_fails_is_unknown_at_once_and_said_once(self) -> None:
        backend = MemoryBackend()
        reader = self.reader(only=backend)
        (pool,) = self.pools
        reader.read(pool)

        def away():
            raise exceptions.BackendUnavailable('The share is away.')

        backend.space = away
        with self.assertLogs('virtdc_agent.space') as logs:
            reader.read(pool)
            reader.read(pool)
            self.assertFalse(reader.get('only').is_current)
            del backend.space
            reader.read(pool)
            reader.read(pool)
        self.assertTrue(reader.get('only').is_current)
        self.assertEqual(
            ['WARNING', 'INFO'], [one.levelname for one in logs.records]
        )
