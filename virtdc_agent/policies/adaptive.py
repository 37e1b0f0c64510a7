"""A limit that follows what the storage can finish."""

from __future__ import annotations

from collections import deque
import enum
import math

from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.policies.evidence import change_of
from virtdc_agent.policies.evidence import Evidence
from virtdc_agent.policies.evidence import is_enough
from virtdc_agent.policies.evidence import log_odds
from virtdc_agent.policies.evidence import log_ratio
from virtdc_agent.policies.overloads import Overloads

FREE = 0.55
"""Elasticity of throughput from which on there is capacity left."""
SPENT = 0.25
"""Elasticity up to which there is none."""
CERTAINTY = 1.3
"""Standard deviations between an elasticity of 1 or 0 and the threshold."""
EVIDENT = 3.0
"""Log odds between 1 and 0 from which on no more is gathered."""
SMALLEST = 1.35
"""Smaller steps upwards take too long to tell."""
FEW = 10
"""Ends that are too few to compare with."""
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
PROBE = 2.0
"""Up or down: the bolder a step, the fewer ends tell what it did."""
PROBE_FINE = 1.5
PLENTY = 25
"""Ends in a window from which on a smaller step shows soon enough."""
HEADROOM = 1.25
"""Rest so far above the knee: what queues there costs no throughput, and
shows at once when the capacity falls or rises."""
LEAST = 2
"""Below this nothing is tried: to do without the little that may queue gains
nothing, and to find out takes long. Overload lowers it to 1 nevertheless."""
REST = 8
"""Windows between two probes."""
SOON = 2
"""The same, for a storage that could do more once and may be back."""
DOWN = 4
"""Each so many-th probe goes down."""
CHANGED = 1.5
"""A change of throughput, at the same load, that matters."""
NO_ACCIDENT = 3.0
"""Standard deviations from which on it is one."""
DEEPEST = 0.1
"""As far as a single step goes down."""
BASELINE = 200
"""Ends that a resting storage is remembered by."""
FORGETS = 0.999
"""A window's share of what a storage could do once: half is forgotten in
some twenty minutes."""

STRANGE = 1.5
"""Elasticity above which it was not the load that changed it."""
CUT = 0.5
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


LOWERED = (Phase.DOUBT, Phase.DESCEND, Phase.ACCUSE, Phase.PROBE_DOWN)
"""What is compared after a step down, when less getting done is no news."""
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
    - When throughput falls at the same limit, it tries as much less: if as
      much is done then, the storage has become weaker; if less is done, the
      work has become slower, and it goes back. That nothing ends where much
      ought to is seen within two windows.
    - Of a storage that was stronger once it asks sooner, and in larger steps,
      whether it is so again.
    - An overload halves the limit, and puts a wall below where it happened,
      for a while. Of what began under a higher limit nothing is concluded.
      If operations fail whatever the load, which the same comparison shows,
      so many failures are borne from then on.
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
        self._seen = Evidence()
        self._windows: deque[model.Window] = deque(maxlen=2)
        self._before: Evidence | None = None
        self._home = limit
        self._proven: int | None = None
        self._settle_s = 0.0
        self._abandoned = 0
        self._rested = 0
        self._rest_for = REST
        self._probes = 0
        self._once = 0.0
        self._is_deep = False
        self._wall: int | None = None
        self._wall_left = 0
        self._overloads = Overloads()

    @property
    def limit(self) -> int:
        """See the interface."""
        return self._limit

    def observe(self, window: model.Window) -> int:
        """Gather evidence; move once there is enough."""
        self._once *= FORGETS
        self._wall_left -= 1
        if self._wall_left <= 0:
            self._wall = None
        self._seen.add(window)
        self._windows.append(window)
        if self._overloads.are_too_many(window):
            self._give_way(window)
            return self._limit
        if self._has_fallen():
            return self._limit
        if not window.full or window.concurrency < 0.5 * self._limit:
            return self._limit
        is_clearing = window.abandoned < self._abandoned
        self._abandoned = window.abandoned
        if is_clearing or window.concurrency > 1.1 * self._limit + 0.5:
            # What began under a higher limit still takes of the storage.
            return self._limit
        if self._settle_s > TRANSIENT * window.duration_s:
            self._settle_s -= window.duration_s
            return self._limit
        self._now.add(window)
        self._rested += 1
        if self._is_enough():
            self._judge()
        return self._limit

    @property
    def _is_recovering(self) -> bool:
        """Whether it could do much more than this not long ago."""
        return self._once >= GROWTH * self._limit

    # -- overload ---------------------------------------------------------

    def _give_way(self, window: model.Window) -> None:
        self._wall = max(1, int(self._limit * WALL))
        self._wall_left = WALL_WINDOWS
        before, just_now = self._before, Evidence()
        just_now.add(window)
        gain = self._fall_since(before, just_now)
        if before is not None and gain < 0.0 and self._limit > LEAST:
            self._doubt(before, just_now, gain)
        elif self._phase is Phase.REST and before is not None:
            self._home = self._limit
            self._once = max(self._once, float(self._limit))
            self._move(self._limit * CUT, Phase.ACCUSE, 0.0)
        elif self._proven is not None and self._proven <= WALL * self._limit:
            self._rest(self._proven)
        else:
            # What was good is so no more.
            self._once = max(self._once, float(self._proven or 0))
            self._proven = None
            self._move(self._limit * CUT, Phase.FALL, 0.0)

    # -- changes of the storage -------------------------------------------

    def _has_fallen(self) -> bool:
        """Follow a fall that is certain, and is not of this policy's doing.

        Of all windows: what ran is known though the limit was not reached,
        or is exceeded by what began before it was lowered.
        """
        before = self._before
        if before is None or self._limit <= LEAST:
            return False
        for seen in (self._last_two(), self._seen):
            gain = self._fall_since(before, seen) if seen.windows > 1 else 0.0
            if gain < 0.0:
                self._doubt(before, seen, gain)
                return True
        return False

    def _last_two(self) -> Evidence:
        last = Evidence()
        for window in self._windows:
            last.add(window)
        return last

    def _fall_since(self, before: Evidence | None, seen: Evidence) -> float:
        """Return by how much less gets done, as a logarithm, or 0."""
        if before is None or self._phase in LOWERED or seen.load <= 0:
            return 0.0
        change = change_of(before, seen, certainty=NO_ACCIDENT)
        # With fewer beside it nothing takes longer.
        gain = change + max(0.0, math.log(seen.load / before.load))
        bound = CHANGED if self._phase is Phase.REST else CHANGED * GROWTH
        return gain if change and gain <= -math.log(bound) else 0.0

    def _doubt(self, before: Evidence, seen: Evidence, gain: float) -> None:
        """Try with so much less as gets done less.

        Less capacity, or slower work: with less it will show.
        """
        load = min(before.load, float(self._limit))
        self._home = round(load)
        self._once = max(self._once, load)
        self._is_deep = gain < math.log(DEEPEST)
        self._before = seen
        self._move(
            load * max(DEEPEST, math.exp(gain)) * HEADROOM,
            Phase.DOUBT,
            before.duration_s,
        )

    # -- judgement --------------------------------------------------------

    def _is_enough(self) -> bool:
        now, before = self._now, self._compared
        if not now.ends:
            return False
        if now.windows >= PATIENCE:
            return True
        if before is None:
            return now.ends >= (FEW if self._is_recovering else FIRST)
        if before.ends < FEW:
            # Next to nothing ended; now it does, or it will not.
            return now.ends >= FEW
        step = abs(math.log(max(1e-9, now.load / before.load)))
        if self._phase is Phase.REST:
            if self._is_recovering and self._rested >= self._rest_for:
                return True
            step = math.log(CHANGED)
        elif step < 0.1 or abs(log_odds(before, now)) >= EVIDENT:
            return True
        else:
            step *= 0.45
        return step > 0 and is_enough(
            now.ends, before.ends, step=step, certainty=CERTAINTY
        )

    @property
    def _compared(self) -> Evidence | None:
        """What this span is compared with, if with anything."""
        return None if self._phase is Phase.FALL else self._before

    def _judge(self) -> None:
        now, before = self._now, self._compared
        if before is None:
            if self._phase is Phase.REST:
                self._before = now
                self._now = Evidence()
                self._seen = Evidence()
                if self._is_recovering and self._rested >= self._rest_for:
                    self._probe_up(now)
            else:
                self._note()
            return
        if self._phase is Phase.REST:
            self._stay(before)
            return
        ratio = log_ratio(before, now)
        if ratio is None:
            self._before = None
            self._note()
            return
        step = math.log(now.load / before.load)
        gain = ratio + step
        if self._phase in (Phase.CLIMB, Phase.PROBE_UP):
            if step < 0.1:
                self._rest(self._limit)
            else:
                self._went_up(before, gain / step, gain)
        elif step > -0.1:
            self._rest(self._limit)
        else:
            self._went_down(before, gain / step, gain)

    def _note(self) -> None:
        """Nothing is known to compare with: climb, or go on down."""
        self._home = self._limit
        if self._phase is not Phase.FALL:
            self._climb(GROWTH)
        elif self._limit > LEAST:
            self._before = self._now
            self._move(
                self._limit // GROWTH, Phase.DESCEND, self._now.duration_s
            )
        else:
            self._rest(self._limit, self._now)

    def _climb(self, factor: float) -> None:
        wanted = self._limit * factor
        if self._wall is not None:
            wanted = min(wanted, float(self._wall))
        if min(self._ceiling, wanted) < SMALLEST * self._limit:
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
            was_there = BOLD * self._limit <= self._once
            bold = elasticity >= BOLD_FREE and (short or was_there)
            self._climb(BOLD if bold else GROWTH)
            return
        if self._phase is Phase.PROBE_UP:
            self._rest(self._home, before)
            return
        if elasticity <= SPENT and self._proven is None:
            # The knee may be anywhere below.
            if before.load <= LEAST:
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
                    self._limit // GROWTH, Phase.DESCEND, self._now.duration_s
                )
                return
            # Operations fail whatever the load, or they did of it.
            if elasticity >= FREE:
                self._overloads.come_anyway()
            else:
                self._overloads.come_of_load()
        if self._phase is Phase.DOUBT and (self._is_deep or elasticity < FREE):
            # It is weaker than it was, and may be strong again.
            self._once = max(self._once, float(self._home))
            self._proven = None
            if elasticity > SPENT or not self._is_deep:
                self._probe_up(self._now)
                return
        if elasticity >= FREE and self._phase is not Phase.DESCEND:
            # Less was done: what was taken away was of use.
            self._proven = self._home
            self._rest(self._home)
            return
        if elasticity <= SPENT and self._limit > LEAST:
            # As much was done with less.
            self._before = self._now
            self._move(
                self._limit // GROWTH, Phase.DESCEND, self._now.duration_s
            )
            return
        knee = self._now.load * math.exp(max(0.0, -gain))
        self._proven = max(1, round(knee))
        self._rest(min(before.load, knee * HEADROOM))

    def _stay(self, before: Evidence) -> None:
        """Probe, if it is time, or if more gets done than did."""
        now = self._now
        change = change_of(before, now, certainty=NO_ACCIDENT)
        if change + math.log(now.load / before.load) >= math.log(CHANGED):
            self._climb(GROWTH)
            return
        before.merge(now, most=BASELINE)
        if self._rested < self._rest_for:
            self._now = Evidence()
            self._seen = Evidence()
            return
        self._home = self._limit
        upwards = self._is_recovering or self._limit <= LEAST
        if not upwards:
            self._probes += 1
            upwards = self._probes % DOWN != 0
        if not upwards:
            self._move(
                self._limit / _probe_by(before),
                Phase.PROBE_DOWN,
                before.duration_s,
            )
            return
        self._probe_up(before)

    def _probe_up(self, known: Evidence) -> None:
        is_far = self._once >= BOLD * GROWTH * self._limit
        wanted = self._limit * (BOLD if is_far else _probe_by(known))
        if self._wall is not None:
            wanted = min(wanted, float(self._wall))
        if min(self._ceiling, wanted) < SMALLEST * self._limit:
            self._rest(self._limit, known)
            return
        self._home = self._limit
        self._before = known
        self._move(wanted, Phase.PROBE_UP, known.duration_s)

    def _rest(self, limit: float, known: Evidence | None = None) -> None:
        """Stay at a limit.

        :param known: what was seen at it before.
        """
        before, self._before = self._before, known
        self._rested = 0
        wanted = max(1, round(limit))
        if self._once < GROWTH * wanted:
            self._rest_for = REST
        elif self._phase is Phase.PROBE_UP:
            # It is not back yet: ask less and less often.
            self._rest_for = min(REST, self._rest_for + 1)
        else:
            self._rest_for = SOON
        for one in (known, self._now, before):
            if one is not None and one.ends >= FEW:
                self._move(limit, Phase.REST, one.duration_s)
                return
        self._move(limit, Phase.REST, 0.0)

    def _move(self, limit: float, phase: Phase, settle_s: float) -> None:
        before = self._limit
        wanted = round(limit)
        if phase in (Phase.CLIMB, Phase.PROBE_UP):
            wanted = max(wanted, before + 1)
        elif phase in DOWNWARDS:
            wanted = min(wanted, before - 1)
        wanted = max(1, min(self._ceiling, wanted))
        if wanted < before:
            self._overloads.lowered()
        self._limit = wanted
        self._phase = phase
        self._now = Evidence()
        self._seen = Evidence()
        self._windows.clear()
        self._settle_s = min(settle_s, LONGEST_TRANSIENT_S)


def _probe_by(known: Evidence) -> float:
    """Return the factor of a probe, where so much is known."""
    return PROBE_FINE if known.ends >= PLENTY * known.windows else PROBE
