"""Bringing a database to the schema this version knows: creating it, or running the scripts in migrations/versions.

Alembic is imported only when there is something to migrate: it costs more than everything else at the start.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, select

from healthd.store.backend import Backend
from healthd.store.base import StoreError
from healthd.store.schema import HEAD, VERSION_TABLE, metadata
from healthd.store.schema import version as version_table

SCRIPTS = Path(__file__).parent / "migrations"


def bring_up_to_date(backend: Backend) -> None:
    """Create or migrate, one daemon at a time, all of it or nothing. Refuses the database of a newer healthd."""
    engine = backend.engine(read_only=False)
    try:
        with engine.connect() as connection:
            if stored_version(connection) == HEAD:
                return
            connection.rollback()
            backend.lock_schema(connection)
            version = stored_version(connection)  # another daemon may have been faster
            if version is None:
                _create(connection)
            elif version != HEAD:
                _upgrade(connection, version)
            connection.commit()
    finally:
        engine.dispose()


def stored_version(connection: Connection) -> str | None:
    """None: healthd has never been here."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(select(version_table.c.version_num))


def _create(connection: Connection) -> None:
    metadata.create_all(connection)
    version_table.create(connection)
    connection.execute(version_table.insert().values(version_num=HEAD))


def _upgrade(connection: Connection, version: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version not in known:
        raise StoreError(
            f"the database was written by a newer healthd (schema {version}, this one knows up to {HEAD}):"
            " run that version, or restore the backup made before it",
            transient=False,
        )
    command.upgrade(config, "head")
