"""How fast operations end: what a policy knows of a span of time."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import math

from virtdc_agent import model
from virtdc_agent.model import Signal


@dataclasses.dataclass(slots=True)
class Evidence:
    """What was seen while the limit was the same.

    For each kind: how many ended well, and the operation-seconds that it
    took, of those that have not ended yet too. Their quotient, the rate at
    which a running operation ends, needs no operation to be waited for, and
    is not fooled by the short ones ending first: it is the estimate of
    survival analysis for what is observed in part only.

    Not safe for threads.
    """

    span_s: float = 0.0
    windows: int = 0
    ends: int = 0
    overloads: int = 0
    load_s: float = 0.0
    """Operation-seconds altogether, of abandoned ones too."""
    by_kind: dict[str, tuple[int, float]] = dataclasses.field(
        default_factory=dict
    )
    """Ends and operation-seconds."""

    @property
    def load(self) -> float:
        """How many ran on average; those given up take of the storage too."""
        return self.load_s / self.span_s if self.span_s else 0.0

    @property
    def duration_s(self) -> float:
        """Mean duration by Little's law: how many ran over how many ended.

        Without those that were given up.
        """
        if not self.ends:
            return math.inf
        return sum(span_s for _, span_s in self.by_kind.values()) / self.ends

    def add(self, window: model.Window) -> None:
        """Add a window."""
        self.span_s += window.duration_s
        self.windows += 1
        self.load_s += (
            window.concurrency + window.abandoned
        ) * window.duration_s
        for kind, (ends, span_s) in _exposures(window).items():
            before_ends, before_s = self.by_kind.get(kind, (0, 0.0))
            self.by_kind[kind] = (before_ends + ends, before_s + span_s)
            self.ends += ends
        self.overloads += sum(
            one.signal is Signal.OVERLOADED for one in window.samples
        )

    def merge(self, other: Evidence, *, most: int) -> None:
        """Add what was seen under the same limit at another time.

        :param most: ends; of more, the older count for half.
        """
        if self.ends > most:
            self.span_s /= 2
            self.load_s /= 2
            self.windows = -(-self.windows // 2)
            self.overloads //= 2
            self.by_kind = {
                kind: (ends // 2, span_s / 2)
                for kind, (ends, span_s) in self.by_kind.items()
            }
            self.ends = sum(ends for ends, _ in self.by_kind.values())
        self.span_s += other.span_s
        self.load_s += other.load_s
        self.windows += other.windows
        self.ends += other.ends
        self.overloads += other.overloads
        for kind, (ends, span_s) in other.by_kind.items():
            own_ends, own_s = self.by_kind.get(kind, (0, 0.0))
            self.by_kind[kind] = (own_ends + ends, own_s + span_s)


def _exposures(window: model.Window) -> Mapping[str, tuple[int, float]]:
    """Return ends and operation-seconds inside the window, by kind.

    When inside it something ended is not told: the mean over all instants is
    taken, and the sum corrected by what ran altogether.
    """
    length_s = max(window.duration_s, 1e-9)
    found: dict[str, tuple[int, float]] = {}
    for one in window.samples:
        if one.signal is Signal.IGNORED:
            continue
        inside_s = min(one.duration_s, length_s)
        inside_s -= inside_s**2 / (2 * length_s)
        ends, span_s = found.get(one.kind, (0, 0.0))
        ends += one.signal is Signal.SUCCESS
        found[one.kind] = (ends, span_s + inside_s)
    for left in window.unfinished:
        ends, span_s = found.get(left.kind, (0, 0.0))
        found[left.kind] = (ends, span_s + min(left.age_s, length_s))
    total_s = sum(span_s for _, span_s in found.values())
    if total_s <= 0:
        return found
    scale = window.concurrency * length_s / total_s
    return {kind: (n, span_s * scale) for kind, (n, span_s) in found.items()}


def log_ratio(before: Evidence, now: Evidence) -> float | None:
    """Return the logarithm of how much faster operations end now.

    0: as fast; -0.69: half as fast, all take twice as long. Each kind is
    compared with itself only, and counts for as much as is known of it
    (Mantel and Haenszel 1959, for rates: Rothman, "Modern Epidemiology"): a
    change of what is asked for is not taken for one of the storage.

    :returns: ``None`` when no kind was seen on both sides.
    """
    above = below = 0.0
    for kind, (ends, span_s) in now.by_kind.items():
        ends_before, before_s = before.by_kind.get(kind, (0, 0.0))
        if span_s <= 0 or before_s <= 0:
            continue
        above += ends * before_s / (span_s + before_s)
        below += ends_before * span_s / (span_s + before_s)
    if not above and not below:
        return None
    # Half an end more on either side: the logarithm is finite, and hardly
    # moved by it where there are many.
    return math.log((above + 0.25) / (below + 0.25))


def change_of(before: Evidence, now: Evidence, *, certainty: float) -> float:
    """Return ``log_ratio`` if it is certain, else 0.

    What would have ended at the former rates is compared with what did; that
    nothing ends says something as well. The measure is the signed root of
    the deviance of a Poisson count (McCullagh and Nelder, "Generalized
    Linear Models"), widened by what the former rates are uncertain by.

    :param certainty: in standard deviations.
    """
    expected, ended, known = _expected(before, now)
    if not known or expected <= 0:
        return 0.0
    deviance = 2 * (expected - ended)
    if ended:
        deviance += 2 * ended * math.log(ended / expected)
    if deviance < certainty**2 * (1 + expected / known):
        return 0.0
    return math.log((ended + 0.25) / (expected + 0.25))


def log_odds(before: Evidence, now: Evidence) -> float:
    """Return how much more likely it is that throughput followed the load.

    The logarithm of the likelihood of an elasticity of 1 over that of 0, as
    in Wald's sequential test ("Sequential Tests of Statistical Hypotheses",
    1945): beyond 3 either way, one in twenty is wrong. Nearer to 0 by what
    the former rates are uncertain by.
    """
    expected, ended, known = _expected(before, now)
    if not known or now.load <= 0 or before.load <= 0:
        return 0.0
    step = math.log(now.load / before.load)
    odds = ended * step - expected * (1 - math.exp(-step))
    return odds / (1 + expected / known)


def _expected(before: Evidence, now: Evidence) -> tuple[float, int, int]:
    """Return how many would have ended now at the former rates.

    :returns: with it, how many did, and of how many the rates are known.
    """
    expected, ended, known = 0.0, 0, 0
    for kind, (ends, span_s) in now.by_kind.items():
        ends_before, before_s = before.by_kind.get(kind, (0, 0.0))
        if ends_before and before_s > 0:
            expected += span_s * ends_before / before_s
            ended += ends
            known += ends_before
    return expected, ended, known


def is_enough(
    ends: int, before: int, *, step: float, certainty: float
) -> bool:
    """Say whether so many ends tell a change by ``step`` from chance.

    The logarithm of a quotient of two counts varies by the sum of their
    inverses (counts of independent ends, as in a Poisson process).

    :param step: of the logarithm.
    :param certainty: in standard deviations.
    """
    if not ends or not before:
        return False
    variance = (step / certainty) ** 2
    # What the other side lacks, this one need not make up for.
    return 1 / ends + min(1 / before, variance / 2) <= variance
