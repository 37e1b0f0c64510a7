"""Alarms on the cloud's public bus, for Ceilometer, Aodh and others."""

from __future__ import annotations

from collections.abc import Sequence
import socket

import oslo_messaging

from cinder_virtdc.alarms.reports import Report
from cinder_virtdc import exceptions

EXCHANGE = 'openstack'
"""Where the services of a cloud notify, unless they are told otherwise."""
VERSION = 2.0
"""Of the message's envelope: that of the driver ``messagingv2``."""


class BusOutlet:
    """Sends notifications as ``oslo.messaging`` would, and sees errors.

    Its own ``Notifier`` swallows them: an alarm would be lost unseen.
    """

    name = 'notifications'

    def __init__(
        self, transport: oslo_messaging.Transport, topics: Sequence[str]
    ) -> None:
        self._transport = transport
        self._topics = topics
        # Ceilometer splits it at the first dot.
        self._publisher_id = f'virtdc-listener.{socket.gethostname()}'

    def send(self, report: Report) -> None:
        """See ``Outlet``."""
        message = {
            'message_id': report.message_id,
            'publisher_id': self._publisher_id,
            'event_type': report.event_type,
            'priority': report.priority,
            'payload': dict(report.payload),
            'timestamp': report.payload['updated_at'],
        }
        for topic in self._topics:
            try:
                self._transport._send_notification(
                    oslo_messaging.Target(
                        exchange=EXCHANGE,
                        topic=f'{topic}.{report.priority.lower()}',
                    ),
                    {},
                    message,
                    version=VERSION,
                    retry=1,
                )
            except Exception as exc:
                # The errors of the libraries below have no common root.
                raise exceptions.OutletFailed(
                    f"The cloud's bus did not take it "
                    f'({type(exc).__name__}): check '
                    'alarm_notification_transport_url.'
                ) from exc
