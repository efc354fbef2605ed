"""PostgreSQL: whether it answers, how full it is, how it fares inside, and what a query says."""

from healthd.probes.postgres.activity import PostgresActivityProbe
from healthd.probes.postgres.archiver import PostgresArchiverProbe
from healthd.probes.postgres.connections import PostgresConnectionsProbe
from healthd.probes.postgres.locks import PostgresLocksProbe
from healthd.probes.postgres.query import PostgresQueryProbe
from healthd.probes.postgres.replication import PostgresReplicationProbe
from healthd.probes.postgres.roles import PostgresRolesProbe
from healthd.probes.postgres.server import PostgresProbe
from healthd.probes.postgres.settings import PostgresSettingsProbe
from healthd.probes.postgres.size import PostgresSizeProbe
from healthd.probes.postgres.statements import PostgresStatementsProbe
from healthd.probes.postgres.tables import PostgresTablesProbe

__all__ = [
    "PostgresActivityProbe",
    "PostgresArchiverProbe",
    "PostgresConnectionsProbe",
    "PostgresLocksProbe",
    "PostgresProbe",
    "PostgresQueryProbe",
    "PostgresReplicationProbe",
    "PostgresRolesProbe",
    "PostgresSettingsProbe",
    "PostgresSizeProbe",
    "PostgresStatementsProbe",
    "PostgresTablesProbe",
]
