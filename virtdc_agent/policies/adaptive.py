"""A limit that follows what the storage can finish."""

from __future__ import annotations

import enum
import math

from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.model import Signal
from virtdc_agent.policies.evidence import Evidence
from virtdc_agent.policies.evidence import is_enough
from virtdc_agent.policies.evidence import log_ratio

FREE = 0.55
"""Elasticity of throughput from which on there is capacity left."""
SPENT = 0.25
"""Elasticity up to which there is none."""
CERTAINTY = 1.3
"""Standard deviations between an elasticity of 1 or 0 and the threshold."""
FIRST = 20
"""Ends of a first span, which nothing is compared with yet."""
PATIENCE = 30
"""Windows after which a span is judged by what there is."""
TRANSIENT = 0.35
"""Share of a window that may pass before a change shows in it."""
LONGEST_TRANSIENT_S = 60.0

GROWTH = 2.0
BOLD = 3.0
"""Growth where operations are short: a mistake is mended in two windows."""
BOLD_FREE = 0.85
PROBE = 1.5
HEADROOM = 1.25
"""Rest so far above the knee: what queues there costs no throughput, and
shows at once when the capacity falls or rises."""
REST = 8
"""Windows between two probes."""
DOWN = 4
"""Each so many-th probe goes down."""
CHANGED = 1.5
"""A change of throughput, at the same load, that is no accident."""

STRANGE = 1.5
"""Elasticity above which it was not the load that changed it."""
CUT = 0.5
OVERLOADS = 0.005
"""Share of overloads among what ended which is borne."""
MEMORY = 400
"""Ends over which this share is taken."""
WALL = 0.75
"""How far below an overload not to go beyond for a while."""
WALL_WINDOWS = 15


class Phase(enum.Enum):
    """What the limit was last changed for."""

    NOTE = 'note'
    FALL = 'fall'
    CLIMB = 'climb'
    DESCEND = 'descend'
    REST = 'rest'
    PROBE_UP = 'probe up'
    PROBE_DOWN = 'probe down'
    DOUBT = 'doubt'
    ACCUSE = 'accuse'


DOWNWARDS = (
    Phase.DESCEND,
    Phase.DOUBT,
    Phase.ACCUSE,
    Phase.FALL,
    Phase.PROBE_DOWN,
)


class AdaptivePolicy(interfaces.Policy):
    """Find the capacity, stay there, and notice when it changes.

    It climbs a hill: throughput as a function of how many operations run.
    Below the storage's capacity twice as many finish when twice as many run
    (elasticity 1); beyond it no more do, they only take longer (elasticity
    0). So it changes the limit, waits until that shows, gathers as many ends
    as tell one from the other, and compares.

    - While throughput follows, it doubles, and triples where operations are
      short. At the knee it rests a little above, and probes from time to
      time, mostly upwards.
    - When throughput falls at the same limit, it tries less: if as much is
      done then, the storage has become weaker, and it goes on down; if less
      is done, the work has become slower, and it goes back.
    - An overload halves the limit, once for as long as it takes to show, and
      puts a wall below where it happened, for a while. If operations fail
      whatever the load, which the same comparison shows, so many failures
      are borne from then on.
    - Windows that were not full, and requests at fault, move nothing.

    Comparing throughputs is from Heiss and Wagner ("Adaptive Load Control in
    Transaction Processing Systems", VLDB 1991). That it doubles until
    throughput no longer follows, and probes afterwards, is as in BBR
    (Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016); that
    only full windows count, as in Netflix's concurrency-limits; that it
    tells slower work from a queue by changing the limit, as Envoy's adaptive
    concurrency filter measures its minimum round-trip time anew. Durations
    come of Little's law ("A Proof for the Queuing Formula L = λW", 1961).
    How rates are compared, see ``evidence``.
    """

    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        self._limit = limit
        self._ceiling = ceiling
        self._phase = Phase.NOTE
        self._now = Evidence()
        self._before: Evidence | None = None
        self._home = limit
        self._proven: int | None = None
        self._settle_s = 0.0
        self._is_draining = False
        self._rested = 0
        self._probes = 0
        self._wall: int | None = None
        self._wall_left = 0
        self._ended = 0.0
        self._overloads = 0.0
        self._share = 0.0
        self._tolerated = OVERLOADS

    @property
    def limit(self) -> int:
        """See the interface."""
        return self._limit

    def observe(self, window: model.Window) -> int:
        """Gather evidence; move once there is enough."""
        self._wall_left -= 1
        if self._wall_left <= 0:
            self._wall = None
        if self._is_overloaded(window):
            return self._limit
        if not window.full or window.concurrency < 0.5 * self._limit:
            return self._limit
        if self._settle_s > TRANSIENT * window.duration_s:
            self._settle_s -= window.duration_s
            return self._limit
        self._now.add(window)
        self._rested += 1
        if self._is_enough():
            self._judge()
        return self._limit

    # -- overload ---------------------------------------------------------

    def _is_overloaded(self, window: model.Window) -> bool:
        signals = [one.signal for one in window.samples]
        overloads = signals.count(Signal.OVERLOADED)
        if self._is_draining:
            # They began before the limit was cut.
            self._is_draining = window.concurrency > self._limit
            return self._is_draining or overloads > 0
        self._overloads += overloads
        self._ended += overloads + signals.count(Signal.SUCCESS)
        if self._ended > MEMORY:
            self._ended /= 2
            self._overloads /= 2
        if not self._ended:
            return False
        share = self._overloads / self._ended
        self._tolerated = max(OVERLOADS, min(self._tolerated, 3 * share))
        if not overloads or share <= self._tolerated:
            return False
        if self._limit == 1 and share < 0.5 and not window.abandoned:
            # With nothing beside it nothing fails of load.
            self._tolerated = 2 * share
            return False
        self._share, self._overloads = share, 0.0
        self._wall = max(1, int(self._limit * WALL))
        self._wall_left = WALL_WINDOWS
        if self._phase is Phase.REST and self._before is not None:
            self._home = self._limit
            self._move(self._limit * CUT, Phase.ACCUSE, 0.0)
        elif self._proven is not None and self._proven <= WALL * self._limit:
            self._rest(self._proven)
        else:
            # What was good is so no more.
            self._fall()
        self._is_draining = True
        return True

    def _fall(self) -> None:
        self._before = None
        self._proven = None
        self._move(self._limit * CUT, Phase.FALL, 0.0)

    # -- judgement --------------------------------------------------------

    def _is_enough(self) -> bool:
        now, before = self._now, self._before
        if not now.ends:
            return False
        if now.windows >= PATIENCE:
            return True
        if before is None:
            return now.ends >= FIRST
        step = abs(math.log(max(1e-9, now.load / before.load)))
        if self._phase is Phase.REST:
            step = math.log(CHANGED)
        else:
            step *= 0.45
        return step > 0 and is_enough(
            now.ends, before.ends, step=step, certainty=CERTAINTY
        )

    def _judge(self) -> None:
        now, before = self._now, self._before
        if before is None:
            if self._phase is Phase.REST:
                self._before = now
                self._now = Evidence()
            else:
                self._note()
            return
        ratio = log_ratio(before, now)
        if ratio is None:
            self._before = None
            self._note()
            return
        step = math.log(now.load / before.load)
        gain = ratio + step
        if self._phase is Phase.REST:
            self._compare(gain)
        elif self._phase in (Phase.CLIMB, Phase.PROBE_UP):
            if step < 0.1:
                self._rest(self._limit)
            else:
                self._went_up(before, gain / step, gain)
        elif step > -0.1:
            self._rest(self._limit)
        else:
            self._went_down(before, gain / step, gain)

    def _note(self) -> None:
        """Nothing is known to compare with: climb."""
        self._home = self._limit
        if self._phase is Phase.FALL and self._limit > 1:
            self._before = self._now
            self._move(
                self._limit / GROWTH, Phase.DESCEND, self._now.duration_s
            )
        else:
            self._climb(GROWTH if self._wall is None else PROBE)

    def _climb(self, factor: float) -> None:
        wanted = self._limit * factor
        if self._wall is not None:
            wanted = min(wanted, float(self._wall))
        if min(self._ceiling, round(wanted)) <= self._limit:
            self._rest(self._limit)
            return
        self._before = self._now
        self._move(wanted, Phase.CLIMB, self._now.duration_s)

    def _went_up(
        self, before: Evidence, elasticity: float, gain: float
    ) -> None:
        now = self._now
        if elasticity >= FREE:
            self._proven = self._limit
            short = now.duration_s <= 0.5 * now.span_s / now.windows
            bold = elasticity >= BOLD_FREE and short
            self._climb(BOLD if bold else GROWTH)
            return
        if self._phase is Phase.PROBE_UP:
            self._rest(self._home)
            return
        if elasticity <= SPENT and self._proven is None:
            # The knee may be anywhere below.
            if before.load < 1.5:
                self._rest(before.load)
                return
            self._before = before
            self._move(before.load / GROWTH, Phase.DESCEND, now.duration_s)
            return
        # Up to the knee throughput grows as the load does.
        knee = before.load * math.exp(max(0.0, gain))
        self._proven = max(1, round(knee))
        self._rest(min(knee * HEADROOM, float(self._limit)))

    def _went_down(
        self, before: Evidence, elasticity: float, gain: float
    ) -> None:
        if self._phase is Phase.ACCUSE:
            if elasticity > STRANGE:
                # The capacity fell at the same time, who knows how far.
                self._proven = None
                self._before = self._now
                self._move(
                    self._limit / GROWTH, Phase.DESCEND, self._now.duration_s
                )
                return
            # Operations fail whatever the load, or they did of it.
            if elasticity >= FREE:
                self._tolerated = min(0.5, 2 * self._share)
                self._overloads = self._share * self._ended
            else:
                self._tolerated = OVERLOADS
        if elasticity >= FREE and self._phase is not Phase.DESCEND:
            # Less was done: what was taken away was of use.
            self._proven = self._home
            self._rest(self._home)
            return
        if elasticity <= SPENT and self._limit > 1:
            # As much was done with less.
            self._before = self._now
            self._move(
                self._limit / GROWTH, Phase.DESCEND, self._now.duration_s
            )
            return
        knee = self._now.load * math.exp(max(0.0, -gain))
        self._proven = max(1, round(knee))
        self._rest(min(before.load, knee * HEADROOM))

    def _compare(self, gain: float) -> None:
        """Judge another span at the same limit."""
        now = self._now
        if gain <= -math.log(CHANGED):
            # Less capacity, or slower work: with less it will show.
            self._home = self._limit
            self._before = now
            self._move(
                self._limit * max(0.1, math.exp(gain)) * HEADROOM,
                Phase.DOUBT,
                now.duration_s,
            )
            return
        if gain >= math.log(CHANGED):
            self._climb(GROWTH)
            return
        if self._rested < REST:
            self._now = Evidence()
            return
        self._probes += 1
        self._home = self._limit
        self._before = now
        if self._probes % DOWN or self._limit == 1:
            wanted = self._limit * PROBE
            if self._wall is not None:
                wanted = min(wanted, float(self._wall))
            if wanted <= self._limit:
                self._rest(self._limit)
                return
            self._move(wanted, Phase.PROBE_UP, now.duration_s)
        else:
            self._move(self._limit / PROBE, Phase.PROBE_DOWN, now.duration_s)

    def _rest(self, limit: float) -> None:
        duration_s = self._now.duration_s
        self._before = None
        self._rested = 0
        self._move(limit, Phase.REST, duration_s)

    def _move(self, limit: float, phase: Phase, settle_s: float) -> None:
        before = self._limit
        wanted = round(limit)
        if phase in (Phase.CLIMB, Phase.PROBE_UP):
            wanted = max(wanted, before + 1)
        elif phase in DOWNWARDS:
            wanted = min(wanted, before - 1)
        self._limit = max(1, min(self._ceiling, wanted))
        self._phase = phase
        self._now = Evidence()
        self._settle_s = min(settle_s, LONGEST_TRANSIENT_S)
