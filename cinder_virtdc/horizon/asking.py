"""Who asks the data centre, and where it is: taken from the user's session."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from keystoneauth1 import adapter
from keystoneauth1 import exceptions as auth_exceptions
from keystoneauth1 import token_endpoint
from openstack_auth import utils as auth_utils
from openstack_dashboard.api import base
from openstack_dashboard.api import keystone
from openstack_dashboard import exceptions

from cinder_virtdc.horizon import alarms
from cinder_virtdc.horizon.calls import DataCentre
from cinder_virtdc.horizon import events
from cinder_virtdc.horizon import naming
from cinder_virtdc.rest_client import ApiError
from cinder_virtdc.rest_client import Client
from cinder_virtdc.rest_client import SERVICE_TYPE
from cinder_virtdc.rest_client import View

LOG = logging.getLogger(__name__)

PERMISSION = f'openstack.services.{SERVICE_TYPE}'
"""Whose catalog has a data centre in the region has this, by Horizon."""
TIMEOUT_S = 5.0
"""How long a page waits for one answer, unless ``VIRTDC_TIMEOUT_S`` says."""
_KEPT_S = 600
"""How long the name of a user is kept."""
_ATTRIBUTE = '_virtdc_data_centre'


def data_centre(request: Any) -> DataCentre:
    """Return the one of a request, asked with its user's token.

    :raises ApiError: the catalog names none.
    """
    found = getattr(request, _ATTRIBUTE, None)
    if found is None:
        found = DataCentre(_client(request))
        setattr(request, _ATTRIBUTE, found)
    if not isinstance(found, DataCentre):
        raise AssertionError('the attribute is ours')
    return found


def viewer(request: Any, views: list[View]) -> naming.Viewer:
    """Return who looks, and what the data centre lets them do.

    :param views: events or alarms, whose users they may want to know.
    :raises ApiError: it does not say.
    """
    return naming.Viewer(
        names={
            **_names(request, naming.users_of(views)),
            request.user.id: request.user.username,
        },
        may=data_centre(request).may,
    )


def dashboard_of(request: Any) -> str:
    """Return the slug of the dashboard that a page is in."""
    return str(request.horizon['dashboard'].slug)


def scope_of(request: Any) -> str | None:
    """Return whose things a page is about; ``None``: everybody's."""
    if dashboard_of(request) == 'admin':
        return None
    return str(request.user.project_id)


def event_rows(
    request: Any, views: list[View], volume: naming.Named | None = None
) -> list[events.EventRow]:
    """Return the rows of events.

    :param volume: whose they all are; ``None``: of any volumes.
    """
    if volume is None:
        volume_ids = {str(one['volume_id']) for one in views}
        volumes = data_centre(request).volumes(volume_ids, scope_of(request))
        names = naming.names_of(views, volumes)
    else:
        names = {str(one['volume_id']): volume for one in views}
    looking = viewer(request, views)
    return [
        events.event_row(
            view, looking, names[str(view['volume_id'])], timezone.now()
        )
        for view in views
    ]


def alarm_rows(request: Any, views: list[View]) -> list[alarms.AlarmRow]:
    """Return the rows of alarms, the worst first."""
    looking = viewer(request, views)
    return [
        alarms.alarm_row(view, looking, _subject(view), timezone.now())
        for view in alarms.worst_first(views)
    ]


def _subject(view: View) -> naming.Named:
    """Return what an alarm is about; some are about no volume."""
    name = (view.get('details') or {}).get('name')
    return naming.Named(
        volume_id=str(view['subject']),
        name=str(name or ''),
        is_in_cloud=str(view['kind']).startswith('volume-'),
    )


def _names(request: Any, user_ids: set[str]) -> dict[str, str]:
    """Return what Keystone calls users, if the viewer is an administrator.

    It is asked once in a while; whom it does not tell of has no name.
    """
    if dashboard_of(request) != 'admin':
        return {}
    known = {}
    for user_id in user_ids:
        # Not all administrators may know all users.
        key = f'virtdc-user-{request.user.id}-{user_id}'
        name = cache.get(key)
        if name is None:
            try:
                name = keystone.user_get(request, user_id, admin=False).name
            except auth_exceptions.ClientException:
                LOG.debug('Keystone does not tell of user %s', user_id)
                name = ''
            cache.set(key, name, _KEPT_S)
        known[user_id] = str(name)
    return known


def _client(request: Any) -> Client:
    try:
        endpoint = base.url_for(request, SERVICE_TYPE)
    except exceptions.ServiceCatalogException as exc:
        raise ApiError(Client.no_endpoint) from exc
    # As Horizon verifies whom it talks to. The token goes to no address but
    # the catalog's.
    session = auth_utils.get_session(
        auth=token_endpoint.Token(endpoint, request.user.token.id),
        redirect=False,
        timeout=getattr(settings, 'VIRTDC_TIMEOUT_S', TIMEOUT_S),
    )
    return Client(
        adapter.Adapter(session, service_type=SERVICE_TYPE, connect_retries=0)
    )
