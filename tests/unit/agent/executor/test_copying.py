"""What may be copied, and how it is told."""

from __future__ import annotations

from pathlib import Path
import shutil
import tempfile
import unittest

from tests.unit.agent import builders
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent.executor.room import Rooms
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exports import Exporters
from virtdc_agent.images import ImageFolders
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent import model
from virtdc_agent.pools import Pools
from virtdc_agent.scheduling import Lane

GIB = builders.GIB


class CopyingCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.backend = MemoryBackend()
        self.pools = Pools.of_one(self.backend)
        self.journal = MemoryJournal(clock=FakeClock())
        self.addCleanup(self.journal.close)
        self.journal.join()
        self.handlers = Handlers(
            pools=self.pools,
            exporters=Exporters({'memory': MemoryExporter()}),
            images=ImageFolders([str(self.folder)]),
            rooms=Rooms(self.pools, self.journal.count),
            clock=FakeClock(),
        )

    def claim(self, event: events.Event) -> model.Claim:
        """Have an event taken."""
        self.journal.append(event)
        (claim,) = (
            claim for lane in Lane for claim in self.journal.claim(lane, 1)
        )
        return claim

    def run_event(self, event: events.Event) -> model.Outcome:
        """Have an event executed and settled."""
        claim = self.claim(event)
        outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
        self.journal.settle(claim, outcome)
        return outcome

    def do(
        self, volume_id: str, parameters: events.Parameters
    ) -> model.Outcome:
        """Have something done to a volume; it succeeds."""
        outcome = self.run_event(builders.event_of(volume_id, parameters))
        self.assertIs(State.SUCCESS, outcome.state, outcome.message)
        return outcome

    def refuse(
        self, says: str, volume_id: str, parameters: events.Parameters
    ) -> None:
        """Have something refused, without a trace."""
        before = self.backend.storage.volumes.keys() | set(
            self.backend.storage.snapshots
        )
        outcome = self.run_event(builders.event_of(volume_id, parameters))
        self.assertIs(Reason.REJECTED, outcome.reason)
        self.assertRegex(outcome.message, says)
        self.assertEqual(
            before,
            self.backend.storage.volumes.keys()
            | set(self.backend.storage.snapshots),
        )

    def create(self, volume_id: str, size_bytes: int = GIB, **more) -> None:
        self.do(
            volume_id, events.CreateParameters(size_bytes=size_bytes, **more)
        )

    def snapshot(self, volume_id: str, snapshot_id: str) -> None:
        self.do(volume_id, events.SnapshotParameters(snapshot_id=snapshot_id))

    def write(self, volume_id: str, content: bytes) -> None:
        self.backend.storage.volumes[volume_id].write(0, content)

    def read(self, volume_id: str, length: int = 3) -> bytes:
        return self.backend.storage.volumes[volume_id].read(0, length)


class TestSnapshots(CopyingCase):
    def test_it_is_recorded_as_it_was_asked_for(self) -> None:
        self.create('v')
        outcome = self.do(
            'v',
            events.SnapshotParameters(
                snapshot_id='s', name='before', metadata={'a': 'b'}
            ),
        )
        self.assertEqual(
            {'snapshot_id': 's', 'size_bytes': GIB, 'format': 'raw'},
            outcome.result,
        )
        (snapshot,) = self.journal.get_snapshots('v', None, 9).snapshots
        self.assertEqual(
            ('s', 'v', GIB, 'before', {'a': 'b'}, 'p', 'u'),
            (
                *(snapshot.snapshot_id, snapshot.volume_id),
                *(snapshot.size_bytes, snapshot.name, snapshot.metadata),
                *(snapshot.project_id, snapshot.user_id),
            ),
        )

    def test_a_volume_that_has_some_is_not_deleted(self) -> None:
        self.create('v')
        self.snapshot('v', 's')
        self.refuse('has 1 snapshots', 'v', events.DeleteParameters())
        self.do('v', events.DeleteSnapshotParameters(snapshot_id='s'))
        self.do('v', events.DeleteParameters())
        self.assertEqual(
            [], list(self.journal.get_snapshots(None, None, 9).snapshots)
        )

    def test_of_a_volume_that_is_not_there(self) -> None:
        self.refuse(
            'no volume v', 'v', events.SnapshotParameters(snapshot_id='s')
        )

    def test_an_id_twice(self) -> None:
        self.create('v')
        self.snapshot('v', 's')
        self.refuse('already', 'v', events.SnapshotParameters(snapshot_id='s'))

    def test_one_that_is_gone_is_deleted(self) -> None:
        self.create('v')
        self.do('v', events.DeleteSnapshotParameters(snapshot_id='s'))

    def test_of_a_volume_in_use(self) -> None:
        self.create('v')
        self.do('v', events.ConnectParameters(host='h'))
        self.snapshot('v', 's')
        self.backend.has_instant_copies = False
        self.refuse(
            'in use by h, and this storage copies it byte by byte',
            'v',
            events.SnapshotParameters(snapshot_id='t'),
        )
        self.refuse(
            'in use by h',
            'w',
            events.CloneParameters(source_id='v', size_bytes=GIB),
        )
        # A snapshot is at rest.
        self.do(
            'w',
            events.CloneParameters(
                source_id='v', snapshot_id='s', size_bytes=GIB
            ),
        )

    def test_of_a_qcow2_image_in_use(self) -> None:
        self.backend.formats = frozenset(Format)
        self.create('v', format=Format.QCOW2)
        self.do('v', events.ConnectParameters(host='h'))
        self.refuse(
            'qcow2 image is incomplete',
            'v',
            events.SnapshotParameters(snapshot_id='s'),
        )


class TestRevert(CopyingCase):
    def test_it_reads_as_before_and_keeps_its_size(self) -> None:
        self.create('v')
        self.write('v', b'old')
        self.snapshot('v', 's')
        self.write('v', b'new')
        self.do('v', events.ExtendParameters(size_bytes=2 * GIB))
        outcome = self.do('v', events.RevertParameters(snapshot_id='s'))
        self.assertEqual(b'old', self.read('v'))
        self.assertEqual(2 * GIB, outcome.result['size_bytes'])
        self.assertEqual(2 * GIB, self.journal.get_volume('v').size_bytes)

    def test_what_stands_in_the_way(self) -> None:
        self.create('v')
        self.create('w')
        self.snapshot('w', 's')
        self.refuse(
            'has no snapshot s', 'v', events.RevertParameters(snapshot_id='s')
        )
        self.do('w', events.ConnectParameters(host='h'))
        self.refuse(
            'in use by h', 'w', events.RevertParameters(snapshot_id='s')
        )


class TestClone(CopyingCase):
    def test_of_a_volume_and_of_a_snapshot(self) -> None:
        self.create('v', provisioning=Provisioning.THICK)
        self.write('v', b'old')
        self.snapshot('v', 's')
        self.write('v', b'new')
        for volume_id, snapshot_id, expected in (
            ('w', None, b'new'),
            ('x', 's', b'old'),
        ):
            self.do(
                volume_id,
                events.CloneParameters(
                    source_id='v',
                    snapshot_id=snapshot_id,
                    size_bytes=2 * GIB,
                    name='copy',
                ),
            )
            self.assertEqual(expected, self.read(volume_id))
            made = self.journal.get_volume(volume_id)
            self.assertEqual(
                (2 * GIB, 'copy', Provisioning.THICK, 'p'),
                (
                    *(made.size_bytes, made.name, made.provisioning),
                    made.project_id,
                ),
            )

    def test_what_stands_in_the_way(self) -> None:
        self.create('v')
        self.create('w')
        for says, volume_id, more in (
            ('exists already', 'w', {}),
            ('exists already', 'v', {}),
            ('no volume nothing', 'x', {'source_id': 'nothing'}),
            ('no snapshot s', 'x', {'snapshot_id': 's'}),
            ('does not fit', 'x', {'size_bytes': GIB - 1}),
            ('offers no format', 'x', {'format': Format.QCOW2}),
        ):
            with self.subTest(says):
                self.refuse(
                    says,
                    volume_id,
                    events.CloneParameters(
                        **{'source_id': 'v', 'size_bytes': GIB, **more}
                    ),
                )

    def test_it_takes_room(self) -> None:
        self.create('v')
        self.refuse(
            'room|fit|space',
            'w',
            events.CloneParameters(source_id='v', size_bytes=2**60),
        )

    def test_one_that_came_too_late_is_taken_back(self) -> None:
        self.create('v')
        for volume_id, parameters in (
            ('w', events.CloneParameters(source_id='v', size_bytes=GIB)),
            ('v', events.SnapshotParameters(snapshot_id='s')),
        ):
            claim = self.claim(builders.event_of(volume_id, parameters))
            outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
            self.assertIs(State.SUCCESS, outcome.state)
            self.journal.fence_off(
                claim,
                model.Outcome(
                    state=State.FAILED, reason=Reason.TIMEOUT, message='late'
                ),
            )
            self.journal.unfence(
                claim, self.handlers.undo(claim, outcome, UndoContext(claim))
            )
        self.assertEqual({'v'}, set(self.backend.storage.volumes))
        self.assertEqual({}, self.backend.storage.snapshots)
        self.assertEqual(
            ['v'],
            [v.volume_id for v in self.journal.get_volumes(None, 9).volumes],
        )

    def test_a_backend_that_cannot(self) -> None:
        self.create('v')
        self.backend.operations = frozenset(
            {Operation.CREATE, Operation.DELETE, Operation.EXTEND}
        )
        self.refuse(
            'cannot clone',
            'w',
            events.CloneParameters(source_id='v', size_bytes=GIB),
        )


class TestImport(CopyingCase):
    def parameters(self, **more) -> events.ImportParameters:
        (self.folder / 'image').write_bytes(b'boot' + bytes(1020))
        return events.ImportParameters(
            **{
                'url': f'file://{self.folder}/image',
                'image_format': 'raw',
                'size_bytes': 4096,
                **more,
            }
        )

    def test_it_begins_as_the_image(self) -> None:
        self.do('v', self.parameters(name='root'))
        self.assertEqual(b'boot\0', self.read('v', 5))
        made = self.journal.get_volume('v')
        self.assertEqual((4096, 'root'), (made.size_bytes, made.name))

    def test_what_stands_in_the_way(self) -> None:
        self.create('w')
        for says, volume_id, more in (
            ('exists already', 'w', {}),
            ('not in a place', 'v', {'url': 'file:///etc/passwd'}),
            ('does not fit', 'v', {'size_bytes': 1023}),
            ('begins as raw', 'v', {'image_format': 'qcow2'}),
            ('offers no format', 'v', {'format': Format.QCOW2}),
        ):
            with self.subTest(says):
                self.refuse(says, volume_id, self.parameters(**more))

    def test_without_folders_there_is_no_import(self) -> None:
        self.assertIn(Operation.IMPORT, self.handlers.operations)
        without = Handlers(
            pools=self.pools,
            exporters=Exporters({'memory': MemoryExporter()}),
            images=ImageFolders([]),
            rooms=Rooms(self.pools, self.journal.count),
            clock=FakeClock(),
        )
        self.assertNotIn(Operation.IMPORT, without.operations)
