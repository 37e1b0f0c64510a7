"""What the dashboard's pages say of events and alarms, as plain values.

Pure functions of what the REST API tells; nothing here is HTML, so nothing
here needs escaping. The words are those of the data centre's own console.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import re
from typing import Any

from cinder_virtdc import wording
from virtdc_agent.contract import alarms
from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import OWN_METADATA
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State

View = Mapping[str, Any]

OPERATIONS: Mapping[str, str] = {
    Operation.EXTEND: 'resize',
    Operation.CONNECT: 'attach',
    Operation.DISCONNECT: 'detach',
    Operation.CLONE: 'copy',
    Operation.IMPORT: 'import image',
    Operation.PURGE: 'remove for good',
    Operation.MIGRATE: 'move',
}
"""Where the dashboard's word is not that of the contract."""
ORIGINS: Mapping[str, str] = {
    Origin.CLOUD: 'cloud',
    Origin.PLATFORM: 'data centre',
}
REASONS: Mapping[str, str] = {
    Reason.REJECTED: 'refused',
    Reason.TIMEOUT: 'took too long',
    Reason.BACKEND: 'the storage failed',
    Reason.CANCELLED: 'cancelled',
    Reason.LOST: 'its agent was lost',
}
HINTS: Mapping[str, str] = {
    Reason.REJECTED: 'Asking for the same again will not help: ask for '
    'something else, or remove what stands in the way.',
    Reason.TIMEOUT: 'Retry it when the data centre has less to do. If it is '
    'too slow again, its operators can allow more time.',
    Reason.BACKEND: 'Retry it later. The operators of the data centre can '
    'see what is wrong with the storage.',
    Reason.CANCELLED: 'Retry it if it is wanted after all.',
    Reason.LOST: 'Its agents died while they executed it. Have the operators '
    'of the data centre find out why, and then retry it.',
}
UNKNOWN = 'no answer'
"""Stands for the state of an event that nobody can tell now."""
OPEN = frozenset({State.WAITING, State.RUNNING})
_NOT_RETRIED = frozenset({Operation.CONNECT, Operation.DISCONNECT})
_REMOVING = frozenset({Operation.DELETE, Operation.UNMANAGE})
_LONG_ID = re.compile('[0-9a-f]{32}|[0-9a-f-]{36}')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks at a page.

    :param names: of the users whose names may be shown, by their ids.
    :param may: the rules of the data centre that allow something to them.
    """

    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    may: Collection[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A volume, as a page calls it.

    :param is_in_cloud: the cloud has a page of it.
    """

    volume_id: str
    name: str = ''
    is_in_cloud: bool = False

    @property
    def shown(self) -> str:
        """Its name, or as much of its id as people read."""
        return wording.printable(self.name) or shortened(self.volume_id)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """How far something is.

    :param percent: ``None``: nobody knows, and the bar only moves.
    :param text: what is said beside it.
    """

    percent: int | None
    text: str

    @property
    def width(self) -> int:
        """How much of the bar is filled, in per cent."""
        return 100 if self.percent is None else self.percent


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event in a table.

    :param age: coarse, so that a row changes only when its event does.
    :param created_at: the exact time.
    :param bar: while it runs.
    :param progress: what is said instead of a bar.
    :param why: of a failed one, what went wrong.
    :param hint: what to do about that.
    """

    id: str
    operation: str
    volume: Named
    age: str
    created_at: str
    state: str
    bar: Bar | None
    progress: str
    origin: str
    who: str
    why: str
    hint: str
    can_cancel: bool
    can_retry: bool

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f'{self.operation} of {self.volume.shown}'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A state that an event was in.

    :param lasted: for how long; empty: it is still in it, or stays so.
    """

    at: str
    state: str
    attempt: int
    lasted: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """All that is told of one event."""

    row: EventRow
    facts: Sequence[tuple[str, str]]
    ids: Sequence[tuple[str, str]]
    steps: Sequence[Step]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRow:
    """An alarm in a table, or above the page of its volume.

    :param who: has done what it is about; empty: nobody knows.
    :param happened_at: when.
    :param effect: what no longer works.
    :param repair: what a person has to do.
    :param seen: by whom, when and with which comment; empty: by nobody.
    """

    kind: str
    subject: str
    severity: str
    volume: Named
    message: str
    who: str
    happened_at: str
    age: str
    raised_at: str
    count: int
    effect: str
    repair: str
    seen: str
    can_acknowledge: bool

    @property
    def id(self) -> str:
        """What tells it from all others."""
        return f'{self.kind}/{self.subject}'

    @property
    def name(self) -> str:
        """What it is called in a sentence."""
        return f'{self.kind} of {self.volume.shown}'

    @property
    def is_bad(self) -> bool:
        """Whether somebody loses something by it."""
        return self.severity in (
            alarms.Severity.CRITICAL,
            alarms.Severity.MAJOR,
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ToldAlarm:
    """What the cloud says of an alarm to those who may not list any."""

    kind: str
    message: str
    effect: str


def told_alarm(kind: str, message: str) -> ToldAlarm:
    """Return what a volume's properties say of its alarm."""
    known = catalogue.CATALOGUE.get(kind)
    return ToldAlarm(
        kind=wording.printable(kind),
        message=wording.printable(message),
        effect=known.effect if known else '',
    )


def event_row(
    view: View, viewer: Viewer, named: Named, now: datetime.datetime
) -> EventRow:
    """Return the row of an event."""
    state, operation = str(view['state']), str(view['operation'])
    reason = str(view.get('reason') or '')
    return EventRow(
        id=str(view['event_id']),
        operation=operation_word(operation),
        volume=named,
        age=age(view['created_at'], now),
        created_at=wording.moment(view['created_at']),
        state=state,
        bar=_bar(view),
        progress=_progress(view),
        origin=ORIGINS.get(view['origin'], str(view['origin'])),
        who=who(view['requested_by'], viewer),
        why=_why(view),
        hint=HINTS.get(reason, '') if state == State.FAILED else '',
        can_cancel=(
            'events:cancel' in viewer.may
            and state in OPEN
            and not view.get('is_cancel_requested')
        ),
        can_retry=(
            'events:retry' in viewer.may
            and state == State.FAILED
            and operation not in _NOT_RETRIED
        ),
    )


def unknown_row(event_id: str, why: str) -> EventRow:
    """Return the row of an event that the data centre does not tell of."""
    return EventRow(
        id=event_id,
        operation='event',
        volume=Named(volume_id=''),
        age='',
        created_at='',
        state=UNKNOWN,
        bar=None,
        progress='',
        origin='',
        who='',
        why=wording.printable(why),
        hint='',
        can_cancel=False,
        can_retry=False,
    )


def event_page(
    view: View, viewer: Viewer, named: Named, now: datetime.datetime
) -> EventPage:
    """Return all that is told of an event."""
    row = event_row(view, viewer, named, now)
    requester = view['requested_by']
    facts = [
        ('Bytes', _bytes(view)),
        ('Attempt', str(view.get('attempt') or '')),
        ('In the queue', _ahead(view.get('queue'))),
        ('Asked for', f'{row.created_at} UTC'),
        ('Last change', f'{wording.moment(view["updated_at"])} UTC'),
        ('Came from', row.origin),
        ('Asked for by', who(requester, viewer, is_short=False)),
        ('Executed by', str(view.get('agent') or '')),
        ('Wanted', _wanted(view.get('parameters') or {})),
    ]
    ids = [
        ('Event', row.id),
        ('Retry of', str(view.get('retry_of') or '')),
        ('Volume', str(view['volume_id'])),
        ('Project', str(requester['project_id'])),
        ('User', str(requester['user_id'])),
        ('Request', str(requester['request_id'])),
    ]
    return EventPage(
        row=row,
        facts=[(name, value) for name, value in facts if value],
        ids=[(name, wording.printable(value)) for name, value in ids if value],
        steps=[
            Step(
                at=wording.moment(one['occurred_at']),
                state=str(one['state']),
                attempt=int(one['attempt']),
                lasted='' if lasted is None else wording.duration(lasted),
            )
            for one, lasted in wording.steps_of(view.get('history') or ())
        ],
    )


def alarm_row(
    view: View, viewer: Viewer, named: Named, now: datetime.datetime
) -> AlarmRow:
    """Return the row of an alarm."""
    kind = catalogue.CATALOGUE.get(view['kind'])
    details = view.get('details') or {}
    happened_at = details.get('occurred_at')
    return AlarmRow(
        kind=str(view['kind']),
        subject=str(view['subject']),
        severity=str(view['severity']),
        volume=named,
        message=wording.printable(view['message']),
        who=who(details.get('requested_by') or {}, viewer, is_short=False),
        happened_at=wording.moment(str(happened_at)) if happened_at else '',
        age=age(view['raised_at'], now),
        raised_at=wording.moment(view['raised_at']),
        count=int(view['count']),
        effect=kind.effect if kind else '',
        repair=kind.repair if kind else '',
        seen=_seen(view, viewer),
        can_acknowledge=(
            'alarms:acknowledge' in viewer.may and not view['acknowledged_by']
        ),
    )


def worst_first(views: Sequence[View]) -> Sequence[View]:
    """Return alarms in the order in which people should see to them."""
    ranks = [one.value for one in alarms.Severity]
    return sorted(
        views,
        key=lambda one: (
            bool(one['acknowledged_by']),
            # What a newer data centre knows may be as bad as can be.
            ranks.index(one['severity']) if one['severity'] in ranks else -1,
            one['raised_at'],
        ),
    )


def names_of(
    views: Sequence[View], volumes: Mapping[str, View]
) -> Mapping[str, Named]:
    """Return what the volumes of events are called, by id.

    :param views: the events, newest first: they tell of what is not there.
    :param volumes: those that the data centre has, by id.
    """
    events: dict[str, list[View]] = {}
    for view in views:
        events.setdefault(str(view['volume_id']), []).append(view)
    return {
        volume_id: (
            Named(
                volume_id=volume_id,
                name=str(volumes[volume_id]['name']),
                is_in_cloud=volumes[volume_id]['origin'] == Origin.CLOUD,
            )
            if volume_id in volumes
            else _absent(volume_id, its)
        )
        for volume_id, its in events.items()
    }


def _absent(volume_id: str, its: Sequence[View]) -> Named:
    names = [(one.get('parameters') or {}).get('name') for one in its]
    of_cloud = [one for one in its if one['origin'] == Origin.CLOUD]
    return Named(
        volume_id=volume_id,
        name=str(next(filter(None, names), '')),
        # What the data centre has lost, the cloud still has.
        is_in_cloud=bool(of_cloud)
        and not any(
            one['operation'] in _REMOVING and one['state'] == State.SUCCESS
            for one in of_cloud
        ),
    )


def operation_word(operation: str) -> str:
    """Return what people call an operation."""
    return OPERATIONS.get(operation, operation.replace('_', ' '))


def age(text: str, now: datetime.datetime) -> str:
    """Say how long ago something was, to the minute at best."""
    seconds = (now - datetime.datetime.fromisoformat(text)).total_seconds()
    for length, unit in ((86400, 'd'), (3600, 'h'), (60, 'min')):
        if seconds >= length:
            return f'{int(seconds // length)} {unit}'
    return 'just now'


def who(requester: View, viewer: Viewer, *, is_short: bool = True) -> str:
    """Say who has asked for something; empty: nobody knows."""
    user_id = wording.printable(str(requester.get('user_id') or ''))
    name = wording.printable(viewer.names.get(user_id, ''))
    if name:
        return name
    return shortened(user_id) if is_short else user_id


def users_of(views: Sequence[View]) -> set[str]:
    """Return the ids of the users whom events and alarms are about.

    What looks unlike an id is a name already, of the data centre's own.
    """
    found = {
        str(said.get(key) or '')
        for view in views
        for said, key in (
            (view.get('requested_by') or {}, 'user_id'),
            (
                (view.get('details') or {}).get('requested_by') or {},
                'user_id',
            ),
            (view, 'acknowledged_by'),
        )
    }
    return {one for one in found if _LONG_ID.fullmatch(one)}


def shortened(text: str) -> str:
    """Return of an id as much as tells it from others."""
    return f'{text[:8]}…' if _LONG_ID.fullmatch(text) else text


def _bar(view: View) -> Bar | None:
    if view['state'] != State.RUNNING:
        return None
    percent = view.get('progress')
    parts = ['' if percent is None else f'{percent} %', wording.detail(view)]
    return Bar(
        percent=percent,
        text=wording.printable(', '.join(filter(None, parts))) or 'running',
    )


def _progress(view: View) -> str:
    match view['state']:
        case State.WAITING:
            return 'being cancelled' if view.get('is_cancel_requested') else ''
        case State.SUCCESS:
            return f'took {_took(view)}'
        case State.FAILED:
            return f'after {_took(view)}'
    return ''


def _took(view: View) -> str:
    begun, ended = (
        datetime.datetime.fromisoformat(view[name])
        for name in ('created_at', 'updated_at')
    )
    return wording.duration((ended - begun).total_seconds())


def _why(view: View) -> str:
    if view['state'] != State.FAILED:
        return ''
    reason = str(view.get('reason') or '')
    message = wording.printable(str(view.get('message') or ''))
    word = REASONS.get(reason, reason)
    return ': '.join(filter(None, (word, message)))


def _bytes(view: View) -> str:
    total = view.get('bytes_total')
    if not total:
        return ''
    done = wording.size_text(view.get('bytes_done') or 0)
    return f'{done} of {wording.size_text(total)}'


def _ahead(queue: View | None) -> str:
    if queue is None:
        return ''
    if not queue['ahead']:
        return 'next'
    more = '' if queue['is_exact'] else 'or more '
    return f'{queue["ahead"]} {more}before it'


def _wanted(parameters: View) -> str:
    said = []
    for name, value in sorted(parameters.items()):
        if isinstance(value, Mapping):
            value = ', '.join(
                f'{key}={inner}'
                for key, inner in sorted(value.items())
                if not key.startswith(OWN_METADATA)
            )
        if value in (None, '', []):
            continue
        if name.endswith('_bytes'):
            name, value = name.removesuffix('_bytes'), wording.size_text(value)
        said.append(f'{name.replace("_", " ")}: {value}')
    return wording.printable(', '.join(said))


def _seen(view: View, viewer: Viewer) -> str:
    if not view['acknowledged_by']:
        return ''
    by = who({'user_id': view['acknowledged_by']}, viewer)
    at = view.get('acknowledged_at')
    when = f', {wording.moment(at)} UTC' if at else ''
    comment = wording.printable(view['comment'])
    return f'{by}{when}' + (f': {comment}' if comment else '')
