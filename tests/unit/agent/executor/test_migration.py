"""Volumes move between pools, whole or not at all, wherever it is killed."""

from __future__ import annotations

import dataclasses
import itertools

from tests.unit.agent import builders
from tests.unit.agent.executor import test_copying
from virtdc_agent.backends.faults import Crash
from virtdc_agent.backends.faults import Step
from virtdc_agent.backends.faults import Target
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent.executor.room import Rooms
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exports import Exporters
from virtdc_agent.images import ImageFolders
from virtdc_agent import model
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools
from virtdc_agent.scheduling import Lane

GIB = builders.GIB
TO_SLOW = events.MigrateParameters(pool='slow')


class PoolsCase(test_copying.CopyingCase):
    """Two pools, of which ``backend`` is the first."""

    def setUp(self) -> None:
        super().setUp()
        self.other = MemoryBackend()
        self.pools = Pools(
            [
                Pool(name='fast', backend=self.backend),
                Pool(name='slow', backend=self.other),
            ]
        )
        self.handlers = Handlers(
            pools=self.pools,
            exporters=Exporters(
                {'one': MemoryExporter(), 'other': MemoryExporter()}
            ),
            images=ImageFolders([str(self.folder)]),
            rooms=Rooms(self.pools, self.journal.count),
            clock=FakeClock(),
        )

    def places(self, volume_id: str) -> tuple[str, set[str]]:
        """Return where the journal says a volume is, and where it is."""
        return (
            self.journal.get_volume(volume_id).pool,
            {
                pool.name
                for pool in self.pools
                if pool.backend.find(volume_id) is not None
            },
        )

    def leave_behind(self, volume_id: str) -> None:
        """Have a volume in the second pool that no record tells of."""
        event = builders.create(volume_id)
        early = dataclasses.replace(builders.claim(event), fence=1)
        self.other.create(volume_id, event.parameters, UndoContext(early))

    def pool_volumes(self) -> dict[str, int]:
        return {
            name: found.volumes
            for name, found in self.journal.count().pools.items()
        }


class TestPools(PoolsCase):
    def test_volumes_are_made_where_they_are_asked_for(self) -> None:
        self.create('v')
        self.create('w', pool='slow')
        self.assertEqual(('fast', {'fast'}), self.places('v'))
        self.assertEqual(('slow', {'slow'}), self.places('w'))
        self.assertEqual({'fast': 1, 'slow': 1}, self.pool_volumes())
        self.refuse(
            'no pool warm; it has fast, slow',
            'x',
            events.CreateParameters(size_bytes=GIB, pool='warm'),
        )

    def test_each_operation_is_done_where_the_volume_is(self) -> None:
        self.create('w', pool='slow')
        self.do('w', events.ExtendParameters(size_bytes=2 * GIB))
        self.snapshot('w', 's')
        self.do('w', events.RevertParameters(snapshot_id='s'))
        self.do('c', events.CloneParameters(source_id='w', size_bytes=3 * GIB))
        self.assertEqual(('slow', {'slow'}), self.places('c'))
        self.do('w', events.DeleteSnapshotParameters(snapshot_id='s'))
        self.do('w', events.DeleteParameters())
        self.assertEqual([], [call.operation for call in self.backend.calls])
        self.assertEqual({'slow': 1}, self.pool_volumes())

    def test_each_has_its_room(self) -> None:
        self.other._total_bytes = GIB
        self.other._ratio = 1.0
        self.create('v', 5 * GIB)
        self.create('w', pool='slow')
        self.refuse(
            'There is no room',
            'x',
            events.CreateParameters(size_bytes=1, pool='slow'),
        )
        self.refuse('There is no room', 'v', TO_SLOW)
        self.do('w', events.MigrateParameters(pool='fast'))
        self.create('x', pool='slow')

    def test_what_is_without_a_record_is_removed_everywhere(self) -> None:
        self.leave_behind('v')
        self.do('v', events.DeleteParameters())
        self.assertIsNone(self.other.find('v'))

    def test_a_volume_whose_pool_is_gone_is_left_alone(self) -> None:
        self.create('w', pool='slow')
        self.handlers = Handlers(
            pools=Pools([Pool(name='fast', backend=self.backend)]),
            exporters=Exporters({'one': MemoryExporter()}),
            images=ImageFolders([]),
            rooms=Rooms(self.pools, self.journal.count),
            clock=FakeClock(),
        )
        for parameters in (
            events.DeleteParameters(),
            events.ExtendParameters(size_bytes=2 * GIB),
            events.ConnectParameters(host='h'),
            events.SnapshotParameters(snapshot_id='s'),
            events.DeleteSnapshotParameters(snapshot_id='s'),
        ):
            self.refuse('is in pool slow, which this agent', 'w', parameters)
        self.refuse(
            'is in pool slow, which this agent',
            'c',
            events.CloneParameters(source_id='w', size_bytes=GIB),
        )
        self.assertIsNotNone(self.other.find('w'))

    def test_a_copy_in_another_pool(self) -> None:
        self.create('v')
        self.write('v', b'old')
        self.snapshot('v', 's')
        self.write('v', b'new')
        for volume_id, snapshot_id, content in (
            ('a', None, b'new'),
            ('b', 's', b'old'),
        ):
            self.do(
                volume_id,
                events.CloneParameters(
                    source_id='v',
                    snapshot_id=snapshot_id,
                    size_bytes=2 * GIB,
                    pool='slow',
                ),
            )
            self.assertEqual(('slow', {'slow'}), self.places(volume_id))
            made = self.other.storage.volumes[volume_id]
            self.assertEqual(content + b'\0', made.read(0, 4))
            self.assertEqual(2 * GIB, made.size_bytes)
        # Byte by byte: not while it is written to, though at once at home.
        self.do('v', events.ConnectParameters(host='h'))
        self.refuse(
            'in use by h, and this storage copies it byte by byte',
            'c',
            events.CloneParameters(source_id='v', size_bytes=GIB, pool='slow'),
        )
        self.do('d', events.CloneParameters(source_id='v', size_bytes=GIB))

    def test_a_group_in_two_pools_has_no_common_instant(self) -> None:
        self.create('v')
        self.create('w', pool='slow')
        self.create('x', pool='slow')
        self.refuse(
            'in the pools fast, slow',
            'v',
            events.SnapshotGroupParameters(snapshots={'v': 's', 'w': 't'}),
        )
        self.do(
            'w', events.SnapshotGroupParameters(snapshots={'w': 's', 'x': 't'})
        )
        self.assertEqual({'s', 't'}, set(self.other.storage.snapshots))

    def test_exporters_are_chosen_and_remembered(self) -> None:
        self.create('v')
        self.do('v', events.ConnectParameters(host='h', exporter='other'))
        self.assertEqual('other', self.journal.get_volume('v').exporter)
        self.refuse(
            'through the exporter other, and cannot be reached through one',
            'v',
            events.ConnectParameters(host='i', exporter='one'),
        )
        self.do('v', events.ConnectParameters(host='i'))
        self.do('v', events.DisconnectParameters(host='h'))
        self.assertEqual('other', self.journal.get_volume('v').exporter)
        self.do('v', events.DisconnectParameters())
        self.assertEqual('', self.journal.get_volume('v').exporter)
        self.do('v', events.ConnectParameters(host='h'))
        self.assertEqual('one', self.journal.get_volume('v').exporter)


class TestMigrate(PoolsCase):
    def moved(self, volume_id: str = 'v') -> None:
        self.assertEqual(('slow', {'slow'}), self.places(volume_id))
        self.assertEqual(
            b'bytes', self.other.storage.volumes[volume_id].read(0, 5)
        )

    def make(self, **more) -> None:
        self.create('v', **more)
        self.write('v', b'bytes')

    def test_it_is_where_it_was_asked_to_be(self) -> None:
        self.make(name='mine', provisioning=Provisioning.THICK)
        outcome = self.do('v', TO_SLOW)
        self.assertEqual('slow', outcome.result['pool'])
        self.moved()
        volume = self.journal.get_volume('v')
        self.assertEqual(
            ('mine', GIB, Provisioning.THICK),
            (volume.name, volume.size_bytes, volume.provisioning),
        )
        self.assertEqual({'slow': 1}, self.pool_volumes())
        self.do('v', TO_SLOW)
        self.do('v', events.MigrateParameters(pool='fast'))
        self.assertEqual(('fast', {'fast'}), self.places('v'))

    def test_it_may_be_provisioned_otherwise(self) -> None:
        self.make()
        thick = Provisioning.THICK
        self.refuse(
            'in pool fast already, and is thin',
            'v',
            events.MigrateParameters(pool='fast', provisioning=thick),
        )
        self.do('v', events.MigrateParameters(pool='slow', provisioning=thick))
        self.moved()
        self.assertIs(thick, self.journal.get_volume('v').provisioning)
        self.assertIs(thick, self.other.find('v').provisioning)

    def test_what_stands_in_the_way(self) -> None:
        self.make()
        self.refuse('no volume w', 'w', TO_SLOW)
        self.refuse('no pool warm', 'v', events.MigrateParameters(pool='warm'))
        self.snapshot('v', 's')
        self.refuse('has 1 snapshots, which cannot follow', 'v', TO_SLOW)
        self.do('v', events.DeleteSnapshotParameters(snapshot_id='s'))
        self.do('v', events.ConnectParameters(host='h'))
        self.refuse('in use by h', 'v', TO_SLOW)
        self.do('v', events.DisconnectParameters())
        for backend, operation, says in (
            (self.backend, Operation.MIGRATE, 'pool fast cannot migrate'),
            (self.other, Operation.IMPORT, 'does not take them'),
        ):
            backend.operations = MemoryBackend.operations - {operation}
            self.refuse(says, 'v', TO_SLOW)
            backend.operations = MemoryBackend.operations
        self.backend.storage.volumes['v'].format = Format.QCOW2
        volume = builders.volume('v', format=Format.QCOW2, pool='fast')
        claim = self.claim(builders.event_of('v', TO_SLOW))
        self.journal.settle(
            claim,
            model.Outcome(
                state=State.SUCCESS, change=model.PutVolume(volume=volume)
            ),
        )
        self.refuse('offers no format "qcow2"', 'v', TO_SLOW)
        self.assertEqual(('fast', {'fast'}), self.places('v'))

    def test_killed_anywhere_it_is_moved_once(self) -> None:
        """At each step of either storage, and then again in the next try."""
        targets = [
            (which, operation, step)
            for which, operation in (
                ('other', Operation.IMPORT),
                ('backend', Operation.DELETE),
            )
            for step in Step
        ]
        for number, (first, then) in enumerate(
            itertools.product(targets, [None, *targets])
        ):
            with self.subTest(first=first, then=then):
                volume_id = f'v{number}'
                self.create(volume_id)
                self.backend.storage.volumes[volume_id].write(0, b'bytes')
                claim = self.claim(builders.event_of(volume_id, TO_SLOW))
                for struck in (first, then):
                    if struck is None:
                        continue
                    which, operation, step = struck
                    faults = getattr(self, which).faults
                    faults.fail(
                        Target(
                            step=step,
                            operation=operation,
                            volume_id=volume_id,
                        ),
                        Crash(),
                    )
                    try:
                        outcome = self.handlers.execute(
                            claim, UndoContext(claim)
                        ).outcome
                        break
                    except Crash:
                        claim = self.journal.retry(claim)
                else:
                    outcome = self.handlers.execute(
                        claim, UndoContext(claim)
                    ).outcome
                self.assertIs(State.SUCCESS, outcome.state, outcome.message)
                self.journal.settle(claim, outcome)
                self.moved(volume_id)
                for backend in (self.backend, self.other):
                    backend.faults = type(backend.faults)()
                    backend.sweep(tuple)

    def test_the_old_one_cannot_be_removed(self) -> None:
        """It is in one place, and can be moved later."""
        self.make()
        self.backend.faults.fail(
            Target(step=Step.PREPARED, operation=Operation.DELETE),
            exceptions.BackendUnavailable('The storage is away.'),
        )
        outcome = self.run_event(builders.event_of('v', TO_SLOW))
        self.assertIs(Reason.BACKEND, outcome.reason)
        self.assertEqual(('fast', {'fast'}), self.places('v'))
        self.do('v', TO_SLOW)
        self.moved()

    def test_what_an_earlier_one_left_is_cleared_away(self) -> None:
        self.make()
        self.leave_behind('v')
        with self.assertLogs('virtdc_agent.executor.migration', 'WARNING'):
            self.do('v', TO_SLOW)
        self.moved()

    def test_a_copy_that_comes_too_late_is_thrown_away(self) -> None:
        """Killed between copy and removal, and cancelled before it is on."""
        self.make()
        claim = self.claim(builders.event_of('v', TO_SLOW))
        self.backend.faults.fail(
            Target(step=Step.BEGUN, operation=Operation.DELETE), Crash()
        )
        with self.assertRaises(Crash):
            self.handlers.execute(claim, UndoContext(claim))
        self.assertEqual(('fast', {'fast', 'slow'}), self.places('v'))
        claim = self.journal.retry(claim)

        class Cancelled(UndoContext):
            def begin_commit(self) -> None:
                raise exceptions.OperationCancelled('cancelled')

        with self.assertRaises(exceptions.OperationCancelled):
            self.handlers.execute(claim, Cancelled(claim))
        self.assertEqual(('fast', {'fast'}), self.places('v'))

    def test_a_volume_that_is_nowhere(self) -> None:
        self.make()
        self.backend.storage.volumes.clear()
        outcome = self.run_event(builders.event_of('v', TO_SLOW))
        self.assertIs(Reason.BACKEND, outcome.reason)
        self.assertIn('neither in pool fast nor in pool', outcome.message)

    def test_one_that_came_too_late_is_told(self) -> None:
        self.make()
        claim = self.claim(builders.event_of('v', TO_SLOW))
        outcome = self.handlers.execute(claim, UndoContext(claim)).outcome
        self.journal.fence_off(
            claim,
            model.Outcome(
                state=State.FAILED, reason=Reason.TIMEOUT, message='late'
            ),
        )
        self.journal.unfence(
            claim, self.handlers.undo(claim, outcome, UndoContext(claim))
        )
        self.moved()

    def test_it_is_a_copy(self) -> None:
        self.make()
        self.journal.append(builders.event_of('v', TO_SLOW))
        self.assertEqual([], list(self.journal.claim(Lane.QUICK, 1)))
        self.assertEqual(1, len(self.journal.claim(Lane.COPY, 1)))
