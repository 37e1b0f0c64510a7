"""RabbitMQ: the cloud's bus, and a private virtual host for the agent."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
import secrets
import ssl

import amqp  # type: ignore[import-untyped]

from tools.lab import certificates
from tools.lab import configuration
from tools.lab import errors
from tools.lab import ports
from tools.lab import processes

# Not Debian's wrapper of the same name, which switches user and folders.
_SERVER = Path('/usr/lib/rabbitmq/bin/rabbitmq-server')
_EPMD = 'epmd'
CLOUD_VHOST = '/'
PRIVATE_VHOST = 'virtdc'
PRIVATE_NAMES = r'^(virtdc|reply_|amq\.default$)'
"""What both sides use of it, as in the installation guide."""


class RabbitMQ:
    """A broker with a data folder, users and a name service of its own.

    ``openstack`` may use ``/`` only, ``virtdc`` may use ``virtdc`` only.
    """

    def __init__(
        self,
        supervisor: processes.Supervisor,
        free: ports.Ports,
        *,
        tls: certificates.Certificate | None = None,
    ) -> None:
        self._folder = supervisor.folder / 'rabbitmq'
        self._tls = tls
        self.port = free.take()
        self._passwords = {
            CLOUD_VHOST: secrets.token_urlsafe(16),
            PRIVATE_VHOST: secrets.token_urlsafe(16),
        }
        self._users = {CLOUD_VHOST: 'openstack', PRIVATE_VHOST: 'virtdc'}
        names = free.take()
        self.epmd = supervisor.service(
            processes.Program(
                name='epmd',
                argv=[_EPMD, '-address', '127.0.0.1', '-port', str(names)],
                rank=processes.Rank.NAMING,
            )
        )
        self.service = supervisor.service(
            processes.Program(
                name='rabbitmq',
                argv=[str(_SERVER)],
                environment=self._environment(free.take(), names),
                ready=self._is_ready,
                rank=processes.Rank.INFRASTRUCTURE,
            )
        )

    @property
    def cloud_url(self) -> str:
        """The ``transport_url`` of OpenStack's services."""
        return self._url(CLOUD_VHOST)

    @property
    def private_url(self) -> str:
        """The ``transport_url`` between agent, driver and listener."""
        return self._url(PRIVATE_VHOST)

    @property
    def client_sections(self) -> configuration.Sections:
        """What whoever connects needs beside an address."""
        if self._tls is None:
            return {}
        return {
            'oslo_messaging_rabbit': {
                'ssl': True,
                'ssl_ca_file': self._tls.path,
            }
        }

    def up(self) -> None:
        """Write the configuration, start, wait until both users get in.

        :raises LabError: RabbitMQ is not installed.
        """
        if not _SERVER.exists():
            raise errors.LabError(
                f'There is no {_SERVER}: install rabbitmq-server, or let '
                'tools/bootstrap do it.'
            )
        self._write_configuration()
        self.epmd.start()
        self.service.start()

    def consumers(self, queue: str, vhost: str = PRIVATE_VHOST) -> int:
        """Return how many consume a queue; 0 if it does not exist."""
        return self._counts(queue, vhost)[1]

    def messages(self, queue: str, vhost: str = PRIVATE_VHOST) -> int:
        """Return how many messages wait in a queue; 0 without it."""
        return self._counts(queue, vhost)[0]

    def _counts(self, queue: str, vhost: str) -> tuple[int, int]:
        try:
            with self._connect(vhost) as connection:
                found = connection.channel().queue_declare(
                    queue=queue, passive=True
                )
        except (OSError, amqp.exceptions.AMQPError):
            return 0, 0
        return int(found.message_count), int(found.consumer_count)

    def _url(self, vhost: str) -> str:
        path = '' if vhost == '/' else vhost
        return (
            f'rabbit://{self._users[vhost]}:{self._passwords[vhost]}'
            f'@127.0.0.1:{self.port}/{path}'
        )

    def _connect(self, vhost: str) -> amqp.Connection:
        return amqp.Connection(
            host=f'127.0.0.1:{self.port}',
            userid=self._users[vhost],
            password=self._passwords[vhost],
            virtual_host=vhost,
            ssl=self._tls
            and {
                'ca_certs': str(self._tls.path),
                'cert_reqs': ssl.CERT_REQUIRED,
                'server_hostname': '127.0.0.1',
            },
            connect_timeout=5,
            read_timeout=5,
            write_timeout=5,
        )

    def _is_ready(self) -> bool:
        try:
            for vhost in self._users:
                with self._connect(vhost):
                    pass
        except (OSError, amqp.exceptions.AMQPError):
            return False
        return True

    def _environment(self, distribution: int, names: int) -> dict[str, str]:
        return {
            'HOME': str(self._folder / 'home'),
            # Replaces the shell by the server instead of forking it.
            'RUNNING_UNDER_SYSTEMD': 'true',
            'ERL_EPMD_ADDRESS': '127.0.0.1',
            'ERL_EPMD_PORT': str(names),
            'RABBITMQ_SCRIPTS_DIR': str(self._folder / 'server' / 'sbin'),
            'RABBITMQ_NODENAME': 'virtdc@localhost',
            'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODE_PORT': str(self.port),
            'RABBITMQ_DIST_PORT': str(distribution),
            'RABBITMQ_MNESIA_BASE': str(self._folder / 'mnesia'),
            'RABBITMQ_LOG_BASE': str(self._folder / 'log'),
            'RABBITMQ_LOGS': '-',
            'RABBITMQ_PID_FILE': str(self._folder / 'rabbitmq.pid'),
            'RABBITMQ_CONF_ENV_FILE': str(self._folder / 'none.conf'),
            'RABBITMQ_CONFIG_FILE': str(self._folder / 'rabbitmq.conf'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(self._folder / 'plugins'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': (
                '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none '
                '-start_epmd false '
                '-kernel inet_dist_use_interface {127,0,0,1}'
            ),
        }

    def _write_configuration(self) -> None:
        for name in ('home', 'mnesia', 'log'):
            (self._folder / name).mkdir(parents=True, mode=0o700)
        lay_out(_SERVER.resolve().parents[1], self._folder / 'server')
        definitions = configuration.write(
            self._folder / 'definitions.json', json.dumps(self._definitions())
        )
        configuration.write(self._folder / 'plugins', '[].\n')
        configuration.write(
            self._folder / 'rabbitmq.conf',
            f'{self._listeners()}'
            'loopback_users = none\n'
            'vm_memory_high_watermark.absolute = 512MB\n'
            'disk_free_limit.absolute = 50MB\n'
            'log.console = true\n'
            'log.console.level = warning\n'
            f'load_definitions = {definitions}\n',
        )

    def _listeners(self) -> str:
        if self._tls is None:
            return f'listeners.tcp.1 = 127.0.0.1:{self.port}\n'
        return (
            'listeners.tcp = none\n'
            f'listeners.ssl.1 = 127.0.0.1:{self.port}\n'
            f'ssl_options.cacertfile = {self._tls.path}\n'
            f'ssl_options.certfile = {self._tls.path}\n'
            f'ssl_options.keyfile = {self._tls.key}\n'
            'ssl_options.versions.1 = tlsv1.3\n'
            'ssl_options.versions.2 = tlsv1.2\n'
        )

    def _definitions(self) -> dict[str, object]:
        return {
            'vhosts': [{'name': vhost} for vhost in self._users],
            'users': [
                {
                    'name': user,
                    'password_hash': password_hash(self._passwords[vhost]),
                    'hashing_algorithm': 'rabbit_password_hashing_sha256',
                    'tags': '',
                }
                for vhost, user in self._users.items()
            ],
            'permissions': [
                {
                    'user': user,
                    'vhost': vhost,
                    **dict.fromkeys(
                        ('configure', 'write', 'read'),
                        PRIVATE_NAMES if vhost == PRIVATE_VHOST else '.*',
                    ),
                }
                for vhost, user in self._users.items()
            ],
        }


def lay_out(home: Path, folder: Path) -> None:
    """Lay out an installation of RabbitMQ without its plugins, by links.

    Erlang looks for each of hundreds of modules in one folder after the
    other: without the fifty of plugins, the broker starts in half the time.
    """
    plugins = folder / 'plugins'
    plugins.mkdir(parents=True)
    for name in ('sbin', 'escript'):
        (folder / name).symlink_to(home / name)
    for path in (home / 'plugins').iterdir():
        if path.name.startswith('rabbitmq_prelaunch') or not (
            path.name.startswith('rabbitmq_')
        ):
            (plugins / path.name).symlink_to(path)


def password_hash(password: str, salt: bytes | None = None) -> str:
    """Return a password as RabbitMQ keeps it: salted SHA-256."""
    salt = salt or secrets.token_bytes(4)
    digest = hashlib.sha256(salt + password.encode()).digest()
    return base64.b64encode(salt + digest).decode()
