"""The data centre's REST API, as the commands need it."""

from __future__ import annotations

import re
from typing import Any
import urllib.parse

from keystoneauth1 import adapter
from keystoneauth1 import noauth
from keystoneauth1 import session as sessions
from osc_lib import exceptions

from cinder_virtdc import rest_client

_VERSION = re.compile(r'/v1/?$')


class ApiError(rest_client.ApiError, exceptions.CommandError):
    """The same, as the shell knows errors."""


class Client(rest_client.Client):
    """Says what to do in the words of the shell."""

    error = ApiError
    no_endpoint = (
        f'The catalog has no service of type {rest_client.SERVICE_TYPE}. '
        f'Register it (openstack service create {rest_client.SERVICE_TYPE}; '
        'openstack endpoint create), or name the address: '
        '--virtdc-endpoint or OS_VIRTDC_ENDPOINT.'
    )
    unauthenticated = (
        'Set OS_VIRTDC_TOKEN to a token of this data centre, or log in to '
        'the cloud that it trusts.'
    )


def make(instance: Any, *, endpoint: str | None, token: str | None) -> Client:
    """Return the client for the options of an ``openstack`` command.

    :param instance: the ``ClientManager``; is asked for Keystone's token
        only if there is no static one.
    """
    headers = {}
    if token:
        if not endpoint:
            raise exceptions.CommandError(
                'A static token needs the address that it is for: set '
                '--virtdc-endpoint or OS_VIRTDC_ENDPOINT too.'
            )
        # Keystone has no part in it, and does not see the token.
        session = sessions.Session(
            auth=noauth.NoAuth(), verify=instance.verify, cert=instance.cert
        )
        headers['Authorization'] = f'Bearer {token}'
    else:
        session = instance.session
        if not endpoint and isinstance(session.auth, noauth.NoAuth):
            # Whatever address that plugin was given, it is another's.
            raise ApiError(Client.no_endpoint)
    if endpoint:
        address = urllib.parse.urlsplit(endpoint)
        if address.scheme not in ('http', 'https') or not address.netloc:
            raise exceptions.CommandError(
                f'The endpoint {endpoint} is no address: it must look like '
                'https://dc1.example.org:8788.'
            )
    return Client(
        adapter.Adapter(
            session,
            service_type=rest_client.SERVICE_TYPE,
            interface=instance.interface,
            region_name=instance.region_name,
            endpoint_override=endpoint and _VERSION.sub('', endpoint),
            additional_headers=headers,
            # A request that changes something is not repeated by itself.
            connect_retries=0,
        )
    )
