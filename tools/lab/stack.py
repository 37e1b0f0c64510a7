"""The composition: a lab, from nothing to a cloud and back to nothing."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import os
from pathlib import Path
import secrets
import shutil
import signal
import tempfile
import threading
import types
from typing import Self

from tools.lab import catalogue
from tools.lab import certificates
from tools.lab import cinder
from tools.lab import configuration
from tools.lab import errors
from tools.lab import glance
from tools.lab import guard
from tools.lab import horizon
from tools.lab import identity as identities
from tools.lab import installation
from tools.lab import keystone
from tools.lab import mariadb
from tools.lab import nfs_control
from tools.lab import ports
from tools.lab import processes
from tools.lab import rabbitmq
from tools.lab import runfolder
from tools.lab import share as shares
from tools.lab import steps
from tools.lab import virtdc


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a lab consists of, beside RabbitMQ, MariaDB and Cinder."""

    backends: tuple[cinder.Backend, ...] = ()
    """Of Cinder; the first is its default."""
    cinder_options: configuration.Sections = dataclasses.field(
        default_factory=dict
    )
    broker_tls: bool = False
    """Everybody reaches RabbitMQ by TLS, and in no other way."""
    native_threads: bool = False
    """cinder-volume and cinder-scheduler without eventlet."""
    agent: virtdc.AgentSettings | None = None
    rest: bool = False
    """The agent serves its REST API, and Keystone's catalogue, if there is
    one, names it."""
    listener: virtdc.ListenerSettings | None = None
    pool: Path | None = None
    """Folder of the agent's volumes; by default within the run folder."""
    share: bool = False
    """The pool is a file system of its own, and mounted where hosts expect
    it: what Cinder needs to copy images. Needs root."""
    share_group: str | None = None
    """Whose members may use the share, as hypervisors do."""
    backup: bool = False
    """cinder-backup, into a folder of the lab."""
    key_manager: bool = False
    """One key for all encrypted volumes: enough to see them encrypted."""
    reads_images: bool = False
    """The agent reads Glance's images by itself."""
    nfs_control: bool = False
    """Cinder's NFS driver as a further backend, ``nfs``."""
    keystone: bool = False
    glance: bool = False
    """The image service; needs Keystone and the second environment."""
    horizon: bool = False
    """The dashboard; needs Keystone and the second environment."""
    dashboard_venv: Path | None = None
    """The second environment; made if it is not there."""
    services: tuple[catalogue.Entry, ...] = ()
    """More of Keystone's catalogue, each with a service user of its name."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        :raises LabError: naming what is missing.
        """
        if (self.glance or self.horizon) and not self.keystone:
            raise errors.LabError('Glance and Horizon need Keystone.')
        if self.agent is None and any(b.private_bus for b in self.backends):
            raise errors.LabError('A backend with our driver needs an agent.')
        if self.reads_images and not self.glance:
            raise errors.LabError('Without Glance there are no images.')


class Lab:
    """A real OpenStack in one folder.

    Use it as a context manager, or call :meth:`up` and :meth:`down`. Ports,
    passwords and addresses are known from the beginning, before :meth:`up`.

    :param folder: the run folder: new, empty, or of a lab that has stopped
        (then it is emptied). By default a temporary one, which is removed
        at the end, unless the end is an error.
    :param report: is told of each step, from any thread.
    """

    def __init__(
        self,
        folder: Path | None = None,
        settings: Settings | None = None,
        *,
        report: steps.Report = lambda progress: None,
    ) -> None:
        self.settings = settings = settings or Settings()
        self._report = report
        self._temporary = folder is None
        self._left = False
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix='virtdc-lab-'))
        self.folder = runfolder.prepare(folder)
        self._token = secrets.token_hex(16)
        self.fixed_key = secrets.token_hex(32)
        self._ports = free = ports.Ports()
        self._guard = guard.Guard(self.folder)
        self.supervisor = processes.Supervisor(self.folder, self._token)
        venv = installation.Installation.current()
        self.rabbitmq = rabbitmq.RabbitMQ(
            self.supervisor,
            free,
            tls=certificates.make(self.folder / 'rabbitmq-tls')
            if settings.broker_tls
            else None,
        )
        self.mariadb = mariadb.MariaDB(
            self.supervisor, ('cinder', 'glance', 'keystone')
        )
        self.keystone: keystone.Keystone | None = None
        self.identity: identities.Identity = identities.NoAuth()
        if settings.keystone:
            self.keystone = keystone.Keystone(
                self.supervisor,
                free,
                venv=venv,
                database=self.mariadb.options('keystone'),
            )
            self.identity = self.keystone
        self.dashboard_venv = horizon.dashboard(
            self.supervisor, settings.dashboard_venv
        )
        self.glance: glance.Glance | None = None
        if settings.glance and self.keystone:
            self.glance = glance.Glance(
                self.supervisor,
                free,
                server=venv,
                venv=self.dashboard_venv.installation,
                database=self.mariadb.options('glance'),
                keystone=self.keystone,
            )
        self.share: shares.Share | None = None
        if settings.share:
            self.share = shares.Share(
                self.folder / 'share', settings.share_group
            )
        self.nfs_control: nfs_control.NfsControl | None = None
        backends = list(settings.backends)
        if settings.nfs_control:
            self.nfs_control = nfs_control.NfsControl(self.folder / 'nfs')
            backends.append(self.nfs_control.backend)
        self.cinder = cinder.Cinder(
            self.supervisor,
            free,
            venv=venv,
            identity=self.identity,
            broker=self.rabbitmq,
            database=self.mariadb.options('cinder'),
            backends=[self._on_bus(one) for one in backends or [cinder.FAKE]],
            options=configuration.merge(
                configuration.merge(
                    self.rabbitmq.client_sections, self._cinder_sections()
                ),
                settings.cinder_options,
            ),
            native_threads=settings.native_threads,
            backup=settings.backup,
        )
        self.rest_url = ''
        self.agent: virtdc.Agent | None = None
        if settings.agent is not None:
            self.agent = virtdc.Agent(
                self.supervisor,
                self.rabbitmq,
                venv=venv,
                pool=self._pool(),
                settings=self._agent_settings(settings.agent),
            )
        self.listener: virtdc.Listener | None = None
        if settings.listener is not None:
            self.listener = virtdc.Listener(
                self.supervisor,
                self.rabbitmq,
                venv=venv,
                settings=settings.listener,
            )
        self.horizon: horizon.Horizon | None = None
        if settings.horizon and self.keystone:
            self.horizon = horizon.Horizon(
                self.supervisor,
                free,
                server=venv,
                venv=self.dashboard_venv.installation,
                keystone_url=self.keystone.url,
            )

    @property
    def environment(self) -> dict[str, str]:
        """What a shell exports to use the cloud as its administrator."""
        found = self.identity.environment(self.cinder.url)
        if any(name.lower().endswith('_proxy') for name in os.environ):
            found['NO_PROXY'] = found['no_proxy'] = '127.0.0.1,localhost'
        return found

    @property
    def addresses(self) -> dict[str, str]:
        """Where the services answer, by name."""
        found = {'cinder': self.cinder.url}
        if self.rest_url:
            found['virtdc'] = self.rest_url
        if self.keystone:
            found['keystone'] = self.keystone.url
        if self.glance:
            found['glance'] = self.glance.url
        if self.horizon:
            found['horizon'] = self.horizon.url
        return found

    def up(self) -> None:
        """Start everything; return when volumes can be made.

        When it raises, everything is stopped again.

        :raises LabError: something could not be started; says what, and
            quotes the end of its log.
        """
        try:
            mounts: tuple[str, ...] = ()
            if self.nfs_control:
                mounts = (str(self.nfs_control.mount_point),)
            if self.share:
                mounts += self.share.mounts
            # Before anything is started: whoever stops this lab needs it.
            runfolder.State(
                token=self._token,
                mounts=mounts,
                environment=self.environment,
                addresses=self.addresses,
            ).write(self.folder)
            self._guard.start()
            steps.carry_out(
                self._steps(),
                report=self._report,
                abort=self.supervisor.close,
            )
            self._ports.release()
        except BaseException:
            self.down()
            raise

    def down(self) -> list[str]:
        """Stop everything. Idempotent; interrupting it does no harm.

        :returns: the names of those that had to be killed.
        """
        with _uninterrupted():
            self.supervisor.close()
            try:
                killed = runfolder.take_down(self.folder)
            finally:
                self.supervisor.reap()
                self._ports.release()
                self._guard.release()
        return killed

    def leave(self) -> None:
        """Let it run on when this process ends; see :func:`stop`."""
        self._left = True
        self._guard.release()

    def remove(self) -> None:
        """Remove the folder of a stopped lab."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Start it."""
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """Stop it, unless it was left to run."""
        if self._left:
            return
        self.down()
        if self._temporary and (
            kind is None or not issubclass(kind, Exception)
        ):
            self.remove()

    def _on_bus(self, backend: cinder.Backend) -> cinder.Backend:
        if not backend.private_bus:
            return backend
        known: dict[str, configuration.Value] = {
            'virtdc_transport_url': self.rabbitmq.private_url
        }
        if self.share:
            known['virtdc_mount_point_base'] = self.share.base
        return dataclasses.replace(
            backend, options={**known, **backend.options}
        )

    def _pool(self) -> Path:
        if self.share:
            return self.share.pool
        return self.settings.pool or self.folder / 'pool'

    def _agent_settings(
        self, wanted: virtdc.AgentSettings
    ) -> virtdc.AgentSettings:
        if self.settings.rest:
            wanted = self._with_rest(wanted)
        if not (self.settings.reads_images and self.glance):
            return wanted
        # The agent refuses to start without it, and Glance comes later.
        self.glance.images.mkdir(parents=True, exist_ok=True)
        return dataclasses.replace(
            wanted,
            options=configuration.merge(
                {'agent': {'image_folders': self.glance.images}},
                wanted.options,
            ),
        )

    def _with_rest(self, wanted: virtdc.AgentSettings) -> virtdc.AgentSettings:
        port = self._ports.take()
        self.rest_url = f'http://127.0.0.1:{port}'
        sections: dict[str, configuration.Options] = {
            'api': {
                'enabled': True,
                'bind_port': port,
                'auth_strategy': 'keystone' if self.keystone else 'none',
            }
        }
        if self.keystone:
            # Of the sections of a service, the one that checks its users.
            name = 'keystone_authtoken'
            sections[name] = self.keystone.service_sections('virtdc')[name]
        return dataclasses.replace(
            wanted, options=configuration.merge(sections, wanted.options)
        )

    def _cinder_sections(self) -> configuration.Sections:
        sections: dict[str, configuration.Options] = {}
        if self.settings.key_manager:
            sections['key_manager'] = {
                'backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager',
                'fixed_key': self.fixed_key,
            }
        if self.keystone:
            sections.update(self.keystone.service_sections('cinder'))
            if any(one.kind == 'compute' for one in self.settings.services):
                sections['nova'] = self.keystone.service_options('cinder', '')
        if self.glance:
            sections['DEFAULT'] = {'glance_api_servers': self.glance.url}
        return sections

    def _steps(self) -> list[steps.Step]:
        plan = [
            steps.Step('rabbitmq', self.rabbitmq.up),
            steps.Step('mariadb', self.mariadb.up),
        ]
        if self.glance or self.horizon:
            plan.append(steps.Step('dashboard-venv', self.dashboard_venv.make))
        if self.keystone:
            plan += [
                steps.Step(
                    'keystone-db', self.keystone.sync_database, ['mariadb']
                ),
                steps.Step(
                    'keystone', self.keystone.service.start, ['keystone-db']
                ),
                steps.Step('catalogue', self._fill_catalogue, ['keystone']),
            ]
        volume_needs = ['cinder-scheduler']
        if self.agent:
            needs = ['rabbitmq']
            if self.share:
                plan.append(steps.Step('share', self.share.mount))
                needs.append('share')
            plan.append(steps.Step('agent', self._start_agent, needs))
            volume_needs.append('agent')
        if self.nfs_control:
            plan.append(steps.Step('nfs', self.nfs_control.mount))
            volume_needs.append('nfs')
        plan += self._cinder_steps(volume_needs)
        if self.glance:
            plan += [
                steps.Step(
                    'glance-db',
                    self.glance.sync_database,
                    ['mariadb', 'dashboard-venv'],
                ),
                steps.Step(
                    'glance',
                    self.glance.service.start,
                    ['glance-db', 'catalogue'],
                ),
            ]
        if self.horizon:
            plan += [
                steps.Step(
                    'horizon-static', self.horizon.prepare, ['dashboard-venv']
                ),
                steps.Step(
                    'horizon',
                    self.horizon.service.start,
                    ['horizon-static', 'catalogue'],
                ),
            ]
        return plan

    def _cinder_steps(self, volume_needs: list[str]) -> list[steps.Step]:
        needs = ['cinder-db', 'rabbitmq']
        plan = [
            steps.Step('cinder-db', self._prepare_cinder, ['mariadb']),
            steps.Step('cinder-api', self.cinder.api.start, needs),
            steps.Step('cinder-scheduler', self.cinder.scheduler.start, needs),
        ]
        plan += [
            steps.Step(service.name, service.start, volume_needs)
            for service in self.cinder.volumes.values()
        ]
        if self.cinder.backup:
            plan.append(
                steps.Step('cinder-backup', self.cinder.backup.start, needs)
            )
        done = [step.name for step in plan]
        if self.keystone:
            done.append('catalogue')
        plan.append(steps.Step('cinder', self.cinder.finish, done))
        if self.listener:
            plan.append(
                steps.Step('listener', self._start_listener, ['cinder'])
            )
        return plan

    def _prepare_cinder(self) -> None:
        self.cinder.configure()
        self.cinder.sync_database()

    def _start_agent(self) -> None:
        if self.agent:
            self.agent.configure()
            self.agent.service.start()

    def _start_listener(self) -> None:
        if self.listener:
            self.listener.configure(
                self.identity.service_options('virtdc', self.cinder.url)
            )
            self.listener.service.start()

    def _fill_catalogue(self) -> None:
        if self.keystone is None:
            return
        entries = catalogue.volume_entries(self.cinder.url)
        if self.glance:
            # Only if it runs: with an image service that does not answer,
            # "openstack volume create" fails.
            entries.append(catalogue.Entry('image', 'glance', self.glance.url))
        if self.rest_url:
            entries.append(catalogue.Entry('virtdc', 'virtdc', self.rest_url))
        entries += self.settings.services
        users = [one.name for one in self.settings.services]
        catalogue.fill(
            self.keystone, entries, ('cinder', 'glance', 'virtdc', *users)
        )


def stop(folder: Path) -> list[str]:
    """Stop the lab of a folder, whoever started it. Idempotent.

    :returns: the names of those that had to be killed.
    :raises LabError: no lab was ever there.
    """
    if runfolder.State.read(folder) is None:
        raise errors.LabError(f'There is no lab in {folder}.')
    return runfolder.take_down(folder)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Do not let an impatient Ctrl-C leave half of a lab running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
