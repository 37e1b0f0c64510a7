"""Puts together who is told of alarms."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
import socket
from typing import Any
import uuid

from oslo_config import cfg

from cinder_virtdc.alarms.bus_outlet import BusOutlet
from cinder_virtdc.alarms.ledger import FileLedger
from cinder_virtdc.alarms.ledger import Ledger
from cinder_virtdc.alarms.relay import LogOutlet
from cinder_virtdc.alarms.relay import Outlet
from cinder_virtdc.alarms.relay import Relay
from cinder_virtdc.alarms.webhook import Webhook
from cinder_virtdc.bus import session
from cinder_virtdc.clock import Clock
from cinder_virtdc.cloud.interfaces import Cloud
from cinder_virtdc import exceptions
from cinder_virtdc.listener.parts import Parts
from cinder_virtdc import opts
from virtdc_agent.contract.alarms import Alarm


def relays(conf: cfg.ConfigOpts, parts: Parts) -> Sequence[Relay]:
    """Return a relay for each outlet that is configured; none is started.

    :raises ConfigInvalid: an outlet cannot work.
    """
    options = conf[opts.LISTENER_GROUP]
    outlets: list[Outlet] = [LogOutlet()]
    if options.alarm_notification_transport_url:
        _, notifications = session.open_transports(
            conf,
            options.alarm_notification_transport_url,
            option='[virtdc] alarm_notification_transport_url',
        )
        outlets.append(
            BusOutlet(notifications, options.alarm_notification_topics)
        )
    hook = webhook(conf, parts.clock)
    if hook is not None:
        outlets.append(hook)
    ledger = _ledger(options.state_path)
    holder = f'{socket.gethostname()}/{uuid.uuid4().hex}'
    return [
        Relay(
            outlet,
            marks=parts.client,
            holder=holder,
            book=parts.book,
            ledger=ledger,
            clock=parts.clock,
            describe=lambda alarm: describe(parts.cloud, alarm),
            project_id=options.alarm_project_id,
        )
        for outlet in outlets
    ]


def webhook(conf: cfg.ConfigOpts, clock: Clock) -> Webhook | None:
    """Return the webhook that is configured, if there is one.

    :raises ConfigInvalid: it cannot work.
    """
    options = conf[opts.LISTENER_GROUP]
    if not options.alarm_webhook_url:
        return None
    return Webhook(
        options.alarm_webhook_url,
        options.alarm_webhook_secret or '',
        clock=clock,
        timeout_s=options.alarm_webhook_timeout_s,
        allowed=options.alarm_webhook_allowed_networks,
    )


def describe(cloud: Cloud, alarm: Alarm) -> Mapping[str, Any]:
    """Return what Cinder says of the volume that an alarm is about."""
    try:
        volume = cloud.get_volume(alarm.subject)
    except exceptions.CloudError:
        # The alarm matters more than what could be added to it.
        return {}
    return {
        'volume_id': volume.volume_id,
        'project_id': volume.project_id,
        'user_id': volume.user_id,
        'name': volume.name,
        'size_gib': volume.size_gib,
        'status': volume.status,
        'server_ids': volume.server_ids,
    }


def _ledger(folder: str | None) -> Ledger:
    if not folder:
        return Ledger()
    try:
        return FileLedger(Path(folder) / 'alarms.json')
    except OSError as exc:
        raise exceptions.ConfigInvalid(
            f'[{opts.LISTENER_GROUP}] state_path cannot be used: {exc}.'
        ) from exc
