"""Commands on the real application, in memory; Cinder is the fake cloud."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import io
import json
from typing import Any
from unittest import mock

from keystoneauth1 import exceptions as auth_exceptions

from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.osc import client as clients
from cinder_virtdc.osc import sides
from tests.unit.api import base


@dataclasses.dataclass
class Response:
    """What requests would return."""

    status_code: int
    text: str
    headers: Mapping[str, str]
    reason: str = ''

    @property
    def content(self) -> bytes:
        return self.text.encode()

    def json(self) -> Any:
        return json.loads(self.text)


class Adapter:
    """A keystoneauth adapter that leads to the application.

    A request that would wait runs the next of ``meanwhile`` instead.
    """

    def __init__(self, case: base.ApiCase) -> None:
        self.case = case
        self.caller = 'admin'
        self.requests: list[tuple[str, str, Mapping[str, Any]]] = []
        self.meanwhile: list[Callable[[], Any]] = []
        self.answers: list[Response | Exception] = []
        self.endpoint: str | None = 'http://dc'

    def get_endpoint(self) -> str | None:
        return self.endpoint

    def request(
        self,
        path: str,
        method: str,
        *,
        params: Mapping[str, Any],
        json: Any,
        headers: Mapping[str, str],
        raise_exc: bool,
    ) -> Response:
        self.requests.append((method, path, params))
        query = dict(params)
        if query.pop('wait', 0):
            if not self.meanwhile:
                raise KeyboardInterrupt
            self.meanwhile.pop(0)()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        result = self.case.ask(
            method,
            path,
            json,
            caller=self.caller,
            headers=headers,
            params=query,
        )
        return Response(result.status_code, result.text, result.headers)


class App:
    """What a command needs of the shell."""

    def __init__(self, virtdc: Any, terminal: bool = False) -> None:
        self.stdout = Stream(terminal)
        self.stderr = Stream(terminal)
        self.client_manager = mock.Mock()
        self.client_manager.virtdc = virtdc


class Stream(io.StringIO):
    """A stream that may say it is a terminal."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


class Lost(auth_exceptions.ConnectFailure):
    """Nobody answers."""


class CommandCase(base.ApiCase):
    """Runs commands as the shell does, through their parsers."""

    def setUp(self) -> None:
        super().setUp()
        self.adapter = Adapter(self)
        self.app_ = App(clients.Client(self.adapter))
        self.cloud = FakeCloud()
        self.command_clock: Any = self.clock
        patches = (
            mock.patch.object(
                sides, 'cloud', autospec=True, return_value=self.cloud
            ),
            mock.patch.object(
                sides, 'cloud_volume', autospec=True, side_effect=self._find
            ),
        )
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)

    def _find(self, manager: Any, name_or_id: str) -> CloudVolume | None:
        try:
            return self.cloud.get_volume(name_or_id)
        except exceptions.VolumeGone:
            return next(
                (
                    one
                    for one in self.cloud.volumes.values()
                    if one.name == name_or_id
                ),
                None,
            )

    def run_command(self, kind: Any, *argv: str) -> int:
        """Run a command; return its exit status, or raise its error."""
        self.app_.stdout.truncate(0)
        self.app_.stdout.seek(0)
        with mock.patch.object(kind, 'clock', self.command_clock):
            command = kind(self.app_, argparse.Namespace())
            parsed = command.get_parser('openstack').parse_args(list(argv))
            return int(command.run(parsed))

    def rows(self, kind: Any, *argv: str) -> Any:
        """Run a command for programs; return what it prints."""
        self.run_command(kind, *argv, '-f', 'json')
        return json.loads(self.app_.stdout.getvalue())

    def printed(self, kind: Any, *argv: str) -> str:
        """Run a command for people; return what it prints."""
        self.run_command(kind, *argv)
        return self.app_.stdout.getvalue()

    @property
    def said(self) -> str:
        """What was told beside the output."""
        return self.app_.stderr.getvalue()
