"""``virtdc-manage volume``: what there is, and what is to become of it."""

from __future__ import annotations

import argparse
import dataclasses
import re
import uuid

from oslo_config import cfg

from virtdc_agent.clock import SystemClock
from virtdc_agent.cmd.manage import output
from virtdc_agent.cmd.manage import submitting
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions

_COLUMNS = (
    *('volume_id', 'name', 'size', 'format', 'origin', 'attached_to'),
    *('project_id', 'updated_at'),
)
_PAGE = 500
_UNITS = {
    '': 1,
    'K': 1024,
    'M': 1024**2,
    'G': 1024**3,
    'T': 1024**4,
}
_MAX_NAME = 255


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser(
        'volume', help='volumes: what there is, and what is to become of it'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    listing = actions.add_parser('list', help='list volumes, by id')
    listing.add_argument('--limit', type=int, default=1000, metavar='N')
    output.add_format(listing)
    listing.set_defaults(run=_list)
    showing = actions.add_parser('show', help='show all of one volume')
    showing.add_argument('volume_id')
    output.add_format(showing)
    showing.set_defaults(run=_show)
    creating = actions.add_parser('create', help='make an empty volume')
    creating.add_argument('size', type=_size, help='as 10G, 512M or 1T')
    creating.add_argument('--id', help='its id (default: a new one)')
    _add_description(creating, default='')
    creating.add_argument('--volume-format', choices=[*Format])
    creating.add_argument('--provisioning', choices=[*Provisioning])
    creating.set_defaults(run=_create)
    editing = actions.add_parser(
        'edit', help='change name, description or metadata'
    )
    editing.add_argument('volume_id')
    _add_description(editing, default=None)
    editing.add_argument(
        '--no-properties',
        action='store_true',
        help='first remove all metadata; --property adds to what is left',
    )
    editing.set_defaults(run=_edit)
    resizing = actions.add_parser('resize', help='grow a volume')
    resizing.add_argument('volume_id')
    resizing.add_argument('size', type=_size, help='as 10G, 512M or 1T')
    resizing.set_defaults(run=_resize)
    deleting = actions.add_parser(
        'delete',
        help='delete a volume; it lies in the trash for [agent] trash_s',
    )
    deleting.add_argument('volume_id')
    deleting.add_argument('--yes', action='store_true', help='do not ask')
    deleting.add_argument(
        '--force',
        action='store_true',
        help='even while hosts use it; they lose their disk',
    )
    deleting.set_defaults(run=_delete)
    taking = actions.add_parser('snapshot', help='take a snapshot')
    taking.add_argument('volume_id')
    taking.add_argument('--id', help='its id (default: a new one)')
    taking.add_argument(
        '--name', dest='title', metavar='NAME', type=_text, default=''
    )
    taking.set_defaults(run=_snapshot)
    for action in (creating, editing, resizing, deleting, taking):
        submitting.add_options(action)


def confirm(question: str, *, is_sure: bool) -> None:
    """Ask before something is done that may hurt.

    :raises AgentError: the answer is not yes, or nobody can be asked.
    """
    if is_sure:
        return
    try:
        answer = input(f'{question} [y/N] ')
    except EOFError:
        answer = ''
    if answer.strip().lower() not in ('y', 'yes'):
        raise exceptions.AgentError(
            'Nothing was done. Say yes, or give --yes.'
        )


def _list(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    journal = service.open_journal(conf, SystemClock())
    rows: list[dict[str, object]] = []
    marker: str | None = None
    while len(rows) < wanted.limit:
        page = journal.get_volumes(
            marker, min(_PAGE, wanted.limit - len(rows))
        )
        rows += [row_of(volume) for volume in page.volumes]
        marker = page.next_marker
        if marker is None:
            break
    output.show_list(rows, _COLUMNS, wanted.format)
    return 0


def _show(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    journal = service.open_journal(conf, SystemClock())
    volume = journal.get_volume(wanted.volume_id)
    output.show_one(row_of(volume), wanted.format)
    return 0


def _create(conf: cfg.ConfigOpts) -> int:
    wanted = conf.category
    return submitting.submit(
        conf,
        wanted.id or str(uuid.uuid4()),
        events.CreateParameters(
            size_bytes=wanted.size,
            name=wanted.title,
            description=wanted.description,
            metadata=dict(wanted.property),
            format=Format(wanted.volume_format)
            if wanted.volume_format
            else None,
            provisioning=Provisioning(wanted.provisioning)
            if wanted.provisioning
            else None,
        ),
    )


def _edit(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    metadata: dict[str, str] | None = None
    if wanted.property or wanted.no_properties:
        journal = service.open_journal(conf, SystemClock())
        volume = journal.get_volume(wanted.volume_id)
        metadata = {} if wanted.no_properties else dict(volume.metadata)
        metadata |= dict(wanted.property)
    return submitting.submit(
        conf,
        wanted.volume_id,
        events.EditParameters(
            name=wanted.title,
            description=wanted.description,
            metadata=metadata,
        ),
    )


def _resize(conf: cfg.ConfigOpts) -> int:
    wanted = conf.category
    return submitting.submit(
        conf,
        wanted.volume_id,
        events.ExtendParameters(size_bytes=wanted.size),
    )


def _delete(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted = conf.category
    journal = service.open_journal(conf, SystemClock())
    volume = journal.get_volume(wanted.volume_id)
    used = (
        f', in use by {", ".join(volume.attached_to)},'
        if volume.attached_to
        else ''
    )
    confirm(
        f'Delete volume {volume.volume_id}'
        + (f' ({output.clean(volume.name)})' if volume.name else '')
        + f'{used} of the {volume.origin}?',
        is_sure=wanted.yes,
    )
    return submitting.submit(
        conf,
        wanted.volume_id,
        events.DeleteParameters(force=wanted.force),
    )


def _snapshot(conf: cfg.ConfigOpts) -> int:
    wanted = conf.category
    return submitting.submit(
        conf,
        wanted.volume_id,
        events.SnapshotParameters(
            snapshot_id=wanted.id or str(uuid.uuid4()), name=wanted.title
        ),
    )


def row_of(volume: Volume) -> dict[str, object]:
    """Return what is shown of a volume."""
    row = dataclasses.asdict(volume)
    for name in ('format', 'provisioning', 'origin', 'changed_by'):
        row[name] = row[name].value
    row['attached_to'] = list(volume.attached_to)
    row['size'] = output.size(volume.size_bytes)
    return row


def _add_description(
    parser: argparse.ArgumentParser, *, default: str | None
) -> None:
    # Not as "name": that is the command's own.
    parser.add_argument(
        '--name', dest='title', metavar='NAME', type=_text, default=default
    )
    parser.add_argument('--description', type=_text, default=default)
    parser.add_argument(
        '--property',
        type=_property,
        action='append',
        default=[],
        metavar='KEY=VALUE',
        help='an entry of its metadata; may be given again',
    )


def _size(text: str) -> int:
    match = re.fullmatch(r'(\d{1,19})([KMGT]?)(?:i?B)?', text)
    if match is None or not 0 < int(match[1]) <= events.MAX_SIZE_BYTES:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no size: write 10G, 512M or a number of bytes'
        )
    return min(int(match[1]) * _UNITS[match[2]], events.MAX_SIZE_BYTES)


def _text(text: str) -> str:
    if len(text) > _MAX_NAME or not all(one.isprintable() for one in text):
        raise argparse.ArgumentTypeError(
            f'must have at most {_MAX_NAME} characters, all printable'
        )
    return text


def _property(text: str) -> tuple[str, str]:
    key, separator, value = text.partition('=')
    if not separator or not key:
        raise argparse.ArgumentTypeError(f'{text!r} must be KEY=VALUE')
    return _text(key), _text(value)
