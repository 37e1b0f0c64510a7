"""Metrics are what the catalogue says, and nothing else."""

from __future__ import annotations

import unittest

import prometheus_client

from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring.catalogue import Kind
from virtdc_agent.monitoring.catalogue import Metric
from virtdc_agent.monitoring.catalogue import Reading

CATALOGUE = (
    Metric(name='x_total', kind=Kind.COUNTER, meaning='Xs.', labels=('how',)),
    Metric(
        name='x_seconds',
        kind=Kind.HISTOGRAM,
        meaning='How long.',
        buckets=(1.0, 10.0),
    ),
    Metric(name='depth', kind=Kind.GAUGE, meaning='How deep.'),
    Metric(
        name='sent_total',
        kind=Kind.COUNTER,
        meaning='Sent.',
        labels=('to',),
        is_read=True,
    ),
)


class TestBoard(unittest.TestCase):
    def setUp(self) -> None:
        self.board = Board(CATALOGUE)

    def scrape(self) -> str:
        return prometheus_client.generate_latest(self.board.registry).decode()

    def test_counts_observes_and_reads(self) -> None:
        self.board.count('x_total', 'well')
        self.board.count('x_total', 'well', by=2)
        self.board.observe('x_seconds', 3.0)
        self.board.read_from(
            lambda: [
                Reading('depth', 7.0),
                Reading('sent_total', 5.0, ('log',)),
            ]
        )
        text = self.scrape()
        for line in (
            '# TYPE x_total counter',
            'x_total{how="well"} 3.0',
            'x_seconds_bucket{le="1.0"} 0.0',
            'x_seconds_bucket{le="10.0"} 1.0',
            'x_seconds_sum 3.0',
            '# TYPE depth gauge',
            'depth 7.0',
            '# TYPE sent_total counter',
            'sent_total{to="log"} 5.0',
        ):
            self.assertIn(line + '\n', text)

    def test_what_is_not_in_the_catalogue_is_refused(self) -> None:
        with self.assertRaises(KeyError):
            self.board.count('y_total')
        with self.assertRaises(ValueError):
            self.board.count('x_total', 'well', 'and more')

    def test_a_source_that_fails_does_not_hide_the_others(self) -> None:
        def fail() -> list[Reading]:
            raise RuntimeError('no')

        self.board.read_from(fail)
        self.board.read_from(lambda: [Reading('depth', 7.0)])
        with self.assertLogs('virtdc_agent.monitoring.board', 'ERROR'):
            self.assertIn('depth 7.0\n', self.scrape())

    def test_names_that_are_used_twice_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            Board([*CATALOGUE[:1], *CATALOGUE[:1]])
