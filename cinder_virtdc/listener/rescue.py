"""Carries out what ``recovery`` decides, after a second look."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import logging

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.clock import Clock
from cinder_virtdc.cloud.interfaces import Cloud
from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.cloud.repairs import Repairs
from cinder_virtdc import exceptions
from cinder_virtdc.sync import recovery
from cinder_virtdc.sync.recovery import Stuck
from virtdc_agent.contract.events import CLOUD_ID
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Transition

LOG = logging.getLogger(__name__)

Latest = Callable[[str], Transition | None]
"""Tells the latest transition of a volume's events."""


class Rescue:
    """Looks for what is stuck. For one thread.

    :param grace_s: what was so for so long is stuck.
    :param hosts: Cinder's backends of this data centre; none means all.
    """

    def __init__(
        self,
        *,
        client: AgentClient,
        cloud: Cloud,
        repairs: Repairs,
        clock: Clock,
        grace_s: float,
        hosts: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._cloud = cloud
        self._repairs = repairs
        self._clock = clock
        self._grace_s = grace_s
        self._hosts: Sequence[str | None] = list(hosts) or [None]
        self._seen: dict[str, tuple[Stuck, float]] = {}

    def run(self, catch_up: Callable[[], None], latest: Latest) -> None:
        """Set right what is stuck, and remember what may be.

        :param catch_up: makes ``latest`` know all that there is to know now.
        :raises VirtDCError: one side cannot be asked; nothing is concluded.
        """
        volumes = list(self._volumes())
        snapshots = [
            snapshot
            for status in recovery.SNAPSHOT_STATUSES
            for snapshot in self._repairs.list_snapshots(status)
        ]
        if not volumes and not snapshots:
            self._seen.clear()
            return
        # In this order: what is later than what Cinder said is known.
        catch_up()
        found = {
            stuck.key: stuck
            for stuck in self._found(volumes, snapshots, latest)
        }
        now = self._clock.monotonic()
        before, self._seen = self._seen, {}
        for key, stuck in found.items():
            action = recovery.decide(stuck)
            if action is None:
                continue
            known, since = before.get(key, (None, now))
            if known != stuck:
                since = now
            if now - since < self._grace_s or known is None:
                self._seen[key] = (stuck, since)
                continue
            self._do(stuck, action)

    def _volumes(self) -> Iterator[CloudVolume]:
        for host in self._hosts:
            for status in recovery.VOLUME_STATUSES:
                yield from self._cloud.list_volumes(host=host, status=status)

    def _found(
        self,
        volumes: Sequence[CloudVolume],
        snapshots: Sequence[CloudSnapshot],
        latest: Latest,
    ) -> Iterator[Stuck]:
        if not self._client.get_capacity().operations & {
            *(Operation.MANAGE, Operation.EDIT)
        }:
            # It cannot tell its snapshots.
            snapshots = []
        kept = (
            {
                one.metadata.get(CLOUD_ID) or one.snapshot_id: one
                for one in self._client.get_snapshots()
            }
            if snapshots
            else {}
        )
        platform = {one.volume_id: one for one in self._client.get_volumes()}
        for volume in volumes:
            yield Stuck(
                volume=volume,
                latest=latest(volume.platform_id),
                platform=platform.get(volume.platform_id),
            )
        for snapshot in snapshots:
            try:
                volume = self._cloud.get_volume(snapshot.volume_id)
            except exceptions.VolumeGone:
                continue
            if volume.platform_id in platform:
                yield Stuck(
                    volume=volume,
                    snapshot=snapshot,
                    latest=latest(volume.platform_id),
                    platform=platform[volume.platform_id],
                    kept=kept.get(snapshot.snapshot_id),
                )

    def _do(self, stuck: Stuck, action: recovery.Action) -> None:
        """Look once more, and then do it; Cinder offers no condition."""
        try:
            if not self._is_still(stuck):
                return
            self._carry_out(stuck, action)
        except (exceptions.VolumeGone, exceptions.NotNow) as exc:
            LOG.debug('%s stays as it is: %s', stuck.key, exc)
            return
        LOG.info(
            'The %s was %s in Cinder, but the data centre is done with it: '
            '%s.',
            stuck.key,
            (stuck.snapshot or stuck.volume).status,
            action,
        )

    def _is_still(self, stuck: Stuck) -> bool:
        if stuck.snapshot is not None:
            return (
                self._repairs.get_snapshot(stuck.snapshot.snapshot_id)
                == stuck.snapshot
            )
        volume = self._cloud.get_volume(stuck.volume.volume_id)
        return volume.status == stuck.volume.status

    def _carry_out(self, stuck: Stuck, action: recovery.Action) -> None:
        match action:
            case recovery.ResetVolume():
                self._repairs.reset_volume(action.volume_id, action.status)
                if stuck.volume.status == 'reverting':
                    self._end_restoring(stuck.volume)
            case recovery.ExtendVolume():
                self._repairs.reset_volume(action.volume_id, action.status)
                self._repairs.extend(action.volume_id, action.size_gib)
            case recovery.FinishDelete():
                self._repairs.force_delete(action.volume_id)
            case recovery.ResetSnapshot():
                self._repairs.reset_snapshot(action.snapshot_id, action.status)
            case recovery.FinishDeleteSnapshot():
                self._repairs.force_delete_snapshot(action.snapshot_id)

    def _end_restoring(self, volume: CloudVolume) -> None:
        found = {
            one.snapshot_id: one
            for one in self._repairs.list_snapshots(recovery.RESTORING)
        }
        for action in recovery.restored(volume, found):
            self._repairs.reset_snapshot(action.snapshot_id, action.status)
