"""`rds_instance`: the state of a database instance, its backups, its maintenance, what protects it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from pydantic import Field

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.ages import age, days_until
from healthd.probes.aws.instances import DESCRIBE_INSTANCES, the_instance
from healthd.probes.aws.metric_query import Metric, Query
from healthd.probes.aws.metrics import GET_METRIC_DATA, ask_metrics
from healthd.probes.aws.operations import Fields, Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, if_told, text_of
from healthd.probes.base import MeasureInfo, Observation

DESCRIBE_MAINTENANCE = Operation(
    "rds",
    "describe_pending_maintenance_actions",
    "rds:DescribePendingMaintenanceActions",
    "PendingMaintenanceActions",
    absent=("ResourceNotFoundFault",),
)
_GIB = 2**30
# Statuses in which an instance serves, whatever is done to it meanwhile.
_SERVING = frozenset({
    "available", "backing-up", "configuring-enhanced-monitoring", "configuring-iam-database-auth",
    "configuring-log-exports", "modifying", "storage-config-upgrade", "storage-initialization",
    "storage-optimization",
})  # fmt: skip


class RdsInstanceParams(AwsParams):
    """Which instance. `storage` asks CloudWatch for its free space, `maintenance` for what is due."""

    instance: str = Field(min_length=1)
    storage: bool = False
    maintenance: bool = True


class RdsInstanceProbe(AwsProbe):
    """What RDS knows of an instance, without logging in to it."""

    Params: ClassVar[type[base.Params]] = RdsInstanceParams
    operations: ClassVar[tuple[Operation, ...]] = (DESCRIBE_INSTANCES, DESCRIBE_MAINTENANCE, GET_METRIC_DATA)
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("available", critical=parse_condition("= 0"), name="available"),
    )
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "available": count_of("1 when its status is one in which it serves, otherwise 0"),
        "status": text_of("available, backing-up, modifying, rebooting, failed, storage-full, ..."),
        "multi_az": count_of("1 with a standby in another zone"),
        "standbys_ok": count_of("1 unless RDS reports a replica of it that does not replicate"),
        "replicas": count_of("read replicas"),
        "backup_retention": MeasureInfo(Unit.DAYS, "how long automated backups are kept; 0: there are none"),
        "latest_restorable_age": MeasureInfo(Unit.SECONDS, "how far back the newest moment is that can be restored"),
        "backup_replications": count_of("regions its automated backups are copied to"),
        "pending_maintenance": count_of("actions that RDS has announced; with maintenance"),
        "pending_changes": count_of("settings that wait for a reboot or the next window"),
        "storage_encrypted": count_of("1 when it is"),
        "deletion_protection": count_of("1 when it is on"),
        "publicly_accessible": count_of("1 when it has a public address"),
        "certificate_days_left": MeasureInfo(Unit.DAYS, "until its TLS certificate ends; absent when RDS does not say"),
        "certificate_authority": text_of("such as rds-ca-rsa2048-g1"),
        "engine_version": text_of("such as 15.4"),
        "instance_class": text_of("such as db.r6g.large"),
        "storage_bytes": MeasureInfo(Unit.BYTES, "allocated"),
        "storage_max_bytes": MeasureInfo(Unit.BYTES, "how far it may grow by itself; absent when it may not"),
        "storage_free_bytes": MeasureInfo(Unit.BYTES, "with storage; absent without a value of the last 15 minutes"),
        "storage_free_ratio": MeasureInfo(Unit.RATIO, "of what is allocated; with storage"),
    }

    def measures_for(self, params: RdsInstanceParams) -> Mapping[str, MeasureInfo]:
        """Those that are asked for."""
        off = {
            *(() if params.storage else ("storage_free_bytes", "storage_free_ratio")),
            *(() if params.maintenance else ("pending_maintenance",)),
        }
        return {name: info for name, info in self.measures.items() if name not in off}

    def needs(self, params: RdsInstanceParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        maintenance = (DESCRIBE_MAINTENANCE,) if params.maintenance else ()
        return (DESCRIBE_INSTANCES, *maintenance, *((GET_METRIC_DATA,) if params.storage else ()))

    def fields(self, params: RdsInstanceParams) -> Fields:
        """The instance."""
        return {"DBInstanceIdentifier": (params.instance,)}

    async def look(self, params: RdsInstanceParams, aws: Asker) -> Observation:
        """Describe it, and ask for the rest at the same time. Whether it serves is told whatever the rest says."""
        instance = await the_instance(aws, params.instance)
        (due, no_maintenance), (free, no_storage) = await asyncio.gather(
            if_told("maintenance", _maintenance(instance, params, aws)), if_told("storage", _free(params, aws))
        )
        found = _describe(instance, aws)
        if params.maintenance and due is not None:
            found["pending_maintenance"] = len(due)
        if free is not None:
            found["storage_free_bytes"] = free
            found["storage_free_ratio"] = free / (instance["AllocatedStorage"] * _GIB)
        elif params.storage and not no_storage:
            no_storage = "CloudWatch has no FreeStorageSpace of the last 15 minutes"
        status = "" if found["available"] else str(found["status"])
        note = "; ".join(filter(None, (status, no_maintenance, no_storage)))
        return Observation(self.measured(found), _evidence(due or [], instance), note)


def _describe(instance: Mapping[str, Any], aws: Asker) -> dict[str, float | str | None]:
    status = instance.get("DBInstanceStatus", "unknown")
    most = instance.get("MaxAllocatedStorage")
    replicating = [info.get("Normal", True) for info in instance.get("StatusInfos", ())]
    return {
        "available": status in _SERVING,
        "status": status,
        "multi_az": bool(instance.get("MultiAZ")),
        "standbys_ok": all(replicating),
        "replicas": len(instance.get("ReadReplicaDBInstanceIdentifiers", ())),
        "backup_retention": instance.get("BackupRetentionPeriod", 0),
        "latest_restorable_age": age(instance.get("LatestRestorableTime"), aws.now),
        "backup_replications": len(instance.get("DBInstanceAutomatedBackupsReplications", ())),
        "pending_changes": len(instance.get("PendingModifiedValues", {})),
        "storage_encrypted": bool(instance.get("StorageEncrypted")),
        "deletion_protection": bool(instance.get("DeletionProtection")),
        "publicly_accessible": bool(instance.get("PubliclyAccessible")),
        "certificate_days_left": days_until(instance.get("CertificateDetails", {}).get("ValidTill"), aws.now),
        "certificate_authority": instance.get("CACertificateIdentifier"),
        "engine_version": instance.get("EngineVersion"),
        "instance_class": instance.get("DBInstanceClass"),
        "storage_bytes": instance.get("AllocatedStorage", 0) * _GIB,
        "storage_max_bytes": most * _GIB if most else None,
    }


async def _maintenance(instance: Mapping[str, Any], params: RdsInstanceParams, aws: Asker) -> list[str]:
    if not params.maintenance:
        return []
    found = await aws.items(DESCRIBE_MAINTENANCE, ResourceIdentifier=instance["DBInstanceArn"])
    actions = [action for resource in found for action in resource.get("PendingMaintenanceActionDetails", ())]
    return [f"{action.get('Action')}: {action.get('Description', '')}" for action in actions]


async def _free(params: RdsInstanceParams, aws: Asker) -> float | None:
    if not params.storage:
        return None
    dimensions = (("DBInstanceIdentifier", params.instance),)
    metric = Metric("m", "AWS/RDS", "FreeStorageSpace", "Minimum", dimensions)
    [answer] = await ask_metrics(aws, [Query((metric,), 60, timedelta(minutes=15))])
    points = [point for series in answer.series for point in series.points]
    return points[-1][1] if points else None


def _evidence(due: list[str], instance: Mapping[str, Any]) -> tuple[Evidence, ...]:
    waiting = [f"{name}: {value}" for name, value in instance.get("PendingModifiedValues", {}).items()]
    hidden = [line if "Password" not in line else "MasterUserPassword" for line in waiting]
    found = (("Maintenance due", due), ("Waiting to be applied", hidden))
    return tuple(Evidence(title, "\n".join(lines)[:1000]) for title, lines in found if lines)
