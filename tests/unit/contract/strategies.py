"""Every value that the contract admits, for property tests."""

from __future__ import annotations

import datetime

from hypothesis import strategies as st

from virtdc_agent.contract import alarms
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract import resyncs

MAX = events.MAX_SIZE_BYTES

_characters = st.characters(exclude_categories=('Cc', 'Cs')) | st.sampled_from(
    '\t\n\r'
)


def texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Return texts of any script without control characters."""
    return st.text(_characters, max_size=max_size)


names = texts(255)
identifiers = st.from_regex(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}', fullmatch=True)
sizes = st.integers(1, MAX)
counts = st.integers(0, MAX)
sequences = st.integers(1, MAX)
times = st.datetimes(timezones=st.just(datetime.UTC))
metadata = st.dictionaries(texts(), texts(), max_size=8)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
"""Any JSON that is not a container; texts may hold anything at all."""

trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=15,
)
objects = st.dictionaries(st.text(max_size=10), trees, max_size=4)

requesters = st.builds(
    events.Requester,
    project_id=names,
    user_id=names,
    request_id=names,
    trace=names,
)

references = names.filter(bool)

_parameters = {
    Operation.CREATE: st.builds(
        events.CreateParameters,
        size_bytes=sizes,
        name=names,
        description=texts(500),
        metadata=metadata,
        format=st.none() | st.sampled_from(Format),
        provisioning=st.none() | st.sampled_from(Provisioning),
        pool=st.none() | identifiers,
    ),
    Operation.DELETE: st.builds(
        events.DeleteParameters, force=st.booleans(), is_lost=st.booleans()
    ),
    Operation.EDIT: st.builds(
        events.EditParameters,
        name=st.none() | names,
        description=st.none() | names,
        metadata=st.none()
        | st.dictionaries(texts().filter(bool), texts(), max_size=8),
    ),
    Operation.RESTORE: st.builds(events.RestoreParameters),
    Operation.PURGE: st.builds(
        events.PurgeParameters, deleted_by=st.none() | identifiers
    ),
    Operation.EXTEND: st.builds(events.ExtendParameters, size_bytes=sizes),
    Operation.CONNECT: st.builds(
        events.ConnectParameters,
        host=names.filter(bool),
        connector=objects,
        exporter=st.none() | identifiers,
    ),
    Operation.DISCONNECT: st.builds(
        events.DisconnectParameters,
        host=st.none() | names.filter(bool),
    ),
    Operation.SNAPSHOT: st.builds(
        events.SnapshotParameters,
        snapshot_id=identifiers,
        name=names,
        description=texts(500),
        metadata=metadata,
    ),
    Operation.DELETE_SNAPSHOT: st.builds(
        events.DeleteSnapshotParameters, snapshot_id=identifiers
    ),
    Operation.REVERT: st.builds(
        events.RevertParameters, snapshot_id=identifiers
    ),
    Operation.CLONE: st.builds(
        events.CloneParameters,
        source_id=identifiers,
        snapshot_id=st.none() | identifiers,
        pool=st.none() | identifiers,
        size_bytes=sizes,
        name=names,
        description=texts(500),
        metadata=metadata,
        format=st.none() | st.sampled_from(Format),
        provisioning=st.none() | st.sampled_from(Provisioning),
    ),
    Operation.IMPORT: st.builds(
        events.ImportParameters,
        url=texts(500),
        image_format=texts(64),
        size_bytes=sizes,
        hash_algorithm=texts(64),
        hash_value=texts(255),
        name=names,
        description=texts(500),
        metadata=metadata,
        format=st.none() | st.sampled_from(Format),
        provisioning=st.none() | st.sampled_from(Provisioning),
        pool=st.none() | identifiers,
    ),
    Operation.MIGRATE: st.builds(
        events.MigrateParameters,
        pool=identifiers,
        provisioning=st.none() | st.sampled_from(Provisioning),
    ),
    Operation.SNAPSHOT_GROUP: st.builds(
        events.SnapshotGroupParameters,
        snapshots=st.lists(
            st.tuples(identifiers, identifiers),
            min_size=1,
            max_size=8,
            unique_by=(lambda pair: pair[0], lambda pair: pair[1]),
        ).map(dict),
        name=names,
        description=texts(500),
        metadata=metadata,
    ),
    Operation.MANAGE: st.builds(
        events.ManageParameters,
        pool=st.none() | identifiers,
        reference=references,
        size_bytes=sizes,
        name=names,
        description=texts(500),
        metadata=metadata,
        format=st.none() | st.sampled_from(Format),
        provisioning=st.none() | st.sampled_from(Provisioning),
    ),
    Operation.UNMANAGE: st.builds(events.UnmanageParameters),
    Operation.MANAGE_SNAPSHOT: st.builds(
        events.ManageSnapshotParameters,
        snapshot_id=identifiers,
        reference=references,
        size_bytes=sizes,
        name=names,
        description=texts(500),
        metadata=metadata,
    ),
    Operation.UNMANAGE_SNAPSHOT: st.builds(
        events.UnmanageSnapshotParameters, snapshot_id=identifiers
    ),
}


def _events_of(operation: Operation) -> st.SearchStrategy[events.Event]:
    return st.builds(
        events.Event,
        event_id=identifiers,
        operation=st.just(operation),
        volume_id=identifiers,
        origin=st.sampled_from(Origin),
        parameters=_parameters[operation],
        created_at=times,
        requested_by=requesters,
        retry_of=st.none() | identifiers,
    )


def _transitions_in(state: State) -> st.SearchStrategy[events.Transition]:
    failed = state is State.FAILED
    return st.builds(
        events.Transition,
        event_id=identifiers,
        operation=st.sampled_from(Operation),
        volume_id=identifiers,
        origin=st.sampled_from(Origin),
        state=st.just(state),
        sequence=sequences,
        occurred_at=times,
        requested_by=requesters,
        attempt=st.integers(0, 2**31 - 1),
        progress=st.none() | st.integers(0, 100),
        bytes_done=st.none() | counts,
        bytes_total=st.none() | counts,
        phase=texts(64),
        reason=st.sampled_from(Reason) if failed else st.none(),
        message=texts(500),
        result=objects,
        volume_ids=st.lists(identifiers, max_size=8).map(tuple),
    )


kinds = st.from_regex(r'[a-z][a-z0-9]{0,20}(-[a-z0-9]{1,20})?', fullmatch=True)
volumes = st.builds(
    events.Volume,
    volume_id=identifiers,
    size_bytes=sizes,
    format=st.sampled_from(Format),
    provisioning=st.sampled_from(Provisioning),
    created_at=times,
    updated_at=times,
    name=names,
    description=texts(500),
    metadata=metadata,
    project_id=names,
    user_id=names,
    origin=st.sampled_from(Origin),
    changed_by=st.sampled_from(Origin),
    changed_at_sequence=counts,
    attached_to=st.lists(texts(), max_size=8).map(tuple),
    pool=st.just('') | identifiers,
    exporter=st.just('') | identifiers,
)

_pools = st.builds(
    events.PoolCapacity,
    name=st.just('') | identifiers,
    backend=names,
    total_bytes=counts,
    free_bytes=counts,
    provisioned_bytes=counts,
    max_over_subscription_ratio=st.floats(1.0, 1e6),
    reserved_percentage=st.integers(0, 100),
    operations=st.frozensets(st.sampled_from(Operation)),
    formats=st.frozensets(st.sampled_from(Format)),
    provisionings=st.frozensets(st.sampled_from(Provisioning)),
    volumes=counts,
)
_exporters = st.builds(
    events.ExporterOffer, name=identifiers, storage_protocol=names
)

messages = st.one_of(
    st.sampled_from(Operation).flatmap(_events_of),
    st.sampled_from(State).flatmap(_transitions_in),
    st.builds(
        events.Announcement,
        event_id=identifiers,
        operation=st.sampled_from(Operation),
        volume_id=identifiers,
        origin=st.sampled_from(Origin),
        sequence=sequences,
        occurred_at=times,
    ),
    volumes,
    st.builds(
        events.TrashedVolume,
        volume=volumes,
        deleted_at=times,
        until=times,
        event_id=identifiers,
        deleted_by=requesters,
        origin=st.sampled_from(Origin),
    ),
    st.builds(
        alarms.Alarm,
        kind=kinds,
        subject=identifiers,
        severity=st.sampled_from(alarms.Severity),
        message=texts(500),
        raised_at=times,
        updated_at=times,
        count=st.integers(1, 2**31 - 1),
        acknowledged_by=names,
        acknowledged_at=st.none() | times,
        comment=texts(500),
        details=objects,
        revision=counts,
    ),
    st.builds(
        alarms.AlarmNotice,
        kind=kinds,
        subject=identifiers,
        change=st.sampled_from(alarms.AlarmChange),
        revision=counts,
        occurred_at=times,
    ),
    st.builds(
        resyncs.Resync,
        number=st.integers(1, 2**53),
        asked_at=times,
        asked_by=names,
        listener=names,
        started_at=st.none() | times,
        ended_at=st.none() | times,
        **dict.fromkeys(resyncs.COUNTS, st.integers(0, 2**53)),
    ),
    st.builds(
        events.Snapshot,
        snapshot_id=identifiers,
        volume_id=identifiers,
        size_bytes=sizes,
        format=st.sampled_from(Format),
        created_at=times,
        name=names,
        description=texts(500),
        metadata=metadata,
        project_id=names,
        user_id=names,
    ),
    st.builds(
        events.Manageable,
        reference=references,
        size_bytes=counts,
        format=st.none() | st.sampled_from(Format),
        is_safe=st.booleans(),
        reason=texts(500),
        volume_id=st.none() | identifiers,
        snapshot_id=st.none() | identifiers,
    ),
    st.builds(
        events.Capacity,
        agent=names,
        backend=names,
        exporter=names,
        storage_protocol=names,
        total_bytes=counts,
        free_bytes=counts,
        provisioned_bytes=counts,
        max_over_subscription_ratio=st.floats(1.0, 1e6),
        reserved_percentage=st.integers(0, 100),
        operations=st.frozensets(st.sampled_from(Operation)),
        formats=st.frozensets(st.sampled_from(Format)),
        provisionings=st.frozensets(st.sampled_from(Provisioning)),
        volumes=counts,
        waiting=counts,
        running=counts,
        image_urls=st.lists(texts(), max_size=8).map(tuple),
        can_grow_in_use=st.booleans(),
        data_centre=texts(64),
        pools=st.lists(_pools, max_size=3).map(tuple),
        exporters=st.lists(_exporters, max_size=3).map(tuple),
    ),
)
