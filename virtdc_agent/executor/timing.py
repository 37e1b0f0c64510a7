"""How long things may take, and how they are tried again. Pure."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long one operation may take, in seconds.

    :param timeout_s: from its start or, if progress extends it, from its
        last progress.
    :param cap_s: from its start, whatever its progress.
    """

    timeout_s: float
    is_extendable: bool = False
    cap_s: float = 86400.0

    def deadline(self, started: float, moved: float | None) -> float:
        """Return when the time is up.

        :param moved: when it last made progress, on the scale of ``started``.
        """
        if not self.is_extendable or moved is None:
            return started + self.timeout_s
        return min(
            max(started, moved) + self.timeout_s,
            started + max(self.cap_s, self.timeout_s),
        )

    def explain(self, elapsed_s: float) -> str:
        """Say which bound an operation has met."""
        if not self.is_extendable or elapsed_s <= self.timeout_s:
            return f'Not finished within {self.timeout_s:g} s.'
        if elapsed_s >= self.cap_s:
            return f'Not finished within {self.cap_s:g} s, the most there is.'
        return f'No progress within {self.timeout_s:g} s.'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The executor's settings, all in seconds.

    :param interval_s: T1.
    :param timeout_s: T2, for kinds that ``timeouts_s`` does not name.
    :param extendable: kinds whose deadline is moved by progress.
    :param cap_s: what no progress exceeds.
    """

    interval_s: float = 2.0
    timeout_s: float = 60.0
    timeouts_s: Mapping[str, float] = dataclasses.field(default_factory=dict)
    extendable: Collection[str] = ()
    cap_s: float = 86400.0
    lease_s: float = 30.0
    progress_interval_s: float = 1.0

    def budget_of(self, kind: str) -> Budget:
        """Return how long an operation of a kind may take."""
        return Budget(
            timeout_s=self.timeouts_s.get(kind, self.timeout_s),
            is_extendable=kind in self.extendable,
            cap_s=self.cap_s,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often, and after what pause, a busy storage is asked again.

    The pause is random between 0 and a bound that doubles: "full jitter",
    which spreads those that failed together (Brooker, "Exponential Backoff
    And Jitter", AWS Architecture Blog, 2015).

    :param most: how often at most, after the first attempt.
    """

    most: int = 3
    base_s: float = 0.5
    longest_s: float = 10.0

    def pause_s(self, retry: int, dice: float) -> float:
        """Return how long to wait before a retry.

        :param retry: 1 for the first.
        :param dice: from 0 to 1, random.
        """
        bound_s: float = self.base_s * 2 ** (retry - 1)
        return dice * min(self.longest_s, bound_s)
