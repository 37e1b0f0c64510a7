"""Keeps Cinder in step with the data centre: when to compare what."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import datetime
import logging
import threading

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.clock import Clock
from cinder_virtdc import exceptions
from cinder_virtdc.listener.commanded import Commanded
from cinder_virtdc.listener.comparison import Comparison
from cinder_virtdc.listener.comparison import Report
from cinder_virtdc.listener.follow import Follower
from cinder_virtdc.listener.rescue import Rescue
from cinder_virtdc.listener.router import Router
from cinder_virtdc.listener.sight import Sight
from cinder_virtdc.meter import Meter
from cinder_virtdc.meter import Pulse
from cinder_virtdc.meter import Unheard
from cinder_virtdc.sync import reconcile
from virtdc_agent.contract.alarms import AlarmNotice
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.resyncs import Resync

LOG = logging.getLogger(__name__)

SETTLE_S = 1.0
"""So long a gap may close by itself: messages overtake each other."""

OVERLAP = datetime.timedelta(seconds=30)
"""So far back Cinder is asked again for what has changed."""

_LONGEST_RETRY_S = 30.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """How often to do what, in seconds; see the options of these names."""

    catch_up_s: float = 10.0
    repair_s: float = 15.0
    cloud_s: float = 10.0
    resync_s: float = 300.0


class Keeper:
    """One thread that catches up, repairs and compares, each in its time.

    It begins with a comparison of everything. What fails is tried again; as
    long as one side does not answer, nothing is concluded from that.

    :param sync: looks at one volume and does what is to be done.
    :param ring: has a volume looked at, soon.
    :param on_alarms: called when the book of alarms was asked for anew.
    :param rescue: sets right what is stuck; ``None``: nobody does.
    :param commanded: compares when somebody has asked for it; likewise.
    """

    def __init__(
        self,
        *,
        sight: Sight,
        follower: Follower,
        book: AlarmBook,
        comparison: Comparison,
        router: Router,
        sync: Callable[[str], object],
        ring: Callable[[str], None],
        clock: Clock,
        intervals: Intervals,
        on_alarms: Callable[[], None] = lambda: None,
        rescue: Rescue | None = None,
        commanded: Commanded | None = None,
        meter: Meter | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self._pulse = pulse or Unheard()
        self._meter = meter or Meter()
        self._sight = sight
        self._follower = follower
        self._book = book
        self._comparison = comparison
        self._router = router
        self._sync = sync
        self._ring = ring
        self._clock = clock
        self._on_alarms = on_alarms
        self._rescue = rescue
        self._commanded = commanded
        self._is_commanded = False
        self._changed = threading.Condition()
        self._stopped = False
        self._behind_since: float | None = None
        self._notices: dict[tuple[str, str], AlarmNotice] = {}
        self._resync = _Task(
            'compare both sides',
            self.resync,
            intervals.resync_s,
            self._meter,
        )
        self._obey = _Task(
            'compare both sides as it was asked for',
            self.obey,
            float('inf'),
            self._meter,
        )
        self._catch_up = _Task(
            'learn what is new',
            self.catch_up,
            intervals.catch_up_s,
            self._meter,
        )
        self._repair = _Task(
            'repair volumes in error',
            self.repair,
            intervals.repair_s,
            self._meter,
        )
        self._recovery = _Task(
            'set right what is stuck',
            self.recover,
            intervals.repair_s,
            self._meter,
        )
        self._look_up = _Task(
            'see what users edit',
            self.look_up,
            intervals.cloud_s,
            self._meter,
        )
        self._looked_at: datetime.datetime | None = None
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
        if isinstance(notification, AlarmNotice):
            self._alarm_heard(notification)
            return
        if isinstance(notification, Resync):
            self._command()
            return
        self._follower.offer(notification)
        with self._changed:
            if not self._follower.is_behind:
                self._behind_since = None
            elif self._behind_since is None:
                self._behind_since = self._clock.monotonic()
                self._meter.gap()
                self._changed.notify_all()

    def catch_up(self) -> None:
        """Show what no notification told.

        :raises VirtDCError: the agent cannot be asked; nothing is lost.
        """
        self._follower.catch_up()
        if self._follower.wanted_resync:
            self._command()
        notices = self._take_notices()
        self._book.refresh()
        self._on_alarms()
        for notice in notices:
            self._router.take_alarm(notice)

    def repair(self) -> None:
        """Take volumes out of ``error`` that the data centre has made.

        :raises VirtDCError: one side cannot be asked; nothing is concluded.
        """
        candidates = [
            volume
            for volume in self._sight.cloud_volumes(status='error')
            if reconcile.is_candidate(
                volume, self._follower.latest(volume.platform_id)
            )
        ]
        if candidates:
            # What is later than the candidates is known before they are
            # judged.
            self._follower.catch_up()
        for volume in candidates:
            try:
                self._sync(volume.volume_id)
            except (exceptions.VolumeGone, exceptions.NotNow) as exc:
                LOG.debug(
                    'Volume %s stays as it is: %s', volume.volume_id, exc
                )

    def recover(self) -> None:
        """Set right what a dead cinder-volume left.

        :raises VirtDCError: one side cannot be asked; nothing is concluded.
        """
        if self._rescue is not None:
            self._rescue.run(self._follower.catch_up, self._follower.latest)

    def look_up(self) -> None:
        """See which names and descriptions users have edited in Cinder.

        :raises VirtDCError: Cinder cannot be asked; nothing is missed.
        """
        began = self._clock.now()
        # The clocks of the two machines may differ a little.
        since = (self._looked_at or began) - OVERLAP
        for volume in self._sight.changed_volumes(since):
            if self._sight.has_news(volume):
                self._ring(volume.volume_id)
        self._looked_at = began

    def resync(self) -> Report:
        """Compare all volumes of both sides.

        :raises VirtDCError: one side cannot be asked; nothing is concluded.
        """
        report = self._comparison.run()
        self._meter.compared(
            report.volumes, report.platform_volumes, len(report.actions)
        )
        self._on_alarms()
        return report

    def obey(self) -> None:
        """Compare, if somebody waits for it and no other listener does it.

        :raises VirtDCError: one side cannot be asked; nothing is concluded.
        """
        with self._changed:
            self._is_commanded = False
        if self._commanded is not None:
            self._commanded.run(self.resync)

    def _command(self) -> None:
        with self._changed:
            self._is_commanded = True
            self._changed.notify_all()

    def _alarm_heard(self, notice: AlarmNotice) -> None:
        with self._changed:
            self._notices[notice.kind, notice.subject] = notice
            self._changed.notify_all()

    def _take_notices(self) -> Sequence[AlarmNotice]:
        with self._changed:
            notices = list(self._notices.values())
            self._notices.clear()
        return notices

    def _run(self) -> None:
        while self._await_turn():
            now = self._clock.monotonic()
            if self._resync.due_at <= now:
                self._resync.attempt(self._clock)
            if not self._resync.has_succeeded:
                continue
            if self._obey_at() <= now:
                self._obey.attempt(self._clock)
            if self._catch_up_at() <= now:
                self._catch_up.attempt(self._clock)
                with self._changed:
                    self._behind_since = None
            for task in (self._repair, self._recovery, self._look_up):
                if task.due_at <= now:
                    task.attempt(self._clock)

    def _await_turn(self) -> bool:
        """Wait until something is due; return whether to go on."""
        with self._changed:
            while not self._stopped:
                due_at = self._resync.due_at
                if self._resync.has_succeeded:
                    due_at = min(
                        due_at,
                        self._catch_up_at(),
                        self._obey_at(),
                        self._repair.due_at,
                        self._recovery.due_at,
                        self._look_up.due_at,
                    )
                wait_s = due_at - self._clock.monotonic()
                if wait_s <= 0:
                    self._pulse.beat()
                    return True
                self._pulse.beat(wait_s)
                self._clock.wait(self._changed, wait_s)
            return False

    def _obey_at(self) -> float:
        if self._obey.failures:
            return self._obey.due_at
        return float('-inf' if self._is_commanded else 'inf')

    def _catch_up_at(self) -> float:
        if self._catch_up.failures:
            return self._catch_up.due_at
        if self._notices:
            return float('-inf')
        if self._behind_since is None:
            return self._catch_up.due_at
        return min(self._catch_up.due_at, self._behind_since + SETTLE_S)


class _Task:
    """Something to do every so often, and sooner if it failed."""

    def __init__(
        self,
        what: str,
        run: Callable[[], object],
        interval_s: float,
        meter: Meter,
    ) -> None:
        self._meter = meter
        self._what = what
        self._run = run
        self._interval_s = interval_s
        self.due_at = float('-inf')
        self.failures = 0
        self.has_succeeded = False

    def attempt(self, clock: Clock) -> None:
        """Do it; never raises."""
        began_at = clock.monotonic()
        outcome = 'done'
        try:
            self._run()
        except exceptions.VirtDCError as exc:
            if self.failures == 0:
                LOG.warning(
                    'Cannot %s for now: %s Trying again.',
                    self._what,
                    exc,
                )
            outcome = 'put_off'
            self._failed(clock)
        except Exception:
            LOG.exception('Unexpected error, cannot %s', self._what)
            outcome = 'error'
            self._failed(clock)
        else:
            if self.failures:
                LOG.info('Can %s again.', self._what)
            self.failures = 0
            self.has_succeeded = True
            self.due_at = clock.monotonic() + self._interval_s
        self._meter.tried(
            self._run.__name__, outcome, clock.monotonic() - began_at
        )

    def _failed(self, clock: Clock) -> None:
        pause_s = min(2.0 ** min(self.failures, 10), _LONGEST_RETRY_S)
        self.due_at = clock.monotonic() + min(pause_s, self._interval_s)
        self.failures += 1
