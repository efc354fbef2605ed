"""PostgreSQL: whether it answers, how full it is, and what a query says."""

from healthd.probes.postgres.connections import PostgresConnectionsProbe
from healthd.probes.postgres.query import PostgresQueryProbe
from healthd.probes.postgres.server import PostgresProbe

__all__ = ["PostgresConnectionsProbe", "PostgresProbe", "PostgresQueryProbe"]
