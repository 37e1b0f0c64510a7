"""The panels. Where the catalog has no data centre, there are none."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
import horizon

from cinder_virtdc.horizon import asking


class ProjectEvents(horizon.Panel):
    """Events on the volumes of the user's project."""

    name = _('Platform Events')
    slug = 'platform_events'
    permissions = (asking.PERMISSION,)
    urls = 'project_urls'


class AdminEvents(horizon.Panel):
    """Events of the whole data centre."""

    name = _('Platform Events')
    slug = 'platform_events'
    permissions = (asking.PERMISSION,)
    urls = 'admin_urls'


class AdminAlarms(horizon.Panel):
    """Alarms of the data centre."""

    name = _('Platform Alarms')
    slug = 'platform_alarms'
    permissions = (asking.PERMISSION,)
    urls = 'alarm_urls'
