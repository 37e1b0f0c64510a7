"""The trail of an event, through logs and traces."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Protocol

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.monitoring import log_context

RUN = 'run'


class Span:
    """One step of a trail. This one is not traced."""

    def phase(self, name: str) -> None:
        """Note that another phase of the step begins."""


class Tracing(Protocol):
    """Makes spans; see ``Tracer``."""

    def span(
        self, name: str, about: Event | Transition
    ) -> contextlib.AbstractContextManager[Span]:
        """Return a span for the body, below what the event came with."""

    def queued(self, event: Event) -> None:
        """Tell of the time from when an event was made until now."""


class EventTrail:
    """Says in logs and traces what is done about events.

    Safe from any thread.

    :param tracer: ``None``: there are no traces.
    """

    def __init__(self, tracer: Tracing | None = None) -> None:
        self._tracer = tracer

    @contextlib.contextmanager
    def step(self, name: str, about: Event | Transition) -> Iterator[Span]:
        """Have the body be a step of an event's trail.

        Every line that this thread logs meanwhile names the event, its
        volume, and the request that it came from.
        """
        with log_context.about(about):
            if self._tracer is None or not _is_worth_a_span(about):
                yield Span()
                return
            if name == RUN and isinstance(about, Event):
                self._tracer.queued(about)
            with self._tracer.span(name, about) as span:
                yield span


def _is_worth_a_span(about: Event | Transition) -> bool:
    """Say whether to trace it: not each report of progress."""
    if not about.requested_by.trace:
        return False
    return isinstance(about, Event) or about.state is not State.RUNNING
