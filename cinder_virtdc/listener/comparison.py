"""Compares both sides in full, repairs single volumes, raises alarms."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import logging

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.listener.follow import Follower
from cinder_virtdc.listener.sight import Sight
from cinder_virtdc.listener.writer import Writer
from cinder_virtdc.sync import absences
from cinder_virtdc.sync import properties
from cinder_virtdc.sync import reconcile
from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import Volume

LOG = logging.getLogger(__name__)

FIRST_MARKS = 200
"""So many volumes a comparison marks for the first time with what both sides
agree on. It is no hurry, and Cinder's API is for its users."""


Also = Callable[[Mapping[str, Volume], Sequence[CloudVolume]], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a comparison found.

    :param volumes: how many Cinder has.
    :param platform_volumes: how many the data centre has.
    :param actions: of each volume that is not in step, what is to be done.
    :param verdict: what a person has to see.
    """

    volumes: int
    platform_volumes: int
    actions: Mapping[str, Sequence[reconcile.Action]]
    verdict: absences.Verdict


class Comparison:
    """Remembers from one comparison to the next what was suspicious.

    For one thread at a time.

    :param ring: has a volume looked at again, and set right.
    :param also: told of the listings, first the data centre's.
    """

    def __init__(
        self,
        *,
        sight: Sight,
        follower: Follower,
        client: AgentClient,
        book: AlarmBook,
        writer: Writer,
        ring: Callable[[str], None],
        also: Also = lambda platform, volumes: None,
    ) -> None:
        self._sight = sight
        self._follower = follower
        self._client = client
        self._book = book
        self._writer = writer
        self._ring = ring
        self._also = also
        self._suspects: frozenset[tuple[str, str]] = frozenset()
        self._backends: set[str] = set()
        self._has_run = False

    def run(self, *, dry: bool = False) -> Report:
        """Compare all volumes of both sides; have done what follows.

        :param dry: change nothing, only tell.
        :raises VirtDCError: one side cannot be asked; nothing is concluded.
        """
        # The first time, the whole history is read, and nearly all of it is
        # shown already: what is not, the comparison finds.
        self._follower.catch_up(tell=self._has_run and not dry)
        cursor = self._follower.cursor
        self._sight.learn()
        self._book.refresh()
        platform = self._sight.platform_volumes()
        volumes = list(self._sight.cloud_volumes())
        report = self._compare(volumes, platform)
        if not dry:
            self._writer.learn(
                (volume.platform_id, volume.volume_id) for volume in volumes
            )
            self._act(report)
            self._also(platform, volumes)
        self._suspects = report.verdict.suspects
        self._follower.retain({one.platform_id for one in volumes}, cursor)
        self._has_run = True
        return report

    def _compare(
        self, volumes: Sequence[CloudVolume], platform: Mapping[str, Volume]
    ) -> Report:
        all_sides = [
            self._sight.sides(volume, platform.get(volume.platform_id))
            for volume in volumes
        ]
        self._backends.update(
            one.volume.backend for one in all_sides if one.platform
        )
        known = {volume.platform_id for volume in volumes}
        verdict = absences.judge(
            all_sides,
            [one for id_, one in platform.items() if id_ not in known],
            backends=self._backends,
            suspects=self._suspects,
            alarms=self._book.alarms,
        )
        return Report(
            volumes=len(volumes),
            platform_volumes=len(platform),
            actions={
                one.volume.volume_id: actions
                for one in all_sides
                if (actions := reconcile.reconcile(one))
            },
            verdict=verdict,
        )

    def _act(self, report: Report) -> None:
        first_marks = 0
        for volume_id, actions in report.actions.items():
            urgent = [one for one in actions if not _is_first_mark(one)]
            if not urgent:
                first_marks += 1
                if first_marks <= FIRST_MARKS:
                    self._ring(volume_id)
                continue
            shows = [one for one in urgent if isinstance(one, reconcile.Show)]
            if len(shows) < len(urgent):
                self._ring(volume_id)
                continue
            for show in shows:
                self._writer.show(show.transition, show.outdated, show.more)
        for finding in report.verdict.raised:
            self._raise(finding)
        for kind, subject in report.verdict.cleared:
            self._client.clear_alarm(kind, subject)
            if kind == absences.MISSING:
                self._ring(subject)

    def _raise(self, finding: absences.Finding) -> None:
        known = self._book.get(finding.kind, finding.subject)
        if known is not None and known.message == finding.message:
            return
        self._client.raise_alarm(
            finding.kind,
            finding.subject,
            severity=catalogue.CATALOGUE[finding.kind].severity,
            message=finding.message,
            details=finding.details,
        )
        if finding.kind == absences.MISSING:
            self._ring(finding.subject)


def _is_first_mark(action: reconcile.Action) -> bool:
    return (
        isinstance(action, reconcile.Mark)
        and action.set.keys() == {properties.AGREED}
        and not action.removed
    )
