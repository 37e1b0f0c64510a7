"""A request is followed from Cinder through the data centre and back."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
import time
import unittest
from unittest import mock

from oslo_context import context
from oslo_context import fixture
from oslo_log import formatters

from cinder_virtdc.bus.runner import EventRunner
from cinder_virtdc.bus.subscription import NotificationEndpoint
from cinder_virtdc.clock import SystemClock as CloudClock
from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.listener.writer import Pace
from cinder_virtdc.listener.writer import Writer
from tests.unit.agent import builders
from tests.unit.agent.test_service import ServiceCase
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.intake import Intake
from virtdc_agent.monitoring import log_context
from virtdc_agent.monitoring.trail import EventTrail
from virtdc_agent import service

WAIT_S = 10.0
REQUEST = 'req-11111111-2222-3333-4444-555555555555'
OTHER = 'req-99999999-2222-3333-4444-555555555555'


def event_of(request_id: str) -> events.Event:
    """Return an event that a request has made."""
    event = builders.create()
    return dataclasses.replace(
        event,
        requested_by=dataclasses.replace(
            event.requested_by, request_id=request_id
        ),
    )


class Lines(logging.Handler):
    """Keeps what is logged, as ``use_json`` would have it written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(formatters.JSONFormatter())
        self.lines: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


class LogCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        # Other tests in this thread may have left theirs.
        clean = fixture.ClearRequestContext()
        clean.setUp()
        self.addCleanup(clean.cleanUp)
        self.lines = Lines()
        for name in ('virtdc_agent', 'cinder_virtdc'):
            logger = logging.getLogger(name)
            former = logger.level
            logger.addHandler(self.lines)
            logger.setLevel(logging.DEBUG)
            self.addCleanup(logger.setLevel, former)
            self.addCleanup(logger.removeHandler, self.lines)

    def of(self, request_id: str) -> list[dict[str, object]]:
        return [
            line
            for line in self.lines.lines
            if line['context'].get('request_id') == request_id
        ]


class TestContext(LogCase):
    def test_a_line_names_event_volume_and_request(self) -> None:
        event = event_of(REQUEST)
        with log_context.about(event):
            logging.getLogger('virtdc_agent.x').info('Something.')
        found = self.lines.lines[-1]['context']
        self.assertEqual(REQUEST, found['request_id'])
        self.assertEqual(event.event_id, found['event_id'])
        self.assertEqual(event.volume_id, found['volume_id'])
        self.assertEqual('p', found['project_id'])

    def test_no_request_is_invented(self) -> None:
        with log_context.about(builders.create()):
            logging.getLogger('virtdc_agent.x').info('Something.')
        self.assertEqual('', self.lines.lines[-1]['context']['request_id'])

    def test_what_was_before_is_so_afterwards(self) -> None:
        before = context.get_current()
        with log_context.about(event_of(REQUEST)):
            with log_context.about(event_of(OTHER)):
                self.assertEqual(OTHER, context.get_current().request_id)
            self.assertEqual(REQUEST, context.get_current().request_id)
        self.assertIs(before, context.get_current())

    def test_it_is_of_its_thread_alone(self) -> None:
        seen: list[object] = []
        with log_context.about(event_of(REQUEST)):
            thread = threading.Thread(
                target=lambda: seen.append(context.get_current())
            )
            thread.start()
            thread.join()
        self.assertEqual([None], seen)


class _Bus:
    """Keeps what is published, as it travels."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.sent = SENT

    def publish(self, notification: events.Notification) -> None:
        self.sent.append(codec.encode(notification))


SENT: list[object] = []


class TestFollowing(LogCase, ServiceCase):
    def test_one_request_through_driver_agent_and_listener(self) -> None:
        SENT.clear()
        conf = self.configure()
        service.sync_journal(conf)
        with mock.patch.object(service.bus, 'BusPublisher', _Bus):
            self.start(conf)
        journal = service.open_journal(conf, SystemClock())
        self.addCleanup(journal.close)
        mine, others = event_of(REQUEST), event_of(OTHER)
        self.drive(journal, others)
        self.drive(journal, mine)
        self.listen(mine.volume_id)
        told = {
            (line['name'], line['context']['event_id'])
            for line in self.of(REQUEST)
            if 'event_id' in line['context']
        }
        self.assertEqual(
            {
                ('virtdc_agent.intake', mine.event_id),
                ('virtdc_agent.executor.worker', mine.event_id),
                ('virtdc_agent.outbox', mine.event_id),
                ('cinder_virtdc.listener.writer', mine.event_id),
            },
            told,
        )
        # The driver's lines have Cinder's own context.
        self.assertIn(
            'cinder_virtdc.bus.runner',
            {one['name'] for one in self.of(REQUEST)},
        )
        for line in self.of(REQUEST):
            self.assertNotIn(others.event_id, line['message'])

    def drive(self, journal, event: events.Event) -> None:
        """Do what the driver does, in the context of Cinder's request."""
        intake = Intake(journal, max_waiting=10, trail=EventTrail())
        client = mock.Mock(spec=['submit'])
        # The agent is another process: it knows what is in the event.
        client.submit = lambda one: _elsewhere(intake.submit, one)
        waiter = mock.MagicMock()
        waiter.wait = lambda event_id, until: self.final(journal, event_id)
        runner = EventRunner(
            client, waiter, clock=CloudClock(), operation_timeout_s=WAIT_S
        )
        request = context.RequestContext(
            request_id=event.requested_by.request_id, overwrite=True
        )
        request.update_store()
        try:
            runner.run(event)
        finally:
            del context._request_store.context

    def final(self, journal, event_id: str) -> events.Transition:
        deadline = time.monotonic() + WAIT_S
        while True:
            found = journal.get_latest([event_id]).get(event_id)
            if found is not None and found.state.is_final:
                return found
            self.assertLess(time.monotonic(), deadline)
            threading.Event().wait(0.02)

    def listen(self, volume_id: str) -> None:
        """Do what the listener does with what was published."""
        cloud = FakeCloud()
        cloud.add(
            CloudVolume(
                volume_id=volume_id,
                platform_id=volume_id,
                status='available',
                size_gib=1,
                properties={},
            )
        )
        trail = EventTrail()
        writer = Writer(
            cloud,
            clock=CloudClock(),
            pace=Pace(min_interval_s=0.0, duty=1.0),
            trail=trail,
        )
        writer.start()
        self.addCleanup(writer.stop)
        endpoint = NotificationEndpoint(
            lambda one: isinstance(one, events.Transition) and writer.show(one)
        )
        deadline = time.monotonic() + WAIT_S
        done = 0
        while (
            cloud.volumes[volume_id].properties.get('virtdc.state')
            != 'success'
            and time.monotonic() < deadline
        ):
            for envelope in SENT[done:]:
                endpoint.info({}, 'agent', 'x', envelope, {})
                done += 1
            threading.Event().wait(0.02)
        self.assertEqual(
            'success', cloud.volumes[volume_id].properties['virtdc.state']
        )
        writer.stop()


def _elsewhere(function, *arguments):
    """Call in a thread of its own, which knows of no request."""
    results: list[object] = []
    thread = threading.Thread(
        target=lambda: results.append(function(*arguments))
    )
    thread.start()
    thread.join()
    return results[0]
