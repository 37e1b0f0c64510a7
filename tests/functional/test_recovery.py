"""cinder-volume dies in the middle: all comes right without a person."""

from __future__ import annotations

from collections.abc import Callable
import time

from tests.functional import test_copies

GIB = test_copies.GIB


class TestRecovery(test_copies.CopiesCase):
    def die_in(self, ask: Callable[[], object], status: str) -> None:
        """Have cinder-volume die while the agent is asked for something."""
        service = self.lab.cinder.volumes['virtdc']
        # Frozen, the agent has taken nothing yet when the driver dies.
        self.agent.service.pause()
        try:
            ask()
            time.sleep(2)  # let the driver submit; nothing tells of it
            service.kill()
        finally:
            self.agent.service.resume()
        self.assertEqual(status, self.stuck())
        service.start()

    def stuck(self) -> str:
        """Return the status of the test's volume."""
        return str(self.show(self.volume_id)['status'])

    def setUp(self) -> None:
        super().setUp()
        self.volume_id = self.make_written()

    def usage(self) -> int:
        """Return the GiB that Cinder counts."""
        project = self.cloud.get('/limits')['limits']['absolute']
        return int(project['totalGigabytesUsed'])

    def test_in_an_extend(self) -> None:
        before = self.usage()
        self.die_in(
            lambda: self.act(self.volume_id, 'os-extend', new_size=2),
            'extending',
        )
        self.until(
            lambda: (
                self.show(self.volume_id)['size'] == 2
                and self.stuck() == 'available'
            ),
            120,
            lambda: f'it is {self.stuck()}',
        )
        file = self.file_of(self.volume_id)
        self.assertEqual(2 * GIB, file.stat().st_size)
        self.assertEqual(before + 1, self.usage())

    def test_in_a_revert(self) -> None:
        then = test_copies.digest(self.file_of(self.volume_id))
        snapshot_id = self.snapshot(self.volume_id)
        test_copies.write(self.file_of(self.volume_id), 'a mistake')
        self.die_in(
            lambda: self.act(
                self.volume_id, 'revert', snapshot_id=snapshot_id
            ),
            'reverting',
        )
        self.wait(self.volume_id, operation='revert', timeout_s=120)
        self.wait_snapshot(snapshot_id)
        self.assertEqual(
            then, test_copies.digest(self.file_of(self.volume_id))
        )

    def test_in_a_snapshot(self) -> None:
        made: list[str] = []

        def ask() -> None:
            answer = self.cloud.post(
                '/snapshots', {'snapshot': {'volume_id': self.volume_id}}
            )
            made.append(answer['snapshot']['id'])
            self._snapshots.append(made[0])

        self.die_in(ask, 'available')
        self.until(
            lambda: self.status_of(made[0]) == 'available',
            120,
            lambda: f'the snapshot is {self.status_of(made[0])}',
        )
        self.make(snapshot_id=made[0])

    def status_of(self, snapshot_id: str) -> str:
        answer = self.cloud.get(f'/snapshots/{snapshot_id}')
        return str(answer['snapshot']['status'])

    def test_in_the_deletion_of_a_snapshot(self) -> None:
        snapshot_id = self.snapshot(self.volume_id)
        path = f'/snapshots/{snapshot_id}'
        self.die_in(lambda: self.cloud.delete(path), 'available')
        self.wait_snapshot_gone(snapshot_id)
        self.assertFalse((self.pool / f'snapshot-{snapshot_id}').exists())

    def test_in_a_deletion(self) -> None:
        path = f'/volumes/{self.volume_id}'
        self.die_in(lambda: self.cloud.delete(path), 'deleting')
        self.wait_gone(self.volume_id, timeout_s=120)
        self.assertFalse(self.file_of(self.volume_id).exists())
