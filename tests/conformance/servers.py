"""Database servers for the rules of journals, started once a process."""

from __future__ import annotations

import atexit
from collections.abc import Callable
import functools
import os
from pathlib import Path
import shutil
import tempfile
import unittest
import uuid

from tools.lab import errors
from tools.lab import mariadb
from tools.lab import postgresql
from tools.lab import processes

DATABASE = 'virtdc'


def _start(make: Callable[[processes.Supervisor], str]) -> str:
    folder = Path(tempfile.mkdtemp(prefix='virtdc-database-'))
    supervisor = processes.Supervisor(folder, uuid.uuid4().hex)

    def stop() -> None:
        processes.end(processes.read_records(supervisor.pid_folder))
        supervisor.reap()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    try:
        return make(supervisor)
    except errors.LabError as exc:
        if os.environ.get('VIRTDC_REQUIRE_SERVICES'):
            raise
        raise unittest.SkipTest(str(exc).splitlines()[0]) from exc


@functools.cache
def postgresql_url() -> str:
    """Return the address of an empty database in PostgreSQL."""

    def make(supervisor: processes.Supervisor) -> str:
        server = postgresql.PostgreSQL(supervisor, DATABASE)
        server.up()
        return server.url

    return _start(make)


@functools.cache
def mariadb_url() -> str:
    """Return the address of an empty database in MariaDB."""

    def make(supervisor: processes.Supervisor) -> str:
        server = mariadb.MariaDB(supervisor, [DATABASE], durable=True)
        server.up()
        return server.url(DATABASE)

    return _start(make)
