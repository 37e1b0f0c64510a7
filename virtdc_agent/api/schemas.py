"""JSON Schemas of bodies and answers.

Bodies admit nothing that is not named. Answers do: a later version may tell
more, and clients ignore what they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Any

from virtdc_agent.api.callers import Scope
from virtdc_agent.contract import alarms
from virtdc_agent.contract import events
from virtdc_agent.contract import fields
from virtdc_agent.contract.manage_codec import MAX_REFERENCE
from virtdc_agent.scheduling import Lane

Schema = Mapping[str, Any]

MAX_NAME = 255
MAX_PAGE = 1000
MAX_GROUP = 100

IDENTIFIER: Schema = {
    'type': 'string',
    'pattern': '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
    'maxLength': 64,
    'description': 'must be 1 to 64 letters, digits, dots, dashes or '
    'underscores and begin with a letter or digit',
}
SIZE: Schema = {
    'type': 'integer',
    'minimum': 1,
    'maximum': events.MAX_SIZE_BYTES,
    'description': 'a size in bytes',
}
_CONTROL = '[\\u0000-\\u001f\\u007f-\\u009f]'
# "not" and not "^[^...]*$": there "$" would let a line feed at the end pass.
LINE: Schema = {
    'type': 'string',
    'maxLength': MAX_NAME,
    'not': {
        'type': 'string',
        'pattern': _CONTROL,
    },
    'description': 'must not hold control characters',
}
TEXT: Schema = {
    'type': 'string',
    'maxLength': fields.MAX_TEXT,
    'not': {
        'type': 'string',
        'pattern': '[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f'
        '\\u007f-\\u009f]',
    },
    'description': 'must not hold control characters but line ends and tabs',
}
METADATA: Schema = {
    'type': 'object',
    'maxProperties': fields.MAX_ENTRIES,
    'propertyNames': {
        'minLength': 1,
        'maxLength': MAX_NAME,
        'not': {
            'type': 'string',
            'pattern': f'{_CONTROL}|^{re.escape(events.OWN_METADATA)}',
        },
        'description': 'has a key that is empty, has control characters or '
        f'begins with {events.OWN_METADATA}, as the service calls its own',
    },
    'additionalProperties': TEXT,
    'description': 'words of your own, as texts by their keys',
}
PROJECT: Schema = {
    'type': 'string',
    'maxLength': 255,
    'pattern': '^[A-Za-z0-9._-]*$',
    'not': {'type': 'string', 'pattern': '\\n'},
    'description': 'must be letters, digits, dots, dashes and underscores',
}
TIME: Schema = {'type': 'string', 'format': 'date-time'}
LIMIT: Schema = {
    'type': 'integer',
    'minimum': 1,
    'maximum': MAX_PAGE,
    'default': 100,
    'description': 'how many at most',
}

MARKER: Schema = {
    'type': 'string',
    'minLength': 1,
    'maxLength': 1024,
    'description': 'the next_marker of the page before',
}

REFERENCE: Schema = {
    'type': 'string',
    'minLength': 1,
    'maxLength': MAX_REFERENCE,
    'not': {'type': 'string', 'pattern': _CONTROL},
    'description': 'must be a name in the storage, as a listing gives it',
}


def choice(kind: Any) -> Schema:
    """Return the schema of one member of an enumeration."""
    return {'type': 'string', 'enum': [member.value for member in kind]}


def choices(kind: Any) -> Schema:
    """Return the schema of some members, with commas or repeated."""
    return {
        'type': 'array',
        'items': choice(kind),
        'maxItems': 32,
        'description': 'one or several, with commas',
    }


def closed(*required: str, **properties: Schema) -> Schema:
    """Return the schema of an object that has nothing else."""
    return {
        'type': 'object',
        'properties': properties,
        'required': list(required),
        'additionalProperties': False,
    }


def told(**properties: Schema) -> Schema:
    """Return the schema of an object that has all of these, and maybe more."""
    return {
        'type': 'object',
        'properties': properties,
        'required': list(properties),
    }


def many(schema: Schema) -> Schema:
    """Return the schema of a list."""
    return {'type': 'array', 'items': schema}


def maybe(schema: Schema) -> Schema:
    """Return the schema of what may be unknown."""
    return {'anyOf': [schema, {'type': 'null'}]}


def ref(name: str) -> Schema:
    """Return a reference to one of ``ANSWERS``."""
    return {'$ref': f'#/components/schemas/{name}'}


_DESCRIPTION = {'name': LINE, 'description': TEXT, 'metadata': METADATA}

BODIES: Mapping[str, Schema] = {
    'VolumeCreate': closed(
        **_DESCRIPTION,
        size_bytes={
            **SIZE,
            'description': 'in bytes; may be left out of a copy, which then '
            'is as large as its source',
        },
        format=choice(events.Format),
        provisioning=choice(events.Provisioning),
        source_volume_id=IDENTIFIER,
        source_snapshot_id=IDENTIFIER,
        pool={
            **IDENTIFIER,
            'description': 'where it is to lie; else in the first pool, and '
            'a copy beside its source; only for operators',
        },
        exporter={
            **IDENTIFIER,
            'description': 'how hosts are to reach it that do not say how; '
            'only for operators',
        },
        volume_id={
            **IDENTIFIER,
            'description': 'of a volume that the cloud still has and the '
            'data centre has lost, to make an empty one in its place; only '
            'for operators',
        },
        project_id=PROJECT,
    ),
    'VolumeEdit': {
        **closed(
            name=LINE,
            description={**TEXT, 'maxLength': MAX_NAME},
            metadata={
                **METADATA,
                'additionalProperties': {**TEXT, 'maxLength': MAX_NAME},
                'description': 'replaces all that there is, but what '
                'belongs to the service itself',
            },
        ),
        'minProperties': 1,
    },
    'VolumeResize': closed('size_bytes', size_bytes=SIZE),
    'VolumeMigrate': closed(
        'pool', pool=IDENTIFIER, provisioning=choice(events.Provisioning)
    ),
    'VolumeManage': closed(
        'reference',
        **_DESCRIPTION,
        reference=REFERENCE,
        pool=IDENTIFIER,
        size_bytes={
            **SIZE,
            'description': 'in bytes, at least what it has; else as it has',
        },
        format=choice(events.Format),
        provisioning=choice(events.Provisioning),
        project_id=PROJECT,
    ),
    'SnapshotCreate': closed(
        **_DESCRIPTION,
        volume_id=IDENTIFIER,
        volume_ids={
            'type': 'array',
            'items': IDENTIFIER,
            'minItems': 1,
            'maxItems': MAX_GROUP,
            'uniqueItems': True,
            'description': 'instead of volume_id: several of one project and '
            'one pool, all at one instant',
        },
    ),
    'AlarmAcknowledge': closed(comment={**TEXT, 'maxLength': 1024}),
}

_TEXT: Schema = {'type': 'string'}
_COUNT: Schema = {'type': 'integer', 'minimum': 0}
_NUMBER: Schema = {'type': 'number'}
_FLAG: Schema = {'type': 'boolean'}
_STRINGS: Schema = {'type': 'object', 'additionalProperties': _TEXT}
_OBJECT: Schema = {'type': 'object'}

_REQUESTER = told(project_id=_TEXT, user_id=_TEXT, request_id=_TEXT)
_STATE: Mapping[str, Schema] = {
    'event_id': _TEXT,
    'operation': choice(events.Operation),
    'volume_id': _TEXT,
    'origin': choice(events.Origin),
    'requested_by': _REQUESTER,
    'state': choice(events.State),
    'sequence': _COUNT,
    'attempt': _COUNT,
    'progress': maybe({'type': 'integer', 'minimum': 0, 'maximum': 100}),
    'bytes_done': maybe(_COUNT),
    'bytes_total': maybe(_COUNT),
    'phase': _TEXT,
    'reason': maybe(choice(events.Reason)),
    'message': _TEXT,
}
_EVENT: Mapping[str, Schema] = {
    **_STATE,
    'parameters': _OBJECT,
    'created_at': TIME,
    'accepted_at': TIME,
    'updated_at': TIME,
    'lane': choice(Lane),
    'agent': maybe(_TEXT),
    'is_cancel_requested': _FLAG,
    'retry_of': maybe(_TEXT),
}
_VOLUME: Mapping[str, Schema] = {
    'volume_id': _TEXT,
    'name': _TEXT,
    'description': _TEXT,
    'metadata': _STRINGS,
    'size_bytes': _COUNT,
    'format': choice(events.Format),
    'provisioning': choice(events.Provisioning),
    'project_id': _TEXT,
    'user_id': _TEXT,
    'attached_to': many(_TEXT),
    'origin': choice(events.Origin),
    'changed_by': choice(events.Origin),
    'created_at': TIME,
    'updated_at': TIME,
}
_PAGE: Mapping[str, Schema] = {'next_marker': maybe(_TEXT)}
_LIMIT_POINT = told(
    at=TIME, limit=_COUNT, taken=_COUNT, running=_NUMBER, is_full=_FLAG
)

ANSWERS: Mapping[str, Schema] = {
    'Problem': told(
        type=_TEXT,
        title=_TEXT,
        status={'type': 'integer'},
        code=_TEXT,
        detail=_TEXT,
        request_id=_TEXT,
    ),
    'Version': told(
        name=_TEXT, versions=many(told(id=_TEXT, status=_TEXT, path=_TEXT))
    ),
    'Health': told(
        status={'type': 'string', 'enum': ['ok', 'unavailable']},
        checks=many(told(name=_TEXT, ok=_FLAG)),
    ),
    'Me': told(
        user_id=_TEXT,
        name=_TEXT,
        scope=choice(Scope),
        project_id=maybe(_TEXT),
        roles=many(_TEXT),
        may=many(_TEXT),
    ),
    'Volume': told(**_VOLUME),
    'VolumeShown': told(**_VOLUME, open_events=many(ref('Event')), etag=_TEXT),
    'VolumePage': told(volumes=many(ref('Volume')), **_PAGE),
    'Manageable': told(
        reference=_TEXT,
        size_bytes=_COUNT,
        format=maybe(choice(events.Format)),
        is_safe=_FLAG,
        reason=_TEXT,
        volume_id=maybe(_TEXT),
        snapshot_id=maybe(_TEXT),
    ),
    'ManageablePage': told(manageable=many(ref('Manageable')), **_PAGE),
    'Snapshot': told(
        snapshot_id=_TEXT,
        volume_id=_TEXT,
        name=_TEXT,
        description=_TEXT,
        metadata=_STRINGS,
        size_bytes=_COUNT,
        format=choice(events.Format),
        project_id=_TEXT,
        user_id=_TEXT,
        created_at=TIME,
    ),
    'SnapshotPage': told(snapshots=many(ref('Snapshot')), **_PAGE),
    'Event': told(**_EVENT),
    'EventShown': told(
        **_EVENT,
        history=many(ref('Transition')),
        queue=maybe(told(ahead=_COUNT, is_exact=_FLAG)),
    ),
    'EventPage': told(events=many(ref('Event')), sequence=_COUNT, **_PAGE),
    'Transition': told(**_STATE, occurred_at=TIME, result=_OBJECT),
    'Changes': told(
        changes=many(ref('Transition')), next_after=_COUNT, last=_COUNT
    ),
    'Alarm': told(
        kind=_TEXT,
        subject=_TEXT,
        severity=choice(alarms.Severity),
        message=_TEXT,
        raised_at=TIME,
        updated_at=TIME,
        count=_COUNT,
        acknowledged_by=_TEXT,
        acknowledged_at=maybe(TIME),
        comment=_TEXT,
        details=_OBJECT,
        revision=_COUNT,
    ),
    'AlarmPage': told(alarms=many(ref('Alarm')), revision=_COUNT, **_PAGE),
    'Resync': told(
        number=_COUNT,
        asked_at=TIME,
        asked_by=_TEXT,
        listener=_TEXT,
        started_at=maybe(TIME),
        ended_at=maybe(TIME),
        volumes={**_COUNT, 'description': 'of the cloud, that were compared'},
        platform_volumes={
            **_COUNT,
            'description': 'of the data centre, that were compared',
        },
        repaired={
            **_COUNT,
            'description': 'volumes that were not in step and are set right',
        },
        alarmed={
            **_COUNT,
            'description': 'findings for which an alarm is raised',
        },
        suspects={
            **_COUNT,
            'description': 'findings that the next comparison judges',
        },
    ),
    'Trashed': told(
        volume=ref('Volume'),
        deleted_at=TIME,
        until=TIME,
        event_id=_TEXT,
        deleted_by=_REQUESTER,
        origin=choice(events.Origin),
    ),
    'TrashPage': told(trash=many(ref('Trashed')), **_PAGE),
    'Pool': told(
        name=_TEXT,
        backend=_TEXT,
        state={
            'type': 'string',
            'enum': ['known', 'unknown'],
            'description': 'unknown: the storage does not answer now; the '
            'bytes are what it said last, if it ever did',
        },
        read_at=maybe(TIME),
        age_s=maybe(_NUMBER),
        total_bytes=maybe(_COUNT),
        free_bytes=maybe(_COUNT),
        provisioned_bytes=_COUNT,
        max_over_subscription_ratio=_NUMBER,
        reserved_percentage=_COUNT,
        operations=many(_TEXT),
        formats=many(_TEXT),
        provisionings=many(_TEXT),
        volumes=_COUNT,
    ),
    'PoolList': told(
        data_centre=_TEXT,
        agent=_TEXT,
        pools=many(ref('Pool')),
        exporters=many(told(name=_TEXT, storage_protocol=_TEXT)),
        operations=many(choice(events.Operation)),
        waiting=_COUNT,
        running=_COUNT,
    ),
    'Agent': told(
        name=_TEXT,
        host=_TEXT,
        version=_TEXT,
        started_at=TIME,
        lease_until=TIME,
        is_alive=_FLAG,
        is_draining=_FLAG,
        is_publisher=_FLAG,
        running=_COUNT,
        closed=_COUNT,
    ),
    'AgentList': told(agents=many(ref('Agent'))),
    'LimitList': told(
        lanes=many(
            told(
                lane=choice(Lane),
                limit=maybe(_COUNT),
                history=many(_LIMIT_POINT),
            )
        )
    ),
    'Document': _OBJECT,
}
