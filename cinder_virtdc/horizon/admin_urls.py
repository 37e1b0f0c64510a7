"""The addresses of the panel of events in the admin dashboard."""

from __future__ import annotations

from cinder_virtdc.horizon import urls

urlpatterns = urls.event_patterns()
