"""A limit that follows what the storage can finish.

It climbs a hill: the throughput as a function of how many operations run.
Below the storage's capacity twice as many finish when twice as many run;
beyond it no more do, they only take longer; far beyond, fewer do. So the
policy changes the limit, waits until the change has shown, and compares.
"""

from __future__ import annotations

import math
import statistics

from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.model import Signal

FEWEST = 16
"""Ends that any judgement is based on."""
CERTAINTY = 8.0
"""Two variances of a count, for two standard deviations: as many ends, over
the square of the step's logarithm, are judged by."""
PATIENCE = 30
"""Windows after which it is judged by fewer."""
TRANSIENT = 0.35
"""Share of a window that may pass before a change shows in it."""
FREE = 0.55
"""Elasticity of throughput from which on there is capacity left."""
SPENT = 0.2
"""Elasticity up to which there is none."""
FASTEST = 2.0
PROBE = 1.5
HEADROOM = 1.1
REST = 2
LONGEST_REST = 16
"""Judgements between two probes when the limit is found: twice as many after
each that was in vain."""
CUT = 0.5
CHANGED = 1.6
"""A change of throughput, at the same concurrency, that is no accident."""


class AdaptivePolicy(interfaces.Policy):
    """Find the capacity, stay there, and notice when it changes.

    By Little's law (Little, "A Proof for the Queuing Formula L = λW", 1961)
    the concurrency of a full window divided by its throughput is the mean
    duration, of what ends and of what does not end in it alike: nothing has
    to be waited for, and slow operations are not overlooked because they have
    not ended yet. Throughput is counted in work: an end counts for as long
    as its kind takes when all is calm, so that a copy of minutes and a delete
    of milliseconds can be added up, and a change of what is asked for is not
    taken for a change of the storage.

    The search by comparison of throughputs follows Heiss and Wagner
    ("Adaptive Load Control in Transaction Processing Systems", VLDB 1991);
    that it doubles while work waits and nothing is in its way, probes now and
    then, and keeps an estimate of what the path can carry is as in BBR
    (Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016); that
    only full windows count, as in Netflix's concurrency-limits.

    Under trial: with kinds of very different length in one lane it may rest
    far too low; the agent keeps copies in a lane of their own. See the
    simulator in ``tests/benchmark``.

    It is never below 1. An overload halves it, once for as long as it takes
    to show. Windows that were not full, and requests at fault, move nothing.
    """

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self._limit = limit
        self._ceiling = ceiling
        self._calm_s: dict[str, float] = {}
        self._known: tuple[float, float] | None = None
        """Concurrency and throughput of the last judgement."""
        self._growth = FASTEST
        self._resting = 0
        self._probes_up = True
        self._back: int | None = None
        self._known_limit = limit
        self._noting = False
        self._draining = False
        self._shrink = FASTEST
        self._rest_for = REST
        self._begin()

    @property
    def limit(self) -> int:
        """See the interface."""
        return self._limit

    def observe(self, window: model.Window) -> int:
        """Gather evidence; move once there is enough."""
        if any(one.signal is Signal.OVERLOADED for one in window.samples):
            self._overloaded(window)
            return self._limit
        self._draining = self._draining and self._is_draining(window)
        if not window.full:
            self._begin()
            return self._limit
        self._gather(window)
        if self._is_enough():
            self._judge(self._area / self._span_s, self._work / self._span_s)
        return self._limit

    def _begin(self, settle_s: float = 0.0) -> None:
        """Forget the evidence; what comes within a time is none."""
        self._settle_s = settle_s
        self._span_s = 0.0
        self._area = 0.0
        self._work = 0.0
        self._ends = 0
        self._squares = 0.0
        self._windows = 0

    def _gather(self, window: model.Window) -> None:
        self._learn(window)
        if self._settle_s > TRANSIENT * window.duration_s:
            self._settle_s -= window.duration_s
            return
        self._windows += 1
        self._span_s += window.duration_s
        self._area += window.concurrency * window.duration_s
        for sample in window.samples:
            if sample.signal is Signal.SUCCESS:
                self._ends += 1
                self._work += self._calm_s[sample.kind]
                self._squares += self._calm_s[sample.kind] ** 2

    def _learn(self, window: model.Window) -> None:
        """Weigh each kind by its mean duration when it was first seen.

        Only the proportions matter, and they must not change while
        throughputs are compared.
        """
        new: dict[str, list[float]] = {}
        for sample in window.samples:
            if (
                sample.signal is Signal.SUCCESS
                and sample.kind not in self._calm_s
            ):
                new.setdefault(sample.kind, []).append(sample.duration_s)
        for kind, durations_s in new.items():
            self._calm_s[kind] = max(1e-6, statistics.fmean(durations_s))

    def _is_enough(self) -> bool:
        if not self._ends:
            return False
        # A few long ones among many short ones decide the sum by chance:
        # what counts is how many of equal length would be as good (Kish).
        alike = self._work**2 / self._squares
        return alike >= self._enough() or self._windows >= PATIENCE

    def _enough(self) -> float:
        """Return how many ends it takes to tell a step from chance.

        The number of ends in a span varies by its square root; a small step
        shows less than a large one, and takes so many more.
        """
        if self._known is None:
            return FEWEST
        expected = math.log(self._limit / self._known_limit)
        if not expected:
            return CERTAINTY / math.log(CHANGED) ** 2
        return max(FEWEST, CERTAINTY / expected**2)

    def _judge(self, concurrency: float, throughput: float) -> None:
        known, self._known = self._known, (concurrency, throughput)
        self._known_limit = self._limit
        # Of those that fill the slots, as they are slowed down now.
        calm_s = self._squares / self._work
        duration_s = calm_s * max(1.0, concurrency / throughput)
        if known is None:
            if self._noting:
                self._noting = False
                self._begin()
            else:
                self._move(self._limit * self._growth, duration_s)
            return
        step = math.log(concurrency / known[0])
        gain = math.log(max(1e-9, throughput) / known[1])
        if abs(step) < 0.1:
            self._compare(concurrency, gain, duration_s)
        elif step > 0:
            self._went_up(known, gain / step, gain, duration_s)
        else:
            self._went_down(known, gain / step, duration_s)

    def _went_up(
        self,
        known: tuple[float, float],
        elasticity: float,
        gain: float,
        duration_s: float,
    ) -> None:
        if elasticity >= FREE:
            self._growth = min(FASTEST, self._growth * 1.5)
            self._rest_for = REST
            self._move(self._limit * self._growth, duration_s)
            return
        if elasticity <= SPENT and self._shrink == FASTEST:
            # Nothing is known yet, and the knee may be anywhere below.
            self._known = known
            self._known_limit = max(1, round(known[0]))
            self._move(known[0] / self._shrink, duration_s)
            return
        # Up to the knee throughput grows as concurrency does.
        knee = known[0] * math.exp(max(0.0, gain)) * HEADROOM
        self._rest(min(knee, float(self._limit)), duration_s)

    def _went_down(
        self,
        known: tuple[float, float],
        elasticity: float,
        duration_s: float,
    ) -> None:
        if elasticity >= FREE:
            # Less was done: what was taken away was of use.
            back = self._back if self._back is not None else known[0]
            self._rest(float(back), duration_s)
            return
        # As much was done with less.
        self._back = None
        if elasticity <= SPENT:
            self._move(self._limit / self._shrink, duration_s)
        else:
            self._rest(self._limit * HEADROOM, duration_s)

    def _compare(
        self, concurrency: float, gain: float, duration_s: float
    ) -> None:
        """Judge another span at the same concurrency."""
        if gain <= -math.log(CHANGED):
            # Less capacity, or slower work: with less it will show.
            self._back = self._limit
            self._rest_for = REST
            self._move(self._limit * math.exp(gain) * HEADROOM, duration_s)
            return
        if gain >= math.log(CHANGED):
            self._growth = FASTEST
            self._rest_for = REST
            self._move(self._limit * self._growth, duration_s)
            return
        self._resting -= 1
        if self._resting > 0:
            self._begin()
            return
        self._growth = PROBE
        self._back = self._limit
        if self._probes_up or self._limit == 1:
            self._move(self._limit * PROBE, duration_s)
        else:
            self._move(self._limit / PROBE, duration_s)
        self._probes_up = not self._probes_up

    def _rest(self, limit: float, duration_s: float) -> None:
        self._resting = self._rest_for
        self._rest_for = min(LONGEST_REST, 2 * self._rest_for)
        self._growth = self._shrink = PROBE
        self._back = None
        self._known = None
        self._move(limit, duration_s)
        # The next judgement only notes where it is.
        self._noting = True

    def _move(self, limit: float, settle_s: float) -> None:
        before = self._limit
        wanted = round(limit)
        if limit > before:
            wanted = max(wanted, before + 1)
        elif limit < before:
            wanted = min(wanted, before - 1)
        self._limit = max(1, min(self._ceiling, wanted))
        self._begin(min(settle_s, 60.0))

    def _overloaded(self, window: model.Window) -> None:
        if self._draining and self._is_draining(window):
            # They began before the limit was cut.
            return
        self._draining = True
        self._rest_for = REST
        self._known = None
        self._growth = PROBE
        self._back = None
        self._move(max(1.0, self._limit * CUT), window.duration_s)

    def _is_draining(self, window: model.Window) -> bool:
        """Say whether still more runs than the limit allows by now."""
        return window.concurrency > self._limit
