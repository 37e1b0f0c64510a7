"""What a Cinder driver may offer, and what tells whether this one does.

Nothing here says that a feature is there: that is asked of the driver's
source, and of the backends and exporters that are installed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
from importlib import metadata
from pathlib import Path
from typing import Any

from virtdc_agent.contract.events import Operation
from virtdc_agent.interfaces import Backend

DRIVER = sorted(
    (Path(__file__).parents[2] / 'cinder_virtdc' / 'driver').glob('*.py')
)
YES, NO = '✔', '–'


@dataclasses.dataclass(frozen=True, slots=True)
class Feature:
    """One row.

    :param methods: of the driver, all of which it takes.
    :param operations: of a backend, all of which it takes.
    :param note: who does it, and what to know of it.
    """

    title: str
    methods: tuple[str, ...] = ()
    operations: tuple[Operation, ...] = ()
    note: str = ''


CONNECTED = (Operation.CONNECT, Operation.DISCONNECT)
BY_AGENT = frozenset(CONNECTED)
"""What the agent has for any backend: see ``executor.handlers``."""
COPIED_BY_CINDER = 'Cinder copies, over a connection as a host has it.'

FEATURES: Sequence[Feature] = (
    Feature(
        'Create and delete volumes',
        ('create_volume', 'delete_volume'),
        (Operation.CREATE, Operation.DELETE),
    ),
    Feature(
        'Extend volumes',
        ('extend_volume',),
        (Operation.EXTEND,),
        'Attached ones as the exporter and the format permit.',
    ),
    Feature(
        'Attach and detach, force detach, several attachments',
        (
            *('initialize_connection', 'terminate_connection'),
            *('ensure_export', 'create_export', 'remove_export'),
        ),
        CONNECTED,
        'Several attachments of raw volumes only. That a volume is attached '
        'for reading only is kept by the hypervisor.',
    ),
    Feature(
        'Create and delete snapshots',
        ('create_snapshot', 'delete_snapshot'),
        (Operation.SNAPSHOT, Operation.DELETE_SNAPSHOT),
    ),
    Feature(
        'Volumes from snapshots and from volumes, larger too',
        ('create_volume_from_snapshot', 'create_cloned_volume'),
        (Operation.CLONE,),
        'Independent of what they are made from.',
    ),
    Feature(
        'Revert to a snapshot',
        ('revert_to_snapshot', 'snapshot_revert_use_temp_snapshot'),
        (Operation.REVERT,),
    ),
    Feature(
        'Volumes of images',
        ('clone_image', 'copy_image_to_volume'),
        (Operation.IMPORT,),
        'Where the agent can read the image; else Cinder copies.',
    ),
    Feature(
        'Images of volumes',
        ('copy_volume_to_image',),
        CONNECTED,
        COPIED_BY_CINDER,
    ),
    Feature(
        'Backup and restore',
        ('create_volume_from_backup',),
        CONNECTED,
        f'{COPIED_BY_CINDER} Raw volumes alone.',
    ),
    Feature(
        'Deleted volumes removed from the trash for good',
        (),
        (Operation.PURGE,),
        'In the data centre; not asked for by Cinder.',
    ),
    Feature('Encrypted volumes', (), CONNECTED, 'Encrypted by the host.'),
    Feature('Transfer of volumes', (), (), 'In Cinder alone.'),
    Feature(
        'Retype',
        ('retype',),
        (),
        'In place if nothing has to be done; to another pool by the agent; '
        'else Cinder migrates.',
    ),
    Feature(
        'Migration by the host',
        ('update_migrated_volume',),
        CONNECTED,
        COPIED_BY_CINDER,
    ),
    Feature(
        'Migration by the storage',
        ('migrate_volume',),
        (Operation.MIGRATE,),
        'Between the pools of one data centre; else Cinder copies.',
    ),
    Feature(
        'Several pools, each with its room and abilities',
        ('get_pool',),
        (),
        'The agent has them; each may have another backend.',
    ),
    Feature('Provider information at the start', ('update_provider_info',)),
    Feature(
        'Manage and unmanage volumes, with a list of the manageable',
        (
            *('manage_existing', 'manage_existing_get_size', 'unmanage'),
            'get_manageable_volumes',
        ),
        (Operation.MANAGE, Operation.UNMANAGE),
    ),
    Feature(
        'Manage and unmanage snapshots, with a list of the manageable',
        (
            *('manage_existing_snapshot', 'manage_existing_snapshot_get_size'),
            *('unmanage_snapshot', 'get_manageable_snapshots'),
        ),
        (Operation.MANAGE_SNAPSHOT, Operation.UNMANAGE_SNAPSHOT),
        'Those that were snapshots of the volume before.',
    ),
    Feature(
        'Groups of volumes',
        (
            *('create_group', 'update_group', 'delete_group'),
            *('create_group_from_src', 'delete_group_snapshot'),
        ),
        (Operation.CREATE, Operation.DELETE),
    ),
    Feature(
        'Snapshots of a group at one instant',
        ('create_group_snapshot',),
        (Operation.SNAPSHOT_GROUP,),
        'While no volume of it is attached.',
    ),
    Feature(
        'Edits in the data centre reach the cloud',
        (),
        (Operation.EDIT,),
        'By the listener.',
    ),
    Feature(
        'Deleted volumes can be restored in the data centre',
        (),
        (Operation.RESTORE, Operation.PURGE),
    ),
    Feature(
        'Options and capabilities that can be asked for',
        ('get_driver_options',),
    ),
    Feature(
        'Replication',
        ('failover_host', 'failover', 'failover_completed'),
        (),
        'See :doc:`/contributor/replication`.',
    ),
)

NO_FEATURES = frozenset({'do_setup', 'check_for_setup_error'})
"""Methods that Cinder calls of any driver, whatever it offers."""


class Undocumented(Exception):
    """Something is offered, or named, that the other side does not know."""


def driver_source() -> str:
    """Return the text of all the driver's modules."""
    return '\n'.join(path.read_text(encoding='utf-8') for path in DRIVER)


def driver_methods(source: str) -> frozenset[str]:
    """Return the public methods that a driver's source defines."""
    return frozenset(
        item.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef)
        for item in node.body
        if isinstance(item, ast.FunctionDef) and not item.name.startswith('_')
    )


def check(
    methods: Iterable[str], features: Sequence[Feature] = FEATURES
) -> None:
    """Refuse what is in no row.

    :raises Undocumented: names it.
    """
    named = {name for one in features for name in one.methods}
    missing = set(methods) - named - NO_FEATURES
    covered = {name for one in features for name in one.operations}
    missing |= {str(name) for name in set(Operation) - covered}
    if missing:
        raise Undocumented(
            f'The support matrix has no row for {", ".join(sorted(missing))}: '
            'add one in doc/ext/features.py.'
        )


def plugins(group: str) -> dict[str, Any]:
    """Return the installed plugins of a group, by name."""
    found = metadata.entry_points(group=f'virtdc_agent.{group}')
    return {one.name: one.load() for one in sorted(found)}


def is_offered(
    feature: Feature, methods: Iterable[str], backend: type[Backend]
) -> bool:
    """Say whether the driver and a backend have what a feature takes."""
    declared: frozenset[Operation] = backend.operations
    return set(feature.methods) <= set(methods) and (
        set(feature.operations) <= declared | BY_AGENT
    )
