"""Looks at both sides of a volume, or of all."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import datetime

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.cloud.interfaces import Cloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.listener.follow import Follower
from cinder_virtdc.sync import edits
from cinder_virtdc.sync.policy import Policy
from cinder_virtdc.sync import properties
from cinder_virtdc.sync.reconcile import Sides
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume

_MAKING = frozenset({Operation.CREATE, Operation.CLONE, Operation.IMPORT})


class Sight:
    """What is known of volumes, put together. Safe from any thread.

    :param hosts: Cinder's backends of this data centre; none means all.
    :param policy: what is done about what the data centre has deleted.
    """

    def __init__(
        self,
        *,
        client: AgentClient,
        cloud: Cloud,
        follower: Follower,
        book: AlarmBook,
        hosts: Sequence[str] = (),
        policy: Policy = Policy.ASK,
    ) -> None:
        self._client = client
        self._cloud = cloud
        self._follower = follower
        self._book = book
        self._hosts: Sequence[str | None] = list(hosts) or [None]
        self._policy = policy
        self._edits = False

    def learn(self) -> None:
        """Ask what the data centre can do.

        :raises VirtDCError: the agent does not answer.
        """
        self._edits = Operation.EDIT in self._client.get_capacity().operations

    def look(self, volume_id: str) -> Sides | None:
        """Return both sides of a volume, as they are now.

        :returns: ``None``: Cinder has no such volume.
        :raises VirtDCError: a side does not answer.
        """
        try:
            volume = self._cloud.get_volume(volume_id)
        except exceptions.VolumeGone:
            return None
        return self.sides(volume, self._client.get_volume(volume.platform_id))

    def sides(self, volume: CloudVolume, platform: Volume | None) -> Sides:
        """Put together what is known of a volume."""
        return Sides(
            volume=volume,
            latest=self._follower.latest(volume.platform_id),
            platform=platform,
            alarm=self._book.loss_of(volume),
            last_sequence=self._follower.cursor,
            edits=self._edits,
            policy=self._policy,
        )

    def cloud_volumes(
        self, status: str | None = None
    ) -> Iterator[CloudVolume]:
        """Yield Cinder's volumes of this data centre, page by page."""
        for host in self._hosts:
            yield from self._cloud.list_volumes(host=host, status=status)

    def changed_volumes(
        self, after: datetime.datetime
    ) -> Iterator[CloudVolume]:
        """Yield those of Cinder's volumes whose record was changed since."""
        for host in self._hosts:
            yield from self._cloud.list_volumes(host=host, changed_after=after)

    def has_news(self, volume: CloudVolume) -> bool:
        """Say whether a user may have edited a volume since it was shown.

        A digest says it, without a question to the data centre.
        """
        agreed = volume.properties.get(properties.AGREED)
        if agreed is None or not self._edits:
            return False
        said = edits.fields_of_cloud(
            name=volume.name,
            description=volume.description,
            properties=volume.properties,
            volume_type=volume.volume_type,
        )
        return edits.base_of(said).to_text() != agreed

    def platform_volumes(self) -> dict[str, Volume]:
        """Return the data centre's volumes, by their ids."""
        return {one.volume_id: one for one in self._client.get_volumes()}

    def base_of_new(self, transition: Transition) -> Mapping[str, str]:
        """Return the property that says what a new volume began with.

        It costs no question to Cinder: the data centre still has what Cinder
        gave it. Empty if it is not a new volume, or cannot be said now.
        """
        if (
            not self._edits
            or transition.operation not in _MAKING
            or transition.state is not State.SUCCESS
        ):
            return {}
        try:
            volume = self._client.get_volume(transition.volume_id)
        except exceptions.VirtDCError:
            return {}
        if volume is None or volume.changed_at_sequence > transition.sequence:
            return {}
        base = edits.base_of(edits.fields_of_platform(volume))
        return {properties.AGREED: base.to_text()}
