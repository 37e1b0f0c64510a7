"""The journal against a small model, along random histories."""

from __future__ import annotations

import unittest

from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st

from tests.unit.agent import builders
from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance import journal as rules
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.journal.memory import MemoryJournal

VOLUMES = st.sampled_from(['v', 'w', 'x'])


class JournalMachine(stateful.RuleBasedStateMachine):
    """Lists instead of tables: what waits, runs, and is over."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = MemoryJournal(agent='a', clock=FakeClock())
        self.waiting: list = []
        self.running: dict = {}
        self.closed: dict = {}
        self.over: dict = {}
        self.stale: list = []

    def can_start(self):
        """Return what may be claimed, oldest first."""
        busy = {
            claim.event.volume_id
            for claim in [*self.running.values(), *self.closed.values()]
        }
        able = []
        for event in self.waiting:
            if event.volume_id not in busy:
                able.append(event)
            busy.add(event.volume_id)
        return able

    def put_back(self, event) -> None:
        self.waiting.append(event)
        self.waiting.sort(key=lambda one: self.order.index(one.event_id))

    order: list

    @stateful.initialize()
    def begin(self) -> None:
        self.order = []

    @stateful.rule(volume_id=VOLUMES)
    def submit(self, volume_id) -> None:
        # The same ids in every run: what is drawn is drawn from them.
        event = builders.create(volume_id, event_id=f'e{len(self.order):04}')
        self.journal.append(event)
        self.waiting.append(event)
        self.order.append(event.event_id)

    @stateful.precondition(lambda self: self.order)
    @stateful.rule(data=st.data())
    def submit_again(self, data) -> None:
        event_id = data.draw(st.sampled_from(self.order))
        before = self.journal.get_latest([event_id])[event_id]
        event = self.journal.get_event(event_id)
        assert self.journal.append(event) == before

    @stateful.rule(limit=st.integers(0, 4))
    def claim(self, limit) -> None:
        expected = self.can_start()[:limit]
        claims = self.journal.claim(limit)
        assert [claim.event for claim in claims] == expected
        for claim in claims:
            self.waiting.remove(claim.event)
            self.running[claim.event.event_id] = claim

    @stateful.precondition(lambda self: self.running)
    @stateful.rule(data=st.data(), succeeds=st.booleans())
    def settle(self, data, succeeds) -> None:
        claim = self.draw(data, self.running)
        outcome = rules.SUCCESS if succeeds else rules.FAILURE
        self.journal.settle(claim, outcome)
        self.over[claim.event.event_id] = outcome.state
        self.stale.append(claim)

    @stateful.precondition(lambda self: self.running)
    @stateful.rule(data=st.data())
    def release(self, data) -> None:
        claim = self.draw(data, self.running)
        self.journal.release(claim)
        self.put_back(claim.event)
        self.stale.append(claim)

    @stateful.precondition(lambda self: self.running)
    @stateful.rule(data=st.data())
    def give_up(self, data) -> None:
        claim = self.draw(data, self.running)
        self.journal.fence_off(claim, rules.FAILURE)
        self.over[claim.event.event_id] = State.FAILED
        self.closed[claim.event.event_id] = claim

    @stateful.precondition(lambda self: self.closed)
    @stateful.rule(data=st.data())
    def let_go(self, data) -> None:
        self.journal.unfence(self.draw(data, self.closed), None)

    @stateful.precondition(lambda self: self.waiting)
    @stateful.rule(data=st.data())
    def cancel_waiting(self, data) -> None:
        event = data.draw(st.sampled_from(self.waiting))
        ended = self.journal.cancel(event.event_id)
        # One that was begun before may have left something in the storage.
        assert ended.state.is_final == (ended.attempt == 0)
        if ended.state.is_final:
            self.waiting.remove(event)
            self.over[event.event_id] = State.FAILED

    @stateful.rule()
    def crash(self) -> None:
        self.journal.recover()
        for claim in self.running.values():
            self.put_back(claim.event)
            self.stale.append(claim)
        self.running.clear()
        self.closed.clear()

    @stateful.precondition(lambda self: self.stale)
    @stateful.rule(data=st.data())
    def a_stale_claim_writes_nothing(self, data) -> None:
        claim = data.draw(st.sampled_from(self.stale))
        before = self.journal.get_changes(0, 1).last
        try:
            self.journal.settle(claim, rules.SUCCESS)
        except exceptions.LeaseLost:
            pass
        assert self.journal.get_changes(0, 1).last == before

    @stateful.invariant()
    def states_agree(self) -> None:
        latest = self.journal.get_latest(getattr(self, 'order', []))
        expected = {
            **{event.event_id: State.WAITING for event in self.waiting},
            **dict.fromkeys(self.running, State.RUNNING),
            **self.over,
        }
        assert {key: one.state for key, one in latest.items()} == expected
        counts = self.journal.count()
        assert counts.waiting == len(self.waiting)
        assert counts.running == len(self.running)

    def draw(self, data, held):
        event_id = data.draw(st.sampled_from(sorted(held)))
        return held.pop(event_id)

    def teardown(self) -> None:
        history = self.journal.get_changes(0, 100_000).transitions
        sequences = [one.sequence for one in history]
        assert sequences == list(range(1, len(history) + 1))
        ends: dict[str, int] = {}
        for one in history:
            ends[one.event_id] = ends.get(one.event_id, 0) + one.state.is_final
        assert set(ends.values()) <= {0, 1}
        self.journal.close()


JournalMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)


class TestModel(JournalMachine.TestCase, unittest.TestCase):
    pass
