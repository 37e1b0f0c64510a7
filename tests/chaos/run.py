"""One run, from nothing to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections import Counter
import concurrent.futures
import contextlib
import dataclasses
import os
from pathlib import Path
import time

from tests.chaos import faults
from tests.chaos import laws
from tests.chaos.load import Account
from tests.chaos.load import Load
from tests.chaos.witnesses import BusWitness
from tests.chaos.witnesses import DiskWitness
from tests.chaos.witnesses import thing_of
from tests.chaos.world import Database
from tests.chaos.world import LEASE_S
from tests.chaos.world import World
from virtdc_agent.backends import layout
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent.journal.sql import SqlJournal

CLIENTS = 32
_REPORT_S = 5.0
_QUIET_S = 90.0
"""How long after the last fault everything has to be finished."""

Tell = Callable[[float, str], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run.

    :param seconds: for how long faults strike.
    """

    database: Database
    agents: int
    seed: int
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came out.

    :param figures: name and number, in the order of their interest.
    """

    figures: list[tuple[str, int | str]]
    breaches: list[laws.Breach]

    @property
    def holds(self) -> bool:
        """Whether every law held, and there was something to be broken."""
        return not self.breaches


class Run:
    """Carries out one order.

    :param tell: is told, in words, what happens, with the seconds since the
        load began; from any thread.
    """

    def __init__(self, order: Order, folder: Path, tell: Tell) -> None:
        self._order = order
        self._tell = tell
        self.world = World(
            folder, database=order.database, agents=order.agents
        )
        self._account = Account()
        self._struck: Counter[str] = Counter()
        self._begun = 0.0

    def carry_out(self) -> Verdict:
        """Start, load, strike, mend, wait, compare.

        :raises LabError: something could not be started, or does not come
            to rest.
        """
        world = self.world
        world.up()
        disk = DiskWitness(world.pool)
        disk.start()
        bus = BusWitness(world.notifications())
        bus.start()
        world.start_agents()
        load = Load(
            world.client(),
            self._account,
            seed=self._order.seed,
            clients=CLIENTS,
        )
        self._begun = time.monotonic()
        load.start()
        try:
            self._strike()
        finally:
            load.stop()
        self._say('all is mended; waiting for the rest to finish')
        mended = time.monotonic()
        world.settle()
        journal = world.journal()
        try:
            self._await_rest(journal, bus)
            quiet_s = time.monotonic() - mended
            world.stop_agents()
            bus.stop()
            disk.stop()
            return self._judge(journal, bus, disk, quiet_s)
        finally:
            journal.close()

    def _say(self, words: str) -> None:
        self._tell(time.monotonic() - self._begun, words)

    def _strike(self) -> None:
        plan = faults.plan(
            self._order.seed,
            seconds=self._order.seconds,
            agents=self._order.agents,
            lease_s=LEASE_S,
            kinds=self.world.kinds,
        )
        reported = 0.0
        with concurrent.futures.ThreadPoolExecutor(len(plan) or 1) as pool:
            under_way = []
            for fault in [*plan, None]:
                at_s = fault.at_s if fault else self._order.seconds
                while (now := time.monotonic() - self._begun) < at_s:
                    if now >= reported + _REPORT_S:
                        reported = now
                        self._say(f'{self._account.count()} events accepted')
                    self.world.supervisor.sleep(min(0.2, at_s - now))
                if fault is not None:
                    under_way.append(pool.submit(self._carry_out, fault))
            for each in under_way:
                each.result()

    def _carry_out(self, fault: faults.Fault) -> None:
        if not self.world.strike(fault.kind, fault.agent):
            return
        self._struck[fault.kind] += 1
        self._say(str(fault))
        try:
            self.world.supervisor.sleep(fault.lasts_s)
        finally:
            self.world.mend(fault.kind, fault.agent)

    def _await_rest(self, journal: SqlJournal, bus: BusWitness) -> None:
        def is_at_rest() -> bool:
            try:
                counts = journal.count()
                last = journal.get_changes(0, 1).last
            except exceptions.JournalUnavailable:
                return False
            return (
                counts.waiting + counts.running == 0
                and counts.published == last
                and max(bus.sequences, default=0) == last
            )

        # What does not come to rest is told by the laws, with its name.
        with contextlib.suppress(TimeoutError):
            _wait(is_at_rest, _QUIET_S, self.world.supervisor.sleep)

    def _judge(
        self,
        journal: SqlJournal,
        bus: BusWitness,
        disk: DiskWitness,
        quiet_s: float,
    ) -> Verdict:
        history = list(_history(journal))
        keeping = self.world.keeping()
        try:
            alarmed = {
                one.subject for one in keeping.get_alarms(None, 1000).alarms
            }
            problems = keeping.check()
        finally:
            keeping.close()
        evidence = laws.Evidence(
            asked=self._account.asked,
            accepted=self._account.accepted,
            history=history,
            volumes=list(_volumes(journal)),
            snapshots=list(_snapshots(journal)),
            sizes=dict(_sizes(self.world.pool)),
            leftovers=_leftovers(self.world.pool),
            heard=bus.sequences,
            seen=disk.seen,
            problems=problems,
            alarmed=alarmed,
        )
        breaches = laws.breaches(evidence)
        if not any(one.state is State.SUCCESS for one in history):
            breaches.append(laws.Breach('lost', 'nothing succeeded at all'))
        if self._account.refused['forged: ACCEPTED']:
            breaches.append(laws.Breach('applied twice', 'a forged event'))
        return Verdict(
            figures=self._figures(evidence, breaches, bus, quiet_s),
            breaches=breaches,
        )

    def _figures(
        self,
        evidence: laws.Evidence,
        breaches: list[laws.Breach],
        bus: BusWitness,
        quiet_s: float,
    ) -> list[tuple[str, int | str]]:
        ends = [one for one in evidence.history if one.state.is_final]
        states = Counter(one.state for one in ends)
        reasons = Counter(one.reason for one in ends if one.reason)
        told = len(evidence.heard)
        broken = Counter(one.law for one in breaches)
        known = {one.event_id for one in evidence.history}
        unanswered = self._account.unanswered
        return [
            *(
                (f'fault: {kind}', n)
                for kind, n in sorted(self._struck.items())
            ),
            (
                'agents that ended by themselves',
                self.world.ended_by_themselves,
            ),
            ('agents that had to be killed', self.world.slow_to_stop),
            ('accepted', sum(map(len, evidence.accepted))),
            ('unanswered', len(unanswered)),
            ('unanswered, but taken', len(known.intersection(unanswered))),
            *(
                (f'refused: {code}', n)
                for code, n in sorted(self._account.refused.items())
            ),
            ('succeeded', states[State.SUCCESS]),
            *((f'failed: {why}', n) for why, n in sorted(reasons.items())),
            ('begun more than once', sum(one.attempt > 1 for one in ends)),
            ('notifications', told),
            ('notifications repeated', told - len(set(evidence.heard))),
            ('notifications not understood', bus.discarded),
            ('volumes at the end', len(evidence.volumes)),
            ('snapshots at the end', len(evidence.snapshots)),
            ('seconds to rest after the last fault', f'{quiet_s:.1f}'),
            *(
                (f'{law}: {says}', broken[law])
                for law, says in laws.LAWS.items()
            ),
        ]


def _wait(
    is_so: Callable[[], bool],
    timeout_s: float,
    pause: Callable[[float], None],
) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError
        pause(0.2)


def _history(journal: SqlJournal) -> Iterator[Transition]:
    after = 0
    while page := journal.get_changes(after, 1000).transitions:
        yield from page
        after = page[-1].sequence


def _volumes(journal: SqlJournal) -> Iterator[Volume]:
    marker: str | None = None
    while True:
        page = journal.get_volumes(marker, 1000)
        yield from page.volumes
        if page.next_marker is None:
            return
        marker = page.next_marker


def _snapshots(journal: SqlJournal) -> Iterator[Snapshot]:
    marker: str | None = None
    while True:
        page = journal.get_snapshots(None, marker, 1000)
        yield from page.snapshots
        if page.next_marker is None:
            return
        marker = page.next_marker


def _sizes(pool: Path) -> Iterator[tuple[str, int]]:
    for entry in os.scandir(pool):
        thing = thing_of(entry.name)
        if thing is not None:
            yield thing, entry.stat().st_size


def _leftovers(pool: Path) -> list[str]:
    # A snapshot's label has the mark that its name has here.
    things = {thing for thing, _ in _sizes(pool)}
    found = [
        f'{folder}/{name}'
        for folder in (layout.TEMPORARY, layout.TRASH)
        for name in os.listdir(pool / folder)
    ]
    found += [
        f'{layout.LABELS}/{name}'
        for name in os.listdir(pool / layout.LABELS)
        if name not in things
    ]
    return found
