"""Agent and broker lost in the middle of each operation, through Cinder.

All operations are asked for at once, each on a volume of its own, while the
agent is frozen; it is struck when they are all about to begin. What happens
between any two steps of one is the matter of ``test_crash_walk``.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent import futures
import contextlib
import sqlite3
import time
from typing import Any

from tests.functional import base
from tests.functional import generic
from tests.functional import test_copies

GIB = base.GIB
MIB = generic.MIB
ENDED = ('success', 'failed')
ASKED = 10
"""So many events are asked for at once."""


class TestEachOperation(generic.GenericCase):
    def setUp(self) -> None:
        super().setUp()
        self.image = self.image_file(64 * MIB, 'raw')
        self.image_id = self.upload(self.image, 'raw')

    def prepare(self) -> None:
        """Make what the operations are done to."""
        names = ('delete', 'extend', 'snapshot', 'unsnapshot', 'revert')
        names += ('clone', 'connect', 'disconnect')
        with futures.ThreadPoolExecutor(4) as pool:
            made = list(pool.map(lambda _: self.make_written(), names))
            self.volumes = dict(zip(names, made, strict=True))
            wanted = ('unsnapshot', 'revert')
            taken = list(
                pool.map(lambda one: self.snapshot(self.volumes[one]), wanted)
            )
        self.snapshots = dict(zip(wanted, taken, strict=True))
        self.then = test_copies.digest(self.file_of(self.volumes['clone']))
        test_copies.write(self.file_of(self.volumes['revert']), 'a mistake')
        self.attachment_id = self.attach(self.volumes['disconnect'])

    def ask_for_all(self) -> None:
        """Ask for every operation; those that Cinder does at once, too."""
        of = self.volumes
        self.created = self.create()
        self.cloned = self.create(source_volid=of['clone'])
        self.imported = self.create(imageRef=self.image_id)
        self.cloud.delete(f'/volumes/{of["delete"]}')
        self.act(of['extend'], 'os-extend', new_size=2)
        answer = self.cloud.post(
            '/snapshots', {'snapshot': {'volume_id': of['snapshot']}}
        )
        self.taken: str = answer['snapshot']['id']
        self._snapshots.append(self.taken)
        self.cloud.delete(f'/snapshots/{self.snapshots["unsnapshot"]}')
        self.act(of['revert'], 'revert', snapshot_id=self.snapshots['revert'])

    def ask_for_connections(self) -> list[Any]:
        """Connect and disconnect, for which Cinder's API waits."""
        body = {
            'volume_uuid': self.volumes['connect'],
            'connector': test_copies.HOST,
        }
        return [
            ('POST', '/attachments', {'attachment': body}),
            ('DELETE', f'/attachments/{self.attachment_id}', None),
        ]

    def strike(self, blow: Callable[[], None]) -> list[int]:
        """Strike while all operations are about to begin.

        :returns: how Cinder's API answered to the connections.
        """
        self.prepare()
        self.agent.service.pause()
        self.ended_before = self.count(*ENDED)
        with futures.ThreadPoolExecutor(2) as pool:
            try:
                self.ask_for_all()
                answers = [
                    pool.submit(self.cloud.ask, *one)
                    for one in self.ask_for_connections()
                ]
                # Nothing tells that the drivers have submitted.
                time.sleep(2)
            finally:
                self.agent.service.resume()
            blow()
            return [one.result().status for one in answers]

    def assert_all_done(self) -> None:
        """Each has ended as if nothing had been, and nothing is left."""
        of = self.volumes
        for volume_id in (self.created, self.cloned, self.imported):
            self.wait(volume_id, state='success', timeout_s=120)
        self.wait_gone(of['delete'])
        self.wait(of['extend'], operation='extend', state='success')
        self.assertEqual(2 * GIB, self.file_of(of['extend']).stat().st_size)
        self.wait_snapshot(self.taken)
        self.wait_snapshot_gone(self.snapshots['unsnapshot'])
        self.wait(of['revert'], operation='revert', state='success')
        for volume_id in (of['revert'], self.cloned):
            self.assertEqual(
                self.then, test_copies.digest(self.file_of(volume_id))
            )
        generic.assert_same_disk(
            self.image, 'raw', self.file_of(self.imported), 'raw'
        )
        leftovers = [
            path.name
            for place in ('.temporary', '.trash')
            for path in (self.pool / place).iterdir()
        ]
        self.assertEqual([], leftovers)

    def end_connections(self) -> None:
        """Detach what is attached; whatever Cinder made of the blow."""
        for name in ('connect', 'disconnect'):
            volume_id = self.volumes[name]
            found = self.cloud.get(f'/attachments?volume_id={volume_id}')
            for one in found['attachments']:
                self.cloud.ask('DELETE', f'/attachments/{one["id"]}')
            self.wait(volume_id)
            # The data centre refuses to delete what a host still uses.
            self.delete(volume_id)

    def count(self, *states: str) -> int:
        """Return how many events of the journal are in these states."""
        marks = ','.join('?' * len(states))
        with contextlib.closing(
            sqlite3.connect(f'file:{self.agent.journal}?mode=ro', uri=True)
        ) as journal:
            found = journal.execute(
                f'SELECT COUNT(*) FROM events WHERE state IN ({marks})', states
            )
            return int(found.fetchone()[0])

    def test_the_agent_is_killed(self) -> None:
        """As the first one runs, and when some have ended."""
        for states, wanted in ((('running', *ENDED), 1), (ENDED, 3)):
            with self.subTest(states=states):

                def kill(
                    states: tuple[str, ...] = states, wanted: int = wanted
                ) -> None:
                    before = self.ended_before
                    self.until(
                        lambda: self.count(*states) - before >= wanted,
                        20,
                        lambda: 'the agent does nothing',
                    )
                    self.agent.service.kill()
                    self.assertLess(self.count(*ENDED) - before, ASKED)
                    self.agent.service.start()

                self.assertEqual([200, 200], self.strike(kill))
                self.assert_all_done()
                self.end_connections()

    def test_the_broker_is_lost(self) -> None:
        # Cinder's API may not hear how a connection ended; that is between
        # it and cinder-volume.
        self.strike(self.lab.rabbitmq.service.restart)
        self.assert_all_done()
        self.end_connections()
