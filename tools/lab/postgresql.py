"""PostgreSQL: a server on a Unix socket, with one database and user."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
import pwd
import re
import secrets
import shutil
import subprocess

from tools.lab import configuration
from tools.lab import errors
from tools.lab import processes

_PLACES = Path('/usr/lib/postgresql')
_UNPRIVILEGED = 'postgres'
"""Debian's user for it: the server refuses to run as root."""
_PORT = 5432
"""Part of the socket's name only."""


def find_programs() -> Path | None:
    """Return the folder of the newest server's programs, if there is one."""
    versions = [
        place
        for place in _PLACES.glob('*/bin')
        if re.fullmatch(r'\d+', place.parent.name)
        and (place / 'initdb').exists()
    ]
    found = sorted(versions, key=lambda place: int(place.parent.name))
    if found:
        return found[-1]
    program = shutil.which('initdb')
    return None if program is None else Path(program).parent


class PostgreSQL:
    """A durable server; its data are lost with the folder.

    :param database: the name of the database and of its user.
    """

    def __init__(
        self, supervisor: processes.Supervisor, database: str = 'virtdc'
    ) -> None:
        programs = find_programs()
        if programs is None:
            raise errors.LabError(
                'PostgreSQL is not installed: apt-get install postgresql'
            )
        self._programs = programs
        self._supervisor = supervisor
        self._folder = supervisor.folder / 'postgresql'
        self._database = database
        self._password = secrets.token_urlsafe(16)
        self.service = supervisor.service(
            processes.Program(
                name='postgresql',
                argv=[
                    *self._as_user(),
                    str(programs / 'postgres'),
                    *('-D', str(self._folder / 'data')),
                    *('-k', str(self._folder)),
                    *('-p', str(_PORT)),
                    *('-c', 'listen_addresses='),
                    *('-c', 'max_connections=500'),
                ],
                ready=self._is_ready,
                rank=processes.Rank.INFRASTRUCTURE,
            )
        )

    @property
    def url(self) -> str:
        """The SQLAlchemy address of the database."""
        return (
            f'postgresql+psycopg2://{self._database}:{self._password}@/'
            f'{self._database}?host={self._folder}&port={_PORT}'
        )

    def up(self) -> None:
        """Make the data folder, start, make database and user."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = self._folder / 'secret'
        configuration.write(secret, self._password + '\n')
        if os.geteuid() == 0:
            user = pwd.getpwnam(_UNPRIVILEGED)
            for path in (self._folder, secret):
                os.chown(path, user.pw_uid, user.pw_gid)
            self._let_pass()
        self._supervisor.run(
            'postgresql-initdb',
            [
                *self._as_user(),
                str(self._programs / 'initdb'),
                *('-D', str(self._folder / 'data')),
                *('-U', self._database),
                *('--pwfile', str(secret)),
                *('-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C.UTF-8'),
            ],
        )
        secret.unlink()
        self.service.start()
        self._supervisor.run(
            'postgresql-createdb',
            [
                str(self._programs / 'psql'),
                *('-v', 'ON_ERROR_STOP=1', '-q'),
                *('-d', self._conninfo('postgres')),
                *('-c', f'CREATE DATABASE {self._database}'),
            ],
            environment={'PGPASSWORD': self._password},
        )

    def _conninfo(self, database: str) -> str:
        return (
            f'host={self._folder} port={_PORT} dbname={database} '
            f'user={self._database}'
        )

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return [
            *('setpriv', f'--reuid={_UNPRIVILEGED}'),
            *(f'--regid={_UNPRIVILEGED}', '--clear-groups', '--'),
        ]

    def _let_pass(self) -> None:
        """Let the server's user walk through the folders above its own."""
        for place in self._folder.parents:
            mode = place.stat().st_mode
            if place.owner() == getpass.getuser() and not mode & 0o001:
                place.chmod(mode & 0o7777 | 0o001)

    def _is_ready(self) -> bool:
        done = subprocess.run(
            [
                str(self._programs / 'pg_isready'),
                *('-q', '-h', str(self._folder), '-p', str(_PORT)),
            ],
            check=False,
        )
        return done.returncode == 0
