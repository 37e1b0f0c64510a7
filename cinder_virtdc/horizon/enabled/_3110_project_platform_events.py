"""Project → Volumes → Platform Events, and what volumes' pages get."""

from __future__ import annotations

PANEL = 'platform_events'
PANEL_DASHBOARD = 'project'
PANEL_GROUP = 'volumes'
ADD_PANEL = 'cinder_virtdc.horizon.panels.ProjectEvents'

ADD_INSTALLED_APPS = ['cinder_virtdc.horizon']

_TAB = 'cinder_virtdc.horizon.tabs.PlatformEventsTab'
EXTRA_TABS = {
    f'openstack_dashboard.dashboards.{name}.volumes.tabs.VolumeDetailTabs': [
        _TAB
    ]
    for name in ('project', 'admin')
}
