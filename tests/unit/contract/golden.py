"""What the samples of each released version of the contract say.

One entry per file in ``tests/samples/contract/<version>``. Neither an entry
nor its file is ever changed: they are what peers out there send. A new
version gets a folder and a table of its own.
"""

from __future__ import annotations

import dataclasses
import datetime

from virtdc_agent.contract import alarms
from virtdc_agent.contract.codec import Message
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract import resyncs

EVENT_ID = '0b6b8f0e-52a7-4c0a-9d8b-6f1f2a3c4d5e'
VOLUME_ID = '7c9e6679-7425-40de-944b-e07fc1f90ae7'
GIB = 1024**3


def at(second: int, microsecond: int = 0) -> datetime.datetime:
    """Return a time in the minute in which all samples play."""
    return datetime.datetime(
        2026, 2, 28, 23, 59, second, microsecond, tzinfo=datetime.UTC
    )


REQUESTER = events.Requester(
    project_id='9f2c4d8e0b1a4c6d8e0f1a2b3c4d5e6f',
    user_id='1a2b3c4d5e6f4a8b9c0d1e2f3a4b5c6d',
    request_id='req-5b2e6a0c-3f1d-4e7a-8c9b-0d1e2f3a4b5c',
)


def event(
    parameters: events.Parameters, origin: Origin = Origin.CLOUD
) -> events.Event:
    """Return the event that takes these parameters."""
    return events.Event(
        event_id=EVENT_ID,
        operation=events.operation_of(parameters),
        volume_id=VOLUME_ID,
        origin=origin,
        parameters=parameters,
        created_at=at(1, 250_000),
        requested_by=REQUESTER,
    )


def transition(
    state: State, sequence: int, **changes: object
) -> events.Transition:
    """Return a transition of the event that creates the volume."""
    return events.Transition(
        event_id=EVENT_ID,
        operation=Operation.CREATE,
        volume_id=VOLUME_ID,
        origin=Origin.CLOUD,
        state=state,
        sequence=sequence,
        occurred_at=at(sequence),
        requested_by=REQUESTER,
        **changes,
    )


def failure(reason: Reason, message: str) -> events.Transition:
    """Return the end of an event that failed in its first attempt."""
    return transition(
        State.FAILED, 14, attempt=1, reason=reason, message=message
    )


V1_0: dict[str, Message] = {
    'event-create': event(
        events.CreateParameters(
            size_bytes=10 * GIB,
            name='Datenbank für Zoë 数据',
            description='Two lines,\nand a\ttab.',
            metadata={'tier': 'gold', 'owner': 'Zoë', 'empty': ''},
            format=Format.QCOW2,
            provisioning=Provisioning.THICK,
        )
    ),
    'event-create-plain': event(events.CreateParameters(size_bytes=1)),
    'event-create-largest': event(
        events.CreateParameters(
            size_bytes=events.MAX_SIZE_BYTES,
            format=Format.RAW,
            provisioning=Provisioning.THIN,
        ),
        Origin.PLATFORM,
    ),
    'event-delete': event(events.DeleteParameters()),
    'event-extend': event(events.ExtendParameters(size_bytes=20 * GIB)),
    'event-connect': event(
        events.ConnectParameters(
            host='compute-1',
            connector={
                'host': 'compute-1',
                'ip': '192.0.2.7',
                'initiator': 'iqn.2026-01.org.example:compute-1',
                'multipath': False,
                'mountpoint': None,
                'nested': {'list': [1, 2.5, 'three', [True, {}]]},
            },
        )
    ),
    'event-disconnect': event(events.DisconnectParameters(host='compute-1')),
    'event-disconnect-all': event(events.DisconnectParameters()),
    'transition-waiting': transition(State.WAITING, 11),
    'transition-running-unknown': transition(State.RUNNING, 12, attempt=1),
    'transition-running': transition(
        State.RUNNING,
        13,
        attempt=1,
        progress=42,
        bytes_done=4_509_715_660,
        bytes_total=10 * GIB,
        phase='writing zeros',
    ),
    'transition-success': transition(
        State.SUCCESS,
        14,
        attempt=2,
        progress=100,
        result={
            'size_bytes': 10 * GIB,
            'format': 'qcow2',
            'provisioning': 'thick',
            'attached_to': [],
        },
    ),
    'transition-failed-rejected': failure(
        Reason.REJECTED, 'Volume exists already, with 5 GiB.'
    ),
    'transition-failed-timeout': failure(
        Reason.TIMEOUT, 'Not finished after 60 s.'
    ),
    'transition-failed-backend': failure(
        Reason.BACKEND, 'The storage has no room for 10 GiB: free some.'
    ),
    'transition-failed-cancelled': failure(Reason.CANCELLED, 'Withdrawn.'),
    'transition-failed-lost': failure(
        Reason.LOST, 'Given up after 5 attempts.'
    ),
    'announcement': events.Announcement(
        event_id=EVENT_ID,
        operation=Operation.DELETE,
        volume_id=VOLUME_ID,
        origin=Origin.PLATFORM,
        sequence=2**63 - 1,
        occurred_at=at(59, 999_999),
    ),
    'volume': events.Volume(
        volume_id=VOLUME_ID,
        size_bytes=10 * GIB,
        format=Format.QCOW2,
        provisioning=Provisioning.THICK,
        created_at=at(2),
        updated_at=at(30),
        name='Datenbank für Zoë 数据',
        description='Two lines,\nand a\ttab.',
        metadata={'tier': 'gold'},
        project_id=REQUESTER.project_id,
        user_id=REQUESTER.user_id,
        attached_to=('compute-1', 'compute-2'),
    ),
    'volume-plain': events.Volume(
        volume_id='v',
        size_bytes=1,
        format=Format.RAW,
        provisioning=Provisioning.THIN,
        created_at=at(2),
        updated_at=at(2),
    ),
    'capacity': events.Capacity(
        agent='dc1-agent',
        backend='file',
        exporter='share',
        storage_protocol='nfs',
        total_bytes=1024 * GIB,
        free_bytes=700 * GIB,
        provisioned_bytes=2048 * GIB,
        max_over_subscription_ratio=20.0,
        reserved_percentage=5,
        operations=frozenset(
            {
                Operation.CREATE,
                Operation.DELETE,
                Operation.EXTEND,
                Operation.CONNECT,
                Operation.DISCONNECT,
            }
        ),
        formats=frozenset(Format),
        provisionings=frozenset(Provisioning),
        volumes=205,
        waiting=3,
        running=10,
    ),
}

SNAPSHOT_ID = '2f9d7c1e-8b4a-4d3c-9e6f-5a7b8c9d0e1f'
SOURCE_ID = '5d0f1e2c-3b4a-4958-8776-a5b4c3d2e1f0'

V1_1: dict[str, Message] = {
    **V1_0,
    'event-snapshot': event(
        events.SnapshotParameters(
            snapshot_id=SNAPSHOT_ID,
            name='Vor dem Umbau 数据',
            description='Two lines,\nand a\ttab.',
            metadata={'kept': 'for a week'},
        )
    ),
    'event-snapshot-plain': event(
        events.SnapshotParameters(snapshot_id=SNAPSHOT_ID), Origin.PLATFORM
    ),
    'event-delete-snapshot': event(
        events.DeleteSnapshotParameters(snapshot_id=SNAPSHOT_ID)
    ),
    'event-revert': event(events.RevertParameters(snapshot_id=SNAPSHOT_ID)),
    'event-clone': event(
        events.CloneParameters(
            source_id=SOURCE_ID,
            snapshot_id=SNAPSHOT_ID,
            size_bytes=20 * GIB,
            name='Zoë',
            description='A copy.',
            metadata={'tier': 'gold'},
            format=Format.RAW,
            provisioning=Provisioning.THIN,
        )
    ),
    'event-clone-plain': event(
        events.CloneParameters(source_id=SOURCE_ID, size_bytes=10 * GIB)
    ),
    'event-import': event(
        events.ImportParameters(
            url='file:///srv/images/5b%20c',
            image_format='qcow2',
            size_bytes=20 * GIB,
            hash_algorithm='sha512',
            hash_value='9b' * 64,
            name='Zoë',
            description='From an image.',
            metadata={'tier': 'gold'},
            format=Format.RAW,
            provisioning=Provisioning.THIN,
        )
    ),
    'event-import-plain': event(
        events.ImportParameters(
            url='file:///srv/images/5b', image_format='raw', size_bytes=GIB
        )
    ),
    'snapshot': events.Snapshot(
        snapshot_id=SNAPSHOT_ID,
        volume_id=VOLUME_ID,
        size_bytes=10 * GIB,
        format=Format.RAW,
        created_at=at(31),
        name='Vor dem Umbau 数据',
        description='Two lines,\nand a\ttab.',
        metadata={'kept': 'for a week'},
        project_id=REQUESTER.project_id,
        user_id=REQUESTER.user_id,
    ),
    'snapshot-plain': events.Snapshot(
        snapshot_id='s',
        volume_id='v',
        size_bytes=1,
        format=Format.QCOW2,
        created_at=at(2),
    ),
    'capacity': dataclasses.replace(
        V1_0['capacity'],
        operations=frozenset(
            {
                *V1_0['capacity'].operations,
                *(Operation.SNAPSHOT, Operation.DELETE_SNAPSHOT),
                *(Operation.REVERT, Operation.CLONE, Operation.IMPORT),
            }
        ),
        image_urls=('file:///srv/images/',),
    ),
}


def in_pool(message: Message) -> events.Event:
    """Return the event of a message, asking for a pool."""
    if not isinstance(message, events.Event):
        raise TypeError(message)
    return event(
        dataclasses.replace(message.parameters, pool='fast'), message.origin
    )


TRASHED = events.Volume(
    volume_id=VOLUME_ID,
    size_bytes=10 * GIB,
    format=Format.QCOW2,
    provisioning=Provisioning.THICK,
    created_at=at(2),
    updated_at=at(30),
    name='Datenbank für Zoë 数据',
    project_id=REQUESTER.project_id,
    user_id=REQUESTER.user_id,
    origin=Origin.PLATFORM,
    changed_by=Origin.PLATFORM,
    changed_at_sequence=2**63 - 1,
)

OTHER_VOLUME_ID = '1b4e28ba-2fa1-41d2-883f-0016d3cca427'
OTHER_SNAPSHOT_ID = '9c5b94b1-35ad-49bb-b118-8e8fc24abf80'

V1_2: dict[str, Message] = {
    **V1_1,
    'event-create-again': dataclasses.replace(
        event(events.CreateParameters(size_bytes=GIB), Origin.PLATFORM),
        retry_of='5f0c0b57-0c86-4b53-a6f2-4f2f6a1c2d3e',
    ),
    'event-snapshot-group': event(
        events.SnapshotGroupParameters(
            snapshots={
                VOLUME_ID: SNAPSHOT_ID,
                OTHER_VOLUME_ID: OTHER_SNAPSHOT_ID,
            },
            name='Vor dem Umbau 数据',
            description='Two lines,\nand a\ttab.',
            metadata={'kept': 'for a week'},
        )
    ),
    'event-snapshot-group-plain': event(
        events.SnapshotGroupParameters(snapshots={VOLUME_ID: SNAPSHOT_ID}),
        Origin.PLATFORM,
    ),
    'transition-group': dataclasses.replace(
        transition(State.RUNNING, 12, attempt=1),
        operation=Operation.SNAPSHOT_GROUP,
        volume_ids=(OTHER_VOLUME_ID, VOLUME_ID),
    ),
    'event-delete-forced': event(
        events.DeleteParameters(force=True), Origin.PLATFORM
    ),
    'event-edit': event(
        events.EditParameters(
            name='Zoë 数据',
            description='Two lines,\nand a\ttab.',
            metadata={'tier': 'gold', 'empty': ''},
        ),
        Origin.PLATFORM,
    ),
    'event-edit-plain': event(events.EditParameters()),
    'event-edit-empty': event(
        events.EditParameters(name='', description='', metadata={})
    ),
    'event-delete-lost': event(
        events.DeleteParameters(is_lost=True), Origin.PLATFORM
    ),
    'event-restore': event(events.RestoreParameters(), Origin.PLATFORM),
    'event-purge': event(
        events.PurgeParameters(deleted_by=EVENT_ID), Origin.PLATFORM
    ),
    'event-purge-plain': event(events.PurgeParameters(), Origin.PLATFORM),
    'volume': dataclasses.replace(
        V1_1['volume'],
        origin=Origin.PLATFORM,
        changed_by=Origin.PLATFORM,
        changed_at_sequence=2**63 - 1,
    ),
    'trashed-volume': events.TrashedVolume(
        volume=TRASHED,
        deleted_at=at(31),
        until=at(59),
        event_id=EVENT_ID,
        deleted_by=REQUESTER,
        origin=Origin.PLATFORM,
    ),
    'alarm': alarms.Alarm(
        kind='volume-deleted',
        subject=VOLUME_ID,
        severity=alarms.Severity.CRITICAL,
        message='Volume Zoë was deleted by alice in the data centre.',
        raised_at=at(31),
        updated_at=at(33),
        count=2,
        acknowledged_by='bob',
        acknowledged_at=at(33),
        comment='Restoring it from the trash.',
        details={
            'event_id': EVENT_ID,
            'requested_by': {'user_id': 'alice'},
            'size_bytes': 10 * GIB,
            'attached_to': ['compute-1'],
            'trash_until': None,
        },
        revision=17,
    ),
    'alarm-plain': alarms.Alarm(
        kind='pool-vanished',
        subject='storage',
        severity=alarms.Severity.WARNING,
        message='',
        raised_at=at(31),
        updated_at=at(31),
    ),
    **{
        f'alarm-{change}': alarms.AlarmNotice(
            kind='volume-deleted',
            subject=VOLUME_ID,
            change=change,
            revision=18,
            occurred_at=at(34),
        )
        for change in alarms.AlarmChange
    },
    'resync': resyncs.Resync(
        number=3,
        asked_at=at(35),
        asked_by='alice@vdc',
        listener='cloud-1/5b2e6a0c',
        started_at=at(36),
        ended_at=at(37),
        volumes=120,
        platform_volumes=121,
        repaired=2,
        alarmed=1,
        suspects=1,
    ),
    'resync-plain': resyncs.Resync(number=1, asked_at=at(35), asked_by=''),
    'event-create-in-pool': in_pool(V1_1['event-create']),
    'event-clone-in-pool': in_pool(V1_1['event-clone']),
    'event-import-in-pool': in_pool(V1_1['event-import']),
    'event-connect-by': event(
        events.ConnectParameters(host='compute-1', exporter='iscsi-tgt')
    ),
    'event-migrate': event(
        events.MigrateParameters(pool='slow', provisioning=Provisioning.THICK)
    ),
    'event-migrate-plain': event(
        events.MigrateParameters(pool='slow'), Origin.PLATFORM
    ),
    'volume-in-pool': dataclasses.replace(
        V1_1['volume'], pool='fast', exporter='iscsi-tgt'
    ),
    'event-manage': event(
        events.ManageParameters(
            reference='Datenbank für Zoë.qcow2',
            size_bytes=20 * GIB,
            name='Zoë',
            description='Was there before.',
            metadata={'tier': 'gold'},
            format=Format.QCOW2,
            provisioning=Provisioning.THIN,
            pool='slow',
        )
    ),
    'event-manage-plain': event(
        events.ManageParameters(reference='disk.img', size_bytes=GIB)
    ),
    'event-unmanage': event(events.UnmanageParameters()),
    'event-manage-snapshot': event(
        events.ManageSnapshotParameters(
            snapshot_id=SNAPSHOT_ID,
            reference='snapshot-before',
            size_bytes=10 * GIB,
            name='Vor dem Umbau 数据',
            description='Two lines,\nand a\ttab.',
            metadata={'kept': 'for a week'},
        )
    ),
    'event-manage-snapshot-plain': event(
        events.ManageSnapshotParameters(
            snapshot_id=SNAPSHOT_ID, reference='s', size_bytes=1
        )
    ),
    'event-unmanage-snapshot': event(
        events.UnmanageSnapshotParameters(snapshot_id=SNAPSHOT_ID)
    ),
    'manageable': events.Manageable(
        reference='Datenbank für Zoë.qcow2',
        size_bytes=10 * GIB,
        format=Format.QCOW2,
        is_safe=True,
    ),
    'manageable-not-safe': events.Manageable(
        reference='disk.vmdk',
        size_bytes=0,
        format=None,
        is_safe=False,
        reason='Its format is not known here.',
    ),
    'manageable-snapshot': events.Manageable(
        reference='snapshot-before',
        size_bytes=10 * GIB,
        format=Format.RAW,
        is_safe=False,
        reason='It is managed already.',
        volume_id=VOLUME_ID,
        snapshot_id=SNAPSHOT_ID,
    ),
    'capacity': dataclasses.replace(
        V1_1['capacity'],
        operations=frozenset(Operation),
        can_grow_in_use=False,
        data_centre='4f5e6d7c8b9a0f1e2d3c4b5a69788796',
        pools=(
            events.PoolCapacity(
                name='fast',
                backend='file',
                total_bytes=1000 * GIB,
                free_bytes=690 * GIB,
                provisioned_bytes=2000 * GIB,
                max_over_subscription_ratio=20.0,
                reserved_percentage=5,
                operations=frozenset(
                    {Operation.CREATE, Operation.DELETE, Operation.MIGRATE}
                ),
                formats=frozenset(Format),
                provisionings=frozenset(Provisioning),
                volumes=200,
            ),
            events.PoolCapacity(
                name='slow',
                backend='memory',
                total_bytes=24 * GIB,
                free_bytes=10 * GIB,
                provisioned_bytes=48 * GIB,
                max_over_subscription_ratio=1.0,
                reserved_percentage=0,
                operations=frozenset({Operation.CREATE, Operation.DELETE}),
                formats=frozenset({Format.RAW}),
                provisionings=frozenset({Provisioning.THIN}),
                volumes=5,
            ),
        ),
        exporters=(
            events.ExporterOffer(name='share', storage_protocol='nfs'),
            events.ExporterOffer(name='iscsi-tgt', storage_protocol='iSCSI'),
        ),
    ),
}

VALUES: dict[str, dict[str, Message]] = {
    '1.0': V1_0,
    '1.1': V1_1,
    '1.2': V1_2,
}
