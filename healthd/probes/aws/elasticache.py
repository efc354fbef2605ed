"""`elasticache`: a replication group or a single cluster: nodes, fail-over, version, snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from healthd.model.catalogue import Threshold
from healthd.model.conditions import parse_condition
from healthd.model.outcomes import Evidence
from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.ages import age
from healthd.probes.aws.operations import Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, if_told, text_of
from healthd.probes.base import MeasureInfo, Observation, ProbeError

GROUPS = Operation(
    "elasticache",
    "describe_replication_groups",
    "elasticache:DescribeReplicationGroups",
    "ReplicationGroups",
    absent=("ReplicationGroupNotFoundFault", "ReplicationGroupNotFound"),
)
CLUSTERS = Operation(
    "elasticache",
    "describe_cache_clusters",
    "elasticache:DescribeCacheClusters",
    "CacheClusters",
    absent=("CacheClusterNotFound", "CacheClusterNotFoundFault"),
)
SNAPSHOTS = Operation("elasticache", "describe_snapshots", "elasticache:DescribeSnapshots", "Snapshots")
_SERVING = frozenset({"available", "modifying", "snapshotting"})


class ElastiCacheParams(AwsParams):
    """A `replication_group` (several nodes), or a single `cluster`. `snapshots: false` needs one permission less."""

    replication_group: str | None = None
    cluster: str | None = None
    snapshots: bool = True

    @model_validator(mode="after")
    def _one_of_them(self) -> ElastiCacheParams:
        if bool(self.replication_group) == bool(self.cluster):
            raise ValueError("name a replication_group or a cluster")
        return self


class ElastiCacheProbe(AwsProbe):
    """What ElastiCache knows, without logging in."""

    Params: ClassVar[type[base.Params]] = ElastiCacheParams
    operations: ClassVar[tuple[Operation, ...]] = (GROUPS, CLUSTERS, SNAPSHOTS)
    defaults: ClassVar[tuple[Threshold, ...]] = (
        Threshold("available", critical=parse_condition("= 0"), name="available"),
    )
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "available": count_of("1 when its status is one in which it serves, otherwise 0"),
        "status": text_of("available, modifying, snapshotting, creating, ..."),
        "nodes": count_of("cache nodes it should have"),
        "nodes_available": count_of("of them available"),
        "multi_az": count_of("1 when its nodes are in several zones; of a replication group"),
        "automatic_failover": text_of("enabled, disabled, enabling or disabling; of a replication group"),
        "engine_version": text_of("the oldest among its nodes, such as 7.1.0"),
        "snapshot_retention": MeasureInfo(Unit.DAYS, "how long automatic snapshots are kept; 0: there are none"),
        "snapshot_age": MeasureInfo(Unit.SECONDS, "of the newest snapshot; absent without one"),
        "encrypted_at_rest": count_of("1 when it is"),
        "encrypted_in_transit": count_of("1 when it is"),
        "pending_changes": count_of("settings that wait for the next window"),
    }

    def measures_for(self, params: ElastiCacheParams) -> Mapping[str, MeasureInfo]:
        """Those of a group only for a group."""
        off = {
            *(() if params.replication_group else ("multi_az", "automatic_failover")),
            *(() if params.snapshots else ("snapshot_age",)),
        }
        return {name: info for name, info in self.measures.items() if name not in off}

    def needs(self, params: ElastiCacheParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        groups = (GROUPS,) if params.replication_group else ()
        return (*groups, CLUSTERS, *((SNAPSHOTS,) if params.snapshots else ()))

    async def look(self, params: ElastiCacheParams, aws: Asker) -> Observation:
        """Describe the group and its nodes."""
        members = [params.cluster]
        found: dict[str, float | str | None] = {}
        thing: Mapping[str, Any] = {}
        if params.replication_group:
            thing = _only(await aws.items(GROUPS, ReplicationGroupId=params.replication_group), params, aws)
            members = thing.get("MemberClusters", [])
            found |= {
                "multi_az": thing.get("MultiAZ") == "enabled",
                "automatic_failover": thing.get("AutomaticFailover"),
            }
        clusters = [
            _only(await aws.items(CLUSTERS, CacheClusterId=name, ShowCacheNodeInfo=True), params, aws)
            for name in members
        ]
        found |= _describe(thing or clusters[0], clusters)
        untold = ""
        if params.snapshots:
            found["snapshot_age"], untold = await if_told("snapshots", _snapshot_age(params, aws))
        status = "" if found["available"] else str(found["status"])
        return Observation(self.measured(found), _evidence(clusters), "; ".join(filter(None, (status, untold))))


def _only(found: list[dict[str, Any]], params: ElastiCacheParams, aws: Asker) -> dict[str, Any]:
    if not found:
        name, region = params.replication_group or params.cluster, aws.account.region("elasticache")
        raise ProbeError(f"there is no ElastiCache {name!r} in {region}", "missing")
    return found[0]


def _describe(thing: Mapping[str, Any], clusters: list[dict[str, Any]]) -> dict[str, float | str | None]:
    status = str(thing.get("Status") or thing.get("CacheClusterStatus") or "unknown")
    nodes = [node for cluster in clusters for node in cluster.get("CacheNodes", ())]
    versions = [str(cluster["EngineVersion"]) for cluster in clusters if cluster.get("EngineVersion")]
    pending = thing.get("PendingModifiedValues") or {}
    return {
        "available": status in _SERVING,
        "status": status,
        "nodes": sum(int(cluster.get("NumCacheNodes") or 0) for cluster in clusters),
        "nodes_available": sum(node.get("CacheNodeStatus") in _SERVING for node in nodes),
        "engine_version": min(versions, key=_parts, default=None),
        "snapshot_retention": thing.get("SnapshotRetentionLimit", 0),
        "encrypted_at_rest": bool(thing.get("AtRestEncryptionEnabled")),
        "encrypted_in_transit": bool(thing.get("TransitEncryptionEnabled")),
        "pending_changes": len([value for value in pending.values() if value]),
    }


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


async def _snapshot_age(params: ElastiCacheParams, aws: Asker) -> float | None:
    group = params.replication_group
    which = {"ReplicationGroupId": group} if group else {"CacheClusterId": params.cluster}
    found = await aws.items(SNAPSHOTS, **which)
    nodes = [node for snapshot in found for node in snapshot.get("NodeSnapshots", ())]
    ages = [old for node in nodes if (old := age(node.get("SnapshotCreateTime"), aws.now)) is not None]
    return min(ages, default=None)


def _evidence(clusters: list[dict[str, Any]]) -> tuple[Evidence, ...]:
    lines = [
        f"{cluster.get('CacheClusterId')} {node.get('CacheNodeId')}: {node.get('CacheNodeStatus')}"
        f" in {node.get('CustomerAvailabilityZone') or cluster.get('PreferredAvailabilityZone')}"
        for cluster in clusters
        for node in cluster.get("CacheNodes", ())
    ]
    return (Evidence("Nodes", "\n".join(lines)[:1000]),) if lines else ()
