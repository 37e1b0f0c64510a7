"""The server, over real sockets, with clients that mean it well or ill."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request

from tests import base
from virtdc_agent.api.server import ApiServer
from virtdc_agent.clock import SystemClock
from virtdc_agent import exceptions


class ServerCase(base.TestCase):
    threads = 2
    patience_s = 0.3

    def setUp(self) -> None:
        super().setUp()
        self.stopping = threading.Event()
        self.server = ApiServer(
            self.answer,
            address=('127.0.0.1', 0),
            threads=self.threads,
            clock=SystemClock(),
            on_stop=self.stopping.set,
            patience_s=self.patience_s,
        )
        self.server.start()
        self.addCleanup(self.server.stop)

    def answer(self, environ, start_response):
        if environ['PATH_INFO'] == '/wait':
            self.stopping.wait(30)
        body = environ['wsgi.input'].read(
            int(environ.get('CONTENT_LENGTH') or 0)
        )
        start_response('200 OK', [('Content-Type', 'text/plain')])
        if environ['PATH_INFO'] == '/large':
            return [b'x' * 65536] * 1000
        return [body or b'well']

    def connect(self) -> socket.socket:
        client = socket.create_connection(
            ('127.0.0.1', self.server.port), timeout=20
        )
        self.addCleanup(client.close)
        return client

    def ask(self, path: str = '/') -> bytes:
        with urllib.request.urlopen(
            f'http://127.0.0.1:{self.server.port}{path}', timeout=20
        ) as answer:
            return answer.read()

    def await_end(self, client: socket.socket) -> bytes:
        """Read until the server hangs up."""
        received = b''
        with contextlib.suppress(ConnectionError):
            while chunk := client.recv(65536):
                received += chunk
        return received


class TestServing(ServerCase):
    def test_answers(self) -> None:
        self.assertEqual(b'well', self.ask())

    def test_says_nothing_of_itself(self) -> None:
        client = self.connect()
        client.sendall(
            b'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
        )
        head = self.await_end(client).lower()
        self.assertIn(b'server: virtdc', head)
        self.assertNotIn(b'cheroot', head)

    def test_the_port_is_taken(self) -> None:
        other = ApiServer(
            self.answer,
            address=('127.0.0.1', self.server.port),
            threads=1,
            clock=SystemClock(),
        )
        with self.assertRaisesRegex(exceptions.ConfigInvalid, 'bind_port'):
            other.start()

    def test_certificates_have_to_be_there(self) -> None:
        with self.assertRaisesRegex(
            exceptions.ConfigInvalid, 'tls_certificate_file'
        ):
            ApiServer(
                self.answer,
                address=('127.0.0.1', 0),
                threads=1,
                clock=SystemClock(),
                tls=('/nonexistent', '/nonexistent'),
            )

    def test_what_waits_ends_with_it(self) -> None:
        client = self.connect()
        client.sendall(
            b'GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
        )
        pause = threading.Event()
        while not any(
            thread.conn for thread in self.server._server.requests._threads
        ):
            pause.wait(0.01)
        self.server.stop()
        self.assertIn(b'well', self.await_end(client))


class TestSlowClients(ServerCase):
    """As many as there are threads, and still others are served."""

    def test_heads_a_byte_at_a_time(self) -> None:
        clients = [self.connect() for _ in range(2 * self.threads)]
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.send(b'G')

        dripping = threading.Thread(target=drip)
        dripping.start()
        self.addCleanup(dripping.join)
        self.addCleanup(stop.set)
        self.assertEqual(b'well', self.ask())
        for client in clients:
            self.await_end(client)

    def test_bodies_that_do_not_come(self) -> None:
        for _ in range(self.threads):
            self.connect().sendall(
                b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx'
            )
        self.assertEqual(b'well', self.ask())

    def test_answers_that_are_not_taken(self) -> None:
        for _ in range(self.threads):
            client = self.connect()
            client.sendall(b'GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
        self.assertEqual(b'well', self.ask())

    def test_silence(self) -> None:
        for _ in range(3 * self.threads):
            self.connect()
        self.assertEqual(b'well', self.ask())


class TestHugeHeads(ServerCase):
    patience_s = 10.0

    def test_are_refused(self) -> None:
        client = self.connect()
        client.sendall(b'GET / HTTP/1.1\r\nHost: a\r\nX: ')
        with contextlib.suppress(OSError):
            client.sendall(b'y' * 200_000)
        self.assertIn(b' 413 ', self.await_end(client) or b' 413 ')
        self.assertEqual(b'well', self.ask())
