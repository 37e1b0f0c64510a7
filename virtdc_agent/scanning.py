"""Compares the storage with the journal: what was done behind our back.

An absence counts when it was seen by two scans in a row, never while an event
of that volume is open, and never when the listing was not complete. When many
volumes are missing at once, the storage is more likely not what it should be
than emptied: one alarm, and nothing is concluded.

What is found becomes an event, as if an operator had asked for it: so it is
announced, executed and told as all others, and looked at once more when its
turn has come. ``judge`` is pure.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import logging
import uuid

from virtdc_agent.contract.alarms import is_confirmed
from virtdc_agent.contract import catalogue
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Requester
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.intake import Intake
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)

REQUESTER = Requester(user_id='virtdc-scan')
STORAGE = 'storage'
"""What an alarm is about that is of no single volume."""

_PAGE = 500
_FEW = 2
"""Of so few volumes all may have been removed one by one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a comparison says; ids in order.

    :param missing: known, but not in the storage.
    :param grown: larger in the storage than known.
    :param unknown: in the storage, but not known.
    :param is_vanished: so many are missing that nothing is concluded.
    """

    missing: tuple[str, ...] = ()
    grown: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    is_vanished: bool = False


def judge(
    known: Mapping[str, int], found: Mapping[str, int], vanish_limit: int
) -> Findings:
    """Compare sizes by volume.

    :param vanish_limit: more that are missing at once, or more than half of
        all, are not believed.
    """
    missing = tuple(sorted(known.keys() - found.keys()))
    return Findings(
        missing=missing,
        grown=tuple(
            sorted(
                volume_id
                for volume_id, size_bytes in known.items()
                if found.get(volume_id, 0) > size_bytes
            )
        ),
        unknown=tuple(sorted(found.keys() - known.keys())),
        is_vanished=len(missing) > vanish_limit
        or (len(known) > _FEW and 2 * len(missing) > len(known)),
    )


class Scanner:
    """Scans a pool when it is told to; one agent of several does.

    For one thread.

    :param pool: its name; empty if it has none.
    :param is_first: whether volumes whose record names no pool are in it.
    """

    def __init__(
        self,
        *,
        backend: interfaces.Backend,
        journal: interfaces.Journal,
        keeping: interfaces.JournalKeeping,
        intake: Intake,
        clock: interfaces.Clock,
        vanish_limit: int,
        pool: str = '',
        is_first: bool = True,
    ) -> None:
        self._pool = pool
        self._is_first = is_first
        self._subject = pool or STORAGE
        self._backend = backend
        self._journal = journal
        self._keeping = keeping
        self._intake = intake
        self._clock = clock
        self._vanish_limit = vanish_limit
        self._last = Findings()
        self._times_unavailable = 0

    def scan(self) -> Findings:
        """Compare once; ask for what two scans in a row have seen.

        :raises AgentError: the listing is not complete: it says nothing.
        """
        if not self._journal.become_scanner():
            self._last = Findings()
            return self._last
        last, self._last = self._last, Findings()
        # The storage first: what is made in between is known and missing, so
        # it is looked at again; the other way round it would be unknown.
        try:
            found = {
                one.volume_id: one.size_bytes for one in self._backend.scan()
            }
        except exceptions.BackendUnavailable as exc:
            self._note_unavailable(exc)
            raise
        self._times_unavailable = 0
        known = {one.volume_id: one.size_bytes for one in self._volumes()}
        findings = judge(known, found, self._vanish_limit)
        self._last = findings
        if findings.is_vanished:
            if not self._is_confirmed(len(findings.missing)):
                return findings
        else:
            self._journal.clear_alarm(
                catalogue.POOL_VANISHED.kind, self._subject
            )
        for volume_id in _again(findings.missing, last.missing):
            self._note_loss(volume_id)
        for volume_id in _again(findings.grown, last.grown):
            self._note_growth(volume_id)
        self._note_unknown(_again(findings.unknown, last.unknown))
        return findings

    def _note_unavailable(self, error: Exception) -> None:
        """Tell that the storage itself is not there, if it stays so."""
        self._times_unavailable += 1
        if self._times_unavailable < 2:
            return
        kind = catalogue.POOL_VANISHED
        self._journal.raise_alarm(
            kind=kind.kind,
            subject=self._subject,
            severity=kind.severity,
            message=str(error),
            details={},
        )

    def _note_loss(self, volume_id: str) -> None:
        if self._is_busy(volume_id):
            return
        if self._backend.find(volume_id) is None:
            self._submit(volume_id, events.DeleteParameters(is_lost=True))

    def _note_growth(self, volume_id: str) -> None:
        if self._is_busy(volume_id):
            return
        facts = self._backend.find(volume_id)
        if facts is not None:
            self._submit(
                volume_id, events.ExtendParameters(size_bytes=facts.size_bytes)
            )

    def _note_unknown(self, volume_ids: Collection[str]) -> None:
        """Restore what came back; raise alarms for the rest, not too many."""
        kind = catalogue.VOLUME_UNKNOWN
        strange = []
        for volume_id in volume_ids:
            if self._is_busy(volume_id) or self._is_known(volume_id):
                continue
            if self._is_in_trash(volume_id):
                self._submit(volume_id, events.RestoreParameters())
            else:
                strange.append(volume_id)
        if len(strange) > self._vanish_limit:
            # A folder of another journal: one alarm says as much.
            subjects = {
                self._subject: f'{len(strange)} volumes in the storage are '
                f'not known to the journal, {strange[0]} among them.'
            }
        else:
            subjects = {
                volume_id: f'Volume {volume_id} is in the storage, but not '
                'known to the journal.'
                for volume_id in strange
            }
        raised = set()
        for alarm in self._alarms(kind.kind):
            raised.add(alarm)
            if alarm not in subjects:
                self._journal.clear_alarm(kind.kind, alarm)
        for subject, message in subjects.items():
            if subject not in raised:
                self._journal.raise_alarm(
                    kind=kind.kind,
                    subject=subject,
                    severity=kind.severity,
                    message=message,
                    details={'pool': self._pool},
                )

    def _is_confirmed(self, missing: int) -> bool:
        """Tell that many are missing; say whether a person has confirmed it.

        Until the next scan finds them no more among those that are known.
        """
        kind = catalogue.POOL_VANISHED
        news = self._journal.raise_alarm(
            kind=kind.kind,
            subject=self._subject,
            severity=kind.severity,
            # Not of how many: what was confirmed is the same when others
            # are made meanwhile.
            message=f'{missing} volumes are missing in the storage at once: '
            'is it mounted, and the right one?',
            details={'missing': missing},
        )
        if news.change is not None:
            LOG.error(
                '%d volumes are missing in the storage at once: nothing is '
                'concluded from it, and an alarm is raised.',
                missing,
            )
        return is_confirmed(news.alarm)

    def _submit(self, volume_id: str, parameters: events.Parameters) -> None:
        operation = events.operation_of(parameters)
        LOG.warning(
            'Volume %s is not in the storage as it is known: %s is asked for.',
            volume_id,
            operation,
        )
        self._intake.submit(
            Event(
                event_id=str(uuid.uuid4()),
                operation=operation,
                volume_id=volume_id,
                origin=Origin.PLATFORM,
                parameters=parameters,
                created_at=self._clock.now(),
                requested_by=REQUESTER,
            )
        )

    def _volumes(self) -> Iterator[events.Volume]:
        marker: str | None = None
        while True:
            page = self._journal.get_volumes(marker, _PAGE)
            for volume in page.volumes:
                if volume.pool == self._pool or (
                    self._is_first and not volume.pool
                ):
                    yield volume
            marker = page.next_marker
            if marker is None:
                return

    def _alarms(self, kind: str) -> Collection[str]:
        """Return the subjects for which a kind is raised, of this pool."""
        found: list[str] = []
        marker: str | None = None
        while True:
            page = self._journal.get_alarms(marker, _PAGE)
            found += [
                one.subject
                for one in page.alarms
                if one.kind == kind
                and one.details.get('pool', '') == self._pool
            ]
            marker = page.next_marker
            if marker is None:
                return found

    def _is_busy(self, volume_id: str) -> bool:
        """Say whether an event of a volume is open."""
        query = model.RecordQuery(
            states=(State.WAITING, State.RUNNING),
            volume_id=volume_id,
            limit=1,
        )
        return bool(self._keeping.get_records(query).records)

    def _is_known(self, volume_id: str) -> bool:
        try:
            self._journal.get_volume(volume_id)
        except exceptions.VolumeNotFound:
            return False
        return True

    def _is_in_trash(self, volume_id: str) -> bool:
        try:
            self._journal.get_trashed(volume_id)
        except exceptions.VolumeNotFound:
            return False
        return True


def _again(now: Collection[str], before: Collection[str]) -> list[str]:
    """Return what was seen twice."""
    return sorted({*now} & {*before})
