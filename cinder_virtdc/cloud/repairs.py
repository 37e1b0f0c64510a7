"""What the listener asks of Cinder to set right what is stuck.

Beside ``cloud``, through the same public API.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any, Protocol
import urllib.parse

from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.sdk import time_of

PAGE = 1000
IN_USE_EXTEND = '3.42'
"""The first version of the API that extends volumes in use."""


class Repairs(Protocol):
    """What is done to what is stuck. Safe from any thread.

    :raises VolumeGone: from all but ``list_snapshots``: there is none.
    :raises NotNow: its status does not allow it.
    :raises CloudForbids: a right is missing.
    :raises CloudUnavailable: no answer, or a fault of the API.
    """

    def list_snapshots(
        self, status: str | None = None
    ) -> Iterator[CloudSnapshot]:
        """Yield the snapshots of all projects, page by page.

        :param status: only those in a status.
        """

    def get_snapshot(self, snapshot_id: str) -> CloudSnapshot:
        """Return a snapshot."""

    def reset_volume(self, volume_id: str, status: str) -> None:
        """Set a volume's status."""

    def reset_snapshot(self, snapshot_id: str, status: str) -> None:
        """Set a snapshot's status."""

    def extend(self, volume_id: str, size_gib: int) -> None:
        """Have a volume extended, also one in use."""

    def force_delete(self, volume_id: str) -> None:
        """Have a volume deleted, whatever its status."""

    def force_delete_snapshot(self, snapshot_id: str) -> None:
        """Have a snapshot deleted, whatever its status."""


class Asking(Protocol):
    """How Cinder's API is asked."""

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        microversion: str | None = None,
    ) -> Any:
        """Return what is answered; raise as ``Repairs`` does."""


class SdkRepairs:
    """Repairs through Cinder's API; see the protocol."""

    def __init__(self, cloud: Asking) -> None:
        self._cloud = cloud

    def list_snapshots(
        self, status: str | None = None
    ) -> Iterator[CloudSnapshot]:
        """See the protocol."""
        query = {'all_tenants': '1', 'limit': str(PAGE), 'sort': 'id:asc'}
        if status is not None:
            query['status'] = status
        while True:
            page = self._cloud.ask(
                'GET', '/snapshots/detail?' + urllib.parse.urlencode(query)
            )
            for snapshot in page['snapshots']:
                yield _snapshot(snapshot)
            if not page.get('snapshots_links') or not page['snapshots']:
                return
            query['marker'] = page['snapshots'][-1]['id']

    def get_snapshot(self, snapshot_id: str) -> CloudSnapshot:
        """See the protocol."""
        path = _path('snapshots', snapshot_id)
        return _snapshot(self._cloud.ask('GET', path)['snapshot'])

    def reset_volume(self, volume_id: str, status: str) -> None:
        """See the protocol."""
        self._act('volumes', volume_id, {'os-reset_status': _status(status)})

    def reset_snapshot(self, snapshot_id: str, status: str) -> None:
        """See the protocol."""
        self._act(
            'snapshots', snapshot_id, {'os-reset_status': _status(status)}
        )

    def extend(self, volume_id: str, size_gib: int) -> None:
        """See the protocol."""
        self._act('volumes', volume_id, {'os-extend': {'new_size': size_gib}})

    def force_delete(self, volume_id: str) -> None:
        """See the protocol."""
        self._act('volumes', volume_id, {'os-force_delete': {}})

    def force_delete_snapshot(self, snapshot_id: str) -> None:
        """See the protocol."""
        self._act('snapshots', snapshot_id, {'os-force_delete': {}})

    def _act(self, kind: str, id_: str, action: Mapping[str, object]) -> None:
        self._cloud.ask(
            'POST',
            _path(kind, id_, 'action'),
            action,
            microversion=IN_USE_EXTEND,
        )


def _status(status: str) -> dict[str, str]:
    return {'status': status}


def _path(*parts: str) -> str:
    return '/' + '/'.join(urllib.parse.quote(part, safe='') for part in parts)


def _snapshot(snapshot: Mapping[str, Any]) -> CloudSnapshot:
    return CloudSnapshot(
        snapshot_id=snapshot['id'],
        volume_id=snapshot['volume_id'],
        status=snapshot['status'],
        size_gib=snapshot['size'],
        properties=snapshot.get('metadata') or {},
        changed_at=time_of(
            snapshot.get('updated_at') or snapshot.get('created_at')
        ),
    )
