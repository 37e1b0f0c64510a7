"""Keystone, and the users, services and endpoints that it knows."""

from __future__ import annotations

import base64
from collections.abc import Mapping
import json
import os
import secrets
import threading

from tools.lab import configuration
from tools.lab import errors
from tools.lab import identity
from tools.lab import installation
from tools.lab import ports
from tools.lab import processes
from tools.lab import rest
from tools.lab import wsgi

REGION = 'RegionOne'
DOMAIN = 'Default'
SERVICE_PROJECT = 'service'


class Keystone(identity.Identity):
    """The identity service.

    ``admin`` is its administrator, ``demo`` an ordinary member of a project
    of the same name; service users are members of ``service``.
    """

    def __init__(
        self,
        supervisor: processes.Supervisor,
        free: ports.Ports,
        *,
        venv: installation.Installation,
        database: configuration.Options,
    ) -> None:
        self._supervisor = supervisor
        self._venv = venv
        self._database = database
        self._folder = supervisor.folder / 'keystone'
        self._conf = self._folder / 'keystone.conf'
        self._passwords: dict[str, str] = {}
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[str, str]] = {}
        """Token and id of the project, by the user's name."""
        port = free.take()
        self.url = f'http://127.0.0.1:{port}/v3'
        self.service = supervisor.service(
            wsgi.program(
                'keystone',
                module='keystone.wsgi.api:application',
                port=port,
                server=venv,
                venv=venv,
                environment={
                    'OS_KEYSTONE_CONFIG_DIR': str(self._folder),
                    'OS_KEYSTONE_CONFIG_FILES': self._conf.name,
                },
                probe='/v3',
            )
        )

    @property
    def strategy(self) -> str:
        """Cinder's ``auth_strategy``."""
        return 'keystone'

    def password(self, user: str) -> str:
        """Return a user's password: random, the same for all of a run."""
        with self._lock:
            return self._passwords.setdefault(user, secrets.token_urlsafe(16))

    def sync_database(self) -> None:
        """Create tables, keys, and the administrator."""
        for name in ('fernet', 'credential'):
            self._write_keys(name)
        configuration.write_sections(
            self._conf,
            {
                'DEFAULT': {'use_stderr': True},
                'database': self._database,
                'fernet_tokens': {
                    'key_repository': self._folder / 'fernet',
                },
                'fernet_receipts': {
                    'key_repository': self._folder / 'fernet',
                },
                'credential': {
                    'key_repository': self._folder / 'credential',
                },
                'identity': {'password_hash_rounds': 4},
                'cache': {
                    'enabled': True,
                    'backend': 'dogpile.cache.memory',
                },
                'token': {'expiration': 24 * 3600},
            },
        )
        manage = [
            self._venv.program('keystone-manage'),
            *('--config-file', str(self._conf)),
        ]
        self._supervisor.run('keystone-manage', [*manage, 'db_sync'])
        self._supervisor.run(
            'keystone-manage',
            [
                *manage,
                'bootstrap',
                *('--bootstrap-region-id', REGION),
                *('--bootstrap-admin-url', self.url),
                *('--bootstrap-public-url', self.url),
                *('--bootstrap-internal-url', self.url),
            ],
            # Not an argument: everyone can read those.
            {'OS_BOOTSTRAP_PASSWORD': self.password('admin')},
        )

    def headers(self, user: str = identity.ADMIN) -> Mapping[str, str]:
        """Return the headers of a user's request."""
        with self._lock:
            return {'X-Auth-Token': self._log_in(user)[0]}

    def project_id(self, user: str = identity.ADMIN) -> str:
        """Return the id of the project of a user's name."""
        with self._lock:
            return self._log_in(user)[1]

    def service_token(self, user: str) -> str:
        """Return a new token of a service user."""
        answer = self._ask_token(user, SERVICE_PROJECT)
        return answer.headers['x-subject-token']

    def client(self) -> rest.Rest:
        """Return a client of Keystone that acts as the administrator."""
        return rest.Rest(self.url, self.headers())

    def environment(self, volume_url: str) -> dict[str, str]:
        """Return what a shell exports to be the administrator."""
        return self.user_environment('admin')

    def user_environment(self, user: str) -> dict[str, str]:
        """Return what a shell exports to be a user (of its own project)."""
        return {
            'OS_AUTH_URL': self.url,
            'OS_IDENTITY_API_VERSION': '3',
            'OS_USERNAME': user,
            'OS_PASSWORD': self.password(user),
            'OS_PROJECT_NAME': user,
            'OS_USER_DOMAIN_NAME': DOMAIN,
            'OS_PROJECT_DOMAIN_NAME': DOMAIN,
            'OS_REGION_NAME': REGION,
            'OS_VOLUME_API_VERSION': identity.VOLUME_API_VERSION,
        }

    def service_options(
        self, user: str, volume_url: str
    ) -> configuration.Options:
        """Return keystoneauth's options for a service user."""
        return {
            'auth_type': 'password',
            'auth_url': self.url,
            'username': user,
            'password': self.password(user),
            'project_name': SERVICE_PROJECT,
            'user_domain_name': DOMAIN,
            'project_domain_name': DOMAIN,
            'region_name': REGION,
        }

    def service_sections(self, user: str) -> configuration.Sections:
        """Return the sections with which a service checks its users."""
        options = self.service_options(user, '')
        return {
            'keystone_authtoken': {
                **options,
                'www_authenticate_uri': self.url,
                'service_token_roles_required': True,
                'service_token_roles': 'service',
            },
            'service_user': {**options, 'send_service_user_token': True},
        }

    def _write_keys(self, name: str) -> None:
        # What fernet_setup and credential_setup write: each would cost a
        # start of Keystone.
        for number in ('0', '1'):
            key = base64.urlsafe_b64encode(os.urandom(32)).decode()
            configuration.write(self._folder / name / number, key)
        (self._folder / name).chmod(0o700)

    def _log_in(self, user: str) -> tuple[str, str]:
        if user not in self._sessions:
            answer = self._ask_token(user, user)
            self._sessions[user] = (
                answer.headers['x-subject-token'],
                answer.body['token']['project']['id'],
            )
        return self._sessions[user]

    def _ask_token(self, user: str, project: str) -> rest.Answer:
        domain = {'name': DOMAIN}
        who = {
            'name': user,
            'domain': domain,
            'password': self._passwords[user],
        }
        answer = rest.Rest(self.url).ask(
            'POST',
            '/auth/tokens',
            {
                'auth': {
                    'identity': {
                        'methods': ['password'],
                        'password': {'user': who},
                    },
                    'scope': {'project': {'name': project, 'domain': domain}},
                }
            },
        )
        if answer.status != 201:
            raise errors.LabError(
                f'{user} cannot log in to Keystone: {json.dumps(answer.body)}'
            )
        return answer
