"""Cinder: API under uWSGI, scheduler, and a cinder-volume per backend."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
from pathlib import Path

from tools.lab import configuration
from tools.lab import errors
from tools.lab import identity as identities
from tools.lab import installation
from tools.lab import ports
from tools.lab import processes
from tools.lab import rabbitmq
from tools.lab import rest
from tools.lab import wsgi

HOST = 'lab'
MICROVERSION = '3.71'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A section of ``enabled_backends``.

    ``volume_backend_name`` is the section's name unless given; a volume type
    of the section's name leads to it.
    """

    name: str
    options: configuration.Options
    private_bus: bool = False
    """Whether it is our driver, which needs the agent and its bus."""


FAKE = Backend(
    name='fake',
    options={
        'volume_driver': 'cinder.tests.fake_driver.FakeLoggingVolumeDriver',
    },
)
"""Cinder's own driver that stores nothing: what Cinder itself can do."""

_BACKUP: configuration.Options = {
    'backup_driver': 'cinder.backup.drivers.posix.PosixBackupDriver',
    # As much is held in memory, for each that runs.
    'backup_file_size': 128 * 1024**2,
    'backup_sha_block_size_bytes': 1024**2,
}


class Cinder:
    """The block storage service.

    Each backend has a cinder-volume of its own, so that it can be killed by
    itself; its host is ``lab``, as if one process served them all.
    """

    def __init__(
        self,
        supervisor: processes.Supervisor,
        free: ports.Ports,
        *,
        venv: installation.Installation,
        identity: identities.Identity,
        broker: rabbitmq.RabbitMQ,
        database: configuration.Options,
        backends: Iterable[Backend],
        options: configuration.Sections,
        native_threads: bool,
        backup: bool = False,
    ) -> None:
        self._supervisor = supervisor
        self._venv = venv
        self._identity = identity
        self._transport_url = broker.cloud_url
        self._database = database
        self._options = options
        self._native_threads = native_threads
        self._folder = supervisor.folder / 'cinder'
        self.backends = tuple(backends)
        self.port = free.take()
        self.conf = self._folder / 'cinder.conf'
        self.api = supervisor.service(
            wsgi.program(
                'cinder-api',
                module='cinder.wsgi.api:application',
                port=self.port,
                server=venv,
                venv=venv,
                arguments=['--config-file', str(self.conf)],
                environment={
                    'PYTHONPATH': str(Path(__file__).resolve().parents[2])
                },
                probe='/healthcheck',
            )
        )
        self.scheduler = supervisor.service(
            self._program(
                'cinder-scheduler',
                self.conf,
                # A cinder-volume tells of its capacity when it starts, to
                # whoever listens then, and again only a minute later.
                lambda: broker.consumers('cinder-scheduler', '/') > 0,
            )
        )
        self.volumes = {
            backend.name: supervisor.service(
                self._program(
                    f'cinder-volume-{backend.name}',
                    self._volume_conf(backend.name),
                )
            )
            for backend in self.backends
        }
        self.backup: processes.Service | None = None
        if backup:
            self.backup = supervisor.service(
                self._program('cinder-backup', self.conf)
            )

    @property
    def url(self) -> str:
        """The endpoint without a project."""
        return f'http://127.0.0.1:{self.port}/v3'

    def client(self, user: str = identities.ADMIN) -> rest.Rest:
        """Return a client that acts as a user, in its own project.

        Paths begin after the project: ``client().get('/volumes/detail')``.
        """
        project = self._identity.project_id(user)
        headers = {
            **self._identity.headers(user),
            'OpenStack-API-Version': f'volume {MICROVERSION}',
        }
        return rest.Rest(f'{self.url}/{project}', headers)

    def configure(self) -> None:
        """Write all configuration files."""
        for name in ('locks', 'state', 'images', 'coordination', 'backups'):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        paste = self._venv.etc('cinder', 'api-paste.ini')
        configuration.write(
            self._folder / 'api-paste.ini',
            paste_with_default_token(
                paste.read_text(encoding='utf-8'), self._default_token()
            ),
        )
        configuration.write_sections(self.conf, *self._layers(self.backends))
        for backend in self.backends:
            self._write_volume_conf(backend, HOST, backend.name)

    def sync_database(self) -> None:
        """Create the tables."""
        self._supervisor.run(
            'cinder-manage',
            [
                self._venv.program('cinder-manage'),
                *('--config-file', str(self.conf)),
                *('db', 'sync'),
            ],
        )

    def finish(self) -> None:
        """Wait until volumes can be made on every backend; make types.

        That a service is up is not enough: a volume that comes before the
        scheduler has heard of a backend's capacity may wait a minute.
        """
        self._supervisor.wait_for('Cinder is ready', self._is_ready)
        client = self.client()
        for backend in self.backends:
            body = {
                'volume_type': {
                    'name': backend.name,
                    'extra_specs': {
                        'volume_backend_name': backend_name(backend)
                    },
                }
            }
            client.post('/types', body)
        self._supervisor.wait_for('the scheduler knows all', self._has_pools)

    def second_volume(
        self, backend: str, *, host: str = 'second'
    ) -> processes.Service:
        """Return a further cinder-volume for a backend, not yet started.

        :param host: its host; an ``[options]`` ``cluster`` makes the two an
            active-active cluster.
        """
        name = f'cinder-volume-{backend}-{host}'
        found = [one for one in self.backends if one.name == backend]
        if not found:
            raise errors.LabError(f'There is no backend {backend}.')
        self._write_volume_conf(found[0], host, f'{backend}-{host}')
        return self._supervisor.service(
            self._program(name, self._volume_conf(f'{backend}-{host}'))
        )

    def services(self) -> list[Mapping[str, str]]:
        """Return what ``os-services`` tells; none while it cannot be asked."""
        try:
            body = self.client().get('/os-services')
        except (OSError, errors.LabError):
            return []
        return list(body['services'])

    def _is_ready(self) -> bool:
        up = {
            (service['binary'], service['host'])
            for service in self.services()
            if service['state'] == 'up'
        }
        wanted = {
            ('cinder-volume', f'{HOST}@{backend.name}')
            for backend in self.backends
        }
        wanted.add(('cinder-scheduler', HOST))
        if self.backup:
            wanted.add(('cinder-backup', HOST))
        return wanted <= up

    def _has_pools(self) -> bool:
        body = self.client().get('/scheduler-stats/get_pools?detail=true')
        known = {
            pool['name'].partition('#')[0]
            for pool in body['pools']
            if 'free_capacity_gb' in pool['capabilities']
        }
        return known >= {f'{HOST}@{one.name}' for one in self.backends}

    def _default_token(self) -> str | None:
        if isinstance(self._identity, identities.NoAuth):
            return self._identity.token
        return None

    def _program(
        self,
        name: str,
        conf: Path,
        ready: Callable[[], bool] = lambda: True,
    ) -> processes.Program:
        binary = 'cinder-volume' if 'volume' in name else name
        environment = {}
        if self._native_threads:
            environment['OS_CINDER_DISABLE_EVENTLET_PATCHING'] = 'true'
        return processes.Program(
            name=name,
            argv=[self._venv.program(binary), '--config-file', str(conf)],
            environment=environment,
            ready=ready,
        )

    def _volume_conf(self, name: str) -> Path:
        return self._folder / f'cinder-volume-{name}.conf'

    def _write_volume_conf(
        self, backend: Backend, host: str, name: str
    ) -> None:
        configuration.write_sections(
            self._volume_conf(name),
            *self._layers([backend]),
            {'DEFAULT': {'host': host}},
            self._helpers(self._volume_conf(name)),
        )

    def _layers(
        self, backends: Iterable[Backend]
    ) -> list[configuration.Sections]:
        backends = list(backends)
        sections: dict[str, configuration.Options] = {
            'DEFAULT': {
                'host': HOST,
                'my_ip': '127.0.0.1',
                'auth_strategy': self._identity.strategy,
                'transport_url': self._transport_url,
                'enabled_backends': ','.join(one.name for one in backends),
                'default_volume_type': self.backends[0].name,
                'state_path': self._folder / 'state',
                'image_conversion_dir': self._folder / 'images',
                'api_paste_config': self._folder / 'api-paste.ini',
                'resource_query_filters_file': self._venv.etc(
                    'cinder', 'resource_filters.json'
                ),
                'graceful_shutdown_timeout': 5,
                'backend_stats_polling_interval': 5,
                'periodic_interval': 5,
                'periodic_fuzzy_delay': 0,
                'quota_volumes': -1,
                'quota_snapshots': -1,
                'quota_gigabytes': -1,
            },
            'database': self._database,
            'oslo_concurrency': {'lock_path': self._folder / 'locks'},
            'coordination': {
                'backend_url': f'file://{self._folder / "coordination"}'
            },
        }
        for backend in backends:
            sections[backend.name] = {
                'volume_backend_name': backend.name,
                **backend.options,
            }
        if self.backup:
            sections['DEFAULT'] = {
                **sections['DEFAULT'],
                **_BACKUP,
                'backup_posix_path': self._folder / 'backups',
            }
        return [sections, self._helpers(self.conf), self._options]

    def _helpers(self, conf: Path) -> configuration.Sections:
        # Without sudo: the services run as who started the lab.
        helper = self._venv.program('privsep-helper')
        command = f'{helper} --config-file {conf}'
        return {
            'cinder_sys_admin': {'helper_command': command},
            'privsep_osbrick': {'helper_command': command},
        }


def backend_name(backend: Backend) -> str:
    """Return the name that a backend's volume type must ask for."""
    return str(backend.options.get('volume_backend_name') or backend.name)


def paste_with_default_token(paste: str, token: str | None) -> str:
    """Let requests without a token into the pipeline ``noauth``.

    :param token: what stands in for it; with ``None`` nothing changes.
    """
    if token is None:
        return paste
    lines = []
    for line in paste.splitlines():
        if line.startswith('noauth ='):
            line = line.replace(' noauth ', ' default_token noauth ')
        lines.append(line)
    lines += [
        '',
        '[filter:default_token]',
        'paste.filter_factory = tools.lab.paste_noauth:filter_factory',
        f'token = {token}',
    ]
    return '\n'.join(lines) + '\n'
