"""Metrics and health over HTTP, at an address of their own.

Not at that of the REST API: who watches needs no token for volumes, takes
none of the threads that users wait for, and hears also of an agent that has
no API. What is told has no names or ids in it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import ipaddress
import json
import logging
import threading
from typing import Any

from cheroot import wsgi
import prometheus_client as prometheus

from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring.health import Health

LOG = logging.getLogger(__name__)

_THREADS = 4
_IDLE_S = 10
_STOP_S = 2
_INDEX = b'/metrics\n/healthcheck\n/healthcheck/live\n'


class Application:
    """The WSGI application.

    ``/metrics`` is for Prometheus. ``/healthcheck/live`` is 200 unless the
    process has to be restarted, ``/healthcheck`` is 200 if it can do its
    work: each is 503 otherwise, and says why.
    """

    def __init__(self, board: Board, health: Health) -> None:
        self._metrics = prometheus.make_wsgi_app(
            board.registry, disable_compression=True
        )
        self._health = health

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        if environ['REQUEST_METHOD'] not in ('GET', 'HEAD'):
            start_response('405 Method Not Allowed', [('Allow', 'GET, HEAD')])
            return []
        match environ.get('PATH_INFO'):
            case '/metrics':
                answer: Iterable[bytes] = self._metrics(
                    environ, start_response
                )
                return answer
            case '/healthcheck':
                return _report(self._health.readiness(), start_response)
            case '/healthcheck/live':
                return _report(self._health.liveness(), start_response)
            case '/':
                start_response('200 OK', [('Content-Type', 'text/plain')])
                return [_INDEX]
        start_response('404 Not Found', [('Content-Type', 'text/plain')])
        return [b'There is:\n' + _INDEX]


def _report(
    checks: Iterable[Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    found = list(checks)
    ok = all(check.ok for check in found)
    start_response(
        '200 OK' if ok else '503 Service Unavailable',
        [('Content-Type', 'application/json'), ('Cache-Control', 'no-store')],
    )
    body = {
        'status': 'ok' if ok else 'unavailable',
        'checks': [
            {'name': check.name, 'ok': check.ok, 'message': check.message}
            for check in found
        ],
    }
    return [json.dumps(body).encode()]


class MonitoringServer:
    """Serves the application from threads of this process."""

    def __init__(
        self, application: Application, *, address: tuple[str, int]
    ) -> None:
        self._server = wsgi.Server(
            address,
            application,
            numthreads=_THREADS,
            max=_THREADS,
            server_name='virtdc',
            timeout=_IDLE_S,
            shutdown_timeout=_STOP_S,
        )
        self._server.software = 'virtdc'
        self._server.max_request_header_size = 16 * 1024
        self._server.max_request_body_size = 1024
        self._thread = threading.Thread(
            target=self._server.serve, name='monitoring', daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        port: int = self._server.socket.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen from now on.

        :raises OSError: the address cannot be had.
        """
        self._server.prepare()
        self._thread.start()
        LOG.info('Metrics and health are served on port %d.', self.port)

    def stop(self) -> None:
        """Listen no more."""
        ending = threading.Thread(
            target=self._server.stop, name='monitoring-stop', daemon=True
        )
        ending.start()
        ending.join(_STOP_S + 2)


def make_server(
    board: Board, health: Health, options: Any
) -> MonitoringServer:
    """Return the server that a group of ``options`` asks for."""
    if not _is_loopback(options.bind_host):
        LOG.warning(
            'Metrics and health are served on %s, to whoever reaches it.',
            options.bind_host,
        )
    return MonitoringServer(
        Application(board, health),
        address=(options.bind_host, options.bind_port),
    )


def _is_loopback(host: str) -> bool:
    if host.lower() == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
