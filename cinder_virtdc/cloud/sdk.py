"""Cinder's public API, through openstacksdk.

Nothing else is used, so that it may be of any release and grants only the
rights that the listener was given.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import datetime
from typing import Any
import urllib.parse

from keystoneauth1 import exceptions as auth_exceptions
from keystoneauth1 import identity
from keystoneauth1 import loading
from openstack import connection
from openstack import exceptions as sdk_exceptions
from oslo_config import cfg

from cinder_virtdc.clock import Clock
from cinder_virtdc.clock import SystemClock
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.meter import Meter
from cinder_virtdc import opts

PAGE = 1000

_OTHER_SCOPES = (
    *('project_name', 'project_domain_id', 'project_domain_name'),
    *('domain_id', 'domain_name', 'system_scope', 'trust_id'),
)
"""What else credentials may say that they are for."""

ATTACHMENTS = '3.27'
"""The first version of the API that lists attachments."""
COMPARES_TIMES = '3.60'
"""The first version of the API that lists what changed after a time."""
EXTENDS_ATTACHED = '3.42'
"""The first version of the API that extends a volume in use."""


class SdkCloud:
    """Cinder's API through openstacksdk."""

    def __init__(
        self,
        api: Any,
        pace: Callable[[], None] = lambda: None,
        meter: Meter | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._api = api
        self._pace = pace
        self._meter = meter or Meter()
        self._clock = clock or SystemClock()

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        pace: Callable[[], None] = lambda: None,
        meter: Meter | None = None,
        *,
        project_id: str | None = None,
    ) -> SdkCloud:
        """Return the cloud of the credentials in ``[cinder]``.

        Asks nothing yet.

        :param pace: called before each request; it may wait.
        :param meter: is told of each request.
        :param project_id: in which project, instead of the credentials' own;
            without Keystone, these say which. Then it is asked for a token.
        :raises ConfigInvalid: the credentials are incomplete.
        :raises CloudForbids: they are not for that project.
        :raises CloudUnavailable: Keystone gave no answer.
        """
        group = opts.CINDER_GROUP
        try:
            auth = loading.load_auth_from_conf_options(conf, group)
            if project_id and isinstance(auth, identity.BaseIdentityPlugin):
                auth = loading.load_auth_from_conf_options(
                    conf,
                    group,
                    project_id=project_id,
                    **dict.fromkeys(_OTHER_SCOPES),
                )
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
        if project_id:
            _check_scope(session, project_id)
        options = conf[group]
        return cls(
            connection.Connection(
                session=session,
                region_name=options.region_name,
                block_storage_interface=(options.valid_interfaces or [None])[
                    0
                ],
                block_storage_endpoint_override=options.endpoint_override,
            ).block_storage,
            pace,
            meter,
        )

    def list_volumes(
        self,
        *,
        host: str | None = None,
        status: str | None = None,
        changed_after: datetime.datetime | None = None,
    ) -> Iterator[CloudVolume]:
        """See the protocol."""
        query = {'all_tenants': '1', 'limit': str(PAGE), 'sort': 'id:asc'}
        if host is not None:
            query['host'] = host
        if status is not None:
            query['status'] = status
        if changed_after is not None:
            query['updated_at'] = 'gte:' + changed_after.astimezone(
                datetime.UTC
            ).strftime('%Y-%m-%dT%H:%M:%S')
        while True:
            page = self._ask(
                'GET',
                '/volumes/detail?' + urllib.parse.urlencode(query),
                version=COMPARES_TIMES if changed_after else None,
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
        self.set_status(volume_id, 'available')

    def set_status(self, volume_id: str, status: str) -> None:
        """See the protocol."""
        self._act(volume_id, 'os-reset_status', status=status)

    def reserve(self, volume_id: str) -> None:
        """See the protocol."""
        self._act(volume_id, 'os-reserve')

    def unreserve(self, volume_id: str) -> None:
        """See the protocol."""
        self._act(volume_id, 'os-unreserve')

    def has_attachments(self, volume_id: str) -> bool:
        """See the protocol."""
        query = urllib.parse.urlencode(
            {'all_tenants': '1', 'volume_id': volume_id, 'limit': '1'}
        )
        found = self._ask('GET', f'/attachments?{query}', version=ATTACHMENTS)
        return bool(found['attachments'])

    def extend(self, volume_id: str, size_gib: int) -> None:
        """See the protocol."""
        try:
            self._act(
                volume_id,
                'os-extend',
                version=EXTENDS_ATTACHED,
                new_size=size_gib,
            )
        except exceptions.TooMuch as exc:
            raise exceptions.OverQuota(str(exc)) from exc

    def edit(self, volume_id: str, name: str, description: str) -> None:
        """See the protocol."""
        self._ask(
            'PUT',
            _path(volume_id),
            {'volume': {'name': name, 'description': description}},
        )

    def delete(self, volume_id: str) -> None:
        """See the protocol."""
        self._ask('DELETE', _path(volume_id))

    def _act(
        self,
        volume_id: str,
        action: str,
        version: str | None = None,
        **arguments: object,
    ) -> None:
        self._ask(
            'POST',
            _path(volume_id, 'action'),
            {action: arguments},
            version=version,
        )

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        microversion: str | None = None,
    ) -> Any:
        """Ask Cinder's API; return what it answers.

        :raises CloudError: as the protocol says.
        """
        return self._ask(method, path, body, version=microversion)

    def _ask(
        self,
        method: str,
        path: str,
        body: object = None,
        version: str | None = None,
    ) -> Any:
        self._pace()
        began_at = self._clock.monotonic()
        status: int | None = None
        try:
            response = self._api.request(
                path, method, json=body, microversion=version
            )
            status = response.status_code
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
        finally:
            self._meter.requested(
                method, status, self._clock.monotonic() - began_at
            )
        if response.status_code < 300:
            return response.json() if response.content else {}
        raise _error(response.status_code, f'{method} {path}', response.text)


def _check_scope(session: Any, project_id: str) -> None:
    try:
        session.get_token()
    except (auth_exceptions.Unauthorized, auth_exceptions.Forbidden) as exc:
        raise exceptions.CloudForbids(
            f'Keystone gives the user in [cinder] no token of project '
            f"{project_id}: give it Cinder's administrator role there."
        ) from exc
    except auth_exceptions.ClientException as exc:
        raise exceptions.CloudUnavailable(
            f'Keystone cannot be asked: {exc}'
        ) from exc


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
        case 413:
            return exceptions.TooMuch(message)
        case 401 | 403:
            return exceptions.CloudForbids(
                f'{message}. Give the user in [cinder] the role that '
                "Cinder's policy asks for."
            )
        case _:
            return exceptions.CloudUnavailable(message)


def time_of(text: str | None) -> datetime.datetime | None:
    """Read a time of Cinder's, which does not say its zone: it is UTC."""
    if text is None:
        return None
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def _volume(volume: Mapping[str, Any]) -> CloudVolume:
    migration = volume.get('migration_status')
    attachments = volume.get('attachments') or ()
    return CloudVolume(
        volume_id=volume['id'],
        platform_id=(
            volume.get('os-vol-mig-status-attr:name_id') or volume['id']
        ),
        status=volume['status'],
        size_gib=volume['size'],
        changed_at=time_of(volume.get('updated_at')),
        properties=volume.get('metadata') or {},
        is_attached=bool(attachments),
        is_copy=bool(volume.get('source_volid') or volume.get('snapshot_id')),
        is_plain=not (
            volume.get('encrypted')
            or volume.get('volume_image_metadata')
            or migration not in (None, 'success', 'error')
        ),
        name=volume.get('name') or '',
        description=volume.get('description') or '',
        volume_type=volume.get('volume_type') or '',
        project_id=volume.get('os-vol-tenant-attr:tenant_id') or '',
        user_id=volume.get('user_id') or '',
        host=volume.get('os-vol-host-attr:host') or '',
        server_ids=tuple(
            one['server_id'] for one in attachments if one.get('server_id')
        ),
    )
