"""The cloud as a user sees it: the ``openstack`` client and the API."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
from pathlib import Path
import subprocess
import threading
import time
from typing import Any

from tools.lab import errors
from tools.lab import installation
from tools.lab import stack


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A volume as the cloud shows it at one moment."""

    volume_id: str
    name: str
    status: str
    size_gib: int
    properties: Mapping[str, str]

    @property
    def state(self) -> str:
        """The state of the latest event, as far as the cloud knows."""
        return self.properties.get('virtdc.state', '')

    @property
    def operation(self) -> str:
        """The operation of the latest event."""
        return self.properties.get('virtdc.operation', '')

    @property
    def progress(self) -> str:
        """How far the latest event is."""
        return self.properties.get('virtdc.progress', '')

    @property
    def is_settled(self) -> bool:
        """Whether neither status nor state will change by itself."""
        return not self.status.endswith('ing') and self.state in (
            'success',
            'failed',
        )


class Cloud:
    """Asks a lab's cloud. Thread-safe."""

    def __init__(self, lab: stack.Lab) -> None:
        self._client = lab.cinder.client()
        self._openstack = installation.Installation.current().program(
            'openstack'
        )
        self._environment = {
            **{k: v for k, v in os.environ.items() if k[:3] != 'OS_'},
            **lab.environment,
            # As wide as a terminal: some values are sentences.
            'CLIFF_MAX_TERM_WIDTH': '79',
            'CLIFF_FIT_WIDTH': '1',
        }

    def volumes(self) -> list[Seen]:
        """Return all volumes."""
        body = self._client.get('/volumes/detail?limit=1000')
        return [_seen(volume) for volume in body['volumes']]

    def find(self, name: str) -> Seen | None:
        """Return the volume of this name."""
        return next((one for one in self.volumes() if one.name == name), None)

    def make_type(self, name: str, extra_specs: Mapping[str, str]) -> None:
        """Create a volume type."""
        self._client.post(
            '/types',
            {'volume_type': {'name': name, 'extra_specs': dict(extra_specs)}},
        )

    def run(self, *arguments: str) -> str:
        """Run the ``openstack`` client; return what it prints.

        :raises LabError: it failed; quotes what it said.
        """
        done = subprocess.run(
            [self._openstack, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise errors.LabError(
                f'openstack {" ".join(arguments)}: {done.stderr.strip()}'
            )
        return done.stdout

    def run_many(
        self, commands: Sequence[str], *, clients: int = 4
    ) -> list[threading.Thread]:
        """Give commands to several ``openstack`` clients, and go on.

        :returns: the threads that wait for them.
        """
        threads = [
            threading.Thread(
                target=subprocess.run,
                args=([self._openstack],),
                kwargs={
                    'env': self._environment,
                    'input': '\n'.join(commands[turn::clients]) + '\n',
                    'stdout': subprocess.DEVNULL,
                    'stderr': subprocess.DEVNULL,
                    'text': True,
                    'check': False,
                },
                daemon=True,
            )
            for turn in range(clients)
        ]
        for thread in threads:
            thread.start()
        return threads


def image_info(path: Path) -> str:
    """Return what ``qemu-img info`` says of a file."""
    return subprocess.run(
        ['qemu-img', 'info', '-U', str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def wait_until(
    ready: Any, *, timeout_s: float, what: str, every_s: float = 0.2
) -> float:
    """Wait until ``ready()`` is true; return the seconds it took.

    :raises LabError: it was not in time.
    """
    begun = time.monotonic()
    while not ready():
        if time.monotonic() - begun > timeout_s:
            raise errors.LabError(f'After {timeout_s:g} s still not: {what}.')
        time.sleep(every_s)
    return time.monotonic() - begun


def _seen(volume: Mapping[str, Any]) -> Seen:
    return Seen(
        volume_id=volume['id'],
        name=volume['name'] or '',
        status=volume['status'],
        size_gib=volume['size'],
        properties=volume['metadata'],
    )
