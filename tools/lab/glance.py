"""Glance, the image service."""

from __future__ import annotations

from tools.lab import configuration
from tools.lab import identity as identities
from tools.lab import installation
from tools.lab import keystone as keystone_module
from tools.lab import ports
from tools.lab import processes
from tools.lab import rest
from tools.lab import wsgi


class Glance:
    """Images as files of the run folder."""

    def __init__(
        self,
        supervisor: processes.Supervisor,
        free: ports.Ports,
        *,
        server: installation.Installation,
        venv: installation.Installation,
        database: configuration.Options,
        keystone: keystone_module.Keystone,
    ) -> None:
        self._supervisor = supervisor
        self._venv = venv
        self._database = database
        self._keystone = keystone
        self._folder = supervisor.folder / 'glance'
        self._conf = self._folder / 'glance-api.conf'
        self.images = self._folder / 'images'
        port = free.take()
        self.url = f'http://127.0.0.1:{port}'
        self.service = supervisor.service(
            wsgi.program(
                'glance',
                module='glance.wsgi.api:application',
                port=port,
                server=server,
                venv=venv,
                # Without these, volume to image fails: the client sends
                # chunks of which uWSGI would take none.
                options=[
                    *('--chunked-input-timeout', '120'),
                    *('--chunked-input-limit', '16777216'),
                ],
                environment={'OS_GLANCE_CONFIG_DIR': str(self._folder)},
                probe='/healthcheck',
            )
        )

    def client(self, user: str = identities.ADMIN) -> rest.Rest:
        """Return a client that acts as a user, in its own project."""
        return rest.Rest(f'{self.url}/v2', self._keystone.headers(user))

    def sync_database(self) -> None:
        """Write the configuration and create the tables."""
        folders = {
            'images': self.images,
            'staging': self._folder / 'staging',
            'tasks': self._folder / 'tasks',
        }
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        configuration.write_sections(
            self._conf,
            {
                'DEFAULT': {
                    'enabled_backends': 'fs:file',
                    'worker_self_reference_url': self.url,
                    # Cinder is told where an image is.
                    'show_image_direct_url': True,
                    'use_stderr': True,
                },
                'database': self._database,
                'glance_store': {'default_backend': 'fs'},
                'fs': {'filesystem_store_datadir': folders['images']},
                'os_glance_staging_store': {
                    'filesystem_store_datadir': folders['staging']
                },
                'os_glance_tasks_store': {
                    'filesystem_store_datadir': folders['tasks']
                },
                'paste_deploy': {
                    'flavor': 'keystone',
                    'config_file': self._venv.etc(
                        'glance', 'glance-api-paste.ini'
                    ),
                },
                'oslo_concurrency': {'lock_path': self._folder / 'locks'},
            },
            self._keystone.service_sections('glance'),
        )
        self._supervisor.run(
            'glance-manage',
            [
                self._venv.program('glance-manage'),
                *('--config-file', str(self._conf)),
                'db_sync',
            ],
        )
