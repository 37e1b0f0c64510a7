"""Follows events until they have ended, and misses nothing.

By the long poll of ``/v1/changes``. The sequence is the guarantee: whatever
breaks meanwhile, who remembers the last one goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
from typing import Any

from cinder_virtdc.clock import Clock
from cinder_virtdc.osc.client import ApiError
from cinder_virtdc.osc.client import Client
from cinder_virtdc.osc.screen import FINAL
from cinder_virtdc.osc.screen import Screen
from cinder_virtdc.rest_client import path_of

View = Mapping[str, Any]

SUCCESS = 0
FAILED = 1
TIMEOUT = 124
"""As ``timeout`` of coreutils has it."""
INTERRUPTED = 130

WAIT_S = 20
"""How long one request waits: proxies cut what is silent for 30 s or so."""
PAUSE_S = 1.0
MAX_PAUSE_S = 15.0
_PAGE = 500
_OPEN = 'waiting,running'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What is to be followed.

    :param event_ids: these, until all have ended.
    :param volume_id: else the events of this, until none is open.
    :param after: begin with what came after this sequence.

    Without both, everything, until somebody stops it.
    """

    event_ids: Sequence[str] = ()
    volume_id: str | None = None
    after: int | None = None

    @property
    def is_endless(self) -> bool:
        """Whether it never ends by itself."""
        return not self.event_ids and self.volume_id is None


class Watch:
    """Follows once. For one thread.

    :ivar position: the sequence up to which everything was shown.
    :ivar latest: what is known of each event, by its id.
    """

    def __init__(self, client: Client, clock: Clock, screen: Screen) -> None:
        self._client = client
        self._clock = clock
        self._screen = screen
        self._open: set[str] = set()
        self._is_expecting = False
        self._pause_s = PAUSE_S
        self.position = 0
        self.latest: dict[str, View] = {}

    def run(self, aim: Aim, *, timeout_s: float | None = None) -> int:
        """Show what happens until it is over; return an exit status.

        A connection that breaks is made anew, as often as it takes.

        :raises ApiError: there is nothing to follow, or no right to.
        """
        until = (
            None if timeout_s is None else self._clock.monotonic() + timeout_s
        )
        self._begin(aim)
        if aim.after is not None:
            self.position = aim.after
        while True:
            is_behind = self._read(aim, until)
            if not is_behind and not self._waits(aim):
                break
            if until is not None and self._clock.monotonic() >= until:
                return TIMEOUT
        failed = any(one['state'] == 'failed' for one in self.latest.values())
        return FAILED if failed else SUCCESS

    def _begin(self, aim: Aim) -> None:
        """Learn what there is, and from where on to follow."""
        if aim.event_ids:
            records = [
                self._client.get(path_of('events', one))
                for one in aim.event_ids
            ]
            self.position = min(one['sequence'] for one in records)
        else:
            answer = self._client.get(
                '/events',
                {
                    'state': _OPEN,
                    'volume_id': aim.volume_id,
                    'limit': _PAGE,
                },
            )
            records = list(reversed(answer['events']))
            self.position = answer['sequence']
            # After a gap: what was open, and has ended in it.
            listed = {one['event_id'] for one in records}
            records += [
                self._client.get(path_of('events', one))
                for one in sorted(self._open - listed)
            ]
            if aim.volume_id is not None and not records:
                records = self._last(aim.volume_id)
        if aim.after is None:
            self._take(records, aim)
            return
        for record in records:
            # Its changes are still to come, and are shown then.
            if record['state'] not in FINAL:
                self._open.add(record['event_id'])
            elif record['sequence'] <= aim.after:
                self._take([record], aim)

    def _last(self, volume_id: str) -> list[View]:
        answer = self._client.get(
            '/events', {'volume_id': volume_id, 'limit': 1}
        )
        found: list[View] = answer['events']
        if not found:
            # Its first is on the way from the cloud, or the id is wrong.
            self._is_expecting = True
            self._screen.note(
                f'Nothing is known of volume {volume_id} yet: waiting for '
                'its first event.'
            )
        return found

    def _read(self, aim: Aim, until: float | None) -> bool:
        """Show the next changes; return whether there are more at once."""
        try:
            answer = self._client.get(
                '/changes',
                {
                    'after': self.position,
                    'wait': self._wait_s(until) if self._waits(aim) else 0,
                    'volume_id': self._only_volume(aim),
                    'limit': _PAGE,
                },
            )
        except ApiError as exc:
            self._recover(exc, aim, until)
            return True
        self._pause_s = PAUSE_S
        self._take(answer['changes'], aim)
        self.position = answer['next_after']
        return bool(self.position < answer['last'])

    def _waits(self, aim: Aim) -> bool:
        return bool(self._open) or aim.is_endless or self._is_expecting

    def _only_volume(self, aim: Aim) -> str | None:
        if aim.volume_id is not None or len(aim.event_ids) != 1:
            return aim.volume_id
        known = self.latest.get(aim.event_ids[0])
        return None if known is None else str(known['volume_id'])

    def _wait_s(self, until: float | None) -> int:
        if until is None:
            return WAIT_S
        # The API counts whole seconds; asking in vain again and again is
        # worse than to end a little late.
        left_s = math.ceil(until - self._clock.monotonic())
        return max(0, min(WAIT_S, left_s))

    def _take(self, views: Iterable[View], aim: Aim) -> None:
        for view in views:
            event_id = view['event_id']
            if aim.event_ids and event_id not in aim.event_ids:
                continue
            known = self.latest.get(event_id)
            if known is not None and view['sequence'] <= known['sequence']:
                continue
            if not aim.is_endless or view['state'] not in FINAL:
                self.latest[event_id] = view
            else:
                # Who follows for days does not keep what is over.
                self.latest.pop(event_id, None)
            if view['state'] in FINAL:
                self._open.discard(event_id)
            else:
                self._open.add(event_id)
            self._is_expecting = False
            self._screen.show(view)

    def _recover(self, exc: ApiError, aim: Aim, until: float | None) -> None:
        """Go on after a request that failed, if there is any hope."""
        if exc.status == 410:
            self._screen.note(
                'Some changes are not kept any more: reading all anew.'
            )
            self._begin(dataclasses.replace(aim, after=None))
            return
        if exc.status is not None and exc.status < 500 and not exc.retry_s:
            raise exc
        pause_s = exc.retry_s or self._pause_s
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
        if until is not None:
            left_s = until - self._clock.monotonic()
            pause_s = max(0.0, min(pause_s, left_s))
        self._screen.note(f'{exc} Trying again in {pause_s:.0f} s.')
        self._clock.pause(pause_s)


def resume_hint(aim: Aim, position: int) -> str:
    """Say how to go on watching where somebody has stopped."""
    words = ['openstack virtdc event watch', *aim.event_ids]
    if aim.volume_id is not None:
        words += ['--volume', aim.volume_id]
    words += ['--after', str(position)]
    return (
        'Detached; what runs goes on. To watch on from here:\n  '
        + ' '.join(words)
    )
