"""What is asked of the agents: lives of volumes, many at once, by seed."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections import Counter
import dataclasses
import datetime
import random
import threading
import uuid

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc import exceptions
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import ConnectParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import DeleteParameters
from virtdc_agent.contract.events import DeleteSnapshotParameters
from virtdc_agent.contract.events import DisconnectParameters
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import ExtendParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Parameters
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Requester
from virtdc_agent.contract.events import RevertParameters
from virtdc_agent.contract.events import SnapshotParameters

MIB = 1024**2
_PROJECTS = ('lab', 'lab', 'lab', 'shop', 'school')
"""One of them asks for more than the others together."""
_HOSTS = ('compute-1', 'compute-2')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One event of a life, and what else is done with it.

    :param is_doubled: it is submitted twice.
    :param is_forged: another event is submitted under its id afterwards.
    :param is_cancelled: it is cancelled as soon as it is accepted.
    :param pause_s: how long the next one is held back.
    """

    event: Event
    is_doubled: bool = False
    is_forged: bool = False
    is_cancelled: bool = False
    pause_s: float = 0.0


def lives(seed: int) -> Iterator[tuple[Step, ...]]:
    """Yield lives of volumes without end, the same ones for a seed.

    Some ask for what cannot be: to shrink, to exist twice, to extend what is
    gone.
    """
    chance = random.Random(f'load {seed}')
    while True:
        yield tuple(_life(chance))


def _life(chance: random.Random) -> Iterator[Step]:
    volume_id = _identifier(chance)
    project = chance.choice(_PROJECTS)
    is_thick = chance.random() < 0.15
    is_slow = chance.random() < 0.3
    size_bytes = chance.randint(1, 3 if is_thick else 64) * MIB

    def step(
        operation: Operation, parameters: Parameters, of: str = volume_id
    ) -> Step:
        event = Event(
            event_id=_identifier(chance),
            operation=operation,
            volume_id=of,
            origin=chance.choices((Origin.CLOUD, Origin.PLATFORM), (4, 1))[0],
            parameters=parameters,
            created_at=datetime.datetime.now(datetime.UTC),
            requested_by=Requester(project_id=project, user_id='chaos'),
        )
        return Step(
            event=event,
            is_doubled=chance.random() < 0.1,
            is_forged=chance.random() < 0.02,
            is_cancelled=chance.random() < 0.04,
            pause_s=chance.uniform(0.0, 0.5) if is_slow else 0.0,
        )

    create = CreateParameters(
        size_bytes=size_bytes,
        provisioning=Provisioning.THICK if is_thick else Provisioning.THIN,
    )
    yield step(Operation.CREATE, create)
    kept: list[str] = []
    copies: list[str] = []
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        match chance.randrange(12):
            case 0 | 1 | 2:
                size_bytes += chance.randint(0, 1 if is_thick else 8) * MIB
                yield step(
                    Operation.EXTEND, ExtendParameters(size_bytes=size_bytes)
                )
            case 3 | 4:
                host = chance.choice(_HOSTS)
                yield step(Operation.CONNECT, ConnectParameters(host=host))
            case 5:
                yield step(Operation.DISCONNECT, DisconnectParameters())
            case 6:
                yield step(
                    Operation.EXTEND, ExtendParameters(size_bytes=MIB // 2)
                )
            case 7:
                yield step(Operation.CREATE, create)
            case 8 | 9:
                kept.append(_identifier(chance))
                yield step(
                    Operation.SNAPSHOT,
                    SnapshotParameters(snapshot_id=kept[-1]),
                )
            case 10:
                yield step(Operation.DISCONNECT, DisconnectParameters())
                yield step(
                    Operation.REVERT,
                    RevertParameters(
                        snapshot_id=kept[-1] if kept else 'nothing'
                    ),
                )
            case 11:
                copies.append(_identifier(chance))
                yield step(
                    Operation.CLONE,
                    CloneParameters(
                        source_id=volume_id,
                        snapshot_id=kept[-1] if kept else None,
                        size_bytes=size_bytes + MIB,
                    ),
                    copies[-1],
                )
    # Thick ones take space that the disk has little of.
    if is_thick or chance.random() < 0.7:
        for copy_id in copies:
            yield step(Operation.DELETE, DeleteParameters(), copy_id)
        for snapshot_id in kept:
            yield step(
                Operation.DELETE_SNAPSHOT,
                DeleteSnapshotParameters(snapshot_id=snapshot_id),
            )
        yield step(Operation.DISCONNECT, DisconnectParameters())
        yield step(Operation.DELETE, DeleteParameters())
        if chance.random() < 0.1:
            yield step(
                Operation.EXTEND, ExtendParameters(size_bytes=size_bytes)
            )


def _identifier(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


class Account:
    """What was promised, as who asked remembers it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, Event] = {}
        self._accepted: dict[str, list[str]] = {}
        self._unanswered: set[str] = set()
        self._refused: Counter[str] = Counter()

    def ask(self, event: Event) -> None:
        """Note that an event is about to be submitted."""
        with self._lock:
            self._asked[event.event_id] = event

    def accept(self, event: Event) -> None:
        """Note that an event was accepted, after others of its volume."""
        with self._lock:
            ids = self._accepted.setdefault(event.volume_id, [])
            if event.event_id not in ids:
                ids.append(event.event_id)

    def give_up(self, event: Event) -> None:
        """Note that nobody answered: it may have been taken or not."""
        with self._lock:
            self._unanswered.add(event.event_id)

    def refuse(self, code: str) -> None:
        """Note that an event was refused."""
        with self._lock:
            self._refused[code] += 1

    @property
    def asked(self) -> dict[str, Event]:
        """All that was submitted, by id."""
        with self._lock:
            return dict(self._asked)

    @property
    def accepted(self) -> list[list[str]]:
        """Ids of what was accepted: a list a volume, in its order."""
        with self._lock:
            return [list(ids) for ids in self._accepted.values()]

    @property
    def unanswered(self) -> Collection[str]:
        """Ids of what was not answered, whatever became of it."""
        with self._lock:
            return frozenset(self._unanswered)

    @property
    def refused(self) -> Counter[str]:
        """How many were refused, by the error's code."""
        with self._lock:
            return Counter(self._refused)

    def count(self) -> int:
        """Return how many were accepted."""
        with self._lock:
            return sum(len(ids) for ids in self._accepted.values())


class Load:
    """Clients that live lives, each one after the other.

    :param clients: how many at once.
    """

    def __init__(
        self, client: AgentClient, account: Account, *, seed: int, clients: int
    ) -> None:
        self._client = client
        self._account = account
        self._lives = lives(seed)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f'client-{n}', daemon=True)
            for n in range(clients)
        ]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more; return when the last answer is there."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                life = next(self._lives)
            for step in life:
                if self._stopped.is_set():
                    return
                self._take(step)
                self._stopped.wait(step.pause_s)

    def _take(self, step: Step) -> None:
        event = step.event
        self._account.ask(event)
        for _ in range(1 + step.is_doubled):
            self._submit(event)
        if step.is_forged:
            forged = dataclasses.replace(
                event,
                operation=Operation.DELETE,
                parameters=DeleteParameters(),
                requested_by=Requester(project_id='forger'),
            )
            self._submit(forged, is_forged=True)
        if step.is_cancelled:
            self._cancel(event)

    def _submit(self, event: Event, *, is_forged: bool = False) -> None:
        try:
            self._client.submit(event)
        except exceptions.AgentUnreachable:
            if not is_forged:
                self._account.give_up(event)
        except exceptions.AgentRefused as exc:
            self._account.refuse(
                f'forged: {exc.code}' if is_forged else exc.code
            )
        else:
            if is_forged:
                self._account.refuse('forged: ACCEPTED')
            else:
                self._account.accept(event)

    def _cancel(self, event: Event) -> None:
        try:
            self._client.cancel(event.event_id)
        except exceptions.VirtDCError:
            # It is a wish; what became of it, the journal tells.
            return
