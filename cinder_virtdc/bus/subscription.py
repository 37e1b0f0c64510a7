"""Receives the agent's notifications."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import logging
import threading

import oslo_messaging

from cinder_virtdc.meter import Meter
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import ContractError
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.events import Announcement
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.resyncs import Resync
from virtdc_agent.contract import sealing
from virtdc_agent.contract import topics

LOG = logging.getLogger(__name__)

_KINDS = {
    Transition: 'transition',
    Announcement: 'announcement',
    AlarmNotice: 'alarm',
    Resync: 'resync',
}


class NotificationEndpoint:
    """Where oslo.messaging delivers; hands on what can be understood.

    Never raises and never asks for a message again: one that is broken stays
    broken. What it cannot read is counted, and logged with the field.

    :param sink: called with each notification, from any thread.
    :param topic: on which they come.
    :param seal: what they are to be signed with, if they are.
    :param meter: is told of each.
    """

    def __init__(
        self,
        sink: Callable[[Notification], None],
        *,
        topic: str = topics.NOTIFICATION_TOPIC,
        seal: sealing.Seal | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._meter = meter or Meter()
        self._sink = sink
        self._topic = topic
        self._seal = seal or sealing.Seal()
        self._lock = threading.Lock()
        self._discarded = 0

    @property
    def discarded(self) -> int:
        """How many messages could not be understood."""
        return self._discarded

    def info(
        self,
        context: Mapping[str, object],
        publisher_id: str,
        event_type: str,
        payload: object,
        metadata: Mapping[str, object],
    ) -> str:
        """Take a message of the one priority that is used."""
        try:
            envelope = self._seal.check_notification(self._topic, payload)
            notification = codec.decode_notification(envelope)
            self._meter.heard(_KINDS[type(notification)])
            self._sink(notification)
        except ContractError as exc:
            self._meter.rejected(exc)
            with self._lock:
                self._discarded += 1
            LOG.warning(
                'Discarded message %s (%s) of %s: %s%s. %d so far.',
                metadata.get('message_id'),
                event_type,
                publisher_id,
                'field ' if isinstance(exc, MalformedMessage) else '',
                exc,
                self._discarded,
            )
        except Exception as exc:
            self._meter.rejected(exc)
            LOG.exception('Unexpected error in notification %s', event_type)
        return str(oslo_messaging.NotificationResult.HANDLED)


class Subscription:
    """Notifications, from the bus to a sink, while it is started.

    :param pool: name of the queue, shared by all who give the same: each
        message goes to one of them. ``None`` is the queue of the topic.
    :param executor: ``eventlet`` in a process that it has patched, else
        ``threading``.
    """

    def __init__(
        self,
        transport: oslo_messaging.Transport,
        *,
        topic: str,
        endpoint: NotificationEndpoint,
        executor: str,
        pool: str | None = None,
    ) -> None:
        self._listener = oslo_messaging.get_notification_listener(
            transport,
            [oslo_messaging.Target(exchange=topics.EXCHANGE, topic=topic)],
            [endpoint],
            executor=executor,
            pool=pool,
        )
        # The library tries without end to reach its broker.
        self._thread = threading.Thread(
            target=self._run, name='virtdc-subscription', daemon=True
        )

    def start(self) -> None:
        """Start receiving, as soon as the broker can be reached."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop receiving."""
        if self._thread.is_alive():
            return  # never got through to the broker
        stopper = threading.Thread(
            target=self._stop, name='virtdc-subscription-stop', daemon=True
        )
        stopper.start()
        stopper.join(timeout_s)

    def _run(self) -> None:
        try:
            self._listener.start()
        except Exception:
            LOG.exception('Notifications cannot be received')

    def _stop(self) -> None:
        self._listener.stop()
        self._listener.wait()
