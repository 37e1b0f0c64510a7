from __future__ import annotations

import threading
import time
import unittest

from tests.unit.agent import builders
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Announcement
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent import exceptions
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent import model
from virtdc_agent.outbox import Outbox
from virtdc_agent.scheduling import Lane

WAIT_S = 10.0


class Bus:
    """A publisher that remembers, and fails when told to."""

    def __init__(self) -> None:
        self.sent: list[events.Notification] = []
        self.refusals = 0
        self.refuse = False
        self.changed = threading.Condition()

    def publish(self, notification: events.Notification) -> None:
        with self.changed:
            self.changed.notify_all()
            if self.refuse:
                self.refusals += 1
                raise exceptions.PublishFailed('no broker')
            self.sent.append(notification)

    def await_that(self, is_so) -> None:
        with self.changed:
            if not self.changed.wait_for(is_so, WAIT_S):
                raise AssertionError('it did not become so')


class TestOutbox(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = FakeClock()
        self.journal = MemoryJournal(agent='a', clock=self.clock)
        self.journal.join()
        self.bus = Bus()

    def start(self, batch: int = 3) -> Outbox:
        outbox = Outbox(
            journal=self.journal,
            publisher=self.bus,
            clock=self.clock,
            retry_interval_s=1.0,
            batch=batch,
        )
        outbox.start()
        self.addCleanup(outbox.stop)
        return outbox

    def sequences(self) -> list[int]:
        return [
            one.sequence
            for one in self.bus.sent
            if isinstance(one, Transition)
        ]

    def test_sends_all_in_order_and_notes_how_far(self) -> None:
        for index in range(10):
            self.journal.append(builders.create(f'v{index}'))
        outbox = self.start()
        self.bus.await_that(lambda: len(self.bus.sent) == 10)
        outbox.stop()
        self.assertEqual(list(range(1, 11)), self.sequences())
        self.assertEqual(10, self.journal.count().published)

    def test_sends_what_comes_later_at_once(self) -> None:
        self.start()
        self.journal.append(builders.create('v'))
        self.bus.await_that(lambda: len(self.bus.sent) == 1)

    def test_repeats_until_the_bus_takes_it(self) -> None:
        self.bus.refuse = True
        self.journal.append(builders.create('v'))
        self.start()
        self.bus.await_that(lambda: self.bus.refusals == 1)
        self.assertEqual(0, self.journal.count().published)
        deadline = time.monotonic() + WAIT_S
        while self.bus.refusals < 3 and time.monotonic() < deadline:
            self.clock.advance(1.0)
        self.bus.refuse = False
        while not self.bus.sent and time.monotonic() < deadline:
            self.clock.advance(1.0)
        self.assertEqual([1], self.sequences())

    def test_a_refusal_does_not_spin(self) -> None:
        """Hints while the bus is away cause no further attempt."""
        self.bus.refuse = True
        self.journal.append(builders.create('v'))
        self.start()
        self.bus.await_that(lambda: self.bus.refusals == 1)
        for index in range(20):
            self.journal.append(builders.create(f'w{index}'))
        self.assertEqual(1, self.bus.refusals)

    def test_notes_what_left_before_a_refusal(self) -> None:
        for index in range(3):
            self.journal.append(builders.create(f'v{index}'))
        publish = self.bus.publish

        def fail_on_third(notification: events.Notification) -> None:
            if notification.sequence == 3:
                self.bus.refuse = True
            publish(notification)

        self.bus.publish = fail_on_third
        self.start()
        self.bus.await_that(lambda: self.bus.refusals == 1)
        deadline = time.monotonic() + WAIT_S
        while self.journal.count().published < 2:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(2, self.journal.count().published)

    def test_begins_where_the_last_one_ended(self) -> None:
        self.journal.append(builders.create('v'))
        self.journal.mark_published(1)
        self.journal.append(builders.create('w'))
        self.start()
        self.bus.await_that(lambda: len(self.bus.sent) == 1)
        self.assertEqual([2], self.sequences())

    def test_announces_what_the_platform_began(self) -> None:
        event = builders.create('v', origin=events.Origin.PLATFORM)
        self.journal.append(event)
        (claim,) = self.journal.claim(Lane.QUICK, 1)
        self.journal.settle(claim, model.Outcome(state=State.SUCCESS))
        self.start()
        self.bus.await_that(lambda: len(self.bus.sent) == 4)
        first, *following = self.bus.sent
        self.assertIsInstance(first, Announcement)
        self.assertEqual(event.event_id, first.event_id)
        self.assertEqual(
            [State.WAITING, State.RUNNING, State.SUCCESS],
            [one.state for one in following],
        )

    def test_does_not_announce_what_the_cloud_began(self) -> None:
        self.journal.append(builders.create('v'))
        self.start()
        self.bus.await_that(lambda: len(self.bus.sent) == 1)
        self.assertIsInstance(self.bus.sent[0], Transition)

    def test_stop_sends_what_is_there(self) -> None:
        outbox = self.start()
        self.journal.append(builders.create('v'))
        outbox.stop()
        self.assertEqual([1], self.sequences())
