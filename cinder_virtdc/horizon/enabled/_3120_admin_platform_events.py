"""Admin → Volume → Platform Events; needs the project's file."""

from __future__ import annotations

PANEL = 'platform_events'
PANEL_DASHBOARD = 'admin'
PANEL_GROUP = 'volume'
ADD_PANEL = 'cinder_virtdc.horizon.panels.AdminEvents'
