"""The engine's way to the database, which says when it broke. To be imported only where the engine is installed.

The engine's worker looks after its own heartbeat and listener only until the first of what runs beside its jobs ends;
without periodic jobs that is at once, and it would work on with neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import psycopg
from procrastinate import PsycopgConnector
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException


class WatchedConnector(PsycopgConnector):
    """`broken` is set when a connection was lost, or there was none to be had."""

    def __init__(self, broken: asyncio.Event) -> None:
        super().__init__()
        self._broken = broken

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """As the engine's; it ends only with the connection, or by being cancelled."""
        try:
            await super().listen_notify(on_notification, channels)
        except Exception:
            self._broken.set()
            raise

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        """As the engine's, which writes so how jobs ended and that it is alive. That a job is gone meanwhile is no
        mistake; nor is a lost connection, for then all of it is begun anew."""
        try:
            await super().execute_query_async(query, **arguments)
        except ConnectorException as error:
            if isinstance(error.__cause__, psycopg.OperationalError):
                self._broken.set()
            elif not isinstance(error.__cause__, psycopg.errors.RaiseException):
                raise
