"""Addresses of pages, within the dashboard that the user is in."""

from __future__ import annotations

from typing import Any
import urllib.parse

from django.urls import NoReverseMatch
from django.urls import reverse

from cinder_virtdc.horizon import alarms
from cinder_virtdc.horizon import asking
from cinder_virtdc.horizon import events


def event_list(request: Any) -> str:
    """Return the address of the panel of events."""
    return _reverse(request, 'platform_events:index')


def event(row: events.EventRow, request: Any) -> str:
    """Return the address of an event's page."""
    return _reverse(request, 'platform_events:detail', row.id)


def volume(row: events.EventRow | alarms.AlarmRow, request: Any) -> str | None:
    """Return the address of a volume's page; ``None``: there is none."""
    if not row.volume.is_in_cloud:
        return None
    try:
        return _reverse(request, 'volumes:detail', row.volume.volume_id)
    except NoReverseMatch:
        return None


def acknowledge(row: alarms.AlarmRow, request: Any) -> str:
    """Return the address of the form, which leads back to the page."""
    address = _reverse(
        request, 'platform_events:acknowledge', row.kind, row.subject
    )
    back = urllib.parse.urlencode({'next': request.get_full_path()})
    return f'{address}?{back}'


def _reverse(request: Any, name: str, *arguments: str) -> str:
    dashboard = asking.dashboard_of(request)
    return str(reverse(f'horizon:{dashboard}:{name}', args=arguments))
