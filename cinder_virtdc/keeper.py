"""Keeps Cinder in step with the data centre: when to compare what."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import logging
import threading

from cinder_virtdc.client import AgentClient
from cinder_virtdc.clock import Clock
from cinder_virtdc.cloud import Cloud
from cinder_virtdc.cloud import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.follow import Follower
from cinder_virtdc import reconcile
from cinder_virtdc.writer import Writer
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import Volume

LOG = logging.getLogger(__name__)

SETTLE_S = 1.0
"""So long a gap may close by itself: messages overtake each other."""

_LONGEST_RETRY_S = 30.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How often to do what, in seconds; see the options of these names."""

    catch_up_s: float = 10.0
    repair_s: float = 15.0
    resync_s: float = 300.0


class Keeper:
    """One thread that catches up, repairs and compares, each in its time.

    It begins with a comparison of everything. What fails is tried again; as
    long as one side does not answer, nothing is concluded from that.

    :param hosts: Cinder's backends of this data centre; none means all.
    """

    def __init__(
        self,
        *,
        client: AgentClient,
        cloud: Cloud,
        writer: Writer,
        clock: Clock,
        intervals: Intervals,
        hosts: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._cloud = cloud
        self._writer = writer
        self._clock = clock
        self._hosts: Sequence[str | None] = list(hosts) or [None]
        self._follower = Follower(client, writer.show)
        self._changed = threading.Condition()
        self._stopped = False
        self._behind_since: float | None = None
        self._resync = _Task(
            'compare both sides', self.resync, intervals.resync_s
        )
        self._catch_up = _Task(
            'learn what is new', self.catch_up, intervals.catch_up_s
        )
        self._repair = _Task(
            'repair volumes in error', self.repair, intervals.repair_s
        )
        self._thread = threading.Thread(
            target=self._run, name='virtdc-keeper', daemon=True
        )

    def start(self) -> None:
        """Start, with a comparison of everything."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after what is under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def offer(self, notification: Notification) -> None:
        """Take a notification: shown at once, if it is news."""
        self._follower.offer(notification)
        with self._changed:
            if not self._follower.is_behind:
                self._behind_since = None
            elif self._behind_since is None:
                self._behind_since = self._clock.monotonic()
                self._changed.notify_all()

    def catch_up(self) -> None:
        """Show what no notification told.

        :raises VirtDCError: the agent cannot be asked; nothing is lost.
        """
        self._follower.catch_up()

    def repair(self) -> None:
        """Take volumes out of ``error`` that the data centre has made.

        :raises VirtDCError: one side cannot be asked; nothing is concluded.
        """
        candidates = [
            volume
            for volume in self._volumes(status='error')
            if reconcile.is_candidate(
                volume, self._follower.latest(volume.platform_id)
            )
        ]
        if candidates:
            # What is later than the candidates is known before they are
            # judged.
            self._follower.catch_up()
            self._settle(candidates, self._platform_volumes())

    def resync(self) -> None:
        """Compare all volumes of both sides.

        :raises VirtDCError: one side cannot be asked; nothing is concluded.
        """
        # The first time, the whole history is read, and nearly all of it is
        # shown already: what is not, the comparison finds.
        self._follower.catch_up(tell=self._resync.has_succeeded)
        cursor = self._follower.cursor
        platform = self._platform_volumes()
        volumes = list(self._volumes())
        self._writer.learn(
            (volume.platform_id, volume.volume_id) for volume in volumes
        )
        self._settle(volumes, platform)
        self._follower.retain({one.platform_id for one in volumes}, cursor)

    def _settle(
        self, volumes: Sequence[CloudVolume], platform: dict[str, Volume]
    ) -> None:
        for volume in volumes:
            for action in self._actions(volume, platform):
                match action:
                    case reconcile.Show():
                        self._writer.show(action.transition, action.outdated)
                    case reconcile.MakeAvailable():
                        self._make_available(action.volume_id, platform)

    def _actions(
        self, volume: CloudVolume, platform: dict[str, Volume]
    ) -> Sequence[reconcile.Action]:
        return reconcile.reconcile(
            volume,
            self._follower.latest(volume.platform_id),
            platform.get(volume.platform_id),
            last_sequence=self._follower.cursor,
        )

    def _make_available(
        self, volume_id: str, platform: dict[str, Volume]
    ) -> None:
        """Look once more, and then do it; Cinder offers no condition."""
        try:
            volume = self._cloud.get_volume(volume_id)
            if not any(
                isinstance(action, reconcile.MakeAvailable)
                for action in self._actions(volume, platform)
            ):
                return
            self._cloud.make_available(volume_id)
        except (exceptions.VolumeGone, exceptions.NotNow) as exc:
            LOG.debug('Volume %s stays as it is: %s', volume_id, exc)
            return
        LOG.info(
            'Volume %s was in error in Cinder, but the data centre has made '
            'it: it is available now.',
            volume_id,
        )

    def _volumes(self, status: str | None = None) -> Iterator[CloudVolume]:
        for host in self._hosts:
            yield from self._cloud.list_volumes(host=host, status=status)

    def _platform_volumes(self) -> dict[str, Volume]:
        return {one.volume_id: one for one in self._client.get_volumes()}

    def _run(self) -> None:
        while self._await_turn():
            now = self._clock.monotonic()
            if self._resync.due_at <= now:
                self._resync.attempt(self._clock)
            if not self._resync.has_succeeded:
                continue
            if self._catch_up_at() <= now:
                self._catch_up.attempt(self._clock)
                with self._changed:
                    self._behind_since = None
            if self._repair.due_at <= now:
                self._repair.attempt(self._clock)

    def _await_turn(self) -> bool:
        """Wait until something is due; return whether to go on."""
        with self._changed:
            while not self._stopped:
                due_at = self._resync.due_at
                if self._resync.has_succeeded:
                    due_at = min(
                        due_at, self._catch_up_at(), self._repair.due_at
                    )
                wait_s = due_at - self._clock.monotonic()
                if wait_s <= 0:
                    return True
                self._clock.wait(self._changed, wait_s)
            return False

    def _catch_up_at(self) -> float:
        if self._behind_since is None or self._catch_up.failures:
            return self._catch_up.due_at
        return min(self._catch_up.due_at, self._behind_since + SETTLE_S)


class _Task:
    """Something to do every so often, and sooner if it failed."""

    def __init__(
        self, what: str, run: Callable[[], None], interval_s: float
    ) -> None:
        self._what = what
        self._run = run
        self._interval_s = interval_s
        self.due_at = float('-inf')
        self.failures = 0
        self.has_succeeded = False

    def attempt(self, clock: Clock) -> None:
        """Do it; never raises."""
        try:
            self._run()
        except exceptions.VirtDCError as exc:
            if self.failures == 0:
                LOG.warning(
                    'Cannot %s for now: %s Trying again.',
                    self._what,
                    exc,
                )
            self._failed(clock)
        except Exception:
            LOG.exception('Unexpected error, cannot %s', self._what)
            self._failed(clock)
        else:
            if self.failures:
                LOG.info('Can %s again.', self._what)
            self.failures = 0
            self.has_succeeded = True
            self.due_at = clock.monotonic() + self._interval_s

    def _failed(self, clock: Clock) -> None:
        pause_s = min(2.0 ** min(self.failures, 10), _LONGEST_RETRY_S)
        self.due_at = clock.monotonic() + min(pause_s, self._interval_s)
        self.failures += 1
