"""Real processes, on a small disk of their own."""

from __future__ import annotations

import enum
import logging
import os
from pathlib import Path
import secrets
import shutil
import subprocess
import threading
import time

from oslo_config import cfg
import oslo_messaging

from cinder_virtdc.bus.caller import BusCaller
from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.clock import SystemClock as CloudClock
from tests.chaos.faults import Kind
from tools.lab import errors
from tools.lab import guard
from tools.lab import installation
from tools.lab import mariadb
from tools.lab import ports
from tools.lab import postgresql
from tools.lab import processes
from tools.lab import rabbitmq
from tools.lab import runfolder
from tools.lab import virtdc
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract import topics
from virtdc_agent.journal import engine as engines
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal.sql import SqlJournal

LEASE_S = 2.0
TIMEOUT_S = 10.0
_DISK = '256M'
_RESTART_S = 1.0
"""How soon an agent that ended by itself is started, as by systemd."""
_PATIENCE_S = 60.0
_DURABLE = {'oslo_messaging_rabbit': {'amqp_durable_queues': True}}


class Database(enum.StrEnum):
    """Where the journal is kept."""

    SQLITE = 'sqlite'
    POSTGRESQL = 'postgresql'
    MARIADB = 'mariadb'


class World:
    """A broker, a database, agents that share it, and a disk to fill.

    :param folder: empty; it is left as it is.
    """

    def __init__(
        self, folder: Path, *, database: Database, agents: int
    ) -> None:
        self.folder = runfolder.prepare(folder)
        self._token = secrets.token_hex(16)
        self._guard = guard.Guard(self.folder)
        self.supervisor = processes.Supervisor(self.folder, self._token)
        self.rabbitmq = rabbitmq.RabbitMQ(self.supervisor, ports.Ports())
        self._disk = self.folder / 'disk'
        self.pool = self._disk / 'pool'
        self._filler = self._disk / 'filler'
        self.can_fill = os.geteuid() == 0
        self._server: postgresql.PostgreSQL | mariadb.MariaDB | None = None
        match database:
            case Database.SQLITE:
                # On the same disk: a journal, too, must bear a full one.
                self._url = f'sqlite:///{self._disk}/journal.sqlite'
            case Database.POSTGRESQL:
                server = postgresql.PostgreSQL(self.supervisor)
                self._server, self._url = server, server.url
            case Database.MARIADB:
                other = mariadb.MariaDB(
                    self.supervisor, ['virtdc'], durable=True
                )
                self._server, self._url = other, other.url('virtdc')
        self.agents = [self._agent(n) for n in range(agents)]
        self._keeper = threading.Thread(
            target=self._keep, name='keeper', daemon=True
        )
        self._is_over = threading.Event()
        self._wanted: set[int] = set()
        self._lock = threading.Lock()
        # What the bus says of its broker's absence belongs to no terminal.
        logging.getLogger().addHandler(
            logging.FileHandler(self.folder / 'judge.log', delay=True)
        )
        self.ended_by_themselves = 0
        self.slow_to_stop = 0

    @property
    def kinds(self) -> frozenset[Kind]:
        """What can go wrong here."""
        found = set(Kind)
        if self._server is None:
            found.discard(Kind.KILL_DATABASE)
        if not self.can_fill:
            found.discard(Kind.FILL_DISK)
        return frozenset(found)

    def up(self) -> None:
        """Start all, but for the agents."""
        mounts = (str(self._disk),) if self.can_fill else ()
        runfolder.State(token=self._token, mounts=mounts).write(self.folder)
        self._guard.start()
        self._disk.mkdir()
        if self.can_fill:
            self._mount()
        self.pool.mkdir()
        self.rabbitmq.up()
        if self._server is not None:
            self._server.up()
        for agent in self.agents:
            agent.configure()
        self._configure_bus()

    def start_agents(self) -> None:
        """Start the agents; from now on, who ends is started again."""
        for agent in self.agents:
            agent.service.start()
        self._wanted = set(range(len(self.agents)))
        self._keeper.start()

    def settle(self) -> None:
        """Return when all runs that has to."""
        self.supervisor.wait_for(
            'all agents answer',
            lambda: all(
                agent.service.is_running() and agent.service.program.ready()
                for agent in self.agents
            ),
            timeout_s=_PATIENCE_S,
        )

    def stop_agents(self) -> None:
        """Stop the agents as an operator does."""
        self._is_over.set()
        self._keeper.join()
        for agent in self.agents:
            self._stop(agent)

    def down(self) -> None:
        """End everything. Idempotent."""
        self._is_over.set()
        self.supervisor.close()
        runfolder.take_down(self.folder)
        self.supervisor.reap()
        self._guard.release()

    def remove(self) -> None:
        """Remove the folder, after :meth:`down`."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def strike(self, kind: Kind, agent: int) -> bool:
        """Have something go wrong.

        :returns: whether it could: what is down already cannot be killed.
        """
        service = self.agents[agent].service
        match kind:
            case Kind.KILL_AGENT:
                if not self._take_out(agent):
                    return False
                service.kill()
            case Kind.STOP_AGENT:
                if not self._take_out(agent):
                    return False
                self._stop(self.agents[agent])
            case Kind.FREEZE_AGENT:
                if not service.is_running():
                    return False
                service.pause()
            case Kind.KILL_BROKER:
                self.rabbitmq.service.kill()
            case Kind.KILL_DATABASE:
                self._database_service().kill()
            case Kind.FILL_DISK:
                self._fill()
        return True

    def mend(self, kind: Kind, agent: int) -> None:
        """Put it right again."""
        match kind:
            case Kind.KILL_AGENT | Kind.STOP_AGENT:
                with self._lock:
                    self.agents[agent].service.start(wait=False)
                    self._wanted.add(agent)
            case Kind.FREEZE_AGENT:
                self.agents[agent].service.resume()
            case Kind.KILL_BROKER:
                self._start(self.rabbitmq.service)
            case Kind.KILL_DATABASE:
                self._start(self._database_service())
            case Kind.FILL_DISK:
                self._filler.unlink()

    def client(self) -> AgentClient:
        """Return a client, as the driver has one."""
        transport = oslo_messaging.get_rpc_transport(
            cfg.CONF, url=self.rabbitmq.private_url
        )
        return AgentClient(
            BusCaller(transport, topic=topics.RPC_TOPIC),
            clock=CloudClock(),
            submit_timeout_s=20.0,
            rpc_timeout_s=4.0,
        )

    def notifications(self) -> oslo_messaging.Transport:
        """Return where notifications come from."""
        return oslo_messaging.get_notification_transport(
            cfg.CONF, url=self.rabbitmq.private_url
        )

    def journal(self) -> SqlJournal:
        """Return the journal, to be read."""
        return SqlJournal(
            engines.make_engine(self._url), agent='judge', clock=SystemClock()
        )

    def keeping(self) -> SqlKeeping:
        """Return the other side of the journal."""
        return SqlKeeping(engines.make_engine(self._url), clock=SystemClock())

    def _agent(self, number: int) -> virtdc.Agent:
        name = f'agent-{number + 1}'
        return virtdc.Agent(
            self.supervisor,
            self.rabbitmq,
            venv=installation.Installation.current(),
            pool=self.pool,
            settings=virtdc.AgentSettings(
                name=name,
                options={
                    **_DURABLE,
                    'agent': {'drain_timeout_s': 5.0, 'trash_s': 0.0},
                    'backend_file': {'max_over_subscription_ratio': 1000},
                    'database': {'connection': self._url},
                    'executor': {'lease_s': LEASE_S, 'timeout_s': TIMEOUT_S},
                },
            ),
        )

    def _configure_bus(self) -> None:
        """Have notifications come one after the other, from queues that last.

        The global object: oslo.messaging keeps options of its own there.
        """
        path = self.folder / 'judge.conf'
        path.write_text(
            '[DEFAULT]\nexecutor_thread_pool_size = 1\n'
            '[oslo_messaging_rabbit]\namqp_durable_queues = true\n',
            encoding='utf-8',
        )
        cfg.CONF(['--config-file', str(path)], project='virtdc-chaos')

    def _mount(self) -> None:
        done = subprocess.run(
            [
                *('mount', '-t', 'tmpfs', '-o', f'size={_DISK},mode=0755'),
                *('tmpfs', str(self._disk)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            self.can_fill = False

    def _fill(self) -> None:
        """Leave not one byte on the disk."""
        size = 1024**2
        with self._filler.open('wb', buffering=0) as filler:
            while size >= 512:
                try:
                    written = filler.write(bytes(size))
                except OSError:
                    written = 0
                if written != size:
                    size //= 2

    def _database_service(self) -> processes.Service:
        if self._server is None:
            raise AssertionError('SQLite is no server')
        return self._server.service

    def _start(self, service: processes.Service) -> None:
        """Start a server that may not yet have let go of what it held."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                service.start()
                return
            except errors.ProgramError:
                if time.monotonic() > deadline:
                    raise
                service.stop()
                self.supervisor.sleep(0.5)

    def _take_out(self, agent: int) -> bool:
        """Keep an agent from being started again; say whether it runs."""
        with self._lock:
            if agent not in self._wanted:
                return False
            self._wanted.remove(agent)
            return True

    def _stop(self, agent: virtdc.Agent) -> None:
        begun = time.monotonic()
        agent.service.stop()
        if time.monotonic() - begun >= agent.service.program.grace_s:
            self.slow_to_stop += 1

    def _keep(self) -> None:
        while not self._is_over.wait(_RESTART_S):
            with self._lock:
                for agent in self._wanted:
                    service = self.agents[agent].service
                    if not service.is_running():
                        self.ended_by_themselves += 1
                        service.stop()
                        service.start(wait=False)
