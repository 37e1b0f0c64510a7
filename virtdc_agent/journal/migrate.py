"""Brings a journal's schema to this version, and checks that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic import config
from alembic.runtime import migration
from alembic import script

from virtdc_agent import exceptions
from virtdc_agent.journal import engine as engines


def sync(engine: Any, version: str = 'head') -> None:
    """Bring the schema to a version. Idempotent.

    :raises JournalUnavailable: the database does not let it.
    :raises ConfigInvalid: the schema is of a newer version than the code.
    """
    refuse_unknown(engine)
    with engines.translated(engine.url), engine.connect() as connection:
        settings = _config()
        settings.attributes['connection'] = connection
        command.upgrade(settings, version)
        connection.commit()


def current(engine: Any) -> str | None:
    """Return the schema's version; ``None`` if there is none."""
    with engines.translated(engine.url), engine.connect() as connection:
        context = migration.MigrationContext.configure(connection)
        return context.get_current_revision()


def head() -> str:
    """Return the version that this code needs."""
    found = _scripts().get_current_head()
    if found is None:
        raise AssertionError('the package has no migrations')
    return found


def check(engine: Any) -> None:
    """Refuse a journal whose schema is not at head.

    :raises ConfigInvalid: it is not; says what to do.
    """
    refuse_unknown(engine)
    if current(engine) != head():
        raise exceptions.ConfigInvalid(
            'the journal '
            f'{engine.url.render_as_string(hide_password=True)} is not of '
            'this version: run "virtdc-manage db sync".'
        )


def refuse_unknown(engine: Any) -> None:
    """Refuse a schema of a version that is not known here.

    :raises ConfigInvalid: it is.
    """
    version = current(engine)
    known = {revision.revision for revision in _scripts().walk_revisions()}
    if version is not None and version not in known:
        raise exceptions.ConfigInvalid(
            f'the journal is of version {version}, which this version of '
            'the agent does not know: install the version that wrote it.'
        )


def _config() -> config.Config:
    settings = config.Config()
    settings.set_main_option(
        'script_location', str(Path(__file__).parent / 'migrations')
    )
    return settings


def _scripts() -> script.ScriptDirectory:
    return script.ScriptDirectory.from_config(_config())
