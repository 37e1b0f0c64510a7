"""Managing in memory, on fakes of both sides. Shipped for tests."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import datetime
import uuid

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.cloud.adopting import Wish
from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.fake_repairs import FakeRepairs
from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from virtdc_agent.contract import events


class FakeAdopting:
    """An ``AdoptingCloud`` with Cinder and the driver behind it.

    What is asked for waits until ``work`` is called. For one thread.

    :ivar failures: raised, one each, by what is asked for.
    :ivar dies_before_saving: so many times the driver has done it, and its
        cinder-volume dies before Cinder's database has it.
    """

    HOST = 'host@virtdc#virtdc'

    def __init__(
        self, cloud: FakeCloud, repairs: FakeRepairs, client: AgentClient
    ) -> None:
        self._cloud = cloud
        self._repairs = repairs
        self._client = client
        self.types = {'gold'}
        self.hosts: Sequence[str] = [self.HOST]
        self.failures: list[exceptions.CloudError] = []
        self.asked: list[Wish] = []
        self.dies_before_saving = 0
        self._begun: list[tuple[str, Wish]] = []

    def hosts_of(self, location: str) -> Sequence[str]:
        """See the protocol."""
        return self.hosts

    def has_type(self, project_id: str, volume_type: str) -> bool:
        """See the protocol."""
        return volume_type in self.types

    def manage_volume(self, wish: Wish, *, host: str, volume_type: str) -> str:
        """See the protocol."""
        cloud_id = self._begin(wish)
        self._cloud.add(
            CloudVolume(
                volume_id=cloud_id,
                platform_id=cloud_id,
                status='creating',
                size_gib=0,
                properties=dict(wish.properties),
                name=wish.name,
                description=wish.description,
                volume_type=volume_type,
                project_id=wish.project_id,
                host=host,
            )
        )
        return cloud_id

    def manage_snapshot(self, wish: Wish, *, volume_id: str) -> str:
        """See the protocol."""
        cloud_id = self._begin(wish)
        self._repairs.add(
            CloudSnapshot(
                snapshot_id=cloud_id,
                volume_id=volume_id,
                status='creating',
                size_gib=1,
                properties=dict(wish.properties),
            )
        )
        return cloud_id

    def delete_snapshot(self, snapshot_id: str) -> None:
        """See the protocol."""
        self._repairs.force_delete_snapshot(snapshot_id)

    def work(self) -> None:
        """Let Cinder do what was asked of it."""
        begun, self._begun = self._begun, []
        for cloud_id, wish in begun:
            if cloud_id in self._cloud.volumes:
                self._manage_volume(cloud_id, wish)
            elif cloud_id in self._repairs.snapshots:
                self._manage_snapshot(cloud_id, wish)

    def _begin(self, wish: Wish) -> str:
        self.asked.append(wish)
        if self.failures:
            raise self.failures.pop(0)
        cloud_id = str(uuid.uuid4())
        self._begun.append((cloud_id, wish))
        return cloud_id

    def _manage_volume(self, cloud_id: str, wish: Wish) -> None:
        platform_id = wish.reference['source-id']
        known = self._client.get_volume(platform_id)
        size_gib = -(-known.size_bytes // 1024**3) if known else 1
        is_done = known is not None and self._submit(
            platform_id,
            events.ManageParameters(
                reference=platform_id,
                size_bytes=size_gib * 1024**3,
                metadata={events.CLOUD_ID: cloud_id},
                instead_of=wish.reference.get('instead-of', ''),
            ),
        )
        record = self._cloud.volumes[cloud_id]
        if is_done and self._survives():
            self._cloud.volumes[cloud_id] = dataclasses.replace(
                record,
                status='available',
                platform_id=platform_id,
                size_gib=size_gib,
            )
        elif not is_done:
            self._cloud.volumes[cloud_id] = dataclasses.replace(
                record, status='error'
            )

    def _manage_snapshot(self, cloud_id: str, wish: Wish) -> None:
        kept_id = wish.reference['source-id']
        record = self._repairs.snapshots[cloud_id]
        volume = self._cloud.volumes[record.volume_id]
        is_done = self._submit(
            volume.platform_id,
            events.ManageSnapshotParameters(
                snapshot_id=kept_id,
                reference=kept_id,
                size_bytes=1024**3,
                metadata={events.CLOUD_ID: cloud_id},
                instead_of=wish.reference.get('instead-of', ''),
            ),
        )
        if is_done and not self._survives():
            return
        self._repairs.add(
            dataclasses.replace(
                record, status='available' if is_done else 'error'
            )
        )

    def _survives(self) -> bool:
        self.dies_before_saving -= 1
        return self.dies_before_saving < 0

    def _submit(self, volume_id: str, parameters: events.Parameters) -> bool:
        event = events.Event(
            event_id=str(uuid.uuid4()),
            operation=events.operation_of(parameters),
            volume_id=volume_id,
            origin=events.Origin.CLOUD,
            parameters=parameters,
            created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        )
        self._client.submit(event)
        latest = self._client.get_events([event.event_id])[event.event_id]
        return latest.state is events.State.SUCCESS
