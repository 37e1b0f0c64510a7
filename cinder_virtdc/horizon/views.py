"""The pages of the panels.

That the data centre cannot be reached is said on the page; it is no error of
the dashboard.
"""

from __future__ import annotations

from typing import Any

from django.utils.http import url_has_allowed_host_and_scheme
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from horizon import exceptions
from horizon import forms as horizon_forms
from horizon import tables as horizon_tables
from horizon.utils import functions

from cinder_virtdc.horizon import alarms
from cinder_virtdc.horizon import asking
from cinder_virtdc.horizon import events
from cinder_virtdc.horizon import filtering
from cinder_virtdc.horizon import forms
from cinder_virtdc.horizon import links
from cinder_virtdc.horizon import tables
from cinder_virtdc.rest_client import ApiError
from cinder_virtdc.rest_client import View


class EventsView(horizon_tables.DataTableView):
    """Events of one's project or, to administrators, of all."""

    table_class = tables.EventsTable
    template_name = 'virtdc/table.html'
    page_title = _('Platform Events')
    problem = ''

    def get_data(self) -> list[events.EventRow]:
        """Return the rows of the page."""
        try:
            page = asking.data_centre(self.request).events(
                {
                    'project_id': asking.scope_of(self.request),
                    **self._filter(),
                },
                limit=functions.get_page_size(self.request),
                marker=self.table.trail.marker,
            )
            self.table.next_marker = page.marker
            return asking.event_rows(self.request, page.items)
        except filtering.NoSuchChoice as exc:
            self.problem = str(exc)
        except ApiError as exc:
            self.problem = str(exc)
            self.table.say_empty(_('What the events are is not known now.'))
        return []

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add what is wrong."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return {**context, 'problem': self.problem}

    def _filter(self) -> dict[str, str]:
        """Return the user's filter in the API's words."""
        filters: dict[str, str] = self.get_filters()
        return dict(
            self._criterion(field, text) for field, text in filters.items()
        )

    def _criterion(self, field: str, text: str) -> tuple[str, str]:
        if field != filtering.VOLUME:
            return field, filtering.value_of(field, text)
        found = asking.data_centre(self.request).volume_called(
            text, asking.scope_of(self.request)
        )
        return 'volume_id', found or text


class EventView(horizon_tables.DataTableView):
    """All that is told of one event."""

    table_class = tables.OneEventTable
    template_name = 'virtdc/event.html'
    page_title = _('Platform Event')
    problem = ''
    event: events.EventPage | None = None

    def get_data(self) -> list[events.EventRow]:
        """Return the event as the only row."""
        try:
            view = asking.data_centre(self.request).event(
                self.kwargs['event_id']
            )
            (row,) = asking.event_rows(self.request, [view])
            self.event = events.event_page(
                view,
                asking.viewer(self.request, [view]),
                row.volume,
                timezone.now(),
            )
        except ApiError as exc:
            if exc.status == 404:
                raise exceptions.Http302(
                    links.event_list(self.request), str(exc)
                ) from exc
            self.problem = str(exc)
            return []
        return [self.event.row]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the event."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return {**context, 'event': self.event, 'problem': self.problem}


class AlarmsView(horizon_tables.DataTableView):
    """The alarms that are raised."""

    table_class = tables.AlarmsTable
    template_name = 'virtdc/table.html'
    page_title = _('Platform Alarms')
    problem = ''

    def get_data(self) -> list[alarms.AlarmRow]:
        """Return the rows."""
        try:
            found = asking.data_centre(self.request).alarms()
            return asking.alarm_rows(self.request, found)
        except ApiError as exc:
            self.problem = str(exc)
            self.table.say_empty(
                _('Which alarms are raised is not known now.')
            )
            return []

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add what is wrong."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return {**context, 'problem': self.problem}


class AcknowledgeView(horizon_forms.ModalFormView):
    """Where an alarm is acknowledged."""

    form_class = forms.AcknowledgeForm
    template_name = 'virtdc/acknowledge.html'
    page_title = _('Acknowledge Alarm')
    submit_label = _('Acknowledge')
    problem = ''

    def get_initial(self) -> dict[str, str]:
        """Return which alarm it is."""
        return {name: self.kwargs[name] for name in ('kind', 'subject')}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the alarm."""
        self.submit_url = self.request.get_full_path()
        alarm = self._alarm()
        context: dict[str, Any] = super().get_context_data(**kwargs)
        return {**context, 'alarm': alarm, 'problem': self.problem}

    def get_success_url(self) -> str:
        """Return the page from which the user came."""
        back = self.request.GET.get('next', '')
        if url_has_allowed_host_and_scheme(
            back, allowed_hosts=None, require_https=self.request.is_secure()
        ):
            return str(back)
        return links.event_list(self.request)

    def get_cancel_url(self) -> str:
        """Return the same."""
        return self.get_success_url()

    def _alarm(self) -> alarms.AlarmRow | None:
        try:
            view: View = asking.data_centre(self.request).alarm(
                self.kwargs['kind'], self.kwargs['subject']
            )
            return asking.alarm_rows(self.request, [view])[0]
        except ApiError as exc:
            self.problem = str(exc)
            return None
