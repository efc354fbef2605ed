"""s3_bucket against moto: a bucket as it comes, one set up well, and what may not be read."""

from __future__ import annotations

from typing import Any

import pytest

from healthd.probes.base import ProbeError
from tests.component.aws.conftest import Through
from tests.component.looking import values
from tests.servers.aws import REGION, MotoServer, Refusal


@pytest.fixture
def bucket(moto: MotoServer) -> str:
    moto.client("s3").create_bucket(Bucket="videos", CreateBucketConfiguration={"LocationConstraint": REGION})
    return "videos"


@pytest.mark.probe("s3_bucket")
async def test_a_bucket_as_it_comes(bucket: str, through: Through) -> None:
    look = await through("s3_bucket")
    assert values(await look(bucket=bucket)) == {
        "versioning": "Disabled", "mfa_delete": 0, "lifecycle_rules": 0, "incomplete_uploads_rule": 0,
        "replication_rules": 0, "replication_regions": 0, "encryption": "none", "object_lock": 0,
        "public_access_blocked": 0, "public": 0, "access_log": 0,
    }  # fmt: skip


async def test_a_bucket_set_up_well(moto: MotoServer, bucket: str, through: Through) -> None:
    s3 = moto.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    rules = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3}},
        {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}},
        {
            "ID": "versions", "Status": "Enabled", "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        },
    ]  # fmt: skip
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    sse = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=sse)
    s3.create_bucket(Bucket="copy", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket="copy", VersioningConfiguration={"Status": "Enabled"})
    rule = {"ID": "r", "Status": "Enabled", "Prefix": "", "Destination": {"Bucket": "arn:aws:s3:::copy"}}
    configuration = {"Role": "arn:aws:iam::123456789012:role/copy", "Rules": [rule]}
    s3.put_bucket_replication(Bucket=bucket, ReplicationConfiguration=configuration)
    blocks = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=blocks)
    found = values(await (await through("s3_bucket"))(bucket=bucket))
    assert found["versioning"] == "Enabled"
    assert (found["lifecycle_rules"], found["expiration"], found["noncurrent_expiration"]) == (2, 3, 30)
    assert (found["incomplete_uploads_rule"], found["replication_rules"]) == (1, 1)
    assert (found["encryption"], found["public_access_blocked"], found["public"]) == ("aws:kms", 1, 0)


def copy_to(moto: MotoServer, bucket: str, target: str, region: str, **rule: Any) -> None:
    """Copies of a bucket's objects in another one, of that region."""
    s3 = moto.client("s3", region_name=region)
    where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=target, **where)
    one = {
        "ID": "r", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Disabled"}, "Destination": {"Bucket": f"arn:aws:s3:::{target}"}, **rule,
    }  # fmt: skip
    configuration = {"Role": "arn:aws:iam::123456789012:role/copy", "Rules": [one]}
    # moto forgets which keys a rule is for
    moto.answers["s3", "GetBucketReplication"] = lambda _: {"ReplicationConfiguration": configuration}


@pytest.mark.parametrize(
    ("region", "rule", "regions"),
    [
        ("us-east-1", {}, 1),  # S3 gives it no name
        ("eu-west-1", {}, 1),
        (REGION, {}, 0),
        ("us-east-1", {"Status": "Disabled"}, 0),
        ("us-east-1", {"Filter": {"Prefix": "other/"}}, 0),
        ("us-east-1", {"Filter": {"Prefix": "daily/full/"}}, 1),
    ],
)
async def test_copies_in_another_region(
    moto: MotoServer, bucket: str, through: Through, region: str, rule: dict[str, Any], regions: int
) -> None:
    copy_to(moto, bucket, "copy", region, **rule)
    seen = await (await through("s3_bucket"))(bucket=bucket, prefix="daily/", aspects=["replication_regions"])
    assert values(seen) == {"replication_regions": regions}
    assert bool(seen.note) is (regions == 0)


async def test_only_rules_for_the_prefix_count(moto: MotoServer, bucket: str, through: Through) -> None:
    rules = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "daily/"}, "Expiration": {"Days": 30}},
        {"ID": "scraps", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}},
        {
            "ID": "tagged", "Status": "Enabled", "Expiration": {"Days": 2},
            "Filter": {"And": {"Prefix": "videos/", "Tags": [{"Key": "a", "Value": "b"}]}},
        },
    ]  # fmt: skip
    moto.client("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    look = await through("s3_bucket")
    days = {
        prefix: values(await look(bucket=bucket, prefix=prefix, aspects=["lifecycle"])).get("expiration")
        for prefix in ("", "daily/", "daily/{date:%Y}/", "tmp/", "videos/", "other/")
    }
    assert days == {"": 1, "daily/": 30, "daily/{date:%Y}/": 30, "tmp/": 1, "videos/": 2, "other/": None}


async def test_public_by_its_access_list(moto: MotoServer, bucket: str, through: Through) -> None:
    look = await through("s3_bucket")
    moto.client("s3").put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert values(await look(bucket=bucket, aspects=["public_access"])) == {"public_access_blocked": 0, "public": 1}
    moto.client("s3").put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"IgnorePublicAcls": True})
    assert values(await look(bucket=bucket, aspects=["public_access"]))["public"] == 0


async def test_public_by_its_policy(moto: MotoServer, bucket: str, through: Through) -> None:
    moto.answers["s3", "GetBucketPolicyStatus"] = lambda _: {"PolicyStatus": {"IsPublic": True}}
    look = await through("s3_bucket")
    assert values(await look(bucket=bucket, aspects=["public_access"]))["public"] == 1


async def test_an_aspect_that_may_not_be_read_is_named(moto: MotoServer, bucket: str, through: Through) -> None:
    def deny(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("AccessDenied", "Access Denied", 403)

    moto.answers["s3", "GetBucketReplication"] = deny
    look = await through("s3_bucket")
    with pytest.raises(ProbeError, match="forbidden: needs s3:GetReplicationConfiguration on arn:aws:s3:::videos"):
        await look(bucket=bucket)
    assert values(await look(bucket=bucket, aspects=["versioning"])) == {"versioning": "Disabled", "mfa_delete": 0}


async def test_no_such_bucket(moto: MotoServer, through: Through) -> None:
    with pytest.raises(ProbeError, match="does not exist: nowhere") as caught:
        await (await through("s3_bucket"))(bucket="nowhere")
    assert caught.value.kind == "missing"
