"""What only the memory backend has: faults and records."""

from __future__ import annotations

from concurrent import futures

from oslo_config import cfg

from tests import base
from virtdc_agent.backends.faults import Crash
from virtdc_agent.backends.faults import Step
from virtdc_agent.backends.faults import Target
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.backends.memory_steps import Call
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions

PARAMETERS = CreateParameters(size_bytes=1024)


class TestMemoryBackend(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.backend = MemoryBackend()
        self.pool = self.enterContext(futures.ThreadPoolExecutor(4))

    def create(self, volume_id: str, context: FakeContext) -> object:
        return self.backend.create(volume_id, PARAMETERS, context)

    def test_is_made_from_a_configuration(self) -> None:
        backend = MemoryBackend.from_config(
            cfg.ConfigOpts(), clock=FakeClock()
        )
        self.assertEqual([], list(backend.scan()))

    def test_holds_what_it_is_told_to(self) -> None:
        gate = self.backend.faults.hold(
            Target(step=Step.PREPARED, operation=Operation.CREATE)
        )
        held = [
            self.pool.submit(self.create, name, FakeContext())
            for name in ('one', 'two')
        ]
        gate.await_held(2)
        self.assertEqual(2, gate.held)
        self.assertEqual([], list(self.backend.scan()))
        gate.open()
        futures.wait(held, 10)
        self.assertEqual(2, len(list(self.backend.scan())))
        self.assertEqual(2, self.backend.most_at_once)
        self.assertEqual(set(), self.backend.overlaps)

    def test_a_held_operation_can_be_cancelled(self) -> None:
        gate = self.backend.faults.hold(
            Target(step=Step.PREPARED, volume_id='one')
        )
        context = FakeContext()
        held = self.pool.submit(self.create, 'one', context)
        gate.await_held()
        context.cancel()
        with self.assertRaises(exceptions.OperationCancelled):
            held.result(10)
        self.assertEqual([], list(self.backend.sweep(tuple)))

    def test_a_committed_one_cannot(self) -> None:
        gate = self.backend.faults.hold(Target(step=Step.COMMITTED))
        context = FakeContext()
        held = self.pool.submit(self.create, 'one', context)
        gate.await_held()
        context.cancel()
        self.assertEqual(1, gate.held)
        gate.open()
        held.result(10)
        self.assertIsNotNone(self.backend.find('one'))

    def test_fails_once_where_it_is_told_to(self) -> None:
        error = exceptions.BackendBusy('on demand')
        self.backend.faults.fail(
            Target(step=Step.COMMITTED, volume_id='two'), error
        )
        self.create('one', FakeContext())
        with self.assertRaises(exceptions.BackendBusy) as caught:
            self.create('two', FakeContext())
        self.assertIs(error, caught.exception)
        self.assertIsNone(self.backend.find('two'))
        self.create('two', FakeContext())

    def test_crashes_leave_what_a_sweep_removes(self) -> None:
        self.backend.faults.fail(Target(step=Step.COMMITTED), Crash())
        with self.assertRaises(Crash):
            self.create('one', FakeContext())
        survivor = MemoryBackend(self.backend.storage)
        self.assertEqual(['one'], list(survivor.sweep(tuple)))
        self.assertIsNone(survivor.find('one'))

    def test_sees_two_operations_on_one_volume(self) -> None:
        gate = self.backend.faults.hold(Target(step=Step.BEGUN))
        held = [
            self.pool.submit(self.create, 'one', FakeContext())
            for _ in range(2)
        ]
        gate.await_held(2)
        gate.open()
        futures.wait(held, 10)
        self.assertEqual({'one'}, self.backend.overlaps)

    def test_records_every_call(self) -> None:
        self.create('one', FakeContext('e', 2))
        self.backend.extend('one', 2048, FakeContext('f'))
        self.backend.delete('one', FakeContext('g'))
        self.assertEqual(
            [
                (Operation.CREATE, 'e', 2),
                (Operation.EXTEND, 'f', 1),
                (Operation.DELETE, 'g', 1),
            ],
            [
                (call.operation, call.event_id, call.attempt)
                for call in self.backend.calls
                if isinstance(call, Call)
            ],
        )

    def test_thick_volumes_take_room(self) -> None:
        backend = MemoryBackend(total_bytes=1000)
        thick = CreateParameters(
            size_bytes=600, provisioning=Provisioning.THICK
        )
        backend.create('one', thick, FakeContext())
        self.assertEqual(400, backend.space().free_bytes)
        with self.assertRaisesRegex(exceptions.BackendUnavailable, 'full'):
            backend.create('two', thick, FakeContext())
        with self.assertRaises(exceptions.BackendUnavailable):
            backend.extend('one', 1600, FakeContext())
        self.assertEqual([], list(backend.sweep(tuple)))
