"""RDS and ElastiCache: instances, their snapshots and logs, and how they are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from healthd.sandbox.parts.aws.account import Aws

_MINUTES_TO_RESTORABLE = 4


class Databases:
    """The database instances of an account."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def create(
        self, instance: str, *, retention: int = 7, gigabytes: int = 100, replica_regions: int = 0, **settings: Any
    ) -> None:
        """Make a PostgreSQL instance that is well; `settings` as create_db_instance has them.

        `retention`: days its backups are kept, `replica_regions`: how many other regions they are copied to.
        """
        defaults = {
            "Engine": "postgres", "DBInstanceClass": "db.r6g.large", "MasterUsername": "root",
            "MasterUserPassword": "not-for-humans", "StorageEncrypted": True, "DeletionProtection": True,
            "MultiAZ": True, "PubliclyAccessible": False,
        }  # fmt: skip
        await self._aws.call(
            "rds.create_db_instance",
            DBInstanceIdentifier=instance,
            AllocatedStorage=gigabytes,
            BackupRetentionPeriod=retention,
            **{**defaults, **settings},
        )
        arn = "arn:aws:rds:eu-west-1:123456789012:auto-backup:ab-copy"
        copies = [{"DBInstanceAutomatedBackupsArn": arn}] * replica_regions
        await self.change(instance, DBInstanceAutomatedBackupsReplications=copies)
        await self.restorable(instance, timedelta(minutes=_MINUTES_TO_RESTORABLE))

    async def change(self, instance: str, **fields: Any) -> None:
        """Set fields of its description, such as DBInstanceStatus="storage-full" or BackupRetentionPeriod=0."""
        await self._aws.alter("rds", "DescribeDBInstances", {"DBInstanceIdentifier": instance}, **fields)

    async def restorable(self, instance: str, ago: timedelta) -> None:
        """How far back the newest moment is, and stays, that can be restored."""
        await self.change(instance, LatestRestorableTime={"ago": ago.total_seconds()})

    async def snapshots(self, instance: str, days: int, *, newest: timedelta = timedelta(hours=5)) -> None:
        """Automated snapshots, one a day, the newest of that age. They stay as old as they are."""
        ages = [(newest + timedelta(days=day)).total_seconds() for day in range(days)]
        await self._aws.stage("snapshots", "put", instance=instance, ages=ages)

    async def log(self, instance: str, name: str, text: str, ago: timedelta = timedelta(minutes=1)) -> None:
        """Write a log file of an instance; "{now}" in it is the time it was last written, which is `ago`."""
        given = {"instance": instance, "name": name, "text": text, "ago": ago.total_seconds()}
        await self._aws.stage("database_logs", "put", **given)


class Caches:
    """The replication groups of ElastiCache."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def create(self, group: str, *, nodes: int = 2, retention: int = 7) -> None:
        """Make a replication group of Redis with that many nodes, that is well."""
        await self._aws.call(
            "elasticache.create_replication_group",
            ReplicationGroupId=group,
            ReplicationGroupDescription=group,
            Engine="redis",
            CacheNodeType="cache.r6g.large",
            NumCacheClusters=nodes,
            AutomaticFailoverEnabled=nodes > 1,
            MultiAZEnabled=nodes > 1,
            SnapshotRetentionLimit=retention,
            AtRestEncryptionEnabled=True,
            TransitEncryptionEnabled=True,
        )
        members = [f"{group}-{number:03}" for number in range(1, nodes + 1)]
        for member in members:
            await self._aws.call(
                "elasticache.create_cache_cluster",
                CacheClusterId=member, Engine="redis", CacheNodeType="cache.r6g.large", NumCacheNodes=1,
            )  # fmt: skip
            node = {"CacheNodeId": "0001", "CacheNodeStatus": "available"}
            await self._aws.alter("elasticache", "DescribeCacheClusters", {"CacheClusterId": member}, CacheNodes=[node])
        await self.change(group, MemberClusters=members)

    async def change(self, group: str, **fields: Any) -> None:
        """Set fields of its description, such as Status="modifying" or AutomaticFailover="disabled"."""
        await self._aws.alter("elasticache", "DescribeReplicationGroups", {"ReplicationGroupId": group}, **fields)
