"""A comparison that somebody asks for is made, by one listener."""

from __future__ import annotations

from cinder_virtdc import exceptions
from cinder_virtdc.listener.commanded import Commanded
from tests.unit.driver import builders
from tests.unit.listener import test_keeper


class TestCommanded(test_keeper.KeeperTestCase):
    def begin(self) -> None:
        """Start a listener; what it does first is over."""
        self.agent.finish(self.add())
        self.keeper.start()
        self.assertTrue(self.clock.await_waiters(1))

    def test_at_once_by_the_doorbell(self) -> None:
        self.begin()
        self.agent.request_resync()
        self.agent.await_calls('end_resync', 1)
        done = self.agent.resync
        self.assertIsNotNone(done.ended_at)
        self.assertEqual((1, 1), (done.volumes, done.platform_volumes))

    def test_by_the_next_question_if_that_is_lost(self) -> None:
        self.begin()
        self.agent.tells = False
        self.agent.request_resync()
        self.clock.advance(10)
        self.agent.await_calls('end_resync', 1)

    def test_what_another_does_is_left_to_it(self) -> None:
        self.agent.request_resync()
        others = Commanded(builders.client_of(self.agent), listener='other')
        mine = Commanded(builders.client_of(self.agent), listener='mine')

        def compare():
            self.assertFalse(mine.run(self.fail))
            return self.parts.comparison.run()

        self.assertTrue(others.run(compare))
        self.assertEqual('other', self.agent.resync.listener)

    def test_what_fails_is_begun_anew(self) -> None:
        self.begin()
        self.cloud.is_down = True
        with self.assertLogs('cinder_virtdc.listener.keeper', 'WARNING'):
            self.agent.request_resync()
            self.agent.await_calls('take_resync', 1)
            self.assertTrue(self.clock.await_waiters(1))
        self.assertIsNone(self.agent.resync.ended_at)
        self.cloud.is_down = False
        self.clock.advance(1)
        self.agent.await_calls('end_resync', 1)

    def test_nothing_is_concluded_from_what_cannot_be_asked(self) -> None:
        self.agent.request_resync()
        self.cloud.is_down = True
        commanded = Commanded(builders.client_of(self.agent), listener='mine')
        with self.assertRaises(exceptions.CloudUnavailable):
            commanded.run(self.parts.comparison.run)
        self.assertIsNone(self.agent.resync.ended_at)
