"""Puts ``cinder-virtdc-listener`` together."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import logging
from typing import Any

from oslo_config import cfg
from pbr import version

from cinder_virtdc.bus import session
from cinder_virtdc.bus.subscription import NotificationEndpoint
from cinder_virtdc.bus.subscription import Subscription
from cinder_virtdc.clock import SystemClock
from cinder_virtdc import exceptions
from cinder_virtdc.listener.keeper import Intervals
from cinder_virtdc.listener import metering
from cinder_virtdc.listener.parts import Parts
from cinder_virtdc.listener import telling
from cinder_virtdc import opts
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Transition
from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring.catalogue import Reading
from virtdc_agent.monitoring.health import Check
from virtdc_agent.monitoring.health import Health
from virtdc_agent.monitoring.reaching import Reach
from virtdc_agent.monitoring import serving
from virtdc_agent.monitoring import tracing
from virtdc_agent.monitoring.trail import EventTrail

LOG = logging.getLogger(__name__)


def _open_tracer(conf: cfg.ConfigOpts) -> tracing.Tracer | None:
    group = opts.MONITORING_GROUP.name
    try:
        return tracing.open_tracer(
            conf[group].otlp_address, service='virtdc-listener'
        )
    except tracing.CannotTrace as exc:
        raise exceptions.ConfigInvalid(
            f'[{group}] otlp_address: {exc}.'
        ) from exc


def _recent(name: str, age_s: float | None, patience_s: float) -> Check:
    if age_s is None:
        return Check(name, False, 'it has not answered yet')
    if age_s > patience_s:
        return Check(name, False, f'it has not answered for {age_s:.0f} s')
    return Check(name, True)


class Listener:
    """Shows users, in Cinder, what becomes of events in the data centre.

    Neither the bus, nor the agent, nor Cinder need be there when it starts;
    any of them may go and come back.

    :raises ConfigInvalid: the configuration cannot work.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = conf[opts.LISTENER_GROUP]
        clock = SystemClock()
        self._conf = conf
        self._board = Board(metering.METRICS)
        self.health = Health(clock.monotonic)
        self._meter = meter = metering.BoardMeter(self._board, clock)
        self._tracer = _open_tracer(conf)
        self._trail = trail = EventTrail(self._tracer)
        self._parts = parts = Parts.from_config(conf, meter=meter, trail=trail)
        self._relays = telling.relays(conf, parts)
        self._keeper = parts.keeper(
            Intervals(
                catch_up_s=options.catch_up_interval_s,
                repair_s=options.repair_interval_s,
                cloud_s=options.cloud_interval_s,
                resync_s=options.resync_interval_s,
            ),
            on_alarms=self._ring_relays,
            meter=meter,
            pulse=self.health.pulse('virtdc-keeper'),
        )
        self._subscription = Subscription(
            parts.notifications,
            topic=options.notification_topic,
            endpoint=NotificationEndpoint(
                self._hear,
                topic=options.notification_topic,
                seal=parts.seal,
                meter=meter,
            ),
            executor='threading',
        )
        self._reach = Reach('bus', session.list_hosts(conf))
        # What is asked for regularly, and may fail twice.
        self._patience_s = 3 * options.catch_up_interval_s + 10.0
        self._cloud_patience_s = (
            3 * max(options.cloud_interval_s, options.repair_interval_s) + 10.0
        )
        self.health.ask(self._readiness)
        self._board.read_from(meter.read)
        self._board.read_from(self._read_parts)
        self._monitoring = (
            serving.make_server(
                self._board, self.health, conf[opts.MONITORING_GROUP.name]
            )
            if conf[opts.MONITORING_GROUP.name].enabled
            else None
        )

    def start(self) -> None:
        """Start to listen, to compare and to write.

        :raises ConfigInvalid: the address of metrics and health is taken.
        """
        if self._monitoring is not None:
            self._reach.start()
            try:
                self._monitoring.start()
            except OSError as exc:
                raise exceptions.ConfigInvalid(
                    '[virtdc_monitoring] bind_host and bind_port cannot be '
                    f'used: {exc}'
                ) from exc
        self._parts.writer.start()
        self._parts.syncer.start()
        for relay in self._relays:
            relay.start()
        self._subscription.start()
        if self._parts.adopter is not None:
            self._parts.adopter.start()
        self._keeper.start()
        self.health.expect(
            [
                *('virtdc-keeper', 'virtdc-writer'),
                *self._parts.syncer.thread_names,
                *(f'virtdc-{relay.outlet_name}' for relay in self._relays),
            ]
        )
        LOG.info('The listener runs.')

    def stop(self) -> None:
        """Stop; what is not written yet, the next start finds."""
        LOG.info('The listener is stopping.')
        self.health.end()
        self._reach.stop()
        self._subscription.stop()
        self._keeper.stop()
        if self._parts.adopter is not None:
            self._parts.adopter.stop()
        for relay in self._relays:
            relay.stop()
        self._parts.syncer.stop()
        self._parts.writer.stop()
        if self._monitoring is not None:
            self._monitoring.stop()
        if self._tracer is not None:
            self._tracer.close()
        LOG.info('The listener has stopped.')

    def sections(self) -> Mapping[str, Callable[[], Mapping[str, Any]]]:
        """Return what a report of this process is to say, by title."""
        return {
            'Listener': self._tell_positions,
            'Alarms': lambda: {
                relay.outlet_name: {**relay.sent, 'failed': relay.failed}
                for relay in self._relays
            },
            'Health': lambda: {
                check.name: check.message or 'ok'
                for check in self.health.readiness()
            },
        }

    def _tell_positions(self) -> Mapping[str, Any]:
        parts = self._parts
        return {
            'version': version.VersionInfo('virtdc').version_string(),
            'sequence': parts.follower.cursor,
            'sequences behind': parts.follower.behind,
            'volumes to look at': parts.syncer.backlog,
            'volumes to write': parts.writer.backlog,
            'seconds since': {
                'the agent answered': self._meter.contact_age_s,
                'Cinder answered': self._meter.cloud_age_s,
                **{
                    task: self._meter.task_age_s(task)
                    for task in ('resync', 'catch_up', 'repair', 'look_up')
                },
            },
            'the first of these': parts.syncer.waiting,
        }

    def _hear(self, notification: Notification) -> None:
        if not isinstance(notification, Transition):
            self._keeper.offer(notification)
            return
        with self._trail.step('hear', notification):
            LOG.debug(
                'Heard of event %s: %s, sequence %d',
                notification.event_id,
                notification.state,
                notification.sequence,
            )
            self._keeper.offer(notification)

    def _readiness(self) -> Iterator[Check]:
        yield self._reach.check()
        yield _recent('agent', self._meter.contact_age_s, self._patience_s)
        yield _recent(
            'cinder', self._meter.cloud_age_s, self._cloud_patience_s
        )
        yield Check(
            'resync',
            self._meter.task_age_s('resync') is not None,
            'both sides were not compared yet'
            if self._meter.task_age_s('resync') is None
            else '',
        )

    def _read_parts(self) -> Iterable[Reading]:
        return metering.read_parts(
            version=version.VersionInfo('virtdc').version_string(),
            follower=self._parts.follower,
            syncer=self._parts.syncer,
            relays=self._relays,
        )

    def _ring_relays(self) -> None:
        for relay in self._relays:
            relay.ring()
