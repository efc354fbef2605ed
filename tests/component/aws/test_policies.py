"""What probes may ask: the pages show it, and it is enough, by the word of a server that enforces it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from healthd.probes import PROBES
from healthd.probes.aws.operations import policy_document
from healthd.probes.aws.policy import policy
from healthd.probes.aws.probe import AwsProbe
from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.servers.aws import REGION, MotoServer

AWS_PROBES = {kind: probe for kind, probe in PROBES.items() if isinstance(probe, AwsProbe)}
PAGES = sorted((Path(__file__).parents[3] / "docs/probes").glob("aws_*.md"))


def shown() -> dict[str, Any]:
    """The policy on the pages, by type."""
    found = {}
    for page in PAGES:
        for section in re.split(r"^## ", page.read_text(), flags=re.MULTILINE)[1:]:
            [document] = re.findall(r"^```json\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
            found[section.split()[0]] = json.loads(document)
    return found


def test_every_page_shows_the_policy_that_the_code_needs() -> None:
    assert shown() == {kind: policy(kind) for kind in AWS_PROBES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_on_the_pages_can_be_used(page: Path) -> None:
    for example in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        for check in yaml.safe_load(example)["checks"]:
            kind = check["probe"].pop("type")
            params = AWS_PROBES[kind].Params(**check["probe"])
            known = AWS_PROBES[kind].measures_for(params) or {}
            rows = check["thresholds"] if isinstance(check["thresholds"], list) else [check["thresholds"]]
            assert {row["measure"] for row in rows} <= known.keys()


# Types that moto can enforce policies for, and what each looks at.
LOOKS: dict[str, dict[str, Any]] = {
    "s3_backup": {"bucket": "backups"},
    "s3_bucket": {"bucket": "backups"},
    "rds_instance": {"instance": "db", "storage": True},
    "rds_snapshots": {"instance": "db"},
    "elasticache": {"cluster": "cache", "snapshots": False},
    "cloudwatch_metric": {"namespace": "App", "metric": "Errors"},
    "cloudwatch_alarms": {},
    "cloudwatch_logs": {"group": "/app"},
    "cloudwatch_log_groups": {},
    "elb": {"load_balancer": "lb"},
    "acm": {},
    "waf": {"web_acl": "acl"},
    "iam": {},
    "ec2_security_groups": {},
    "ec2_unattached": {},
}


def prepare(moto: MotoServer) -> None:
    """With the rights of an administrator: something to look at for all of them."""
    moto.answers["rds", "DescribePendingMaintenanceActions"] = lambda _: {"PendingMaintenanceActions": []}
    moto.answers["wafv2", "ListResourcesForWebACL"] = lambda _: {"ResourceArns": []}
    moto.client("s3").create_bucket(Bucket="backups", CreateBucketConfiguration={"LocationConstraint": REGION})
    moto.client("rds").create_db_instance(
        DBInstanceIdentifier="db", DBInstanceClass="db.t3.small", Engine="postgres", AllocatedStorage=20
    )
    moto.client("elasticache").create_cache_cluster(
        CacheClusterId="cache", CacheNodeType="cache.t3.micro", Engine="redis", NumCacheNodes=1
    )
    moto.client("logs").create_log_group(logGroupName="/app")
    ec2 = moto.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for i, zone in enumerate("ab")
    ]
    moto.client("elbv2").create_load_balancer(Name="lb", Subnets=subnets)
    visible = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}
    moto.client("wafv2").create_web_acl(
        Name="acl", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=visible, Rules=[]
    )


def as_moto_has_it(document: dict[str, Any]) -> dict[str, Any]:
    """moto calls CloudWatch's actions by what requests to it are signed for, and knows resources of S3 only."""
    text = json.dumps(document).replace("cloudwatch:", "monitoring:")
    return json.loads(re.sub(r'"arn:aws:(?!s3)[^"]*"', '"*"', text))  # type: ignore[no-any-return]


@pytest.fixture
def guarded(moto: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`guarded(document)`: from then on moto enforces IAM, and healthd is a user with that policy."""
    prepare(moto)
    iam = moto.client("iam")
    iam.create_user(UserName="healthd")
    key = iam.create_access_key(UserName="healthd")["AccessKey"]

    def guard(document: dict[str, Any]) -> None:
        iam.put_user_policy(UserName="healthd", PolicyName="p", PolicyDocument=json.dumps(as_moto_has_it(document)))
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        httpx.post(f"{moto.url}/moto-api/reset-auth", content=b"0")

    yield guard
    httpx.post(f"{moto.url}/moto-api/reset-auth", content=b"inf")


def least(looks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The policy for looks with just these parameters, as `healthd permissions` prints it."""
    allowed = [
        one for kind, params in looks.items() for _, one in AWS_PROBES[kind].allows(AWS_PROBES[kind].Params(**params))
    ]
    return policy_document(allowed)


async def test_the_policy_is_enough(guarded: Any, through: Through) -> None:
    guarded(least(LOOKS))
    for kind, params in LOOKS.items():
        await (await through(kind))(**params)


# What else can be asked with parameters that ask for less, or more.
VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    *LOOKS.items(),
    ("s3_bucket", {"bucket": "backups", "aspects": ["versioning", "public_access"]}),
    ("rds_instance", {"instance": "db", "maintenance": False}),
    ("elasticache", {"cluster": "cache"}),
    ("iam", {"aspects": ["roles"]}),
    ("iam", {"aspects": ["users"]}),
    ("waf", {"ip_sets": ["blocked"]}),
)


@pytest.mark.parametrize(("kind", "params"), VARIANTS, ids=lambda value: value if isinstance(value, str) else "")
async def test_what_is_declared_for_some_parameters_is_what_is_asked(
    moto: MotoServer, through: Through, kind: str, params: dict[str, Any]
) -> None:
    prepare(moto)
    moto.client("wafv2").create_ip_set(Name="blocked", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=[])
    before = len(moto.asked)
    await (await through(kind))(**params)
    asked = {one.operation.lower() for one in moto.asked[before:]}
    probe = AWS_PROBES[kind]
    declared = {operation.method.replace("_", "") for operation in probe.needs(probe.Params(**params))}
    assert asked == declared - {"describetargethealth"}, "there is no target group to ask of"


async def test_without_it_every_probe_names_what_it_needs(guarded: Any, through: Through) -> None:
    nothing = {"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"}
    guarded({"Version": "2012-10-17", "Statement": [nothing]})
    for kind, params in LOOKS.items():
        with pytest.raises(ProbeError) as caught:
            await (await through(kind))(**params)
        actions = [action for statement in policy(kind)["Statement"] for action in statement["Action"]]
        assert caught.value.kind == "forbidden", kind
        said = caught.value.reason.replace("monitoring:", "cloudwatch:")
        assert any(said.startswith(f"forbidden: needs {action}") for action in actions), said
