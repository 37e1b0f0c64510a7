"""Gathers what a policy is shown of a lane."""

from __future__ import annotations

import threading

from virtdc_agent.executor.gate import Gate
from virtdc_agent.executor.operation import RunningOperation
from virtdc_agent import interfaces
from virtdc_agent import model


class Recorder:
    """What ran in a lane since its last window. Safe from any thread.

    :param gate: of the lane.
    """

    def __init__(self, gate: Gate, clock: interfaces.Clock) -> None:
        self._gate = gate
        self._clock = clock
        self._lock = threading.Lock()
        self._samples: list[model.Sample] = []
        self._running: dict[int, RunningOperation] = {}
        self._begun_at = clock.monotonic()
        self._area = gate.area
        self._hurt = False

    @property
    def is_hurt(self) -> bool:
        """Whether an overload was seen in this window."""
        with self._lock:
            return self._hurt

    def add(self, operation: RunningOperation) -> None:
        """Note that an attempt has begun."""
        with self._lock:
            self._running[id(operation)] = operation

    def end(self, operation: RunningOperation, signal: model.Signal) -> None:
        """Note how an attempt has ended."""
        duration_s = self._clock.monotonic() - operation.attempt_started
        sample = model.Sample(
            kind=operation.kind,
            signal=signal,
            duration_s=duration_s,
            concurrency=_mean(self._gate.area - operation.area, duration_s),
        )
        with self._lock:
            self._running.pop(id(operation), None)
            self._samples.append(sample)
            self._hurt |= signal is model.Signal.OVERLOADED

    def begin(self) -> None:
        """Begin a window here."""
        with self._lock:
            self._begun_at = self._clock.monotonic()
            self._area = self._gate.area

    def close(self, *, limit: int, taken: int, full: bool) -> model.Window:
        """End a window; the next one begins."""
        now, area = self._clock.monotonic(), self._gate.area
        with self._lock:
            samples, self._samples = self._samples, []
            self._hurt = False
            running = list(self._running.values())
            duration_s = now - self._begun_at
            concurrency = _mean(area - self._area, duration_s, least=0.0)
            self._begun_at, self._area = now, area
        return model.Window(
            limit=limit,
            taken=taken,
            full=full,
            samples=tuple(samples),
            duration_s=duration_s,
            concurrency=concurrency,
            unfinished=tuple(
                model.Unfinished(
                    kind=operation.kind,
                    age_s=now - operation.attempt_started,
                    concurrency=_mean(
                        area - operation.area, now - operation.attempt_started
                    ),
                )
                for operation in running
            ),
            abandoned=self._gate.abandoned,
        )


def _mean(area: float, duration_s: float, *, least: float = 1.0) -> float:
    return max(least, area / duration_s) if duration_s > 0 else least
