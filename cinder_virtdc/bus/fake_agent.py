"""An agent in memory, behind the same calls, driven by hand.

Shipped for tests, the project's own and those of others. Everything passes
through the contract's codec, as it would over a bus.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
import threading
from typing import Any

from cinder_virtdc.bus.fake_alarms import FakeAlarms
from cinder_virtdc.bus.fake_marks import FakeMarks
from cinder_virtdc import exceptions
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract.catalogue import VOLUME_DELETED
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.errors import UnsupportedVersion
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import Requester
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract.resyncs import Resync
from virtdc_agent.contract import rpc
from virtdc_agent.contract.rpc import ErrorCode

GIB = 1024**3

_EPOCH = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


class FakeAgent:
    """A ``Caller`` with a journal of its own. Safe from any thread.

    ``run``, ``finish`` and ``fail`` make an event go on; with ``automatic``
    each one succeeds as it is submitted. Whoever is in ``subscribers`` is
    told every transition, in the calling thread.

    :ivar is_down: nothing is answered, and nothing is done.
    :ivar answers_to_drop: so many calls are executed but not answered.
    :ivar tells: whether subscribers are told; set it to lose messages.
    :ivar speaks_our_version: else every call is refused for its version.
    :ivar refusal: if set, what every submission is answered.
    :ivar calls: the methods that were called, in order.
    :ivar effective_deletions: events of the data centre that have deleted a
        volume.
    """

    def __init__(self, *, automatic: bool = False) -> None:
        self.automatic = automatic
        self.is_down = False
        self.answers_to_drop = 0
        self.tells = True
        self.speaks_our_version = True
        self.refusal: rpc.Refusal | None = None
        self.calls: list[str] = []
        self.subscribers: list[Callable[[Notification], None]] = []
        self.events: dict[str, Event] = {}
        self.history: list[Transition] = []
        self.volumes: dict[str, Volume] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.trash: dict[str, TrashedVolume] = {}
        self.effective_deletions: set[str] = set()
        self.alarms = FakeAlarms()
        self.marks = FakeMarks()
        self.resync: Resync | None = None
        self.manageable: dict[str, Manageable] = {}
        self.manageable_snapshots: dict[str, Manageable] = {}
        self.capacity = Capacity(
            agent='fake',
            backend='memory',
            exporter='memory',
            storage_protocol='nfs',
            total_bytes=100 * GIB,
            free_bytes=80 * GIB,
            provisioned_bytes=0,
            max_over_subscription_ratio=20.0,
            reserved_percentage=5,
            operations=frozenset(Operation),
            formats=frozenset({Format.RAW, Format.QCOW2}),
            provisionings=frozenset(Provisioning),
        )
        self._last = 0
        self._changed = threading.Condition(threading.RLock())

    def call(
        self, method: str, arguments: Mapping[str, object], timeout_s: float
    ) -> object:
        """See ``Caller``. Never waits: what is lost is lost at once."""
        with self._changed:
            self.calls.append(method)
            self._changed.notify_all()
            if self.is_down:
                raise exceptions.AgentUnreachable('The fake agent is down.')
            if not self.speaks_our_version:
                raise exceptions.ContractMismatch(
                    'The fake agent speaks another version: upgrade it.'
                )
            answer = self._answer(method, arguments)
            if self.answers_to_drop:
                self.answers_to_drop -= 1
                raise exceptions.AgentUnreachable('The answer was lost.')
            return answer

    def await_events(self, count: int, timeout_s: float = 10.0) -> list[Event]:
        """Wait until so many events were submitted; return all of them.

        :raises TimeoutError: they were not, in real time.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: len(self.events) >= count, timeout_s
            ):
                raise TimeoutError(f'{len(self.events)} of {count} events')
            return list(self.events.values())

    def await_calls(
        self, method: str, count: int, timeout_s: float = 10.0
    ) -> None:
        """Wait until a method was called so often.

        :raises TimeoutError: it was not, in real time.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: self.calls.count(method) >= count, timeout_s
            ):
                raise TimeoutError(f'{self.calls.count(method)} of {count}')

    def submit(self, event: Event) -> Transition:
        """Accept an event, also one that the data centre made itself."""
        with self._changed:
            known = self.latest(event.event_id)
            if known is not None:
                return known
            self.events[event.event_id] = event
            self._changed.notify_all()
            waiting = self._tell(event, State.WAITING, attempt=0, progress=0)
        if self.automatic:
            self.run(event.event_id)
            self.finish(event.event_id)
        return waiting

    def run(self, event_id: str, progress: int | None = None) -> Transition:
        """Let an event run, or report how far it is."""
        return self._tell(
            self.events[event_id], State.RUNNING, progress=progress
        )

    def finish(self, event_id: str) -> Transition:
        """Let an event succeed, and take effect; or fail, if it cannot."""
        event = self.events[event_id]
        with self._changed:
            if not self._is_possible(event):
                return self.fail(
                    event_id, Reason.REJECTED, 'There is no such volume.'
                )
            self._apply(event)
            return self._tell(event, State.SUCCESS, progress=100)

    def fail(
        self,
        event_id: str,
        reason: Reason = Reason.BACKEND,
        message: str = 'The storage is full: add space.',
    ) -> Transition:
        """Let an event fail."""
        return self._tell(
            self.events[event_id],
            State.FAILED,
            reason=reason,
            message=message,
        )

    def latest(self, event_id: str) -> Transition | None:
        """Return the latest transition of an event."""
        with self._changed:
            return next(
                (
                    one
                    for one in reversed(self.history)
                    if one.event_id == event_id
                ),
                None,
            )

    def platform(
        self,
        volume_id: str,
        parameters: events.Parameters,
        user_id: str = 'operator',
    ) -> Event:
        """Let the data centre itself make an event."""
        event = Event(
            event_id=f'platform-{len(self.events) + 1}',
            operation=events.operation_of(parameters),
            volume_id=volume_id,
            origin=Origin.PLATFORM,
            parameters=parameters,
            created_at=self._now(),
            requested_by=Requester(user_id=user_id),
        )
        self.submit(event)
        return event

    def forget(self) -> None:
        """Lose the journal, as after a restore from nothing."""
        with self._changed:
            self.events.clear()
            self.history.clear()

    def purge(self, before: int) -> None:
        """Drop the history before a sequence."""
        with self._changed:
            self.history = [
                one for one in self.history if one.sequence >= before
            ]

    def _answer(
        self, method: str, arguments: Mapping[str, object]
    ) -> dict[str, object]:
        match method, dict(arguments):
            case 'submit', {'event': envelope}:
                return self._answer_submit(envelope)
            case 'get_events', {'event_ids': list(event_ids)}:
                known = [self.latest(event_id) for event_id in event_ids]
                return {'items': [codec.encode(one) for one in known if one]}
            case 'get_changes', {'after': int(after), 'limit': int(limit)}:
                return self._answer_changes(after, limit)
            case 'cancel', {'event_id': str(event_id)}:
                return self._answer_cancel(event_id)
            case 'get_volumes', {'marker': marker, 'limit': int(limit)}:
                return _page(self.volumes, str(marker or ''), limit)
            case 'get_volume', {'volume_id': str(volume_id)}:
                return self._answer_volume(volume_id)
            case 'get_trash', {'marker': marker, 'limit': int(limit)}:
                return _page(self.trash, str(marker or ''), limit)
            case 'get_alarms', {'marker': marker, 'limit': int(limit)}:
                found = {
                    '/'.join(key): alarm
                    for key, alarm in self.alarms.raised.items()
                }
                return {
                    **_page(found, str(marker or ''), limit),
                    'revision': self.alarms.revision,
                }
            case 'raise_alarm', {'kind': kind, 'subject': subject, **rest}:
                alarm, notice = self.alarms.put(
                    str(kind),
                    str(subject),
                    severity=Severity(str(rest['severity'])),
                    message=str(rest['message']),
                    details=dict(rest['details']),  # type: ignore[call-overload]
                    now=self._now(),
                )
                self._ring(notice)
                return {
                    'item': codec.encode(alarm),
                    'change': notice.change.value if notice else None,
                }
            case 'acknowledge_alarm', {'kind': kind, 'subject': subject} as a:
                return self._answer_acknowledge(
                    str(kind), str(subject), str(a['by']), str(a['comment'])
                )
            case 'clear_alarm', {'kind': kind, 'subject': subject}:
                return {'cleared': self._clear(str(kind), str(subject))}
            case 'take_resync', {'listener': listener}:
                return self._answer_take_resync(str(listener))
            case 'end_resync', {'listener': listener, 'counts': dict(counts)}:
                return self._answer_end_resync(str(listener), counts)
            case 'take_mark', {'name': name, 'holder': holder, **rest}:
                return self.marks.take(
                    *(str(name), str(holder)), float(str(rest['lease_s']))
                )
            case 'settle_mark', {'name': name}:
                return self.marks.settle(str(name))
            case 'get_snapshots', {'marker': marker, 'limit': int(limit)}:
                of = arguments.get('volume_id')
                kept = {
                    one.snapshot_id: one
                    for one in self.snapshots.values()
                    if of in (None, one.volume_id)
                }
                return _page(kept, str(marker or ''), limit)
            case 'get_manageable', {'reference': str(reference)}:
                return _one_of(
                    self.manageable, reference, self.volumes.get(reference)
                )
            case 'get_manageable', {'marker': marker, 'limit': int(limit)}:
                return _page(self.manageable, str(marker or ''), limit)
            case 'get_manageable_snapshots', {'reference': str(reference)}:
                return _one_of(
                    self.manageable_snapshots,
                    reference,
                    self.snapshots.get(reference),
                )
            case 'get_manageable_snapshots', {
                'marker': marker,
                'limit': int(limit),
            }:
                return _page(
                    self.manageable_snapshots, str(marker or ''), limit
                )
            case 'get_capacity', {}:
                return {'item': codec.encode(self.capacity)}
            case 'get_connection', {'volume_id': volume_id, 'host': host}:
                return {
                    'connection': {
                        'driver_volume_type': 'nfs',
                        'data': {
                            'export': f'filer:/{host}',
                            'name': f'volume-{volume_id}',
                            'format': self._format_of(volume_id),
                            'options': None,
                        },
                    }
                }
        raise TypeError(f'{method} does not take {sorted(arguments)}')

    def _format_of(self, volume_id: object) -> str:
        volume = self.volumes.get(str(volume_id))
        return (volume.format if volume else events.Format.RAW).value

    def _answer_submit(self, envelope: object) -> dict[str, object]:
        if self.refusal is not None:
            return self.refusal.to_primitive()
        try:
            event = codec.decode(envelope, Event)
        except MalformedMessage as exc:
            return rpc.Refusal(
                code=ErrorCode.MALFORMED, message=str(exc), field=exc.field
            ).to_primitive()
        except UnsupportedVersion as exc:
            return rpc.Refusal(
                code=ErrorCode.UNSUPPORTED_VERSION, message=str(exc)
            ).to_primitive()
        return {'item': codec.encode(self.submit(event))}

    def _answer_changes(self, after: int, limit: int) -> dict[str, object]:
        found = [one for one in self.history if one.sequence > after]
        return {
            'items': [codec.encode(one) for one in found[:limit]],
            'oldest': self.history[0].sequence if self.history else 0,
            'last': self._last,
            'resync': (
                self.resync.number
                if self.resync and self.resync.ended_at is None
                else None
            ),
        }

    def request_resync(self) -> None:
        """Ask for a comparison, as a person does; ring the doorbell."""
        number = self.resync.number + 1 if self.resync else 1
        self.resync = Resync(
            number=number, asked_at=self._now(), asked_by='eve'
        )
        if self.tells:
            for subscriber in self.subscribers:
                subscriber(
                    codec.decode_notification(codec.encode(self.resync))
                )

    def _answer_take_resync(self, listener: str) -> dict[str, object]:
        if self.resync is None or self.resync.listener not in ('', listener):
            return {'item': None}
        self.resync = dataclasses.replace(
            self.resync, listener=listener, started_at=self._now()
        )
        return {'item': codec.encode(self.resync)}

    def _answer_end_resync(
        self, listener: str, counts: dict[str, Any]
    ) -> dict[str, object]:
        if self.resync is None:
            raise AssertionError('nobody has asked for one')
        self.resync = dataclasses.replace(
            self.resync, listener=listener, ended_at=self._now(), **counts
        )
        return {'item': codec.encode(self.resync)}

    def _answer_cancel(self, event_id: str) -> dict[str, object]:
        latest = self.latest(event_id)
        if latest is None:
            return rpc.Refusal(
                code=ErrorCode.NOT_FOUND, message=f'No event {event_id}.'
            ).to_primitive()
        if latest.state is State.WAITING:
            latest = self.fail(event_id, Reason.CANCELLED, 'It was withdrawn.')
        return {'item': codec.encode(latest)}

    def _answer_volume(self, volume_id: str) -> dict[str, object]:
        volume = self.volumes.get(volume_id)
        if volume is None:
            return rpc.Refusal(
                code=ErrorCode.NOT_FOUND, message=f'No volume {volume_id}.'
            ).to_primitive()
        return {'item': codec.encode(volume)}

    def _answer_acknowledge(
        self, kind: str, subject: str, by: str, comment: str
    ) -> dict[str, object]:
        try:
            alarm, notice = self.alarms.acknowledge(
                kind, subject, by=by, comment=comment, now=self._now()
            )
        except KeyError:
            return rpc.Refusal(
                code=ErrorCode.NOT_FOUND, message=f'No alarm {kind}/{subject}.'
            ).to_primitive()
        self._ring(notice)
        return {'item': codec.encode(alarm)}

    def _clear(self, kind: str, subject: str) -> bool:
        notice = self.alarms.clear(kind, subject, self._now())
        self._ring(notice)
        return notice is not None

    def _ring(self, notice: AlarmNotice | None) -> None:
        if notice is not None and self.tells:
            for subscriber in self.subscribers:
                subscriber(codec.decode_notification(codec.encode(notice)))

    def _now(self) -> datetime.datetime:
        return _EPOCH + datetime.timedelta(seconds=self._last)

    def _is_possible(self, event: Event) -> bool:
        match event.operation:
            case Operation.RESTORE:
                return event.volume_id in self.trash
            case Operation.EDIT:
                return event.volume_id in self.volumes
            case Operation.MANAGE:
                return _may_have(
                    self.volumes.get(event.volume_id), event.parameters
                )
            case Operation.MANAGE_SNAPSHOT if isinstance(
                event.parameters, events.ManageSnapshotParameters
            ):
                kept_id = event.parameters.snapshot_id
                return _may_have(self.snapshots.get(kept_id), event.parameters)
        return True

    def _apply(self, event: Event) -> None:
        known = self.volumes.get(event.volume_id)
        match event.parameters:
            case (
                events.CreateParameters() | events.ImportParameters()
            ) as wanted:
                self._make(event, wanted, Format.RAW, Provisioning.THIN)
                self._clear(VOLUME_DELETED.kind, event.volume_id)
            case events.ManageParameters() as wanted if known:
                self.volumes[event.volume_id] = dataclasses.replace(
                    known,
                    size_bytes=max(known.size_bytes, wanted.size_bytes),
                    metadata=_with_cloud_id(known, wanted),
                    **self._changed_by(event),
                )
            case events.ManageParameters() as wanted:
                found = self.manageable.pop(wanted.reference)
                self.volumes[event.volume_id] = Volume(
                    volume_id=event.volume_id,
                    size_bytes=wanted.size_bytes,
                    format=found.format or Format.RAW,
                    provisioning=wanted.provisioning or Provisioning.THIN,
                    created_at=_EPOCH,
                    updated_at=_EPOCH,
                    name=wanted.name,
                    description=wanted.description,
                    metadata=wanted.metadata,
                )
            case events.UnmanageParameters() if known and (
                known.origin is Origin.PLATFORM
            ):
                self.volumes[event.volume_id] = dataclasses.replace(
                    known, metadata={**known.metadata, events.CLOUD_ID: ''}
                )
            case events.UnmanageParameters() if known:
                del self.volumes[event.volume_id]
                self.manageable[f'volume-{known.volume_id}'] = Manageable(
                    reference=f'volume-{known.volume_id}',
                    size_bytes=known.size_bytes,
                    format=known.format,
                    is_safe=True,
                )
            case events.ManageSnapshotParameters() as wanted if (
                wanted.snapshot_id in self.snapshots
            ):
                kept = self.snapshots[wanted.snapshot_id]
                self.snapshots[kept.snapshot_id] = dataclasses.replace(
                    kept, metadata=_with_cloud_id(kept, wanted)
                )
            case events.ManageSnapshotParameters() as wanted if known:
                self.manageable_snapshots.pop(wanted.reference)
                self.snapshots[wanted.snapshot_id] = Snapshot(
                    snapshot_id=wanted.snapshot_id,
                    volume_id=known.volume_id,
                    size_bytes=wanted.size_bytes,
                    format=known.format,
                    created_at=_EPOCH,
                    name=wanted.name,
                )
            case events.UnmanageSnapshotParameters(snapshot_id=gone):
                self.snapshots.pop(gone, None)
            case events.DeleteParameters():
                self._delete(event, self.volumes.pop(event.volume_id, None))
            case events.RestoreParameters():
                trashed = self.trash.pop(event.volume_id)
                self.volumes[event.volume_id] = trashed.volume
                self._clear(VOLUME_DELETED.kind, event.volume_id)
            case events.ExtendParameters() as wanted if known:
                self.volumes[event.volume_id] = dataclasses.replace(
                    known,
                    size_bytes=max(wanted.size_bytes, known.size_bytes),
                    **self._changed_by(event),
                )
            case events.EditParameters() as wanted if known:
                self._edit(event, known, wanted)
            case events.ConnectParameters() as wanted if known:
                self.volumes[event.volume_id] = dataclasses.replace(
                    known,
                    attached_to=tuple(
                        sorted({*known.attached_to, wanted.host})
                    ),
                )
            case events.DisconnectParameters() as wanted if known:
                self.volumes[event.volume_id] = dataclasses.replace(
                    known,
                    attached_to=tuple(
                        host
                        for host in known.attached_to
                        if wanted.host not in (None, host)
                    ),
                )
            case events.SnapshotParameters() as wanted if known:
                self._keep(event, known, wanted.snapshot_id)
            case events.SnapshotGroupParameters() as wanted:
                for volume_id, snapshot_id in wanted.snapshots.items():
                    self._keep(event, self.volumes[volume_id], snapshot_id)
            case events.DeleteSnapshotParameters() as wanted:
                self.snapshots.pop(wanted.snapshot_id, None)
            case events.CloneParameters() as wanted if (
                source := self.volumes.get(wanted.source_id)
            ):
                self._make(event, wanted, source.format, source.provisioning)

    def _make(
        self,
        event: Event,
        wanted: events.CreateParameters
        | events.ImportParameters
        | events.CloneParameters,
        format_: Format,
        provisioning: Provisioning,
    ) -> None:
        """Have a volume; what it does not ask for is as is said here."""
        self.volumes[event.volume_id] = Volume(
            volume_id=event.volume_id,
            size_bytes=wanted.size_bytes,
            format=wanted.format or format_,
            provisioning=wanted.provisioning or provisioning,
            created_at=_EPOCH,
            updated_at=_EPOCH,
            name=wanted.name,
            description=wanted.description,
            metadata=wanted.metadata,
            origin=event.origin,
            **self._changed_by(event),
        )

    def _keep(self, event: Event, volume: Volume, snapshot_id: str) -> None:
        wanted = event.parameters
        if not isinstance(
            wanted, events.SnapshotParameters | events.SnapshotGroupParameters
        ):
            raise TypeError(wanted)
        self.snapshots[snapshot_id] = Snapshot(
            snapshot_id=snapshot_id,
            volume_id=volume.volume_id,
            size_bytes=volume.size_bytes,
            format=volume.format,
            created_at=_EPOCH,
            name=wanted.name,
            description=wanted.description,
            metadata=wanted.metadata,
            project_id=event.requested_by.project_id,
            user_id=event.requested_by.user_id,
            origin=event.origin,
        )

    def _delete(self, event: Event, known: Volume | None) -> None:
        if event.origin is Origin.CLOUD:
            self._clear(VOLUME_DELETED.kind, event.volume_id)
            return
        if known is None:
            return
        self.effective_deletions.add(event.event_id)
        until = self._now() + datetime.timedelta(hours=24)
        self.trash[event.volume_id] = TrashedVolume(
            volume=known,
            deleted_at=self._now(),
            until=until,
            event_id=event.event_id,
            deleted_by=event.requested_by,
            origin=event.origin,
        )
        if known.origin is Origin.CLOUD or known.metadata.get(events.CLOUD_ID):
            _, notice = self.alarms.put(
                VOLUME_DELETED.kind,
                event.volume_id,
                severity=VOLUME_DELETED.severity,
                message=f'Volume {event.volume_id} was deleted.',
                details={
                    'event_id': event.event_id,
                    'requested_by': {'user_id': event.requested_by.user_id},
                    'trash_until': until.isoformat(),
                },
                now=self._now(),
            )
            self._ring(notice)

    def _edit(
        self, event: Event, known: Volume, wanted: events.EditParameters
    ) -> None:
        metadata = known.metadata
        if wanted.metadata is not None:
            metadata = {
                **{
                    key: value
                    for key, value in known.metadata.items()
                    if key.startswith(events.OWN_METADATA)
                },
                **wanted.metadata,
            }
        self.volumes[event.volume_id] = dataclasses.replace(
            known,
            name=known.name if wanted.name is None else wanted.name,
            description=(
                known.description
                if wanted.description is None
                else wanted.description
            ),
            metadata=metadata,
            **self._changed_by(event),
        )

    def _changed_by(self, event: Event) -> dict[str, Any]:
        return {
            'changed_by': event.origin,
            'changed_at_sequence': self._last + 1,
        }

    def _tell(
        self,
        event: Event,
        state: State,
        *,
        attempt: int = 1,
        progress: int | None = None,
        reason: Reason | None = None,
        message: str = '',
    ) -> Transition:
        with self._changed:
            self._last += 1
            transition = Transition(
                event_id=event.event_id,
                operation=event.operation,
                volume_id=event.volume_id,
                origin=event.origin,
                state=state,
                sequence=self._last,
                occurred_at=_EPOCH + datetime.timedelta(seconds=self._last),
                requested_by=event.requested_by,
                volume_ids=event.volume_ids,
                attempt=attempt,
                progress=progress,
                reason=reason,
                message=message,
            )
            self.history.append(transition)
        if self.tells:
            for subscriber in self.subscribers:
                subscriber(codec.decode_notification(codec.encode(transition)))
        return transition


def _page(
    items: Mapping[str, codec.Message], marker: str, limit: int
) -> dict[str, object]:
    """Return a page of what follows a key."""
    keys = sorted(one for one in items if one > marker)
    page = keys[:limit]
    return {
        'items': [codec.encode(items[one]) for one in page],
        'next': page[-1] if len(keys) > limit else None,
    }


def _one_of(
    found: Mapping[str, Manageable],
    reference: str,
    known: Volume | Snapshot | None,
) -> dict[str, object]:
    one = found.get(reference)
    if one is None and known is not None:
        is_free = known.origin is Origin.PLATFORM and not known.metadata.get(
            events.CLOUD_ID
        )
        one = Manageable(
            reference=reference,
            size_bytes=known.size_bytes,
            format=known.format,
            is_safe=is_free,
            reason='' if is_free else 'It is managed already.',
            volume_id=known.volume_id,
            snapshot_id=(
                known.snapshot_id if isinstance(known, Snapshot) else None
            ),
        )
    return {'items': [] if one is None else [codec.encode(one)]}


def _may_have(
    known: Volume | Snapshot | None, wanted: events.Parameters
) -> bool:
    if known is None:
        return True
    if not isinstance(
        wanted, events.ManageParameters | events.ManageSnapshotParameters
    ):
        raise TypeError(wanted)
    before = known.metadata.get(events.CLOUD_ID, '')
    return before in (
        '',
        wanted.metadata.get(events.CLOUD_ID),
        wanted.instead_of,
    )


def _with_cloud_id(
    known: Volume | Snapshot,
    wanted: events.ManageParameters | events.ManageSnapshotParameters,
) -> dict[str, str]:
    own = {
        key: value
        for key, value in wanted.metadata.items()
        if key.startswith(events.OWN_METADATA)
    }
    return {**known.metadata, **own}
