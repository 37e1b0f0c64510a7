"""Traces of events, by OpenTelemetry.

What travels with an event is a ``traceparent`` of W3C, so that neither side
depends on how the other one traces. Cinder itself traces by osprofiler, whose
OTLP driver makes ids as ``traceparent_of`` does: what the agent and the
listener tell lies below what Cinder tells, in one trace.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import re
import socket
import threading
from typing import Any
import uuid

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Transition
from virtdc_agent.monitoring.trail import Span

_CLOSE_S = 2.0
_TRACEPARENT = re.compile(r'00-([0-9a-f]{32})-([0-9a-f]{16})-01')


class CannotTrace(Exception):
    """What is needed for that is not there; says what."""


class Tracer:
    """Makes spans, and has them exported. Safe from any thread.

    :param provider: of the SDK of OpenTelemetry.
    """

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace

        self._api = trace
        self._tracer = provider.get_tracer('virtdc')
        self._provider = provider

    @classmethod
    def exporting_to(cls, address: str, *, service: str, host: str) -> Tracer:
        """Return a tracer that sends to a collector, over OTLP and HTTP.

        :param address: as http://host:4318.
        :raises CannotTrace: the libraries are not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.http import trace_exporter
            from opentelemetry.sdk import resources
            from opentelemetry.sdk import trace as sdk
            from opentelemetry.sdk.trace import export
        except ImportError as exc:
            raise CannotTrace(
                f'tracing needs {exc.name}: install virtdc[tracing]'
            ) from exc
        provider = sdk.TracerProvider(
            resource=resources.Resource.create(
                {'service.name': service, 'host.name': host}
            ),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(
            export.BatchSpanProcessor(
                trace_exporter.OTLPSpanExporter(
                    f'{address.rstrip("/")}/v1/traces'
                )
            )
        )
        return cls(provider)

    @contextlib.contextmanager
    def span(self, name: str, about: Event | Transition) -> Iterator[Span]:
        """Have the body be a span below what the event came with."""
        parent = self._parent_of(about.requested_by.trace)
        with self._tracer.start_as_current_span(
            f'virtdc {name}', context=parent, attributes=_attributes(about)
        ) as current:
            span = _Span(self._tracer, self._api.set_span_in_context(current))
            try:
                yield span
            finally:
                span.close()

    def queued(self, event: Event) -> None:
        """Tell of the time from when an event was made until now."""
        self._tracer.start_span(
            'virtdc queued',
            context=self._parent_of(event.requested_by.trace),
            attributes=_attributes(event),
            start_time=int(event.created_at.timestamp() * 1e9),
        ).end()

    def close(self) -> None:
        """Send what is left to send, if the collector takes it soon."""
        ending = threading.Thread(
            target=self._provider.shutdown, name='tracing-stop', daemon=True
        )
        ending.start()
        ending.join(_CLOSE_S)

    def _parent_of(self, text: str) -> Any:
        found = _TRACEPARENT.fullmatch(text)
        if found is None:
            # Somebody's mistake; a trace of its own then.
            return None
        parent = self._api.SpanContext(
            trace_id=int(found[1], 16),
            span_id=int(found[2], 16),
            is_remote=True,
            trace_flags=self._api.TraceFlags(self._api.TraceFlags.SAMPLED),
        )
        return self._api.set_span_in_context(
            self._api.NonRecordingSpan(parent)
        )


class _Span(Span):
    """A span, whose phases are spans below it. For one thread at a time."""

    def __init__(self, tracer: Any, context: Any) -> None:
        self._tracer = tracer
        self._context = context
        self._phase: Any = None

    def phase(self, name: str) -> None:
        """Note that another phase begins."""
        self.close()
        self._phase = self._tracer.start_span(
            f'virtdc phase {name}', context=self._context
        )

    def close(self) -> None:
        """End the phase that there is."""
        if self._phase is not None:
            self._phase.end()
            self._phase = None


def open_tracer(address: str | None, *, service: str) -> Tracer | None:
    """Return what sends traces to an address; ``None``: there is none.

    :raises CannotTrace: the libraries are not installed.
    """
    if not address:
        return None
    return Tracer.exporting_to(
        address, service=service, host=socket.gethostname()
    )


def traceparent_of(base_id: str, span_id: str) -> str:
    """Return the ``traceparent`` of a span of osprofiler.

    :param base_id: of its trace, a UUID.
    :param span_id: its own, a UUID.
    :returns: empty if they are none.
    """
    try:
        trace, span = uuid.UUID(base_id), uuid.UUID(span_id)
    except ValueError:
        return ''
    return f'00-{trace.hex}-{span.int & (2**64 - 1):016x}-01'


@contextlib.contextmanager
def beneath_cinder(name: str) -> Iterator[str]:
    """Have the body be a span of Cinder's, if Cinder traces it.

    Yields the ``traceparent`` of what is done in it; empty: nobody traces.
    """
    try:
        from osprofiler import profiler
    except ImportError:
        yield ''
        return
    found = profiler.get()
    if found is None:
        yield ''
        return
    with profiler.Trace(name):
        yield traceparent_of(found.get_base_id(), found.get_id())


def _attributes(about: Event | Transition) -> dict[str, str]:
    return {
        'virtdc.event_id': about.event_id,
        'virtdc.volume_id': about.volume_id,
        'virtdc.operation': about.operation.value,
        'virtdc.origin': about.origin.value,
        'virtdc.request_id': about.requested_by.request_id,
        **(
            {'virtdc.state': about.state.value}
            if isinstance(about, Transition)
            else {}
        ),
    }
