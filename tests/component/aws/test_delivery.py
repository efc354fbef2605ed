"""Load balancers, CloudFront, certificates, WAF."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from healthd.probes import PROBES
from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.component.looking import evidence, values
from tests.servers.aws import REGION, MotoServer, Refusal

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def deny(_: dict[str, Any]) -> dict[str, Any]:
    raise Refusal("AccessDenied", "", 403)


# -- load balancers ------------------------------------------------------------------------------------------------


@pytest.fixture
def balancer(moto: MotoServer) -> str:
    """A load balancer with one target group."""
    ec2, elb = moto.client("ec2"), moto.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    places = [("10.0.0.0/24", f"{REGION}a"), ("10.0.1.0/24", f"{REGION}b")]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for block, zone in places
    ]
    arn = elb.create_load_balancer(Name="prod", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    attributes = {"idle_timeout.timeout_seconds": "60", "access_logs.s3.enabled": "false"}
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": value} for key, value in attributes.items()]
    )
    group = elb.create_target_group(Name="backend", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    group_arn = group["TargetGroups"][0]["TargetGroupArn"]
    action = {"Type": "forward", "TargetGroupArn": group_arn}
    elb.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[action])
    elb.register_targets(TargetGroupArn=group_arn, Targets=[{"Id": f"10.0.0.{i}", "Port": 80} for i in (4, 5)])
    return str(arn)


async def test_a_load_balancer(balancer: str, through: Through) -> None:
    look = await through("elb")
    expected = {
        "group_count": 1, "targets": 2, "healthy": 2, "unhealthy": 0, "changing": 0, "unused": 0, "healthy_ratio": 1,
        "state": "active", "idle_timeout": 60, "protected": 0, "logs": 0,
    }  # fmt: skip
    attributes = {"protected": "deletion_protection.enabled", "logs": "access_logs.s3.enabled", "none": "no.such"}
    assert values(await look(load_balancer="prod", attributes=attributes)) == expected
    assert values(await look(load_balancer=balancer, attributes=attributes)) == expected


async def test_targets_in_all_states(moto: MotoServer, balancer: str, through: Through) -> None:
    states = ["healthy", "unhealthy", "unavailable", "initial", "draining", "unused"]
    moto.answers["elbv2", "DescribeTargetHealth"] = lambda _: {
        "TargetHealthDescriptions": [
            {"Target": {"Id": f"i-{i}", "Port": 80}, "TargetHealth": {"State": s, "Description": f"it is {s}"}}
            for i, s in enumerate(states)
        ]
    }
    observation = await (await through("elb"))(target_groups="backend")
    assert values(observation) == {
        "group_count": 1, "targets": 6, "healthy": 1, "unhealthy": 2, "changing": 2, "unused": 1,
        "healthy_ratio": pytest.approx(1 / 3),
    }  # fmt: skip
    assert observation.note == "backend i-1:80: unhealthy it is unhealthy"
    assert evidence(observation, "Targets not healthy").count("\n") == 4


@pytest.mark.probe("elb")
async def test_a_group_without_targets(moto: MotoServer, balancer: str, through: Through) -> None:
    moto.answers["elbv2", "DescribeTargetHealth"] = lambda _: {"TargetHealthDescriptions": []}
    found = values(await (await through("elb"))(target_groups=["backend"]))
    assert (found["targets"], found["healthy"]) == (0, 0)
    assert "healthy_ratio" not in found


@pytest.mark.probe_failure("elb")
async def test_load_balancers_that_are_not_there(moto: MotoServer, through: Through) -> None:
    look = await through("elb")
    for params, said in (
        ({"load_balancer": "none"}, "no load balancer 'none'"),
        ({"target_groups": "none"}, "no target group 'none'"),
    ):
        with pytest.raises(ProbeError, match=said) as caught:
            await look(**params)
        assert caught.value.kind == "missing"


async def test_targets_that_may_not_be_seen(moto: MotoServer, balancer: str, through: Through) -> None:
    moto.answers["elbv2", "DescribeTargetHealth"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs elasticloadbalancing:DescribeTargetHealth"):
        await (await through("elb"))(load_balancer="prod")


# -- CloudFront ----------------------------------------------------------------------------------------------------


def serve_metrics(moto: MotoServer, **metrics: list[float]) -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        results = []
        for query in asked["MetricDataQueries"]:
            points = metrics.get(query["MetricStat"]["Metric"]["MetricName"].replace("4xx", "").replace("5xx", "_"), [])
            stamps = [NOW - timedelta(minutes=5 * (i + 1)) for i in range(len(points))]
            results.append({"Id": query["Id"], "Label": "x", "Timestamps": stamps, "Values": points})
        return {"MetricDataResults": [{**result, "StatusCode": "Complete"} for result in results]}

    moto.answers["cloudwatch", "GetMetricData"] = answer


def serve_distribution(moto: MotoServer) -> None:
    config = {"CallerReference": "x", "Origins": {"Quantity": 0, "Items": []}, "Comment": "", "Enabled": True}
    behaviour = {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"}
    moto.answers["cloudfront", "GetDistribution"] = lambda _: {
        "Distribution": {
            "Id": "EABC", "ARN": "arn", "Status": "Deployed", "LastModifiedTime": NOW, "DomainName": "d",
            "InProgressInvalidationBatches": 0, "DistributionConfig": {**config, "DefaultCacheBehavior": behaviour},
        }
    }  # fmt: skip


@pytest.mark.probe("cloudfront")
async def test_cache_hits_weighted_by_requests(moto: MotoServer, through: Through) -> None:
    serve_distribution(moto)
    serve_metrics(moto, Requests=[900, 100], CacheHitRate=[90, 10], ErrorRate=[1, 1])
    look = await through("cloudfront")
    look.looker.now = NOW
    assert values(await look(distribution="EABC")) == {
        "requests": 1000, "cache_hit_rate": pytest.approx(0.82), "error_4xx_rate": pytest.approx(0.01),
        "status": "Deployed", "enabled": 1,
    }  # fmt: skip
    assert moto.count("cloudwatch") == 1


async def test_no_cache_hit_rate_is_not_zero(moto: MotoServer, through: Through) -> None:
    serve_metrics(moto)
    observation = await (await through("cloudfront"))(distribution="EABC", status=False)
    assert values(observation) == {"requests": 0}
    assert "are additional metrics on" in observation.note


@pytest.mark.probe_failure("cloudfront")
async def test_no_such_distribution(moto: MotoServer, through: Through) -> None:
    serve_metrics(moto)
    with pytest.raises(ProbeError) as caught:
        await (await through("cloudfront"))(distribution="ENONE")
    assert caught.value.kind == "missing"


# -- certificates --------------------------------------------------------------------------------------------------


def serve_certificates(moto: MotoServer) -> None:
    def certificate(name: str, days: float | None, status: str = "ISSUED", **more: Any) -> dict[str, Any]:
        until = {} if days is None else {"NotAfter": NOW + timedelta(days=days)}
        return {"CertificateArn": "arn", "DomainName": name, "Status": status, "InUse": True, **until, **more}

    pages = {
        None: {
            "CertificateSummaryList": [
                certificate("a.example", 10, RenewalEligibility="INELIGIBLE"),
                certificate("a.example", 200, RenewalEligibility="ELIGIBLE"),
                certificate("*.example", 40, SubjectAlternativeNameSummaries=["example"]),
            ],
            "NextToken": "2",
        },
        "2": {
            "CertificateSummaryList": [
                certificate("old.test", -3, "EXPIRED", InUse=False), certificate("new.test", None, "PENDING_VALIDATION")
            ]
        },
    }  # fmt: skip
    moto.answers["acm", "ListCertificates"] = lambda asked: pages[asked.get("NextToken")]


@pytest.mark.probe("acm")
async def test_certificates_by_domain(moto: MotoServer, through: Through) -> None:
    serve_certificates(moto)
    look = await through("acm")
    look.looker.now = NOW
    assert values(await look()) == {
        "count": 5, "soonest_days_left": -3, "not_issued": 2, "not_renewable": 1, "days_left{a.example}": 200,
        "days_left{*.example}": 40, "days_left{old.test}": -3, "status{a.example}": "ISSUED",
        "status{*.example}": "ISSUED", "status{old.test}": "EXPIRED", "status{new.test}": "PENDING_VALIDATION",
    }  # fmt: skip
    assert values(await look(in_use=True))["count"] == 4
    asked = next(a.parameters for a in moto.asked if a.operation == "ListCertificates")
    assert "EC_prime256v1" in asked["Includes"]["keyTypes"]


async def test_domains_that_have_to_be_there(moto: MotoServer, through: Through) -> None:
    serve_certificates(moto)
    observation = await (await through("acm"))(domains=["example", "b.example", "*.test"])
    found = values(observation)
    assert (found["count"], found["missing_count"], observation.note) == (3, 1, "no certificate for b.example")


async def test_certificates_of_moto(moto: MotoServer, through: Through) -> None:
    look = await through("acm")
    assert (await look()).note == "no certificates"
    moto.client("acm").request_certificate(DomainName="shop.example")
    assert values(await look())["count"] == 1


@pytest.mark.probe_failure("acm")
async def test_certificates_that_may_not_be_listed(moto: MotoServer, through: Through) -> None:
    moto.answers["acm", "ListCertificates"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs acm:ListCertificates"):
        await (await through("acm"))()


# -- WAF -----------------------------------------------------------------------------------------------------------

SEEN = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "m"}


@pytest.fixture
def acl(moto: MotoServer) -> str:
    waf = moto.client("wafv2")
    waf.create_ip_set(
        Name="blocked", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=["192.0.2.0/24", "203.0.113.7/32"]
    )
    country = {"GeoMatchStatement": {"CountryCodes": ["AQ"]}}
    rules = [
        {"Name": n, "Priority": i, "Statement": country, "Action": {action: {}}, "VisibilityConfig": SEEN}
        for i, (n, action) in enumerate((("block-some", "Block"), ("count-some", "Count")))
    ]
    waf.create_web_acl(Name="prod", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=SEEN, Rules=rules)
    moto.answers["wafv2", "ListResourcesForWebACL"] = lambda asked: {
        "ResourceArns": ["arn:lb"] if asked["ResourceType"] == "APPLICATION_LOAD_BALANCER" else []
    }
    return "prod"


@pytest.mark.probe("waf")
async def test_a_web_acl_and_its_sets(acl: str, through: Through) -> None:
    observation = await (await through("waf"))(web_acl=acl, ip_sets=["blocked"])
    found = values(observation)
    assert {k: v for k, v in found.items() if k != "capacity"} == {
        "rules": 2, "blocking_rules": 1, "default_action": "allow", "resources": 1, "addresses{blocked}": 2,
        "missing_count": 0,
    }  # fmt: skip
    assert evidence(observation, "Rules") == "0 block-some: block\n1 count-some: count"


async def test_what_is_not_there(moto: MotoServer, through: Through) -> None:
    observation = await (await through("waf"))(web_acl="none", ip_sets=["gone"])
    assert values(observation) == {"missing_count": 2}
    assert observation.note == "no web ACL none, no IP set gone"


async def test_lists_that_boto_cannot_page(moto: MotoServer, through: Through) -> None:
    def page(asked: dict[str, Any]) -> dict[str, Any]:
        if "NextMarker" not in asked:
            return {"IPSets": [{"Name": "a", "Id": "1", "ARN": "arn:1"}], "NextMarker": "m"}
        return {"IPSets": [{"Name": "b", "Id": "2", "ARN": "arn:2"}]}

    moto.answers["wafv2", "ListIPSets"] = page
    moto.answers["wafv2", "GetIPSet"] = lambda asked: {
        "IPSet": {"Name": "b", "Id": "2", "ARN": "arn:2", "IPAddressVersion": "IPV4", "Addresses": ["192.0.2.1/32"]}
    }
    found = values(await (await through("waf"))(ip_sets="b", scope="CLOUDFRONT"))
    assert found == {"addresses{b}": 1, "missing_count": 0}


@pytest.mark.probe_failure("waf")
async def test_a_web_acl_that_may_not_be_read(moto: MotoServer, acl: str, through: Through) -> None:
    moto.answers["wafv2", "ListResourcesForWebACL"] = deny
    observation = await (await through("waf"))(web_acl=acl)
    assert (values(observation)["rules"], "resources" in values(observation)) == (2, False)
    assert observation.note.startswith("no resources: forbidden: needs wafv2:ListResourcesForWebACL")
    moto.answers["wafv2", "GetWebACL"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs wafv2:GetWebACL"):
        await (await through("waf"))(web_acl=acl)


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("elb", {}, "name a load_balancer, or target_groups"),
        ("elb", {"target_groups": "a", "attributes": {"x": "y"}}, "attributes are those of a load_balancer"),
        ("elb", {"load_balancer": "a", "attributes": {"healthy": "y"}}, "is a measure of the probe itself"),
        ("cloudfront", {"distribution": "https://d1.cloudfront.net"}, "should match pattern"),
        ("waf", {}, "name a web_acl, or ip_sets"),
    ],
)
def test_parameters_that_make_no_sense(kind: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PROBES[kind].Params(**params)
    assert message in str(caught.value)
