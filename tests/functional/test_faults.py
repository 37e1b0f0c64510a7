"""What is killed, stopped or lost, and what must hold all the same."""

from __future__ import annotations

import time
from typing import Any

from tests.functional import base


class TestKills(base.CloudCase):
    def burst(self, count: int = 20) -> list[str]:
        return [self.create(f'burst-{index}') for index in range(count)]

    def assert_all_there(self, ids: list[str]) -> None:
        for volume_id in ids:
            self.wait(volume_id, state='success', timeout_s=90)
            self.assertTrue(self.file_of(volume_id).exists())
        leftovers = [
            path.name
            for place in ('.temporary', '.trash')
            for path in (self.pool / place).iterdir()
        ]
        self.assertEqual([], leftovers)

    def test_agent_killed_in_a_burst(self) -> None:
        ids = self.burst(10)
        self.agent.service.kill()
        ids += self.burst(5)
        self.agent.service.start()
        self.assert_all_there(ids)

    def test_broker_restarted_in_a_burst(self) -> None:
        ids = self.burst(10)
        self.lab.rabbitmq.service.restart()
        ids += self.burst(5)
        self.assert_all_there(ids)

    def test_listener_killed_in_a_burst(self) -> None:
        ids = self.burst(5)
        self.listener.service.kill()
        ids += self.burst(5)
        for volume_id in ids:
            self.wait(volume_id)
        self.listener.service.start()
        self.assert_all_there(ids)

    def test_cinder_volume_killed_while_it_creates(self) -> None:
        """What Cinder gave up is finished, and becomes available."""
        self.assert_made_all_the_same()

    def test_cinder_volume_killed_while_it_copies(self) -> None:
        source_id = self.create()
        self.wait(source_id, state='success')
        content = b'of the source' * 1000
        with self.file_of(source_id).open('r+b') as file:
            file.write(content)
        copy_id = self.assert_made_all_the_same(source_volid=source_id)
        with self.file_of(copy_id).open('rb') as file:
            self.assertEqual(content, file.read(len(content)))

    def assert_made_all_the_same(self, **wanted: Any) -> str:
        """Have a volume made while cinder-volume dies; return its id."""
        service = self.lab.cinder.volumes['virtdc']
        # Frozen, the agent has taken nothing yet when the driver dies.
        self.agent.service.pause()
        try:
            volume_id = self.create(**wanted)
            self.until(
                lambda: bool(self.show(volume_id)['os-vol-host-attr:host']),
                20,
                lambda: 'the scheduler has chosen no host',
            )
            time.sleep(1)  # let the driver submit; nothing tells of it
            service.kill()
        finally:
            self.agent.service.resume()
        self.wait(volume_id, 'creating')
        service.start()
        self.wait(volume_id, state='success', timeout_s=90)
        self.assertTrue(self.file_of(volume_id).exists())
        return volume_id


class TestAgentAway(base.CloudCase):
    def test_a_create_fails_in_seconds_and_leaves_nothing(self) -> None:
        self.agent.service.stop()
        try:
            begun = time.monotonic()
            volume_id = self.create()
            self.wait(volume_id, 'error', timeout_s=60)
            self.assertLess(time.monotonic() - begun, 60)
        finally:
            self.agent.service.start()
        self.assertFalse(self.file_of(volume_id).exists())

    def test_the_scheduler_stops_choosing_it(self) -> None:
        self.agent.service.stop()
        try:
            self.await_pool('down')
        finally:
            self.agent.service.start()
        self.await_pool('up')


class TestTwoDrivers(base.CloudCase):
    def test_two_cinder_volumes_on_one_backend(self) -> None:
        """Each hears of half of what ends; none waits for the other half."""
        second = self.lab.cinder.second_volume('virtdc', host='lab')
        second.start()
        try:
            ids = [self.create(f'two-{index}') for index in range(12)]
            for volume_id in ids:
                self.wait(volume_id, state='success')
        finally:
            second.stop()
