"""The tables of events and alarms.

Rows of events that have not ended are polled by Horizon's own JavaScript:
their state is neither good nor bad to it. It would also draw a bar into a
cell that has the class of such a state; ours has not, since we draw a bar
with the right width on the first load too.
"""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from horizon import exceptions
from horizon import messages
from horizon import tables

from cinder_virtdc.horizon import alarms
from cinder_virtdc.horizon import asking
from cinder_virtdc.horizon import events
from cinder_virtdc.horizon import filtering
from cinder_virtdc.horizon import links
from cinder_virtdc.horizon import naming
from cinder_virtdc.rest_client import ApiError

STATES = (
    ('success', True),
    ('failed', False),
    ('waiting', None),
    ('running', None),
    (events.UNKNOWN, None),
)
STANDS_OUT = {'failed': 'danger', events.UNKNOWN: 'warning'}
NARROW = ('text-nowrap',)
# Long names break anywhere, but not after a few letters.
NAMES = {'classes': ('word-break',), 'attrs': {'style': 'min-width: 8em'}}


def _stand_out(state: str) -> Any:
    """Return a state, such that one that is bad is seen."""
    kind = STANDS_OUT.get(state)
    if kind is None:
        return state
    return format_html('<span class="label label-{}">{}</span>', kind, state)


def _cell(name: str) -> Any:
    """Return what draws a cell of a row; the template escapes."""

    def draw(row: Any) -> Any:
        return render_to_string(f'virtdc/_{name}.html', {'row': row})

    return draw


class EventsRow(tables.Row):
    """A row that follows its event."""

    ajax = True

    def get_data(self, request: Any, obj_id: str) -> events.EventRow:
        """Return the event as it is now.

        If the data centre is silent, that is what the row says, until it
        answers again.
        """
        try:
            view = asking.data_centre(request).event(obj_id)
            volume = self.table.kwargs.get('volume')
            return asking.event_rows(
                request, [view], None if volume is None else named(volume)
            )[0]
        except ApiError as exc:
            if exc.status in (403, 404):
                raise exceptions.NotFound(str(exc)) from exc
            return events.unknown_row(obj_id, str(exc))


class EventAction(tables.BatchAction):
    """Has something done about an event; a refusal is told as it is."""

    def act(self, request: Any, event_id: str) -> None:
        """Have it done."""
        raise NotImplementedError

    def action(self, request: Any, datum_id: str) -> None:
        """Have it done, for Horizon."""
        try:
            self.act(request, datum_id)
        except ApiError as exc:
            messages.error(request, str(exc))
            raise exceptions.HandledException((type(exc), exc)) from exc


class CancelEvent(EventAction):
    """Withdraws an event."""

    name = 'cancel'
    action_type = 'danger'
    help_text = _(
        'An event that waits is withdrawn, one that runs is interrupted. '
        'What it was to do is left undone.'
    )

    @staticmethod
    def action_present(count: int) -> Any:
        """Say what it does."""
        return ngettext_lazy('Cancel Event', 'Cancel Events', count)

    @staticmethod
    def action_past(count: int) -> Any:
        """Say what it did."""
        return ngettext_lazy(
            'Asked to cancel event', 'Asked to cancel events', count
        )

    def allowed(
        self, request: Any, row: events.EventRow | None = None
    ) -> bool:
        """Say whether there is anything to cancel, and a right to."""
        return row is None or row.can_cancel

    def act(self, request: Any, event_id: str) -> None:
        """Cancel it."""
        asking.data_centre(request).cancel(event_id)


class RetryEvent(EventAction):
    """Asks again for what an event has failed at."""

    name = 'retry'
    help_text = _('A new event asks for the same.')

    @staticmethod
    def action_present(count: int) -> Any:
        """Say what it does."""
        return ngettext_lazy('Retry Event', 'Retry Events', count)

    @staticmethod
    def action_past(count: int) -> Any:
        """Say what it did."""
        return ngettext_lazy('Asked again for', 'Asked again for', count)

    def allowed(
        self, request: Any, row: events.EventRow | None = None
    ) -> bool:
        """Say whether asking again makes sense, and is allowed."""
        return row is None or row.can_retry

    def act(self, request: Any, event_id: str) -> None:
        """Ask again."""
        asking.data_centre(request).retry(event_id)


class EventsFilter(tables.FilterAction):
    """Shows some of the events; the data centre picks them."""

    name = 'filter'
    filter_type = 'server'
    filter_choices = (
        (filtering.STATE, _('State ='), True),
        (filtering.VOLUME, _('Volume ='), True, _('Name or ID')),
        (filtering.OPERATION, _('Action ='), True),
        (filtering.ORIGIN, _('Origin ='), True),
    )


class Table(tables.DataTable):
    """A table that may be empty since nobody knows what is in it."""

    def say_empty(self, text: str) -> None:
        """Say something else than that there is nothing."""
        self._no_data_message = text


class EventsTable(Table):
    """Events, newest first.

    :ivar trail: the pages on the way here.
    :ivar next_marker: where the next page begins; ``None``: this is the last.
    """

    age = tables.Column(
        _cell('age'),
        verbose_name=_('Age'),
        sortable=False,
        classes=NARROW,
    )
    operation = tables.Column(
        'operation',
        verbose_name=_('Action'),
        link=links.event,
        sortable=False,
    )
    volume = tables.Column(
        lambda row: row.volume.shown,
        verbose_name=_('Volume'),
        link=links.volume,
        sortable=False,
        **NAMES,
    )
    state = tables.Column(
        'state',
        verbose_name=_('State'),
        status_choices=STATES,
        filters=(_stand_out,),
        sortable=False,
        classes=NARROW,
    )
    progress = tables.Column(
        _cell('progress'), verbose_name=_('Progress'), sortable=False
    )
    origin = tables.Column(
        'origin', verbose_name=_('Origin'), sortable=False, classes=NARROW
    )
    who = tables.Column(
        'who', verbose_name=_('Who'), sortable=False, classes=NARROW
    )
    why = tables.Column(_cell('why'), verbose_name=_('Reason'), sortable=False)

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.trail = filtering.Trail.read(request.GET.get('marker', ''))
        self.next_marker: str | None = None

    # Horizon keeps these with the class, which all requests share.
    def has_more_data(self) -> bool:
        """Say whether there is a next page."""
        return self.next_marker is not None

    def has_prev_data(self) -> bool:
        """Say whether there is a page before."""
        return self.trail.marker is not None

    def get_pagination_string(self) -> str:
        """Return the query of the next page."""
        return self.trail.forth(self.next_marker or '')

    def get_prev_pagination_string(self) -> str:
        """Return the query of the page before."""
        return self.trail.back()

    class Meta:
        name = 'platform_events'
        verbose_name = _('Platform Events')
        no_data_message = _('There are no such events.')
        status_columns = ['state']
        row_class = EventsRow
        table_actions = (EventsFilter,)
        row_actions = (CancelEvent, RetryEvent)


class OneEventTable(EventsTable):
    """One event, above all that is told of it."""

    class Meta:
        name = 'platform_event'
        verbose_name = _('Platform Event')
        no_data_message = ''
        footer = False
        status_columns = ['state']
        row_class = EventsRow
        row_actions = (CancelEvent, RetryEvent)


class VolumeEventsTable(EventsTable):
    """Events of the volume whose page it is on."""

    class Meta:
        name = 'volume_platform_events'
        verbose_name = _('Platform Events')
        no_data_message = _('The data centre knows of no event.')
        columns = [
            *('age', 'operation', 'state', 'progress', 'origin', 'who'),
            'why',
        ]
        status_columns = ['state']
        row_class = EventsRow
        row_actions = (CancelEvent, RetryEvent)


class AcknowledgeAlarm(tables.LinkAction):
    """Leads to the form that notes that an alarm was seen."""

    name = 'acknowledge'
    verbose_name = _('Acknowledge')
    classes = ('ajax-modal',)

    def allowed(
        self, request: Any, row: alarms.AlarmRow | None = None
    ) -> bool:
        """Say whether nobody has seen it yet, and the user may."""
        return row is None or row.can_acknowledge

    def get_link_url(self, datum: alarms.AlarmRow | None = None) -> str:
        """Return the form's address."""
        if datum is None:
            raise AssertionError('it stands in rows only')
        return links.acknowledge(datum, self.table.request)


class AlarmsTable(Table):
    """The alarms that are raised."""

    severity = tables.Column(_cell('severity'), verbose_name=_('Severity'))
    kind = tables.Column('kind', verbose_name=_('Alarm'))
    volume = tables.Column(
        lambda row: row.volume.shown,
        verbose_name=_('About'),
        link=links.volume,
        **NAMES,
    )
    message = tables.Column(
        _cell('alarm'), verbose_name=_('What happened'), sortable=False
    )
    age = tables.Column(_cell('raised'), verbose_name=_('Raised'))
    count = tables.Column('count', verbose_name=_('Times'))
    who = tables.Column('who', verbose_name=_('Who'))
    seen = tables.Column('seen', verbose_name=_('Acknowledged'))

    class Meta:
        name = 'platform_alarms'
        verbose_name = _('Platform Alarms')
        no_data_message = _('No alarm is raised.')
        row_actions = (AcknowledgeAlarm,)


def named(volume: Any) -> naming.Named:
    """Return what Cinder's volume is called."""
    return naming.Named(
        volume_id=volume.id, name=volume.name or '', is_in_cloud=True
    )
