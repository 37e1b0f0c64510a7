"""The executor with a journal, a backend that a test holds, and its clock."""

from __future__ import annotations

import threading
import time
import unittest

from tests.unit.agent import builders
from tests.unit.agent.executor.scripted import ScriptedBackend
from tests.unit.agent.executor.scripted import WAIT_S
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor.executor import Executor
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.room import Rooms
from virtdc_agent.executor.timing import Retries
from virtdc_agent.executor.timing import Timing
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exports import Exporters
from virtdc_agent.images import ImageFolders
from virtdc_agent import interfaces
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.policies.fixed import FixedPolicy
from virtdc_agent.policies.shrink import ShrinkPolicy
from virtdc_agent.pools import Pools
from virtdc_agent.scheduling import Lane

GIB = builders.GIB


class ExecutorCase(unittest.TestCase):
    discipline = 'continuous'
    timing = Timing(interval_s=2.0, timeout_s=60.0, lease_s=6000.0)

    def setUp(self) -> None:
        super().setUp()
        self.clock = FakeClock()
        self.journal = self.make_journal()
        self.backend = ScriptedBackend()
        self.exporter = MemoryExporter()
        self.policy: interfaces.Policy = FixedPolicy(10)
        self.copy_policy: interfaces.Policy = FixedPolicy(2)
        self.retries = Retries(most=0)
        self.ended = threading.Event()
        self.changed = threading.Condition()
        self.journal.subscribe(self.notify)
        self.executor: Executor | None = None

    def make_journal(self) -> interfaces.Journal:
        return MemoryJournal(agent='agent', clock=self.clock, lease_s=6000.0)

    def notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def start(self) -> Executor:
        pools = Pools.of_one(self.backend)
        self.executor = executor = Executor(
            journal=self.journal,
            handlers=Handlers(
                images=ImageFolders([]),
                pools=pools,
                exporters=Exporters({'memory': self.exporter}),
                rooms=Rooms(pools, self.journal.count),
                clock=self.clock,
            ),
            policies={Lane.QUICK: self.policy, Lane.COPY: self.copy_policy},
            clock=self.clock,
            timing=self.timing,
            discipline=self.discipline,
            retries=self.retries,
            dice=lambda: 1.0,
            on_end=self.ended.set,
        )
        executor.start()
        self.addCleanup(self.stop)
        return executor

    def stop(self) -> None:
        self.backend.hold_all = False
        self.backend.hold.clear()
        for volume_id in self.backend.held_now():
            self.backend.held(volume_id).finish()
        if self.executor is None:
            return
        # What still waits for a time must see it come.
        drain = threading.Thread(target=self.executor.drain, args=(WAIT_S,))
        drain.start()
        while drain.is_alive():
            self.clock.advance(0.01)
            drain.join(0.005)

    def submit(self, *submitted: events.Event) -> None:
        for event in submitted:
            self.journal.append(event)

    def latest(self, event: events.Event) -> events.Transition:
        return self.journal.get_latest([event.event_id])[event.event_id]

    def wait(
        self, event: events.Event, state: State = State.SUCCESS
    ) -> events.Transition:
        """Return the event's transition once it is in a state."""
        deadline = time.monotonic() + WAIT_S
        with self.changed:
            while self.latest(event).state is not state:
                if not self.changed.wait(deadline - time.monotonic()):
                    self.fail(f'{self.latest(event)} did not become {state}')
        return self.latest(event)

    def until(self, is_so) -> None:
        """Wait for what no commit tells of."""
        deadline = time.monotonic() + WAIT_S
        while not is_so():
            if time.monotonic() > deadline:
                self.fail('it did not become so')
            threading.Event().wait(0.001)

    def tick_until(self, is_so, step_s: float = 0.25) -> None:
        """Let time pass until something is so."""

        def tick() -> bool:
            self.clock.advance(step_s)
            return is_so()

        self.until(tick)

    def advance(self, seconds: float) -> None:
        """Let time pass, once those that wait for it are there."""
        self.until(lambda: self.clock.waiters >= self.sleepers())
        self.clock.advance(seconds)

    def sleepers(self) -> int:
        """Return how many threads wait for a time when nothing happens.

        The lease and a dispatcher for each lane; and the watch while there
        is something to watch, when a batch's dispatcher waits for its end.
        """
        if self.executor is None:
            return 1
        watched = self.executor.in_flight > 0
        return 3 + (watched and self.discipline == 'continuous')


class TestContinuous(ExecutorCase):
    def test_an_event_ends_with_success(self) -> None:
        self.start()
        event = builders.create('v', size_bytes=3 * GIB)
        self.submit(event)
        ended = self.wait(event)
        self.assertEqual(100, ended.progress)
        self.assertEqual(1, ended.attempt)
        self.assertEqual(3 * GIB, self.journal.get_volume('v').size_bytes)

    def test_runs_no_more_than_the_limit(self) -> None:
        self.backend.hold_all = True
        self.policy = FixedPolicy(3)
        self.start()
        created = [builders.create(f'v{index}') for index in range(5)]
        self.submit(*created)
        held = self.backend.await_held(3)
        self.assertEqual(2, self.journal.count().waiting)
        self.backend.held(held[0]).finish()
        self.backend.await_held(3)
        self.until(lambda: self.journal.count().waiting == 1)
        self.assertEqual(3, self.backend.most_at_once)

    def test_one_volume_one_operation_in_order(self) -> None:
        self.backend.hold.add('v')
        self.start()
        first, second = builders.create('v'), builders.extend('v', 2 * GIB)
        third, other = builders.delete('v'), builders.create('w')
        self.submit(first, second, third, other)
        self.wait(other)
        self.assertIs(State.WAITING, self.latest(second).state)
        for event in (first, second, third):
            self.wait(event, State.RUNNING)
            self.backend.held('v').finish()
            self.wait(event)
        self.assertEqual(
            [('create', 'v'), ('extend', 'v'), ('delete', 'v')],
            [item for item in self.backend.started if item[1] == 'v'],
        )
        with self.assertRaises(exceptions.VolumeNotFound):
            self.journal.get_volume('v')

    def test_a_failure_says_why(self) -> None:
        for error, reason in (
            (exceptions.EventRejected('no'), Reason.REJECTED),
            (exceptions.BackendUnavailable('full'), Reason.BACKEND),
            (exceptions.BackendBusy('busy'), Reason.BACKEND),
        ):
            with self.subTest(reason):
                self.backend.hold.add('v')
                if self.executor is None:
                    self.start()
                event = builders.create('v')
                self.submit(event)
                self.backend.held('v').fail(error)
                ended = self.wait(event, State.FAILED)
                self.assertIs(reason, ended.reason)
                self.assertEqual(str(error), ended.message)

    def test_a_bug_in_a_plugin_ends_the_event_not_the_agent(self) -> None:
        self.backend.hold.add('v')
        self.start()
        event, after = builders.create('v'), builders.create('w')
        self.submit(event)
        self.backend.held('v').fail(ZeroDivisionError('secret'))
        ended = self.wait(event, State.FAILED)
        self.assertIs(Reason.BACKEND, ended.reason)
        self.assertNotIn('secret', ended.message)
        self.submit(after)
        self.wait(after)

    def test_reports_progress_and_signs_of_life(self) -> None:
        self.backend.hold.add('v')
        self.start()
        event = builders.create('v')
        self.submit(event)
        held = self.backend.held('v')
        held.context.report(bytes_done=30, bytes_total=100, phase='zeroing')
        self.advance(1.0)
        self.until(lambda: self.latest(event).progress == 30)
        self.assertEqual('zeroing', self.latest(event).phase)
        before = self.latest(event).sequence
        for _ in range(9):
            self.advance(1.0)
        self.until(lambda: self.latest(event).sequence > before)

    def test_drain_lets_finish_what_runs(self) -> None:
        self.backend.hold.add('v')
        executor = self.start()
        running, waiting = builders.create('v'), builders.create('v')
        self.submit(running, waiting)
        held = self.backend.held('v')
        drained: list[bool] = []
        thread = threading.Thread(
            target=lambda: drained.append(executor.drain(30.0))
        )
        thread.start()
        held.finish()
        thread.join(WAIT_S)
        self.assertEqual([True], drained)
        self.assertIs(State.SUCCESS, self.latest(running).state)
        self.assertIs(State.WAITING, self.latest(waiting).state)

    def test_drain_puts_back_what_does_not_finish(self) -> None:
        self.backend.hold.add('v')
        executor = self.start()
        event = builders.create('v')
        self.submit(event)
        held = self.backend.held('v')
        thread = threading.Thread(target=lambda: executor.drain(5.0))
        thread.start()
        self.until(lambda: self.clock.waiters > 1)
        while not held.cancelled.wait(0.01):
            self.clock.advance(1.0)
        held.finish()  # too late: it may not commit any more
        thread.join(WAIT_S)
        self.assertFalse(thread.is_alive())
        self.assertIs(State.WAITING, self.latest(event).state)
        self.assertEqual({}, self.backend.sizes)

    def test_cancel_of_a_running_event(self) -> None:
        self.backend.hold.add('v')
        self.start()
        event = builders.create('v')
        self.submit(event)
        held = self.backend.held('v')
        self.journal.cancel(event.event_id)
        self.advance(1.0)
        self.assertTrue(held.cancelled.wait(WAIT_S))
        held.finish()
        ended = self.wait(event, State.FAILED)
        self.assertIs(Reason.CANCELLED, ended.reason)
        self.assertEqual({}, self.backend.sizes)

    def test_a_journal_that_is_away_is_waited_for(self) -> None:
        away = threading.Event()
        journal = self.journal

        class Flaky(type(journal)):  # type: ignore[misc]
            def settle(self, claim, outcome):
                if away.is_set():
                    raise exceptions.JournalUnavailable('away')
                return super().settle(claim, outcome)

        journal.__class__ = Flaky
        self.backend.hold.add('v')
        self.start()
        event = builders.create('v')
        self.submit(event)
        away.set()
        self.backend.held('v').finish()
        self.until(lambda: 'v' in self.backend.sizes)
        self.assertIs(State.RUNNING, self.latest(event).state)
        away.clear()
        self.tick_until(lambda: self.latest(event).state.is_final)


class TestDeadline(ExecutorCase):
    def test_an_operation_that_stops_has_failed_with_timeout(self) -> None:
        self.backend.hold.add('v')
        self.start()
        event = builders.create('v')
        self.submit(event)
        held = self.backend.held('v')
        self.advance(60.0)
        self.assertTrue(held.cancelled.wait(WAIT_S))
        ended = self.wait(event, State.FAILED)
        self.assertIs(Reason.TIMEOUT, ended.reason)
        self.assertIn('60 s', ended.message)
        held.finish()
        self.until(lambda: self.executor.abandoned == 0)
        self.assertEqual({}, self.backend.sizes)

    def test_its_volume_stays_closed_until_it_lets_go(self) -> None:
        self.backend.hold.add('v')
        self.start()
        event, following = builders.create('v'), builders.delete('v')
        self.submit(event, following)
        held = self.backend.held('v')
        self.advance(60.0)
        self.wait(event, State.FAILED)
        for _ in range(5):
            self.advance(2.0)
        self.assertIs(State.WAITING, self.latest(following).state)
        self.backend.hold.clear()
        held.finish()
        self.wait(following)

    def test_a_late_finish_is_taken_back(self) -> None:
        self.backend.hold.add('v')
        self.backend.commits_first = True
        self.start()
        event = builders.create('v')
        self.submit(event)
        held = self.backend.held('v')
        self.advance(60.0)
        self.wait(event, State.FAILED)
        self.backend.hold.clear()
        held.finish()
        self.until(lambda: ('delete', 'v') in self.backend.started)
        self.until(lambda: self.executor.abandoned == 0)
        self.assertEqual({}, self.backend.sizes)
        self.assertIs(State.FAILED, self.latest(event).state)
        with self.assertRaises(exceptions.VolumeNotFound):
            self.journal.get_volume('v')

    def test_late_growth_is_told(self) -> None:
        created, extended = builders.create('v'), builders.extend('v', 2 * GIB)
        self.start()
        self.submit(created)
        self.wait(created)
        self.backend.hold.add('v')
        self.backend.commits_first = True
        self.submit(extended)
        held = self.backend.held('v')
        self.advance(60.0)
        self.wait(extended, State.FAILED)
        held.finish()
        self.until(lambda: self.executor.abandoned == 0)
        self.until(lambda: self.journal.get_volume('v').size_bytes == 2 * GIB)

    def test_a_slot_is_free_again_after_the_deadline(self) -> None:
        self.policy = FixedPolicy(1)
        self.backend.hold.add('v')
        self.start()
        stuck, other = builders.create('v'), builders.create('w')
        self.submit(stuck, other)
        self.backend.held('v')
        self.advance(60.0)
        self.wait(stuck, State.FAILED)
        self.wait(other)


class TestInterval(ExecutorCase):
    """R7 and R8 to the letter."""

    discipline = 'interval'

    def test_takes_up_to_n_every_t1(self) -> None:
        self.policy = FixedPolicy(3)
        self.start()
        created = [builders.create(f'v{index}') for index in range(5)]
        self.submit(*created)
        self.assertEqual(5, self.journal.count().waiting)
        self.advance(2.0)
        for event in created[:3]:
            self.wait(event)
        self.assertEqual(2, self.journal.count().waiting)
        self.tick_until(
            lambda: all(self.latest(event).state.is_final for event in created)
        )

    def test_takes_no_batch_while_one_runs(self) -> None:
        self.backend.hold.add('v')
        self.start()
        first, second = builders.create('v'), builders.create('w')
        self.submit(first)
        self.advance(2.0)
        held = self.backend.held('v')
        self.submit(second)
        for _ in range(5):
            self.advance(2.0)
        self.assertIs(State.WAITING, self.latest(second).state)
        held.finish()
        self.wait(first)
        self.until(lambda: self.executor.in_flight == 0)
        while self.latest(second).state is State.WAITING:
            self.advance(2.0)
        self.wait(second)

    def test_at_t2_what_is_unfinished_has_failed(self) -> None:
        self.policy = ShrinkPolicy(10)
        self.backend.hold.update({'v8', 'v9'})
        self.start()
        created = [builders.create(f'v{index}') for index in range(10)]
        self.submit(*created)
        self.advance(2.0)
        for event in created[:8]:
            self.wait(event)
        self.backend.await_held(2)
        self.advance(60.0)
        for event in created[8:]:
            self.assertIs(
                Reason.TIMEOUT, self.wait(event, State.FAILED).reason
            )
        self.until(lambda: self.policy.limit == 8)


class TestRules(ExecutorCase):
    """What may be done to a volume, whatever the storage could do."""

    def run_events(self, *submitted: events.Event) -> events.Transition:
        if self.executor is None:
            self.start()
        self.submit(*submitted)
        self.until(lambda: self.latest(submitted[-1]).state.is_final)
        return self.latest(submitted[-1])

    def assert_rejected(self, ended: events.Transition, words: str) -> None:
        self.assertIs(Reason.REJECTED, ended.reason)
        self.assertIn(words, ended.message)

    def test_never_shrinks(self) -> None:
        ended = self.run_events(
            builders.create('v', size_bytes=2 * GIB), builders.extend('v', GIB)
        )
        self.assert_rejected(ended, 'cannot shrink')

    def test_extend_to_the_same_size_is_done(self) -> None:
        ended = self.run_events(
            builders.create('v'), builders.extend('v', GIB)
        )
        self.assertIs(State.SUCCESS, ended.state)

    def test_extend_of_nothing(self) -> None:
        self.assert_rejected(
            self.run_events(builders.extend('nothing', GIB)), 'nothing'
        )

    def test_delete_of_nothing_is_done(self) -> None:
        ended = self.run_events(builders.delete('nothing'))
        self.assertIs(State.SUCCESS, ended.state)

    def test_create_again_is_the_same_volume(self) -> None:
        ended = self.run_events(builders.create('v'), builders.create('v'))
        self.assertIs(State.SUCCESS, ended.state)
        self.assertEqual(1, self.journal.count().volumes)

    def test_create_with_another_size(self) -> None:
        ended = self.run_events(
            builders.create('v'), builders.create('v', size_bytes=2 * GIB)
        )
        self.assert_rejected(ended, 'exists already')

    def test_beyond_capacity(self) -> None:
        self.backend = ScriptedBackend(total_bytes=10 * GIB)
        ended = self.run_events(builders.create('v', size_bytes=11 * GIB))
        self.assert_rejected(ended, 'There is no room')

    def test_room_is_not_promised_twice(self) -> None:
        self.backend = ScriptedBackend(total_bytes=10 * GIB)
        self.backend.hold.add('v')
        first = builders.create('v', size_bytes=6 * GIB)
        second = builders.create('w', size_bytes=6 * GIB)
        self.start()
        self.submit(first)
        held = self.backend.held('v')
        self.submit(second)
        self.assert_rejected(
            self.wait(second, State.FAILED), 'There is no room'
        )
        held.finish()
        self.wait(first)

    def test_a_format_that_is_not_offered(self) -> None:
        ended = self.run_events(
            builders.create('v', format=events.Format.QCOW2)
        )
        self.assert_rejected(ended, 'qcow2')

    def test_in_use_is_protected(self) -> None:
        ended = self.run_events(
            builders.create('v'),
            builders.connect('v', 'compute-2'),
            builders.connect('v', 'compute-1'),
            builders.delete('v'),
        )
        self.assert_rejected(ended, 'compute-1, compute-2')
        ended = self.run_events(
            builders.disconnect('v', 'compute-1'), builders.delete('v')
        )
        self.assert_rejected(ended, 'compute-2')
        ended = self.run_events(
            builders.disconnect('v', None), builders.delete('v')
        )
        self.assertIs(State.SUCCESS, ended.state)

    def test_grows_in_use_only_where_hosts_would_see_it(self) -> None:
        ended = self.run_events(
            builders.create('v'),
            builders.connect('v', 'compute-1'),
            builders.extend('v', 2 * GIB),
        )
        self.assertIs(State.SUCCESS, ended.state)
        self.exporter.can_grow_in_use = False  # type: ignore[misc]
        self.assert_rejected(
            self.run_events(builders.extend('v', 3 * GIB)),
            'compute-1, and what exports it cannot let it grow',
        )
        ended = self.run_events(
            builders.disconnect('v', 'compute-1'),
            builders.extend('v', 3 * GIB),
        )
        self.assertIs(State.SUCCESS, ended.state)

    def test_no_more_hosts_than_can_be_told(self) -> None:
        ended = self.run_events(
            builders.create('v'),
            *(builders.connect('v', f'host-{index}') for index in range(257)),
        )
        self.assert_rejected(ended, '256 hosts')
        self.assertEqual(256, len(self.journal.get_volume('v').attached_to))

    def test_disconnect_of_nothing_is_done(self) -> None:
        ended = self.run_events(builders.disconnect('nothing', 'compute-1'))
        self.assertIs(State.SUCCESS, ended.state)
