"""ElastiCache: a group with a node that is away, a single cluster, none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.component.looking import evidence, values
from tests.servers.aws import MotoServer, Refusal

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


async def test_a_single_cluster(moto: MotoServer, through: Through) -> None:
    moto.client("elasticache").create_cache_cluster(
        CacheClusterId="cache", CacheNodeType="cache.t3.micro", Engine="redis", EngineVersion="7.0", NumCacheNodes=1
    )
    found = values(await (await through("elasticache"))(cluster="cache"))
    assert (found["status"], found["nodes"], found["available"]) == ("available", 1, 1)


def serve_group(moto: MotoServer, status: str = "available") -> None:
    def cluster(asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["CacheClusterId"]
        node = {"CacheNodeId": "0001", "CacheNodeStatus": "available" if name == "r-1" else "rebooting"}
        version = "7.1.0" if name == "r-1" else "7.0.12"
        return {
            "CacheClusters": [
                {"CacheClusterId": name, "EngineVersion": version, "NumCacheNodes": 1, "CacheNodes": [node]}
            ]
        }

    moto.answers["elasticache", "DescribeReplicationGroups"] = lambda _: {
        "ReplicationGroups": [
            {
                "ReplicationGroupId": "r", "Status": status, "MemberClusters": ["r-1", "r-2"], "MultiAZ": "enabled",
                "AutomaticFailover": "enabled", "SnapshotRetentionLimit": 5, "AtRestEncryptionEnabled": True,
            }
        ]
    }  # fmt: skip
    moto.answers["elasticache", "DescribeCacheClusters"] = cluster
    moto.answers["elasticache", "DescribeSnapshots"] = lambda _: {
        "Snapshots": [
            {"SnapshotName": str(h), "NodeSnapshots": [{"SnapshotCreateTime": NOW - timedelta(hours=h)}]}
            for h in (30, 6)
        ]
    }


async def test_a_group_with_a_node_that_is_away(moto: MotoServer, through: Through) -> None:
    serve_group(moto)
    look = await through("elasticache")
    look.looker.now = NOW
    observation = await look(replication_group="r")
    assert values(observation) == {
        "multi_az": 1, "automatic_failover": "enabled", "available": 1, "status": "available", "nodes": 2,
        "nodes_available": 1, "engine_version": "7.0.12", "snapshot_retention": 5, "snapshot_age": 6 * 3600,
        "encrypted_at_rest": 1, "encrypted_in_transit": 0, "pending_changes": 0,
    }  # fmt: skip
    assert "r-2 0001: rebooting" in evidence(observation, "Nodes")


@pytest.mark.probe("elasticache")
async def test_a_group_that_does_not_serve(moto: MotoServer, through: Through) -> None:
    serve_group(moto, "create-failed")
    observation = await (await through("elasticache"))(replication_group="r")
    assert (values(observation)["available"], observation.note) == (0, "create-failed")


@pytest.mark.probe_failure("elasticache")
async def test_none_of_that_name(moto: MotoServer, through: Through) -> None:
    look = await through("elasticache")
    for params in ({"cluster": "none"}, {"replication_group": "none"}):
        with pytest.raises(ProbeError, match="there is no ElastiCache 'none'") as caught:
            await look(**params)
        assert caught.value.kind == "missing"


async def test_not_allowed(moto: MotoServer, through: Through) -> None:
    def deny(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("AccessDenied", "", 403)

    moto.answers["elasticache", "DescribeReplicationGroups"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs elasticache:DescribeReplicationGroups"):
        await (await through("elasticache"))(replication_group="r")
