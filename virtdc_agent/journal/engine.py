"""Connections to the journal's database, and what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Any

from oslo_db import exception as db_exception
from oslo_db.sqlalchemy import engines
import sqlalchemy as sa
from sqlalchemy import event

from virtdc_agent import exceptions

BUSY_TIMEOUT_S = 10.0
MAX_CONNECTIONS = 100
"""More than threads that may ask at once: they do not wait for each other."""

_SERVER_TIME = {
    'postgresql': 'extract(epoch from clock_timestamp())',
    'mysql': 'unix_timestamp(sysdate(6))',
    'mariadb': 'unix_timestamp(sysdate(6))',
}


def make_engine(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Any:
    """Return an engine for the journal.

    A commit is on disk when it returns.

    :param busy_timeout_s: how long another process's lock is waited for.
    :raises JournalUnavailable: the database cannot be opened.
    """
    with translated(url):
        if sa.make_url(url).get_backend_name() == 'sqlite':
            engine = engines.create_engine(url, max_retries=0)
            _prepare_sqlite(engine, busy_timeout_s)
            return engine
        engine = engines.create_engine(
            url,
            max_retries=0,
            max_pool_size=MAX_CONNECTIONS,
            max_overflow=0,
            connection_parameters=_parameters(url),
            mysql_sql_mode='TRADITIONAL',
        )
        # Each statement sees what was committed before it. MySQL's default
        # is what was committed before the transaction's first, which is
        # before it got the lock that makes it the only writer.
        return engine.execution_options(isolation_level='READ COMMITTED')


def is_shared(engine: Any) -> bool:
    """Say whether several agents may use a database."""
    return engine.dialect.name in _SERVER_TIME


def server_time(engine: Any) -> Any | None:
    """Return an expression for the database's time, in seconds since 1970.

    Several agents agree on no other. ``None``: the database has no clock but
    the machine's.
    """
    expression = _SERVER_TIME.get(engine.dialect.name)
    return None if expression is None else sa.literal_column(expression)


@contextlib.contextmanager
def translated(url: object) -> Iterator[None]:
    """Raise ``JournalUnavailable`` for whatever the database says."""
    try:
        yield
    except (db_exception.DBError, sa.exc.SQLAlchemyError) as exc:
        shown = sa.make_url(str(url)).render_as_string(hide_password=True)
        raise exceptions.JournalUnavailable(
            f'the journal {shown} does not answer as it should '
            f'({_first_line(exc)}).'
        ) from exc


def for_reading(engine: Any) -> Any:
    """Return an engine for questions, which shares the other's connections.

    On servers no transactions are begun and ended for them: that would be
    two more messages each, and isolate them no better.
    """
    if not is_shared(engine):
        return engine
    return engine.execution_options(isolation_level='AUTOCOMMIT')


@contextlib.contextmanager
def reading(connection: Any) -> Iterator[None]:
    """Begin what belongs together, and end it."""
    with connection.begin():
        yield


@contextlib.contextmanager
def asking(connection: Any) -> Iterator[None]:
    """Begin and end one question, which is its own transaction."""
    if connection.dialect.name == 'sqlite':
        # oslo.db is not to begin one: see ``writing``.
        connection.info['in_transaction'] = True
    with connection.begin():
        yield


@contextlib.contextmanager
def writing(connection: Any) -> Iterator[None]:
    """Begin a transaction that writes; commit it at the end.

    On SQLite it takes the write lock at once: to take it later, after it has
    read, can fail half-way.
    """
    immediate = connection.dialect.name == 'sqlite'
    if immediate:
        # oslo.db begins every transaction on SQLite itself, deferred, unless
        # this mark says that it has begun; it takes the mark away at the end.
        connection.info['in_transaction'] = True
    with connection.begin():
        if immediate:
            connection.exec_driver_sql('BEGIN IMMEDIATE')
        yield


def _parameters(url: str) -> str:
    """Return what is added to an address."""
    made = sa.make_url(url)
    if made.get_backend_name() in ('mysql', 'mariadb'):
        # The default, utf8, has no characters beyond 16 bits there.
        return '' if 'charset' in made.query else 'charset=utf8mb4'
    return ''


def _first_line(exc: Exception) -> str:
    cause = exc.__cause__ or exc
    original = getattr(cause, 'orig', None) or cause
    return str(original).strip().splitlines()[0] if str(original) else 'error'


def _prepare_sqlite(engine: Any, busy_timeout_s: float) -> None:
    @event.listens_for(engine, 'connect')
    def on_connect(connection: Any, record: Any) -> None:
        # A write-ahead log lets readers go on beside the writer; FULL has
        # every commit on disk before it returns, which NORMAL has not.
        connection.execute(
            f'PRAGMA busy_timeout = {round(busy_timeout_s * 1000)}'
        )
        connection.execute('PRAGMA journal_mode = WAL')
        connection.execute('PRAGMA synchronous = FULL')
