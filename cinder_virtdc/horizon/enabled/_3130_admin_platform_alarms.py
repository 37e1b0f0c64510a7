"""Admin → Volume → Platform Alarms; needs the files of both events."""

from __future__ import annotations

PANEL = 'platform_alarms'
PANEL_DASHBOARD = 'admin'
PANEL_GROUP = 'volume'
ADD_PANEL = 'cinder_virtdc.horizon.panels.AdminAlarms'
