"""``openstack virtdc event``: what was asked for, and how it goes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import datetime
from typing import Any

from cliff import columns as cliff_columns
from osc_lib import exceptions

from cinder_virtdc.osc import columns
from cinder_virtdc.osc import command
from cinder_virtdc.osc import screen
from cinder_virtdc.osc.waiting import add_wait
from cinder_virtdc.osc.waiting import await_event
from cinder_virtdc.osc import watching
from cinder_virtdc.rest_client import path_of
from cinder_virtdc.rest_client import View
from cinder_virtdc import wording
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State

HEADER = ('ID', 'Age', 'Operation', 'Volume', 'State', 'Progress', 'Detail')
LONG_HEADER = (
    *HEADER,
    *('Origin', 'User', 'Project', 'Request', 'Agent', 'Attempt'),
    *('Sequence', 'Created At', 'Updated At'),
)


def row_of(view: View, age: columns.Age, *, is_long: bool) -> Sequence[Any]:
    """Return the row of an event in a list."""
    row = [
        view['event_id'],
        age(view['created_at']),
        view['operation'],
        view['volume_id'],
        view['state'],
        columns.Progress(view),
        wording.printable(wording.detail(view)),
    ]
    if is_long:
        requester = view['requested_by']
        row += [
            view['origin'],
            *(requester[key] for key in ('user_id', 'project_id')),
            requester['request_id'],
            columns.Text(view['agent'] or ''),
            view['attempt'],
            view['sequence'],
            columns.Time(view['created_at']),
            columns.Time(view['updated_at']),
        ]
    return row


def show_event(view: View) -> tuple[Sequence[str], Sequence[Any]]:
    """Return what is shown of one event."""
    requester = view['requested_by']
    rows = [
        ('id', view['event_id']),
        ('operation', view['operation']),
        ('volume', view['volume_id']),
        ('parameters', columns.Lines(view['parameters'])),
        ('state', view['state']),
        ('progress', columns.Progress(view)),
        ('detail', wording.printable(wording.detail(view))),
        ('reason', columns.Text(view.get('reason') or '')),
        ('message', columns.Text(wording.printable(view['message']))),
        ('retry_of', columns.Text(view.get('retry_of') or '')),
        ('origin', view['origin']),
        ('user', columns.Text(requester['user_id'])),
        ('project', columns.Text(requester['project_id'])),
        ('request', columns.Text(requester['request_id'])),
        ('agent', columns.Text(view['agent'] or '')),
        ('attempt', view['attempt']),
        ('lane', view['lane']),
        ('sequence', view['sequence']),
        ('created_at', columns.Time(view['created_at'])),
        ('updated_at', columns.Time(view['updated_at'])),
    ]
    queue = view.get('queue')
    if queue is not None:
        more = '' if queue['is_exact'] else ' or more'
        rows.append(('ahead', f'{queue["ahead"]}{more}'))
    if 'history' in view:
        rows.append(('history', History(view['history'])))
    return command.show(rows)


class History(cliff_columns.FormattableColumn[Sequence[View]]):
    """An event's transitions."""

    def human_readable(self) -> str:
        """Return each change of state, and how long the state lasted."""
        lines = []
        for one, lasted in wording.steps_of(self._value):
            line = f'{wording.moment(one["occurred_at"])} {one["state"]}'
            if lasted is not None:
                line += f' for {wording.duration(lasted)}'
            lines.append(line)
        return '\n'.join(lines)


class ListEvents(command.Lister):
    """List events, newest first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the filters."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--volume',
            metavar='<volume>',
            help='Only those of a volume (name or ID)',
        )
        parser.add_argument(
            '--state',
            action='append',
            choices=[one.value for one in State],
            help='Only those in a state; may be repeated',
        )
        parser.add_argument(
            '--operation',
            metavar='<operation>',
            action='append',
            choices=[one.value for one in Operation],
            help='Only those that do this; may be repeated: '
            + ', '.join(Operation),
        )
        parser.add_argument(
            '--origin',
            choices=[one.value for one in Origin],
            help='Only those from the cloud, or from the data centre '
            '(platform)',
        )
        parser.add_argument(
            '--project',
            metavar='<project-id>',
            help='Only those of a project; others than your own need the '
            'right to see all',
        )
        parser.add_argument(
            '--since',
            metavar='<duration>',
            type=command.seconds,
            help='Only those made so long ago or later, as 30m, 2h, 7d',
        )
        parser.add_argument(
            '--long', action='store_true', help='Show all there is'
        )
        command.add_paging(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """List them."""
        now = self.clock.now()
        volume = parsed_args.volume
        since = parsed_args.since
        oldest = now - datetime.timedelta(seconds=since or 0)

        def is_too_old(view: View) -> bool:
            created = datetime.datetime.fromisoformat(view['created_at'])
            return since is not None and created < oldest

        page = self.virtdc.page(
            '/events',
            'events',
            {
                'volume_id': volume and self.find_volume(volume),
                'state': ','.join(parsed_args.state or ()),
                'operation': ','.join(parsed_args.operation or ()),
                'origin': parsed_args.origin,
                'project_id': parsed_args.project,
            },
            limit=parsed_args.limit,
            marker=parsed_args.marker,
            until=is_too_old,
        )
        self.more(page)
        age = columns.Age(now)
        is_long = parsed_args.long
        return LONG_HEADER if is_long else HEADER, [
            row_of(one, age, is_long=is_long) for one in page.items
        ]


class ShowEvent(command.ShowOne):
    """Show an event, with its history and its place in the queue"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the event."""
        parser = super().get_parser(prog_name)
        _add_event(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Show it."""
        return show_event(
            self.virtdc.get(path_of('events', parsed_args.event))
        )


class WatchEvents(command.Base):
    """Watch events until they have ended

    On a terminal each open event is a line that is drawn anew; elsewhere
    each change is a line. Without an event or a volume everything is shown,
    until Ctrl-C, which stops the watching and nothing else.

    Exit status: 0 all have succeeded, 1 one has failed, 124 the time is up,
    130 Ctrl-C.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add what to watch."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'event', metavar='<event>', nargs='*', help='Events to watch (IDs)'
        )
        parser.add_argument(
            '--volume',
            metavar='<volume>',
            help='Watch a volume (name or ID) until nothing is done to it',
        )
        parser.add_argument(
            '--after',
            metavar='<sequence>',
            type=command.sequence,
            help='Begin with what came after this, as Ctrl-C has said',
        )
        parser.add_argument(
            '--timeout',
            metavar='<duration>',
            type=command.seconds,
            help='Give up after so long, as 90s, 10m',
        )
        parser.add_argument(
            '-f',
            '--format',
            dest='formatter',
            choices=('text', 'json'),
            default='text',
            help='text for people, json for an object a line (default: text)',
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Watch."""
        if parsed_args.event and parsed_args.volume:
            raise exceptions.CommandError('Name events or a volume, not both.')
        aim = watching.Aim(
            event_ids=tuple(dict.fromkeys(parsed_args.event)),
            volume_id=(
                self.find_volume(parsed_args.volume)
                if parsed_args.volume
                else None
            ),
            after=parsed_args.after,
        )
        shown = screen.of_format(
            parsed_args.formatter, self.app.stdout, self.app.stderr
        )
        watch = watching.Watch(self.virtdc, self.clock, shown)
        try:
            status = watch.run(aim, timeout_s=parsed_args.timeout)
        except KeyboardInterrupt:
            status = watching.INTERRUPTED
        finally:
            shown.close()
        if status == watching.INTERRUPTED:
            self.say(watching.resume_hint(aim, watch.position))
        elif status == watching.TIMEOUT:
            self.say(
                'The time is up. ' + watching.resume_hint(aim, watch.position)
            )
        return status


class CancelEvent(command.ShowOne):
    """Withdraw an event; one that runs is interrupted"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the event."""
        parser = super().get_parser(prog_name)
        _add_event(parser)
        add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Withdraw it."""
        event = self.virtdc.post(
            path_of('events', parsed_args.event, 'cancel')
        )
        if parsed_args.wait:
            event = await_event(self, event, parsed_args.timeout)
            if event['state'] == 'success':
                raise exceptions.CommandError(
                    f'Event {event["event_id"]} had succeeded before it '
                    'could be cancelled.'
                )
        return show_event(event)


class RetryEvent(command.ShowOne):
    """Ask again for what an event has failed at: a new event"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the event."""
        parser = super().get_parser(prog_name)
        _add_event(parser)
        add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Ask again."""
        event = self.virtdc.post(path_of('events', parsed_args.event, 'retry'))
        if parsed_args.wait:
            event = await_event(
                self, event, parsed_args.timeout, must_succeed=True
            )
        return show_event(event)


def _add_event(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('event', metavar='<event>', help='The event (ID)')
