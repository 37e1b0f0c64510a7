"""What the driver's tests build again and again."""

from __future__ import annotations

import datetime
import threading
from typing import Any
import uuid

from cinder import context as cinder_context
from cinder import objects
from cinder.volume import configuration
from cinder.volume import driver as cinder_driver
from oslo_config import cfg

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.bus.growth import Growth
from cinder_virtdc.bus.runner import EventRunner
from cinder_virtdc.bus.session import Session
from cinder_virtdc.bus.waiter import Waiter
from cinder_virtdc.clock import Clock
from cinder_virtdc.clock import FakeClock
from cinder_virtdc.driver import VirtDCDriver
from virtdc_agent.contract import events

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
TIMEOUT_S = 10.0
"""In real time; only a test that fails waits so long."""


def event(
    event_id: str = 'event-1',
    parameters: events.Parameters | None = None,
    volume_id: str = 'volume-1',
) -> events.Event:
    parameters = parameters or events.CreateParameters(size_bytes=1)
    return events.Event(
        event_id=event_id,
        operation=events.operation_of(parameters),
        volume_id=volume_id,
        origin=events.Origin.CLOUD,
        parameters=parameters,
        created_at=NOW,
    )


def transition(
    sequence: int,
    state: events.State = events.State.RUNNING,
    event_id: str = 'event-1',
    volume_id: str = 'volume-1',
    operation: events.Operation = events.Operation.CREATE,
    **rest: Any,
) -> events.Transition:
    failed = state is events.State.FAILED
    return events.Transition(
        event_id=event_id,
        operation=operation,
        volume_id=volume_id,
        origin=events.Origin.CLOUD,
        state=state,
        sequence=sequence,
        occurred_at=NOW + datetime.timedelta(seconds=sequence % 10**6),
        **{
            'attempt': 0 if state is events.State.WAITING else 1,
            'progress': 100 if state is events.State.SUCCESS else None,
            'reason': events.Reason.BACKEND if failed else None,
            'message': 'The storage is full.' if failed else '',
            **rest,
        },
    )


def volume(**rest: Any) -> Any:
    """Return a real volume of Cinder, which no database knows."""
    fields = {
        'id': str(uuid.uuid4()),
        '_name_id': None,
        'size': 1,
        'status': 'creating',
        'host': 'host@virtdc#virtdc',
        'display_name': 'data',
        'display_description': '',
        'metadata': {},
        'project_id': 'project',
        'user_id': 'user',
        'volume_type_id': None,
        'volume_type': None,
        'bootable': False,
        'encryption_key_id': None,
        'migration_status': None,
        'use_quota': True,
        'provider_location': None,
        'volume_attachment': attachments(),
        **rest,
    }
    return objects.Volume(cinder_context.get_admin_context(), **fields)


def attachments(*hosts: str | None) -> Any:
    """Return a volume's attachments; ``None``: one to no host yet."""
    return objects.VolumeAttachmentList(
        objects=[
            objects.VolumeAttachment(
                cinder_context.get_admin_context(),
                id=str(uuid.uuid4()),
                connector={'host': host} if host else None,
            )
            for host in hosts
        ]
    )


def snapshot(of: Any, **rest: Any) -> Any:
    """Return a real snapshot of Cinder, which no database knows."""
    fields = {
        'id': str(uuid.uuid4()),
        'volume': of,
        'volume_id': of.id,
        'volume_size': of.size,
        'status': 'creating',
        'display_name': 'before',
        'display_description': '',
        'metadata': {},
        'project_id': 'project',
        'user_id': 'user',
        'provider_id': None,
        **rest,
    }
    return objects.Snapshot(cinder_context.get_admin_context(), **fields)


def group(**rest: Any) -> Any:
    """Return a real group of Cinder, which no database knows."""
    fields = {
        'id': str(uuid.uuid4()),
        'group_type_id': str(uuid.uuid4()),
        'project_id': 'project',
        'user_id': 'user',
        'source_group_id': None,
        **rest,
    }
    return objects.Group(cinder_context.get_admin_context(), **fields)


def group_snapshot(**rest: Any) -> Any:
    """Return a real snapshot of a group, which no database knows."""
    fields = {
        'id': str(uuid.uuid4()),
        'group_type_id': str(uuid.uuid4()),
        'project_id': 'project',
        'user_id': 'another',
        'name': 'before',
        'description': 'the upgrade',
        **rest,
    }
    return objects.GroupSnapshot(cinder_context.get_admin_context(), **fields)


def volume_type(*, name: str | None = None, **extra_specs: str) -> Any:
    return objects.VolumeType(
        cinder_context.get_admin_context(),
        name=name,
        id=str(uuid.uuid4()),
        extra_specs={
            name.replace('__', ':'): value
            for name, value in extra_specs.items()
        },
    )


class Rig:
    """A driver on a fake agent, with real threads and a fake clock.

    :param automatic: whether every event succeeds as it is submitted.
    :param starts: whether lost ends are asked for.
    """

    def __init__(
        self, *, automatic: bool = True, starts: bool = False, **options: Any
    ) -> None:
        self.agent = FakeAgent(automatic=automatic)
        self.clock = FakeClock()
        self.client = AgentClient(
            self.agent,
            # Between attempts time passes by itself.
            clock=FakeClock(moves_itself=True),
            submit_timeout_s=15.0,
            rpc_timeout_s=5.0,
        )
        self.waiter = Waiter(self.client, clock=self.clock, poll_interval_s=3)
        if starts:
            self.waiter.start()
        self.growth = Growth()
        self.agent.subscribers.append(self.waiter.offer)
        self.settings: list[Any] = []
        self.closed = 0
        conf = configuration.Configuration(
            cinder_driver.volume_opts, config_group='virtdc'
        )
        self.driver = VirtDCDriver(
            configuration=conf,
            host='host@virtdc',
            cluster_name=None,
            connect=self.connect,
        )
        self.options = {
            'virtdc_transport_url': 'rabbit://user:secret@127.0.0.1:1/virtdc',
            'volume_backend_name': 'virtdc',
            **options,
        }
        self.conf = cfg.CONF
        for name, value in self.options.items():
            self.conf.set_override(name, value, group='virtdc')

    def connect(self, conf: Any, settings: Any) -> Session:
        self.settings.append(settings)
        return Session(
            client=self.client,
            runner=EventRunner(
                self.client,
                self.waiter,
                clock=self.clock,
                operation_timeout_s=settings.operation_timeout_s,
            ),
            close=self.close,
            growth=self.growth,
        )

    def close(self) -> None:
        self.closed += 1

    def set_up(self) -> VirtDCDriver:
        self.driver.do_setup(None)
        self.driver.check_for_setup_error()
        return self.driver

    def clean_up(self) -> None:
        self.waiter.stop()
        for name in self.options:
            self.conf.clear_override(name, group='virtdc')


class Call:
    """A call under way in a thread of its own."""

    def __init__(self, run: Any, *args: Any, **kwargs: Any) -> None:
        self.error: BaseException | None = None
        self.result: Any = None

        def target() -> None:
            try:
                self.result = run(*args, **kwargs)
            except BaseException as exc:
                self.error = exc

        self._thread = threading.Thread(target=target, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> Any:
        """Return its result; raise what it raised."""
        self._thread.join(TIMEOUT_S)
        if self._thread.is_alive():
            raise TimeoutError('the call does not return')
        if self.error is not None:
            raise self.error
        return self.result


def client_of(agent: FakeAgent, clock: Clock | None = None) -> AgentClient:
    return AgentClient(
        agent,
        clock=clock or FakeClock(moves_itself=True),
        submit_timeout_s=15.0,
        rpc_timeout_s=5.0,
    )
