from __future__ import annotations

import dataclasses
from typing import Any, ClassVar
import unittest

from hypothesis import given
from hypothesis import strategies as st

from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc import exceptions
from cinder_virtdc import stats as stats_module
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

    def test_what_several_hosts_may_write_to_is_raw(self) -> None:
        found = parameters_of(multiattach='<is> True')
        self.assertEqual(Format.RAW, found.format)
        for value in ('<is> False', 'true', '<is>  True'):
            # To Cinder this is not a type with several attachments.
            self.assertIsNone(parameters_of(multiattach=value).format)
        with self.assertRaisesRegex(
            exceptions.InvalidRequest, 'multiattach.*virtdc:format = qcow2'
        ):
            parameters_of(multiattach='<is> True', virtdc__format='qcow2')

    def test_what_hosts_encrypt_is_raw(self) -> None:
        for kind, is_refused in (
            (None, False),
            (builders.volume_type(virtdc__format='raw'), False),
            (builders.volume_type(virtdc__format='qcow2'), True),
        ):
            volume = builders.volume(volume_type=kind, encryption_key_id='key')
            if is_refused:
                with self.assertRaisesRegex(
                    exceptions.InvalidRequest, 'encryption.*qcow2'
                ):
                    translate.create_parameters(volume)
                continue
            for found in (
                translate.create_parameters(volume),
                translate.clone_parameters(volume, 'source'),
            ):
                self.assertEqual(Format.RAW, found.format)

    def test_the_format_behind_a_connection(self) -> None:
        for data, wanted in (
            ({'format': 'qcow2'}, Format.QCOW2),
            ({'format': 'raw'}, Format.RAW),
            ({'target_lun': 1}, Format.RAW),
            (None, Format.RAW),
        ):
            self.assertEqual(wanted, translate.format_of({'data': data}))

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
        snapshot = builders.snapshot(volume)
        for described in (volume, snapshot):
            described.display_name = name
            described.display_description = description
            described.metadata = metadata
        for parameters in (
            translate.create_parameters(volume),
            translate.clone_parameters(volume, 'data-1'),
            translate.clone_parameters(
                volume, 'data-1', snapshot_id=snapshot.id, to_be_filled=True
            ),
            translate.snapshot_parameters(snapshot),
        ):
            event = translate.event(
                volume, parameters, event_id='event-1', now=builders.NOW
            )
            self.assertEqual(
                event, codec.decode(codec.encode(event), events.Event)
            )


class CopyTest(unittest.TestCase):
    def test_a_copy_is_described_and_stored_as_a_new_volume(self) -> None:
        """All that is said of a volume to be made is said of a copy."""
        volume = builders.volume(
            size=3,
            display_description='of alice',
            metadata={'mine': '1', 'virtdc.state': 'success'},
            volume_type=builders.volume_type(
                virtdc__format='qcow2', provisioning__type='thick'
            ),
        )
        for to_be_filled in (False, True):
            made = translate.create_parameters(
                volume, to_be_filled=to_be_filled
            )
            self.assertEqual(
                {
                    **dataclasses.asdict(made),
                    'source_id': 'data-1',
                    'snapshot_id': 'snapshot-1',
                },
                dataclasses.asdict(
                    translate.clone_parameters(
                        volume,
                        'data-1',
                        snapshot_id='snapshot-1',
                        to_be_filled=to_be_filled,
                    )
                ),
            )

    def test_a_copy_of_a_type_that_does_not_exist(self) -> None:
        volume = builders.volume(
            volume_type=builders.volume_type(virtdc__format='vmdk')
        )
        with self.assertRaisesRegex(exceptions.InvalidRequest, 'vmdk'):
            translate.clone_parameters(volume, 'data-1')

    def test_a_snapshot(self) -> None:
        snapshot = builders.snapshot(
            builders.volume(),
            display_name=None,
            display_description='of\x00alice',
            metadata={'mine': '1', 'virtdc.x': '2'},
        )
        self.assertEqual(
            events.SnapshotParameters(
                snapshot_id=snapshot.id,
                description='of alice',
                metadata={'mine': '1'},
            ),
            translate.snapshot_parameters(snapshot),
        )


SPECS = st.fixed_dictionaries(
    {},
    optional={
        'virtdc__format': st.sampled_from(['raw', 'qcow2']),
        'virtdc__provisioning': st.sampled_from(['thin', 'thick']),
        'provisioning__type': st.sampled_from(['thin', 'thick']),
        'other': st.just('thing'),
    },
)


class MetTest(unittest.TestCase):
    """Whether volumes of one type may become another's as they are."""

    capacity = FakeAgent().capacity

    def is_met(
        self,
        wanted: dict[str, str],
        had: dict[str, str],
        capacity: events.Capacity | None = None,
    ) -> bool:
        return translate.is_met(
            builders.volume_type(**wanted),
            builders.volume_type(**had),
            capacity or self.capacity,
        )

    def test_a_table(self) -> None:
        raw, qcow2 = {'virtdc__format': 'raw'}, {'virtdc__format': 'qcow2'}
        thick = {'virtdc__provisioning': 'thick'}
        shared = {'multiattach': '<is> True'}
        for wanted, had, met in (
            ({}, {}, True),
            ({}, qcow2, True),
            (raw, raw, True),
            (raw, qcow2, False),
            (raw, {}, False),
            (thick, {'provisioning__type': 'thick'}, True),
            (thick, {'provisioning__type': 'thin'}, False),
            ({**raw, **thick}, raw, False),
            (shared, raw, True),
            (shared, {}, False),
            ({}, shared, True),
        ):
            with self.subTest(wanted=wanted, had=had):
                self.assertIs(met, self.is_met(wanted, had))

    def test_what_is_all_there_is_was_chosen(self) -> None:
        capacity = dataclasses.replace(
            self.capacity, formats=frozenset({Format.RAW})
        )
        self.assertTrue(self.is_met({'virtdc__format': 'raw'}, {}, capacity))
        self.assertFalse(
            self.is_met({'virtdc__format': 'qcow2'}, {}, capacity)
        )

    @given(one=SPECS, other=SPECS)
    def test_what_is_met_would_have_been_made_so(
        self, one: dict[str, str], other: dict[str, str]
    ) -> None:
        wanted, had = parameters_of(**one), parameters_of(**other)
        self.assertIs(
            self.is_met(one, other),
            wanted.format in (None, had.format)
            and wanted.provisioning in (None, had.provisioning),
        )
        self.assertTrue(self.is_met(one, one))
        self.assertTrue(self.is_met({}, other))


class SharedTest(unittest.TestCase):
    def test_a_table(self) -> None:
        for hosts, shared in (
            ((), False),
            (('a',), False),
            (('a', 'b'), False),
            (('a', None), False),
            (('a', 'a'), True),
            (('b', 'a', 'a'), True),
            (('b', 'b'), False),
        ):
            with self.subTest(hosts=hosts):
                self.assertIs(
                    shared,
                    translate.is_shared(
                        builders.attachments(*hosts), {'host': 'a'}
                    ),
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

    def test_it_may_be_on_behalf_of_another(self) -> None:
        volume = builders.volume()
        event = translate.event(
            volume,
            events.DeleteParameters(),
            event_id='event-1',
            now=builders.NOW,
            owner=builders.snapshot(volume, user_id='another'),
        )
        self.assertEqual('another', event.requested_by.user_id)

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
        stats = stats_module.stats(
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
            'multiattach': True,
            'consistent_group_snapshot_enabled': True,
            'total_volumes': 2,
        }.items():
            self.assertEqual(value, stats[name], name)

    def test_what_the_storage_cannot_is_not_promised(self) -> None:
        stats = stats_module.stats(
            dataclasses.replace(
                self.capacity,
                provisionings=frozenset({Provisioning.THICK}),
                formats=frozenset({Format.QCOW2}),
                operations=frozenset({Operation.CREATE}),
            )
        )
        self.assertFalse(stats['thin_provisioning_support'])
        self.assertFalse(stats['online_extend_support'])
        self.assertFalse(stats['multiattach'])
        self.assertFalse(stats['consistent_group_snapshot_enabled'])

    def test_what_hosts_would_not_see_is_not_promised(self) -> None:
        # Or Cinder tries, and a volume in use is left in an error.
        stats = stats_module.stats(
            dataclasses.replace(self.capacity, can_grow_in_use=False)
        )
        self.assertFalse(stats['online_extend_support'])

    def test_down(self) -> None:
        for known in (None, self.capacity):
            stats = stats_module.stats_when_down(known)
            self.assertEqual('down', stats['backend_state'])
            self.assertEqual(0, stats['total_capacity_gb'])
            self.assertEqual(0, stats['free_capacity_gb'])
            self.assertIn('storage_protocol', stats)


class ImageTest(unittest.TestCase):
    READABLE = ('file:///srv/images/', 'file:///mnt/store/')
    IMAGE: ClassVar[dict[str, Any]] = {
        'container_format': 'bare',
        'disk_format': 'raw',
    }

    def url(self, location: object, **changes: Any) -> str | None:
        return translate.url_of_image(
            location, {**self.IMAGE, **changes}, self.READABLE
        )

    def test_the_first_place_that_can_be_read(self) -> None:
        there = 'file:///mnt/store/a'
        for location in (
            (there, None),
            (None, [{'url': 'rbd://x'}, {'url': there}]),
            ('http://x', [{'metadata': {}}, {'url': there}]),
            there,
        ):
            with self.subTest(location):
                self.assertEqual(there, self.url(location))

    def test_no_place_that_can_be_read(self) -> None:
        for location in (
            None,
            (None, None),
            ('file:///srv/images-of-others/a', []),
            ('http://srv/images/a', [{'url': None}]),
        ):
            with self.subTest(location):
                self.assertIsNone(self.url(location))
        self.assertIsNone(
            translate.url_of_image(
                ('file:///srv/images/a', None), self.IMAGE, ()
            )
        )

    def test_a_checksum_that_is_not_known_is_left_out(self) -> None:
        parameters = translate.import_parameters(
            builders.volume(),
            'file:///srv/images/a',
            {**self.IMAGE, 'os_hash_algo': 'md5', 'os_hash_value': '1'},
        )
        self.assertEqual(
            ('', ''), (parameters.hash_algorithm, parameters.hash_value)
        )
