"""Names on the bus."""

from __future__ import annotations

from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract import events
from virtdc_agent.contract.resyncs import Resync

EXCHANGE = 'virtdc'
"""Exchange of everything between agent and cloud."""

RPC_TOPIC = 'virtdc_agent'
"""Default topic of the agent's calls."""

RPC_VERSION = '1.0'
"""Version of the set of calls; messages carry their own."""

NOTIFICATION_TOPIC = 'virtdc_events'
"""Default topic of announcements and transitions."""

NOTIFICATION_PRIORITY = 'info'
"""The one priority used: order across priorities is not kept by the bus."""

EVENT_GENERATED = 'virtdc.event.generated'
"""Event type of an announcement."""

RESYNC_REQUESTED = 'virtdc.resync.requested'
"""Event type of the word that a comparison is wanted."""


def event_type(notification: events.Notification) -> str:
    """Return the ``event_type`` under which a notification travels."""
    if isinstance(notification, events.Announcement):
        return EVENT_GENERATED
    if isinstance(notification, Resync):
        return RESYNC_REQUESTED
    if isinstance(notification, AlarmNotice):
        return f'virtdc.alarm.{notification.change}'
    return f'virtdc.volume.{notification.operation}.{notification.state}'
