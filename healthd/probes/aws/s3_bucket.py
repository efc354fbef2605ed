"""`s3_bucket`: how a bucket is set up: versions, lifecycle, replication, encryption, who may read it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from healthd.model.units import Unit
from healthd.probes import base
from healthd.probes.aws.operations import Fields, Operation
from healthd.probes.aws.params import AwsParams
from healthd.probes.aws.probe import Asker, AwsProbe, count_of, text_of
from healthd.probes.base import MeasureInfo, Observation
from healthd.probes.date_template import check_dates, fill_dates

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
# asked of the buckets that are copied to as well, which are known from the answer only
LOCATION = Operation("s3", "get_bucket_location", "s3:GetBucketLocation", resource="arn:aws:s3:::*")

_EVERYBODY = ("/groups/global/AllUsers", "/groups/global/AuthenticatedUsers")
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
# what the location of a bucket is called where its name is older than regions'
_LOCATIONS = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}

Aspect = Literal[
    "versioning", "lifecycle", "replication", "replication_regions", "encryption", "object_lock", "public_access",
    "logging",
]  # fmt: skip
Found = dict[str, float | str | None]
Look = Callable[[Asker, str, str], Awaitable[Found]]  # of the bucket, for keys with the prefix


async def _versioning(aws: Asker, bucket: str, _: str) -> Found:
    answer = await aws.answer(VERSIONING, Bucket=bucket)
    mfa = answer.get("MFADelete") == "Enabled"
    return {"versioning": answer.get("Status", "Disabled"), "mfa_delete": mfa}


async def _lifecycle(aws: Asker, bucket: str, prefix: str) -> Found:
    on = _in_force((await aws.answer(LIFECYCLE, Bucket=bucket)).get("Rules", ()), prefix)
    days = [rule["Expiration"]["Days"] for rule in on if "Days" in rule.get("Expiration", {})]
    old_versions = [rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays") for rule in on]
    return {
        "lifecycle_rules": len(on),
        "expiration": min(days, default=None),
        "noncurrent_expiration": min((d for d in old_versions if d), default=None),
        "incomplete_uploads_rule": any("AbortIncompleteMultipartUpload" in rule for rule in on),
    }


async def _replication(aws: Asker, bucket: str, prefix: str) -> Found:
    return {"replication_rules": len(await _copying(aws, bucket, prefix))}


async def _replication_regions(aws: Asker, bucket: str, prefix: str) -> Found:
    targets = {rule["Destination"]["Bucket"].rpartition(":")[2] for rule in await _copying(aws, bucket, prefix)}
    here, *there = await asyncio.gather(*(_region(aws, name) for name in (bucket, *sorted(targets))))
    return {"replication_regions": len(set(there) - {here})}


async def _copying(aws: Asker, bucket: str, prefix: str) -> list[Mapping[str, Any]]:
    answer = await aws.answer(REPLICATION, Bucket=bucket)
    return _in_force(answer.get("ReplicationConfiguration", {}).get("Rules", ()), prefix)


async def _region(aws: Asker, bucket: str) -> str:
    told = (await aws.answer(LOCATION, Bucket=bucket)).get("LocationConstraint")
    return _LOCATIONS.get(told) or str(told)


def _in_force(rules: Iterable[Mapping[str, Any]], prefix: str) -> list[Mapping[str, Any]]:
    """Those that are on and concern keys that begin with the prefix: all, some, or more than these."""
    return [rule for rule in rules if rule.get("Status") == "Enabled" and _concerns(_prefix_of(rule), prefix)]


def _prefix_of(rule: Mapping[str, Any]) -> str:
    where = rule.get("Filter") or rule  # rules of the first version have it beside their name
    return str(where.get("Prefix") or where.get("And", {}).get("Prefix") or "")


def _concerns(theirs: str, ours: str) -> bool:
    return theirs.startswith(ours) or ours.startswith(theirs)


async def _encryption(aws: Asker, bucket: str, _: str) -> Found:
    answer = await aws.answer(ENCRYPTION, Bucket=bucket)
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
    used = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules]
    return {"encryption": next((name for name in used if name), "none")}


async def _object_lock(aws: Asker, bucket: str, _: str) -> Found:
    lock = (await aws.answer(OBJECT_LOCK, Bucket=bucket)).get("ObjectLockConfiguration", {})
    return {"object_lock": lock.get("ObjectLockEnabled") == "Enabled"}


async def _public_access(aws: Asker, bucket: str, _: str) -> Found:
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


async def _logging(aws: Asker, bucket: str, _: str) -> Found:
    return {"access_log": "LoggingEnabled" in await aws.answer(LOGGING, Bucket=bucket)}


# aspect: (how it is looked at, the measures it has, what is asked)
_ASPECTS: Mapping[Aspect, tuple[Look, tuple[str, ...], tuple[Operation, ...]]] = {
    "versioning": (_versioning, ("versioning", "mfa_delete"), (VERSIONING,)),
    "lifecycle": (
        _lifecycle,
        ("lifecycle_rules", "expiration", "noncurrent_expiration", "incomplete_uploads_rule"),
        (LIFECYCLE,),
    ),
    "replication": (_replication, ("replication_rules",), (REPLICATION,)),
    "replication_regions": (_replication_regions, ("replication_regions",), (REPLICATION, LOCATION)),
    "encryption": (_encryption, ("encryption",), (ENCRYPTION,)),
    "object_lock": (_object_lock, ("object_lock",), (OBJECT_LOCK,)),
    "public_access": (_public_access, ("public_access_blocked", "public"), (ACCESS_BLOCK, POLICY_STATUS, ACL)),
    "logging": (_logging, ("access_log",), (LOGGING,)),
}


class S3BucketParams(AwsParams):
    """Which bucket, and what of it: `aspects` that are left out need no permission.

    With `prefix`, of the rules on lifecycle and replication only those that concern such keys. Dates in it are in the
    system's time zone.
    """

    bucket: str = Field(min_length=3)
    prefix: Annotated[str, AfterValidator(check_dates)] = ""
    aspects: tuple[Aspect, ...] = Field(tuple(_ASPECTS), min_length=1)


class S3BucketProbe(AwsProbe):
    """Reads a bucket's configuration, never its objects."""

    Params: ClassVar[type[base.Params]] = S3BucketParams
    operations: ClassVar[tuple[Operation, ...]] = (
        VERSIONING, LIFECYCLE, REPLICATION, LOCATION, ENCRYPTION, OBJECT_LOCK, ACCESS_BLOCK, POLICY_STATUS, ACL,
        LOGGING,
    )  # fmt: skip
    measures: ClassVar[Mapping[str, MeasureInfo]] = {
        "versioning": text_of("Enabled, Suspended or Disabled"),
        "mfa_delete": count_of("1 when deleting a version takes a second factor"),
        "lifecycle_rules": count_of("rules in force"),
        "expiration": MeasureInfo(Unit.DAYS, "after which objects are deleted, of the strictest rule; absent without"),
        "noncurrent_expiration": MeasureInfo(Unit.DAYS, "after which old versions are deleted; absent without a rule"),
        "incomplete_uploads_rule": count_of("1 when uploads that were never finished are deleted"),
        "replication_rules": count_of("rules in force that copy to another bucket"),
        "replication_regions": count_of("other regions that rules in force copy to"),
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
        return tuple(dict.fromkeys(operation for aspect in params.aspects for operation in _ASPECTS[aspect][2]))

    def fields(self, params: S3BucketParams) -> Fields:
        """The bucket."""
        return {"Bucket": (params.bucket,)}

    async def look(self, params: S3BucketParams, aws: Asker) -> Observation:
        """Ask for all aspects at once."""
        prefix = fill_dates(params.prefix, aws.now.astimezone(aws.zone))
        answers = await asyncio.gather(*(_ASPECTS[aspect][0](aws, params.bucket, prefix) for aspect in params.aspects))
        found: dict[str, Any] = {name: value for answer in answers for name, value in answer.items()}
        return Observation(self.measured(found), (), _note(found))


def _note(found: Found) -> str:
    """Why a measure that is often asked for is absent, or 0."""
    notes = []
    if "expiration" in found and found["expiration"] is None:
        notes.append("no rule deletes objects after so many days")
    if found.get("replication_regions") == 0:
        notes.append("no rule copies to another region")
    return "; ".join(notes)
