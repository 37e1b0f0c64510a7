"""The one synchronous API to the agent."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import logging
from typing import cast, TypeVar

from cinder_virtdc.bus.caller import Caller
from cinder_virtdc.clock import Clock
from cinder_virtdc import exceptions
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import ContractError
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.events import Capacity
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import TrashedVolume
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.resyncs import Resync
from virtdc_agent.contract import rpc
from virtdc_agent.contract.rpc import ErrorCode

LOG = logging.getLogger(__name__)

MAX_SEQUENCE = 2**63 - 1

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0

Answer = Mapping[str, object]
T = TypeVar('T')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """A page of the agent's history.

    :param transitions: in order of ``sequence``; those of operations that
        are not known here are left out.
    :param reached: the sequence of the page's last item, also if it was left
        out; 0 if the page is empty.
    :param oldest: the first sequence that is still kept; 0 if there is none.
    :param last: the latest sequence of all; 0 if there is none.
    :param wants_resync: whether somebody waits for a comparison.
    """

    transitions: Sequence[Transition]
    reached: int
    oldest: int
    last: int
    wants_resync: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Who may do something that is to be done once.

    :param is_granted: we, for as long as we asked for.
    :param is_settled: nobody: it is done.
    :param wait_s: somebody else does it; so long at most.
    """

    is_granted: bool
    is_settled: bool = False
    wait_s: float = 0.0


class AgentClient:
    """Asks the agent, and turns what it answers into values or exceptions.

    Safe from any thread. Every method may raise the three errors below.

    :param submit_timeout_s: how long ``submit``, ``await_agent`` and
        ``get_connection`` ask again.
    :param rpc_timeout_s: how long one question waits for its answer.
    :raises AgentUnreachable: no answer came in time.
    :raises AgentRefused: the agent refused; nothing was done.
    :raises ContractMismatch: the two sides do not understand each other.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        clock: Clock,
        submit_timeout_s: float,
        rpc_timeout_s: float,
    ) -> None:
        self._caller = caller
        self._clock = clock
        self._submit_timeout_s = submit_timeout_s
        self._rpc_timeout_s = rpc_timeout_s

    def submit(self, event: Event) -> Transition:
        """Hand over an event; return its latest transition.

        When this returns, the event is durable at the agent. It asks again,
        with the same id, until it is answered or its time is over; an event
        asked for twice is one event.

        :raises AgentUnreachable: no answer came; that the event was taken
            all the same cannot be ruled out.
        """
        arguments = {'event': codec.encode(event)}
        return self._insist(
            lambda timeout_s: self._get(
                'submit', arguments, _item_of(Transition), timeout_s
            )
        )

    def await_agent(self) -> Capacity:
        """Return the capacity, asking again as long as ``submit`` does.

        For the start, when the agent may be starting too.
        """
        return self._insist(
            lambda timeout_s: self._get(
                'get_capacity', {}, _item_of(Capacity), timeout_s
            )
        )

    def get_capacity(self) -> Capacity:
        """Return what the agent is, and what its storage can hold."""
        return self._get('get_capacity', {}, _item_of(Capacity))

    def get_events(
        self, event_ids: Collection[str]
    ) -> Mapping[str, Transition]:
        """Return the latest transitions of events, however many.

        Events that the agent does not know are left out.
        """
        ids = list(event_ids)
        found: dict[str, Transition] = {}
        for start in range(0, len(ids), rpc.MAX_IDS):
            transitions = self._get(
                'get_events',
                {'event_ids': ids[start : start + rpc.MAX_IDS]},
                _items_of(Transition),
            )
            found.update((one.event_id, one) for one in transitions)
        return found

    def get_changes(self, after: int, limit: int = rpc.MAX_PAGE) -> Changes:
        """Return up to ``limit`` transitions that follow a sequence."""

        def changes(answer: Answer) -> Changes:
            items = _list_of_items(answer)
            return Changes(
                transitions=_known_transitions(items),
                reached=_reached(items),
                oldest=_sequence(answer, 'oldest'),
                last=_sequence(answer, 'last'),
                wants_resync=Reader(answer, 'answer').has('resync'),
            )

        return self._get(
            'get_changes', {'after': after, 'limit': limit}, changes
        )

    def cancel(self, event_id: str) -> Transition:
        """Withdraw an event; return its latest transition.

        One that has ended stays as it is; a running one may still succeed.
        """
        return self._get(
            'cancel', {'event_id': event_id}, _item_of(Transition)
        )

    def get_volumes(self) -> Iterator[Volume]:
        """Yield all volumes of the data centre, page by page."""
        return self._pages('get_volumes', Volume)

    def get_volume(self, volume_id: str) -> Volume | None:
        """Return a volume; ``None``: the data centre has no such volume.

        An agent of before 1.2 does not know the call: then all are asked for.
        """
        try:
            return self._get(
                'get_volume', {'volume_id': volume_id}, _item_of(Volume)
            )
        except exceptions.AgentRefused as exc:
            if exc.code is not ErrorCode.NOT_FOUND:
                raise
            return None
        except exceptions.ContractMismatch:
            return next(
                (
                    one
                    for one in self.get_volumes()
                    if one.volume_id == volume_id
                ),
                None,
            )

    def get_trash(self) -> Iterator[TrashedVolume]:
        """Yield the volumes that can be restored, page by page."""
        return self._pages('get_trash', TrashedVolume)

    def get_alarms(self) -> Iterator[Alarm]:
        """Yield the alarms that are raised, page by page."""
        return self._pages('get_alarms', Alarm)

    def raise_alarm(
        self,
        kind: str,
        subject: str,
        *,
        severity: Severity,
        message: str,
        details: Mapping[str, object],
    ) -> Alarm:
        """Raise an alarm, or say more of one that is raised."""
        return self._get(
            'raise_alarm',
            {
                'kind': kind,
                'subject': subject,
                'severity': severity.value,
                'message': message,
                'details': dict(details),
            },
            _item_of(Alarm),
        )

    def acknowledge_alarm(
        self, kind: str, subject: str, *, by: str, comment: str
    ) -> Alarm:
        """Take note that a person has seen an alarm."""
        return self._get(
            'acknowledge_alarm',
            {'kind': kind, 'subject': subject, 'by': by, 'comment': comment},
            _item_of(Alarm),
        )

    def clear_alarm(self, kind: str, subject: str) -> bool:
        """Clear an alarm; return whether it was raised."""
        return self._get(
            'clear_alarm',
            {'kind': kind, 'subject': subject},
            lambda answer: Reader(answer, 'answer').boolean(
                'cleared', default=False
            ),
        )

    def take_resync(self, *, listener: str, lease_s: int) -> Resync | None:
        """Ask whether a comparison is to be made now, by us."""

        def taken(answer: Answer) -> Resync | None:
            if not Reader(answer, 'answer').has('item'):
                return None
            return codec.decode(answer['item'], Resync)

        return self._get(
            'take_resync', {'listener': listener, 'lease_s': lease_s}, taken
        )

    def end_resync(
        self, number: int, *, listener: str, counts: Mapping[str, int]
    ) -> Resync:
        """Say what a comparison has found."""
        return self._get(
            'end_resync',
            {'number': number, 'listener': listener, 'counts': dict(counts)},
            _item_of(Resync),
        )

    def take_mark(self, name: str, *, holder: str, lease_s: int) -> Mark:
        """Ask to be the one who does something; see ``Mark``.

        Of an agent that knows no marks, everybody has every mark.
        """

        def mark(answer: Answer) -> Mark:
            reader = Reader(answer, 'answer')
            return Mark(
                is_granted=reader.boolean('is_granted', default=False),
                is_settled=reader.boolean('is_settled', default=False),
                wait_s=(
                    reader.number('wait_s', minimum=0, maximum=1e9)
                    if reader.has('wait_s')
                    else 0.0
                ),
            )

        try:
            return self._get(
                'take_mark',
                {'name': name, 'holder': holder, 'lease_s': lease_s},
                mark,
            )
        except exceptions.ContractMismatch as exc:
            LOG.debug('The agent has no marks: %s', exc)
            return Mark(is_granted=True)

    def settle_mark(self, name: str, *, holder: str) -> None:
        """Note for everybody that something is done for good."""
        try:
            self._get(
                'settle_mark',
                {'name': name, 'holder': holder},
                lambda answer: None,
            )
        except exceptions.ContractMismatch as exc:
            LOG.debug('The agent has no marks: %s', exc)

    def _pages(
        self,
        method: str,
        kind: type[T],
        more: Mapping[str, object] | None = None,
    ) -> Iterator[T]:
        """Yield all items of a call that answers page by page."""

        def page(answer: Answer) -> tuple[Sequence[T], str | None]:
            reader = Reader(answer, 'answer')
            following = (
                reader.text('next', max_length=255)
                if reader.has('next')
                else None
            )
            return _items_of(kind)(answer), following

        marker: str | None = None
        while True:
            items, marker = self._get(
                method,
                {'marker': marker, 'limit': rpc.MAX_PAGE, **(more or {})},
                page,
            )
            yield from items
            if marker is None:
                return

    def get_snapshots(
        self, volume_id: str | None = None
    ) -> Iterator[Snapshot]:
        """Yield the snapshots of the data centre, page by page.

        Only of an agent that speaks version 1.2 of the contract.

        :param volume_id: only those of a volume.
        """
        return self._pages(
            'get_snapshots',
            Snapshot,
            None if volume_id is None else {'volume_id': volume_id},
        )

    def list_manageable(self, pool: str | None) -> Iterator[Manageable]:
        """Yield what is or may become a volume in a pool, page by page."""
        return self._pages('get_manageable', Manageable, _of_pool(pool))

    def list_manageable_snapshots(
        self, pool: str | None
    ) -> Iterator[Manageable]:
        """Yield what is or may become a snapshot in a pool, page by page."""
        return self._pages(
            'get_manageable_snapshots', Manageable, _of_pool(pool)
        )

    def find_manageable(
        self, reference: str, pool: str | None
    ) -> Manageable | None:
        """Return what a reference names in a pool, or ``None``."""
        return self._find('get_manageable', reference, pool)

    def find_manageable_snapshot(
        self, reference: str, pool: str | None
    ) -> Manageable | None:
        """Return what a reference names in a pool, or ``None``."""
        return self._find('get_manageable_snapshots', reference, pool)

    def get_connection(self, volume_id: str, host: str) -> dict[str, object]:
        """Return what a connected host must know to use a volume.

        It asks again as long as ``submit`` does: the host is let in already,
        and an agent that restarts in between must not leave it so unknown to
        the cloud. It may hold secrets: it goes to the host alone, and into
        no log.
        """
        arguments = {'volume_id': volume_id, 'host': host}
        return self._insist(
            lambda timeout_s: self._get(
                'get_connection',
                arguments,
                lambda answer: Reader(answer, 'answer').json('connection'),
                timeout_s,
            )
        )

    def _find(
        self, method: str, reference: str, pool: str | None
    ) -> Manageable | None:
        found = self._get(
            method,
            {'reference': reference, **_of_pool(pool)},
            _items_of(Manageable),
        )
        return found[0] if found else None

    def _insist(self, ask: Callable[[float], T]) -> T:
        """Ask until it is answered, each time for a while, then give up."""
        deadline = self._clock.monotonic() + self._submit_timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            remaining_s = deadline - self._clock.monotonic()
            try:
                return ask(min(self._rpc_timeout_s, max(remaining_s, 0.1)))
            except exceptions.AgentUnreachable:
                pass_over = self._clock.monotonic() + pause_s >= deadline
                if pass_over:
                    raise
            except exceptions.AgentRefused as exc:
                pass_over = self._clock.monotonic() + pause_s >= deadline
                if exc.code is not ErrorCode.UNAVAILABLE or pass_over:
                    raise
            self._clock.pause(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _get(
        self,
        method: str,
        arguments: Mapping[str, object],
        read: Callable[[Answer], T],
        timeout_s: float | None = None,
    ) -> T:
        answer = self._caller.call(
            method, arguments, timeout_s or self._rpc_timeout_s
        )
        with _understood(method):
            refusal = rpc.Refusal.from_answer(answer)
            if refusal is None:
                return read(cast(Answer, answer))
        if refusal.code is ErrorCode.UNSUPPORTED_VERSION:
            raise exceptions.ContractMismatch(refusal.message)
        raise exceptions.AgentRefused(
            refusal.code, refusal.message, refusal.field
        )


@contextlib.contextmanager
def _understood(method: str) -> Iterator[None]:
    try:
        yield
    except ContractError as exc:
        raise exceptions.ContractMismatch(
            f'The agent answered {method} with something that is not '
            f'understood here: {exc}. Upgrade the older side.'
        ) from exc


def _of_pool(pool: str | None) -> dict[str, object]:
    return {} if pool is None else {'pool': pool}


def _item_of(kind: type[T]) -> Callable[[Answer], T]:
    """Return a reader of answers that hold one value."""
    return lambda answer: codec.decode(answer.get('item'), kind)


def _items_of(kind: type[T]) -> Callable[[Answer], Sequence[T]]:
    """Return a reader of answers that hold several values."""

    def read(answer: Answer) -> Sequence[T]:
        return [
            codec.decode(envelope, kind) for envelope in _list_of_items(answer)
        ]

    return read


def _list_of_items(answer: Answer) -> list[object]:
    items = answer.get('items')
    if not isinstance(items, list):
        raise MalformedMessage('answer.items', 'must be a list')
    return items


def _known_transitions(items: Sequence[object]) -> Sequence[Transition]:
    """Read a history, and pass over what a newer agent can do."""
    known = []
    for envelope in items:
        try:
            known.append(codec.decode(envelope, Transition))
        except MalformedMessage as exc:
            if exc.field != 'data.operation':
                raise
            LOG.warning('An event is passed over: %s. Upgrade this side.', exc)
    return known


def _reached(items: Sequence[object]) -> int:
    if not items:
        return 0
    data = Reader(items[-1], 'item').child('data')
    return data.integer('sequence', minimum=1, maximum=MAX_SEQUENCE)


def _sequence(answer: Answer, name: str) -> int:
    return Reader(answer, 'answer').integer(
        name, minimum=0, maximum=MAX_SEQUENCE
    )
