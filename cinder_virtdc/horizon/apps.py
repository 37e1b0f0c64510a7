"""The plugin as Django knows it."""

from __future__ import annotations

import logging

from django import apps

LOG = logging.getLogger(__name__)

STOCK = 'horizon/common/_detail.html'


class VirtDC(apps.AppConfig):
    """Brings templates and tags, and the banner on the page of a volume."""

    name = 'cinder_virtdc.horizon'
    # Horizon itself has the last part of that name.
    label = 'virtdc'

    def ready(self) -> None:
        """Have the page of a volume begin with its alarms.

        Horizon has a place for tabs there, but none above them. The
        administrator's page is derived from the project's.
        """
        from openstack_dashboard.dashboards.project.volumes import views

        if views.DetailView.template_name == STOCK:
            views.DetailView.template_name = 'virtdc/volume.html'
        else:
            LOG.warning(
                'The page of a volume is drawn by %s: alarms are not shown '
                'above it.',
                views.DetailView.template_name,
            )
