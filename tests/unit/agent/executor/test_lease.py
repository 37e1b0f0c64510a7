"""An agent among others: its lease, what it takes over, what it loses."""

from __future__ import annotations

from tests.unit.agent import builders
from tests.unit.agent.executor.test_executor import ExecutorCase
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.executor import dispatch
from virtdc_agent.executor.timing import Timing
from virtdc_agent import interfaces
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.journal.memory import MemoryStorage
from virtdc_agent.scheduling import Lane

LEASE_S = 30.0


class LeaseCase(ExecutorCase):
    timing = Timing(interval_s=2.0, timeout_s=600.0, lease_s=LEASE_S)

    def make_journal(self) -> interfaces.Journal:
        self.storage = MemoryStorage()
        return self.life('agent')

    def life(self, name: str) -> MemoryJournal:
        return MemoryJournal(
            self.storage, agent=name, clock=self.clock, lease_s=LEASE_S
        )

    def let_pass(self, seconds: float, step_s: float = 2.0) -> None:
        """Let time pass in steps, so that every thread has its turns."""
        for _ in range(round(seconds / step_s)):
            self.advance(step_s)


class TestLease(LeaseCase):
    def test_it_is_renewed_as_time_passes(self) -> None:
        self.start()
        self.let_pass(5 * LEASE_S)
        event = builders.create('v')
        self.submit(event)
        self.tick_until(lambda: self.latest(event).state.is_final)

    def test_what_others_took_over_is_not_committed(self) -> None:
        """As after a stop and a go of the process, in the middle."""
        self.backend.hold.add('v')
        self.start()
        event = builders.create('v')
        self.submit(event)
        held = self.backend.held('v')
        other = self.life('other')
        # All threads of this agent sleep while time passes.
        with self.storage.turn:
            self.clock.advance(LEASE_S + 1)
            other.join()
            taken = other.take_over()
        self.assertEqual(['agent'], list(taken.agents))
        self.backend.hold.clear()
        held.finish()
        self.tick_until(lambda: self.latest(event).state.is_final)
        ended = self.latest(event)
        self.assertEqual((State.SUCCESS, 2), (ended.state, ended.attempt))
        self.assertEqual(2, self.backend.started.count(('create', 'v')))

    def test_it_takes_over_from_the_dead(self) -> None:
        dead = self.life('dead')
        dead.join()
        event = builders.create('v')
        self.submit(event)
        dead.claim(Lane.QUICK, 1)
        self.start()
        self.let_pass(2 * LEASE_S)
        self.assertEqual(2, self.wait(event).attempt)

    def test_it_ends_when_another_of_its_name_begins(self) -> None:
        self.start()
        self.life('agent').join()
        self.let_pass(LEASE_S)
        self.until(self.ended.is_set)

    def test_it_takes_nothing_while_it_is_drained(self) -> None:
        self.start()
        keeping = SqlKeeping(self.storage.engine, clock=self.clock)
        with self.storage.turn:
            keeping.set_draining('agent', True)
        self.tick_until(lambda: self.executor.is_draining)
        # Who was about to ask when it came asks once more.
        self.let_pass(4.0)
        event = builders.create('v')
        self.submit(event)
        self.let_pass(4.0)
        self.assertIs(State.WAITING, self.latest(event).state)
        with self.storage.turn:
            keeping.set_draining('agent', False)
        self.tick_until(lambda: self.latest(event).state.is_final)


class TestSuspects(LeaseCase):
    def crash(self, *volume_ids: str) -> list:
        """Have a former life of the agent die of events."""
        former = self.life('agent')
        former.join()
        made = [builders.create(volume_id) for volume_id in volume_ids]
        self.submit(*made)
        former.claim(Lane.QUICK, len(made))
        return made

    def test_they_run_one_at_a_time(self) -> None:
        first, second = self.crash('v', 'w')
        self.backend.hold |= {'v', 'w'}
        self.start()
        self.backend.held('v')
        other = builders.create('x')
        self.submit(other)
        self.until(lambda: self.backend.started == [('create', 'v')])
        self.assertIs(State.WAITING, self.latest(other).state)
        self.backend.held('v').finish()
        self.wait(first)
        self.backend.held('w').finish()
        self.wait(second)
        self.wait(other)
        self.assertEqual(
            [('create', 'v'), ('create', 'w'), ('create', 'x')],
            self.backend.started,
        )

    def test_one_that_lives_does_not_hold_up_the_others_for_long(self) -> None:
        self.crash('v')
        self.backend.hold.add('v')
        self.start()
        self.backend.held('v')
        other = builders.create('x')
        self.submit(other)
        self.let_pass(dispatch.PROBATION_S + 4.0, step_s=0.5)
        self.wait(other)

    def test_what_kills_three_times_is_given_up(self) -> None:
        (event,) = self.crash('v')
        for _ in range(2):
            former = self.life('agent')
            former.join()
            former.claim_suspect(Lane.QUICK)
        self.start()
        self.assertIs(Reason.LOST, self.wait(event, State.FAILED).reason)
        self.assertEqual([], self.backend.started)


class TestLanes(LeaseCase):
    def test_copies_do_not_keep_the_quick_waiting(self) -> None:
        copies = [
            builders.create(f'c{n}', provisioning=Provisioning.THICK)
            for n in range(4)
        ]
        self.backend.hold |= {f'c{n}' for n in range(4)}
        self.start()
        self.submit(*copies)
        self.backend.await_held(2)
        quick = builders.create('q')
        self.submit(quick)
        self.wait(quick)
        self.assertEqual(2, len(self.backend.held_now()))
