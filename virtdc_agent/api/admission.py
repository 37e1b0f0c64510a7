"""What every request passes, in and out: names, rights to be here, headers."""

from __future__ import annotations

from collections.abc import Sequence
import ipaddress
import logging
import re
from typing import Any

import falcon
from oslo_context import context

from virtdc_agent.api import callers
from virtdc_agent.api import problems
from virtdc_agent.api import rates

LOG = logging.getLogger(__name__)

REQUEST_ID = 'X-OpenStack-Request-ID'
_REQUEST_ID = re.compile(r'req-[0-9a-f-]{36}')

SECURITY_HEADERS = {
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Resource-Policy': 'same-origin',
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"


class RequestIds:
    """Names every request, in its answer and in the log.

    A caller's own request id is taken over if it is one, so that a request
    can be followed through several services.
    """

    def process_request(
        self, req: falcon.Request, resp: falcon.Response
    ) -> None:
        """Give it a name."""
        given = req.get_header(REQUEST_ID) or ''
        request_id = (
            given
            if _REQUEST_ID.fullmatch(given)
            else context.generate_request_id()
        )
        req.context.request_id = request_id
        # Kept for this thread: log records of this request have it.
        context.RequestContext(request_id=request_id, overwrite=True)

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Say the name."""
        resp.set_header(REQUEST_ID, problems.request_id_of(req))
        LOG.debug('%s %s: %s', req.method, req.path, resp.status)


class Headers:
    """Says what browsers may do with an answer: as little as possible.

    :param secure: the application is reached over TLS alone.
    """

    def __init__(self, *, secure: bool) -> None:
        self._secure = secure

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Add them, where the resource has not said something else."""
        for name, value in SECURITY_HEADERS.items():
            resp.set_header(name, value)
        if not resp.get_header('Content-Security-Policy'):
            resp.set_header('Content-Security-Policy', API_POLICY)
        if not resp.get_header('Cache-Control'):
            resp.set_header('Cache-Control', 'no-store')
        if self._secure:
            resp.set_header('Strict-Transport-Security', 'max-age=31536000')


class LocalOnly:
    """Refuses what a web page elsewhere has a browser on this machine send.

    For an API without authentication: its only protection is that it is
    reached from this machine alone, and a browser on it shows pages of
    others. They cannot forge these headers.
    """

    def process_request(
        self, req: falcon.Request, resp: falcon.Response
    ) -> None:
        """Refuse foreign names of this machine, and foreign pages."""
        if not is_loopback(_host_of(req.get_header('Host') or '')):
            raise problems.Problem(
                403,
                'foreign-host',
                'Without authentication this API answers to localhost alone.',
            )
        origin = req.get_header('Origin')
        if origin is not None and not is_same_origin(req, origin):
            raise problems.Problem(
                403, 'foreign-origin', 'Pages of others may not ask here.'
            )


class Admission:
    """Lets in who is known and not too busy.

    A resource that anybody may ask says so: ``is_public = True``.

    :param authenticators: each knows one kind of credential.
    :param failures: bounds the attempts of an address with bad credentials.
    """

    def __init__(
        self,
        authenticators: Sequence[callers.Authenticator],
        *,
        requests: rates.Rates,
        failures: rates.Rates,
    ) -> None:
        self._authenticators = authenticators
        self._requests = requests
        self._failures = failures

    def process_resource(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        params: dict[str, Any],
    ) -> None:
        """Find out who asks, before the resource is asked.

        :raises Problem: nobody who may.
        """
        if getattr(resource, 'is_public', False):
            self._count(self._requests, f'address\n{req.remote_addr}')
            return
        caller = self._authenticate(req)
        self._count(self._requests, f'caller\n{caller.key}')
        req.context.caller = caller
        context.RequestContext(
            request_id=problems.request_id_of(req),
            user_id=caller.user_id,
            project_id=caller.project_id,
            overwrite=True,
        )

    def _authenticate(self, req: falcon.Request) -> callers.Caller:
        try:
            for authenticator in self._authenticators:
                caller = authenticator.authenticate(req)
                if caller is not None:
                    return caller
            why = 'there is no credential'
        except callers.Unauthenticated as exc:
            why = str(exc)
        self._count(self._failures, f'address\n{req.remote_addr}')
        LOG.info(
            'Refused %s %s of %s: %s.',
            req.method,
            req.path,
            req.remote_addr,
            why,
        )
        raise problems.Problem(
            401,
            'unauthenticated',
            'Say who you are: with a token that is known here, and not '
            'expired.',
            headers={
                'WWW-Authenticate': ', '.join(
                    one.challenge for one in self._authenticators
                )
            },
        )

    def _count(self, bucket: rates.Rates, key: str) -> None:
        wait_s = bucket.take(key)
        if wait_s:
            raise problems.Problem(
                429,
                'too-many-requests',
                f'That was too much at once: go on in {wait_s} s.',
                headers={'Retry-After': str(wait_s)},
            )


def is_loopback(host: str) -> bool:
    """Say whether a name or an address is this machine's alone."""
    if host.lower() == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_same_origin(req: falcon.Request, origin: str) -> bool:
    """Say whether a page is one of ours."""
    return origin == f'{req.forwarded_scheme}://{req.get_header("Host")}'


def _host_of(text: str) -> str:
    """Return a ``Host`` header without its port."""
    if text.startswith('['):
        return text[1:].partition(']')[0]
    return text.partition(':')[0]
