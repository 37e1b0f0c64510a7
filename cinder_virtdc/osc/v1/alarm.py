"""``openstack virtdc alarm``: conditions that a person must see."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from cinder_virtdc.osc import columns
from cinder_virtdc.osc import command
from cinder_virtdc.osc import remedying
from cinder_virtdc.osc.v1.event import show_event
from cinder_virtdc.osc.waiting import add_wait
from cinder_virtdc.osc.waiting import await_event
from cinder_virtdc.rest_client import path_of
from cinder_virtdc.rest_client import View
from cinder_virtdc.sync.policy import Policy
from cinder_virtdc import wording
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import catalogue

HEADER = ('Severity', 'Kind', 'Subject', 'Raised', 'Seen By', 'Message')
LONG_HEADER = (
    *HEADER,
    *('Count', 'Comment', 'Raised At', 'Updated At', 'Details'),
)


class ListAlarms(command.Lister):
    """List the alarms that are raised, the worst first"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the filters."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            '--kind',
            metavar='<kind>',
            action='append',
            choices=sorted(catalogue.CATALOGUE),
            help='Only of a kind; may be repeated: '
            + ', '.join(sorted(catalogue.CATALOGUE)),
        )
        parser.add_argument(
            '--severity',
            action='append',
            choices=[one.value for one in Severity],
            help='Only of a severity; may be repeated',
        )
        parser.add_argument(
            '--unseen',
            action='store_true',
            help='Only those that nobody has acknowledged',
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
        kinds, severities = parsed_args.kind, parsed_args.severity

        def is_wanted(alarm: View) -> bool:
            return (
                (not kinds or alarm['kind'] in kinds)
                and (not severities or alarm['severity'] in severities)
                and not (parsed_args.unseen and alarm['acknowledged_by'])
            )

        page = self.virtdc.page(
            '/alarms',
            'alarms',
            limit=parsed_args.limit,
            marker=parsed_args.marker,
            wanted=is_wanted,
        )
        self.more(page)
        age = columns.Age(self.clock.now())
        alarms = sorted(
            page.items,
            key=lambda one: (
                Severity(one['severity']).rank,
                one['raised_at'],
            ),
        )
        return LONG_HEADER if parsed_args.long else HEADER, [
            _row(one, age, is_long=parsed_args.long) for one in alarms
        ]


class ShowAlarm(command.ShowOne):
    """Show an alarm, and what is to be done about it"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the alarm."""
        parser = super().get_parser(prog_name)
        _add_alarm(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Show it."""
        return _show(
            self.virtdc.get(
                path_of('alarms', parsed_args.kind, parsed_args.subject)
            )
        )


class AcknowledgeAlarm(command.ShowOne):
    """Note that an alarm was seen, for all others to see"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the alarm and the comment."""
        parser = super().get_parser(prog_name)
        _add_alarm(parser)
        parser.add_argument(
            '--comment', metavar='<text>', help='What you do about it'
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Acknowledge it."""
        comment = parsed_args.comment
        return _show(
            self.virtdc.post(
                path_of(
                    *('alarms', parsed_args.kind, parsed_args.subject),
                    'acknowledge',
                ),
                {} if comment is None else {'comment': comment},
            )
        )


class ClearAlarm(command.Base):
    """End an alarm whose cause is gone; it is raised again if it is not"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the alarm."""
        parser = super().get_parser(prog_name)
        _add_alarm(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Clear it; one that is not raised is an error for a person."""
        path = path_of('alarms', parsed_args.kind, parsed_args.subject)
        self.virtdc.get(path)
        self.virtdc.post(f'{path}/clear')


class _Remedy(command.ShowOne):
    """Decides about a volume that the data centre has deleted."""

    policy: Policy
    needs_cloud = True

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the volume."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            'volume',
            metavar='<volume>',
            help='The volume that is deleted or missing (name or ID)',
        )
        if self.policy is not Policy.FORGET:
            add_wait(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[Sequence[str], Sequence[Any]]:
        """Have it done."""
        remedy = remedying.Remedying(
            self.virtdc, self.app.client_manager, self.clock
        )
        event = remedy.apply(self.policy, parsed_args.volume)
        if event is None:
            return command.show(
                [
                    ('volume', remedy.volume_id),
                    ('result', 'Cinder deletes its record of the volume.'),
                ]
            )
        if parsed_args.wait:
            event = await_event(
                self, event, parsed_args.timeout, must_succeed=True
            )
        return show_event(event)


class RestoreVolume(_Remedy):
    """Take a volume that was deleted out of the trash again"""

    policy = Policy.RESTORE


class RecreateVolume(_Remedy):
    """Have an empty volume made in place of one that is gone for good"""

    policy = Policy.RECREATE


class ForgetVolume(_Remedy):
    """Have Cinder delete its record of a volume that is gone for good"""

    policy = Policy.FORGET


def _row(alarm: View, age: columns.Age, *, is_long: bool) -> Sequence[Any]:
    row = [
        alarm['severity'],
        alarm['kind'],
        alarm['subject'],
        age(alarm['raised_at']),
        columns.Text(alarm['acknowledged_by']),
        wording.printable(alarm['message']),
    ]
    if is_long:
        row += [
            alarm['count'],
            columns.Text(wording.printable(alarm['comment'])),
            columns.Time(alarm['raised_at']),
            columns.Time(alarm['updated_at']),
            columns.Lines(alarm['details']),
        ]
    return row


def _show(alarm: View) -> tuple[Sequence[str], Sequence[Any]]:
    rows = [
        ('kind', alarm['kind']),
        ('subject', alarm['subject']),
        ('severity', alarm['severity']),
        ('message', wording.printable(alarm['message'])),
        ('details', columns.Lines(alarm['details'])),
        ('raised_at', columns.Time(alarm['raised_at'])),
        ('updated_at', columns.Time(alarm['updated_at'])),
        ('count', alarm['count']),
        ('acknowledged_by', columns.Text(alarm['acknowledged_by'])),
        ('acknowledged_at', columns.Time(alarm['acknowledged_at'])),
        ('comment', columns.Text(wording.printable(alarm['comment']))),
    ]
    kind = catalogue.CATALOGUE.get(alarm['kind'])
    if kind is not None:
        rows += [
            (word, getattr(kind, word))
            for word in ('cause', 'effect', 'repair', 'clears')
        ]
    return command.show(rows)


def _add_alarm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('kind', metavar='<kind>', help='As volume-deleted')
    parser.add_argument(
        'subject',
        metavar='<subject>',
        help="What it is about, as the list says: a volume's ID, or a word",
    )
