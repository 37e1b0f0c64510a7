"""Serves the application over HTTP, from threads of this process.

On cheroot, with what it lacks against clients that are slow on purpose: its
timeout is for each read, so that a byte now and then would hold a thread for
ever. Here the request as a whole has to come in time, and each part of the
answer to be taken in time; and a TLS handshake is made by the thread that
serves the client, not by the one that accepts all.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import socket
import ssl
import threading
from typing import Any

from cheroot import server as http
from cheroot.ssl import builtin
from cheroot import wsgi

from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 20.0
"""For the request to come, head and body, and for each part of an answer to
be taken."""
_IDLE_S = 10
_LOOK_S = 1.0
_MAX_HEAD_BYTES = 32 * 1024
_MAX_BODY_BYTES = 1024 * 1024
_BACKLOG = 64
_STOP_S = 5


class _Request(http.HTTPRequest):
    """A request whose head has to come in time."""

    def parse_request(self) -> None:
        """Read the head."""
        with self.conn.hurried():
            super().parse_request()


class _Connection(http.HTTPConnection):
    """A client, and until when it has to do its part.

    ``until`` is set while its thread waits for it, and only then.
    """

    RequestHandlerClass = _Request
    until: float | None = None

    @contextlib.contextmanager
    def hurried(self) -> Iterator[None]:
        """Have the client cut off if it takes too long."""
        server: Any = self.server
        self.until = server.clock.monotonic() + server.patience_s
        try:
            yield
        finally:
            self.until = None

    def cut_off(self) -> None:
        """End the connection under a thread that waits for it."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class _Input:
    """A request's body, which has to come in time."""

    def __init__(self, source: Any, connection: _Connection) -> None:
        self._source = source
        self._connection = connection

    def read(self, size: int | None = None) -> bytes:
        """Read some."""
        with self._connection.hurried():
            data: bytes = self._source.read(size)
            return data

    def readline(self, size: int | None = None) -> bytes:
        """Read a line."""
        with self._connection.hurried():
            data: bytes = self._source.readline(size)
            return data


class _Gateway(wsgi.Gateway_10):
    """Between a request and the application."""

    def __init__(self, req: http.HTTPRequest) -> None:
        super().__init__(req)
        environ: dict[str, Any] = self.env
        environ['wsgi.input'] = _Input(environ['wsgi.input'], req.conn)

    def write(self, chunk: bytes) -> None:
        """Send a part of the answer."""
        with self.req.conn.hurried():
            super().write(chunk)


class _Adapter(builtin.BuiltinSSLAdapter):
    """TLS whose handshake is made with the first read."""

    def __init__(self, certificate: str, key: str) -> None:
        super().__init__(certificate, key)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2

    def wrap(
        self, sock: socket.socket
    ) -> tuple[ssl.SSLSocket, dict[str, Any]]:
        """Return the socket, not shaken hands over yet."""
        wrapped = self.context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, {'wsgi.url_scheme': 'https', 'HTTPS': 'on'}


class _Server(wsgi.Server):
    ConnectionClass = _Connection

    clock: interfaces.Clock
    patience_s: float

    def error_log(
        self, msg: str = '', level: int = logging.INFO, traceback: bool = False
    ) -> None:
        """Log what went wrong with a client: mostly the client itself."""
        LOG.log(
            logging.DEBUG if level < logging.ERROR else level,
            'HTTP: %s',
            msg,
            exc_info=traceback,
        )


class ApiServer:
    """Listens, and has the application answer.

    :param on_stop: has what waits inside the application return at once.
    """

    def __init__(
        self,
        application: Callable[..., Any],
        *,
        address: tuple[str, int],
        threads: int,
        clock: interfaces.Clock,
        tls: tuple[str, str] | None = None,
        on_stop: Callable[[], None] = lambda: None,
        patience_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        self._on_stop = on_stop
        self._clock = clock
        self._server = server = _Server(
            address,
            application,
            numthreads=threads,
            max=threads,
            server_name='virtdc',
            request_queue_size=_BACKLOG,
            timeout=_IDLE_S,
            shutdown_timeout=_STOP_S,
        )
        server.gateway = _Gateway
        server.software = 'virtdc'
        server.clock = clock
        server.patience_s = patience_s
        server.max_request_header_size = _MAX_HEAD_BYTES
        server.max_request_body_size = _MAX_BODY_BYTES
        server.keep_alive_conn_limit = 4 * threads
        if tls is not None:
            try:
                server.ssl_adapter = _Adapter(*tls)
            except (OSError, ValueError) as exc:
                raise _unusable(exc) from exc
        self._error: Exception | None = None
        self._listening = threading.Event()
        self._changed = threading.Condition()
        self._stopped = False
        # Its threads are daemons as it is: one that the storage holds must
        # not keep the process.
        self._thread = threading.Thread(
            target=self._run, name='api', daemon=True
        )
        self._watchman = threading.Thread(
            target=self._watch, name='api-patience', daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        port: int = self._server.socket.getsockname()[1]
        return port

    def use_threads(self, threads: int) -> None:
        """Answer with so many threads from now on.

        Those that are too many end once they have answered.
        """
        pool = self._server.requests
        surplus = len(pool._threads) - threads
        pool.min = pool.max = threads
        self._server.keep_alive_conn_limit = 4 * threads
        if surplus > 0:
            pool.shrink(surplus)
        elif surplus < 0:
            pool.grow(-surplus)

    def use_certificate(self, certificate: str, key: str) -> None:
        """Show another certificate to those who connect from now on.

        For a server that has one.

        :raises ConfigInvalid: it cannot be used; the former one is shown.
        """
        try:
            # A pair that does not match would spoil what is in use.
            _Adapter(certificate, key)
            self._server.ssl_adapter.context.load_cert_chain(certificate, key)
        except (OSError, ValueError) as exc:
            raise _unusable(exc) from exc

    def start(self) -> None:
        """Listen from now on.

        :raises ConfigInvalid: the address cannot be had.
        """
        self._thread.start()
        self._listening.wait()
        if self._error is not None:
            raise exceptions.ConfigInvalid(
                f'[api] bind_host and bind_port cannot be used: {self._error}'
            ) from self._error
        self._watchman.start()

    def stop(self) -> None:
        """Listen no more; answer what has been asked, within seconds."""
        self._on_stop()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        ending = threading.Thread(
            target=self._server.stop, name='api-stop', daemon=True
        )
        ending.start()
        ending.join(_STOP_S + 2)

    def _run(self) -> None:
        try:
            self._server.prepare()
        except OSError as exc:
            self._error = exc
            return
        finally:
            self._listening.set()
        self._server.serve()

    def _watch(self) -> None:
        """Cut off clients that are too slow."""
        while True:
            with self._changed:
                if not self._stopped:
                    self._clock.wait(self._changed, _LOOK_S)
                if self._stopped:
                    return
            now = self._clock.monotonic()
            for thread in list(self._server.requests._threads):
                connection = thread.conn
                until = getattr(connection, 'until', None)
                if until is not None and now > until:
                    connection.cut_off()


def _unusable(exc: Exception) -> exceptions.ConfigInvalid:
    return exceptions.ConfigInvalid(
        f'[api] tls_certificate_file or tls_key_file cannot be used: {exc}'
    )
