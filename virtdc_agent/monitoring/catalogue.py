"""What is said of a metric, once: in the scrape and in the documents."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import enum

SECONDS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    *(30.0, 60.0, 300.0, 1800.0, 7200.0),
)
"""Bounds for what takes from milliseconds (a new volume) to hours (a copy)."""
REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds for what somebody waits for."""


class Kind(enum.StrEnum):
    """The types of Prometheus that are used."""

    COUNTER = 'counter'
    GAUGE = 'gauge'
    HISTOGRAM = 'histogram'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    :param name: as it is scraped; counters end in ``_total``.
    :param meaning: a sentence.
    :param labels: names of labels, whose values are few and known: never
        an id, never a name that users give.
    :param is_read: asked for at each scrape, rather than counted as it
        happens. Gauges always are.
    """

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: Sequence[float] = SECONDS
    is_read: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a metric is at a moment.

    :param labels: their values, in the order of their names.
    """

    name: str
    value: float
    labels: tuple[str, ...] = ()
