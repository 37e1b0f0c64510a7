"""Puts ``cinder-virtdc-listener`` together."""

from __future__ import annotations

import logging

from oslo_config import cfg

from cinder_virtdc.keeper import Intervals
from cinder_virtdc import opts
from cinder_virtdc.parts import Parts
from cinder_virtdc.subscription import NotificationEndpoint
from cinder_virtdc.subscription import Subscription
from cinder_virtdc import telling

LOG = logging.getLogger(__name__)


class Listener:
    """Shows users, in Cinder, what becomes of events in the data centre.

    Neither the bus, nor the agent, nor Cinder need be there when it starts;
    any of them may go and come back.

    :raises ConfigInvalid: the configuration cannot work.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = conf[opts.LISTENER_GROUP]
        self._parts = parts = Parts.from_config(conf)
        self._relays = telling.relays(conf, parts)
        self._keeper = parts.keeper(
            Intervals(
                catch_up_s=options.catch_up_interval_s,
                repair_s=options.repair_interval_s,
                cloud_s=options.cloud_interval_s,
                resync_s=options.resync_interval_s,
            ),
            on_alarms=self._ring_relays,
        )
        self._subscription = Subscription(
            parts.notifications,
            topic=options.notification_topic,
            endpoint=NotificationEndpoint(
                self._keeper.offer,
                topic=options.notification_topic,
                seal=parts.seal,
            ),
            executor='threading',
        )

    def start(self) -> None:
        """Start to listen, to compare and to write."""
        self._parts.writer.start()
        self._parts.syncer.start()
        for relay in self._relays:
            relay.start()
        self._subscription.start()
        self._keeper.start()
        LOG.info('The listener runs.')

    def stop(self) -> None:
        """Stop; what is not written yet, the next start finds."""
        LOG.info('The listener is stopping.')
        self._subscription.stop()
        self._keeper.stop()
        for relay in self._relays:
            relay.stop()
        self._parts.syncer.stop()
        self._parts.writer.stop()
        LOG.info('The listener has stopped.')

    def _ring_relays(self) -> None:
        for relay in self._relays:
            relay.ring()
