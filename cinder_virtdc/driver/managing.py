"""What lies in the data centre, taken over and given up."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
from typing import Any

from cinder import exception
from cinder.volume import volume_utils

from cinder_virtdc.driver.core import cinder_errors
from cinder_virtdc.driver.core import Core
from cinder_virtdc import exceptions
from cinder_virtdc import translate
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation


class Managing(Core):
    """What lies in the data centre, taken over and given up."""

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
        with cinder_errors(rejected=exception.VolumeIsBusy):
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
        with cinder_errors():
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
        with cinder_errors(rejected=exception.SnapshotIsBusy):
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
        with cinder_errors():
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

    with cinder_errors(rejected=invalid):
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
