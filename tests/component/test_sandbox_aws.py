"""The sandbox's AWS, as the probes see it: well when a scene is set, and different where something was changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from healthd.probes import PROBES
from healthd.probes.aws.account import Models
from healthd.probes.base import ProbeError, Resources
from healthd.sandbox.child import SandboxError
from healthd.sandbox.parts.aws.account import Aws
from tests.component.looking import FreshLooker, values

pytestmark = pytest.mark.asyncio(loop_scope="module")

Look = Callable[..., Awaitable[dict[str, float | str]]]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}], "Version": "2012-10-17"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aws(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aws]:
    aws = Aws(tmp_path_factory.mktemp("aws") / "log")
    await aws.start()
    try:
        yield aws
    finally:
        await aws.stop()


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


@pytest_asyncio.fixture(loop_scope="module")
async def look(aws: Aws, models: Models, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Look]:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    async def read_already() -> Models:
        return models

    async def through(kind: str, /, **params: Any) -> dict[str, float | str]:
        resources = Resources()  # clients, and answers they keep, are new for each look
        await resources.get(Models, read_already)
        looker = FreshLooker(PROBES[kind], resources)
        looker.timeout = timedelta(seconds=15)
        try:
            return values(await looker(region="us-east-1", **params))
        finally:
            await resources.close()

    yield through


async def test_backups_are_and_stay_as_old_as_they_were_said_to_be(aws: Aws, look: Look) -> None:
    await aws.buckets.create("backups", expire=30, replicate_to="backups-copy")
    for age in range(3):
        await aws.buckets.put("backups", f"{age}.sql.gz", 5000, age * DAY + HOUR)
    found = await look("s3_backup", bucket="backups", days=1)
    assert (found["count"], found["newest_size"]) == (3, 5000)
    assert found["newest_age"] == pytest.approx(3600, abs=60)
    assert found["oldest_age"] == pytest.approx(2 * 86_400 + 3600, abs=60)
    await aws.buckets.delete("backups", "0.sql.gz")
    assert (await look("s3_backup", bucket="backups"))["newest_age"] == pytest.approx(86_400 + 3600, abs=60)


async def test_a_bucket_and_what_it_loses(aws: Aws, look: Look) -> None:
    await aws.buckets.create("videos", expire=30, replicate_to="videos-copy")
    found = await look("s3_bucket", bucket="videos", aspects=("versioning", "lifecycle", "replication_regions"))
    assert (found["versioning"], found["expiration"], found["replication_regions"]) == ("Enabled", 30, 1)
    await aws.buckets.versioning("videos", on=False)
    await aws.buckets.expire("videos", None)
    await aws.buckets.replicate("videos", None)
    found = await look("s3_bucket", bucket="videos", aspects=("versioning", "lifecycle", "replication_regions"))
    assert (found["versioning"], found.get("expiration"), found["replication_regions"]) == ("Suspended", None, 0)


async def test_a_database_its_snapshots_and_its_logs(aws: Aws, look: Look) -> None:
    await aws.databases.create("db", retention=14, gigabytes=50, replica_regions=1)
    await aws.databases.snapshots("db", 14)
    line = "{now}:10.0.0.1(5432):app@shop:[7]:LOG:  duration: 1500.5 ms  statement: SELECT 1\n"
    await aws.databases.log("db", "slowquery/postgresql.log", line * 3, ago=HOUR)
    await aws.metrics.put("AWS/RDS", "FreeStorageSpace", {"DBInstanceIdentifier": "db"}, 20 * 2**30)
    found = await look("rds_instance", instance="db", storage=True)
    assert (found["available"], found["backup_retention"], found["backup_replications"]) == (1, 14, 1)
    assert (found["storage_free_ratio"], found["pending_maintenance"], found["multi_az"]) == (0.4, 0, 1)
    assert found["latest_restorable_age"] == pytest.approx(240, abs=60)
    found = await look("rds_snapshots", instance="db", kind="automated")
    assert (found["count"], found["newest_age"]) == (14, pytest.approx(5 * 3600, abs=60))
    found = await look("rds_logs", instance="db", files="slowquery/*", over="2h", slow="1s")
    assert (found["slow_queries"], found["slowest"]) == (3, 1.5005)
    assert (await look("rds_logs", instance="db", over="30m"))["files"] == 0
    await aws.databases.change("db", DBInstanceStatus="storage-full", PubliclyAccessible=True)
    found = await look("rds_instance", instance="db")
    assert (found["available"], found["status"], found["publicly_accessible"]) == (0, "storage-full", 1)


async def test_a_cache(aws: Aws, look: Look) -> None:
    await aws.caches.create("sessions")
    found = await look("elasticache", replication_group="sessions", snapshots=False)
    assert (found["available"], found["nodes"], found["nodes_available"]) == (1, 2, 2)
    await aws.caches.change("sessions", Status="create-failed")
    assert (await look("elasticache", replication_group="sessions", snapshots=False))["available"] == 0


async def test_metrics(aws: Aws, look: Look) -> None:
    where = {"InstanceId": "i-1"}
    await aws.metrics.put("AWS/EC2", "CPUUtilization", where, 35)
    await aws.metrics.put("App", "Latency", where, 90, percentiles={"p99": 900})
    await aws.metrics.put("App", "Requests", where, 1, per_minute=600)
    cpu = {"namespace": "AWS/EC2", "metric": "CPUUtilization", "dimensions": where}
    assert (await look("cloudwatch_metric", **cpu))["value"] == 35
    latency = {"namespace": "App", "metric": "Latency", "dimensions": where}
    assert (await look("cloudwatch_metric", **latency, statistic="p99"))["value"] == 900
    assert (await look("cloudwatch_metric", **latency, statistic="p50"))["value"] == 90
    requests = {"namespace": "App", "metric": "Requests", "dimensions": where, "statistic": "Sum"}
    assert (await look("cloudwatch_metric", **requests, period="5m"))["value"] == 3000
    free = "(100 - used) / MAX([1, 2])"
    assert (await look("cloudwatch_metric", expression=free, metrics={"used": cpu}))["value"] == 32.5
    with pytest.raises(ProbeError, match="Error in expression"):
        await look("cloudwatch_metric", expression="ANOMALY_DETECTION_BAND(used)", metrics={"used": cpu})
    await aws.metrics.put("AWS/EC2", "CPUUtilization", where, 35, silent_for=timedelta(minutes=20))
    found = await look("cloudwatch_metric", **cpu, period="5m", over="1h")
    assert found["age"] == pytest.approx(17.5 * 60, abs=151)
    await aws.metrics.remove("AWS/EC2", "CPUUtilization", where)
    assert "value" not in await look("cloudwatch_metric", **cpu)


async def test_log_events(aws: Aws, look: Look) -> None:
    await aws.logs.group("/app", retention=30)
    await aws.logs.repeat("/app", "INFO GET / 200", timedelta(seconds=30))
    lines = ["10.0.0.9 POST /login 401"] * 3 + ["10.0.0.7 POST /login 403", "10.0.0.7 GET / 200"]
    await aws.logs.write("/app", *lines, '{"level": "error", "status": 502}', "ERROR no connection", ago=HOUR)

    async def count(pattern: str, **more: Any) -> dict[str, float | str]:
        return await look("cloudwatch_logs", group="/app", pattern=pattern, over="2h", **more)

    assert (await count(""))["count"] == pytest.approx(240 + 7, abs=1)
    assert (await count("?ERROR ?error"))["count"] == 2
    assert (await count('ERROR "no connection"'))["count"] == 1
    assert (await count("login -401"))["count"] == 1
    assert (await count('{ $.level = "err*" && $.status >= 500 }'))["count"] == 1
    found = await count("[ip, method, path, status=401 || status=403]", extract=r"^(\S+)")
    assert (found["count"], found["top_value"], found["top_count"]) == (4, "10.0.0.9", 3)
    query = (
        r'filter @message like /login/ | parse @message "* POST * *" as ip, path, status | stats count(*) as n by ip'
    )
    found = await look("cloudwatch_logs", group="/app", query=query, value="n", series="ip", over="2h")
    assert (found["count"], found["value{10.0.0.9}"], found["value{10.0.0.7}"]) == (4, 3, 1)
    with pytest.raises(ProbeError, match="unexpected symbol"):
        await look("cloudwatch_logs", group="/app", query="summon @message")
    with pytest.raises(ProbeError, match="log group does not exist"):
        await look("cloudwatch_logs", group="/other")


async def test_log_groups_and_lines_that_stop(aws: Aws, look: Look) -> None:
    await aws.logs.group("/kept", retention=14, size=2**20)
    await aws.logs.repeat("/kept", "INFO", timedelta(seconds=10), silent_for=timedelta(minutes=20))
    assert (await look("cloudwatch_log_groups", names="/kept"))["longest_retention"] == 14
    assert (await look("cloudwatch_logs", group="/kept", over="15m"))["count"] == 0
    await aws.logs.group("/kept")
    assert (await look("cloudwatch_log_groups", names="/kept"))["kept_for_ever"] == 1


async def test_costs(aws: Aws, look: Look) -> None:
    today = datetime.now(UTC).date()
    await aws.costs.put("AmazonEC2", 10)
    await aws.costs.put("AmazonRDS", 5)
    found = await look("aws_cost", days=10, budget=300, forecast=True)
    assert (found["spend"], found["change"], found["service_spend{AmazonEC2}"]) == (150, 0, 100)
    await aws.costs.put("AmazonEC2", 40, since=today - timedelta(days=10))
    found = await look("aws_cost", days=10, services="AmazonEC2")
    assert (found["spend"], found["change"]) == (400, 3)


async def test_a_load_balancer(aws: Aws, look: Look) -> None:
    targets = await aws.network.balancer("web", targets=3, idle_timeout=3600)
    found = await look("elb", load_balancer="web")
    assert (found["healthy"], found["unhealthy"], found["state"], found["idle_timeout"]) == (3, 0, "active", 3600)
    await aws.network.target(targets[0], "unhealthy", "Health checks failed")
    await aws.network.idle_timeout("web", 60)
    found = await look("elb", load_balancer="web")
    assert (found["healthy"], found["unhealthy"], found["idle_timeout"]) == (2, 1, 60)


async def test_what_stands_before_the_application(aws: Aws, look: Look) -> None:
    distribution = await aws.network.distribution("shop.example.com")
    assert (await look("cloudfront", distribution=distribution))["enabled"] == 1
    await aws.network.serve("shop.example.com", enabled=False)
    assert (await look("cloudfront", distribution=distribution))["enabled"] == 0
    group = await aws.network.security_group("shop-web", 80, 443)
    assert (await look("ec2_security_groups", groups="shop-*"))["open_rules"] == 0
    await aws.network.open_port(group, 22)
    assert (await look("ec2_security_groups", groups="shop-*"))["open_rules"] == 1
    await aws.network.close_port(group, 22)
    assert (await look("ec2_security_groups", groups="shop-*"))["open_rules"] == 0
    certificate = await aws.network.certificate("shop.example.com")
    assert (await look("acm", domains="shop.example.com"))["soonest_days_left"] == pytest.approx(200, abs=0.1)
    await aws.network.change_certificate(certificate, NotAfter={"ago": -5 * 86_400})
    assert (await look("acm", domains="shop.example.com"))["soonest_days_left"] == pytest.approx(5, abs=0.1)
    await aws.network.ip_set("blocked", "192.0.2.1/32")
    assert (await look("waf", ip_sets="blocked"))["missing_count"] == 0
    await aws.network.remove_ip_set("blocked")
    assert (await look("waf", ip_sets="blocked"))["missing_count"] == 1
    unused = await aws.network.unattached(ago=9 * DAY)
    found = await look("ec2_unattached", older_than="7d")
    assert (found["volumes"], found["addresses"]) == (1, 1)
    await aws.network.release(unused)
    assert (await look("ec2_unattached"))["volumes"] == 0


async def test_secrets_and_permissions(aws: Aws, look: Look) -> None:
    await aws.identity.secret("shop/database", rotated=10 * DAY)
    assert (await look("secrets_manager", names="shop/*"))["oldest_age"] == pytest.approx(864_000, abs=60)
    await aws.identity.rotated("shop/database", 120 * DAY)
    assert (await look("secrets_manager", names="shop/*"))["oldest_age"] == pytest.approx(120 * 86_400, abs=60)
    await aws.identity.role("app")
    await aws.identity.user("deploy")
    found = await look("iam")
    assert (found["roles"], found["unused_roles"], found["old_keys"], found["wildcard_policies"]) == (1, 0, 0, 0)
    await aws.identity.used("app", None)
    await aws.identity.user("deploy", key=100 * DAY)
    policy = await aws.identity.policy("everything", EVERYTHING)
    found = await look("iam")
    assert (found["unused_roles"], found["old_keys"], found["wildcard_policies"]) == (1, 1, 1)
    await aws.identity.remove_policy(policy)
    assert (await look("iam", aspects=["policies"]))["wildcard_policies"] == 0


async def test_refusals_and_an_endpoint_that_is_closed(aws: Aws, look: Look) -> None:
    await aws.buckets.create("shop")
    await aws.refuse("s3", "ListObjectsV2", "AccessDenied", "Access Denied", 403)
    with pytest.raises(ProbeError, match="s3:ListBucket"):
        await look("s3_backup", bucket="shop")
    await aws.allow("s3", "ListObjectsV2")
    assert (await look("s3_backup", bucket="shop"))["count"] == 0
    await aws.close_endpoint()
    assert not aws.running
    with pytest.raises(ProbeError, match="refused"):
        await look("s3_backup", bucket="shop")
    with pytest.raises(SandboxError, match="S3 is down"):
        await aws.buckets.put("shop", "key", b"content")
    await aws.open_endpoint()
    assert (await look("s3_backup", bucket="shop"))["count"] == 0


async def test_what_cannot_be_staged_says_why(aws: Aws) -> None:
    with pytest.raises(SandboxError, match="NoSuchBucket"):
        await aws.call("s3.list_objects_v2", Bucket="never-made")
    with pytest.raises(SandboxError, match="no_such_thing"):
        await aws.stage("metrics", "no_such_thing")
