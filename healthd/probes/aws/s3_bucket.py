"""`s3_bucket`: how a bucket is set up: versions, lifecycle, replication, encryption, who may read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.operations import Fields, Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, text_of
from healthd.probes.base import MeasureInfo, Observation

_BUCKET = "arn:aws:s3:::{Bucket}"


def _ask(method: str, action: str, *absent: str) -> Operation:
    return Operation("s3", method, f"s3:{action}", resource=_BUCKET, absent=absent)


VERSIONING = _ask("get_bucket_versioning", "GetBucketVersioning")
LIFECYCLE = _ask("get_bucket_lifecycle_configuration", "GetLifecycleConfiguration", "NoSuchLifecycleConfiguration")
REPLICATION = _ask("get_bucket_replication", "GetReplicationConfiguration", "ReplicationConfigurationNotFoundError")
ENCRYPTION = _ask(
    "get_bucket_encryption", "GetEncryptionConfiguration", "ServerSideEncryptionConfigurationNotFoundError"
)
OBJECT_LOCK = _ask(
    "get_object_lock_configuration", "GetBucketObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"
)
ACCESS_BLOCK = _ask("get_public_access_block", "GetBucketPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration")
POLICY_STATUS = _ask("get_bucket_policy_status", "GetBucketPolicyStatus", "NoSuchBucketPolicy")
ACL = _ask("get_bucket_acl", "GetBucketAcl")
LOGGING = _ask("get_bucket_logging", "GetBucketLogging")

_EVERYBODY = ("/groups/global/AllUsers", "/groups/global/AuthenticatedUsers")
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")

Aspect = Literal["versioning", "lifecycle", "replication", "encryption", "object_lock", "public_access", "logging"]
Found = dict[str, float | str | None]


async def _versioning(aws: Asker, bucket: str) -> Found:
    answer = await aws.answer(VERSIONING, Bucket=bucket)
    mfa = answer.get("MFADelete") == "Enabled"
    return {"versioning": answer.get("Status", "Disabled"), "mfa_delete": mfa}


async def _lifecycle(aws: Asker, bucket: str) -> Found:
    rules = (await aws.answer(LIFECYCLE, Bucket=bucket)).get("Rules", ())
    on = [rule for rule in rules if rule.get("Status") == "Enabled"]
    days = [rule["Expiration"]["Days"] for rule in on if "Days" in rule.get("Expiration", {})]
    old_versions = [rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays") for rule in on]
    return {
        "lifecycle_rules": len(on),
        "expiration": min(days, default=None),
        "noncurrent_expiration": min((d for d in old_versions if d), default=None),
        "incomplete_uploads_rule": any("AbortIncompleteMultipartUpload" in rule for rule in on),
    }


async def _replication(aws: Asker, bucket: str) -> Found:
    rules = (await aws.answer(REPLICATION, Bucket=bucket)).get("ReplicationConfiguration", {}).get("Rules", ())
    return {"replication_rules": sum(rule.get("Status") == "Enabled" for rule in rules)}


async def _encryption(aws: Asker, bucket: str) -> Found:
    answer = await aws.answer(ENCRYPTION, Bucket=bucket)
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    used = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules]
    return {"encryption": next((name for name in used if name), "none")}


async def _object_lock(aws: Asker, bucket: str) -> Found:
    lock = (await aws.answer(OBJECT_LOCK, Bucket=bucket)).get("ObjectLockConfiguration", {})
    return {"object_lock": lock.get("ObjectLockEnabled") == "Enabled"}


async def _public_access(aws: Asker, bucket: str) -> Found:
    block, status, acl = await asyncio.gather(
        aws.answer(ACCESS_BLOCK, Bucket=bucket),
        aws.answer(POLICY_STATUS, Bucket=bucket),
        aws.answer(ACL, Bucket=bucket),
    )
    blocks = block.get("PublicAccessBlockConfiguration", {})
    by_policy = bool(status.get("PolicyStatus", {}).get("IsPublic")) and not blocks.get("RestrictPublicBuckets")
    granted = [grant["Grantee"].get("URI", "") for grant in acl.get("Grants", ())]
    by_acl = any(uri.endswith(_EVERYBODY) for uri in granted) and not blocks.get("IgnorePublicAcls")
    return {"public_access_blocked": all(blocks.get(name) for name in _BLOCKS), "public": by_policy or by_acl}


async def _logging(aws: Asker, bucket: str) -> Found:
    return {"access_log": "LoggingEnabled" in await aws.answer(LOGGING, Bucket=bucket)}


# aspect: (how it is looked at, the measures it has, what is asked)
_ASPECTS: Mapping[Aspect, tuple[Callable[[Asker, str], Awaitable[Found]], tuple[str, ...], tuple[Operation, ...]]] = {
    "versioning": (_versioning, ("versioning", "mfa_delete"), (VERSIONING,)),
    "lifecycle": (
        _lifecycle,
        ("lifecycle_rules", "expiration", "noncurrent_expiration", "incomplete_uploads_rule"),
        (LIFECYCLE,),
    ),
    "replication": (_replication, ("replication_rules",), (REPLICATION,)),
    "encryption": (_encryption, ("encryption",), (ENCRYPTION,)),
    "object_lock": (_object_lock, ("object_lock",), (OBJECT_LOCK,)),
    "public_access": (_public_access, ("public_access_blocked", "public"), (ACCESS_BLOCK, POLICY_STATUS, ACL)),
    "logging": (_logging, ("access_log",), (LOGGING,)),
}


class S3BucketParams(AwsParams):
    """Which bucket, and what of it: `aspects` that are left out need no permission."""

    bucket: str = Field(min_length=3)
    aspects: tuple[Aspect, ...] = Field(tuple(_ASPECTS), min_length=1)


class S3BucketProbe(AwsProbe):
    """Reads a bucket's configuration, never its objects."""

    Params: ClassVar[type[base.Params]] = S3BucketParams
    operations: ClassVar[tuple[Operation, ...]] = (
        VERSIONING, LIFECYCLE, REPLICATION, ENCRYPTION, OBJECT_LOCK, ACCESS_BLOCK, POLICY_STATUS, ACL, LOGGING,
    )  # fmt: skip
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "versioning": text_of("Enabled, Suspended or Disabled"),
        "mfa_delete": count_of("1 when deleting a version takes a second factor"),
        "lifecycle_rules": count_of("rules in force"),
        "expiration": MeasureInfo(Unit.DAYS, "after which objects are deleted, of the strictest rule; absent without"),
        "noncurrent_expiration": MeasureInfo(Unit.DAYS, "after which old versions are deleted; absent without a rule"),
        "incomplete_uploads_rule": count_of("1 when uploads that were never finished are deleted"),
        "replication_rules": count_of("rules in force that copy to another bucket"),
        "encryption": text_of("AES256, aws:kms, aws:kms:dsse or none"),
        "object_lock": count_of("1 when objects can be locked against deletion"),
        "public_access_blocked": count_of("1 when all four blocks of public access are on"),
        "public": count_of("1 when its policy or its access list lets everybody in"),
        "access_log": count_of("1 when requests are logged"),
    }

    def measures_for(self, params: S3BucketParams) -> Mapping[str, MeasureInfo]:
        """Those of the aspects looked at."""
        return {name: self.measures[name] for aspect in params.aspects for name in _ASPECTS[aspect][1]}

    def needs(self, params: S3BucketParams) -> tuple[Operation, ...]:
        """What its parameters ask for."""
        return tuple(operation for aspect in params.aspects for operation in _ASPECTS[aspect][2])

    def fields(self, params: S3BucketParams) -> Fields:
        """The bucket."""
        return {"Bucket": (params.bucket,)}

    async def look(self, params: S3BucketParams, aws: Asker) -> Observation:
        """Ask for all aspects at once."""
        answers = await asyncio.gather(*(_ASPECTS[aspect][0](aws, params.bucket) for aspect in params.aspects))
        found: dict[str, Any] = {name: value for answer in answers for name, value in answer.items()}
        return Observation(self.measured(found))
