"""What must hold afterwards, whatever went wrong meanwhile.

Pure: evidence in, breaches out. Every law compares at least two witnesses,
of which one is not the agent.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from collections import Counter
from collections import defaultdict
import dataclasses

from tests.chaos.witnesses import Change
from tests.chaos.witnesses import Seen
from tests.chaos.witnesses import SNAPSHOT_MARK
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import ConnectParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import DeleteParameters
from virtdc_agent.contract.events import DeleteSnapshotParameters
from virtdc_agent.contract.events import DisconnectParameters
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import ExtendParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import RevertParameters
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import SnapshotParameters
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume

_MAKE = frozenset({Operation.CREATE, Operation.CLONE, Operation.SNAPSHOT})
_REMOVE = frozenset({Operation.DELETE, Operation.DELETE_SNAPSHOT})
_LATE = frozenset({Reason.TIMEOUT, Reason.LOST})
"""Given up while the storage may have done it all the same."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What everybody tells.

    :param asked: by id, what was submitted.
    :param accepted: ids of what was accepted, a list a volume, in order.
    :param history: the whole journal, by sequence.
    :param volumes: what the journal says there is.
    :param snapshots: likewise.
    :param sizes: bytes of each file on the disk, by ``thing_of`` its name.
    :param leftovers: names of what is on the disk and of none of these.
    :param heard: sequences in the order in which the bus brought them.
    :param seen: what became of the volumes' files.
    :param problems: what the journal's own check found.
    :param alarmed: ids of volumes of which an alarm tells.
    """

    asked: Mapping[str, Event]
    accepted: Sequence[Sequence[str]]
    history: Sequence[Transition]
    volumes: Sequence[Volume]
    sizes: Mapping[str, int]
    leftovers: Collection[str]
    heard: Sequence[int]
    seen: Sequence[Seen]
    snapshots: Sequence[Snapshot] = ()
    problems: Sequence[str] = ()
    alarmed: Collection[str] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Breach:
    """A law that was broken, and how."""

    law: str
    what: str


LAWS = {
    'lost': 'accepted, but without an end',
    'ended twice': 'more than one final state',
    'out of order': 'begun or accepted before its turn',
    'overlapping': 'run beside another one of the same volume',
    'gaps': 'missing in the sequence of the journal',
    'not told': 'changes that the bus never brought',
    'told late': 'changes that came after later ones',
    'applied twice': 'volumes made or removed more often than asked for',
    'disks that differ': 'from what the successes add up to',
    'leftovers': 'on the disk',
    'unsound': "in the journal's own check",
    'no alarm': 'given up without one',
}
"""Every law, with what its figure counts."""


def breaches(evidence: Evidence) -> list[Breach]:
    """Return what is wrong; nothing, if all laws hold."""
    per_event = defaultdict(list)
    for transition in evidence.history:
        per_event[transition.event_id].append(transition)
    return [
        Breach(law, what)
        for law, found in (
            ('lost', _lost(evidence, per_event)),
            ('ended twice', _ended_twice(per_event)),
            ('out of order', _out_of_order(evidence, per_event)),
            ('overlapping', _overlapping(evidence)),
            ('gaps', _gaps(evidence)),
            ('not told', _not_told(evidence)),
            ('told late', _told_late(evidence)),
            ('applied twice', _applied_twice(evidence)),
            ('disks that differ', _disks(evidence)),
            ('leftovers', iter(evidence.leftovers)),
            ('unsound', iter(evidence.problems)),
            ('no alarm', _no_alarm(evidence)),
        )
        for what in found
    ]


_PerEvent = Mapping[str, Sequence[Transition]]


def _lost(evidence: Evidence, per_event: _PerEvent) -> Iterator[str]:
    ids = {event_id for each in evidence.accepted for event_id in each}
    for event_id in sorted(ids | set(per_event)):
        states = [one.state for one in per_event.get(event_id, ())]
        if not states:
            yield f'event {event_id} is not in the journal'
        elif not states[-1].is_final:
            yield f'event {event_id} is {states[-1]} for ever'


def _ended_twice(per_event: _PerEvent) -> Iterator[str]:
    for event_id, transitions in per_event.items():
        states = [one.state for one in transitions]
        if sum(state.is_final for state in states) > 1:
            yield f'event {event_id} went {" ".join(states)}'


def _out_of_order(evidence: Evidence, per_event: _PerEvent) -> Iterator[str]:
    for ids in evidence.accepted:
        known = [
            per_event[event_id] for event_id in ids if event_id in per_event
        ]
        taken = [each[0].sequence for each in known]
        if taken != sorted(taken):
            yield f'events {" ".join(ids)} were accepted as {taken}'
    unfinished: dict[str, list[str]] = defaultdict(list)
    for one in evidence.history:
        for resource in _resources(evidence, one):
            queue = unfinished[resource]
            if one.event_id not in queue:
                queue.append(one.event_id)
            if one.state is State.RUNNING and queue[0] != one.event_id:
                yield (
                    f'event {one.event_id} ran at {one.sequence}, before '
                    f'{queue[0]}'
                )
            if one.state.is_final:
                queue.remove(one.event_id)


def _resources(evidence: Evidence, one: Transition) -> Sequence[str]:
    """Return what an event has to itself while it runs."""
    event = evidence.asked.get(one.event_id)
    return event.resources if event else (one.volume_id,)


def _overlapping(evidence: Evidence) -> Iterator[str]:
    running: dict[str, str] = {}
    for one in evidence.history:
        for resource in _resources(evidence, one):
            holder = running.get(resource)
            if one.state is State.RUNNING:
                if holder not in (None, one.event_id):
                    yield f'events {holder} and {one.event_id} ran at once'
                running[resource] = one.event_id
            elif holder == one.event_id:
                del running[resource]


def _gaps(evidence: Evidence) -> Iterator[str]:
    expected = 1
    for one in evidence.history:
        if one.sequence != expected:
            yield f'{expected} is followed by {one.sequence}'
        expected = one.sequence + 1


def _not_told(evidence: Evidence) -> Iterator[str]:
    heard = set(evidence.heard)
    for one in evidence.history:
        if one.sequence not in heard:
            yield f'{one.sequence}: event {one.event_id} {one.state}'
    known = {one.sequence for one in evidence.history}
    for sequence in sorted(heard - known):
        yield f'{sequence} was told, and is not in the journal'


def _told_late(evidence: Evidence) -> Iterator[str]:
    volume_of = {one.sequence: one.volume_id for one in evidence.history}
    last: dict[str, int] = {}
    known: set[int] = set()
    for sequence in evidence.heard:
        volume_id = volume_of.get(sequence, '')
        if sequence not in known and sequence < last.get(volume_id, 0):
            yield f'{sequence} came after {last[volume_id]} of its volume'
        known.add(sequence)
        last[volume_id] = max(sequence, last.get(volume_id, 0))


def _applied_twice(evidence: Evidence) -> Iterator[str]:
    """What was made and removed, beside what the journal says was.

    A creation that finds its volume there, of its size, succeeds and makes
    nothing. An attempt that was cut short may have made a file and taken it
    back: so many more may have been made as there were of those.
    """
    made: Counter[str] = Counter()
    last: dict[str, Change] = {}
    for one in evidence.seen:
        if last.get(one.thing, Change.REMOVED) is one.change:
            yield f'{one.thing} was {one.change} twice in a row'
        last[one.thing] = one.change
        made[one.thing] += one.change is Change.MADE
    successes: Counter[str] = Counter()
    undone: Counter[str] = Counter()
    present: set[str] = set()
    for one in evidence.history:
        thing = _thing(evidence, one)
        is_success = one.state is State.SUCCESS
        if one.operation in _REMOVE and is_success:
            present.discard(thing)
        elif one.operation in _MAKE and one.state.is_final:
            if not is_success:
                undone[thing] += one.attempt
            elif thing not in present:
                present.add(thing)
                successes[thing] += 1
                undone[thing] += one.attempt - 1
    for thing in made.keys() | successes.keys():
        least = successes[thing]
        most = least + undone[thing]
        if not least <= made[thing] <= most:
            yield (
                f'{thing} was made {made[thing]} times, and successfully '
                f'created {least} times'
            )


def _thing(evidence: Evidence, one: Transition) -> str:
    """Return what an event makes, changes or removes."""
    event = evidence.asked.get(one.event_id)
    match event.parameters if event else None:
        case (
            SnapshotParameters(snapshot_id=snapshot_id)
            | DeleteSnapshotParameters(snapshot_id=snapshot_id)
        ):
            return SNAPSHOT_MARK + snapshot_id
    return one.volume_id


def _disks(evidence: Evidence) -> Iterator[str]:
    noted = {one.volume_id: one.size_bytes for one in evidence.volumes} | {
        SNAPSHOT_MARK + one.snapshot_id: one.size_bytes
        for one in evidence.snapshots
    }
    attached = {one.volume_id: one.attached_to for one in evidence.volumes}
    sizes, hosts, unsure = _replay(evidence)
    for thing in sorted(noted.keys() | sizes.keys() | evidence.sizes.keys()):
        told = (
            f'{thing}: {sizes.get(thing)} bytes by its successes, '
            f'{noted.get(thing)} in the journal, '
            f'{evidence.sizes.get(thing)} on the disk'
        )
        if noted.get(thing) != evidence.sizes.get(thing):
            yield told
        elif thing not in unsure and noted.get(thing) != sizes.get(thing):
            yield told
        elif thing in attached and thing not in unsure:
            expected = tuple(sorted(hosts.get(thing, ())))
            if attached[thing] != expected:
                yield (
                    f'volume {thing}: attached to {expected} by its '
                    f'successes, to {attached[thing]} in the journal'
                )


def _replay(
    evidence: Evidence,
) -> tuple[dict[str, int], dict[str, set[str]], set[str]]:
    """Return sizes and hosts by the successes, and what they leave open."""
    sizes: dict[str, int] = {}
    hosts: dict[str, set[str]] = defaultdict(set)
    unsure: set[str] = set()
    for one in evidence.history:
        thing = _thing(evidence, one)
        if one.reason in _LATE:
            unsure.add(thing)
        if one.state is not State.SUCCESS:
            continue
        event = evidence.asked.get(one.event_id)
        match event.parameters if event else None:
            case (
                CreateParameters(size_bytes=size_bytes)
                | ExtendParameters(size_bytes=size_bytes)
                | CloneParameters(size_bytes=size_bytes)
            ):
                sizes[thing] = size_bytes
            case ConnectParameters(host=host):
                hosts[thing].add(host)
            case DisconnectParameters(host=None):
                hosts[thing].clear()
            case DisconnectParameters(host=str(host)):
                hosts[thing].discard(host)
            case SnapshotParameters():
                if one.volume_id in unsure:
                    unsure.add(thing)
                if one.volume_id in sizes:
                    sizes[thing] = sizes[one.volume_id]
            case RevertParameters():
                pass
            case DeleteParameters() | DeleteSnapshotParameters():
                sizes.pop(thing, None)
                hosts.pop(thing, None)
                # Whatever it was, it is no more.
                unsure.discard(thing)
            case _:
                unsure.add(thing)
    return sizes, hosts, unsure


def _no_alarm(evidence: Evidence) -> Iterator[str]:
    for one in evidence.history:
        if one.reason is Reason.LOST and (
            one.volume_id not in evidence.alarmed
        ):
            yield f'event {one.event_id} was given up in silence'
