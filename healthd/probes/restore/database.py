"""A scratch database on a server that is given: made by us, marked as ours, and the only one ever dropped.

Two fences. This side drops a database only when its name, its comment and (but for leftovers) its oid say that this
object made it. The server's side: the role must not be able to touch any other database, or nothing is begun.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from healthd.probes.base import ProbeError
from healthd.probes.blocking import Stop
from healthd.probes.postgres.dsn import parse_dsn
from healthd.probes.postgres.errors import explain_login

__all__ = ["ScratchDatabase"]

_NAME = re.compile(r"healthd_restore_[0-9a-f]{12}")
_MARK = re.compile(r"healthd restore drill, made (?P<made>\S+), token (?P<token>[0-9a-f]{32})")
_CONNECT_TIMEOUT = 10  # seconds
_STATEMENT_TIMEOUT = 120_000  # milliseconds
_ROLE = """
SELECT r.rolname, r.rolsuper, r.rolcreatedb, r.rolcreaterole OR r.rolreplication,
       (SELECT string_agg(d.datname, ', ' ORDER BY d.datname) FROM pg_database d
         WHERE pg_has_role(d.datdba, 'MEMBER') AND d.datname !~ '^healthd_restore_[0-9a-f]{12}$')
  FROM pg_roles r WHERE r.rolname = current_user
"""
_OURS = """
SELECT oid, datname, shobj_description(oid, 'pg_database') FROM pg_database
 WHERE datname ~ '^healthd_restore_[0-9a-f]{12}$' AND pg_has_role(datdba, 'MEMBER')
"""


class ScratchDatabase:
    """Made for one drill. Its methods block."""

    user: str | None = None  # the restoring programs run as healthd itself

    def __init__(self, url: str, made: datetime, leftovers_after: timedelta) -> None:
        self._target = parse_dsn(url)
        self._after, self._now = leftovers_after, made
        self._name = f"healthd_restore_{secrets.token_hex(6)}"
        self._mark = f"healthd restore drill, made {made.isoformat()}, token {secrets.token_hex(16)}"
        self._oid: int | None = None  # once it has been made
        self.leftovers = 0

    @property
    def conninfo(self) -> dict[str, str]:
        """How to connect to the database that the backup goes into: holds the password."""
        return self._target.conninfo | {"dbname": self._name}

    @property
    def label(self) -> str:
        """The server, for people."""
        return self._target.label

    def create(self, stop: Stop) -> None:
        """Make it, after looking whether the role can do no harm. Raises ProbeError."""
        import psycopg

        with self._connect() as connection:
            self._check_role(connection)
            self.leftovers = self._drop_leftovers(connection)
            try:
                connection.execute(f"CREATE DATABASE {self._name} TEMPLATE template0 ENCODING 'UTF8'")
                connection.execute(f"COMMENT ON DATABASE {self._name} IS '{self._mark}'")
                row = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", [self._name]).fetchone()
            except psycopg.Error as error:
                raise ProbeError(f"{self.label}: {error}", "forbidden") from None
            self._oid = row[0]

    def out_of_room(self) -> bool:
        """Its log is not ours to read."""
        return False

    def last_words(self) -> str:
        """Likewise."""
        return ""

    def drop(self) -> None:
        """Drop what `create` made, and nothing else. Raises ProbeError when it cannot be dropped."""
        import psycopg

        if self._oid is None:
            return
        with self._connect() as connection:
            found = {oid: (name, mark) for oid, name, mark in connection.execute(_OURS)}
            if found.get(self._oid) != (self._name, self._mark):
                return  # gone, or no longer what we made
            try:
                self._drop(connection, self._name)
            except psycopg.Error as error:
                raise ProbeError(f"{self.label}: {self._name} cannot be dropped: {error}", "error") from None
        self._oid = None

    def _drop_leftovers(self, connection: Any) -> int:
        """Drop databases of drills that were killed; how many there were, with those that bear no mark."""
        old = 0
        for _, name, mark in connection.execute(_OURS).fetchall():
            found = _MARK.fullmatch(mark or "")
            if found is None:
                old += 1  # killed before it was marked, or not ours: a person has to look
            elif self._now - datetime.fromisoformat(found["made"]) >= self._after:
                old += 1
                self._drop(connection, name)
        return old

    def _drop(self, connection: Any, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name} is not the name of a scratch database")
        force = " WITH (FORCE)" if connection.info.server_version >= 130000 else ""
        connection.execute(f"DROP DATABASE IF EXISTS {name}{force}")

    def _check_role(self, connection: Any) -> None:
        role, superuser, creates, manages, others = connection.execute(_ROLE).fetchone()
        if superuser or manages:
            what = "a superuser" if superuser else "allowed to manage roles or replication"
            raise ProbeError(
                f"the role {role} on {self.label} is {what}: a dump restored by it could change other databases;"
                " give a role that has CREATEDB and nothing else",
                "config",
            )
        if not creates:
            raise ProbeError(f"forbidden: the role {role} on {self.label} needs CREATEDB", "forbidden")
        if others:
            raise ProbeError(
                f"the role {role} on {self.label} owns other databases ({others[:200]}): a dump restored by it could"
                " drop them; give a role of its own",
                "config",
            )

    def _connect(self) -> Any:
        import psycopg

        own = {"autocommit": True, "application_name": "healthd restore drill", "connect_timeout": _CONNECT_TIMEOUT}
        try:
            connection = psycopg.connect(**{**self._target.conninfo, **own})  # type: ignore[arg-type]
            connection.execute(f"SET statement_timeout = {_STATEMENT_TIMEOUT}")
            return connection
        except psycopg.Error as error:
            raise explain_login(error, self.label) from None
