"""The agent on oslo.messaging: answers calls, publishes notifications."""

from __future__ import annotations

import logging
import threading
import uuid

from oslo_config import cfg
import oslo_messaging
from oslo_messaging.rpc import dispatcher

from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract import pieces
from virtdc_agent.contract import sealing
from virtdc_agent.contract import topics
from virtdc_agent.endpoint import AgentEndpoint
from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)

_AMQP_PORT = 5672


class BusPublisher(interfaces.Publisher):
    """Publishes on the notification topic, and knows whether it arrived.

    oslo.messaging's ``Notifier`` logs and swallows every error of sending,
    so that nobody learns that a message is lost. This sends by the call that
    its drivers use, which returns when the broker has confirmed the message
    and raises when it has not.
    """

    def __init__(
        self,
        transport: oslo_messaging.Transport,
        *,
        topic: str,
        publisher_id: str,
        clock: interfaces.Clock,
        seal: sealing.Seal | None = None,
    ) -> None:
        self._transport = transport
        self._topic = topic
        self._seal = seal or sealing.Seal()
        self._target = oslo_messaging.Target(
            exchange=topics.EXCHANGE,
            topic=f'{topic}.{topics.NOTIFICATION_PRIORITY}',
        )
        self._publisher_id = publisher_id
        self._clock = clock

    def publish(self, notification: events.Notification) -> None:
        """See the interface."""
        message = {
            'message_id': str(uuid.uuid4()),
            'publisher_id': self._publisher_id,
            'event_type': topics.event_type(notification),
            'priority': topics.NOTIFICATION_PRIORITY.upper(),
            'payload': self._seal.put_on_notification(
                self._topic, codec.encode(notification)
            ),
            'timestamp': pieces.format_time(self._clock.now()),
        }
        try:
            self._transport._send_notification(
                self._target, {}, message, version=2.0, retry=0
            )
        except Exception as exc:
            # The errors of whichever driver and of the libraries below it
            # have no common root. Not sent is all that matters here.
            raise exceptions.PublishFailed(
                f'the message bus does not take messages ({exc}).'
            ) from exc


class CallServer:
    """Answers calls on the agent's topic.

    :param server: this agent's own name on the topic.
    """

    def __init__(
        self,
        transport: oslo_messaging.Transport,
        *,
        topic: str,
        server: str,
        endpoint: AgentEndpoint,
    ) -> None:
        self._server = oslo_messaging.get_rpc_server(
            transport,
            oslo_messaging.Target(
                exchange=topics.EXCHANGE, topic=topic, server=server
            ),
            [endpoint],
            executor='threading',
            access_policy=dispatcher.DefaultRPCAccessPolicy,
        )
        # The library tries for as long as it takes to reach the broker.
        # What is in the journal must be executed in the meantime.
        self._thread = threading.Thread(
            target=self._run, name='calls', daemon=True
        )

    def start(self) -> None:
        """Start answering, as soon as the broker can be reached."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Answer what has come, and take no more."""
        if self._thread.is_alive():
            return  # never got through to the broker
        stopper = threading.Thread(
            target=self._stop, name='calls-stop', daemon=True
        )
        stopper.start()
        stopper.join(timeout_s)

    def _run(self) -> None:
        try:
            self._server.start()
        except Exception:
            LOG.exception('Calls cannot be answered')
            return
        LOG.info('Calls are answered.')

    def _stop(self) -> None:
        self._server.stop()
        self._server.wait()


def list_hosts(conf: cfg.ConfigOpts) -> list[tuple[str, int]]:
    """Return where the broker is to be found; none for one in memory."""
    return [
        (host.hostname, host.port or _AMQP_PORT)
        for host in oslo_messaging.TransportURL.parse(conf).hosts
        if host.hostname
    ]


def connect(
    conf: cfg.ConfigOpts,
) -> tuple[oslo_messaging.Transport, oslo_messaging.Transport]:
    """Return the transports of calls and of notifications.

    Does not reach for the broker yet.

    :raises ConfigInvalid: the address of the bus cannot be understood.
    """
    try:
        return (
            oslo_messaging.get_rpc_transport(conf),
            oslo_messaging.get_notification_transport(conf),
        )
    except (
        oslo_messaging.InvalidTransportURL,
        oslo_messaging.DriverLoadFailure,
        ValueError,
    ):
        raise exceptions.ConfigInvalid(
            '[DEFAULT] transport_url cannot be used: it must look like '
            'rabbit://user:password@host:5672/virtdc.'
            # Not its cause, which may quote the password.
        ) from None
