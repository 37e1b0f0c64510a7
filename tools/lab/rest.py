"""A plain JSON client for services on loopback; no proxy, no retry."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import http.client
import json
from typing import Any
import urllib.parse

from tools.lab import errors

Json = Any
"""Decoded JSON: its shape is the service's."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer of whatever status."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Json
    """Decoded, or the text if it is not JSON."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rest:
    """Speaks to one service. Thread-safe: a connection per request."""

    url: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    timeout_s: float = 60.0

    def ask(self, method: str, path: str, body: Json = None) -> Answer:
        """Send a request and return the answer, also that of a refusal.

        :raises OSError: no answer came.
        """
        address = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(
            address.hostname or '', address.port, timeout=self.timeout_s
        )
        headers = {'Accept': 'application/json', **self.headers}
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers['Content-Type'] = 'application/json'
        try:
            connection.request(method, address.path + path, content, headers)
            response = connection.getresponse()
            text = response.read().decode('utf-8', 'replace')
        except http.client.HTTPException as exc:
            raise ConnectionError(f'{self.url}: {exc!r}') from exc
        finally:
            connection.close()
        try:
            decoded = json.loads(text) if text else None
        except ValueError:
            decoded = text
        return Answer(
            status=response.status,
            headers={k.lower(): v for k, v in response.getheaders()},
            body=decoded,
        )

    def call(self, method: str, path: str, body: Json = None) -> Json:
        """Send a request and return the body of a good answer.

        :raises LabError: it was refused; the message quotes the answer.
        """
        answer = self.ask(method, path, body)
        if answer.status >= 400:
            raise errors.LabError(
                f'{method} {self.url}{path} answered {answer.status}: '
                f'{answer.body}'
            )
        return answer.body

    def get(self, path: str) -> Json:
        """Read; see :meth:`call`."""
        return self.call('GET', path)

    def post(self, path: str, body: Json) -> Json:
        """Create or act; see :meth:`call`."""
        return self.call('POST', path, body)

    def put(self, path: str, body: Json = None) -> Json:
        """Set; see :meth:`call`."""
        return self.call('PUT', path, body)

    def delete(self, path: str) -> Json:
        """Delete; see :meth:`call`."""
        return self.call('DELETE', path)

    def answers(self, path: str = '', *, below: int = 400) -> bool:
        """Say whether the service gives a good answer; never raises."""
        try:
            return self.ask('GET', path).status < below
        except OSError:
            return False
