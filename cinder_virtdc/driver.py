"""The Cinder driver: volumes of a virtualization data centre, by events."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import datetime
from typing import Any
import uuid

from cinder import context as cinder_context
from cinder import exception
from cinder.image import image_utils
from cinder import interface
from cinder import monkey_patch
from cinder import objects
from cinder.volume import configuration
from cinder.volume import driver
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_context import context as request_context
from oslo_log import log as logging

from cinder_virtdc import exceptions
from cinder_virtdc import groups
from cinder_virtdc import opts
from cinder_virtdc import pools
from cinder_virtdc import session
from cinder_virtdc import stats
from cinder_virtdc import translate
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.monitoring import tracing

LOG = logging.getLogger(__name__)

CONF = cfg.CONF
CONF.register_opts(opts.DRIVER_OPTS, group=configuration.SHARED_CONF_GROUP)

NEEDED = frozenset(
    {
        Operation.CREATE,
        Operation.DELETE,
        Operation.CONNECT,
        Operation.DISCONNECT,
    }
)
"""What a data centre must be able to do to be a backend of Cinder.

Everything else is asked of one that has declared it, and of no other.
"""


@interface.volumedriver
class VirtDCDriver(driver.VolumeDriver):
    """Has volumes made and changed by the agent of a data centre.

    Every change is an event. A method returns when its event has succeeded,
    and raises the agent's sentence when it has failed.

    Version history:

    .. code-block:: none

        1.0.0 - create, delete, extend, attach and detach volumes
        1.1.0 - snapshots, volumes from snapshots, from volumes and from
                images, revert, retype in place, several attachments
        1.2.0 - groups, and their snapshots at one instant; several pools and
                exporters, migration between pools, retype to a type of
                another pool, provider information; manage and unmanage
                volumes and snapshots

    """

    VERSION = '1.2.0'
    CI_WIKI_NAME = 'VirtDC_CI'
    # The agent keeps the order of what happens to one volume, whichever
    # process asks for it; nothing is locked here.
    SUPPORTS_ACTIVE_ACTIVE = True

    def __init__(
        self,
        *args: Any,
        connect: Callable[
            [cfg.ConfigOpts, session.Settings], session.Session
        ] = session.connect,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(opts.DRIVER_OPTS)
        # Not before do_setup: this process may fork in between.
        self._connect = connect
        self._session: session.Session | None = None
        self._capacity: events.Capacity | None = None
        self._is_down = False
        self._to_be_filled: set[str] = set()

    @staticmethod
    def get_driver_options() -> list[cfg.Opt]:
        """Return the options of a section that uses this driver."""
        return list(opts.DRIVER_OPTS)

    def do_setup(self, context: Any) -> None:
        """Open the session; repeated by Cinder after a failed start."""
        if self._session is not None:
            self._session.close()
            self._session = None
        with _cinder_errors():
            self._session = self._connect(CONF, self._settings())

    def check_for_setup_error(self) -> None:
        """Refuse to start without an agent that can do what is needed."""
        with _cinder_errors():
            capacity = self._open_session.client.await_agent()
        missing = NEEDED - capacity.operations
        if missing:
            raise exception.VolumeBackendAPIException(
                message=f'The storage {capacity.backend} of agent '
                f'{capacity.agent} cannot {", ".join(sorted(missing))}: '
                'configure another backend at the agent.'
            )
        self._capacity = capacity
        if Operation.EDIT in capacity.operations:
            # It says of each volume which side has changed it.
            with _cinder_errors():
                self._open_session.growth.learn(
                    self._open_session.client.get_volumes()
                )
        LOG.info(
            'Agent %s answers: storage %s, exported by %s.',
            capacity.agent,
            capacity.backend,
            capacity.exporter,
        )

    def _update_volume_stats(self) -> None:
        """Ask how much room there is; none while nobody answers."""
        self._stats = {
            **self._current_stats(),
            'volume_backend_name': self._backend_name,
            'vendor_name': 'VirtDC',
            'driver_version': self.VERSION,
            'filter_function': self.get_filter_function(),
            'goodness_function': self.get_goodness_function(),
        }

    def create_volume(self, volume: Any) -> None:
        """Have a volume made; return when it is there."""
        to_be_filled = volume.id in self._to_be_filled
        self._to_be_filled.discard(volume.id)
        with _cinder_errors():
            self._run(
                volume,
                translate.create_parameters(
                    volume,
                    pool=self._pool_of(volume.host),
                    to_be_filled=to_be_filled,
                ),
            )

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        """Have a volume made that begins as a snapshot; it may be larger."""
        self._clone(volume, snapshot.volume, translate.kept_id(snapshot))

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> None:
        """Have a volume made that begins as another; it may be larger."""
        self._clone(volume, src_vref)

    def clone_image(
        self,
        context: Any,
        volume: Any,
        image_location: Any,
        image_meta: Any,
        image_service: Any,
    ) -> tuple[dict[str, Any] | None, bool]:
        """Have a volume made of an image that the data centre can read.

        Otherwise Cinder copies it, from its cache if it can. If Cinder dies
        before that is done, the volume that the data centre made is not yet
        what its owner asked for, and that is remembered there.
        """
        with _cinder_errors(rejected=_unacceptable(image_meta)):
            url = translate.url_of_image(
                image_location, image_meta, self._known_capacity.image_urls
            )
            if url is None:
                self._to_be_filled.add(volume.id)
                return None, False
            self._run(
                volume,
                translate.import_parameters(
                    *(volume, url, image_meta),
                    pool=self._pool_of(volume.host),
                ),
            )
        return {}, True

    def copy_image_to_volume(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_id: str,
        disable_sparse: bool = False,
    ) -> None:
        """Have Cinder write an image into a volume, as the volume is stored.

        The generic driver would write any as if it were raw.
        """
        with self._attached(context, volume) as (path, kind):
            image_utils.fetch_to_volume_format(
                context,
                image_service,
                image_id,
                path,
                kind.value,
                self.configuration.volume_dd_blocksize,
                size=volume.size,
                disable_sparse=disable_sparse,
            )
            if kind is not Format.RAW:
                # It is a new image now, of the size of what is in it.
                image_utils.resize_image(
                    path, volume.size, run_as_root=True, file_format=kind.value
                )

    def copy_volume_to_image(
        self, context: Any, volume: Any, image_service: Any, image_meta: Any
    ) -> None:
        """Have Cinder make an image of a volume, as the volume is stored."""
        with self._attached(context, volume) as (path, kind):
            volume_utils.upload_volume(
                context,
                image_service,
                image_meta,
                path,
                volume,
                volume_format=kind.value,
            )

    def create_volume_from_backup(self, volume: Any, backup: Any) -> None:
        """Leave it to Cinder to restore, and remember that it will."""
        self._to_be_filled.add(volume.id)
        super().create_volume_from_backup(volume, backup)

    def delete_volume(self, volume: Any) -> None:
        """Have a volume removed; one that is gone counts as removed."""
        if volume.status == 'creating' and volume.host is None:
            # Cinder cleans up after a create that failed, while it sends
            # the volume to be scheduled again. A failed create leaves
            # nothing; an event now could meet, and undo, the next create,
            # and would hide from the user why the first one failed.
            LOG.debug('Nothing is left of the failed create: %s', volume.id)
            return
        with _cinder_errors(rejected=exception.VolumeIsBusy):
            self._run(volume, events.DeleteParameters())

    def extend_volume(self, volume: Any, new_size: int) -> None:
        """Have a volume grown to ``new_size`` GiB.

        What the data centre has grown itself has what is asked for, or more,
        and needs no event: Cinder follows it, or will. It may also do so
        while the event waits.
        """
        wanted = events.ExtendParameters(size_bytes=new_size * translate.GIB)
        with _cinder_errors(failed=exception.ExtendVolumeError):
            if self._has(volume, wanted):
                return
            try:
                self._run(volume, wanted)
            except exceptions.OperationFailed as exc:
                if not exc.is_rejected or not self._has(volume, wanted):
                    raise

    def _has(self, volume: Any, wanted: events.ExtendParameters) -> bool:
        """Say whether the data centre has grown a volume to a size or more."""
        try:
            if Operation.EDIT not in self._known_capacity.operations:
                return False  # It does not say who changed what.
            platform = self._open_session.client.get_volume(volume.name_id)
        except exceptions.AgentUnreachable:
            return False  # An event is asked for longer.
        return (
            platform is not None
            and platform.changed_by is events.Origin.PLATFORM
            and platform.size_bytes >= wanted.size_bytes
        )

    def create_snapshot(self, snapshot: Any) -> None:
        """Have a volume kept as it is now."""
        with _cinder_errors():
            self._run(
                snapshot.volume,
                translate.snapshot_parameters(snapshot),
                owner=snapshot,
            )

    def delete_snapshot(self, snapshot: Any) -> None:
        """Have a snapshot removed; one that is gone counts as removed."""
        with _cinder_errors(rejected=exception.SnapshotIsBusy):
            self._run(
                snapshot.volume,
                events.DeleteSnapshotParameters(
                    snapshot_id=translate.kept_id(snapshot)
                ),
                owner=snapshot,
            )

    def create_group(self, context: Any, group: Any) -> dict[str, str]:
        """Agree: a group is known to Cinder alone."""
        return {'status': 'available'}

    def update_group(
        self,
        context: Any,
        group: Any,
        add_volumes: Any = None,
        remove_volumes: Any = None,
    ) -> tuple[None, None, None]:
        """Agree: any volumes may be in a group."""
        return None, None, None

    def delete_group(
        self, context: Any, group: Any, volumes: Any
    ) -> groups.Updates:
        """Have all volumes of a group removed, each by its own event."""
        if group.source_group_id:
            # Cinder may have died while it copied that one into this one.
            self._drop_kept(
                group,
                objects.VolumeList.get_all_by_generic_group(
                    context, group.source_group_id
                ),
            )
        return groups.do_each(
            volumes,
            self.delete_volume,
            done='deleted',
            failed='error_deleting',
            expected=exception.CinderException,
        )

    def create_group_snapshot(
        self, context: Any, group_snapshot: Any, snapshots: Any
    ) -> groups.Updates:
        """Have all volumes of a group kept as they are at one instant.

        If the type of the group does not ask for that, Cinder has them kept
        one after the other.
        """
        if not volume_utils.is_group_a_cg_snapshot_type(group_snapshot):
            raise NotImplementedError
        self._snapshot_group(
            [(one.volume, one.id) for one in snapshots],
            owner=group_snapshot,
            name=group_snapshot.name,
            description=group_snapshot.description,
        )
        return groups.all_available(snapshots)

    def delete_group_snapshot(
        self, context: Any, group_snapshot: Any, snapshots: Any
    ) -> groups.Updates:
        """Have all snapshots of a group removed, each by its own event."""
        return groups.do_each(
            snapshots,
            self.delete_snapshot,
            done='deleted',
            failed='error_deleting',
            expected=exception.CinderException,
        )

    def create_group_from_src(
        self,
        context: Any,
        group: Any,
        volumes: Any,
        group_snapshot: Any = None,
        snapshots: Any = None,
        source_group: Any = None,
        source_vols: Any = None,
    ) -> groups.Updates:
        """Have a group made from another, or from a snapshot of one.

        Each volume is an event of its own: what they are copied from does
        not change meanwhile. Of a group whose type asks for it, snapshots
        are taken at one instant first, and removed in the end.
        """
        if snapshots:
            sources = [(one.volume, one.id) for one in snapshots]
            self._clone_each(volumes, sources)
        elif not volume_utils.is_group_a_cg_snapshot_type(group):
            self._clone_each(volumes, [(one, None) for one in source_vols])
        else:
            kept = [
                (one, groups.kept_id(group.id, one.id)) for one in source_vols
            ]
            try:
                self._snapshot_group(
                    kept,
                    owner=group,
                    name=groups.KEPT_NAME,
                    description=group.id,
                )
                self._clone_each(volumes, kept)
            finally:
                self._drop_kept(group, source_vols)
        return groups.all_available(volumes)

    def revert_to_snapshot(
        self, context: Any, volume: Any, snapshot: Any
    ) -> None:
        """Have a volume read as a snapshot of it; it keeps its size."""
        with _cinder_errors():
            self._run(
                volume,
                events.RevertParameters(
                    snapshot_id=translate.kept_id(snapshot)
                ),
            )

    def snapshot_revert_use_temp_snapshot(self) -> bool:
        """Need none: a revert that fails leaves the volume as it was."""
        return False

    def retype(
        self,
        context: Any,
        volume: Any,
        new_type: Any,
        diff: Any,
        host: Any,
    ) -> tuple[bool, None]:
        """Agree if the data centre has nothing to do, or can do it.

        It can if only the pool is to be another. Else Cinder copies.
        """
        with _cinder_errors():
            pool, target = (
                self._pool_of(one) for one in (volume.host, host['host'])
            )
            if target != pool and target is not None:
                return self._migrate(volume, target, new_type), None
            storage = pools.storage_of(self._known_capacity, pool)
            return (
                translate.is_met(new_type, volume.volume_type, storage),
                None,
            )

    def migrate_volume(
        self, context: Any, volume: Any, host: Mapping[str, Any]
    ) -> tuple[bool, dict[str, Any] | None]:
        """Have a volume moved to another pool of the same data centre.

        Otherwise Cinder copies it.
        """
        with _cinder_errors():
            pool = pools.destination(
                host['capabilities'], self._known_capacity
            )
            if pool is None:
                return False, None
            return self._migrate(volume, pool, volume.volume_type), None

    def get_pool(self, volume: Any) -> str:
        """Return the pool of a volume whose host does not name one."""
        with _cinder_errors():
            # Such hosts are from before there were pools, and so the volume
            # is where the agent keeps those.
            named = pools.named(self._known_capacity)
            return named[0].name if named else self._backend_name

    def update_provider_info(
        self, volumes: Any, snapshots: Any
    ) -> tuple[list[dict[str, Any]] | None, None]:
        """Tell Cinder at its start what its volumes are in the data centre.

        That is the name of their data, as the provider's id. Says also which
        are not there, or lie in another pool than Cinder believes. The list
        is read page by page, and a data centre that does not answer does not
        keep Cinder from starting.
        """
        wanted = {volume.name_id: volume for volume in volumes}
        if not wanted:
            return None, None
        try:
            there = {
                found.volume_id: found.pool
                for found in self._open_session.client.get_volumes()
                if found.volume_id in wanted
            }
            capacity = self._known_capacity
        except exceptions.VirtDCError as exc:
            LOG.warning('Volumes are not compared at this start: %s', exc)
            return None, None
        for name_id, volume in wanted.items():
            problem = pools.problem_of(volume, there.get(name_id), capacity)
            if problem:
                LOG.warning('Volume %s: %s', volume.id, problem)
        return [
            {'id': volume.id, 'provider_id': name_id}
            for name_id, volume in wanted.items()
            if name_id in there and volume.provider_id != name_id
        ], None

    def update_migrated_volume(
        self,
        context: Any,
        volume: Any,
        new_volume: Any,
        original_volume_status: str,
    ) -> dict[str, Any]:
        """Let a volume be known from now on by the name of its new data."""
        return {
            '_name_id': new_volume.name_id,
            'provider_location': new_volume.provider_location,
        }

    def manage_existing_get_size(
        self, volume: Any, existing_ref: Mapping[str, str]
    ) -> int:
        """Return the size that a volume will have, in whole GiB."""
        with _manage_errors(existing_ref):
            found = self._manageable(volume, existing_ref)
            return translate.whole_gib(found.size_bytes)

    def manage_existing(
        self, volume: Any, existing_ref: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Have a volume made of what is in the pool; its bytes stay.

        What the data centre has made as a volume keeps its name there.
        """
        with _manage_errors(existing_ref):
            found = self._manageable(volume, existing_ref)
            if translate.is_own(found):
                name_id = translate.own_id(found)
                self._run(
                    volume,
                    translate.own_parameters(
                        volume,
                        found,
                        instead_of=translate.instead_of(existing_ref),
                    ),
                    name_id=name_id,
                )
                return {'_name_id': name_id}
            self._run(
                volume,
                translate.manage_parameters(
                    volume, found, pool=self._pool_of(volume.host)
                ),
            )
            return None

    def unmanage(self, volume: Any) -> None:
        """Have a volume given up; its bytes stay, to be managed again."""
        with _cinder_errors(rejected=exception.VolumeIsBusy):
            self._run(volume, events.UnmanageParameters())

    def get_manageable_volumes(
        self,
        cinder_volumes: Iterable[Any],
        marker: Any,
        limit: int,
        offset: int | None,
        sort_keys: list[str],
        sort_dirs: list[str],
    ) -> list[dict[str, Any]]:
        """List what is in the pool; none if it cannot be managed there."""
        known = {volume.name_id: volume.id for volume in cinder_volumes}
        with _cinder_errors():
            if not self._is_offered(Operation.MANAGE):
                return []
            found = [
                translate.manageable_volume(one, known)
                for pool in self._pools_with(Operation.MANAGE)
                for one in self._open_session.client.list_manageable(pool)
            ]
        return _page(found, marker, limit, offset, sort_keys, sort_dirs)

    def manage_existing_snapshot_get_size(
        self, snapshot: Any, existing_ref: Mapping[str, str]
    ) -> int:
        """Return the size that a snapshot will have, in whole GiB."""
        with _manage_errors(existing_ref):
            found = self._manageable_snapshot(snapshot, existing_ref)
            return translate.whole_gib(found.size_bytes)

    def manage_existing_snapshot(
        self, snapshot: Any, existing_ref: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Have a snapshot again that was given up, or one made there."""
        with _manage_errors(existing_ref):
            found = self._manageable_snapshot(snapshot, existing_ref)
            if translate.is_own(found, as_snapshot=True):
                self._run(
                    snapshot.volume,
                    translate.own_snapshot_parameters(
                        snapshot,
                        found,
                        instead_of=translate.instead_of(existing_ref),
                    ),
                    owner=snapshot,
                )
                return {'provider_id': found.snapshot_id}
            self._run(
                snapshot.volume,
                translate.manage_snapshot_parameters(snapshot, found),
                owner=snapshot,
            )
            return None

    def unmanage_snapshot(self, snapshot: Any) -> None:
        """Have a snapshot given up; its bytes stay, to be managed again."""
        with _cinder_errors(rejected=exception.SnapshotIsBusy):
            self._run(
                snapshot.volume,
                events.UnmanageSnapshotParameters(
                    snapshot_id=translate.kept_id(snapshot)
                ),
                owner=snapshot,
            )

    def get_manageable_snapshots(
        self,
        cinder_snapshots: Iterable[Any],
        marker: Any,
        limit: int,
        offset: int | None,
        sort_keys: list[str],
        sort_dirs: list[str],
    ) -> list[dict[str, Any]]:
        """List what is or was a snapshot in the pool."""
        known = {
            translate.kept_id(snapshot): snapshot.id
            for snapshot in cinder_snapshots
        }
        with _cinder_errors():
            if not self._is_offered(Operation.MANAGE_SNAPSHOT):
                return []
            found = [
                translate.manageable_snapshot(one, known)
                for pool in self._pools_with(Operation.MANAGE_SNAPSHOT)
                for one in (
                    self._open_session.client.list_manageable_snapshots(pool)
                )
            ]
        return _page(found, marker, limit, offset, sort_keys, sort_dirs)

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Do nothing: the agent remembers its attachments."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """Do nothing: a volume is exported to a host as it connects."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """Do nothing: see ``terminate_connection``."""

    def initialize_connection(
        self, volume: Any, connector: Mapping[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        """Let a host reach a volume; return how."""
        with _cinder_errors():
            parameters = translate.connect_parameters(
                connector,
                exporter=translate.exporter_of(
                    volume.volume_type, self._known_capacity
                ),
            )
            self._run(volume, parameters)
            connection = self._open_session.client.get_connection(
                volume.name_id, parameters.host
            )
        if translate.format_of(
            connection
        ) is not Format.RAW and translate.is_copied_byte_by_byte(volume):
            self.terminate_connection(volume, connector)
            raise exception.VolumeBackendAPIException(
                message=f'Volume {volume.id} is a '
                f'{translate.format_of(connection)} image. Cinder backs up '
                'and migrates only raw volumes: make a copy of it whose '
                'type asks for raw, and take that.'
            )
        if connection.get('driver_volume_type') == 'nfs':
            # os-brick, when Cinder itself copies, looks for it here.
            connection['mount_point_base'] = (
                self.configuration.virtdc_mount_point_base
            )
        return connection

    def terminate_connection(
        self,
        volume: Any,
        connector: Mapping[str, Any] | None,
        **kwargs: Any,
    ) -> bool:
        """Let a host no longer reach a volume; without one, no host.

        :returns: whether the host uses the volume otherwise, and so keeps it.
        """
        with _cinder_errors():
            host = translate.host_of(connector) if connector else None
            if connector and translate.is_shared(
                volume.volume_attachment, connector
            ):
                return True
            self._run(volume, events.DisconnectParameters(host=host))
        return False

    @property
    def _open_session(self) -> session.Session:
        if self._session is None:
            raise exceptions.AgentUnreachable(
                'The driver is not set up: see the log of cinder-volume.'
            )
        return self._session

    def _settings(self) -> session.Settings:
        url = self.configuration.virtdc_transport_url
        if not url:
            raise exceptions.ConfigInvalid(
                'virtdc_transport_url is not set: name the message bus of '
                'the data centre, as rabbit://user:password@host:5672/virtdc.'
            )
        eventlet = monkey_patch.is_patched()
        return session.Settings(
            transport_url=url,
            topic=self.configuration.virtdc_topic,
            notification_topic=self.configuration.virtdc_notification_topic,
            submit_timeout_s=self.configuration.virtdc_submit_timeout_s,
            rpc_timeout_s=self.configuration.virtdc_rpc_timeout_s,
            operation_timeout_s=self.configuration.virtdc_operation_timeout_s,
            poll_interval_s=self.configuration.virtdc_poll_interval_s,
            # The same after a restart: the queue would be left behind.
            pool=f'virtdc-driver.{self.host}',
            executor='eventlet' if eventlet else 'threading',
            key_file=self.configuration.virtdc_key_file,
            accept_unsigned=self.configuration.virtdc_accept_unsigned,
        )

    @property
    def _backend_name(self) -> str:
        return self.configuration.safe_get('volume_backend_name') or 'VirtDC'

    def _pool_of(self, host: str | None) -> str | None:
        """Return the pool that a host names; ``None``: none of a name.

        Before the answer is no, the agent is asked once more.
        """
        try:
            return pools.choose(host, self._known_capacity, self._backend_name)
        except exceptions.InvalidRequest:
            self._capacity = self._open_session.client.get_capacity()
            return pools.choose(host, self._capacity, self._backend_name)

    def _migrate(self, volume: Any, pool: str, wanted: Any) -> bool:
        """Have a volume moved, if the data centre can do that."""
        parameters = translate.migrate_parameters(
            pool, wanted, volume.volume_type
        )
        if (
            parameters is None
            or Operation.MIGRATE not in self._known_capacity.operations
        ):
            return False
        self._run(volume, parameters)
        return True

    @property
    def _known_capacity(self) -> events.Capacity:
        if self._capacity is None:
            self._capacity = self._open_session.client.get_capacity()
        return self._capacity

    @contextlib.contextmanager
    def _attached(
        self, context: Any, volume: Any
    ) -> Iterator[tuple[str, Format]]:
        """Attach a volume to this host, as Cinder does to copy images.

        Yields the path, and how the bytes lie there.
        """
        properties = volume_utils.brick_get_connector_properties(
            self.configuration.use_multipath_for_image_xfer,
            self.configuration.enforce_multipath_for_image_xfer,
        )
        info, volume = self._attach_volume(context, volume, properties)
        try:
            yield info['device']['path'], translate.format_of(info['conn'])
        finally:
            self._detach_volume(context, info, volume, properties, force=True)

    def _clone(
        self, volume: Any, source: Any, snapshot_id: str | None = None
    ) -> None:
        """Have a volume made that begins as another, or as a snapshot of it.

        Cinder makes the copy of what is bootable bootable, afterwards.
        """
        is_from_image = volume.id in self._to_be_filled
        with _cinder_errors():
            self._run(
                volume,
                translate.clone_parameters(
                    volume,
                    source.name_id,
                    snapshot_id=snapshot_id,
                    pool=self._pool_of(volume.host),
                    to_be_filled=is_from_image or bool(source.bootable),
                ),
            )
        # Not before: if its cache fails, Cinder copies the image itself.
        self._to_be_filled.discard(volume.id)

    def _clone_each(
        self, volumes: Any, sources: Sequence[tuple[Any, str | None]]
    ) -> None:
        """Copy each source; if one cannot be copied, no copy is left.

        Cinder takes all for made unless an error is raised.
        """
        made = []
        try:
            for volume, (source, snapshot_id) in zip(
                volumes, sources, strict=True
            ):
                self._clone(volume, source, snapshot_id)
                made.append(volume)
        except exception.CinderException:
            groups.do_each(
                made,
                self.delete_volume,
                done='deleted',
                failed='error',
                expected=exception.CinderException,
            )
            raise

    def _snapshot_group(
        self,
        snapshots: Sequence[tuple[Any, str]],
        *,
        owner: Any,
        name: str | None,
        description: str | None,
    ) -> None:
        with _cinder_errors():
            self._run(
                snapshots[0][0],
                translate.snapshot_group_parameters(
                    {one.name_id: kept for one, kept in snapshots},
                    name=name,
                    description=description,
                ),
                owner=owner,
            )

    def _drop_kept(self, group: Any, sources: Any) -> None:
        """Remove what a group was copied from, as far as it is there."""

        def drop(source: Any) -> None:
            with _cinder_errors():
                self._run(
                    source,
                    events.DeleteSnapshotParameters(
                        snapshot_id=groups.kept_id(group.id, source.id)
                    ),
                    owner=group,
                )

        groups.do_each(
            sources,
            drop,
            done='deleted',
            failed='error',
            expected=exception.CinderException,
        )

    def _run(
        self,
        volume: Any,
        parameters: events.Parameters,
        owner: Any = None,
        name_id: str | None = None,
    ) -> None:
        context = request_context.get_current()
        operation = events.operation_of(parameters)
        self._check_offered(operation)
        with tracing.beneath_cinder(f'virtdc {operation}') as trace:
            event = translate.event(
                volume,
                parameters,
                event_id=str(uuid.uuid4()),
                now=datetime.datetime.now(datetime.UTC),
                request_id=context.request_id if context else '',
                owner=owner,
                name_id=name_id,
                trace=trace,
            )
            self._open_session.runner.run(event)

    def _pools_with(self, operation: Operation) -> list[str | None]:
        """Return the pools whose storage can do something."""
        return [
            pool.name or None
            for pool in self._known_capacity.pools
            if operation in pool.operations
        ] or [None]

    def _manageable(
        self, volume: Any, existing_ref: Mapping[str, str]
    ) -> events.Manageable:
        self._check_offered(Operation.MANAGE)
        reference = translate.reference_of(existing_ref)
        return translate.check_manageable(
            self._open_session.client.find_manageable(
                reference, self._pool_of(volume.host)
            ),
            reference,
            instead_of=translate.instead_of(existing_ref),
            volume_type=volume.volume_type,
        )

    def _manageable_snapshot(
        self, snapshot: Any, existing_ref: Mapping[str, str]
    ) -> events.Manageable:
        self._check_offered(Operation.MANAGE_SNAPSHOT)
        reference = translate.reference_of(existing_ref)
        client = self._open_session.client
        return translate.check_manageable(
            client.find_manageable_snapshot(
                reference, self._pool_of(snapshot.volume.host)
            ),
            reference,
            instead_of=translate.instead_of(existing_ref),
            as_snapshot=True,
        )

    def _check_offered(self, operation: Operation) -> None:
        """Refuse what the data centre has not declared."""
        if not self._is_offered(operation):
            translate.check_offered(operation, self._known_capacity)

    def _is_offered(self, operation: Operation) -> bool:
        """Say whether the data centre has declared that it can do something.

        An older agent would call it malformed. Before the answer is no, the
        agent is asked once more: it may have been upgraded since.
        """
        if operation in NEEDED or operation in self._known_capacity.operations:
            return True
        self._capacity = self._open_session.client.get_capacity()
        return operation in self._capacity.operations

    def _current_stats(self) -> dict[str, Any]:
        try:
            # As long as an operation would try: a bus that blinks is not an
            # agent that is down, and Cinder asks again only in a minute.
            capacity = self._open_session.client.await_agent()
        except exceptions.VirtDCError as exc:
            if not self._is_down:
                LOG.warning('Nothing is scheduled to %s: %s', self.host, exc)
            self._is_down = True
            return stats.stats_when_down(self._capacity)
        if self._is_down:
            LOG.info('Agent %s answers again.', capacity.agent)
        self._is_down = False
        self._capacity = capacity
        pending = self._open_session.growth.pending(self._size_in_cinder)
        return stats.without(
            stats.stats(capacity),
            provisioned_bytes=pending.provisioned_bytes,
            taken_bytes=pending.taken_bytes,
        )

    def _size_in_cinder(self, volume_id: str) -> int | None:
        """Return what Cinder says that a volume has, in GiB."""
        try:
            volume = objects.Volume.get_by_id(
                cinder_context.get_admin_context(), volume_id
            )
        except exception.VolumeNotFound:
            return None
        size: int = volume.size
        return size

    def _init_vendor_properties(self) -> tuple[dict[str, Any], str]:
        """Describe the extra specs that a volume type may have."""
        properties: dict[str, Any] = {}
        for name, title, kind in (
            (translate.FORMAT_SPEC, 'Format', Format),
            (translate.PROVISIONING_SPEC, 'Provisioning', Provisioning),
        ):
            self._set_property(
                properties,
                name,
                title,
                f'{title} of the volume in the data centre.',
                'string',
                enum=[member.value for member in kind],
            )
        self._set_property(
            properties,
            translate.EXPORTER_SPEC,
            'Exporter',
            'How hosts reach the volume: an exporter of the data centre.',
            'string',
            **translate.exporter_choices(self._capacity),
        )
        return properties, 'virtdc'


def _unacceptable(image: Mapping[str, Any]) -> Callable[..., Exception]:
    def error(message: str) -> Exception:
        unacceptable: Exception = exception.ImageUnacceptable(
            image_id=image.get('id'), reason=message
        )
        return unacceptable

    return error


def _page(entries: list[dict[str, Any]], *how: Any) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = volume_utils.paginate_entries_list(
        entries, *how
    )
    return page


@contextlib.contextmanager
def _manage_errors(existing_ref: Any) -> Iterator[None]:
    """Raise in Cinder's words why something is not managed."""

    def invalid(message: str) -> Exception:
        error: Exception = exception.ManageExistingInvalidReference(
            existing_ref=existing_ref, reason=message
        )
        return error

    with _cinder_errors(rejected=invalid):
        try:
            yield
        except exceptions.AlreadyManaged as exc:
            raise exception.ManageExistingAlreadyManaged(
                volume_ref=str(exc)
            ) from exc
        except exceptions.OtherThanAsked as exc:
            raise exception.ManageExistingVolumeTypeMismatch(
                reason=str(exc)
            ) from exc
        except exceptions.NotManageable as exc:
            raise invalid(str(exc)) from exc


@contextlib.contextmanager
def _cinder_errors(
    *,
    failed: Callable[..., Exception] = exception.VolumeBackendAPIException,
    rejected: Callable[..., Exception] | None = None,
) -> Iterator[None]:
    """Raise in Cinder's words what goes wrong, with our sentence.

    :param failed: for all errors but those of the configuration.
    :param rejected: for an event that was refused and changed nothing.
    """
    try:
        yield
    except exceptions.ConfigInvalid as exc:
        raise exception.VolumeDriverException(message=str(exc)) from exc
    except exceptions.OperationFailed as exc:
        kind = rejected if rejected and exc.is_rejected else failed
        raise kind(message=str(exc)) from exc
    except exceptions.VirtDCError as exc:
        raise failed(message=str(exc)) from exc
