"""`rds_snapshots`: the snapshots of an instance or a cluster: the newest's age, how many, failed ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from healthd.model.outcomes import Evidence
from healthd.model.units import Unit, format_duration
from healthd.probes import base
from healthd.probes.aws.ages import age
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, text_of
from healthd.probes.base import MeasureInfo, Observation

OF_INSTANCE = Operation(
    "rds", "describe_db_snapshots", "rds:DescribeDBSnapshots", "DBSnapshots", absent=("DBInstanceNotFound",)
)
OF_CLUSTER = Operation(
    "rds",
    "describe_db_cluster_snapshots",
    "rds:DescribeDBClusterSnapshots",
    "DBClusterSnapshots",
    absent=("DBClusterNotFoundFault",),
)
_SHOWN = 5


class RdsSnapshotsParams(AwsParams):
    """Whose snapshots: of an `instance` or a `cluster`; `kind` narrows them."""

    instance: str | None = None
    cluster: str | None = None
    kind: Literal["any", "automated", "manual", "awsbackup", "shared"] = "any"

    @model_validator(mode="after")
    def _one_of_them(self) -> RdsSnapshotsParams:
        if bool(self.instance) == bool(self.cluster):
            raise ValueError("name an instance or a cluster")
        return self


class RdsSnapshotsProbe(AwsProbe):
    """Only snapshots that are complete have an age; those under way and failed ones are counted apart."""

    Params: ClassVar[type[base.Params]] = RdsSnapshotsParams
    operations: ClassVar[tuple[Operation, ...]] = (OF_INSTANCE, OF_CLUSTER)
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "count": count_of("complete snapshots; 0 is an answer, not a failure"),
        "automated_count": count_of("of them made by RDS itself"),
        "manual_count": count_of("of them made by hand or by a script"),
        "newest_age": MeasureInfo(Unit.SECONDS, "since the newest complete one was made; absent without one"),
        "newest_automated_age": MeasureInfo(Unit.SECONDS, "of those made by RDS; absent without one"),
        "newest_manual_age": MeasureInfo(Unit.SECONDS, "of those made by hand; absent without one"),
        "oldest_age": MeasureInfo(Unit.SECONDS, "of the oldest complete one; absent without one"),
        "creating": count_of("under way"),
        "failed": count_of("that failed"),
        "unencrypted": count_of("complete ones that are not encrypted"),
        "newest_status": text_of("of the newest, complete or not; absent without any"),
    }

    def needs(self, params: RdsSnapshotsParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        return (OF_INSTANCE,) if params.instance else (OF_CLUSTER,)

    async def look(self, params: RdsSnapshotsParams, aws: Asker) -> Observation:
        """List them."""
        narrowed = {} if params.kind == "any" else {"SnapshotType": params.kind}
        if params.instance:
            found = await aws.items(OF_INSTANCE, DBInstanceIdentifier=params.instance, **narrowed)
        else:
            found = await aws.items(OF_CLUSTER, DBClusterIdentifier=params.cluster, **narrowed)
        ranked = sorted(found, key=lambda s: age(s.get("SnapshotCreateTime"), aws.now) or 0.0)
        note = "" if ranked else f"no snapshots of {params.instance or params.cluster}"
        return Observation(self.measured(_measure(ranked, aws)), _evidence(ranked, aws), note)


def _measure(ranked: list[Mapping[str, Any]], aws: Asker) -> dict[str, float | str | None]:
    complete = [s for s in ranked if s.get("Status") == "available"]
    automated = [s for s in complete if s.get("SnapshotType") == "automated"]
    manual = [s for s in complete if s.get("SnapshotType") == "manual"]

    def newest(snapshots: list[Mapping[str, Any]], which: int = 0) -> float | None:
        return age(snapshots[which].get("SnapshotCreateTime"), aws.now) if snapshots else None

    return {
        "count": len(complete),
        "automated_count": len(automated),
        "manual_count": len(manual),
        "newest_age": newest(complete),
        "newest_automated_age": newest(automated),
        "newest_manual_age": newest(manual),
        "oldest_age": newest(complete, -1),
        "creating": sum(s.get("Status") == "creating" for s in ranked),
        "failed": sum(s.get("Status") in ("failed", "incompatible-restore") for s in ranked),
        "unencrypted": sum(not s.get("Encrypted", s.get("StorageEncrypted")) for s in complete),
        "newest_status": ranked[0].get("Status") if ranked else None,
    }


def _evidence(ranked: list[Mapping[str, Any]], aws: Asker) -> tuple[Evidence, ...]:
    lines = []
    for s in ranked[:_SHOWN]:
        name = s.get("DBSnapshotIdentifier") or s.get("DBClusterSnapshotIdentifier")
        old = age(s.get("SnapshotCreateTime"), aws.now)
        since = f", {format_duration(round(old))} old" if old is not None else ""
        lines.append(f"{name}: {s.get('Status')}, {s.get('SnapshotType')}{since}")
    return (Evidence("Newest snapshots", "\n".join(lines)),) if lines else ()
