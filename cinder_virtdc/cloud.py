"""Cinder, as the listener needs it: the seam, and the real thing.

Only its public API is used, so that it may be of any release and grants only
the rights that the listener was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import Any, Protocol
import urllib.parse

from keystoneauth1 import exceptions as auth_exceptions
from keystoneauth1 import loading
from openstack import connection
from openstack import exceptions as sdk_exceptions
from oslo_config import cfg

from cinder_virtdc import exceptions
from cinder_virtdc import opts

PAGE = 1000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CloudVolume:
    """A volume as Cinder's API shows it.

    :param platform_id: its name in the data centre: differs from
        ``volume_id`` once it was migrated.
    :param is_attached: whether there is any attachment.
    :param is_copy: made from a volume or a snapshot.
    :param is_plain: made from no image, not encrypted, and not being
        migrated.
    """

    volume_id: str
    platform_id: str
    status: str
    size_gib: int
    properties: Mapping[str, str]
    is_attached: bool = False
    is_copy: bool = False
    is_plain: bool = True


class Cloud(Protocol):
    """What the listener does with Cinder. Safe from any thread.

    :raises VolumeGone: from all but ``list_volumes``: there is none.
    :raises NotNow: the volume's status does not allow it.
    :raises CloudForbids: a right is missing.
    :raises CloudUnavailable: no answer, or a fault of the API.
    """

    def list_volumes(
        self, *, host: str | None = None, status: str | None = None
    ) -> Iterator[CloudVolume]:
        """Yield the volumes of all projects, page by page.

        What it yielded before it raised is not all there is.

        :param host: only those of a backend, as ``host@backend``.
        :param status: only those of a status.
        """

    def get_volume(self, volume_id: str) -> CloudVolume:
        """Return a volume."""

    def set_properties(
        self, volume_id: str, properties: Mapping[str, str]
    ) -> None:
        """Set some properties; the others stay as they are."""

    def remove_property(self, volume_id: str, key: str) -> None:
        """Remove one property; one that is not there is fine."""

    def make_available(self, volume_id: str) -> None:
        """Set the status to ``available``."""


class SdkCloud:
    """Cinder's API through openstacksdk."""

    def __init__(self, api: Any) -> None:
        self._api = api

    @classmethod
    def from_config(cls, conf: cfg.ConfigOpts) -> SdkCloud:
        """Return the cloud of the credentials in ``[cinder]``.

        Asks nothing yet.

        :raises ConfigInvalid: the credentials are incomplete.
        """
        group = opts.CINDER_GROUP
        try:
            auth = loading.load_auth_from_conf_options(conf, group)
            if auth is None:
                raise exceptions.ConfigInvalid(
                    '[cinder] auth_type is not set: give the listener the '
                    "credentials of a user with Cinder's administrator role."
                )
            session = loading.load_session_from_conf_options(
                conf, group, auth=auth
            )
        except (
            auth_exceptions.MissingRequiredOptions,
            auth_exceptions.NoMatchingPlugin,
        ) as exc:
            raise exceptions.ConfigInvalid(
                f'The credentials in [cinder] cannot be used: {exc}'
            ) from exc
        options = conf[group]
        return cls(
            connection.Connection(
                session=session,
                region_name=options.region_name,
                block_storage_interface=(options.valid_interfaces or [None])[
                    0
                ],
                block_storage_endpoint_override=options.endpoint_override,
            ).block_storage
        )

    def list_volumes(
        self, *, host: str | None = None, status: str | None = None
    ) -> Iterator[CloudVolume]:
        """See the protocol."""
        query = {'all_tenants': '1', 'limit': str(PAGE), 'sort': 'id:asc'}
        if host is not None:
            query['host'] = host
        if status is not None:
            query['status'] = status
        while True:
            page = self._ask(
                'GET', '/volumes/detail?' + urllib.parse.urlencode(query)
            )
            for volume in page['volumes']:
                yield _volume(volume)
            # The API may hold fewer a page than were asked for.
            if not page.get('volumes_links') or not page['volumes']:
                return
            query['marker'] = page['volumes'][-1]['id']

    def get_volume(self, volume_id: str) -> CloudVolume:
        """See the protocol."""
        return _volume(self._ask('GET', _path(volume_id))['volume'])

    def set_properties(
        self, volume_id: str, properties: Mapping[str, str]
    ) -> None:
        """See the protocol."""
        self._ask(
            'POST',
            _path(volume_id, 'metadata'),
            {'metadata': dict(properties)},
        )

    def remove_property(self, volume_id: str, key: str) -> None:
        """See the protocol."""
        try:
            self._ask('DELETE', _path(volume_id, 'metadata', key))
        except exceptions.VolumeGone:
            # The same answer for a key and for a volume that is not there.
            self.get_volume(volume_id)

    def make_available(self, volume_id: str) -> None:
        """See the protocol."""
        self._ask(
            'POST',
            _path(volume_id, 'action'),
            {'os-reset_status': {'status': 'available'}},
        )

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        try:
            response = self._api.request(path, method, json=body)
        except (
            auth_exceptions.Unauthorized,
            auth_exceptions.Forbidden,
        ) as exc:
            raise exceptions.CloudForbids(
                f'The credentials in [cinder] are refused: {exc}'
            ) from exc
        except (
            auth_exceptions.ClientException,
            sdk_exceptions.SDKException,
        ) as exc:
            raise exceptions.CloudUnavailable(
                f"Cinder's API cannot be reached: {exc}"
            ) from exc
        if response.status_code < 300:
            return response.json() if response.content else {}
        raise _error(response.status_code, f'{method} {path}', response.text)


def _path(*parts: str) -> str:
    return '/volumes/' + '/'.join(
        urllib.parse.quote(part, safe='') for part in parts
    )


def _error(status: int, request: str, text: str) -> exceptions.CloudError:
    message = f'{request} was answered {status}: {text[:500]}'
    match status:
        case 404:
            return exceptions.VolumeGone(message)
        case 400 | 409:
            return exceptions.NotNow(message)
        case 401 | 403:
            return exceptions.CloudForbids(
                f'{message}. Give the user in [cinder] the role that '
                "Cinder's policy asks for."
            )
        case _:
            return exceptions.CloudUnavailable(message)


def _volume(volume: Mapping[str, Any]) -> CloudVolume:
    migration = volume.get('migration_status')
    return CloudVolume(
        volume_id=volume['id'],
        platform_id=(
            volume.get('os-vol-mig-status-attr:name_id') or volume['id']
        ),
        status=volume['status'],
        size_gib=volume['size'],
        properties=volume.get('metadata') or {},
        is_attached=bool(volume.get('attachments')),
        is_copy=bool(volume.get('source_volid') or volume.get('snapshot_id')),
        is_plain=not (
            volume.get('encrypted')
            or volume.get('volume_image_metadata')
            or migration not in (None, 'success', 'error')
        ),
    )
