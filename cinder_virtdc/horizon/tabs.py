"""The tab of events on the page of a volume."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tabs
from horizon.utils import functions

from cinder_virtdc.horizon import asking
from cinder_virtdc.horizon import events
from cinder_virtdc.horizon import links
from cinder_virtdc.horizon import tables
from cinder_virtdc.rest_client import ApiError


class PlatformEventsTab(tabs.TableTab):
    """What happens to the volume in the data centre, and what has."""

    table_classes = (tables.VolumeEventsTable,)
    name = _('Platform Events')
    slug = 'platform_events_tab'
    template_name = 'virtdc/_volume_events.html'
    permissions = (asking.PERMISSION,)
    # Horizon polls the rows of tabs that come with the page, and no others.
    preload = True
    problem = ''
    has_more = False

    def get_volume_platform_events_data(self) -> list[events.EventRow]:
        """Return the rows."""
        volume = self.tab_group.kwargs['volume']
        try:
            page = asking.data_centre(self.request).events(
                {'volume_id': volume.id},
                limit=functions.get_page_size(self.request),
                marker=None,
            )
            self.has_more = page.marker is not None
            return asking.event_rows(
                self.request, page.items, tables.named(volume)
            )
        except ApiError as exc:
            self.problem = str(exc)
            table = self._tables[tables.VolumeEventsTable._meta.name]
            table.say_empty(_('What the events are is not known now.'))
            return []

    def get_context_data(self, request: Any, **kwargs: Any) -> dict[str, Any]:
        """Add what else the tab says."""
        context: dict[str, Any] = super().get_context_data(request, **kwargs)
        return {
            **context,
            'problem': self.problem,
            'has_more': self.has_more,
            'events_url': links.event_list(request),
        }
