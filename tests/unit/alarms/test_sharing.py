"""Several listeners tell a change of an alarm once, and never not at all."""

from __future__ import annotations

from collections import Counter
import threading
import unittest

from hypothesis import given
from hypothesis import strategies as st

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.alarms.ledger import Ledger
from cinder_virtdc.alarms import relay
from cinder_virtdc.alarms.reports import Report
from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.clock import FakeClock
from cinder_virtdc import exceptions
from tests.unit.driver import builders
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import catalogue

KIND = catalogue.VOLUME_DELETED.kind


class Crash(BaseException):
    """The process is gone."""


class World:
    """What listeners share: the agent, and whoever hears of alarms.

    :ivar steps_left: so many calls and reports until somebody crashes.
    """

    name = 'outlet'

    def __init__(self) -> None:
        self.agent = FakeAgent()
        self.client = builders.client_of(self.agent)
        self.heard: list[tuple[str, str, int]] = []
        self.steps_left: int | None = None
        self.is_marked = True

    def step(self) -> None:
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                self.steps_left = None
                raise Crash

    def send(self, report: Report) -> None:
        self.step()
        payload = report.payload
        self.heard.append(
            (report.change.value, payload['resource_id'], payload['revision'])
        )
        self.step()

    def take_mark(self, name: str, *, holder: str, lease_s: int) -> relay.Mark:
        self.step()
        mark = self.client.take_mark(name, holder=holder, lease_s=lease_s)
        self.step()
        return mark

    def settle_mark(self, name: str, *, holder: str) -> None:
        self.step()
        self.client.settle_mark(name, holder=holder)
        self.step()

    def put(self, subject: str, message: str) -> None:
        self.client.raise_alarm(
            KIND,
            subject,
            severity=Severity.MAJOR,
            message=message,
            details={},
        )


class Listener:
    """One that may die at any step, and begins anew with what is on disk."""

    lives = 0

    def __init__(self, world: World, *, keeps: bool) -> None:
        self._world = world
        self._keeps = keeps
        self._ledger = Ledger()
        self.start()

    def start(self) -> None:
        Listener.lives += 1
        if not self._keeps:
            self._ledger = Ledger()
        self._book = AlarmBook(self._world.client)
        self._relay = relay.Relay(
            self._world,
            marks=self._world,
            holder=f'life {Listener.lives}',
            book=self._book,
            ledger=self._ledger,
            clock=FakeClock(),
            describe=lambda alarm: {},
        )

    def work(self, steps: int | None = None) -> None:
        self._world.steps_left = steps
        try:
            self._book.refresh()
            self._relay.deliver()
        except Crash:
            self.start()
        self._world.steps_left = None


SUBJECTS = st.sampled_from('vw')
ACTIONS = st.one_of(
    st.tuples(st.just('put'), SUBJECTS, st.sampled_from('xyz')),
    st.tuples(st.just('acknowledge'), SUBJECTS, st.sampled_from('ab')),
    st.tuples(st.just('clear'), SUBJECTS),
    st.tuples(st.just('work'), st.integers(0, 1), st.none()),
)
CRASHES = st.tuples(st.just('work'), st.integers(0, 1), st.integers(0, 12))


class TestSharing(unittest.TestCase):
    def walk(self, actions: list, *, keeps: bool) -> tuple[World, set]:
        """Do what is asked; return who has heard what, and what was so.

        Whatever state an alarm is in while somebody looks is to be told.
        """
        world = World()
        listeners = [Listener(world, keeps=keeps) for _ in range(2)]
        seen: set[tuple[str, int]] = set()
        for action in actions:
            match action:
                case 'put', subject, message:
                    world.put(subject, message)
                case 'acknowledge', subject, who if (
                    KIND,
                    subject,
                ) in world.agent.alarms.raised:
                    world.client.acknowledge_alarm(
                        KIND, subject, by=who, comment=''
                    )
                case 'clear', subject:
                    world.client.clear_alarm(KIND, subject)
                case 'work', which, steps:
                    if steps is None:
                        seen |= self.raised(world)
                    listeners[which].work(steps)
        seen |= self.raised(world)
        # Quiet: leases end, and all look again.
        for _ in range(2):
            world.agent.marks.now_s += relay.LEASE_S + 1
            for listener in listeners:
                listener.work()
        return world, seen

    @staticmethod
    def raised(world: World) -> set[tuple[str, int]]:
        return {
            (one.subject, one.revision)
            for one in world.agent.alarms.raised.values()
        }

    @given(st.lists(ACTIONS, max_size=30))
    def test_without_crashes_each_change_is_told_once(
        self, actions: list
    ) -> None:
        world, seen = self.walk(actions, keeps=True)
        times = Counter(
            (subject, revision)
            for change, subject, revision in world.heard
            if change != 'cleared'
        )
        self.assertEqual(dict.fromkeys(seen, 1), dict(times))
        ends = Counter(one for one in world.heard if one[0] == 'cleared')
        self.assertLessEqual(set(ends.values()), {1})

    @given(
        st.lists(st.one_of(ACTIONS, CRASHES), max_size=30),
        st.booleans(),
    )
    def test_with_crashes_each_change_is_told(
        self, actions: list, keeps: bool
    ) -> None:
        world, seen = self.walk(actions, keeps=keeps)
        told = {
            (subject, revision)
            for change, subject, revision in world.heard
            if change != 'cleared'
        }
        # What a crash kept from being told may be over: then what has become
        # of it is told.
        self.assertLessEqual(self.raised(world), told)
        if not any(len(one) == 3 and one[2] in range(13) for one in actions):
            self.assertEqual(seen, told)

    def test_who_dies_before_telling_is_stood_in_for(self) -> None:
        world = World()
        first, second = (Listener(world, keeps=True) for _ in range(2))
        world.put('v', 'x')
        first.work(2)  # the mark is taken; nothing was sent
        second.work()
        self.assertEqual([], world.heard)
        world.agent.marks.now_s += relay.LEASE_S + 1
        second.work()
        first.work()
        self.assertEqual(1, len(world.heard))

    def test_an_agent_that_cannot_be_asked_keeps_nobody_from_telling(
        self,
    ) -> None:
        world = World()
        world.put('v', 'x')
        listener = Listener(world, keeps=True)
        listener._book.refresh()
        world.agent.is_down = True
        listener._relay.deliver()
        self.assertEqual(1, len(world.heard))

    def test_it_looks_again_when_the_others_lease_ends(self) -> None:
        """In its own thread, by itself."""
        world = World()
        world.put('v', 'x')
        name_of = []
        real = world.agent.marks.take

        def take(name: str, holder: str, lease_s: float) -> dict:
            if not name_of:
                name_of.append(name)
                real(name, 'another', 5)
            return real(name, holder, lease_s)

        world.agent.marks.take = take  # type: ignore[method-assign]
        arrived = threading.Event()
        clock = FakeClock()
        book = AlarmBook(world.client)
        book.refresh()

        class Outlet:
            name = 'outlet'

            def send(self, report: Report) -> None:
                arrived.set()

        one = relay.Relay(
            Outlet(),
            marks=world.client,
            holder='here',
            book=book,
            ledger=Ledger(),
            clock=clock,
            describe=lambda alarm: {},
        )
        one.start()
        self.addCleanup(one.stop)
        one.ring()
        world.agent.await_calls('take_mark', 1)
        self.assertFalse(arrived.is_set())
        world.agent.marks.now_s += 6
        for _ in range(200):
            if arrived.wait(0.05):
                return
            clock.advance(1)
        self.fail('it never looked again')

    def test_an_agent_without_marks(self) -> None:
        world = World()
        world.agent.speaks_our_version = False
        mark = world.client.take_mark('m', holder='a', lease_s=1)
        self.assertTrue(mark.is_granted)
        world.client.settle_mark('m', holder='a')

    def test_who_may_not_be_asked(self) -> None:
        world = World()
        world.agent.is_down = True
        with self.assertRaises(exceptions.AgentUnreachable):
            world.client.take_mark('m', holder='a', lease_s=1)
