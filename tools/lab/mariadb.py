"""MariaDB: a database for each service of OpenStack."""

from __future__ import annotations

from collections.abc import Iterable
import getpass
from pathlib import Path
import secrets
import socket

from tools.lab import configuration
from tools.lab import processes


class MariaDB:
    """A server on a Unix socket, with one database and user per name.

    :param durable: have commits on disk when they return; a lab's cloud does
        not need that, and is faster without.
    """

    def __init__(
        self,
        supervisor: processes.Supervisor,
        databases: Iterable[str],
        *,
        durable: bool = False,
    ) -> None:
        self._supervisor = supervisor
        self._folder = supervisor.folder / 'mariadb'
        self.socket = self._folder / 'socket'
        self._passwords = {
            name: secrets.token_urlsafe(16) for name in databases
        }
        self.service = supervisor.service(
            processes.Program(
                name='mariadb',
                argv=[
                    'mariadbd',
                    '--no-defaults',
                    f'--user={getpass.getuser()}',
                    f'--datadir={self._folder / "data"}',
                    f'--socket={self.socket}',
                    f'--init-file={self._folder / "init.sql"}',
                    '--skip-networking',
                    '--skip-log-bin',
                    # Every service has a pool of 50.
                    '--max-connections=1000',
                    f'--innodb-flush-log-at-trx-commit={int(durable)}',
                    '--performance-schema=OFF',
                ],
                ready=self._is_ready,
                rank=processes.Rank.INFRASTRUCTURE,
            )
        )

    def url(self, database: str) -> str:
        """Return the SQLAlchemy address of a database.

        ``ssl_disabled`` is not for speed alone: without it PyMySQL loads
        all certificates of the machine for each connection.
        """
        return (
            f'mysql+pymysql://{database}:{self._passwords[database]}'
            f'@localhost/{database}?unix_socket={self.socket}&ssl_disabled=1'
        )

    def options(self, database: str) -> configuration.Options:
        """Return the section ``[database]`` of a service."""
        return {'connection': self.url(database), 'max_pool_size': 50}

    def up(self) -> None:
        """Make the data folder, start, make databases and users."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._supervisor.run(
            'mariadb-install',
            [
                'mariadb-install-db',
                '--no-defaults',
                f'--user={getpass.getuser()}',
                f'--datadir={self._folder / "data"}',
                '--auth-root-authentication-method=normal',
                '--skip-test-db',
            ],
        )
        configuration.write(self._folder / 'init.sql', self._statements())
        self.service.start()

    def _statements(self) -> str:
        # Carried out before the first connection, and at each start anew.
        lines = [
            "ALTER USER 'root'@'localhost' IDENTIFIED BY "
            f"'{secrets.token_urlsafe(16)}';"
        ]
        for name, password in self._passwords.items():
            lines += [
                f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8;',
                f"CREATE USER IF NOT EXISTS '{name}'@'localhost' "
                f"IDENTIFIED BY '{password}';",
                f"GRANT ALL ON {name}.* TO '{name}'@'localhost';",
            ]
        return '\n'.join(lines) + '\n'

    def _is_ready(self) -> bool:
        return answers(self.socket)


def answers(path: Path) -> bool:
    """Say whether something listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
            return bool(probe.recv(1))
        except OSError:
            return False
