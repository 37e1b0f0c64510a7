"""A real cloud for tests, started once and shared by all tests of a run."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from collections.abc import Mapping
import functools
import os
from pathlib import Path
import time
from typing import Any
import unittest

from tools.lab import errors
from tools.lab import rest
from tools.lab import stack
from tools.lab import virtdc

GIB = 1024**3
REQUIRED = 'VIRTDC_REQUIRE_SERVICES'
KEPT = 'VIRTDC_KEEP_LAB'
"""Set to look at logs and data after the tests."""

# Cinder loses what is on its way to a host when a broker with transient
# queues restarts. All who share a queue must agree on what it is.
DURABLE = {'oslo_messaging_rabbit': {'amqp_durable_queues': True}}
# Copies here take a second, and are to show how far they are all the same.
# Any port will do: the log says which.
MONITORING = {'enabled': True, 'bind_port': 0}
AGENT = {
    **DURABLE,
    'executor': {'progress_interval_s': 0.2},
    'monitoring': MONITORING,
}
LISTENER = {
    **DURABLE,
    'virtdc_monitoring': MONITORING,
    'virtdc': {
        'catch_up_interval_s': 2,
        'repair_interval_s': 2,
        'stuck_after_s': 4,
        'cloud_interval_s': 2,
        'resync_interval_s': 10,
        'write_min_interval_s': 0.2,
    },
}
# Longer than a restart of the broker takes here.
DRIVER = {'virtdc_rpc_timeout_s': 3, 'virtdc_submit_timeout_s': 20}


def settings(**changes: Any) -> stack.Settings:
    """Return a cloud without Keystone, our driver, the agent, the listener."""
    return stack.Settings(
        **{
            'backends': (virtdc.backend(options=DRIVER),),
            'cinder_options': DURABLE,
            'agent': virtdc.AgentSettings(options=AGENT),
            'listener': virtdc.ListenerSettings(options=LISTENER),
            **changes,
        }
    )


def start(wanted: stack.Settings) -> stack.Lab:
    """Start a lab that ends with this process.

    :raises SkipTest: it cannot be started here, and need not be.
    """
    try:
        lab = stack.Lab(settings=wanted)
        atexit.register(_end, lab)
        lab.up()
    except errors.LabError as exc:
        if os.environ.get(REQUIRED):
            raise
        raise unittest.SkipTest(f'no lab: {exc}') from exc
    return lab


def _end(lab: stack.Lab) -> None:
    lab.down()
    if not os.environ.get(KEPT):
        lab.remove()


@functools.cache
def shared_lab() -> stack.Lab:
    """Return the one lab that most tests share."""
    return start(settings())


@functools.cache
def keystone_lab() -> stack.Lab:
    """Return the one that tests with real users share."""
    return start(settings(keystone=True, rest=True, horizon=True))


class CloudCase(unittest.TestCase):
    """A test in the shared cloud; it leaves all services running.

    Every test makes its own volumes and deletes them at the end.
    """

    def setUp(self) -> None:
        super().setUp()
        self.lab = self.get_lab()
        self.cloud: rest.Rest = self.lab.cinder.client()
        if self.lab.agent is None or self.lab.listener is None:
            raise AssertionError('the lab has no agent or no listener')
        self.agent = self.lab.agent
        self.listener = self.lab.listener
        self.pool: Path = self.agent.pool
        self._made: list[str] = []
        self.addCleanup(self._clean_up)
        # The test before may have had a part of it down.
        self.await_pool('up')

    def get_lab(self) -> stack.Lab:
        """Return the lab to test in."""
        return shared_lab()

    def create(self, name: str = '', **wanted: Any) -> str:
        """Ask for a volume; return its id at once."""
        body = {'volume': {'size': 1, 'name': name or self.id(), **wanted}}
        volume_id: str = self.cloud.post('/volumes', body)['volume']['id']
        self._made.append(volume_id)
        return volume_id

    def show(self, volume_id: str) -> Mapping[str, Any]:
        """Return the volume as the cloud shows it."""
        found: Mapping[str, Any] = self.cloud.get(f'/volumes/{volume_id}')
        return found['volume']

    def act(self, volume_id: str, action: str, **arguments: Any) -> Any:
        """Send an action on a volume."""
        return self.cloud.post(
            f'/volumes/{volume_id}/action', {action: arguments}
        )

    def wait(
        self,
        volume_id: str,
        status: str = 'available',
        *,
        timeout_s: float = 60,
        **properties: str,
    ) -> Mapping[str, Any]:
        """Wait for a status and for properties ``virtdc.<name>``."""
        last: Mapping[str, Any] = {}

        def is_so() -> bool:
            nonlocal last
            last = self.show(volume_id)
            return last['status'] == status and all(
                last['metadata'].get(f'virtdc.{name}') == value
                for name, value in properties.items()
            )

        self.until(
            is_so,
            timeout_s,
            lambda: (
                f'{status} {properties} wanted, last seen: '
                f'{last["status"]} {last["metadata"]}'
            ),
        )
        return last

    def wait_gone(self, *volume_ids: str, timeout_s: float = 60) -> None:
        """Wait until the cloud knows the volumes no more."""
        for volume_id in volume_ids:
            path = f'/volumes/{volume_id}'
            self.until(
                lambda path=path: self.cloud.ask('GET', path).status == 404,
                timeout_s,
                lambda path=path: f'{path} is still there',
            )

    def until(
        self,
        is_so: Callable[[], bool],
        timeout_s: float,
        problem: Callable[[], str],
    ) -> None:
        """Wait until something is so, or fail."""
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                self.fail(f'After {timeout_s:g} s: {problem()}')
            time.sleep(0.1)

    def await_pool(self, state: str) -> None:
        """Wait until the scheduler thinks so of the pool."""

        def seen() -> str:
            body = self.cloud.get('/scheduler-stats/get_pools?detail=true')
            return str(body['pools'][0]['capabilities'].get('backend_state'))

        self.until(
            lambda: seen() == state, 90, lambda: f'the pool is {seen()}'
        )

    def file_of(self, volume_id: str) -> Path:
        """Return the volume's file."""
        return self.pool / f'volume-{volume_id}'

    def _clean_up(self) -> None:
        for volume_id in self._made:
            self.cloud.ask(
                'POST',
                f'/volumes/{volume_id}/action',
                {'os-force_delete': {}},
            )
        self.wait_gone(*self._made)
