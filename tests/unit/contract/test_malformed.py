"""What is wrong with a message is said by the name of the field."""

from __future__ import annotations

import copy
import json
import re
import typing
import unittest

from tests.unit.contract import golden
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import ContractError
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.errors import UnsupportedVersion
from virtdc_agent.contract import events
from virtdc_agent.contract import pieces
from virtdc_agent.contract import rpc

MISSING = object()
NAN = float('nan')
INFINITY = float('inf')
HUGE = 10**400
SECRET = 'hunter2' * 3

CONTROLS = ['\x00', 'a\x1b[2J', 'a\x7f', 'a\x9b', 'a\ud800']
NOT_TEXT = [None, True, 1, 1.5, NAN, [], {}, ['a']]
NOT_OBJECTS = [None, True, 1, 'text', []]

IDENTIFIER: list[object] = [
    MISSING,
    *NOT_TEXT,
    *CONTROLS,
    *('', '.', '..', '../x', 'a/b', 'a\\b', '/etc', '.hidden', '-rf', '_x'),
    *('a b', 'a\n', '\na', 'a%2fb', 'ü', '٣', 'a' * 65),
]
NOT_BOOLEANS = [None, 0, 1, 'true', 1.5, [], {}]
NOT_INTEGERS = [None, True, False, '1', 1.0, NAN, INFINITY, [], {}]
SIZE: list[object] = [MISSING, *NOT_INTEGERS, -1, 0, 2**63, HUGE]
COUNT: list[object] = [MISSING, *NOT_INTEGERS, -1, 2**63, HUGE]
SEQUENCE = SIZE
NAME: list[object] = [MISSING, *NOT_TEXT, *CONTROLS, 'a' * 256]
CHOICE: list[object] = [MISSING, *NOT_TEXT, '', 'CREATE', 'x' * 9999, '\x00']
TIME: list[object] = [
    MISSING,
    *NOT_TEXT,
    *CONTROLS,
    *('', 'now', '2026-01-01', '2026-01-01T00:00:00', '1767225600'),
    *('2026-02-30T00:00:00Z', '2026-01-01T25:00:00Z', 'Z', '2026-W01-1'),
    *('0001-01-01T00:00:00+01:00', '9999-12-31T23:59:59-01:00'),
    *('2026-01-01T00:00:00+24:00', '10000-01-01T00:00:00Z', '2' * 65),
]
TEXTS: list[object] = [MISSING, None, True, 1, 'text', {}, ['a'] * 257]
OBJECT: list[object] = [MISSING, *NOT_OBJECTS]
OBJECTS: list[object] = [True, 1, 'text', {}, [{}] * 257]


def optional(bad: list[object]) -> list[object]:
    """Return the values that are bad although the field may be absent."""
    return [
        value for value in bad if value is not MISSING and value is not None
    ]


TEXT = [*optional(NAME)[:-1], 'a' * 4097]
OF_EVENT: dict[str, list[object]] = {
    'event_id': IDENTIFIER,
    'operation': CHOICE,
    'volume_id': IDENTIFIER,
    'origin': CHOICE,
}
REQUESTED_BY = {
    'requested_by': OBJECT,
    'requested_by.project_id': optional(NAME),
    'requested_by.user_id': optional(NAME),
    'requested_by.request_id': optional(NAME),
    'requested_by.trace': optional(NAME),
}
OF_EVERY_EVENT = {
    **OF_EVENT,
    **REQUESTED_BY,
    'parameters': OBJECT,
    'created_at': TIME,
    'retry_of': optional(IDENTIFIER),
}

CASES: dict[str, dict[str, list[object]]] = {
    'event-create': {
        **OF_EVERY_EVENT,
        'parameters.size_bytes': SIZE,
        'parameters.name': optional(NAME),
        'parameters.description': TEXT,
        'parameters.metadata': [
            *optional(OBJECT),
            {str(number): '' for number in range(257)},
        ],
        'parameters.metadata.tier': [*NOT_TEXT, *CONTROLS, 'a' * 4097],
        'parameters.format': optional(CHOICE),
        'parameters.provisioning': optional(CHOICE),
        'parameters.pool': optional(IDENTIFIER),
    },
    'event-migrate': {
        **OF_EVERY_EVENT,
        'parameters.pool': IDENTIFIER,
        'parameters.provisioning': optional(CHOICE),
    },
    'event-delete': {
        **OF_EVERY_EVENT,
        'parameters.force': [1, 0, 'true', 1.5, [], {}],
        'parameters.is_lost': [1, 0, 'true', 1.5, [], {}],
    },
    'event-edit': {
        **OF_EVERY_EVENT,
        'parameters.name': optional(NAME),
        'parameters.description': optional(NAME),
        'parameters.metadata': [
            *optional(OBJECT),
            {str(number): '' for number in range(257)},
            {'': 'no key'},
        ],
        'parameters.metadata.tier': [*NOT_TEXT, *CONTROLS, 'a' * 256],
    },
    'event-restore': OF_EVERY_EVENT,
    'event-purge': {
        **OF_EVERY_EVENT,
        'parameters.deleted_by': optional(IDENTIFIER),
    },
    'event-extend': {**OF_EVERY_EVENT, 'parameters.size_bytes': SIZE},
    'event-connect': {
        **OF_EVERY_EVENT,
        'parameters.host': [*NAME, ''],
        'parameters.connector': [*optional(OBJECT), {'a': NAN}],
        'parameters.exporter': optional(IDENTIFIER),
    },
    'event-disconnect': {
        **OF_EVERY_EVENT,
        'parameters.host': [*optional(NAME), ''],
    },
    'transition-running': {
        **OF_EVENT,
        **REQUESTED_BY,
        'state': CHOICE,
        'sequence': SEQUENCE,
        'occurred_at': TIME,
        'attempt': [MISSING, *NOT_INTEGERS, -1, 2**31],
        'progress': [*optional(NOT_INTEGERS), -1, 101],
        'bytes_done': optional(COUNT),
        'bytes_total': optional(COUNT),
        'phase': [*optional(NAME)[:-1], 'a' * 65],
        'reason': [*optional(CHOICE), 'lost'],
        'message': TEXT,
        'result': [*optional(OBJECT), {'a': [INFINITY]}],
        'volume_ids': optional(TEXTS),
    },
    'transition-group': {
        **OF_EVENT,
        **REQUESTED_BY,
        'state': CHOICE,
        'sequence': SEQUENCE,
        'occurred_at': TIME,
        'attempt': [MISSING, *NOT_INTEGERS, -1, 2**31],
        'progress': [*optional(NOT_INTEGERS), -1, 101],
        'bytes_done': optional(COUNT),
        'bytes_total': optional(COUNT),
        'phase': [*optional(NAME)[:-1], 'a' * 65],
        'reason': [*optional(CHOICE), 'lost'],
        'message': TEXT,
        'result': [*optional(OBJECT), {'a': [INFINITY]}],
        'volume_ids': optional(TEXTS),
        'volume_ids.1': IDENTIFIER[1:],
    },
    'event-snapshot-group': {
        **OF_EVERY_EVENT,
        'parameters.snapshots': [
            *OBJECT,
            {},
            {str(number): f's{number}' for number in range(257)},
            {'a': 's', 'b': 's'},
        ],
        f'parameters.snapshots.{golden.VOLUME_ID}': IDENTIFIER[1:],
        'parameters.name': optional(NAME),
        'parameters.description': TEXT,
        'parameters.metadata': optional(OBJECT),
    },
    'transition-failed-lost': {'reason': [*CHOICE, None]},
    'announcement': {
        **OF_EVENT,
        'sequence': SEQUENCE,
        'occurred_at': TIME,
    },
    'volume': {
        'volume_id': IDENTIFIER,
        'size_bytes': SIZE,
        'format': CHOICE,
        'provisioning': CHOICE,
        'created_at': TIME,
        'updated_at': TIME,
        'name': optional(NAME),
        'description': TEXT,
        'metadata': optional(OBJECT),
        'project_id': optional(NAME),
        'user_id': optional(NAME),
        'attached_to': TEXTS,
        'attached_to.1': [*NOT_TEXT, *CONTROLS, 'a' * 4097],
        'pool': [*optional(NAME), 'a' * 65],
        'exporter': [*optional(NAME), 'a' * 65],
        'origin': optional(CHOICE),
        'changed_by': optional(CHOICE),
        'changed_at_sequence': optional(COUNT),
    },
    'trashed-volume': {
        'volume': OBJECT,
        'volume.size_bytes': SIZE,
        'deleted_at': TIME,
        'until': TIME,
        'event_id': IDENTIFIER,
        'deleted_by': OBJECT,
        'origin': CHOICE,
    },
    'alarm': {
        'kind': [*NAME, '', 'Volume', 'a--b', 'a b', '-a', 'a' * 65],
        'subject': IDENTIFIER,
        'severity': CHOICE,
        'message': [MISSING, None, *TEXT],
        'raised_at': TIME,
        'updated_at': TIME,
        'count': [MISSING, *NOT_INTEGERS, -1, 0, 2**31],
        'acknowledged_by': optional(NAME),
        'acknowledged_at': optional(TIME),
        'comment': [*optional(NAME)[:-1], 'a' * 1025],
        'details': [*optional(OBJECT), {'a': NAN}],
        'revision': COUNT,
    },
    'alarm-raised': {
        'kind': [*NAME, '', 'Volume'],
        'subject': IDENTIFIER,
        'change': CHOICE,
        'revision': COUNT,
        'occurred_at': TIME,
    },
    'capacity': {
        'agent': NAME,
        'backend': NAME,
        'exporter': NAME,
        'storage_protocol': NAME,
        'total_bytes': COUNT,
        'free_bytes': COUNT,
        'provisioned_bytes': COUNT,
        'max_over_subscription_ratio': [
            *(MISSING, None, True, '1', NAN, INFINITY, [], {}),
            *(-1, 0, 0.99, 1e6 + 1, HUGE),
        ],
        'reserved_percentage': [MISSING, *NOT_INTEGERS, -1, 101],
        'operations': TEXTS,
        'formats': TEXTS,
        'provisionings': TEXTS,
        'formats.0': [*NOT_TEXT, *CONTROLS],
        'volumes': COUNT,
        'waiting': COUNT,
        'running': COUNT,
        'image_urls': optional(TEXTS),
        'can_grow_in_use': optional(NOT_BOOLEANS),
        'data_centre': [*optional(NAME), 'a' * 65],
        'pools': OBJECTS,
        'pools.1': NOT_OBJECTS,
        'pools.1.name': [*NAME, 'a' * 65],
        'pools.1.free_bytes': COUNT,
        'pools.1.operations': TEXTS,
        'exporters': OBJECTS,
        'exporters.1': NOT_OBJECTS,
        'exporters.1.name': IDENTIFIER,
        'exporters.1.storage_protocol': NAME,
    },
}


def sample(name: str) -> tuple[typing.Any, type]:
    """Return the envelope of a sample, to be spoiled, and its type."""
    value = golden.VALUES[codec.VERSION][name]
    return copy.deepcopy(codec.encode(value)), type(value)


def spoil(envelope: typing.Any, path: str, value: object) -> None:
    """Put a value where the path leads, or leave the place empty."""
    *outer, last = [
        int(part) if part.isdigit() else part for part in path.split('.')
    ]
    for name in outer:
        envelope = envelope[name]
    if value is MISSING:
        del envelope[last]
    else:
        envelope[last] = value


def field_name(path: str) -> str:
    """Return how errors write the path."""
    return re.sub(r'\.(\d+)(?=\.|$)', r'[\1]', path)


class TestFields(unittest.TestCase):
    def refuse(self, envelope: object, kind: type) -> MalformedMessage:
        """Check that the message is refused; return how."""
        with self.assertRaises(MalformedMessage) as caught:
            codec.decode(envelope, kind)
        error = caught.exception
        self.assertIsInstance(error, ContractError)
        self.assertLess(len(str(error)), 300)
        self.assertIn(error.field, str(error))
        return error

    def test_every_field_is_checked_and_named(self) -> None:
        for name, cases in CASES.items():
            for path, values in cases.items():
                for value in values:
                    shown = 'missing' if value is MISSING else repr(value)[:40]
                    with self.subTest(name=name, path=path, value=shown):
                        envelope, kind = sample(name)
                        spoil(envelope, f'data.{path}', value)
                        error = self.refuse(envelope, kind)
                        self.assertEqual(
                            field_name(f'data.{path}'), error.field
                        )

    def test_every_field_has_its_cases(self) -> None:
        for name, cases in CASES.items():
            if name == 'transition-failed-lost':
                continue  # only for the rule of ``reason``
            envelope, _ = sample(name)
            data = envelope['data']
            written = set(data)
            for outer in ('parameters', 'requested_by'):
                written |= {f'{outer}.{key}' for key in data.get(outer, ())}
            self.assertLessEqual(written, set(cases), name)

    def test_optional_fields_may_be_absent_or_null(self) -> None:
        for name, cases in CASES.items():
            for path, bad in cases.items():
                if any(value is MISSING or value is None for value in bad):
                    continue
                for value in (None, MISSING):
                    with self.subTest(name=name, path=path):
                        envelope, kind = sample(name)
                        spoil(envelope, f'data.{path}', value)
                        codec.decode(envelope, kind)

    def test_keys_of_metadata_are_texts_too(self) -> None:
        for key in (*CONTROLS, 'k' * 256):
            with self.subTest(key=repr(key)[:20]):
                envelope, kind = sample('event-create')
                envelope['data']['parameters']['metadata'][key] = 'v'
                error = self.refuse(envelope, kind)
                self.assertEqual(
                    'data.parameters.metadata (a key)', error.field
                )

    def test_values_are_never_shown(self) -> None:
        for path, value in (
            ('data.event_id', '/' + SECRET),
            ('data.parameters', SECRET),
            ('data.parameters.host', [SECRET]),
            ('data.parameters.host', SECRET + '\x00'),
            ('data.parameters.connector', [SECRET]),
            ('data.parameters.connector.auth', {SECRET: NAN}),
            ('data.requested_by.user_id', {SECRET: SECRET}),
            ('data.created_at', SECRET),
            ('data', SECRET),
        ):
            with self.subTest(path=path):
                envelope, kind = sample('event-connect')
                spoil(envelope, path, value)
                error = self.refuse(envelope, kind)
                self.assertNotIn(SECRET, str(error))


class TestEnvelope(unittest.TestCase):
    def test_its_own_fields(self) -> None:
        for field, values in (
            ('schema', [MISSING, *NOT_TEXT, *CONTROLS, 'a' * 129]),
            (
                'version',
                [
                    *(MISSING, *NOT_TEXT, *CONTROLS, '', '1', '1.', '.0'),
                    *('1.0.0', 'v1.0', '1.0\n', ' 1.0', '1.٠', '1.-1'),
                    *('1' * 33, '1.' + '0' * 7),
                ],
            ),
            ('data', OBJECT),
        ):
            for value in values:
                with self.subTest(field=field, value=repr(value)[:40]):
                    envelope, kind = sample('event-delete')
                    spoil(envelope, field, value)
                    with self.assertRaises(MalformedMessage) as caught:
                        codec.decode(envelope, kind)
                    self.assertEqual(field, caught.exception.field)

    def test_anything_but_an_object(self) -> None:
        for envelope in NOT_OBJECTS:
            for read in (
                lambda message: codec.decode(message, events.Event),
                codec.decode_notification,
            ):
                with (
                    self.subTest(envelope=envelope),
                    self.assertRaises(MalformedMessage) as caught,
                ):
                    read(envelope)
                self.assertEqual('message', caught.exception.field)

    def test_other_schemas_are_refused_by_name(self) -> None:
        envelope, _ = sample('event-delete')
        with self.assertRaises(UnsupportedVersion) as caught:
            codec.decode(envelope, events.Volume)
        self.assertEqual('virtdc.event', caught.exception.schema)
        self.assertEqual(
            f'virtdc.volume {codec.VERSION}', caught.exception.supported
        )
        envelope['schema'] = 'virtdc.poem'
        for read in (
            lambda message: codec.decode(message, events.Event),
            codec.decode_notification,
        ):
            with self.assertRaisesRegex(UnsupportedVersion, 'virtdc.poem'):
                read(envelope)

    def test_other_major_versions_are_refused_by_number(self) -> None:
        for version in ('0.9', '2.0', '10.0', '999999.0', '01.0'):
            with self.subTest(version=version):
                envelope, kind = sample('event-delete')
                envelope['version'] = version
                with self.assertRaises(UnsupportedVersion) as caught:
                    codec.decode(envelope, kind)
                self.assertEqual(version, caught.exception.version)
                self.assertIn(version, str(caught.exception))

    def test_a_major_version_is_refused_before_its_content(self) -> None:
        envelope = {
            'schema': 'virtdc.event',
            'version': '2.0',
            'data': {'quite': 'different'},
        }
        with self.assertRaises(UnsupportedVersion):
            codec.decode(envelope, events.Event)

    def test_newer_minor_versions_are_read(self) -> None:
        for name, value in golden.VALUES[codec.VERSION].items():
            with self.subTest(name=name):
                envelope, kind = sample(name)
                envelope['version'] = '1.999'
                envelope['trace'] = {'id': 7}
                for place in (
                    envelope['data'],
                    envelope['data'].get('parameters', {}),
                    envelope['data'].get('requested_by', {}),
                ):
                    place['added_later'] = [{'any': None}]
                self.assertEqual(value, codec.decode(envelope, kind))

    def test_newer_abilities_are_left_out(self) -> None:
        envelope, kind = sample('capacity')
        envelope['data']['operations'].append('teleport')
        envelope['data']['formats'] = ['vmdk']
        capacity = codec.decode(envelope, kind)
        self.assertEqual(frozenset(events.Operation), capacity.operations)
        self.assertEqual(frozenset(), capacity.formats)


class TestSize(unittest.TestCase):
    def test_oversized(self) -> None:
        for name, limit in (
            ('event-connect', codec.MAX_EVENT_BYTES),
            ('volume', codec.MAX_MESSAGE_BYTES),
            ('transition-success', codec.MAX_MESSAGE_BYTES),
        ):
            with self.subTest(name=name):
                envelope, kind = sample(name)
                envelope['padding'] = ''
                room = limit - len(json.dumps(envelope))
                envelope['padding'] = 'x' * room
                codec.decode(envelope, kind)
                envelope['padding'] += 'x'
                with self.assertRaises(MalformedMessage) as caught:
                    codec.decode(envelope, kind)
                self.assertEqual('message', caught.exception.field)
                self.assertLess(len(str(caught.exception)), 100)

    def test_what_was_accepted_can_be_told_of(self) -> None:
        metadata = {str(number): 'x' * 230 for number in range(256)}
        event = golden.event(
            events.CreateParameters(size_bytes=1, metadata=metadata)
        )
        self.assertEqual(
            event, codec.decode(codec.encode(event), events.Event)
        )
        volume = events.Volume(
            volume_id=event.volume_id,
            size_bytes=1,
            format=events.Format.RAW,
            provisioning=events.Provisioning.THIN,
            created_at=golden.at(1),
            updated_at=golden.at(1),
            metadata=metadata,
            attached_to=tuple(f'{n:0>255}' for n in range(256)),
        )
        self.assertEqual(
            volume, codec.decode(codec.encode(volume), events.Volume)
        )

    def test_depth(self) -> None:
        envelope, kind = sample('event-connect')
        # The connector itself lies three deep.
        room = codec.MAX_DEPTH - 4
        for depth, fits in ((room, True), (room + 1, False), (10_000, False)):
            with self.subTest(depth=depth):
                nested: object = 'core'
                for level in range(depth):
                    nested = [nested] if level % 2 else {'in': nested}
                envelope['data']['parameters']['connector'] = {'in': nested}
                if fits:
                    codec.decode(envelope, kind)
                    continue
                with self.assertRaises(MalformedMessage) as caught:
                    codec.decode(envelope, kind)
                self.assertEqual('message', caught.exception.field)
                self.assertIn('nested', str(caught.exception))

    def test_what_json_has_no_word_for(self) -> None:
        endless: list[object] = []
        endless.append(endless)
        for value in (object(), b'bytes', {1, 2}, endless, 10**5000):
            with self.subTest(value=type(value).__name__):
                envelope, kind = sample('event-connect')
                envelope['data']['parameters']['connector'] = {'a': value}
                with self.assertRaises(MalformedMessage) as caught:
                    codec.decode(envelope, kind)
                self.assertEqual('message', caught.exception.field)


class TestRefusal(unittest.TestCase):
    def test_an_answer_without_one(self) -> None:
        for answer in ({}, {'item': {}}, {'error': None}):
            self.assertIsNone(rpc.Refusal.from_answer(answer))

    def test_malformed(self) -> None:
        good = {'code': 'conflict', 'message': 'Taken.', 'field': ''}
        for path, answer in (
            ('answer', None),
            ('answer', []),
            ('answer.error', {'error': 'no'}),
            ('answer.error.code', {'error': {**good, 'code': 'worse'}}),
            ('answer.error.message', {'error': {'code': 'conflict'}}),
            ('answer.error.field', {'error': {**good, 'field': 7}}),
        ):
            with (
                self.subTest(path=path),
                self.assertRaises(MalformedMessage) as caught,
            ):
                rpc.Refusal.from_answer(answer)
            self.assertEqual(path, caught.exception.field)


class TestWriting(unittest.TestCase):
    def test_an_event_takes_its_own_parameters_only(self) -> None:
        with self.assertRaisesRegex(TypeError, 'delete takes Delete'):
            events.Event(
                event_id='e',
                operation=events.Operation.DELETE,
                volume_id='v',
                origin=events.Origin.CLOUD,
                parameters=events.ExtendParameters(size_bytes=1),
                created_at=golden.at(1),
            )

    def test_a_time_without_zone_is_not_guessed(self) -> None:
        with self.assertRaisesRegex(ValueError, 'zone'):
            pieces.format_time(golden.at(1).replace(tzinfo=None))
