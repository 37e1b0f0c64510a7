"""Where volumes lie: types, pools, and moving between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinder import context as cinder_context
from cinder import exception
from cinder import objects
from oslo_log import log as logging

from cinder_virtdc.driver.core import cinder_errors
from cinder_virtdc.driver.core import Core
from cinder_virtdc import exceptions
from cinder_virtdc import pools
from cinder_virtdc import translate
from virtdc_agent.contract.events import Operation

LOG = logging.getLogger(__name__)


class Placement(Core):
    """Where volumes lie: types, pools, and moving between them."""

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
        with cinder_errors():
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
        with cinder_errors():
            pool = pools.destination(
                host['capabilities'], self._known_capacity
            )
            if pool is None:
                return False, None
            return self._migrate(volume, pool, volume.volume_type), None

    def get_pool(self, volume: Any) -> str:
        """Return the pool of a volume whose host does not name one."""
        with cinder_errors():
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
