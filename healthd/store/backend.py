"""What differs between the databases: connecting, beginning a transaction, and what an error means."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import Connection, Engine

from healthd.store.base import Lead, StoreError


class Backend(Protocol):
    """One kind of database at one address. Blocking: called from the store's own threads only."""

    def claim(self) -> None:
        """Keep other daemons from this database until `release`, where it cannot be shared. StoreError: one has it."""

    def release(self) -> None:
        """Give up what `claim` took; harmless without."""

    def connect(self) -> Any:
        """A driver's own connection (DBAPI) for writing, set up for durable commits."""

    def begin(self, connection: Any) -> Any:
        """Begin a transaction on it; the cursor to write with."""

    def is_lost(self, connection: Any) -> bool:
        """Whether the connection is of no further use."""

    def placeholders(self, sql: str) -> str:
        """The statement with "?" as this driver wants it."""

    def engine(self, *, read_only: bool) -> Engine:
        """A new SQLAlchemy engine: pooled and for reading, or a single connection for migrations."""

    def lock_schema(self, connection: Connection) -> None:
        """Inside a transaction: wait until no other daemon creates or migrates this database."""

    def lead(self, connection: Any, holder: str, address: str, seconds: float) -> Lead:
        """One attempt to take or keep the lead, committed."""

    def resign(self, connection: Any, holder: str) -> None:
        """Let go of it, committed."""

    def fence(self, cursor: Any, holder: str, epoch: int) -> None:
        """Inside a transaction: StoreError unless the lead is this one's, and stays so until the transaction ends."""

    def explain(self, error: BaseException) -> StoreError:
        """What it means and what to do, without a password."""


def backend_for(url: str) -> Backend:
    """By the URL's scheme. StoreError says what a right one looks like."""
    scheme, colon, _ = url.partition(":")
    if colon and scheme == "sqlite":
        from healthd.store.sqlite import SqliteBackend

        return SqliteBackend(url)
    if colon and scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        from healthd.store.postgresql import PostgresBackend

        return PostgresBackend(url)
    raise StoreError(_wrong_scheme(url, scheme if colon else ""), transient=False)


def _wrong_scheme(url: str, scheme: str) -> str:
    if not url.strip():
        problem = "the database URL is empty"
    elif url.startswith(("/", "./", "~")) or (not scheme and url.endswith((".db", ".sqlite", ".sqlite3"))):
        return f"the database URL is a bare path: write sqlite:///{url}"
    elif scheme.isidentifier() or "+" in scheme:
        problem = f"the database URL begins with {scheme}:, which is not supported"
    else:
        problem = "the database URL has no scheme"
    return f"{problem}: write sqlite:///file.db, sqlite:////folder/file.db or postgresql://user:password@host:5432/name"
