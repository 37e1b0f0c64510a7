"""Every message of every released version is still read, and still means
what it meant."""

from __future__ import annotations

import json
from pathlib import Path
import unittest

from tests.unit.contract import golden
from virtdc_agent.contract import alarms
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract import resyncs

FOLDER = Path(__file__).parents[2] / 'samples' / 'contract'


def samples() -> list[tuple[str, str, object]]:
    """Return (version, name, JSON) of every sample."""
    return [
        (path.parent.name, path.stem, json.loads(path.read_text('utf-8')))
        for path in sorted(FOLDER.glob('*/*.json'))
    ]


class TestSamples(unittest.TestCase):
    def test_files_and_values_are_the_same_set(self) -> None:
        self.assertEqual(
            {(version, name) for version, name, _ in samples()},
            {
                (version, name)
                for version, values in golden.VALUES.items()
                for name in values
            },
        )

    def test_read_as_what_they_say(self) -> None:
        for version, name, envelope in samples():
            with self.subTest(version=version, name=name):
                value = golden.VALUES[version][name]
                self.assertEqual(value, codec.decode(envelope, type(value)))

    def test_samples_of_this_version_are_what_is_written(self) -> None:
        for version, name, envelope in samples():
            if version == codec.VERSION:
                with self.subTest(name=name):
                    self.assertEqual(
                        envelope, codec.encode(golden.VALUES[version][name])
                    )

    def test_notifications_are_told_apart(self) -> None:
        for version, name, envelope in samples():
            value = golden.VALUES[version][name]
            if isinstance(value, events.Notification):
                with self.subTest(version=version, name=name):
                    self.assertEqual(
                        value, codec.decode_notification(envelope)
                    )

    def test_this_version_has_a_sample_of_everything(self) -> None:
        values = golden.VALUES[codec.VERSION].values()
        self.assertEqual(
            {
                events.Event,
                events.Transition,
                events.Announcement,
                events.Volume,
                events.Snapshot,
                events.Manageable,
                events.Capacity,
                events.TrashedVolume,
                alarms.Alarm,
                alarms.AlarmNotice,
                resyncs.Resync,
            },
            {type(value) for value in values},
        )
        self.assertEqual(
            set(events.Operation),
            {v.operation for v in values if isinstance(v, events.Event)},
        )
        told = [v for v in values if isinstance(v, events.Transition)]
        self.assertEqual(set(events.State), {v.state for v in told})
        self.assertEqual({None, *events.Reason}, {v.reason for v in told})
        self.assertEqual(
            set(events.Origin),
            {v.origin for v in values if isinstance(v, events.Event)},
        )

    def test_written_of_plain_json_types_only(self) -> None:
        plain = (dict, list, str, int, float, bool, type(None))
        for name, value in golden.VALUES[codec.VERSION].items():
            with self.subTest(name=name):
                todo: list[object] = [codec.encode(value)]
                while todo:
                    item = todo.pop()
                    self.assertIn(type(item), plain)
                    if isinstance(item, dict):
                        todo += [*item, *item.values()]
                    elif isinstance(item, list):
                        todo += item
