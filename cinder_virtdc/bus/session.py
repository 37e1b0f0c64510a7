"""Puts the driver's side together: bus, client, waiter, runner."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from oslo_config import cfg
import oslo_messaging

from cinder_virtdc.bus.caller import BusCaller
from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.bus.growth import Growth
from cinder_virtdc.bus.runner import EventRunner
from cinder_virtdc.bus.subscription import NotificationEndpoint
from cinder_virtdc.bus.subscription import Subscription
from cinder_virtdc.bus.waiter import Waiter
from cinder_virtdc.clock import Clock
from cinder_virtdc.clock import SystemClock
from cinder_virtdc import exceptions
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.key_file import KeyFile
from virtdc_agent.contract import sealing


_AMQP_PORT = 5672


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a session needs; named as the driver's options are.

    :param pool: name of the queue on which notifications wait.
    :param executor: of oslo.messaging, ``eventlet`` or ``threading``.
    """

    transport_url: str
    topic: str
    notification_topic: str
    submit_timeout_s: float
    rpc_timeout_s: float
    operation_timeout_s: float
    poll_interval_s: float
    pool: str
    executor: str
    key_file: str | None = None
    accept_unsigned: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A working connection to one data centre."""

    client: AgentClient
    runner: EventRunner
    close: Callable[[], None]
    growth: Growth = dataclasses.field(default_factory=Growth)


def connect(conf: cfg.ConfigOpts, settings: Settings) -> Session:
    """Open a session. To be called after a process has forked.

    Does not wait for the broker or the agent.

    :raises ConfigInvalid: the address of the bus cannot be understood, or
        the file of keys cannot be used.
    """
    calls, notifications = open_transports(
        conf, settings.transport_url, option='virtdc_transport_url'
    )
    clock = SystemClock()
    seal = open_seal(
        settings.key_file,
        accept_unsigned=settings.accept_unsigned,
        option='virtdc_key_file',
        clock=clock,
    )
    client = AgentClient(
        BusCaller(calls, topic=settings.topic, seal=seal),
        clock=clock,
        submit_timeout_s=settings.submit_timeout_s,
        rpc_timeout_s=settings.rpc_timeout_s,
    )
    waiter = Waiter(
        client, clock=clock, poll_interval_s=settings.poll_interval_s
    )

    growth = Growth()

    def take(notification: Notification) -> None:
        if isinstance(notification, Transition):
            waiter.offer(notification)
            growth.offer(notification)

    subscription = Subscription(
        notifications,
        topic=settings.notification_topic,
        endpoint=NotificationEndpoint(
            take, topic=settings.notification_topic, seal=seal
        ),
        executor=settings.executor,
        pool=settings.pool,
    )
    waiter.start()
    subscription.start()

    def close() -> None:
        subscription.stop()
        waiter.stop()

    return Session(
        client=client,
        runner=EventRunner(
            client,
            waiter,
            clock=clock,
            operation_timeout_s=settings.operation_timeout_s,
        ),
        close=close,
        growth=growth,
    )


def list_hosts(conf: cfg.ConfigOpts) -> list[tuple[str, int]]:
    """Return where the process's own broker is; none for one in memory."""
    return [
        (host.hostname, host.port or _AMQP_PORT)
        for host in oslo_messaging.TransportURL.parse(conf).hosts
        if host.hostname
    ]


def open_seal(
    key_file: str | None, *, accept_unsigned: bool, option: str, clock: Clock
) -> sealing.Seal:
    """Return what signs and checks, by a file of keys if there is one.

    :param option: where its name comes from, for the error.
    :raises ConfigInvalid: it cannot be used.
    """
    if not key_file:
        return sealing.Seal()
    try:
        keys = KeyFile(key_file, monotonic=clock.monotonic)
    except ValueError as exc:
        raise exceptions.ConfigInvalid(
            f'{option} cannot be used: {exc}.'
        ) from exc
    return sealing.Seal(keys, accepts_unsigned=accept_unsigned)


def open_transports(
    conf: cfg.ConfigOpts, url: str | None, *, option: str
) -> tuple[oslo_messaging.Transport, oslo_messaging.Transport]:
    """Return the transports of calls and of notifications.

    Does not reach for the broker yet.

    :param option: where the address comes from, for the error.
    :raises ConfigInvalid: the address cannot be understood.
    """
    try:
        return (
            oslo_messaging.get_rpc_transport(conf, url=url),
            oslo_messaging.get_notification_transport(conf, url=url),
        )
    except (
        oslo_messaging.InvalidTransportURL,
        oslo_messaging.DriverLoadFailure,
        ValueError,  # a port that is no number
    ):
        # Without its cause, which would show the password.
        raise exceptions.ConfigInvalid(
            f'{option} cannot be used: it must look like '
            'rabbit://user:password@host:5672/virtdc.'
        ) from None
