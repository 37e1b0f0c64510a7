"""``cinder-virtdc-manage``: what a cloud's administrator does."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
import getpass
import json
import os
import sys
from typing import Any

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from pbr import version

from cinder_virtdc import exceptions
from cinder_virtdc import opts
from cinder_virtdc.sync.policy import Policy
from virtdc_agent.contract.alarms import CONFIRMED
from virtdc_agent.contract import catalogue

EXIT_NOT_FOUND = 1

_TEST = 'test'


def main() -> int:
    """Run one command."""
    # As in the listener: before the first import of oslo.messaging.
    backend.init_backend(backend.BackendType.THREADING)
    conf = cfg.CONF
    log.register_options(conf)
    log.set_defaults(default_log_levels=['oslo=ERROR', 'amqp=ERROR'])
    opts.register_listener_opts(conf)
    conf.register_cli_opt(
        cfg.SubCommandOpt(
            'category',
            title='commands',
            help='What to work on.',
            handler=_add_commands,
        )
    )
    try:
        conf(
            sys.argv[1:],
            project='cinder-virtdc',
            prog='cinder-virtdc-manage',
            # The listener's own: it has the same rights.
            default_config_files=cfg.find_config_files(
                project='cinder-virtdc', prog='cinder-virtdc-listener'
            ),
            version=version.VersionInfo('virtdc').version_string(),
            description='Decides about alarms, and compares both sides.',
        )
        run: Callable[[cfg.ConfigOpts], int] = conf.category.run
        return run(conf)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (cfg.Error, exceptions.VirtDCError) as exc:
        print(f'cinder-virtdc-manage: {exc}', file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """Return a parser of all commands, to describe them by."""
    described = argparse.ArgumentParser('cinder-virtdc-manage')
    _add_commands(described.add_subparsers(metavar='command'))
    return described


def _add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    alarm = categories.add_parser(
        'alarm', help='alarms: conditions that a person must see'
    )
    actions = alarm.add_subparsers(dest='action', required=True)
    listing = actions.add_parser('list', help='list those that are raised')
    listing.add_argument('--json', action='store_true', help='for programs')
    listing.set_defaults(run=_list)
    for policy, says in (
        (Policy.RESTORE, 'take a deleted volume out of the trash again'),
        (Policy.RECREATE, 'have an empty volume of the same id made'),
        (Policy.FORGET, 'have Cinder delete the record of a deleted volume'),
    ):
        action = actions.add_parser(policy.value, help=says)
        action.add_argument('volume_id')
        action.set_defaults(run=_remedy, policy=policy)
    ack = actions.add_parser('ack', help='note that an alarm was seen')
    clear = actions.add_parser('clear', help='end one whose cause is gone')
    for action, run in ((ack, _acknowledge), (clear, _clear)):
        action.add_argument('kind')
        action.add_argument('subject', help="as the list says: a volume's id")
        action.set_defaults(run=run)
    ack.add_argument('--comment', default='')
    confirm = actions.add_parser(
        'confirm', help='say that many volumes are really gone'
    )
    confirm.add_argument('kind', choices=sorted(catalogue.CONFIRMABLE))
    confirm.add_argument('subject', help='as the list says')
    confirm.set_defaults(run=_confirm)
    resync = categories.add_parser(
        'resync', help='compare both sides, and repair what differs'
    )
    resync.add_argument(
        '--dry-run', action='store_true', help='only tell what differs'
    )
    resync.set_defaults(run=_resync)
    webhook = categories.add_parser(
        'webhook-test', help='post a test report to the webhook'
    )
    webhook.set_defaults(run=_test_webhook)


def _parts(conf: cfg.ConfigOpts) -> Any:
    from cinder_virtdc.listener import parts

    return parts.Parts.from_config(conf)


def _list(conf: cfg.ConfigOpts) -> int:
    alarms = sorted(
        _parts(conf).client.get_alarms(),
        key=lambda one: (one.severity.rank, one.raised_at),
    )
    if conf.category.json:
        from cinder_virtdc.alarms import reports

        print(
            json.dumps(
                [
                    dict(
                        reports.report_of(
                            one,
                            reports.change_of(one, None),
                            volume={},
                        ).payload
                    )
                    for one in alarms
                ],
                indent=2,
            )
        )
        return 0
    rows = [
        (
            one.severity.value,
            one.kind,
            one.subject,
            one.raised_at.strftime('%Y-%m-%d %H:%M'),
            str(one.count),
            one.acknowledged_by or '-',
            one.message,
        )
        for one in alarms
    ]
    if not rows:
        print('No alarm is raised.')
        return 0
    _print_table(
        ('SEVERITY', 'KIND', 'SUBJECT', 'RAISED', 'COUNT', 'SEEN BY', 'WHAT'),
        rows,
    )
    return 0


def _remedy(conf: cfg.ConfigOpts) -> int:
    from cinder_virtdc import remedies

    parts = _parts(conf)
    wanted = conf.category
    parts.book.refresh()
    volume = parts.cloud.get_volume(wanted.volume_id)
    alarm = parts.book.loss_of(volume)
    if alarm is None:
        print(
            f'No alarm says that volume {wanted.volume_id} is deleted or '
            'missing: nothing was done.',
            file=sys.stderr,
        )
        return EXIT_NOT_FOUND
    event_id = parts.remedies.apply(
        wanted.policy,
        volume,
        alarm,
        now=parts.clock.now(),
        user_id=getpass.getuser(),
    )
    if not event_id:
        print(f'Cinder deletes its record of volume {volume.volume_id}.')
        return 0
    transition = remedies.await_end(parts.client, event_id, clock=parts.clock)
    if transition.state.value != 'success':
        print(
            f'The data centre could not {wanted.policy} volume '
            f'{volume.volume_id}: {transition.message or transition.state}',
            file=sys.stderr,
        )
        return 1
    # The listener does it too; it may be down.
    parts.sight.learn()
    parts.book.refresh()
    parts.syncer.sync(volume.volume_id)
    parts.writer.drain()
    print(f'Volume {volume.volume_id} is there again.')
    return 0


def _acknowledge(conf: cfg.ConfigOpts) -> int:
    wanted = conf.category
    _parts(conf).client.acknowledge_alarm(
        wanted.kind,
        wanted.subject,
        by=getpass.getuser(),
        comment=wanted.comment,
    )
    print(f'Alarm {wanted.kind} of {wanted.subject} is acknowledged.')
    return 0


def _confirm(conf: cfg.ConfigOpts) -> int:
    wanted = conf.category
    alarm = _parts(conf).client.acknowledge_alarm(
        wanted.kind, wanted.subject, by=getpass.getuser(), comment=CONFIRMED
    )
    print(f'Confirmed: {alarm.message}')
    return 0


def _clear(conf: cfg.ConfigOpts) -> int:
    wanted = conf.category
    if not _parts(conf).client.clear_alarm(wanted.kind, wanted.subject):
        print(
            f'No alarm {wanted.kind} of {wanted.subject} is raised.',
            file=sys.stderr,
        )
        return EXIT_NOT_FOUND
    print(f'Alarm {wanted.kind} of {wanted.subject} is cleared.')
    return 0


def _resync(conf: cfg.ConfigOpts) -> int:
    parts = _parts(conf)
    dry = conf.category.dry_run
    report = parts.comparison.run(dry=dry)
    print(
        f'Compared {report.volumes} volumes of the cloud with '
        f'{report.platform_volumes} of the data centre.'
    )
    rows = [
        (
            volume_id,
            ', '.join(
                sorted({type(action).__name__.lower() for action in actions})
            ),
        )
        for volume_id, actions in sorted(report.actions.items())
    ]
    if rows:
        _print_table(('VOLUME', 'TO DO' if dry else 'DONE'), rows)
    else:
        print('They agree.')
    for kind, subject in sorted(report.verdict.suspects):
        print(
            f'Suspicious, if the next comparison finds it too: {kind} of '
            f'{subject}.'
        )
    if not dry:
        parts.syncer.drain()
        parts.writer.drain()
    return 0


def _test_webhook(conf: cfg.ConfigOpts) -> int:
    from cinder_virtdc.alarms import reports
    from cinder_virtdc.listener import telling
    from virtdc_agent.contract.alarms import Alarm
    from virtdc_agent.contract.alarms import AlarmChange
    from virtdc_agent.contract.alarms import Severity

    parts = _parts(conf)
    hook = telling.webhook(conf, parts.clock)
    if hook is None:
        raise exceptions.ConfigInvalid(
            '[virtdc] alarm_webhook_url is not set.'
        )
    now = parts.clock.now()
    hook.send(
        reports.report_of(
            Alarm(
                kind=_TEST,
                subject=_TEST,
                severity=Severity.WARNING,
                message='This is a test.',
                raised_at=now,
                updated_at=now,
            ),
            AlarmChange.RAISED,
            volume={},
        )
    )
    print('The webhook has taken the test report.')
    return 0


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [
        max(len(row[column]) for row in [header, *rows])
        for column in range(len(header))
    ]
    for row in [header, *rows]:
        print(
            '  '.join(
                cell.ljust(width)
                for cell, width in zip(row, widths, strict=True)
            ).rstrip()
        )


if __name__ == '__main__':
    sys.exit(main())
