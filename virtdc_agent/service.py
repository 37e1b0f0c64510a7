"""Puts the agent together: the only file that knows all its parts."""

from __future__ import annotations

import logging

from oslo_config import cfg

from virtdc_agent import bus
from virtdc_agent.clock import SystemClock
from virtdc_agent.endpoint import AgentEndpoint
from virtdc_agent import exceptions
from virtdc_agent.executor.executor import Executor
from virtdc_agent.executor.executor import Timing
from virtdc_agent.executor.handlers import Handlers
from virtdc_agent.executor.room import Room
from virtdc_agent.intake import Intake
from virtdc_agent import interfaces
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal import migrate
from virtdc_agent.journal.sql import SqlJournal
from virtdc_agent import opts
from virtdc_agent.outbox import Outbox
from virtdc_agent import plugins

LOG = logging.getLogger(__name__)


class Service:
    """The running agent.

    Constructing it reads the configuration and loads the plugins, and
    touches nothing outside; ``start`` checks, recovers and then runs.

    :raises ConfigInvalid: the configuration cannot work.
    """

    def __init__(
        self, conf: cfg.ConfigOpts, *, clock: interfaces.Clock | None = None
    ) -> None:
        try:
            opts.check_values(conf)
        except cfg.Error as exc:
            raise exceptions.ConfigInvalid(str(exc)) from exc
        self._conf = conf
        self._clock = clock or SystemClock()
        self._name: str = conf.agent.name
        self._policy = _load_policy(conf)
        self._backend: interfaces.Backend = plugins.load(
            plugins.BACKENDS, conf.agent.backend, '[agent] backend'
        ).from_config(conf, clock=self._clock)
        self._exporter: interfaces.Exporter = plugins.load(
            plugins.EXPORTERS, conf.agent.exporter, '[agent] exporter'
        ).from_config(conf, clock=self._clock)
        self._rpc_transport, self._notification_transport = bus.connect(conf)
        self._journal: SqlJournal | None = None
        self._executor: Executor | None = None
        self._outbox: Outbox | None = None
        self._server: bus.CallServer | None = None

    def start(self) -> None:
        """Check, recover, and run.

        In this order: storage, journal, what the last run left in both,
        then telling, executing and answering. The bus need not be there.

        :raises ConfigInvalid: something cannot be used; nothing runs.
        """
        self._backend.start()
        self._exporter.start()
        self._journal = journal = open_journal(self._conf, self._clock)
        for name in self._backend.sweep():
            LOG.info('Removed what an interrupted operation left: %s', name)
        recovered = journal.recover()
        if recovered:
            LOG.info(
                '%d events that were running when the agent ended are '
                'waiting again.',
                len(recovered),
            )
        handlers = self._handlers(journal)
        self._outbox = self._make_outbox(journal)
        self._executor = self._make_executor(journal, handlers)
        self._server = self._make_server(journal, handlers)
        self._outbox.start()
        self._executor.start()
        self._server.start()
        counts = journal.count()
        LOG.info(
            'Agent %s runs: %d volumes, %d events waiting.',
            self._name,
            counts.volumes,
            counts.waiting,
        )

    def stop(self) -> bool:
        """Take no more, finish what runs, tell it, and end.

        :returns: whether everything has ended; if not, a thread is still in
            the storage's hands, and the process must be left by force.
        """
        LOG.info('Agent %s is stopping.', self._name)
        if self._server is not None:
            self._server.stop()
        idle = True
        if self._executor is not None:
            idle = self._executor.drain(self._conf.agent.drain_timeout_s)
        if self._outbox is not None:
            self._outbox.stop()
        if idle and self._journal is not None:
            self._journal.close()
        LOG.info('Agent %s has stopped.', self._name)
        return idle

    def _handlers(self, journal: interfaces.Journal) -> Handlers:
        return Handlers(
            backend=self._backend,
            exporter=self._exporter,
            room=Room(self._backend.space, journal.count),
            clock=self._clock,
        )

    def _make_outbox(self, journal: interfaces.Journal) -> Outbox:
        return Outbox(
            journal=journal,
            publisher=bus.BusPublisher(
                self._notification_transport,
                topic=self._conf.agent.notification_topic,
                publisher_id=f'virtdc-agent.{self._name}',
                clock=self._clock,
            ),
            clock=self._clock,
            retry_interval_s=self._conf.outbox.retry_interval_s,
            batch=self._conf.outbox.batch,
        )

    def _make_executor(
        self, journal: interfaces.Journal, handlers: Handlers
    ) -> Executor:
        options = self._conf.executor
        return Executor(
            journal=journal,
            handlers=handlers,
            policy=self._policy,
            clock=self._clock,
            timing=Timing(
                interval_s=options.interval_s,
                timeout_s=options.timeout_s,
                lease_s=options.lease_s,
                progress_interval_s=options.progress_interval_s,
            ),
            discipline=options.dispatch,
        )

    def _make_server(
        self, journal: interfaces.Journal, handlers: Handlers
    ) -> bus.CallServer:
        return bus.CallServer(
            self._rpc_transport,
            topic=self._conf.agent.topic,
            server=self._name,
            endpoint=AgentEndpoint(
                agent=self._name,
                journal=journal,
                intake=Intake(
                    journal, max_waiting=self._conf.agent.max_waiting
                ),
                backend=self._backend,
                exporter=self._exporter,
                plugin_names=(
                    self._conf.agent.backend,
                    self._conf.agent.exporter,
                ),
                operations=handlers.operations,
            ),
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
    )


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


def _load_policy(conf: cfg.ConfigOpts) -> interfaces.Policy:
    name: str = conf.executor.policy
    kind = plugins.load(plugins.POLICIES, name, '[executor] policy')
    policy: interfaces.Policy = kind(conf.executor.batch_size)
    if policy.may_starve:
        if not conf.executor.accept_starvation:
            raise exceptions.ConfigInvalid(
                f'[executor] policy = {name} may lower its limit to 0 and '
                'then runs nothing until the agent is restarted. Choose '
                'another policy, or set [executor] accept_starvation = true.'
            )
        LOG.warning(
            '[executor] policy = %s may lower its limit to 0; from then on '
            'nothing is executed until this agent is restarted.',
            name,
        )
    return policy
