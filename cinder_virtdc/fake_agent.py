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

from cinder_virtdc import exceptions
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.errors import UnsupportedVersion
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
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
        """Let an event succeed, and take effect."""
        event = self.events[event_id]
        with self._changed:
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
                return self._answer_volumes(str(marker or ''), limit)
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
        }

    def _answer_cancel(self, event_id: str) -> dict[str, object]:
        latest = self.latest(event_id)
        if latest is None:
            return rpc.Refusal(
                code=ErrorCode.NOT_FOUND, message=f'No event {event_id}.'
            ).to_primitive()
        if latest.state is State.WAITING:
            latest = self.fail(event_id, Reason.CANCELLED, 'It was withdrawn.')
        return {'item': codec.encode(latest)}

    def _answer_volumes(self, marker: str, limit: int) -> dict[str, object]:
        ids = sorted(one for one in self.volumes if one > marker)
        page = ids[:limit]
        return {
            'items': [codec.encode(self.volumes[one]) for one in page],
            'next': page[-1] if len(ids) > limit else None,
        }

    def _apply(self, event: Event) -> None:
        known = self.volumes.get(event.volume_id)
        match event.parameters:
            case (
                events.CreateParameters() | events.ImportParameters()
            ) as wanted:
                self.volumes[event.volume_id] = Volume(
                    volume_id=event.volume_id,
                    size_bytes=wanted.size_bytes,
                    format=wanted.format or Format.RAW,
                    provisioning=wanted.provisioning or Provisioning.THIN,
                    created_at=_EPOCH,
                    updated_at=_EPOCH,
                    name=wanted.name,
                    metadata=wanted.metadata,
                )
            case events.DeleteParameters():
                self.volumes.pop(event.volume_id, None)
            case events.ExtendParameters() as wanted if known:
                self.volumes[event.volume_id] = dataclasses.replace(
                    known, size_bytes=wanted.size_bytes
                )
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
                self.volumes[event.volume_id] = Volume(
                    volume_id=event.volume_id,
                    size_bytes=wanted.size_bytes,
                    format=wanted.format or source.format,
                    provisioning=wanted.provisioning or source.provisioning,
                    created_at=_EPOCH,
                    updated_at=_EPOCH,
                    name=wanted.name,
                    description=wanted.description,
                    metadata=wanted.metadata,
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
        )

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
