"""Writes to Cinder what volumes are to show, without getting in its way.

Each write costs Cinder's API some 50 ms of processor time, which the users'
own requests then lack. So there is one write at a time, and after it a rest
that is the longer the slower the API was; meanwhile what is to be written
collapses to the latest of each volume.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import heapq
import logging
import threading

from cinder_virtdc.clock import Clock
from cinder_virtdc.cloud.interfaces import Cloud
from cinder_virtdc import exceptions
from cinder_virtdc.sync import properties
from virtdc_agent.contract.events import Transition
from virtdc_agent.monitoring.trail import EventTrail

LOG = logging.getLogger(__name__)

MAX_GONE = 10_000
"""So many volumes that Cinder does not have are remembered."""

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast to write.

    :param min_interval_s: between two writes of what is not final to one
        volume.
    :param duty: share of the time that is spent writing, above 0 to 1.
    """

    min_interval_s: float = 1.0
    duty: float = 0.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Want:
    transition: Transition
    outdated: frozenset[str]
    more: Mapping[str, str] = dataclasses.field(default_factory=dict)
    attempts: int = 0

    @property
    def is_final(self) -> bool:
        return self.transition.state.is_final


class Writer:
    """A queue of volumes, and the one thread that writes.

    What is wanted of a volume replaces what was wanted before, unless it is
    older. Ends of events go first, in their order; a volume is not written
    again within ``min_interval_s`` unless its event has ended. What Cinder
    refuses for now is tried again later, with growing pauses; what concerns
    a volume that is gone is dropped. What is lost when the process ends, the
    next comparison finds.

    Safe from any thread.

    :param more: properties to write with a transition, beside its own.
    """

    def __init__(
        self,
        cloud: Cloud,
        *,
        clock: Clock,
        pace: Pace,
        more: Callable[[Transition], Mapping[str, str]] = lambda one: {},
        trail: EventTrail | None = None,
    ) -> None:
        self._trail = trail or EventTrail()
        self._cloud = cloud
        self._more = more
        self._clock = clock
        self._pace = pace
        self._wanted = threading.Condition()
        self._final: dict[str, _Want] = {}
        self._other: dict[str, _Want] = {}
        self._held: dict[str, float] = {}
        self._holds: list[tuple[float, str]] = []
        self._failing: set[str] = set()
        self._gone: dict[str, None] = {}
        self._alias: dict[str, str] = {}
        self._replaced: set[str] = set()
        self._rest_until = 0.0
        self._failures = 0
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name='virtdc-writer', daemon=True
        )

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after the write that is under way."""
        with self._wanted:
            self._stopped = True
            self._wanted.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def backlog(self) -> int:
        """How many volumes wait to be written."""
        with self._wanted:
            return len(self._final) + len(self._other)

    def show(
        self,
        transition: Transition,
        outdated: Iterable[str] = (),
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Let the volume of a transition show it, soon.

        :param outdated: keys that the volume is known to have and should
            not.
        :param more: properties to set in the same request.
        """
        volume_id = transition.volume_id
        with self._wanted:
            if properties.ends_volume(transition):
                self._forget(volume_id)
                return
            if volume_id in self._gone or volume_id in self._replaced:
                return
            self._put(
                _Want(
                    transition=transition,
                    outdated=frozenset(outdated),
                    more=more or {},
                )
            )
            self._wanted.notify_all()

    def learn(self, known: Iterable[tuple[str, str]]) -> None:
        """Take note of which volumes Cinder has.

        :param known: their ids in the data centre and in Cinder.
        """
        alias = {}
        with self._wanted:
            for platform_id, volume_id in known:
                self._gone.pop(platform_id, None)
                if platform_id != volume_id:
                    alias[platform_id] = volume_id
            self._alias = alias
            # Their old data may have the volume's name in the data centre.
            self._replaced = set(alias.values()) - alias.keys()

    def know(self, platform_id: str, volume_id: str) -> None:
        """Take note that Cinder has a volume now; see ``learn``."""
        with self._wanted:
            self._gone.pop(platform_id, None)
            if platform_id != volume_id:
                self._alias[platform_id] = volume_id
                self._replaced.add(volume_id)

    def cloud_id_of(self, platform_id: str) -> str | None:
        """Return Cinder's id of a volume of the data centre.

        :returns: ``None``: Cinder is known to have no such volume.
        """
        with self._wanted:
            if platform_id in self._gone or platform_id in self._replaced:
                return None
            return self._alias.get(platform_id, platform_id)

    def has_none(self, platform_id: str) -> None:
        """Take note that Cinder has no such volume."""
        with self._wanted:
            self._mark_gone(platform_id)

    def drain(self) -> None:
        """Write, in this thread and without rest, what may be written now.

        For a writer that was not started.
        """
        while True:
            with self._wanted:
                self._release(self._clock.monotonic())
                want = self._next()
                if want is None:
                    return
                self._take_out(want.transition.volume_id)
            if not self._attempt(want):
                return

    def _run(self) -> None:
        while True:
            want = self._await_want()
            if want is None:
                return
            begun = self._clock.monotonic()
            if self._attempt(want):
                self._rest(self._clock.monotonic() - begun)

    def _attempt(self, want: _Want) -> bool:
        """Write; return whether the API answers."""
        try:
            self._write(want)
        except exceptions.VolumeGone:
            self._drop(want)
        except exceptions.NotNow as exc:
            LOG.debug('Cinder refuses for now: %s', exc)
            self._retry(want)
        except exceptions.CloudError as exc:
            self._back_off(want, exc)
            return False
        except Exception:
            LOG.exception(
                'Unexpected error while writing to volume %s',
                want.transition.volume_id,
            )
            self._retry(want)
        else:
            self._written(want)
        return True

    def _await_want(self) -> _Want | None:
        """Wait for what may be written now and take it out of the queue."""
        with self._wanted:
            while not self._stopped:
                now = self._clock.monotonic()
                if now < self._rest_until:
                    self._clock.wait(self._wanted, self._rest_until - now)
                    continue
                self._release(now)
                want = self._next()
                if want is not None:
                    self._take_out(want.transition.volume_id)
                    return want
                self._clock.wait(
                    self._wanted,
                    self._holds[0][0] - now if self._holds else None,
                )
            return None

    def _next(self) -> _Want | None:
        for volume_id, want in self._final.items():
            if volume_id not in self._held or not want.attempts:
                return want
        for volume_id, want in self._other.items():
            if volume_id not in self._held:
                return want
        return None

    def _write(self, want: _Want) -> None:
        with self._trail.step('apply', want.transition):
            self._set(want)
            LOG.debug(
                'Event %s: its volume shows %s',
                want.transition.event_id,
                want.transition.state,
            )

    def _set(self, want: _Want) -> None:
        platform_id = want.transition.volume_id
        volume_id = self._alias.get(platform_id, platform_id)
        shown = properties.properties_of(want.transition)
        self._cloud.set_properties(
            volume_id,
            {**self._more(want.transition), **want.more, **shown},
        )
        outdated = set(want.outdated)
        if platform_id in self._failing:
            outdated.update(properties.FAILURE_KEYS)
        for key in sorted(outdated - shown.keys()):
            self._cloud.remove_property(volume_id, key)

    def _written(self, want: _Want) -> None:
        volume_id = want.transition.volume_id
        if self._failures:
            LOG.info("Cinder's API takes what volumes are to show again.")
        with self._wanted:
            self._failures = 0
            if want.transition.reason is not None:
                self._failing.add(volume_id)
            else:
                self._failing.discard(volume_id)
            if not want.is_final:
                self._hold(volume_id, self._pace.min_interval_s)

    def _drop(self, want: _Want) -> None:
        volume_id = want.transition.volume_id
        LOG.debug('Cinder has no volume %s', volume_id)
        with self._wanted:
            self._mark_gone(volume_id)

    def _retry(self, want: _Want) -> None:
        """Put it back, unless something later is wanted; hold the volume."""
        volume_id = want.transition.volume_id
        with self._wanted:
            self._put(dataclasses.replace(want, attempts=want.attempts + 1))
            self._hold(volume_id, _pause_s(want.attempts))

    def _back_off(self, want: _Want, exc: exceptions.CloudError) -> None:
        """Leave the whole API alone for a while."""
        pause_s = _pause_s(self._failures)
        if isinstance(exc, exceptions.CloudForbids):
            pause_s = _LONGEST_RETRY_S
        if self._failures == 0:
            LOG.warning(
                'What volumes are to show cannot be written for now: %s '
                'Trying again.',
                exc,
            )
        with self._wanted:
            self._put(want)
            self._failures += 1
            self._rest_until = self._clock.monotonic() + pause_s

    def _rest(self, took_s: float) -> None:
        rest_s = took_s * (1 - self._pace.duty) / self._pace.duty
        with self._wanted:
            self._rest_until = self._clock.monotonic() + rest_s

    def _put(self, want: _Want) -> None:
        """Put into the queue, in the place of what is there already."""
        volume_id = want.transition.volume_id
        known = self._final.get(volume_id) or self._other.get(volume_id)
        if known is not None:
            want = _merged(known, want)
            if known.is_final != want.is_final:
                self._take_out(volume_id)
        queue = self._final if want.is_final else self._other
        queue[volume_id] = want

    def _take_out(self, volume_id: str) -> _Want | None:
        return self._final.pop(volume_id, None) or self._other.pop(
            volume_id, None
        )

    def _forget(self, volume_id: str) -> None:
        self._take_out(volume_id)
        self._failing.discard(volume_id)
        self._held.pop(volume_id, None)

    def _mark_gone(self, volume_id: str) -> None:
        self._forget(volume_id)
        self._gone[volume_id] = None
        if len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]

    def _hold(self, volume_id: str, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        self._held[volume_id] = until
        heapq.heappush(self._holds, (until, volume_id))

    def _release(self, now: float) -> None:
        while self._holds and self._holds[0][0] <= now:
            until, volume_id = heapq.heappop(self._holds)
            if self._held.get(volume_id) == until:
                del self._held[volume_id]


def _merged(one: _Want, other: _Want) -> _Want:
    """Return the want of the later transition, with all that is outdated."""
    later = max((one, other), key=lambda want: want.transition.sequence)
    return dataclasses.replace(
        later,
        outdated=one.outdated | other.outdated,
        more={**one.more, **other.more},
    )


def _pause_s(attempts: int) -> float:
    return min(_FIRST_RETRY_S * 2.0 ** min(attempts, 10), _LONGEST_RETRY_S)
