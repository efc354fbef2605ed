"""The shared database: PostgreSQL through psycopg 3, which is imported when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, text

from healthd.model.redact import MASK
from healthd.store.base import Lead, StoreError

SHAPE = (
    "write postgresql://user:password@host:5432/name, special characters in the password percent-encoded"
    " (@ as %40, / as %2F, # as %23)"
)
# a server that vanished is noticed within half a minute; anything given in the URL comes first
_DEFAULTS = {
    "connect_timeout": "5",
    "application_name": "healthd",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
_SESSION = (
    "SELECT set_config('lock_timeout', '10s', false), set_config('statement_timeout', '30s', false),"
    # durable on return, even where the server's default says otherwise
    " set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'"
    " ELSE current_setting('synchronous_commit') END, false)"
)
# A process that is stopped in the middle of a transaction must not keep others from taking the lead.
_FENCED = "SELECT set_config('idle_in_transaction_session_timeout', '4s', false)"
_PATIENT = "SELECT set_config('idle_in_transaction_session_timeout', '0', false)"  # readers hold up nobody
_LEAD = """
INSERT INTO healthd_lease AS held (name, holder, address, epoch, expires_at)
VALUES ('leader', %(holder)s, %(address)s, 1, clock_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (name) DO UPDATE SET
  holder = excluded.holder, address = excluded.address, expires_at = excluded.expires_at,
  epoch = held.epoch + CASE WHEN held.holder = excluded.holder THEN 0 ELSE 1 END
WHERE held.holder = excluded.holder OR held.expires_at < clock_timestamp()
RETURNING holder, address, epoch
"""
_LEADER = "SELECT holder, address, epoch FROM healthd_lease WHERE name = 'leader'"
_RESIGN = "UPDATE healthd_lease SET expires_at = '-infinity' WHERE name = 'leader' AND holder = %s"
_IS_LEADER = "SELECT 1 FROM healthd_lease WHERE name = 'leader' AND holder = %s AND epoch = %s FOR SHARE"
# Of a leader that was cut off in the middle of a message the server waits for the rest, and its transaction for ever:
# no timeout of the server covers that (transaction_timeout does, from version 17). Readers hold no such lock.
_END_FORMER = """
SELECT count(pg_terminate_backend(held.pid)) FROM pg_locks held JOIN healthd_lease ON expires_at < clock_timestamp()
WHERE held.locktype = 'relation' AND held.relation = 'healthd_lease'::regclass AND held.mode = 'RowShareLock'
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND held.granted AND held.pid <> pg_backend_pid()
"""
_PATIENCE = 4  # of how long a lead lasts, the part to wait for a transaction before it
_SCHEMA_LOCK = 0x6865616C746864  # "healthd"

# words of the server or of libpq, what to do, whether it may pass by itself
_CONNECT_FAILURES = (
    ("password authentication failed", "check user and password", False),
    ("no password supplied", "the URL holds no password and the server wants one", False),
    ("no pg_hba.conf entry", "the server does not admit this user from here: see its pg_hba.conf", False),
    ('role "', "check the user, or create it", False),
    ('database "', "check the name, or create it: CREATE DATABASE", False),
    ("server does not support SSL", "the server has no TLS: leave out sslmode or set it to prefer", False),
    ("certificate", "check sslmode and sslrootcert", False),
    ("the database system is", "it is starting, stopping or recovering: wait", True),
    ("too many clients", "raise max_connections or close other clients", True),
    ("remaining connection slots", "raise max_connections or close other clients", True),
    ("Connection refused", "check host and port, and whether the server runs", True),
    ("could not translate host name", "the host name does not resolve: check it and the DNS", True),
    ("resolve host", "the host name does not resolve: check it and the DNS", True),
    ("name or service not known", "the host name does not resolve: check it and the DNS", True),
    ("timeout", "nothing answers there: check host, port and firewall", True),
)
# SQLSTATE (PostgreSQL documentation, appendix A), or its class: what happened and what to do, whether it may pass
_STATES = {
    "53100": ("the server's disk is full: make room there", True),
    "53": ("the server is short of resources", True),
    "25006": ("the server is read-only (a standby?): give the address of the primary", True),
    "42501": ("this user may not do that: GRANT it, for the first start also CREATE ON SCHEMA public", False),
    "57014": ("the server did not finish within 30 s", True),
    "55P03": ("another session holds a lock for too long", True),
    "40": ("it conflicts with another session", True),
    "57P": ("the server is shutting down or restarting", True),
    "58": ("the server has an I/O error: see its log", True),
    "08": ("the connection broke", True),
}


class PostgresBackend:
    """postgresql://user:password@host:port/name; whatever libpq takes after a question mark works too."""

    def __init__(self, url: str) -> None:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        plain = "postgresql:" + url.partition(":")[2]
        try:
            given = conninfo_to_dict(plain)
        except psycopg.Error:  # its words quote parts of the URL, of the password too
            raise StoreError(f"the database URL cannot be read: {SHAPE}", transient=False) from None
        if not plain.startswith("postgresql://"):
            raise StoreError(f"the database URL is not complete: {SHAPE}", transient=False)
        self._parameters: dict[str, Any] = {**_DEFAULTS, **given}
        self._secrets = _secrets(given)
        host, port = given.get("host") or "the local socket", given.get("port") or 5432
        self._where = f"PostgreSQL at {host}:{port}" + (f", database {given['dbname']}" if given.get("dbname") else "")

    @property
    def parameters(self) -> Mapping[str, Any]:
        """For libpq, the password among them."""
        return self._parameters

    def claim(self) -> None:
        """A server is there to be shared."""

    def release(self) -> None:
        """Nothing was taken."""

    def connect(self) -> Any:
        """psycopg begins a transaction by itself at the first statement; the settings come before any."""
        import psycopg

        connection = psycopg.connect(**self._parameters, autocommit=True)
        try:
            connection.execute(_SESSION)
            connection.execute(_FENCED)
        except psycopg.Error:
            connection.close()
            raise
        connection.autocommit = False
        return connection

    def begin(self, connection: Any) -> Any:
        """Nothing to do before the first statement."""
        return connection.cursor()

    def is_lost(self, connection: Any) -> bool:
        """Closed by us, by the server or by the network."""
        return bool(connection.closed)

    def placeholders(self, sql: str) -> str:
        """psycopg's are %s."""
        return sql.replace("?", "%s")

    def engine(self, *, read_only: bool) -> Engine:
        """Pooled connections are tried before use, so that a restarted server costs nobody an error."""
        if read_only:
            return create_engine(
                "postgresql+psycopg://",
                creator=self._connect_reader,
                poolclass=QueuePool,
                pool_size=2,
                pool_pre_ping=True,
            )
        return create_engine("postgresql+psycopg://", creator=self._connect_migrator, poolclass=NullPool)

    def _connect_reader(self) -> Any:
        connection = self.connect()
        connection.execute(_PATIENT)
        connection.commit()
        connection.read_only = True
        return connection

    def _connect_migrator(self) -> Any:
        connection = self.connect()
        connection.execute(_PATIENT)
        connection.execute("SELECT set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false)")
        connection.commit()
        return connection

    def lock_schema(self, connection: Connection) -> None:
        """Released by the end of the transaction."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})

    def lead(self, connection: Any, holder: str, address: str, seconds: float) -> Lead:
        """By a row with an end: a holder that is stopped, or cut off, cannot keep it. Times are the server's. What such
        a holder has left open in the server is ended once its time is over."""
        import psycopg

        given = {"holder": holder, "address": address, "seconds": seconds}
        if not connection.autocommit:  # each statement by itself: a process stopped between two holds no lock
            connection.autocommit = True
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{seconds * 1000 / _PATIENCE:.0f}ms",))
        try:
            row = connection.execute(_LEAD, given).fetchone()
        except psycopg.errors.LockNotAvailable:
            if not connection.execute(_END_FORMER).fetchone()[0]:
                raise
            row = connection.execute(_LEAD, given).fetchone()
        leader, where, epoch = row or connection.execute(_LEADER).fetchone()
        return Lead(leader, where, epoch, mine=leader == holder)

    def resign(self, connection: Any, holder: str) -> None:
        """Let it end now."""
        connection.execute(_RESIGN, (holder,))
        if not connection.autocommit:
            connection.commit()

    def fence(self, cursor: Any, holder: str, epoch: int) -> None:
        """The row stays as it is until the transaction ends: who wants the lead waits that long."""
        if cursor.execute(_IS_LEADER, (holder, epoch)).fetchone() is None:
            raise StoreError("another replica of healthd leads: this one writes nothing any more", transient=False)

    def explain(self, error: BaseException) -> StoreError:
        """By SQLSTATE where the server gave one, by words where there was no server to give one."""
        import psycopg

        words = self._clean(str(error))
        state = getattr(error, "sqlstate", None) or ""
        for length in (5, 3, 2):
            if state[:length] in _STATES:
                meaning, transient = _STATES[state[:length]]
                return StoreError(f"{self._where}: {meaning} ({words})", transient=transient)
        if isinstance(error, psycopg.OperationalError):
            for sign, meaning, transient in _CONNECT_FAILURES:
                if sign.lower() in words.lower():
                    return StoreError(f"{self._where}: {meaning} ({words})", transient=transient)
            return StoreError(f"{self._where}: the connection failed or broke ({words})")
        return StoreError(f"{self._where} did not take it: {words}", transient=False)

    def _clean(self, words: str) -> str:
        for secret in self._secrets:
            words = words.replace(secret, MASK)
        return " ".join(words.split())


def _secrets(parameters: dict[str, Any]) -> tuple[str, ...]:
    values = {str(parameters[key]) for key in ("password", "sslpassword") if parameters.get(key)}
    return tuple(sorted(values | {unquote(v) for v in values}, key=len, reverse=True))
