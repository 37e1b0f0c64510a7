"""The dashboard and the alert rules ask for metrics that there are."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import re
import unittest

import yaml

from cinder_virtdc.listener import metering as listener
from virtdc_agent import metering as agent
from virtdc_agent.monitoring.catalogue import Kind
from virtdc_agent.monitoring.catalogue import Metric

ROOT = Path(__file__).parents[3]
DASHBOARD = ROOT / 'etc' / 'grafana' / 'virtdc.json'
RULES = ROOT / 'etc' / 'prometheus' / 'virtdc-rules.yaml'
ALL = {one.name: one for one in (*agent.METRICS, *listener.METRICS)}

_NAME = re.compile(r'\bvirtdc_[a-z_]+')
_MATCHED = re.compile(r'(virtdc_[a-z_]+)\{([^}]*)\}')
_LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)')
_BY = re.compile(r'\bby \(([^)]*)\)')
_SUFFIX = re.compile(r'_(bucket|sum|count)$')


def metric_of(name: str) -> Metric | None:
    """Return the metric that a name in an expression belongs to."""
    found = ALL.get(name)
    if found is not None:
        return None if found.kind is Kind.HISTOGRAM else found
    base = ALL.get(_SUFFIX.sub('', name))
    return base if base and base.kind is Kind.HISTOGRAM else None


def problems_of(expression: str) -> Iterator[str]:
    """Yield what is wrong with the names and labels of an expression."""
    # What is in quotes may look like anything.
    bare = re.sub(r'"[^"]*"', '""', expression)
    names = set(_NAME.findall(bare))
    if not names and 'up' not in bare:
        yield 'it asks for nothing'
    for name in sorted(names):
        if metric_of(name) is None:
            yield f'there is no {name}'
    for name, labels in _MATCHED.findall(bare):
        metric = metric_of(name)
        for label in _LABEL.findall(labels):
            if metric and label not in (*metric.labels, 'le', 'instance'):
                yield f'{name} has no label {label}'
    known = {'instance', 'job', 'le'}.union(
        *(metric.labels for name in names if (metric := metric_of(name)))
    )
    for labels in _BY.findall(bare):
        for label in labels.split(','):
            if label.strip() not in known:
                yield f'nothing here has a label {label.strip()}'


def panels() -> list[dict[str, object]]:
    return json.loads(DASHBOARD.read_text('utf-8'))['panels']


class TestDashboard(unittest.TestCase):
    def test_every_expression_can_have_an_answer(self) -> None:
        for panel in panels():
            for target in panel.get('targets', ()):
                with self.subTest(panel['title']):
                    self.assertEqual([], list(problems_of(target['expr'])))

    def test_every_metric_is_on_it(self) -> None:
        text = ' '.join(
            target['expr']
            for panel in panels()
            for target in panel.get('targets', ())
        )
        shown = {
            metric.name
            for name in _NAME.findall(text)
            if (metric := metric_of(name))
        }
        left_out = {
            *('virtdc_build_info', 'virtdc_listener_build_info'),
            'virtdc_draining',
        }
        self.assertEqual(left_out, set(ALL) - shown)

    def test_no_id_is_used_twice_and_nothing_overlaps(self) -> None:
        found = panels()
        self.assertEqual(len(found), len({one['id'] for one in found}))
        cells = [
            (x, y)
            for one in found
            for place in [one['gridPos']]
            for x in range(place['x'], place['x'] + place['w'])
            for y in range(place['y'], place['y'] + place['h'])
        ]
        self.assertEqual(len(cells), len(set(cells)))
        self.assertLess(max(x for x, _ in cells), 24)

    def test_every_panel_says_what_it_shows(self) -> None:
        for panel in panels():
            if panel['type'] != 'row':
                self.assertTrue(panel['description'], panel['title'])


class TestRules(unittest.TestCase):
    def rules(self) -> Iterator[dict[str, object]]:
        for group in yaml.safe_load(RULES.read_text('utf-8'))['groups']:
            yield from group['rules']

    def test_every_expression_can_have_an_answer(self) -> None:
        for rule in self.rules():
            with self.subTest(rule['alert']):
                self.assertEqual([], list(problems_of(rule['expr'])))

    def test_every_alert_says_what_to_do(self) -> None:
        names = [rule['alert'] for rule in self.rules()]
        self.assertEqual(len(names), len(set(names)))
        for rule in self.rules():
            with self.subTest(rule['alert']):
                self.assertIn(
                    rule['labels']['severity'], ('warning', 'critical')
                )
                self.assertTrue(rule['annotations']['summary'])
                self.assertTrue(rule['annotations']['description'])


class TestTheCheck(unittest.TestCase):
    def test_what_is_wrong_is_found(self) -> None:
        for expression in (
            'rate(virtdc_events_total[5m])',
            'virtdc_limit{pool="x"}',
            'sum by (volume) (virtdc_limit)',
            'virtdc_event_run_seconds',
            'virtdc_limit_bucket',
            'vector(1)',
        ):
            with self.subTest(expression):
                self.assertTrue(list(problems_of(expression)))
