"""The metrics of one process, on prometheus_client."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import logging

import prometheus_client as prometheus
from prometheus_client import core
from prometheus_client import registry

from virtdc_agent.monitoring.catalogue import Kind
from virtdc_agent.monitoring.catalogue import Metric
from virtdc_agent.monitoring.catalogue import Reading

LOG = logging.getLogger(__name__)

_FAMILIES: dict[Kind, type[core.Metric]] = {
    Kind.COUNTER: core.CounterMetricFamily,
    Kind.GAUGE: core.GaugeMetricFamily,
}


class Board:
    """Counts as things happen, and reads the rest when it is scraped.

    It has a registry of its own, with what there is to say of the process.
    Safe from any thread.

    :param catalogue: all metrics; others are refused.
    """

    def __init__(self, catalogue: Sequence[Metric]) -> None:
        self.registry = prometheus.CollectorRegistry()
        self._counters: dict[str, prometheus.Counter] = {}
        self._histograms: dict[str, prometheus.Histogram] = {}
        for metric in catalogue:
            if metric.is_read or metric.kind is Kind.GAUGE:
                continue
            if metric.kind is Kind.COUNTER:
                self._counters[metric.name] = prometheus.Counter(
                    metric.name.removesuffix('_total'),
                    metric.meaning,
                    metric.labels,
                    registry=self.registry,
                )
            else:
                self._histograms[metric.name] = prometheus.Histogram(
                    metric.name,
                    metric.meaning,
                    metric.labels,
                    buckets=metric.buckets,
                    registry=self.registry,
                )
        self._readings = _Readings(catalogue)
        self.registry.register(self._readings)
        prometheus.ProcessCollector(registry=self.registry)

    def count(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter."""
        counter = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(by)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add to a histogram."""
        histogram = self._histograms[name]
        (histogram.labels(*labels) if labels else histogram).observe(value)

    def read_from(self, source: Callable[[], Iterable[Reading]]) -> None:
        """Have a source asked at each scrape. It must answer soon."""
        self._readings.sources.append(source)


class _Readings(registry.Collector):
    """Asks the sources when it is scraped."""

    def __init__(self, catalogue: Sequence[Metric]) -> None:
        self._metrics = {
            metric.name: metric
            for metric in catalogue
            if metric.is_read or metric.kind is Kind.GAUGE
        }
        self.sources: list[Callable[[], Iterable[Reading]]] = []

    def describe(self) -> Iterable[core.Metric]:
        """Name the metrics without asking, so that no name is used twice."""
        return [self._family(metric) for metric in self._metrics.values()]

    def collect(self) -> Iterator[core.Metric]:
        """Ask. A source that fails is missing; the others are there."""
        families = {
            name: self._family(metric)
            for name, metric in self._metrics.items()
        }
        for source in self.sources:
            try:
                for one in source():
                    families[one.name].add_metric(  # type: ignore[attr-defined]
                        one.labels, one.value
                    )
            except Exception:
                LOG.exception('Some metrics cannot be read')
        yield from families.values()

    def _family(self, metric: Metric) -> core.Metric:
        make = _FAMILIES[metric.kind]
        return make(  # type: ignore[call-arg]
            metric.name.removesuffix('_total'),
            metric.meaning,
            labels=metric.labels,
        )
