"""Tells alarms to the world: at least once each change, never blocking."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections import Counter
import logging
import threading
from typing import Any, Protocol

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.alarms.ledger import Ledger
from cinder_virtdc.alarms import reports
from cinder_virtdc.alarms.reports import Report
from cinder_virtdc.bus.client import Mark
from cinder_virtdc.clock import Clock
from cinder_virtdc import exceptions
from virtdc_agent.contract.alarms import Alarm
from virtdc_agent.contract.alarms import AlarmChange

LOG = logging.getLogger(__name__)

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 300.0

LEASE_S = 60
"""So long another listener waits before it tells what one that died was about
to. Longer than it mostly takes to send."""


class Outlet(Protocol):
    """A way out."""

    name: str

    def send(self, report: Report) -> None:
        """Send a report; return when it has left.

        :raises OutletFailed: it did not; try again later.
        """


class Marks(Protocol):
    """By which listeners agree on who does something; see the client.

    :raises VirtDCError: the agent cannot be asked.
    """

    def take_mark(self, name: str, *, holder: str, lease_s: int) -> Mark:
        """Ask to be the one who does something."""

    def settle_mark(self, name: str, *, holder: str) -> None:
        """Note that it is done for good."""


class LogOutlet:
    """The log: what is raised is an error, the rest is information."""

    name = 'log'

    def send(self, report: Report) -> None:
        """See the protocol."""
        LOG.log(
            logging.ERROR if report.change in reports.LOUD else logging.INFO,
            'Alarm %s %s (%s, %s, id %s): %s %s',
            report.payload['alarm_kind'],
            report.change.value,
            report.payload['severity'],
            report.payload['resource_id'],
            report.payload['alarm_id'],
            report.payload['reason'],
            report.payload['repair'],
        )


class Relay:
    """One outlet, and the thread that serves it.

    What was raised, changed and cleared while the outlet could not send is
    told as what it has come to. A listener that is restarted goes on where
    its ledger ends. Of several listeners one tells a change: whoever has its
    mark, which the agent keeps. One that dies between telling and settling
    the mark, or that cannot ask the agent, has a change told twice, with the
    same id and revision; none is ever left out.

    :param describe: what Cinder says of an alarm's volume; empty: nothing.
    :param project_id: of alarms that are of no project.
    :param holder: names this listener among others, and this life of it.
    """

    def __init__(
        self,
        outlet: Outlet,
        *,
        marks: Marks,
        holder: str,
        book: AlarmBook,
        ledger: Ledger,
        clock: Clock,
        describe: Callable[[Alarm], Mapping[str, Any]],
        project_id: str = '',
    ) -> None:
        self._outlet = outlet
        self._marks = marks
        self._holder = holder
        self._book = book
        self._ledger = ledger
        self._clock = clock
        self._describe = describe
        self._project_id = project_id
        self._changed = threading.Condition()
        self._rung = False
        self._stopped = False
        self._failures = 0
        self._retry_at: float | None = None
        self._look_at: float | None = None
        self.sent: Counter[str] = Counter()
        """How many reports left, by what had become of their alarm."""
        self.failed = 0
        """How often the outlet could not send."""
        self._thread = threading.Thread(
            target=self._run, name=f'virtdc-{outlet.name}', daemon=True
        )

    @property
    def outlet_name(self) -> str:
        """Name of its outlet."""
        return self._outlet.name

    def start(self) -> None:
        """Start to tell."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after what is under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def ring(self) -> None:
        """Have it looked whether there is something to tell."""
        with self._changed:
            self._rung = True
            self._changed.notify_all()

    def deliver(self) -> float | None:
        """Tell all there is to tell.

        :returns: in how many seconds to look whether what other listeners
            are telling is told; ``None``: there is no such thing.
        :raises OutletFailed: the rest is told later.
        """
        waits: list[float] = []
        for report in self._news():
            name = self._mark_of(report)
            mark = self._take(name)
            if mark.is_granted:
                self._outlet.send(report)
                self._settle(name)
                self.sent[report.change.value] += 1
            elif not mark.is_settled:
                waits.append(mark.wait_s)
                continue
            alarm_id = report.payload['alarm_id']
            if report.change is AlarmChange.CLEARED:
                self._ledger.forget(self._outlet.name, alarm_id)
            else:
                self._ledger.note(self._outlet.name, alarm_id, report.payload)
        return min(waits, default=None)

    def _mark_of(self, report: Report) -> str:
        """Return the mark of a change, the same from every listener.

        What is cleared was not known to all of them to the last revision.
        """
        payload = report.payload
        which = (
            f'cleared/{payload["raised_at"]}'
            if report.change is AlarmChange.CLEARED
            else payload['revision']
        )
        return f'told/{self._outlet.name}/{payload["alarm_id"]}/{which}'

    def _take(self, name: str) -> Mark:
        try:
            return self._marks.take_mark(
                name, holder=self._holder, lease_s=LEASE_S
            )
        except exceptions.VirtDCError as exc:
            # Rather twice than never.
            LOG.debug('Told without a mark: %s', exc)
            return Mark(is_granted=True)

    def _settle(self, name: str) -> None:
        try:
            self._marks.settle_mark(name, holder=self._holder)
        except exceptions.VirtDCError as exc:
            LOG.debug('That it was told is not marked: %s', exc)

    def _news(self) -> Iterator[Report]:
        if not self._book.is_known:
            return
        told = self._ledger.told(self._outlet.name)
        for alarm in self._book.alarms:
            before = told.pop(
                reports.alarm_id(alarm.kind, alarm.subject), None
            )
            if before is None or before['revision'] < alarm.revision:
                yield reports.report_of(
                    alarm,
                    reports.change_of(alarm, before),
                    volume=self._describe(alarm),
                    project_id=self._project_id,
                )
        for before in told.values():
            yield reports.cleared(before, self._clock.now())

    def _run(self) -> None:
        while self._await_turn():
            try:
                wait_s = self.deliver()
            except exceptions.OutletFailed as exc:
                if self._failures == 0:
                    LOG.warning(
                        'Alarms cannot be told by %s for now: %s Trying '
                        'again.',
                        self._outlet.name,
                        exc,
                    )
                self._failed()
            except Exception:
                LOG.exception('Unexpected error in %s', self._outlet.name)
                self._failed()
            else:
                if self._failures:
                    LOG.info('Alarms leave by %s again.', self._outlet.name)
                self._failures = 0
                self._retry_at = None
                self._look_at = (
                    None
                    if wait_s is None
                    else self._clock.monotonic() + max(wait_s, _FIRST_RETRY_S)
                )

    def _await_turn(self) -> bool:
        with self._changed:
            while not self._stopped:
                now = self._clock.monotonic()
                if self._retry_at is not None:
                    if self._retry_at <= now:
                        return True
                    self._clock.wait(self._changed, self._retry_at - now)
                elif self._rung or (
                    self._look_at is not None and self._look_at <= now
                ):
                    self._rung = False
                    self._look_at = None
                    return True
                else:
                    self._clock.wait(
                        self._changed,
                        None if self._look_at is None else self._look_at - now,
                    )
            return False

    def _failed(self) -> None:
        pause_s = min(
            _FIRST_RETRY_S * 2.0 ** min(self._failures, 10), _LONGEST_RETRY_S
        )
        self._failures += 1
        self.failed += 1
        self._retry_at = self._clock.monotonic() + pause_s
