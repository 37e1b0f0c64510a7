"""Alarms by HTTPS to one address, signed.

The signature is that of the specification *Standard Webhooks*: the headers
``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` with a
HMAC-SHA256 of ``id.timestamp.body``. The body is a CloudEvent.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
from typing import Any
import urllib.parse

from cinder_virtdc.alarms import reports
from cinder_virtdc.alarms.reports import Report
from cinder_virtdc.clock import Clock
from cinder_virtdc import exceptions

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SECRET_BYTES = 16
"""A shorter secret can be guessed."""


class Webhook:
    """Posts reports; follows no redirects, and goes to no inner address.

    The name is looked up once for each report, and the connection goes to
    the address that was checked: a name that means something else a moment
    later leads nowhere.

    :param allowed: inner networks that may be reached all the same; in them
        plain HTTP will do.
    :raises ConfigInvalid: the address or the secret cannot be used.
    """

    name = 'webhook'

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        clock: Clock,
        timeout_s: float = 15.0,
        allowed: Collection[str] = (),
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ('https', 'http') or not parts.hostname:
            raise exceptions.ConfigInvalid(
                'alarm_webhook_url must look like https://host/path.'
            )
        if parts.username is not None:
            raise exceptions.ConfigInvalid(
                'alarm_webhook_url must hold no user or password: reports '
                'are signed with alarm_webhook_secret.'
            )
        if len(secret.encode()) < SECRET_BYTES:
            raise exceptions.ConfigInvalid(
                f'alarm_webhook_secret must have at least {SECRET_BYTES} '
                'bytes.'
            )
        try:
            self._allowed = [ipaddress.ip_network(one) for one in allowed]
        except ValueError as exc:
            raise exceptions.ConfigInvalid(
                f'alarm_webhook_allowed_networks cannot be used: {exc}.'
            ) from exc
        self._parts = parts
        self._secret = secret.encode()
        self._clock = clock
        self._timeout_s = timeout_s

    def send(self, report: Report) -> None:
        """See ``Outlet``."""
        body = json.dumps(reports.cloud_event(report)).encode()
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {
            'Content-Type': 'application/cloudevents+json',
            'User-Agent': 'cinder-virtdc-listener',
            'webhook-id': report.message_id,
            'webhook-timestamp': timestamp,
            'webhook-signature': signature(
                self._secret, report.message_id, timestamp, body
            ),
        }
        try:
            status = self._post(body, headers)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise exceptions.OutletFailed(
                f'{self._parts.hostname} did not take it: {exc}.'
            ) from exc
        if not 200 <= status < 300:
            raise exceptions.OutletFailed(
                f'{self._parts.hostname} answered {status}.'
            )

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = self._connection()
        path = urllib.parse.urlunsplit(
            ('', '', self._parts.path or '/', self._parts.query, '')
        )
        try:
            connection.request('POST', path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ''
        is_tls = self._parts.scheme == 'https'
        port = self._parts.port or (443 if is_tls else 80)
        address = self._address(host, port, is_tls)
        connection = http.client.HTTPConnection(
            host, port, timeout=self._timeout_s
        )
        plain = socket.create_connection((address, port), self._timeout_s)
        if not is_tls:
            connection.sock = plain
            return connection
        try:
            connection.sock = ssl.create_default_context().wrap_socket(
                plain, server_hostname=host
            )
        except BaseException:
            plain.close()
            raise
        return connection

    def _address(self, host: str, port: int, is_tls: bool) -> str:
        found: list[Any] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )
        for *_, place in found:
            address = ipaddress.ip_address(str(place[0]).partition('%')[0])
            is_allowed = any(address in one for one in self._allowed)
            if is_allowed or (is_tls and _is_outer(address)):
                return str(address)
        raise exceptions.OutletFailed(
            f'{host} leads to an inner address'
            f'{"" if is_tls else ", or is asked without TLS"}: name its '
            'network in alarm_webhook_allowed_networks if that is meant.'
        )


def signature(secret: bytes, message_id: str, at: str, body: bytes) -> str:
    """Return the value of the header ``webhook-signature``."""
    signed = b'.'.join((message_id.encode(), at.encode(), body))
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return 'v1,' + base64.b64encode(digest).decode()


def _is_outer(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> bool:
    mapped = getattr(address, 'ipv4_mapped', None)
    return (mapped or address).is_global and not address.is_multicast
