"""``virtdc-manage trash``: what was deleted, and can still be restored."""

from __future__ import annotations

import argparse

from oslo_config import cfg

from virtdc_agent.clock import SystemClock
from virtdc_agent.cmd.manage import output
from virtdc_agent.cmd.manage import submitting
from virtdc_agent.cmd.manage import volume
from virtdc_agent.contract import events

_COLUMNS = (
    *('volume_id', 'name', 'size', 'deleted_at', 'deleted_by', 'until'),
)
_PAGE = 500


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser(
        'trash', help='trash: what was deleted, and can still be restored'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    listing = actions.add_parser('list', help='list what lies there, by id')
    output.add_format(listing)
    listing.set_defaults(run=_list)
    restoring = actions.add_parser(
        'restore', help='bring a volume back as it was'
    )
    restoring.add_argument('volume_id')
    restoring.set_defaults(run=_restore)
    purging = actions.add_parser(
        'purge', help='remove a volume for good, before its time is up'
    )
    purging.add_argument('volume_id')
    purging.add_argument('--yes', action='store_true', help='do not ask')
    purging.set_defaults(run=_purge)
    for action in (restoring, purging):
        submitting.add_options(action)


def _list(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    journal = service.open_journal(conf, SystemClock())
    rows: list[dict[str, object]] = []
    marker: str | None = None
    while True:
        page = journal.get_trash(marker, _PAGE)
        rows += [
            {
                **volume.row_of(trashed.volume),
                'deleted_at': trashed.deleted_at,
                'deleted_by': trashed.deleted_by.user_id,
                'until': trashed.until,
                'event_id': trashed.event_id,
            }
            for trashed in page.trashed
        ]
        marker = page.next_marker
        if marker is None:
            break
    output.show_list(rows, _COLUMNS, conf.category.format)
    return 0


def _restore(conf: cfg.ConfigOpts) -> int:
    return submitting.submit(
        conf, conf.category.volume_id, events.RestoreParameters()
    )


def _purge(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    journal = service.open_journal(conf, SystemClock())
    trashed = journal.get_trashed(wanted.volume_id)
    volume.confirm(
        f'Remove volume {wanted.volume_id} for good? It cannot be restored.',
        is_sure=wanted.yes,
    )
    return submitting.submit(
        conf,
        wanted.volume_id,
        events.PurgeParameters(deleted_by=trashed.event_id),
    )
