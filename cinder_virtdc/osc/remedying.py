"""What is done about a volume that the data centre has deleted.

The listener's own code decides (:mod:`cinder_virtdc.remedies`); only the way
to the data centre is another, its REST API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osc_lib import exceptions as osc_exceptions

from cinder_virtdc.clock import Clock
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.osc import client as clients
from cinder_virtdc.osc.client import Client
from cinder_virtdc.osc import sides
from cinder_virtdc import remedies
from cinder_virtdc import rest_client
from cinder_virtdc.sync import deletions
from cinder_virtdc.sync.policy import Policy
from virtdc_agent.contract import alarm_codec
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract import events
from virtdc_agent.contract.fields import Reader

View = Mapping[str, Any]


class Remedying:
    """Restores, recreates or forgets one volume.

    :param manager: the ``ClientManager``, for Cinder.
    :ivar volume_id: what the volume is called in Cinder, once that is known.
    """

    def __init__(self, client: Client, manager: Any, clock: Clock) -> None:
        self._client = client
        self._manager = manager
        self._clock = clock
        self.volume_id = ''

    def apply(self, policy: Policy, name_or_id: str) -> View | None:
        """Have it done; asking twice does it once.

        :returns: the event that does it; ``None``: Cinder does.
        :raises CommandError: nothing was done.
        """
        volume = sides.cloud_volume(self._manager, name_or_id)
        if volume is None:
            raise osc_exceptions.CommandError(
                f'Cinder has no volume {name_or_id}, or it is not yours.'
            )
        self.volume_id = volume.volume_id
        bridge = _Bridge(self._client)
        decided = remedies.Remedies(sides.cloud(self._manager), bridge)
        try:
            decided.apply(
                policy, volume, self._alarm(volume), now=self._clock.now()
            )
        except exceptions.VirtDCError as exc:
            raise osc_exceptions.CommandError(str(exc)) from exc
        return bridge.accepted

    def _alarm(self, volume: CloudVolume) -> Alarm:
        for kind in sorted(deletions.KINDS):
            path = rest_client.path_of('alarms', kind, volume.platform_id)
            try:
                view = self._client.get(path)
            except clients.ApiError as exc:
                if exc.status != 404:
                    raise
                continue
            return alarm_codec.alarm_from(Reader(view, ''))
        raise osc_exceptions.CommandError(
            f'No alarm says that volume {volume.volume_id} is deleted or '
            'missing: nothing was done.'
        )


class _Bridge:
    """Submits over REST what the listener submits over the bus."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.accepted: View | None = None

    def submit(self, event: events.Event) -> None:
        """Have an event accepted; the same one twice is one."""
        headers = {'Idempotency-Key': event.event_id}
        match event.parameters:
            case events.RestoreParameters():
                self.accepted = self._client.post(
                    rest_client.path_of('trash', event.volume_id, 'restore'),
                    headers=headers,
                )
            case events.CreateParameters() as wanted:
                self.accepted = self._client.post(
                    '/volumes',
                    {
                        'volume_id': event.volume_id,
                        'size_bytes': wanted.size_bytes,
                        'name': wanted.name,
                        'description': wanted.description,
                        # The service's own are not given by anybody; the
                        # listener tells them again.
                        'metadata': {
                            key: value
                            for key, value in wanted.metadata.items()
                            if not key.startswith(events.OWN_METADATA)
                        },
                        'project_id': event.requested_by.project_id,
                    },
                    headers=headers,
                )
            case _:
                raise osc_exceptions.CommandError(
                    f'{event.operation} cannot be asked for here.'
                )
