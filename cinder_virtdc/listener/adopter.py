"""Has Cinder manage what the data centre has made, if so configured."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import logging
import threading

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.clock import Clock
from cinder_virtdc.cloud.adopting import AdoptingCloud
from cinder_virtdc.cloud.adopting import Wish
from cinder_virtdc.cloud.interfaces import Cloud
from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.cloud.repairs import Repairs
from cinder_virtdc import exceptions
from cinder_virtdc import pools
from cinder_virtdc.sync import adoptions
from cinder_virtdc.sync import edits
from cinder_virtdc.sync import properties
from cinder_virtdc import translate
from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import CLOUD_ID
from virtdc_agent.contract.events import Snapshot
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume

LOG = logging.getLogger(__name__)

KIND = catalogue.NOT_MANAGED.kind

LEASE_S = 120
"""So long nobody else asks Cinder for what one listener has asked it for."""
LOOK_S = 1.0
"""After so long Cinder may have done it; then twice as long, and so on."""
FIRST_RETRY_S = 60.0
LONGEST_RETRY_S = 3600.0

_BUSY = frozenset({'creating', 'deleting', 'managing', 'error'})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Into:
    """Where what the data centre makes is managed into.

    :param hosts: Cinder's backends of this data centre; none means all.
    """

    project_id: str
    volume_type: str
    hosts: tuple[str, ...] = ()


class Adopter:
    """A queue of volumes of the data centre, and the thread that looks.

    Each look asks both sides, and does the next step: so it makes no
    difference who has died before, or who else looks. Safe from any thread.

    :param latest: tells the latest transition of a volume's events.
    :param know: is told what a volume of the data centre is in Cinder.
    :param ring: has a volume of Cinder's looked at.
    :param holder: names this listener, and this life of it.
    """

    def __init__(
        self,
        into: Into,
        *,
        client: AgentClient,
        cloud: Cloud,
        repairs: Repairs,
        adopting: AdoptingCloud,
        book: AlarmBook,
        clock: Clock,
        latest: Callable[[str], Transition | None],
        know: Callable[[str, str], None],
        ring: Callable[[str], None],
        holder: str,
    ) -> None:
        self._into = into
        self._client = client
        self._cloud = cloud
        self._repairs = repairs
        self._adopting = adopting
        self._book = book
        self._clock = clock
        self._latest = latest
        self._know = know
        self._ring_cloud = ring
        self._holder = holder
        self._is_ready = False
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._looks: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._asked: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name='virtdc-adopter', daemon=True
        )

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after what is under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def ring(self, platform_id: str, *, after_s: float = 0.0) -> None:
        """Have a volume of the data centre looked at."""
        due_at = self._clock.monotonic() + after_s
        with self._changed:
            if due_at < self._due.get(platform_id, float('inf')):
                self._due[platform_id] = due_at
                self._changed.notify_all()

    def compare(
        self,
        platform: Mapping[str, Volume],
        volumes: Iterable[CloudVolume],
    ) -> None:
        """Have looked at what two listings say that there is to do.

        :param platform: the volumes of the data centre, which were listed
            before those of Cinder.
        :raises VirtDCError: a side cannot be asked for the snapshots.
        """
        managed: dict[str, CloudVolume] = {}
        for volume in volumes:
            managed[volume.platform_id] = volume
            made_as = volume.properties.get(properties.PLATFORM_ID, '')
            if made_as and made_as != volume.platform_id:
                # Begun by whoever, and not done.
                self._asked.setdefault(made_as, volume.volume_id)
                self.ring(made_as)
        left = {
            platform_id
            for platform_id, one in platform.items()
            if platform_id not in managed and adoptions.is_wanted(one)
        }
        for platform_id in left:
            self.ring(platform_id)
        left |= self._compare_snapshots(managed)
        for alarm in self._book.alarms:
            if alarm.kind == KIND and alarm.subject not in left:
                self._client.clear_alarm(KIND, alarm.subject)

    def run_due(self) -> None:
        """Look, in this thread, at all volumes whose turn it is.

        For one that was not started.
        """
        while (platform_id := self._take_due()) is not None:
            self._attempt(platform_id)

    def look(self, platform_id: str) -> None:
        """Look at a volume and its snapshots, and do what is next.

        :raises VirtDCError: it could not be done.
        """
        volume = self._client.get_volume(platform_id)
        records = self._records(platform_id, volume)
        if volume is None:
            self._clean_rest(platform_id, records)
            return
        action = adoptions.of_volume(
            volume,
            records,
            latest=self._latest(platform_id),
            now=self._clock.now(),
        )
        match action:
            case adoptions.Managed(cloud_id):
                self._managed(platform_id, cloud_id)
                record = next(
                    one for one in records if one.volume_id == cloud_id
                )
                if record.status not in _BUSY:
                    self._look_at_snapshots(platform_id, record)
                elif record.status == 'creating':
                    self._look_again(platform_id)
            case adoptions.Leave(reason):
                self._say(platform_id, 'volume', reason)
            case adoptions.Wait():
                self._look_again(platform_id)
            case adoptions.GiveUp(cloud_id):
                self._cloud.set_status(cloud_id, 'error')
                self.ring(platform_id)
            case adoptions.Clean(cloud_id):
                self._cloud.delete(cloud_id)
                self._forget(platform_id)
                self._failed(
                    platform_id, platform_id, volume.name, self._why(volume)
                )
            case adoptions.Manage(former_id):
                self._manage_volume(volume, former_id)

    def _managed(self, platform_id: str, cloud_id: str) -> None:
        if self._forget(platform_id):
            LOG.info(
                'Volume %s of the data centre is volume %s of the cloud now.',
                platform_id,
                cloud_id,
            )
        self._know(platform_id, cloud_id)
        self._ring_cloud(cloud_id)
        self._succeeded(platform_id)

    def _manage_volume(self, volume: Volume, former_id: str) -> None:
        if not self._check_ready():
            self.ring(volume.volume_id, after_s=FIRST_RETRY_S)
            return
        if not self._take(volume.volume_id, volume.volume_id):
            return
        said = edits.fields_of_platform(volume)
        host = self._host_of(volume)
        if host is None:
            self._failed(
                volume.volume_id,
                volume.volume_id,
                volume.name,
                "None of Cinder's backends serves the pool that it lies in.",
            )
            return
        self._ask(
            volume.volume_id,
            volume.volume_id,
            volume.name,
            lambda: self._adopting.manage_volume(
                Wish(
                    reference=_reference(volume.volume_id, former_id),
                    project_id=self._into.project_id,
                    name=said.name,
                    description=said.description,
                    properties=adoptions.properties_of(volume),
                ),
                host=host,
                volume_type=self._into.volume_type,
            ),
        )

    def _look_at_snapshots(
        self, platform_id: str, record: CloudVolume
    ) -> None:
        for snapshot in self._kept(platform_id):
            if not adoptions.is_wanted(snapshot):
                continue
            kept_id = snapshot.snapshot_id
            action = adoptions.of_snapshot(
                snapshot,
                list(self._snapshot_records(snapshot)),
                now=self._clock.now(),
            )
            match action:
                case adoptions.Managed(cloud_id):
                    if self._forget(kept_id):
                        LOG.info(
                            'Snapshot %s of the data centre is snapshot %s '
                            'of the cloud now.',
                            kept_id,
                            cloud_id,
                        )
                    self._succeeded(kept_id)
                case adoptions.Leave(reason):
                    self._say(kept_id, 'snapshot', reason)
                case adoptions.Wait():
                    self._look_again(platform_id)
                case adoptions.GiveUp(cloud_id):
                    self._repairs.reset_snapshot(cloud_id, 'error')
                    self.ring(platform_id)
                case adoptions.Clean(cloud_id):
                    self._adopting.delete_snapshot(cloud_id)
                    self._forget(kept_id)
                    self._failed(platform_id, kept_id, snapshot.name, _SEE_LOG)
                case adoptions.Manage(former_id):
                    self._manage_snapshot(snapshot, record, former_id)

    def _manage_snapshot(
        self, snapshot: Snapshot, record: CloudVolume, former_id: str
    ) -> None:
        kept_id = snapshot.snapshot_id
        if not self._take(snapshot.volume_id, kept_id):
            return
        self._ask(
            snapshot.volume_id,
            kept_id,
            snapshot.name,
            lambda: self._adopting.manage_snapshot(
                Wish(
                    reference=_reference(kept_id, former_id),
                    project_id=record.project_id or self._into.project_id,
                    name=edits.canonical(snapshot.name),
                    description=edits.canonical(snapshot.description),
                    properties=adoptions.properties_of(snapshot),
                ),
                volume_id=record.volume_id,
            ),
        )

    def _ask(
        self,
        platform_id: str,
        subject: str,
        name: str,
        manage: Callable[[], str],
    ) -> None:
        """Ask Cinder; what it refuses, a person has to see."""
        try:
            self._asked[subject] = manage()
        except (
            exceptions.NotNow,
            exceptions.TooMuch,
            exceptions.CloudForbids,
        ) as exc:
            self._failed(platform_id, subject, name, str(exc))
        else:
            self._look_again(platform_id)

    def _take(self, platform_id: str, subject: str) -> bool:
        """Be the one who asks Cinder, or look later."""
        mark = self._client.take_mark(
            f'manage/{subject}', holder=self._holder, lease_s=LEASE_S
        )
        if not mark.is_granted:
            self.ring(platform_id, after_s=max(mark.wait_s, LOOK_S))
        return mark.is_granted

    def _check_ready(self) -> bool:
        """Say whether there is what volumes are to be managed into."""
        if not self._is_ready:
            self._is_ready = self._adopting.has_type(
                self._into.project_id, self._into.volume_type
            )
            if not self._is_ready:
                self._say(
                    self._into.volume_type,
                    'volume type',
                    'Project '
                    f'{self._into.project_id} has no such type: see [virtdc] '
                    'managed_volume_type. Nothing is managed until then.',
                )
        return self._is_ready

    def _host_of(self, volume: Volume) -> str | None:
        capacity = self._client.get_capacity()
        names = [pool.name for pool in pools.named(capacity)]
        pool = volume.pool or (names[0] if names else '')
        hosts = [
            host
            for host in self._adopting.hosts_of(
                pools.location_of(capacity, pool)
            )
            if not self._into.hosts
            or host.partition('#')[0] in self._into.hosts
        ]
        return hosts[0] if hosts else None

    def _records(
        self, platform_id: str, volume: Volume | None
    ) -> list[CloudVolume]:
        """Return what Cinder has under the ids that may stand for it."""
        mark = volume.metadata.get(CLOUD_ID, '') if volume else ''
        ids = (mark, self._asked.get(platform_id, ''), platform_id)
        found = []
        for one in dict.fromkeys(filter(None, ids)):
            try:
                found.append(self._cloud.get_volume(one))
            except exceptions.VolumeGone:
                continue
        return found

    def _snapshot_records(self, snapshot: Snapshot) -> Iterable[CloudSnapshot]:
        ids = (
            snapshot.metadata.get(CLOUD_ID, ''),
            self._asked.get(snapshot.snapshot_id, ''),
        )
        for one in dict.fromkeys(filter(None, ids)):
            try:
                yield self._repairs.get_snapshot(one)
            except exceptions.VolumeGone:
                continue

    def _kept(self, platform_id: str | None = None) -> Iterable[Snapshot]:
        return self._client.get_snapshots(platform_id)

    def _compare_snapshots(
        self, managed: Mapping[str, CloudVolume]
    ) -> set[str]:
        """Have looked at snapshots; return those that are not managed."""
        wanted = [
            one
            for one in self._kept()
            if adoptions.is_wanted(one) and one.volume_id in managed
        ]
        if not wanted:
            return set()
        known: dict[str, CloudSnapshot] = {}
        for snapshot in self._repairs.list_snapshots():
            known[snapshot.snapshot_id] = snapshot
            made_as = snapshot.properties.get(properties.PLATFORM_ID, '')
            if made_as:
                self._asked.setdefault(made_as, snapshot.snapshot_id)
        left = set()
        for one in wanted:
            record = known.get(one.metadata.get(CLOUD_ID, ''))
            if record is None or record.status in _BUSY:
                self.ring(one.volume_id)
                left.add(one.snapshot_id)
        return left

    def _clean_rest(
        self, platform_id: str, records: Iterable[CloudVolume]
    ) -> None:
        """Remove what was begun for a volume that is gone."""
        for record in records:
            if (
                record.properties.get(properties.PLATFORM_ID) == platform_id
                and record.platform_id != platform_id
                and record.status == 'error'
            ):
                self._cloud.delete(record.volume_id)
        self._forget(platform_id)

    def _why(self, volume: Volume) -> str:
        latest = self._latest(volume.volume_id)
        if latest is not None and latest.message:
            return latest.message
        return _SEE_LOG

    def _failed(
        self, platform_id: str, subject: str, name: str, why: str
    ) -> None:
        """Tell a person, and try again, each time later."""
        failures = self._failures.get(subject, 0)
        self._failures[subject] = failures + 1
        self.ring(
            platform_id,
            after_s=min(
                FIRST_RETRY_S * 2.0 ** min(failures, 10), LONGEST_RETRY_S
            ),
        )
        named = f' ({name})' if name else ''
        message = f'The cloud could not take over {subject}{named}: {why}'
        known = self._book.get(KIND, subject)
        if known is None or known.message != message:
            self._client.raise_alarm(
                KIND,
                subject,
                severity=catalogue.NOT_MANAGED.severity,
                message=message,
                details={'name': name, 'project_id': self._into.project_id},
            )

    def _succeeded(self, subject: str) -> None:
        self._failures.pop(subject, None)
        self._said.pop(subject, None)
        if self._book.get(KIND, subject) is not None:
            self._client.clear_alarm(KIND, subject)

    def _say(self, subject: str, what: str, reason: str) -> None:
        """Log, once, why nothing is done."""
        if reason and self._said.get(subject) != reason:
            self._said[subject] = reason
            LOG.warning('The %s %s is not managed: %s', what, subject, reason)

    def _forget(self, subject: str) -> bool:
        """Forget what was asked for; return whether anything was."""
        self._looks.pop(subject, None)
        return self._asked.pop(subject, None) is not None

    def _look_again(self, platform_id: str) -> None:
        looks = self._looks.get(platform_id, 0)
        self._looks[platform_id] = looks + 1
        self.ring(
            platform_id,
            after_s=min(LOOK_S * 2.0 ** min(looks, 10), FIRST_RETRY_S),
        )

    def _run(self) -> None:
        while (platform_id := self._await_turn()) is not None:
            self._attempt(platform_id)

    def _attempt(self, platform_id: str) -> None:
        try:
            self.look(platform_id)
        except exceptions.VirtDCError as exc:
            LOG.debug('Volume %s is not managed yet: %s', platform_id, exc)
            self._look_again(platform_id)
        except Exception:
            LOG.exception('Unexpected error with volume %s', platform_id)
            self.ring(platform_id, after_s=FIRST_RETRY_S)

    def _await_turn(self) -> str | None:
        with self._changed:
            while not self._stopped:
                platform_id = self._take_due()
                if platform_id is not None:
                    return platform_id
                self._clock.wait(
                    self._changed,
                    min(self._due.values()) - self._clock.monotonic()
                    if self._due
                    else None,
                )
            return None

    def _take_due(self) -> str | None:
        with self._changed:
            if not self._due:
                return None
            platform_id = min(self._due, key=self._due.__getitem__)
            if self._due[platform_id] > self._clock.monotonic():
                return None
            del self._due[platform_id]
            return platform_id


_SEE_LOG = 'see the log of cinder-volume for the reason.'


def _reference(platform_id: str, former_id: str) -> dict[str, str]:
    reference = {translate.ID_REFERENCE: platform_id}
    if former_id:
        reference[translate.INSTEAD_REFERENCE] = former_id
    return reference
