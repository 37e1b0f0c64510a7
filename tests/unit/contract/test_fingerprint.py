"""Nobody changes the contract by accident.

The tables below are what versions promise: each field's kind, and whether a
message must have it. If a test fails here, the wire has changed. Adding an
optional field or an operation is a minor version: raise ``codec.VERSION``, add
its table and its samples. Anything else is a major version, and a decision.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import itertools
import typing
import unittest

from tests.unit.contract import golden
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract import events

Table = dict[str, dict[str, str]]

ORIGINS = 'cloud|platform'
OPERATIONS = 'create|delete|extend|connect|disconnect'
STATES = 'waiting|running|success|failed'
REASONS = 'rejected|timeout|backend|cancelled|lost'
FORMATS = 'raw|qcow2'
PROVISIONINGS = 'thin|thick'

EVENT = {
    'event_id': 'text, required',
    'operation': f'{OPERATIONS}, required',
    'volume_id': 'text, required',
    'origin': f'{ORIGINS}, required',
    'created_at': 'time, required',
    'parameters': 'object, required',
    'requested_by': 'object, required',
    'requested_by.project_id': 'text',
    'requested_by.user_id': 'text',
    'requested_by.request_id': 'text',
}

FINGERPRINTS: dict[str, Table] = {
    '1.0': {
        'virtdc.event create': {
            **EVENT,
            'parameters.size_bytes': 'integer, required',
            'parameters.name': 'text',
            'parameters.description': 'text',
            'parameters.metadata': 'object of text',
            'parameters.format': f'{FORMATS} or null',
            'parameters.provisioning': f'{PROVISIONINGS} or null',
        },
        'virtdc.event delete': EVENT,
        'virtdc.event extend': {
            **EVENT,
            'parameters.size_bytes': 'integer, required',
        },
        'virtdc.event connect': {
            **EVENT,
            'parameters.host': 'text, required',
            'parameters.connector': 'object of anything',
        },
        'virtdc.event disconnect': {
            **EVENT,
            'parameters.host': 'text or null',
        },
        'virtdc.transition': {
            'event_id': 'text, required',
            'operation': f'{OPERATIONS}, required',
            'volume_id': 'text, required',
            'origin': f'{ORIGINS}, required',
            'state': f'{STATES}, required',
            'sequence': 'integer, required',
            'occurred_at': 'time, required',
            'requested_by': 'object, required',
            'requested_by.project_id': 'text',
            'requested_by.user_id': 'text',
            'requested_by.request_id': 'text',
            'attempt': 'integer, required',
            'progress': 'integer or null',
            'bytes_done': 'integer or null',
            'bytes_total': 'integer or null',
            'phase': 'text',
            'reason': f'{REASONS} or null',
            'message': 'text',
            'result': 'object of anything',
        },
        'virtdc.announcement': {
            'event_id': 'text, required',
            'operation': f'{OPERATIONS}, required',
            'volume_id': 'text, required',
            'origin': f'{ORIGINS}, required',
            'sequence': 'integer, required',
            'occurred_at': 'time, required',
        },
        'virtdc.volume': {
            'volume_id': 'text, required',
            'size_bytes': 'integer, required',
            'format': f'{FORMATS}, required',
            'provisioning': f'{PROVISIONINGS}, required',
            'created_at': 'time, required',
            'updated_at': 'time, required',
            'name': 'text',
            'description': 'text',
            'metadata': 'object of text',
            'project_id': 'text',
            'user_id': 'text',
            'attached_to': 'list of text, required',
        },
        'virtdc.capacity': {
            'agent': 'text, required',
            'backend': 'text, required',
            'exporter': 'text, required',
            'storage_protocol': 'text, required',
            'total_bytes': 'integer, required',
            'free_bytes': 'integer, required',
            'provisioned_bytes': 'integer, required',
            'max_over_subscription_ratio': 'number, required',
            'reserved_percentage': 'integer, required',
            'operations': f'set of {OPERATIONS}, required',
            'formats': f'set of {FORMATS}, required',
            'provisionings': f'set of {PROVISIONINGS}, required',
            'volumes': 'integer, required',
            'waiting': 'integer, required',
            'running': 'integer, required',
        },
    },
}

MORE = f'{OPERATIONS}|snapshot|delete_snapshot|revert|clone|import'
DESCRIPTION = {
    'name': 'text',
    'description': 'text',
    'metadata': 'object of text',
}


def with_operations(operations: str, table: Table) -> Table:
    """Return a table of a version that knows more operations."""
    return {
        schema: {
            name: (
                kind.replace(kind.partition(',')[0], operations)
                if name == 'operation'
                else kind.replace(
                    kind.partition(',')[0], f'set of {operations}'
                )
                if name == 'operations'
                else kind
            )
            for name, kind in fields.items()
        }
        for schema, fields in table.items()
    }


def with_parameters(**parameters: str) -> dict[str, str]:
    """Return the fields of an event that has these parameters."""
    return {
        **EVENT,
        **{f'parameters.{name}': kind for name, kind in parameters.items()},
    }


FINGERPRINTS['1.1'] = with_operations(
    MORE,
    {
        **FINGERPRINTS['1.0'],
        'virtdc.event snapshot': with_parameters(
            snapshot_id='text, required', **DESCRIPTION
        ),
        'virtdc.event delete_snapshot': with_parameters(
            snapshot_id='text, required'
        ),
        'virtdc.event revert': with_parameters(snapshot_id='text, required'),
        'virtdc.event clone': with_parameters(
            source_id='text, required',
            snapshot_id='text or null',
            size_bytes='integer, required',
            format=f'{FORMATS} or null',
            provisioning=f'{PROVISIONINGS} or null',
            **DESCRIPTION,
        ),
        'virtdc.event import': with_parameters(
            url='text, required',
            image_format='text, required',
            hash_algorithm='text',
            hash_value='text',
            size_bytes='integer, required',
            format=f'{FORMATS} or null',
            provisioning=f'{PROVISIONINGS} or null',
            **DESCRIPTION,
        ),
        'virtdc.capacity': {
            **FINGERPRINTS['1.0']['virtdc.capacity'],
            'image_urls': 'list of text',
        },
        'virtdc.snapshot': {
            'snapshot_id': 'text, required',
            'volume_id': 'text, required',
            'size_bytes': 'integer, required',
            'format': f'{FORMATS}, required',
            'created_at': 'time, required',
            **DESCRIPTION,
            'project_id': 'text',
            'user_id': 'text',
        },
    },
)

MORE_1_2 = (
    f'{MORE}|edit|restore|purge|snapshot_group|migrate'
    '|manage|unmanage|manage_snapshot|unmanage_snapshot'
)
SEVERITIES = 'critical|major|minor|warning'
CHANGES = 'raised|changed|acknowledged|cleared'


VOLUME_1_2 = {
    **FINGERPRINTS['1.1']['virtdc.volume'],
    'origin': ORIGINS,
    'changed_by': ORIGINS,
    'changed_at_sequence': 'integer',
    'pool': 'text',
    'exporter': 'text',
}
FINGERPRINTS['1.2'] = with_operations(
    MORE_1_2,
    {
        **FINGERPRINTS['1.1'],
        'virtdc.event delete': with_parameters(
            force='boolean', is_lost='boolean'
        ),
        'virtdc.event edit': with_parameters(
            name='text or null',
            description='text or null',
            metadata='object of text or null',
        ),
        'virtdc.event restore': EVENT,
        'virtdc.event purge': with_parameters(deleted_by='text or null'),
        'virtdc.event snapshot_group': with_parameters(
            snapshots='object of text, required', **DESCRIPTION
        ),
        'virtdc.transition': {
            **FINGERPRINTS['1.1']['virtdc.transition'],
            'volume_ids': 'list of text',
        },
        'virtdc.event migrate': with_parameters(
            pool='text, required', provisioning=f'{PROVISIONINGS} or null'
        ),
        **{
            f'virtdc.event {operation}': {
                **FINGERPRINTS['1.1'][f'virtdc.event {operation}'],
                'parameters.pool': 'text or null',
            }
            for operation in ('create', 'clone', 'import')
        },
        'virtdc.event connect': {
            **FINGERPRINTS['1.1']['virtdc.event connect'],
            'parameters.exporter': 'text or null',
        },
        'virtdc.event manage': with_parameters(
            reference='text, required',
            size_bytes='integer, required',
            format=f'{FORMATS} or null',
            provisioning=f'{PROVISIONINGS} or null',
            pool='text or null',
            instead_of='text',
            **DESCRIPTION,
        ),
        'virtdc.event unmanage': EVENT,
        'virtdc.event manage_snapshot': with_parameters(
            snapshot_id='text, required',
            reference='text, required',
            size_bytes='integer, required',
            instead_of='text',
            **DESCRIPTION,
        ),
        'virtdc.event unmanage_snapshot': with_parameters(
            snapshot_id='text, required'
        ),
        'virtdc.manageable': {
            'reference': 'text, required',
            'size_bytes': 'integer, required',
            'format': f'{FORMATS} or null',
            'is_safe': 'boolean',
            'reason': 'text',
            'volume_id': 'text or null',
            'snapshot_id': 'text or null',
        },
        'virtdc.capacity': {
            **FINGERPRINTS['1.1']['virtdc.capacity'],
            'can_grow_in_use': 'boolean',
            'data_centre': 'text',
            'pools': 'list of object',
            'pools.0.name': 'text, required',
            'pools.0.backend': 'text, required',
            'pools.0.total_bytes': 'integer, required',
            'pools.0.free_bytes': 'integer, required',
            'pools.0.provisioned_bytes': 'integer, required',
            'pools.0.max_over_subscription_ratio': 'number, required',
            'pools.0.reserved_percentage': 'integer, required',
            'pools.0.operations': f'set of {MORE_1_2}, required',
            'pools.0.formats': f'set of {FORMATS}, required',
            'pools.0.provisionings': f'set of {PROVISIONINGS}, required',
            'pools.0.volumes': 'integer, required',
            'exporters': 'list of object',
            'exporters.0.name': 'text, required',
            'exporters.0.storage_protocol': 'text, required',
        },
        'virtdc.volume': VOLUME_1_2,
        'virtdc.snapshot': {
            **FINGERPRINTS['1.1']['virtdc.snapshot'],
            'origin': ORIGINS,
        },
        'virtdc.resync': {
            'number': 'integer, required',
            'asked_at': 'time, required',
            'asked_by': 'text',
            'listener': 'text',
            'started_at': 'time or null',
            'ended_at': 'time or null',
            'volumes': 'integer',
            'platform_volumes': 'integer',
            'repaired': 'integer',
            'alarmed': 'integer',
            'suspects': 'integer',
        },
        'virtdc.trashed_volume': {
            'volume': 'object, required',
            **{f'volume.{name}': kind for name, kind in VOLUME_1_2.items()},
            'deleted_at': 'time, required',
            'until': 'time, required',
            'event_id': 'text, required',
            'deleted_by': 'object, required',
            'deleted_by.project_id': 'text',
            'deleted_by.user_id': 'text',
            'deleted_by.request_id': 'text',
            'origin': f'{ORIGINS}, required',
        },
        'virtdc.alarm': {
            'kind': 'text, required',
            'subject': 'text, required',
            'severity': f'{SEVERITIES}, required',
            'message': 'text, required',
            'raised_at': 'time, required',
            'updated_at': 'time, required',
            'count': 'integer, required',
            'acknowledged_by': 'text',
            'acknowledged_at': 'time or null',
            'comment': 'text',
            'details': 'object of anything',
            'revision': 'integer, required',
        },
        'virtdc.alarm_notice': {
            'kind': 'text, required',
            'subject': 'text, required',
            'change': f'{CHANGES}, required',
            'revision': 'integer, required',
            'occurred_at': 'time, required',
        },
    },
)
# Wherever somebody is named who asked for something.
for _fields in FINGERPRINTS['1.2'].values():
    for _by in ('requested_by', 'deleted_by'):
        if f'{_by}.request_id' in _fields:
            _fields[f'{_by}.trace'] = 'text'


for schema, fields in FINGERPRINTS['1.2'].items():
    if schema.startswith('virtdc.event '):
        FINGERPRINTS['1.2'][schema] = {**fields, 'retry_of': 'text or null'}

KINDS = {
    'str': 'text',
    'bool': 'boolean',
    'int': 'integer',
    'float': 'number',
    'datetime': 'time',
    'Mapping[str, str]': 'object of text',
    'Mapping[str, object]': 'object of anything',
    'tuple[str, ...]': 'list of text',
}


def kind_of(hint: object) -> str:
    """Name a field's kind from its annotation."""
    parts = typing.get_args(hint)
    if hint == events.Parameters:
        return 'object'
    if type(None) in parts:
        return kind_of(parts[0]) + ' or null'
    if typing.get_origin(hint) is frozenset:
        return 'set of ' + kind_of(parts[0])
    if parts and dataclasses.is_dataclass(parts[0]) and parts[1:] == (...,):
        return 'list of object'
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return '|'.join(member.value for member in hint)
    if dataclasses.is_dataclass(hint):
        return 'object'
    name = hint.__name__ if type(hint) is type else str(hint)
    return KINDS[name.removeprefix('collections.abc.')]


def is_required(
    envelope: codec.Primitive, expected: type, path: list[str]
) -> bool:
    """Say whether the message is refused without this field."""
    without = copy.deepcopy(envelope)
    inner: typing.Any = without['data']
    for name in path[:-1]:
        inner = inner[int(name) if name.isdigit() else name]
    del inner[path[-1]]
    try:
        codec.decode(without, expected)
    except MalformedMessage:
        return True
    return False


def fields_of(value: object, path: list[str]) -> dict[str, str]:
    """Return the kinds of a value's fields, by their path."""
    found = {}
    hints = typing.get_type_hints(type(value))
    for field in dataclasses.fields(value):
        here = [*path, field.name]
        found['.'.join(here)] = kind_of(hints[field.name])
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner):
            found.update(fields_of(inner, here))
        elif found['.'.join(here)] == 'list of object' and inner:
            # All are alike.
            found.update(fields_of(inner[0], [*here, '0']))
    return found


def fingerprint() -> Table:
    """Return the contract as the code now has it."""
    table: Table = {}
    for value in golden.VALUES[codec.VERSION].values():
        if isinstance(value, events.Transition) and value.reason:
            continue  # ``reason`` is as optional as the state makes it
        envelope = codec.encode(value)
        name = str(envelope['schema'])
        if isinstance(value, events.Event):
            name += f' {value.operation}'
        table[name] = {
            path: kind
            + ', required'
            * is_required(envelope, type(value), path.split('.'))
            for path, kind in fields_of(value, []).items()
        }
    return table


class TestFingerprint(unittest.TestCase):
    maxDiff = None

    def test_contract_is_what_its_version_says(self) -> None:
        self.assertEqual(FINGERPRINTS[codec.VERSION], fingerprint())

    def test_what_is_written_has_exactly_these_fields(self) -> None:
        for value in golden.VALUES[codec.VERSION].values():
            envelope = codec.encode(value)
            written: set[str] = set()
            todo = [('', envelope['data'], value)]
            while todo:
                prefix, primitive, inner = todo.pop()
                for name, item in primitive.items():
                    written.add(prefix + name)
                    attribute = getattr(inner, name)
                    if dataclasses.is_dataclass(attribute):
                        todo.append((f'{prefix}{name}.', item, attribute))
                    elif (
                        attribute
                        and isinstance(attribute, tuple)
                        and dataclasses.is_dataclass(attribute[0])
                    ):
                        inside = f'{prefix}{name}.0.'
                        todo.append((inside, item[0], attribute[0]))
            self.assertEqual(set(fields_of(value, [])), written)

    def test_a_minor_version_only_adds_optional_fields(self) -> None:
        versions = sorted(FINGERPRINTS, key=numbers_of)
        for older, newer in itertools.pairwise(versions):
            if numbers_of(older)[0] == numbers_of(newer)[0]:
                self.assertEqual(
                    [], breaks(FINGERPRINTS[older], FINGERPRINTS[newer])
                )

    def test_what_would_break_readers_is_found(self) -> None:
        table = FINGERPRINTS['1.0']
        announcement = table['virtdc.announcement']
        for changes, expected in (
            ({'hue': 'text'}, []),
            ({'hue': 'text, required'}, ['virtdc.announcement hue']),
            ({'sequence': 'text'}, ['virtdc.announcement sequence']),
            ({'operation': f'{MORE}, required'}, []),
            (
                {'operation': 'create, required'},
                ['virtdc.announcement operation'],
            ),
            (
                {'origin': 'cloud|platform|x, required'},
                ['virtdc.announcement origin'],
            ),
        ):
            changed = {'virtdc.announcement': {**announcement, **changes}}
            self.assertEqual(expected, breaks(table, {**table, **changed}))
        without = {
            name: kind
            for name, kind in announcement.items()
            if name != 'sequence'
        }
        self.assertEqual(
            ['virtdc.announcement sequence'],
            breaks(table, {**table, 'virtdc.announcement': without}),
        )


def numbers_of(version: str) -> list[int]:
    """Return a version as numbers, which sort as versions do."""
    return [int(part) for part in version.split('.')]


def breaks(older: Table, newer: Table) -> list[str]:
    """Name the fields whose change a reader of the older would not bear.

    More operations are borne: nobody asks the other side for one that it has
    not declared, and what is told of one that is not known is passed over.
    What is inside a field that is new may be required there.
    """
    return sorted(
        f'{schema} {name}'
        for schema, fields in older.items()
        for name in fields | newer.get(schema, {})
        if (name in fields or '.0.' not in name)
        and not _is_borne(
            name, fields.get(name), newer.get(schema, {}).get(name)
        )
    )


def _is_borne(name: str, before: str | None, now: str | None) -> bool:
    if before is None:
        return now is not None and 'required' not in now
    if now is None:
        return False
    if name in ('operation', 'operations'):
        known, given = before.split(', '), now.split(', ')
        return given[0].startswith(known[0]) and given[1:] == known[1:]
    return before == now
