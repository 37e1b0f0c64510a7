"""What is asked of Cinder to have it manage something; beside ``cloud``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any, Protocol
import urllib.parse

from cinder_virtdc.cloud.repairs import Asking
from cinder_virtdc import exceptions

VERSION = '3.8'
"""The first version of the API that has these calls under their own paths."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What Cinder is to manage.

    :param reference: as the driver takes it.
    :param project_id: whose it is to be.
    """

    reference: Mapping[str, str]
    project_id: str
    name: str
    description: str
    properties: Mapping[str, str]


class AdoptingCloud(Protocol):
    """Has Cinder manage volumes and snapshots. Safe from any thread.

    :raises CloudError: as ``cloud.Cloud``.
    """

    def hosts_of(self, location: str) -> Sequence[str]:
        """Return Cinder's pools that name this location, sorted."""

    def has_type(self, project_id: str, volume_type: str) -> bool:
        """Say whether a project may use a volume type of this name or id."""

    def manage_volume(self, wish: Wish, *, host: str, volume_type: str) -> str:
        """Have a volume managed; return its id, before it is done."""

    def manage_snapshot(self, wish: Wish, *, volume_id: str) -> str:
        """Have a snapshot of a volume managed; likewise."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Have a snapshot deleted."""


class SdkAdoptingCloud:
    """Through Cinder's API, which takes the owner from who asks.

    :param cloud: as the listener asks for anything else.
    :param in_project: the same, by a token of a project.
    """

    def __init__(
        self, cloud: Asking, in_project: Callable[[str], Asking]
    ) -> None:
        self._cloud = cloud
        self._in_project = in_project

    def hosts_of(self, location: str) -> Sequence[str]:
        """See the protocol."""
        found = self._cloud.ask('GET', '/scheduler-stats/get_pools?detail=1')
        return sorted(
            pool['name']
            for pool in found['pools']
            if (pool.get('capabilities') or {}).get('location_info')
            == location
        )

    def has_type(self, project_id: str, volume_type: str) -> bool:
        """See the protocol."""
        query: dict[str, str] = {'limit': '1000'}
        cloud = self._in_project(project_id)
        while True:
            page = cloud.ask('GET', '/types?' + urllib.parse.urlencode(query))
            types = page['volume_types']
            if any(volume_type in (one['name'], one['id']) for one in types):
                return True
            if not page.get('volume_type_links') or not types:
                return False
            query['marker'] = types[-1]['id']

    def manage_volume(self, wish: Wish, *, host: str, volume_type: str) -> str:
        """See the protocol."""
        return self._manage(
            'volume',
            wish,
            {
                'host': host,
                'volume_type': volume_type,
                'ref': dict(wish.reference),
            },
        )

    def manage_snapshot(self, wish: Wish, *, volume_id: str) -> str:
        """See the protocol."""
        return self._manage(
            'snapshot',
            wish,
            {'volume_id': volume_id, 'ref': dict(wish.reference)},
        )

    def delete_snapshot(self, snapshot_id: str) -> None:
        """See the protocol."""
        path = urllib.parse.quote(snapshot_id, safe='')
        self._cloud.ask('DELETE', f'/snapshots/{path}')

    def _manage(
        self, kind: str, wish: Wish, more: Mapping[str, object]
    ) -> str:
        body = {
            **more,
            'name': wish.name,
            'description': wish.description,
            'metadata': dict(wish.properties),
        }
        try:
            made: dict[str, Any] = self._in_project(wish.project_id).ask(
                'POST',
                f'/manageable_{kind}s',
                {kind: body},
                microversion=VERSION,
            )[kind]
        except exceptions.VolumeGone as exc:
            # What it names is not there: a type, or the volume.
            raise exceptions.NotNow(str(exc)) from exc
        return str(made['id'])
