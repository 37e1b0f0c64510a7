"""A comparison is asked for over REST, told, taken and ended."""

from __future__ import annotations

import unittest

from tests.unit.agent import builders
from tests.unit.api import base
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract.resyncs import Resync
from virtdc_agent import exceptions
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.resync_teller import ResyncTeller


class Publisher:
    """Keeps what it is given, unless the bus is away."""

    def __init__(self) -> None:
        self.told: list[Resync] = []
        self.is_away = False

    def publish(self, notification: Resync) -> None:
        if self.is_away:
            raise exceptions.PublishFailed('The bus is away.')
        self.told.append(notification)


class TestTeller(unittest.TestCase):
    def setUp(self) -> None:
        self.journal = MemoryJournal(clock=FakeClock(builders.NOW))
        self.addCleanup(self.journal.close)
        self.publisher = Publisher()
        self.teller = ResyncTeller(
            resyncs=self.journal, publisher=self.publisher
        )

    def test_each_is_told_once(self) -> None:
        self.teller.tell()
        self.journal.request_resync('alice')
        for _ in range(2):
            self.teller.tell()
        self.assertEqual([1], [one.number for one in self.publisher.told])
        self.journal.take_resync('a', 60)
        self.journal.request_resync('alice')
        self.teller.tell()
        self.assertEqual([1, 2], [one.number for one in self.publisher.told])

    def test_what_is_begun_is_not_told(self) -> None:
        self.journal.request_resync('alice')
        self.journal.take_resync('a', 60)
        self.teller.tell()
        self.assertEqual([], self.publisher.told)

    def test_a_bus_that_is_away_keeps_nothing_up(self) -> None:
        self.publisher.is_away = True
        self.journal.request_resync('alice')
        self.teller.tell()
        self.publisher.is_away = False
        self.teller.tell()
        self.assertEqual([], self.publisher.told)


class TestApi(base.ApiCase):
    def test_asked_for_and_shown(self) -> None:
        self.assertEqual(404, self.ask('GET', '/v1/resync').status_code)
        answer = self.ask('POST', '/v1/resync')
        self.assertEqual(202, answer.status_code)
        self.assertEqual(answer.json, self.ask('POST', '/v1/resync').json)
        self.assertIsNone(answer.json['started_at'])
        taken = self.journal.take_resync('cloud', 60)
        self.journal.end_resync(taken.number, 'cloud', {'repaired': 2})
        shown = self.ask('GET', '/v1/resync').json
        self.assertEqual(('cloud', 2), (shown['listener'], shown['repaired']))
        self.assertTrue(shown['ended_at'])
