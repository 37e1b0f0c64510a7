"""Puts ``cinder-virtdc-listener`` together."""

from __future__ import annotations

import logging

from oslo_config import cfg

from cinder_virtdc.caller import BusCaller
from cinder_virtdc.client import AgentClient
from cinder_virtdc.clock import SystemClock
from cinder_virtdc.cloud import SdkCloud
from cinder_virtdc.keeper import Intervals
from cinder_virtdc.keeper import Keeper
from cinder_virtdc import opts
from cinder_virtdc import session
from cinder_virtdc.subscription import NotificationEndpoint
from cinder_virtdc.subscription import Subscription
from cinder_virtdc.writer import Pace
from cinder_virtdc.writer import Writer

LOG = logging.getLogger(__name__)


class Listener:
    """Shows users, in Cinder, what becomes of events in the data centre.

    Neither the bus, nor the agent, nor Cinder need be there when it starts;
    any of them may go and come back.

    :raises ConfigInvalid: the configuration cannot work.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = conf[opts.LISTENER_GROUP]
        calls, notifications = session.open_transports(
            conf, None, option='[DEFAULT] transport_url'
        )
        clock = SystemClock()
        seal = session.open_seal(
            options.key_file,
            accept_unsigned=options.accept_unsigned,
            option=f'[{opts.LISTENER_GROUP}] key_file',
            clock=clock,
        )
        cloud = SdkCloud.from_config(conf)
        self._writer = Writer(
            cloud,
            clock=clock,
            pace=Pace(
                min_interval_s=options.write_min_interval_s,
                duty=options.write_duty_percent / 100,
            ),
        )
        self._keeper = Keeper(
            client=AgentClient(
                BusCaller(calls, topic=options.topic, seal=seal),
                clock=clock,
                submit_timeout_s=options.rpc_timeout_s,
                rpc_timeout_s=options.rpc_timeout_s,
            ),
            cloud=cloud,
            writer=self._writer,
            clock=clock,
            intervals=Intervals(
                catch_up_s=options.catch_up_interval_s,
                repair_s=options.repair_interval_s,
                resync_s=options.resync_interval_s,
            ),
            hosts=options.hosts,
        )
        self._subscription = Subscription(
            notifications,
            topic=options.notification_topic,
            endpoint=NotificationEndpoint(
                self._keeper.offer,
                topic=options.notification_topic,
                seal=seal,
            ),
            executor='threading',
        )

    def start(self) -> None:
        """Start to listen, to compare and to write."""
        self._writer.start()
        self._subscription.start()
        self._keeper.start()
        LOG.info('The listener runs.')

    def stop(self) -> None:
        """Stop; what is not written yet, the next start finds."""
        LOG.info('The listener is stopping.')
        self._subscription.stop()
        self._keeper.stop()
        self._writer.stop()
        LOG.info('The listener has stopped.')
