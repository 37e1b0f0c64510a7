"""One trace from Cinder through the data centre and back."""

from __future__ import annotations

import builtins
import dataclasses
import threading
import time
import unittest
from unittest import mock
import uuid

from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import export
from opentelemetry.sdk.trace.export import in_memory_span_exporter
from osprofiler import _utils
from osprofiler import notifier
from osprofiler import profiler

from tests.unit.agent import builders
from tests.unit.agent.test_service import ServiceCase
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent.intake import Intake
from virtdc_agent.monitoring import tracing
from virtdc_agent.monitoring.trail import EventTrail
from virtdc_agent import service

WAIT_S = 10.0
TRACEPARENT = '00-' + 'ab' * 16 + '-' + 'cd' * 8 + '-01'


def traced(event: events.Event, trace: str = TRACEPARENT) -> events.Event:
    """Return an event that came with a trace."""
    return dataclasses.replace(
        event,
        requested_by=dataclasses.replace(event.requested_by, trace=trace),
    )


class TracingCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.exporter = in_memory_span_exporter.InMemorySpanExporter()
        provider = sdk.TracerProvider()
        provider.add_span_processor(export.SimpleSpanProcessor(self.exporter))
        self.tracer = tracing.Tracer(provider)
        self.trail = EventTrail(self.tracer)

    def names(self) -> list[str]:
        return [span.name for span in self.exporter.get_finished_spans()]

    def span(self, name: str) -> sdk.ReadableSpan:
        (found,) = [
            span
            for span in self.exporter.get_finished_spans()
            if span.name == name
        ]
        return found


class TestTrail(TracingCase):
    def test_steps_lie_below_what_the_event_came_with(self) -> None:
        event = traced(builders.create())
        with self.trail.step('submit', event):
            pass
        span = self.span('virtdc submit')
        self.assertEqual(int('ab' * 16, 16), span.context.trace_id)
        self.assertEqual(int('cd' * 8, 16), span.parent.span_id)
        self.assertEqual(event.event_id, span.attributes['virtdc.event_id'])

    def test_phases_lie_below_their_step(self) -> None:
        with self.trail.step('run', traced(builders.create())) as span:
            span.phase('copying')
            span.phase('publishing')
        run = self.span('virtdc run')
        for phase in ('copying', 'publishing'):
            found = self.span(f'virtdc phase {phase}')
            self.assertEqual(run.context.span_id, found.parent.span_id)
        self.assertLessEqual(
            self.span('virtdc phase copying').end_time,
            self.span('virtdc phase publishing').start_time,
        )

    def test_how_long_an_event_has_waited(self) -> None:
        event = traced(builders.create())
        with self.trail.step('run', event):
            pass
        queued = self.span('virtdc queued')
        self.assertEqual(
            int(event.created_at.timestamp() * 1e9), queued.start_time
        )

    def test_progress_and_what_nobody_traces_are_no_spans(self) -> None:
        with self.trail.step('submit', builders.create()):
            pass
        running = builders.transition(
            state=events.State.RUNNING,
            attempt=1,
            requested_by=events.Requester(trace=TRACEPARENT),
        )
        with self.trail.step('publish', running):
            pass
        self.assertEqual([], self.names())

    def test_a_trace_that_is_none_does_no_harm(self) -> None:
        for text in ('nonsense', '00-xx-yy-01', 'a' * 128):
            with self.trail.step('submit', traced(builders.create(), text)):
                pass
        for span in self.exporter.get_finished_spans():
            self.assertIsNone(span.parent)

    def test_an_error_is_in_its_span(self) -> None:
        with (
            self.assertRaises(exceptions.JournalUnavailable),
            self.trail.step('submit', traced(builders.create())),
        ):
            raise exceptions.JournalUnavailable('away')
        self.assertFalse(self.span('virtdc submit').status.is_ok)


class TestBeneathCinder(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.told: list[dict[str, object]] = []
        former = notifier.get()
        notifier.set(self.told.append)
        self.addCleanup(notifier.set, former)
        self.addCleanup(profiler.clean)
        profiler.clean()

    def test_while_cinder_traces(self) -> None:
        base = str(uuid.uuid4())
        profiler.init('', base_id=base, parent_id=base)
        with tracing.beneath_cinder('virtdc create') as found:
            own = profiler.get().get_id()
        # As the OTLP driver of osprofiler has them.
        self.assertEqual(
            f'00-{_utils.uuid_to_int128(base):032x}'
            f'-{_utils.shorten_id(own):016x}-01',
            found,
        )
        self.assertEqual(
            ['virtdc create-start', 'virtdc create-stop'],
            [one['name'] for one in self.told],
        )

    def test_while_it_does_not(self) -> None:
        with tracing.beneath_cinder('virtdc create') as found:
            self.assertEqual('', found)
        self.assertEqual([], self.told)

    def test_ids_that_are_none(self) -> None:
        self.assertEqual('', tracing.traceparent_of('a', 'b'))


class TestWholeWay(TracingCase, ServiceCase):
    def test_through_the_agent(self) -> None:
        conf = self.configure()
        service.sync_journal(conf)
        with mock.patch.object(
            service.tracing, 'open_tracer', return_value=self.tracer
        ):
            agent = self.start(conf)
        journal = service.open_journal(conf, SystemClock())
        self.addCleanup(journal.close)
        event = traced(builders.create())
        Intake(journal, max_waiting=9, trail=self.trail).submit(event)
        wanted = {'virtdc submit', 'virtdc queued', 'virtdc run'}
        deadline = time.monotonic() + WAIT_S
        while not {*wanted, 'virtdc publish'} <= set(self.names()):
            self.assertLess(time.monotonic(), deadline, self.names())
            threading.Event().wait(0.02)
        # What the journal keeps has it: it outlives the agent.
        self.assertEqual(
            TRACEPARENT, journal.get_event(event.event_id).requested_by.trace
        )
        final = journal.get_latest([event.event_id])[event.event_id]
        with self.trail.step('apply', final):
            pass
        self.assertTrue(agent.stop())
        self.assertEqual(
            {int('ab' * 16, 16)},
            {
                span.context.trace_id
                for span in self.exporter.get_finished_spans()
            },
        )


class TestOptions(ServiceCase):
    def test_what_is_missing_is_said_if_it_is_asked_for(self) -> None:
        real = builtins.__import__

        def without(name: str, *arguments: object, **more: object) -> object:
            if name.startswith('opentelemetry'):
                raise ImportError(name='opentelemetry')
            return real(name, *arguments, **more)

        conf = self.configure(
            monitoring={'otlp_address': 'http://127.0.0.1:4318'}
        )
        with (
            mock.patch.object(builtins, '__import__', without),
            self.assertRaisesRegex(
                exceptions.ConfigInvalid, r'otlp_address.*virtdc\[tracing\]'
            ),
        ):
            service.Service(conf)
        with mock.patch.object(builtins, '__import__', without):
            service.Service(self.configure())

    def test_a_collector_that_is_away_holds_nothing_up(self) -> None:
        conf = self.configure(
            monitoring={'otlp_address': 'http://127.0.0.1:9'}
        )
        tracer = service.Service(conf)._tracer
        self.addCleanup(tracer.close)
        with EventTrail(tracer).step('submit', traced(builders.create())):
            pass
