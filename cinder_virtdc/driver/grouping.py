"""Groups of volumes, and their snapshots of one instant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cinder import exception
from cinder import objects
from cinder.volume import volume_utils

from cinder_virtdc.driver.core import cinder_errors
from cinder_virtdc.driver.core import Core
from cinder_virtdc import groups
from cinder_virtdc import translate
from virtdc_agent.contract import events


class Groups(Core):
    """Groups of volumes, and their snapshots of one instant."""

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
        with cinder_errors():
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
            with cinder_errors():
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
