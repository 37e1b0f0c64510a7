"""Volumes: made, filled, copied, extended, reverted, deleted."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
from typing import Any

from cinder import exception
from cinder.image import image_utils
from cinder.volume import volume_utils
from oslo_log import log as logging

from cinder_virtdc.driver.core import cinder_errors
from cinder_virtdc.driver.core import Core
from cinder_virtdc import exceptions
from cinder_virtdc import translate
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation

LOG = logging.getLogger(__name__)


class Volumes(Core):
    """Volumes: made, filled, copied, extended, reverted, deleted."""

    def create_volume(self, volume: Any) -> None:
        """Have a volume made; return when it is there."""
        to_be_filled = volume.id in self._to_be_filled
        self._to_be_filled.discard(volume.id)
        with cinder_errors():
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
        with cinder_errors(rejected=_unacceptable(image_meta)):
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
        with cinder_errors(rejected=exception.VolumeIsBusy):
            self._run(volume, events.DeleteParameters())

    def extend_volume(self, volume: Any, new_size: int) -> None:
        """Have a volume grown to ``new_size`` GiB.

        What the data centre has grown itself has what is asked for, or more,
        and needs no event: Cinder follows it, or will. It may also do so
        while the event waits.
        """
        wanted = events.ExtendParameters(size_bytes=new_size * translate.GIB)
        with cinder_errors(failed=exception.ExtendVolumeError):
            # What was heard is asked for, before it is relied on; an ordinary
            # extend is not kept waiting.
            growth = self._open_session.growth
            if growth.is_known(
                volume.name_id, wanted.size_bytes
            ) and self._has(volume, wanted):
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

    def revert_to_snapshot(
        self, context: Any, volume: Any, snapshot: Any
    ) -> None:
        """Have a volume read as a snapshot of it; it keeps its size."""
        with cinder_errors():
            self._run(
                volume,
                events.RevertParameters(
                    snapshot_id=translate.kept_id(snapshot)
                ),
            )

    def snapshot_revert_use_temp_snapshot(self) -> bool:
        """Need none: a revert that fails leaves the volume as it was."""
        return False

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
        with cinder_errors():
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


def _unacceptable(image: Mapping[str, Any]) -> Callable[..., Exception]:
    def error(message: str) -> Exception:
        unacceptable: Exception = exception.ImageUnacceptable(
            image_id=image.get('id'), reason=message
        )
        return unacceptable

    return error
