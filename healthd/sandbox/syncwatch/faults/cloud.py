"""AWS: RDS, backups in S3, the load balancer, CloudWatch, CloudFront, costs and permissions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from healthd.sandbox.syncwatch.cloud import (
    BALANCER,
    BLOCKLIST,
    DATABASE,
    FRONTEND_LOGS,
    LOGS,
    SECRET,
    SNAPSHOTS,
    VIDEOS,
)  # fmt: skip
from healthd.sandbox.syncwatch.faults.common import MINUTE, SOON, Act, Faults
from healthd.sandbox.world import Fault, Opens

if TYPE_CHECKING:
    from healthd.sandbox.syncwatch.production import Production

_EVERYTHING = (
    "backend-storage", "load-balancer", "database-instance", "database-backups", "database-storage", "snapshots",
    "videos-bucket", "blocklist", "todays-backup", "error-logs-today", "denied-requests", "brute-force",
    "slow-queries", "cdn-hit-rate", "log-retention", "spend", "unattached", "permissions", "secrets-rotated",
    "open-ports", "restore-drill",
)  # fmt: skip


def _instance(**fields: object) -> Act:
    """Change what RDS says of the database."""
    return lambda world: world.aws.databases.change(DATABASE, **fields)


async def _refuse_bucket(world: Production) -> None:
    await world.aws.refuse("s3", "HeadBucket", "AccessDenied", "Access Denied", 403)


CLOUD: Faults = (
    Fault(
        "aws-down", "refuses connections to AWS", _EVERYTHING, MINUTE,
        lambda w: w.aws.close_endpoint(), lambda w: w.aws.open_endpoint(),
        ("service-ready", "backup-size", "idle-timeout"), Opens("complete-site-outage", "SEV2"),
    ),
    Fault(
        "storage-down", "denies the application the bucket of its videos", ("backend-storage",), SOON,
        _refuse_bucket, lambda w: w.aws.allow("s3", "HeadBucket"), ("service-ready",),
        Opens("service-unhealthy", "SEV2"),
    ),
    Fault(
        "targets-unhealthy", "makes every target of the load balancer unhealthy", ("load-balancer",), SOON,
        lambda w: w.cloud.set_targets("unhealthy"), lambda w: w.cloud.set_targets("healthy"),
        incident=Opens("complete-site-outage", "SEV1"),
    ),
    Fault(
        "idle-timeout-short", "lets the load balancer cut connections that are silent for 30 s", ("idle-timeout",),
        SOON, lambda w: w.aws.network.idle_timeout(BALANCER, 30), lambda w: w.aws.network.idle_timeout(BALANCER, 60),
        incident=Opens("websocket-connection-failures", "SEV2"),
    ),
    Fault(
        "database-failed", "makes RDS say that the instance has failed",
        ("database-instance", "database-backups", "database-storage"), SOON,
        _instance(DBInstanceStatus="failed"), _instance(DBInstanceStatus="available"),
        incident=Opens("database-unavailable", "SEV1"),
    ),
    Fault(
        "database-storage-low", "leaves 10% of RDS' storage free", ("database-storage",), MINUTE,
        lambda w: w.cloud.storage_free(0.1), lambda w: w.cloud.storage_free(0.6),
        incident=Opens("disk-space-full", "SEV4"),
    ),
    Fault(
        "backup-missing", "deletes today's backups from S3", ("todays-backup",), MINUTE,
        lambda w: w.cloud.delete_backups(), lambda w: w.cloud.put_backups(), incident=Opens("backup-missing", "SEV2"),
    ),
    Fault(
        "backup-too-small", "cuts today's dump to 1% of its size", ("backup-size", "restore-drill"), MINUTE,
        lambda w: w.cloud.put_backups(dump=w.cloud.truncated()), lambda w: w.cloud.put_backups(),
        incident=Opens("backup-missing", "SEV2"),
    ),
    Fault(
        "backup-corrupt", "damages today's dump, which stays as large", ("restore-drill",), "two minutes",
        lambda w: w.cloud.put_backups(dump=w.cloud.damaged()), lambda w: w.cloud.put_backups(),
        incident=Opens("restore-database", "SEV2"), apart=("backup-missing",),
    ),
    Fault(
        "snapshot-missing", "leaves three automated snapshots, the newest of 30 hours ago", ("snapshots",), MINUTE,
        lambda w: w.aws.databases.snapshots(DATABASE, 3, newest=timedelta(hours=30)),
        lambda w: w.aws.databases.snapshots(DATABASE, SNAPSHOTS), incident=Opens("backup-missing", "SEV2"),
    ),
    Fault(
        "point-in-time-behind", "leaves the newest moment that can be restored 3 hours back", ("database-backups",),
        MINUTE, lambda w: w.aws.databases.restorable(DATABASE, timedelta(hours=3)),
        lambda w: w.aws.databases.restorable(DATABASE, timedelta(minutes=4)),
        incident=Opens("backup-missing", "SEV2"),
    ),
    Fault(
        "backups-kept-short", "keeps RDS' backups for two days", ("database-backups",), MINUTE,
        _instance(BackupRetentionPeriod=2), _instance(BackupRetentionPeriod=7),
        incident=Opens("backup-missing", "SEV3"),
    ),
    Fault(
        "versioning-off", "switches versions off in the bucket of videos", ("videos-bucket",), MINUTE,
        lambda w: w.aws.buckets.versioning(VIDEOS, on=False), lambda w: w.aws.buckets.versioning(VIDEOS, on=True),
        incident=Opens("videos-bucket", "SEV3"),
    ),
    Fault(
        "blocklist-missing", "deletes the firewall's list of blocked addresses", ("blocklist",), MINUTE,
        lambda w: w.aws.network.remove_ip_set(BLOCKLIST),
        lambda w: w.aws.network.ip_set(BLOCKLIST, "203.0.113.0/24"), incident=Opens("suspicious-addresses", "SEV4"),
    ),
    Fault(
        "brute-force", "lets one address try 1500 passwords", ("brute-force",), MINUTE,
        lambda w: w.cloud.attack(1500), lambda w: w.cloud.log_group(LOGS),
        incident=Opens("suspicious-addresses", "SEV2"),
    ),
    Fault(
        "log-group-deleted", "deletes the backend's log group", ("error-logs-today", "denied-requests", "brute-force"),
        MINUTE, lambda w: w.aws.logs.remove(LOGS), lambda w: w.cloud.log_group(LOGS),
        incident=Opens("high-error-rate", "SEV4"),
    ),
    Fault(
        "logs-kept-for-ever", "takes the retention off the frontend's log group", ("log-retention",), MINUTE,
        lambda w: w.aws.logs.group(FRONTEND_LOGS), lambda w: w.cloud.log_group(FRONTEND_LOGS),
        incident=Opens("old-logs", "SEV4"),
    ),
    Fault(
        "slow-query-logged", "writes a query of 4 s to RDS' log of slow queries", ("slow-queries",), MINUTE,
        lambda w: w.cloud.slow_log('SELECT * FROM "Video" ORDER BY title'), lambda w: w.cloud.slow_log(),
        incident=Opens("slow-queries", "SEV4"),
    ),
    Fault(
        "cdn-misses", "lets the CDN answer 55% of the requests by itself", ("cdn-hit-rate",), MINUTE,
        lambda w: w.cloud.hit_rate(55), lambda w: w.cloud.hit_rate(94), incident=Opens("cdn-misses", "SEV4"),
    ),
    Fault(
        "spend-over-budget", "makes this month cost half as much again as the last", ("spend",), MINUTE,
        lambda w: w.cloud.spend(1.5), lambda w: w.cloud.spend(1), incident=Opens("costs", "SEV4"),
    ),
    Fault(
        "unattached-volume", "leaves a volume and an address that nothing uses", ("unattached",), MINUTE,
        lambda w: w.cloud.leave_unattached(), lambda w: w.cloud.release_unattached(),
        incident=Opens("costs", "SEV4"),
    ),
    Fault(
        "permission-for-everything", "makes a policy that allows everything", ("permissions",), MINUTE,
        lambda w: w.cloud.add_policy(), lambda w: w.cloud.remove_policy(), incident=Opens("permissions", "SEV3"),
    ),
    Fault(
        "secrets-old", "leaves a secret unrotated for 60 days", ("secrets-rotated",), MINUTE,
        lambda w: w.aws.identity.rotated(SECRET, timedelta(days=60)),
        lambda w: w.aws.identity.rotated(SECRET, timedelta(days=12)), incident=Opens("rotate-secrets", "SEV4"),
    ),
    Fault(
        "port-open", "opens port 5432 to everybody", ("open-ports",), MINUTE,
        lambda w: w.cloud.open_port(5432), lambda w: w.cloud.close_port(5432), incident=Opens("open-ports", "SEV3"),
    ),
)  # fmt: skip
