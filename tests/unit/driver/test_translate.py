from __future__ import annotations

import dataclasses
import unittest

from hypothesis import given
from hypothesis import strategies as st

from cinder_virtdc import exceptions
from cinder_virtdc.fake_agent import FakeAgent
from cinder_virtdc import translate
from tests.unit.driver import builders
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning

GIB = 1024**3


def parameters_of(**specs: str) -> events.CreateParameters:
    return translate.create_parameters(
        builders.volume(volume_type=builders.volume_type(**specs))
    )


class CreateTest(unittest.TestCase):
    def test_a_volume(self) -> None:
        volume = builders.volume(
            size=3,
            display_name='data',
            display_description='of alice',
            metadata={'mine': '1', 'virtdc.state': 'success'},
        )
        self.assertEqual(
            events.CreateParameters(
                size_bytes=3 * GIB,
                name='data',
                description='of alice',
                metadata={'mine': '1'},
            ),
            translate.create_parameters(volume),
        )

    def test_a_volume_without_anything(self) -> None:
        volume = builders.volume(display_name=None, display_description=None)
        self.assertEqual(
            events.CreateParameters(size_bytes=GIB),
            translate.create_parameters(volume),
        )

    def test_one_that_cinder_will_fill_says_so(self) -> None:
        found = translate.create_parameters(
            builders.volume(), to_be_filled=True
        )
        self.assertEqual({translate.TO_BE_FILLED: 'true'}, found.metadata)

    def test_extra_specs(self) -> None:
        thick, thin = Provisioning.THICK, Provisioning.THIN
        for specs, wanted in (
            ({}, (None, None)),
            ({'other': 'thing'}, (None, None)),
            ({'virtdc__format': 'qcow2'}, (Format.QCOW2, None)),
            ({'virtdc__format': ' RAW '}, (Format.RAW, None)),
            ({'virtdc__provisioning': 'thick'}, (None, thick)),
            ({'provisioning__type': 'thick'}, (None, thick)),
            (
                {
                    'provisioning__type': 'thick',
                    'virtdc__provisioning': 'thin',
                },
                (None, thin),
            ),
        ):
            with self.subTest(specs=specs):
                found = parameters_of(**specs)
                self.assertEqual(wanted, (found.format, found.provisioning))

    def test_extra_specs_that_do_not_exist(self) -> None:
        for specs, words in (
            ({'virtdc__format': 'vmdk'}, 'virtdc:format = vmdk.*raw, qcow2'),
            ({'virtdc__provisioning': ''}, 'thin, thick'),
            ({'provisioning__type': 'fat'}, 'provisioning:type = fat'),
        ):
            with (
                self.subTest(specs=specs),
                self.assertRaisesRegex(exceptions.InvalidRequest, words),
            ):
                parameters_of(**specs)

    @given(
        name=st.text(max_size=300),
        description=st.text(max_size=300),
        metadata=st.dictionaries(
            st.text(max_size=255), st.text(max_size=255), max_size=5
        ),
    )
    def test_whatever_a_user_writes_can_travel(
        self, name: str, description: str, metadata: dict[str, str]
    ) -> None:
        volume = builders.volume()
        volume.display_name = name
        volume.display_description = description
        volume.metadata = metadata
        event = translate.event(
            volume,
            translate.create_parameters(volume),
            event_id='event-1',
            now=builders.NOW,
        )
        self.assertEqual(
            event, codec.decode(codec.encode(event), events.Event)
        )


class EventTest(unittest.TestCase):
    def test_it_names_the_data_not_the_record(self) -> None:
        volume = builders.volume(_name_id='migrated')
        event = translate.event(
            volume,
            events.DeleteParameters(),
            event_id='event-1',
            now=builders.NOW,
            request_id='req-1',
        )
        self.assertEqual('migrated', event.volume_id)
        self.assertEqual(Operation.DELETE, event.operation)
        self.assertEqual(events.Origin.CLOUD, event.origin)
        self.assertEqual(
            events.Requester(
                project_id='project', user_id='user', request_id='req-1'
            ),
            event.requested_by,
        )

    def test_a_connector(self) -> None:
        found = translate.connect_parameters({'host': 'a', 'ip': '::1'})
        self.assertEqual('a', found.host)
        self.assertEqual({'host': 'a', 'ip': '::1'}, found.connector)
        for connector in ({}, {'host': ''}, {'host': None}, {'ip': 'x'}):
            with (
                self.subTest(connector=connector),
                self.assertRaisesRegex(exceptions.InvalidRequest, 'host'),
            ):
                translate.connect_parameters(connector)


class StatsTest(unittest.TestCase):
    capacity = FakeAgent().capacity

    def test_up(self) -> None:
        stats = translate.stats(
            dataclasses.replace(
                self.capacity, provisioned_bytes=GIB * 3 // 2, volumes=2
            )
        )
        for name, value in {
            'backend_state': 'up',
            'storage_protocol': 'nfs',
            'total_capacity_gb': 100,
            'free_capacity_gb': 80,
            'provisioned_capacity_gb': 1.5,
            'max_over_subscription_ratio': 20.0,
            'reserved_percentage': 5,
            'thin_provisioning_support': True,
            'thick_provisioning_support': True,
            'online_extend_support': True,
            'multiattach': False,
            'total_volumes': 2,
        }.items():
            self.assertEqual(value, stats[name], name)

    def test_what_the_storage_cannot_is_not_promised(self) -> None:
        stats = translate.stats(
            dataclasses.replace(
                self.capacity,
                provisionings=frozenset({Provisioning.THICK}),
                operations=frozenset({Operation.CREATE}),
            )
        )
        self.assertFalse(stats['thin_provisioning_support'])
        self.assertFalse(stats['online_extend_support'])

    def test_down(self) -> None:
        for known in (None, self.capacity):
            stats = translate.stats_when_down(known)
            self.assertEqual('down', stats['backend_state'])
            self.assertEqual(0, stats['total_capacity_gb'])
            self.assertEqual(0, stats['free_capacity_gb'])
            self.assertIn('storage_protocol', stats)
