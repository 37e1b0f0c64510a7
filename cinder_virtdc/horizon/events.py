"""What the pages say of events, as plain values.

Pure, and without HTML. The words are those of the data centre's own console.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime

from cinder_virtdc.horizon import naming
from cinder_virtdc.horizon.naming import Named
from cinder_virtdc.horizon.naming import View
from cinder_virtdc.horizon.naming import Viewer
from cinder_virtdc import wording
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import OWN_METADATA
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State

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
        age=naming.age(view['created_at'], now),
        created_at=wording.moment(view['created_at']),
        state=state,
        bar=_bar(view),
        progress=_progress(view),
        origin=ORIGINS.get(view['origin'], str(view['origin'])),
        who=naming.who(view['requested_by'], viewer),
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
        ('Asked for by', naming.who(requester, viewer, is_short=False)),
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


def operation_word(operation: str) -> str:
    """Return what people call an operation."""
    return OPERATIONS.get(operation, operation.replace('_', ' '))


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
