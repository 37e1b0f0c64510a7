"""The pages of a panel of events."""

from __future__ import annotations

from typing import Any

from django.urls import re_path

from cinder_virtdc.horizon import views


def event_patterns() -> list[Any]:
    """Return patterns for one panel; Horizon changes those it is given."""
    return [
        re_path('^$', views.EventsView.as_view(), name='index'),
        re_path(
            '^alarms/(?P<kind>[^/]+)/(?P<subject>[^/]+)/acknowledge/$',
            views.AcknowledgeView.as_view(),
            name='acknowledge',
        ),
        re_path(
            '^(?P<event_id>[^/]+)/$', views.EventView.as_view(), name='detail'
        ),
    ]
