from __future__ import annotations

import threading
import unittest

from tests.unit.agent import builders
from virtdc_agent.clock import FakeClock
from virtdc_agent import exceptions
from virtdc_agent.executor.gate import Gate
from virtdc_agent.executor.gate import MAX_ABANDONED
from virtdc_agent.executor.lease import Unlimited
from virtdc_agent.executor.operation import RunningOperation
from virtdc_agent.executor.operation import Withdrawal
from virtdc_agent.executor.timing import Budget


class TestRunningOperation(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = FakeClock()
        self.operation = RunningOperation(
            builders.claim(builders.create(), attempt=3),
            clock=self.clock,
            budget=Budget(timeout_s=60.0),
            lease=Unlimited(),
        )

    def test_goes_on_until_its_deadline(self) -> None:
        self.clock.advance(59.9)
        self.operation.check()
        self.clock.advance(0.1)
        with self.assertRaises(exceptions.OperationCancelled):
            self.operation.check()
        self.assertIs(Withdrawal.TIMEOUT, self.operation.withdrawal)

    def test_does_not_begin_to_commit_after_its_deadline(self) -> None:
        self.clock.advance(60)
        with self.assertRaises(exceptions.OperationCancelled):
            self.operation.begin_commit()

    def test_is_not_withdrawn_once_it_commits(self) -> None:
        self.operation.begin_commit()
        self.assertFalse(self.operation.withdraw(Withdrawal.CANCELLED))
        self.assertIsNone(self.operation.withdrawal)

    def test_does_not_commit_once_it_is_withdrawn(self) -> None:
        self.assertTrue(self.operation.withdraw(Withdrawal.CANCELLED))
        with self.assertRaisesRegex(
            exceptions.OperationCancelled, 'cancelled'
        ):
            self.operation.begin_commit()

    def test_the_first_withdrawal_stays(self) -> None:
        self.operation.withdraw(Withdrawal.CANCELLED)
        self.operation.withdraw(Withdrawal.TIMEOUT)
        self.assertIs(Withdrawal.CANCELLED, self.operation.withdrawal)

    def test_calls_back_once_on_withdrawal(self) -> None:
        calls: list[int] = []
        self.operation.on_cancel(lambda: calls.append(1))
        self.operation.withdraw(Withdrawal.CANCELLED)
        self.operation.withdraw(Withdrawal.TIMEOUT)
        self.assertEqual([1], calls)

    def test_calls_back_at_once_if_withdrawn_before(self) -> None:
        self.operation.withdraw(Withdrawal.CANCELLED)
        calls: list[int] = []
        self.operation.on_cancel(lambda: calls.append(1))
        self.assertEqual([1], calls)

    def test_commit_or_withdrawal_never_both(self) -> None:
        for _ in range(200):
            operation = RunningOperation(
                builders.claim(builders.create()),
                clock=self.clock,
                budget=Budget(timeout_s=60.0),
                lease=Unlimited(),
            )
            start = threading.Barrier(2)
            committed: list[bool] = []

            def commit(
                operation=operation, start=start, committed=committed
            ) -> None:
                start.wait()
                try:
                    operation.begin_commit()
                    committed.append(True)
                except exceptions.OperationCancelled:
                    committed.append(False)

            thread = threading.Thread(target=commit)
            thread.start()
            start.wait()
            withdrawn = operation.withdraw(Withdrawal.CANCELLED)
            thread.join()
            self.assertNotEqual(withdrawn, committed[0])

    def test_only_one_takes_the_end(self) -> None:
        self.assertTrue(self.operation.take_end())
        self.assertFalse(self.operation.take_end())

    def test_percent_is_below_100_while_it_runs(self) -> None:
        self.assertIsNone(self.operation.progress.percent)
        self.operation.report(bytes_done=50, bytes_total=100, phase='write')
        self.assertEqual(50, self.operation.progress.percent)
        self.operation.report(bytes_done=100, bytes_total=100)
        self.assertEqual(99, self.operation.progress.percent)
        self.operation.report(bytes_done=5, bytes_total=0)
        self.assertIsNone(self.operation.progress.percent)


class TestGate(unittest.TestCase):
    def setUp(self) -> None:
        self.gate = Gate(threading.Condition(), FakeClock())

    def test_has_room_up_to_the_limit(self) -> None:
        self.assertEqual(2, self.gate.room(2))
        self.gate.enter()
        self.gate.enter()
        self.assertEqual(2, self.gate.in_flight)
        self.assertEqual(0, self.gate.room(2))
        self.assertEqual(0, self.gate.room(1))
        self.gate.leave()
        self.assertEqual(1, self.gate.room(2))

    def test_an_abandoned_operation_frees_its_slot(self) -> None:
        self.gate.enter()
        self.gate.abandon()
        self.assertEqual(1, self.gate.room(1))
        self.assertEqual(1, self.gate.abandoned)
        self.gate.let_go()
        self.assertEqual(0, self.gate.abandoned)

    def test_closes_on_a_storage_that_lets_go_of_nothing(self) -> None:
        for _ in range(MAX_ABANDONED):
            self.gate.enter()
            self.gate.abandon()
        self.assertEqual(0, self.gate.room(10))
        self.gate.let_go()
        self.assertEqual(10, self.gate.room(10))
