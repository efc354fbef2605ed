"""The record room: everything a run produces, durable before anybody is told.

`base` holds the protocol; `SqlStore` (imported on first use, it brings SQLAlchemy) keeps it in SQLite or PostgreSQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from healthd.store.sqlstore import SqlStore

__all__ = ["SqlStore"]


def __getattr__(name: str) -> Any:
    if name == "SqlStore":
        from healthd.store.sqlstore import SqlStore

        return SqlStore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
