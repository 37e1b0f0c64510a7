from __future__ import annotations

import unittest

from cinder_virtdc.sync import properties
from tests.unit.driver.builders import transition
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import State


class PropertiesTest(unittest.TestCase):
    def test_what_a_user_sees(self) -> None:
        self.assertEqual(
            {
                'virtdc.state': 'running',
                'virtdc.operation': 'create',
                'virtdc.progress': '48 %',
                'virtdc.event_id': 'event-1',
                'virtdc.updated_at': '2026-01-01T00:00:07Z',
                'virtdc.sequence': '7',
            },
            properties.properties_of(transition(7, progress=48)),
        )

    def test_progress_is_never_made_up(self) -> None:
        for state, progress, shown in (
            (State.WAITING, None, '0 %'),
            (State.RUNNING, None, 'unknown'),
            (State.RUNNING, 0, '0 %'),
            (State.SUCCESS, 100, '100 %'),
            (State.FAILED, 48, '48 %'),
            (State.FAILED, None, '0 %'),
        ):
            with self.subTest(state=state):
                found = properties.properties_of(
                    transition(1, state, progress=progress)
                )
                self.assertEqual(shown, found[properties.PROGRESS])

    def test_a_failure_says_why(self) -> None:
        found = properties.properties_of(transition(1, State.FAILED))
        self.assertEqual('backend', found[properties.REASON])
        self.assertEqual('The storage is full.', found[properties.MESSAGE])

    def test_everything_fits_into_cinder(self) -> None:
        for message in ('x' * 300, 'ä' * 255, '\U0001f4be' * 300):
            found = properties.properties_of(
                transition(2**63 - 1, State.FAILED, message=message)
            )
            self.assertLessEqual(max(map(len, found.values())), 255)
            self.assertLessEqual(max(map(ord, found['virtdc.message'])), 65535)
        self.assertEqual(
            'x' * 254 + '…',
            properties.properties_of(
                transition(1, State.FAILED, message='x' * 256)
            )['virtdc.message'],
        )

    def test_only_our_keys(self) -> None:
        found = properties.properties_of(transition(1, State.FAILED))
        self.assertEqual(properties.KEYS, found.keys())

    def test_sequence(self) -> None:
        for text, sequence in (
            ('7', 7),
            ('', 0),
            ('x', 0),
            ('-1', 0),
            ('\u0663', 0),
        ):
            self.assertEqual(
                sequence, properties.sequence_of({'virtdc.sequence': text})
            )
        self.assertEqual(0, properties.sequence_of({}))

    def test_the_end_of_a_volume(self) -> None:
        delete = Operation.DELETE
        self.assertTrue(
            properties.ends_volume(
                transition(1, State.SUCCESS, operation=delete)
            )
        )
        self.assertFalse(
            properties.ends_volume(
                transition(1, State.FAILED, operation=delete)
            )
        )
        self.assertFalse(properties.ends_volume(transition(1, State.SUCCESS)))
