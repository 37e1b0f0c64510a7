"""Puts the agent together: the only file that knows all its parts."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import logging
from typing import Any

from oslo_config import cfg
from pbr import version

from virtdc_agent.alarm_teller import AlarmTeller
from virtdc_agent.api.making import Api
from virtdc_agent.api.server import ApiServer
from virtdc_agent import bus
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import events
from virtdc_agent.contract.key_file import KeyFile
from virtdc_agent.contract import sealing
from virtdc_agent.describing import Describer
from virtdc_agent.endpoint import AgentEndpoint
from virtdc_agent import exceptions
from virtdc_agent.executor.executor import Executor
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.room import Rooms
from virtdc_agent.executor.timing import Retries
from virtdc_agent.executor.timing import Timing
from virtdc_agent.images import ImageFolders
from virtdc_agent.intake import Intake
from virtdc_agent import interfaces
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import SqlJournal
from virtdc_agent.limit_history import RecentLimits
from virtdc_agent.limit_history import Watched
from virtdc_agent import loading
from virtdc_agent.manageable import PatientContents
from virtdc_agent.manageable import PoolContents
from virtdc_agent import metering
from virtdc_agent import model
from virtdc_agent.monitoring.board import Board
from virtdc_agent.monitoring.health import Check
from virtdc_agent.monitoring.health import Health
from virtdc_agent.monitoring.reaching import Reach
from virtdc_agent.monitoring import serving
from virtdc_agent.monitoring.serving import MonitoringServer
from virtdc_agent.monitoring import tracing
from virtdc_agent.monitoring.trail import EventTrail
from virtdc_agent import opts
from virtdc_agent.outbox import Outbox
from virtdc_agent.patience import Patience
from virtdc_agent.periodic import Periodic
from virtdc_agent import plugins
from virtdc_agent.pools import Pool
from virtdc_agent.resync_teller import ResyncTeller
from virtdc_agent.retention import Purger
from virtdc_agent.scanning import Scanner
from virtdc_agent import scheduling
from virtdc_agent.scheduling import Lane
from virtdc_agent.space import SpaceReader
from virtdc_agent.trash import Emptier

LOG = logging.getLogger(__name__)

_TELL_INTERVAL_S = 1.0
"""How soon it is told what has become of an alarm. To ask costs one read of
an index; at each commit it would cost more than the commits that matter."""
_EMPTY_INTERVAL_S = 60.0
_LISTING_TIMEOUT_S = 10.0
_LISTINGS_AT_ONCE = 2
"""What lies in a pool is looked up by so many callers of the API at once: a
storage that hangs holds so many threads, and no request for longer."""
_PAGE = 1000
"""How many volumes are read from the journal at a time."""


class Service:
    """The running agent.

    Constructing it reads the configuration and loads the plugins, and
    touches nothing outside; ``start`` checks, recovers and then runs.

    :param on_end: called when the agent has to end, since another one of
        its name has begun; in a thread that must not be held up.
    :raises ConfigInvalid: the configuration cannot work.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        *,
        clock: interfaces.Clock | None = None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        try:
            opts.check_values(conf)
        except cfg.Error as exc:
            raise exceptions.ConfigInvalid(str(exc)) from exc
        self._conf = conf
        self._clock = clock or SystemClock()
        self._name: str = conf.agent.name
        self._on_end = on_end
        self._limits = RecentLimits(self._clock)
        self._policies = self._watched(_load_policies(conf))
        self._chosen = _policy_options(conf)
        self._timing = _timing(conf)
        self._pools = loading.load_pools(conf, self._clock)
        self._exporters = loading.load_exporters(
            conf, self._clock, self._locate
        )
        self._seal = _open_seal(conf, self._clock)
        self._images = ImageFolders(conf.agent.image_folders)
        self._space = SpaceReader(
            self._pools,
            clock=self._clock,
            interval_s=conf.api.space_interval_s,
        )
        self.health = Health(self._clock.monotonic)
        self._board = Board(metering.METRICS)
        self._meter = metering.BoardMeter(self._board)
        self._tracer = _open_tracer(conf)
        self._trail = EventTrail(self._tracer)
        self._rpc_transport, self._notification_transport = bus.connect(conf)
        self._reach = Reach('bus', bus.list_hosts(conf))
        self._journal: SqlJournal | None = None
        self._executor: Executor | None = None
        self._outbox: Outbox | None = None
        self._purger: Purger | None = None
        self._periodic: list[Periodic] = []
        self._server: bus.CallServer | None = None
        self._application: Api | None = None
        self._api: ApiServer | None = None
        self._monitoring: MonitoringServer | None = None

    @property
    def api_port(self) -> int | None:
        """Where the API listens, if it does."""
        return None if self._api is None else self._api.port

    @property
    def monitoring_port(self) -> int | None:
        """Where metrics and health are, if they are anywhere."""
        return None if self._monitoring is None else self._monitoring.port

    def start(self) -> None:
        """Check, recover, and run.

        In this order: storage, journal, what the last run left in both and
        what hosts had, then telling, executing and answering. The bus need
        not be there.

        :raises ConfigInvalid: something cannot be used; nothing runs.
        :raises JournalUnavailable: the journal does not answer.
        """
        for pool in self._pools:
            pool.backend.start()
        self._exporters.start()
        self._journal = journal = open_journal(self._conf, self._clock)
        keeping = open_keeping(self._conf, self._clock)
        self._report_unknown(journal)
        handlers = self._handlers(journal)
        intake = Intake(
            journal,
            max_waiting=self._conf.agent.max_waiting,
            meter=self._meter,
            trail=self._trail,
        )
        self._outbox = self._make_outbox(journal)
        self._executor = self._make_executor(journal, handlers)
        self._purger = Purger(
            keeping=keeping, retention=_retention(self._conf)
        )
        self._periodic = self._make_periodic(
            journal, keeping, intake, self._purger
        )
        describer = self._describer(journal, handlers)
        self._server = self._make_server(journal, intake, describer)
        if self._conf.api.enabled:
            self._application = self._api_over(
                journal, keeping, intake, handlers
            )
            self._api = self._application.make_server()
        if self._api is not None or self._conf.monitoring.enabled:
            self._space.start()
        if self._conf.monitoring.enabled:
            self._monitoring = self._make_monitoring(keeping, self._executor)
            try:
                self._monitoring.start()
            except OSError as exc:
                raise exceptions.ConfigInvalid(
                    '[monitoring] bind_host and bind_port cannot be used: '
                    f'{exc}'
                ) from exc
        self._sweep()
        self._exporters.resume(lambda: self._attached(journal))
        self._outbox.start()
        self._executor.start()
        for one in self._periodic:
            one.start()
        self._server.start()
        self.health.expect(
            [
                *(f'dispatch-{lane.value}' for lane in Lane),
                *('watch', 'lease', 'outbox', 'purge'),
                *(one.name for one in self._periodic),
            ]
        )
        if self._api is not None:
            self._api.start()
            LOG.info('The API listens on port %d.', self._api.port)
        counts = journal.count()
        LOG.info(
            'Agent %s runs: %d volumes, %d events waiting.',
            self._name,
            counts.volumes,
            counts.waiting,
        )

    def reload(self) -> None:
        """Read the configuration again, and use of it what may change.

        Those are the options that are marked as mutable: log levels, the
        policies with their limits, what is kept, and of the API its rates,
        threads, tokens and certificate. If it cannot be used, the log says
        why and all goes on as before.
        """
        try:
            self._conf.mutate_config_files()
            chosen = _policy_options(self._conf)
            policies = {
                lane: policy
                for lane, policy in _load_policies(self._conf).items()
                if chosen[lane] != self._chosen[lane]
            }
            retention = _retention(self._conf)
            if self._application is not None:
                self._application.reload()
        except (cfg.Error, exceptions.ConfigInvalid) as exc:
            LOG.error('The changed configuration is not used: %s', exc)
            return
        if self._executor is not None:
            self._executor.use(self._watched(policies))
        if self._purger is not None:
            self._purger.use(retention)
        for lane in policies:
            LOG.info(
                'The policy of the %s lane is %s now, and begins with %d.',
                lane.value,
                *chosen[lane][:2],
            )
        self._chosen = chosen
        LOG.info(
            'The configuration was read again. What was ignored needs a '
            'restart.'
        )

    def sections(self) -> Mapping[str, Callable[[], Mapping[str, Any]]]:
        """Return what a report of this process is to say, by title."""
        return {
            'Agent': self._tell_lanes,
            'Running events': self._tell_running,
            'Journal': self._tell_journal,
            'Health': lambda: {
                check.name: check.message or 'ok'
                for check in self.health.readiness()
            },
        }

    def _tell_lanes(self) -> Mapping[str, Any]:
        if self._executor is None:
            return {'state': 'it has not started'}
        return {
            'name': self._name,
            'version': code_version(),
            'lease': 'good' if self._executor.has_lease else 'over',
            'draining': self._executor.is_draining,
            **{
                f'lane {lane.value}': dataclasses.asdict(facts)
                for lane, facts in self._executor.lanes.items()
            },
        }

    def _tell_running(self) -> Mapping[str, Any]:
        if self._executor is None:
            return {}
        return {
            one.event.event_id: {
                'operation': one.event.operation.value,
                'volume': one.event.volume_id,
                'request': one.event.requested_by.request_id,
                'lane': one.lane.value,
                'attempt': one.attempt,
                'age_s': round(one.age_s, 1),
                'phase': one.progress.phase,
                'bytes': f'{one.progress.bytes_done} of '
                f'{one.progress.bytes_total}',
                'withdrawn': one.withdrawn,
            }
            for one in self._executor.running
        }

    def _tell_journal(self) -> Mapping[str, Any]:
        if self._journal is None:
            return {}
        counts = self._journal.count()
        return {
            name: getattr(counts, name)
            for name in (
                *('waiting', 'running', 'suspects', 'finished'),
                *('volumes', 'sequence', 'published'),
            )
        }

    def stop(self) -> bool:
        """Take no more, finish what runs, tell it, and end.

        :returns: whether everything has ended; if not, a thread is still in
            the storage's hands, and the process must be left by force.
        """
        LOG.info('Agent %s is stopping.', self._name)
        self.health.end()
        if self._api is not None:
            self._api.stop()
        self._space.stop()
        self._reach.stop()
        if self._server is not None:
            self._server.stop()
        for one in self._periodic:
            one.stop()
        idle = True
        if self._executor is not None:
            idle = self._executor.drain(self._conf.agent.drain_timeout_s)
        if self._outbox is not None:
            self._outbox.stop()
        if idle and self._journal is not None:
            self._journal.close()
        if self._monitoring is not None:
            self._monitoring.stop()
        if self._tracer is not None:
            self._tracer.close()
        LOG.info('Agent %s has stopped.', self._name)
        return idle

    def _watched(
        self, policies: Mapping[Lane, interfaces.Policy]
    ) -> Mapping[Lane, interfaces.Policy]:
        return {
            lane: Watched(policy, lane, self._limits)
            for lane, policy in policies.items()
        }

    def _handlers(self, journal: interfaces.Journal) -> Handlers:
        return Handlers(
            pools=self._pools,
            exporters=self._exporters,
            images=self._images,
            rooms=Rooms(self._pools, journal.count_lately),
            clock=self._clock,
            trash_s=self._conf.agent.trash_s,
        )

    def _make_periodic(
        self,
        journal: SqlJournal,
        keeping: interfaces.JournalKeeping,
        intake: Intake,
        purger: Purger,
    ) -> list[Periodic]:
        options = self._conf.agent
        emptier = Emptier(journal=journal, intake=intake, clock=self._clock)
        teller = AlarmTeller(alarms=journal, publisher=self._publisher())
        resyncs = ResyncTeller(resyncs=journal, publisher=self._publisher())
        periodic = [
            Periodic(
                'alarms',
                teller.tell,
                clock=self._clock,
                interval_s=_TELL_INTERVAL_S,
                is_first_at_once=True,
            ),
            Periodic(
                'resyncs',
                resyncs.tell,
                clock=self._clock,
                interval_s=_TELL_INTERVAL_S,
                is_first_at_once=True,
            ),
            Periodic(
                'purge',
                purger.purge,
                clock=self._clock,
                interval_s=self._conf.retention.interval_s,
            ),
            Periodic(
                'trash',
                emptier.empty,
                clock=self._clock,
                interval_s=min(
                    _EMPTY_INTERVAL_S, max(1.0, options.trash_s / 10)
                ),
            ),
        ]
        if options.scan_interval_s:
            periodic += [
                self._make_scan(pool, journal, keeping, intake)
                for pool in self._pools
            ]
        return periodic

    def _make_scan(
        self,
        pool: Pool,
        journal: SqlJournal,
        keeping: interfaces.JournalKeeping,
        intake: Intake,
    ) -> Periodic:
        options = self._conf.agent
        scanner = Scanner(
            backend=pool.backend,
            journal=journal,
            keeping=keeping,
            intake=intake,
            clock=self._clock,
            vanish_limit=options.scan_vanish_limit,
            pool=pool.name,
            is_first=pool is self._pools.first,
        )
        return Periodic(
            f'scan {pool.name}'.strip(),
            scanner.scan,
            clock=self._clock,
            interval_s=options.scan_interval_s,
        )

    def _publisher(self) -> interfaces.Publisher:
        return metering.MeteredPublisher(
            bus.BusPublisher(
                self._notification_transport,
                topic=self._conf.agent.notification_topic,
                publisher_id=f'virtdc-agent.{self._name}',
                clock=self._clock,
                seal=self._seal,
            ),
            self._meter,
        )

    def _locate(self, volume_id: str) -> str | None:
        """Return a path to a volume's bytes, in the pool that it is in."""
        if self._journal is None:
            raise AssertionError('nothing to locate before the start')
        try:
            volume = self._journal.get_volume(volume_id)
        except exceptions.VolumeNotFound:
            return None
        except exceptions.JournalUnavailable as exc:
            raise exceptions.BackendUnavailable(
                f'Where volume {volume_id} is cannot be read now; try again.'
            ) from exc
        return self._pools.of(volume).backend.locate(volume_id)

    def _report_unknown(self, journal: interfaces.Journal) -> None:
        for name, count in self._pools.unknown(journal.count()).items():
            LOG.error(
                '%d volumes are in pool %s, which is not configured: nothing '
                'can be done to them before it is in [agent] pools again.',
                count,
                name,
            )

    def _attached(
        self, journal: interfaces.Journal
    ) -> Iterator[events.Volume]:
        """Yield all volumes that some host uses."""
        marker: str | None = None
        while True:
            page = journal.get_volumes(marker, _PAGE)
            for volume in page.volumes:
                if volume.attached_to:
                    try:
                        yield self._pools.placed(volume)
                    except exceptions.EventRejected:
                        # Its hosts are not to be shut out for that.
                        yield volume
            if page.next_marker is None:
                return
            marker = page.next_marker

    def _make_outbox(self, journal: interfaces.Journal) -> Outbox:
        return Outbox(
            journal=journal,
            publisher=self._publisher(),
            clock=self._clock,
            retry_interval_s=self._conf.outbox.retry_interval_s,
            poll_interval_s=(
                self._conf.outbox.poll_interval_s
                if journal.is_shared
                else None
            ),
            batch=self._conf.outbox.batch,
            pulse=self.health.pulse('outbox'),
            trail=self._trail,
        )

    def _make_executor(
        self, journal: interfaces.Journal, handlers: Handlers
    ) -> Executor:
        options = self._conf.executor
        return Executor(
            journal=journal,
            handlers=handlers,
            policies=self._policies,
            clock=self._clock,
            timing=self._timing,
            discipline=options.dispatch,
            retries=Retries(
                most=options.retries,
                base_s=options.retry_base_s,
                longest_s=options.retry_max_s,
            ),
            sweep=self._sweep,
            on_end=self._on_end,
            meter=self._meter,
            pulse_of=self.health.pulse,
            trail=self._trail,
        )

    def _make_monitoring(
        self, keeping: interfaces.JournalKeeping, executor: Executor
    ) -> MonitoringServer:
        gauges = metering.Gauges(
            keeping=keeping,
            lanes=lambda: executor.lanes,
            is_draining=lambda: executor.is_draining,
            pools=self._pools,
            space=self._space.get,
            clock=self._clock,
            version=code_version(),
        )
        self._board.read_from(gauges.read)
        self.health.ask(lambda: self._readiness(gauges, executor))
        self._reach.start()
        return serving.make_server(
            self._board, self.health, self._conf.monitoring
        )

    def _sweep(self) -> None:
        """Remove from the storage what dead agents left there."""
        if self._journal is None:
            raise AssertionError('nothing to sweep before the start')
        for pool in self._pools:
            try:
                for name in pool.backend.sweep(self._journal.get_fences):
                    LOG.info(
                        'Removed what an interrupted operation left: %s', name
                    )
            except exceptions.AgentError as exc:
                LOG.warning(
                    'What interrupted operations left is not removed before '
                    'the next start: %s',
                    exc,
                )

    def _make_server(
        self,
        journal: interfaces.Journal,
        intake: Intake,
        describer: Describer,
    ) -> bus.CallServer:
        return bus.CallServer(
            self._rpc_transport,
            topic=self._conf.agent.topic,
            server=self._name,
            endpoint=AgentEndpoint(
                journal=journal,
                intake=intake,
                pools=self._pools,
                exporters=self._exporters,
                describe=describer.describe,
                topic=self._conf.agent.topic,
                seal=self._seal,
            ),
        )

    def _describer(
        self, journal: interfaces.Journal, handlers: Handlers
    ) -> Describer:
        return Describer(
            agent=self._name,
            journal=journal,
            pools=self._pools,
            exporters=self._exporters,
            operations=handlers.operations,
            image_urls=self._images.urls,
        )

    def _readiness(
        self, gauges: metering.Gauges, executor: Executor
    ) -> Iterator[Check]:
        yield Check(
            'journal', *_unless(gauges.survey() is None, 'it does not answer')
        )
        yield Check(
            'lease',
            *_unless(
                not executor.has_lease, 'it is over, and not renewed yet'
            ),
        )
        yield self._reach.check()
        for pool in self._pools:
            reading = self._space.get(pool.name)
            yield Check(
                f'pool {pool.name or metering.NO_NAME}',
                *_unless(not reading.is_current, 'its storage is silent'),
            )

    def make_application(self) -> Callable[..., Any]:
        """Return the API for a web server beside the agents.

        Instead of ``start``: it executes nothing and exports nothing.

        :raises ConfigInvalid: something cannot be used.
        :raises JournalUnavailable: the journal does not answer.
        """
        for pool in self._pools:
            pool.backend.start()
        journal = open_journal(self._conf, self._clock)
        handlers = self._handlers(journal)
        self._space.start()
        return self._api_over(
            journal,
            open_keeping(self._conf, self._clock),
            Intake(
                journal,
                max_waiting=self._conf.agent.max_waiting,
                trail=self._trail,
            ),
            handlers,
        ).application

    def _api_over(
        self,
        journal: interfaces.Journal,
        keeping: interfaces.JournalKeeping,
        intake: Intake,
        handlers: Handlers,
    ) -> Api:
        describer = self._describer(journal, handlers)
        return Api(
            self._conf,
            journal=journal,
            keeping=keeping,
            intake=intake,
            clock=self._clock,
            operations=handlers.operations,
            describe=lambda: describer.describe_lately(self._space),
            pools=[pool.name for pool in self._pools],
            exporters=[offer.name for offer in self._exporters.offers],
            manageables=PatientContents(
                PoolContents(self._pools),
                Patience(
                    self._clock,
                    timeout_s=_LISTING_TIMEOUT_S,
                    most=_LISTINGS_AT_ONCE,
                ),
            ),
            limits=self._limits,
            # On one machine others may write, too: programs of people.
            others_write=True,
            meter=self._meter,
        )


def _unless(is_wrong: bool, message: str) -> tuple[bool, str]:
    return (False, message) if is_wrong else (True, '')


def _open_tracer(conf: cfg.ConfigOpts) -> tracing.Tracer | None:
    try:
        return tracing.open_tracer(
            conf.monitoring.otlp_address, service='virtdc-agent'
        )
    except tracing.CannotTrace as exc:
        raise exceptions.ConfigInvalid(
            f'[monitoring] otlp_address: {exc}.'
        ) from exc


def _open_seal(conf: cfg.ConfigOpts, clock: interfaces.Clock) -> sealing.Seal:
    if not conf.agent.key_file:
        return sealing.Seal()
    try:
        keys = KeyFile(conf.agent.key_file, monotonic=clock.monotonic)
    except ValueError as exc:
        raise exceptions.ConfigInvalid(
            f'[agent] key_file cannot be used: {exc}.'
        ) from exc
    if conf.agent.accept_unsigned:
        LOG.warning(
            '[agent] accept_unsigned is set: whoever may write to the '
            'virtual host is obeyed.'
        )
    return sealing.Seal(
        keys, accepts_unsigned=conf.agent.accept_unsigned, now=clock.now
    )


def open_journal(conf: cfg.ConfigOpts, clock: interfaces.Clock) -> SqlJournal:
    """Return the configured journal.

    :raises ConfigInvalid: it is not there, or of another version.
    """
    engine = engines.make_engine(opts.connection_of(conf))
    migrate.check(engine)
    return SqlJournal(
        engine,
        agent=conf.agent.name,
        clock=clock,
        lease_s=conf.executor.lease_s,
        max_losses=conf.executor.max_losses,
        version=code_version(),
    )


def code_version() -> str:
    """Return the version of this code."""
    text: str = version.VersionInfo('virtdc').version_string()
    return text


def open_keeping(
    conf: cfg.ConfigOpts, clock: interfaces.Clock | None = None
) -> SqlKeeping:
    """Return the other side of the configured journal.

    :raises ConfigInvalid: it is not there, or of another version.
    """
    engine = engines.make_engine(opts.connection_of(conf))
    migrate.check(engine)
    return SqlKeeping(engine, clock=clock or SystemClock())


def sync_journal(conf: cfg.ConfigOpts) -> str | None:
    """Bring the configured journal's schema to this version; return it.

    :raises ConfigInvalid: it is newer than this version.
    :raises JournalUnavailable: the database does not let it.
    """
    engine = engines.make_engine(opts.connection_of(conf))
    migrate.sync(engine)
    return migrate.current(engine)


def journal_version(conf: cfg.ConfigOpts) -> str | None:
    """Return the version of the configured journal's schema, if it has one.

    :raises JournalUnavailable: the database cannot be opened.
    """
    return migrate.current(engines.make_engine(opts.connection_of(conf)))


def journal_versions(conf: cfg.ConfigOpts) -> tuple[str | None, str]:
    """Return the version of the journal's schema, and the one needed here.

    :raises ConfigInvalid: it is of a version that is not known here.
    :raises JournalUnavailable: the database cannot be opened.
    """
    engine = engines.make_engine(opts.connection_of(conf))
    migrate.refuse_unknown(engine)
    return migrate.current(engine), migrate.head()


def look_at_pools(conf: cfg.ConfigOpts) -> Iterator[tuple[str, str]]:
    """Yield each pool's name, and what keeps it from being used, if any.

    :raises ConfigInvalid: an option cannot work.
    """
    for pool in loading.load_pools(conf, SystemClock()):
        try:
            pool.backend.start()
            pool.backend.space()
        except exceptions.AgentError as exc:
            yield pool.name, str(exc)
        else:
            yield pool.name, ''


def pools_without_trash(conf: cfg.ConfigOpts) -> list[str]:
    """Return the names of pools that cannot keep what is deleted.

    :raises ConfigInvalid: an option cannot work.
    """
    return [
        pool.name
        for pool in loading.load_pools(conf, SystemClock())
        if not pool.backend.has_trash
    ]


def _retention(conf: cfg.ConfigOpts) -> model.Retention:
    options = conf.retention
    return model.Retention(
        max_age_s=options.max_age_s,
        max_finished=options.max_finished,
        min_age_s=options.min_age_s,
    )


def _policy_options(
    conf: cfg.ConfigOpts,
) -> Mapping[Lane, tuple[str, int, int]]:
    """Return each lane's policy, its first limit, and the highest."""
    options = conf.executor
    copy_policy: str = options.copy_policy or options.policy
    return {
        Lane.QUICK: (
            options.policy,
            options.batch_size,
            options.max_batch_size,
        ),
        Lane.COPY: (
            copy_policy,
            options.copy_batch_size,
            options.max_batch_size,
        ),
    }


def _load_policies(
    conf: cfg.ConfigOpts,
) -> Mapping[Lane, interfaces.Policy]:
    options = conf.executor
    return {
        Lane.QUICK: _load_policy(conf, 'policy', options.batch_size),
        Lane.COPY: _load_policy(
            conf,
            'copy_policy' if options.copy_policy else 'policy',
            options.copy_batch_size,
        ),
    }


def _load_policy(
    conf: cfg.ConfigOpts, option: str, limit: int
) -> interfaces.Policy:
    name: str = conf.executor[option]
    kind = plugins.load(plugins.POLICIES, name, f'[executor] {option}')
    ceiling: int = conf.executor.max_batch_size
    if limit > ceiling:
        raise exceptions.ConfigInvalid(
            f'[executor] batch_size or copy_batch_size is {limit}, more than '
            f'max_batch_size = {ceiling}: raise the latter.'
        )
    policy: interfaces.Policy = kind(limit, ceiling=ceiling)
    if policy.may_starve:
        if not conf.executor.accept_starvation:
            raise exceptions.ConfigInvalid(
                f'[executor] {option} = {name} may lower its limit to 0 and '
                'then runs nothing until the agent is restarted. Choose '
                'another policy, or set [executor] accept_starvation = true.'
            )
        LOG.warning(
            '[executor] %s = %s may lower its limit to 0; from then on '
            'nothing is executed until this agent is restarted.',
            option,
            name,
        )
    return policy


def _timing(conf: cfg.ConfigOpts) -> Timing:
    options = conf.executor
    for name, kinds in (
        ('operation_timeouts', options.operation_timeouts),
        ('extendable', options.extendable),
    ):
        for kind in kinds:
            if kind not in scheduling.KINDS:
                raise exceptions.ConfigInvalid(
                    f'[executor] {name} names {kind}, which is no kind of '
                    f'operation; there are: {", ".join(scheduling.KINDS)}.'
                )
    return Timing(
        interval_s=options.interval_s,
        timeout_s=options.timeout_s,
        timeouts_s=options.operation_timeouts,
        extendable=options.extendable,
        cap_s=options.max_timeout_s,
        lease_s=options.lease_s,
        progress_interval_s=options.progress_interval_s,
    )
