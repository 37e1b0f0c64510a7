"""The journal against a small model, along random histories.

Two agents share it. Whatever they do, and whenever one of them is taken for
dead: every accepted event gets one final state, events of a volume never
overlap and keep their order, nothing is lost, the history has no gap, and
what a stale claim says is not heard.
"""

from __future__ import annotations

import dataclasses
import unittest

from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st

from virtdc_agent.clock import FakeClock
from virtdc_agent.conformance import journal as rules
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.journal import checking
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.journal.memory import MemoryStorage
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

VOLUMES = st.sampled_from(['v', 'w', 'x', 'y'])
AGENTS = st.sampled_from(['a', 'b'])
LEASE_S = 60.0
MAX_LOSSES = 2


@dataclasses.dataclass
class Known:
    """What the model knows of an event."""

    event: Event
    state: State = State.WAITING
    attempt: int = 0
    losses: int = 0
    holder: str | None = None
    claim: model.Claim | None = None
    closed: bool = False

    @property
    def is_open(self) -> bool:
        return not self.state.is_final or self.closed


class JournalMachine(stateful.RuleBasedStateMachine):
    """A list instead of tables, in order of acceptance."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.storage = MemoryStorage()
        self.journals = {}
        self.known: dict[str, Known] = {}
        self.stale: list[tuple[str, model.Claim]] = []
        for name in 'ab':
            self.begin_life(name)

    def begin_life(self, name: str) -> model.Takeover:
        journal = MemoryJournal(
            self.storage,
            agent=name,
            clock=self.clock,
            lease_s=LEASE_S,
            max_losses=MAX_LOSSES,
        )
        self.journals[name] = journal
        return journal.join()

    def eligible(self, *, suspects: bool) -> list[Known]:
        """Return what may be claimed, in order of acceptance."""
        busy: set[str] = set()
        able = []
        for one in self.known.values():
            if not one.is_open:
                continue
            volume_id = one.event.volume_id
            if (
                one.state is State.WAITING
                and volume_id not in busy
                and (one.losses > 0) == suspects
            ):
                able.append(one)
            busy.add(volume_id)
        return able

    def pick(self, data, condition) -> Known:
        fitting = [e for e, one in self.known.items() if condition(one)]
        return self.known[data.draw(st.sampled_from(fitting))]

    def any_of(self, condition) -> bool:
        return any(condition(one) for one in self.known.values())

    @stateful.rule(
        volume_id=VOLUMES, agent=AGENTS, project=st.sampled_from('pq')
    )
    def submit(self, volume_id, agent, project) -> None:
        # The same ids in every run: what is drawn is drawn from them.
        event = rules.create_event(
            f'e{len(self.known):04}',
            volume_id,
            project=project,
            origin=Origin.PLATFORM if project == 'q' else Origin.CLOUD,
        )
        assert self.journals[agent].append(event).state is State.WAITING
        self.known[event.event_id] = Known(event)

    @stateful.precondition(lambda self: self.known)
    @stateful.rule(data=st.data(), agent=AGENTS)
    def submit_again(self, data, agent) -> None:
        one = self.pick(data, lambda one: True)
        journal = self.journals[agent]
        before = journal.get_latest([one.event.event_id])
        assert {one.event.event_id: journal.append(one.event)} == before

    @stateful.rule(limit=st.integers(0, 4), agent=AGENTS)
    def claim(self, limit, agent) -> None:
        able = self.eligible(suspects=False)
        claims = self.journals[agent].claim(Lane.QUICK, limit)
        assert len(claims) == min(limit, len(able))
        for claim in claims:
            self.took(agent, claim, able)

    @stateful.rule(agent=AGENTS)
    def claim_suspect(self, agent) -> None:
        able = self.eligible(suspects=True)
        claim = self.journals[agent].claim_suspect(Lane.QUICK)
        assert (claim is not None) == bool(able)
        if claim is not None:
            assert claim.event == able[0].event
            self.took(agent, claim, able)

    def took(self, agent, claim, able) -> None:
        one = self.known[claim.event.event_id]
        assert one in able
        one.attempt += 1
        assert (claim.attempt, claim.losses) == (one.attempt, one.losses)
        one.state, one.holder, one.claim = State.RUNNING, agent, claim

    @stateful.precondition(
        lambda self: self.any_of(lambda one: one.state is State.RUNNING)
    )
    @stateful.rule(
        data=st.data(),
        what=st.sampled_from(
            ['succeed', 'fail', 'release', 'give up', 'retry', 'progress']
        ),
    )
    def go_on(self, data, what) -> None:
        one = self.pick(data, lambda one: one.state is State.RUNNING)
        journal, claim = self.journals[one.holder], one.claim
        match what:
            case 'succeed' | 'fail':
                outcome = rules.SUCCESS if what == 'succeed' else rules.FAILURE
                journal.settle(claim, outcome)
                self.over(one, outcome.state)
            case 'release':
                journal.release(claim)
                self.stale.append((one.holder, claim))
                one.state, one.holder = State.WAITING, None
            case 'give up':
                journal.fence_off(claim, rules.FAILURE)
                one.state, one.closed = State.FAILED, True
            case 'retry':
                one.claim = journal.retry(claim)
                one.attempt += 1
                assert one.claim.attempt == one.attempt
                self.stale.append((one.holder, claim))
            case _:
                journal.record_progress(claim, model.Progress(phase='x'))

    def over(self, one, state) -> None:
        self.stale.append((one.holder, one.claim))
        one.state, one.holder = state, None

    @stateful.precondition(lambda self: self.any_of(lambda one: one.closed))
    @stateful.rule(data=st.data())
    def let_go(self, data) -> None:
        one = self.pick(data, lambda one: one.closed)
        self.journals[one.holder].unfence(one.claim, None)
        one.closed = False
        self.stale.append((one.holder, one.claim))
        one.holder = None

    @stateful.precondition(lambda self: self.known)
    @stateful.rule(data=st.data(), agent=AGENTS)
    def cancel(self, data, agent) -> None:
        one = self.pick(data, lambda one: True)
        ended = self.journals[agent].cancel(one.event.event_id)
        if one.state is State.WAITING and one.attempt == 0:
            assert ended.reason is Reason.CANCELLED
            one.state = State.FAILED
        assert ended.state is one.state

    @stateful.rule(agent=AGENTS, restarts=st.booleans())
    def die(self, agent, restarts) -> None:
        """An agent ends without a word, or is taken for dead."""
        if restarts:
            taken = self.begin_life(agent)
        else:
            self.clock.advance(LEASE_S + 1)
            other = self.journals['b' if agent == 'a' else 'a']
            assert other.renew().is_new
            taken = other.take_over()
            assert self.journals[agent].renew().is_new
        held = [one for one in self.known.values() if one.holder == agent]
        ran = [one for one in held if one.state is State.RUNNING]
        for one in [one for one in ran if one.losses] or ran:
            one.losses += 1
        lost = [one for one in ran if one.losses >= MAX_LOSSES]
        assert {one.event_id for one in taken.lost} == {
            one.event.event_id for one in lost
        }
        for one in held:
            self.stale.append((agent, one.claim))
            one.closed, one.holder = False, None
            if one in lost:
                one.state = State.FAILED
            elif one in ran:
                one.state = State.WAITING

    @stateful.precondition(lambda self: self.stale)
    @stateful.rule(data=st.data())
    def a_stale_claim_writes_nothing(self, data) -> None:
        agent, claim = data.draw(st.sampled_from(self.stale))
        journal = self.journals[agent]
        before = journal.count()
        for write in (
            lambda: journal.settle(claim, rules.SUCCESS),
            lambda: journal.release(claim),
            lambda: journal.fence_off(claim, rules.FAILURE),
            lambda: journal.unfence(claim, rules.put('v')),
        ):
            try:
                write()
            except exceptions.LeaseLost:
                pass
        assert journal.count() == before

    @stateful.invariant()
    def states_agree(self) -> None:
        journal = self.journals['a']
        latest = journal.get_latest(self.known)
        assert {key: one.state for key, one in latest.items()} == {
            key: one.state for key, one in self.known.items()
        }
        held = {one.claim.fence for one in self.known.values() if one.holder}
        assert set(journal.get_fences()) == held

    @stateful.invariant()
    def tables_agree(self) -> None:
        with self.storage.turn, self.storage.engine.connect() as connection:
            assert checking.find_problems(connection) == []

    def teardown(self) -> None:
        history = self.journals['a'].get_changes(0, 100_000).transitions
        sequences = [one.sequence for one in history]
        assert sequences == list(range(1, len(history) + 1))
        ends: dict[str, int] = {}
        for one in history:
            ends[one.event_id] = ends.get(one.event_id, 0) + one.state.is_final
        assert ends == {
            key: int(one.state.is_final) for key, one in self.known.items()
        }


JournalMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None
)


class TestModel(JournalMachine.TestCase, unittest.TestCase):
    pass
