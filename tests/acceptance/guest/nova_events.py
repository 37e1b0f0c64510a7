"""What Cinder needs of Nova's API: to be told of a volume that has grown.

Stands in for Nova's API and its message bus; what is done about an event is
Nova's own code again.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from http import server
import json
import threading
from typing import Any

PATH = '/os-server-external-events'

OnExtended = Callable[[str, str], None]
"""Is told the server's id and the volume's, from the API's thread."""


class NovaEvents:
    """Takes external events on loopback."""

    def __init__(self, port: int, on_extended: OnExtended) -> None:
        self._on_extended = on_extended
        events = self

        class Handler(server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self) -> None:
                length = int(self.headers.get('Content-Length', 0))
                status, body = events.answer(
                    self.path, self.rfile.read(length)
                )
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = server.ThreadingHTTPServer(('127.0.0.1', port), Handler)

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(
            target=self._server.serve_forever, daemon=True
        ).start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, content: bytes) -> tuple[int, Any]:
        """Return the status and the body of an answer."""
        if not path.endswith(PATH):
            return 404, {'itemNotFound': {'code': 404, 'message': path}}
        events: list[Mapping[str, str]] = json.loads(content)['events']
        for event in events:
            if event['name'] == 'volume-extended':
                self._on_extended(event['server_uuid'], event['tag'])
        return 200, {
            'events': [
                {**event, 'code': 200, 'status': 'completed'}
                for event in events
            ]
        }
