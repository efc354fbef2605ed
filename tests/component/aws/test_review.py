"""What a review of the account looks at: costs, permissions, open ports, leftovers, secrets."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from healthd.probes.aws.wide_policies import allows_everything
from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.component.looking import evidence, values
from tests.servers.aws import MotoServer, Refusal

NOW = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def deny(_: dict[str, Any]) -> dict[str, Any]:
    raise Refusal("AccessDeniedException", "", 400)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


# -- costs ---------------------------------------------------------------------------------------------------------


def serve_costs(moto: MotoServer, per_day: float = 10.0) -> None:
    """EC2 costs `per_day` since March and half of that before; S3 1.0 on every day. Two days a page."""

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        start, end = (date.fromisoformat(asked["TimePeriod"][key]) for key in ("Start", "End"))
        days = [start + timedelta(days=i) for i in range((end - start).days)]
        first = int(asked.get("NextPageToken", 0))
        results = [
            {
                "TimePeriod": {"Start": str(day), "End": str(day + timedelta(days=1))},
                "Groups": [
                    {"Keys": [service], "Metrics": {asked["Metrics"][0]: {"Amount": str(amount), "Unit": "USD"}}}
                    for service, amount in (("EC2", per_day if day >= date(2026, 3, 1) else per_day / 2), ("S3", 1.0))
                ],
            }
            for day in days[first : first + 2]
        ]
        more = {"NextPageToken": str(first + 2)} if first + 2 < len(days) else {}
        return {"ResultsByTime": results, **more}

    moto.answers["ce", "GetCostAndUsage"] = answer


async def test_this_month_against_last(moto: MotoServer, through: Through) -> None:
    serve_costs(moto)
    look = await through("aws_cost")
    look.looker.now = NOW
    observation = await look(budget=242)
    assert values(observation) == {
        "spend": 121, "previous": 60, "change": pytest.approx(50 / 60), "budget_ratio": 0.5, "currency": "USD",
        "service_spend{EC2}": 110, "service_spend{S3}": 11,
    }  # fmt: skip
    assert evidence(observation, "By service") == "EC2: 110.00 (before 50.00)\nS3: 11.00 (before 10.00)"


async def test_the_last_days_against_those_before(moto: MotoServer, through: Through) -> None:
    serve_costs(moto)
    look = await through("aws_cost")
    look.looker.now = NOW
    found = values(await look(days=10, services="EC2", tags={"team": "web"}))
    assert (found["spend"], found["previous"]) == (110, 60)
    asked = moto.asked[0].parameters
    assert asked["TimePeriod"] == {"Start": "2026-02-19", "End": "2026-03-12"}
    assert asked["Filter"] == {
        "And": [
            {"Tags": {"Key": "team", "Values": ["web"]}},
            {"Dimensions": {"Key": "SERVICE", "Values": ["EC2"]}},
        ]
    }


@pytest.mark.parametrize(
    ("now", "spend", "previous"),
    [("2026-03-01", 11, 0), ("2026-03-31", 341, 28 * 6)],
    ids=["first day", "a day that last month had not"],
)
async def test_ends_of_a_month(moto: MotoServer, through: Through, now: str, spend: float, previous: float) -> None:
    serve_costs(moto)
    look = await through("aws_cost")
    look.looker.now = datetime.fromisoformat(f"{now}T08:00:00+00:00")
    found = values(await look())
    assert (found["spend"], found["previous"]) == (spend, previous)
    assert ("change" in found) == bool(previous)


@pytest.mark.probe("aws_cost")
async def test_a_forecast(moto: MotoServer, through: Through) -> None:
    serve_costs(moto)
    moto.answers["ce", "GetCostForecast"] = lambda _: {"Total": {"Amount": "231", "Unit": "USD"}}
    look = await through("aws_cost")
    look.looker.now = NOW
    found = values(await look(forecast=True, budget=341))
    assert (found["forecast"], found["forecast_ratio"]) == (341, 1)
    asked = next(a.parameters for a in moto.asked if a.operation == "GetCostForecast")
    assert asked["TimePeriod"] == {"Start": "2026-03-11", "End": "2026-04-01"}


async def test_a_forecast_that_may_not_be_had_leaves_the_rest(moto: MotoServer, through: Through) -> None:
    serve_costs(moto)
    moto.answers["ce", "GetCostForecast"] = deny
    look = await through("aws_cost")
    look.looker.now = NOW
    observation = await look(forecast=True)
    assert values(observation)["spend"] == 121
    assert observation.note == "no forecast: forbidden: needs ce:GetCostForecast"


async def test_no_costs_at_all(moto: MotoServer, through: Through) -> None:
    assert values(await (await through("aws_cost"))()) == {"spend": 0, "previous": 0}


@pytest.mark.probe_failure("aws_cost")
async def test_costs_that_may_not_be_seen(moto: MotoServer, through: Through) -> None:
    moto.answers["ce", "GetCostAndUsage"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs ce:GetCostAndUsage"):
        await (await through("aws_cost"))()


# -- permissions ---------------------------------------------------------------------------------------------------


@pytest.mark.probe("iam")
async def test_policies_and_administrators(moto: MotoServer, through: Through, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    httpx.post(f"{moto.url}/moto-api/reset")
    iam = moto.client("iam")
    trust = document()
    for name in ("app", "wide"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName="wide", PolicyName="all", PolicyDocument=document(EVERYTHING))
    iam.put_role_policy(RoleName="app", PolicyName="s3", PolicyDocument=document({**EVERYTHING, "Action": "s3:*"}))
    iam.create_policy(PolicyName="also-wide", PolicyDocument=document(EVERYTHING))
    iam.create_user(UserName="ann")
    iam.attach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    look = await through("iam")
    observation = await look(aspects=["policies", "roles"])
    assert values(observation) == {"wildcard_policies": 2, "administrators": 1, "roles": 2, "unused_roles": 0}
    assert evidence(observation, "Administrators") == "user ann"
    assert "role wide, inline all" in evidence(observation, "Policies that allow everything")
    assert values(await look(aspects=["policies"], ignore=["wide", "also-wide"]))["wildcard_policies"] == 0


async def test_unused_roles_over_several_pages(moto: MotoServer, through: Through) -> None:
    def role(name: str, used_days: float | None, path: str = "/", made_days: float = 400) -> dict[str, Any]:
        used = {} if used_days is None else {"LastUsedDate": NOW - timedelta(days=used_days)}
        return {
            "RoleName": name, "Path": path, "RoleId": name, "Arn": name, "CreateDate": NOW - timedelta(days=made_days),
            "RoleLastUsed": used,
        }  # fmt: skip

    pages = {
        None: {"RoleDetailList": [role("busy", 2), role("idle", 100)], "IsTruncated": True, "Marker": "2"},
        "2": {
            "RoleDetailList": [
                role("never", None), role("new", None, made_days=3),
                role("AWSServiceRoleForX", None, "/aws-service-role/x.amazonaws.com/"),
            ],
            "IsTruncated": False,
        },
    }  # fmt: skip
    moto.answers["iam", "GetAccountAuthorizationDetails"] = lambda asked: pages[asked.get("Marker")]
    look = await through("iam")
    look.looker.now = NOW
    observation = await look(aspects=["roles"])
    assert values(observation) == {"roles": 4, "unused_roles": 2}
    assert evidence(observation, "Unused roles") == "idle: last used 100d ago\nnever: never used"


COLUMNS = (
    "user,arn,user_creation_time,password_enabled,password_last_used,mfa_active,"
    "access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
    "access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date"
)
REPORT = f"""{COLUMNS}
<root_account>,arn,2020-01-01T00:00:00+00:00,not_supported,2025-01-01T00:00:00+00:00,true,false,N/A,N/A,false,N/A,N/A
ann,arn,2025-01-01T00:00:00+00:00,true,2026-03-01T00:00:00+00:00,true,true,2026-03-01T00:00:00+00:00,N/A,false,N/A,N/A
bob,arn,2025-01-01T00:00:00+00:00,true,no_information,false,true,2025-03-11T12:00:00+00:00,2025-04-01T00:00:00Z,false,N/A,N/A
new,arn,2026-03-10T00:00:00+00:00,true,N/A,true,false,N/A,N/A,false,N/A,N/A
"""


async def test_users_and_keys_from_the_report(moto: MotoServer, through: Through) -> None:
    waits = [2]

    def report(_: dict[str, Any]) -> dict[str, Any]:
        waits[0] -= 1
        if waits[0] >= 0:
            raise Refusal("ReportInProgress" if waits[0] == 0 else "ReportNotPresent", "not yet", 404)
        return {"Content": REPORT.encode(), "ReportFormat": "text/csv"}

    moto.answers["iam", "GetCredentialReport"] = report
    moto.answers["iam", "GenerateCredentialReport"] = lambda _: {"State": "STARTED"}
    look = await through("iam")
    look.looker.now = NOW
    observation = await look(aspects=["users"])
    assert values(observation) == {
        "users": 3, "unused_users": 1, "access_keys": 2, "unused_keys": 1, "old_keys": 1,
        "oldest_key_age": 365 * 86400, "without_mfa": 1, "root_mfa": 1, "root_keys": 0,
    }  # fmt: skip
    assert evidence(observation, "Old keys") == "bob's key 1: 365d old"
    assert evidence(observation, "Without a second factor") == "bob"
    assert values(await look(aspects=["users"], ignore="bob"))["without_mfa"] == 0


async def test_the_report_of_moto(moto: MotoServer, through: Through) -> None:
    iam = moto.client("iam")
    iam.create_user(UserName="ann")
    iam.create_login_profile(UserName="ann", Password="correct-Horse-7")
    iam.create_access_key(UserName="ann")
    found = values(await (await through("iam"))(aspects=["users"]))
    assert (found["users"], found["without_mfa"], found["access_keys"], found["old_keys"]) == (1, 1, 1, 0)


@pytest.mark.probe_failure("iam")
async def test_permissions_that_may_not_be_read(moto: MotoServer, through: Through) -> None:
    moto.answers["iam", "GetAccountAuthorizationDetails"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs iam:GetAccountAuthorizationDetails"):
        await (await through("iam"))(aspects=["roles"])


@pytest.mark.parametrize(
    ("statement", "wide"),
    [
        (EVERYTHING, True),
        ({"Effect": "Allow", "Action": ["s3:*", "*"], "Resource": ["*"]}, True),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        ({**EVERYTHING, "Effect": "Deny"}, False),
        ({**EVERYTHING, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}, False),
        ({**EVERYTHING, "Action": "s3:*"}, False),
        ({**EVERYTHING, "Resource": "arn:aws:s3:::b/*"}, False),
    ],
)
def test_policies_that_allow_everything(statement: dict[str, Any], wide: bool) -> None:
    assert allows_everything({"Statement": statement}) == wide
    assert allows_everything({"Statement": [statement]}) == wide


# -- open ports ----------------------------------------------------------------------------------------------------


def rule(protocol: str, first: int, last: int, *, v4: str = "", v6: str = "") -> dict[str, Any]:
    return {
        "IpProtocol": protocol, "FromPort": first, "ToPort": last,
        "IpRanges": [{"CidrIp": v4}] if v4 else [], "Ipv6Ranges": [{"CidrIpv6": v6}] if v6 else [],
    }  # fmt: skip


@pytest.mark.probe("ec2_security_groups")
async def test_what_is_open_to_the_world(moto: MotoServer, through: Through) -> None:
    ec2 = moto.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    rules = {
        "web": [rule("tcp", 443, 443, v4="0.0.0.0/0"), rule("icmp", -1, -1, v4="0.0.0.0/0")],
        "ssh": [rule("tcp", 22, 22, v6="::/0")],
        "range": [rule("tcp", 80, 90, v4="0.0.0.0/0")],
        "inner": [rule("tcp", 5432, 5432, v4="10.0.0.0/16"), rule("tcp", 22, 22, v4="203.0.113.0/24")],
        "all": [rule("-1", -1, -1, v4="0.0.0.0/1")],
    }
    for name, permissions in rules.items():
        group = ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)
    look = await through("ec2_security_groups")
    observation = await look(groups=list(rules))
    assert values(observation) == {"groups": 5, "open_groups": 3, "open_rules": 3, "open_everything": 1}
    lines = sorted(line.partition("(")[2] for line in evidence(observation, "Open to the world").splitlines())
    assert lines == ["all): everything from 0.0.0.0/1", "range): tcp 80-90 from 0.0.0.0/0", "ssh): tcp 22 from ::/0"]
    narrowed = values(await look(groups=list(rules), ignore=["all"], allowed_ports=[22, *range(80, 91), 443]))
    assert narrowed["open_rules"] == 0
    assert values(await look(groups=["web"], allowed_icmp=False))["open_rules"] == 1
    assert values(await look(vpc="vpc-none"))["groups"] == 0


@pytest.mark.probe_failure("ec2_security_groups")
async def test_groups_that_may_not_be_seen(moto: MotoServer, through: Through) -> None:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)

    moto.answers["ec2", "DescribeSecurityGroups"] = refuse
    with pytest.raises(ProbeError, match="forbidden: needs ec2:DescribeSecurityGroups"):
        await (await through("ec2_security_groups"))()


# -- leftovers -----------------------------------------------------------------------------------------------------


@pytest.mark.probe("ec2_unattached")
async def test_volumes_and_addresses_of_nobody(moto: MotoServer, through: Through) -> None:
    ec2 = moto.client("ec2")
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "spare"}]}]
    ec2.create_volume(AvailabilityZone="eu-central-1a", Size=8, TagSpecifications=tags)
    ec2.create_volume(AvailabilityZone="eu-central-1a", Size=2)
    ec2.allocate_address(Domain="vpc")
    look = await through("ec2_unattached")
    look.looker.now = datetime.now(UTC) + timedelta(days=10)
    observation = await look()
    found = values(observation)
    assert (found["volumes"], found["volumes_size"], found["addresses"]) == (2, 10 * 2**30, 1)
    assert found["oldest_volume_age"] == pytest.approx(10 * 86400, abs=60)
    assert "spare: 8 GiB" in evidence(observation, "Attached to nothing")
    assert values(await look(ignore="spare"))["volumes"] == 1
    assert values(await look(older_than="11d")) == {"volumes": 0, "volumes_size": 0, "addresses": 1}


@pytest.mark.probe_failure("ec2_unattached")
async def test_leftovers_that_may_not_be_seen(moto: MotoServer, through: Through) -> None:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("UnauthorizedOperation", "", 403)

    moto.answers["ec2", "DescribeAddresses"] = refuse
    with pytest.raises(ProbeError, match="forbidden: needs ec2:DescribeAddresses"):
        await (await through("ec2_unattached"))()


# -- secrets -------------------------------------------------------------------------------------------------------


@pytest.mark.probe("secrets_manager")
async def test_ages_of_secrets(moto: MotoServer, through: Through) -> None:
    def secret(name: str, **dates: float) -> dict[str, Any]:
        return {"Name": name, **{key: NOW - timedelta(days=days) for key, days in dates.items()}}

    pages = {
        None: {
            "SecretList": [
                secret("prod/db", CreatedDate=400, LastChangedDate=100, LastRotatedDate=95, LastAccessedDate=1)
                | {"RotationEnabled": True, "NextRotationDate": NOW - timedelta(days=5)},
                secret("prod/old", CreatedDate=200),
            ],
            "NextToken": "2",
        },
        "2": {"SecretList": [secret("test/x", CreatedDate=1), secret("prod/gone", CreatedDate=900, DeletedDate=1)]},
    }
    moto.answers["secretsmanager", "ListSecrets"] = lambda asked: pages[asked.get("NextToken")]
    look = await through("secrets_manager")
    look.looker.now = NOW
    observation = await look(names=["prod/*", "prod/api"])
    assert values(observation) == {
        "count": 2, "oldest_age": 200 * 86400, "never_rotated": 1, "rotation_off": 1, "rotation_overdue": 1,
        "unused": 1, "missing_count": 1, "age{prod/db}": 95 * 86400, "age{prod/old}": 200 * 86400,
    }  # fmt: skip
    assert observation.note == "no secret prod/api"
    assert (await look(names=["stage/*"])).note == "no secret stage/*"


async def test_the_value_of_a_secret_is_never_asked_for(moto: MotoServer, through: Through) -> None:
    moto.client("secretsmanager").create_secret(Name="prod/db", SecretString="hunter2hunter2")
    moto.asked.clear()
    observation = await (await through("secrets_manager"))()
    assert values(observation)["count"] == 1
    assert {asked.operation for asked in moto.asked} == {"ListSecrets"}
    assert "hunter2" not in str(observation)


async def test_secrets_that_may_not_be_listed(moto: MotoServer, through: Through) -> None:
    moto.answers["secretsmanager", "ListSecrets"] = deny
    with pytest.raises(ProbeError, match="forbidden: needs secretsmanager:ListSecrets"):
        await (await through("secrets_manager"))()
