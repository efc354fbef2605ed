"""S3: buckets, and backups in them that are as old as they should be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from aiohttp import ClientError

from healthd.sandbox.child import SandboxError

if TYPE_CHECKING:
    from healthd.sandbox.parts.aws.account import Aws

_ELSEWHERE = "eu-west-1"
# moto checks no signature, but lets only a request that has one touch what is there already
_SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=sandbox/20260101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=0"
}


class Buckets:
    """The buckets of an account."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def create(
        self, bucket: str, *, versioning: bool = False, expire: int | None = None, replicate_to: str | None = None,
        region: str = "",
    ) -> None:  # fmt: skip
        """Make a bucket: with versions, objects that expire after so many days, copies in another region."""
        where = (
            f"<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
        await self._send("PUT", bucket, where.encode() if region else b"")
        if versioning or replicate_to:
            await self.versioning(bucket, on=True)
        if expire is not None:
            await self.expire(bucket, expire)
        if replicate_to is not None:
            await self.create(replicate_to, versioning=True, region=_ELSEWHERE)
            await self.replicate(bucket, replicate_to)

    async def put(self, bucket: str, key: str, content: bytes | int, ago: timedelta | None = None) -> None:
        """Write an object: what it holds, or how many bytes of nothing.

        `ago`: how old listings say it is, and go on saying; without it, as old as it is.
        """
        await self._send("PUT", f"{bucket}/{key}", bytes(content) if isinstance(content, int) else content)
        if ago is not None:
            await self._aws.alter("s3", "ListObjectsV2", {"Key": key}, LastModified={"ago": ago.total_seconds()})

    async def delete(self, bucket: str, key: str) -> None:
        """Delete an object; nothing happens if there is none."""
        await self._send("DELETE", f"{bucket}/{key}")

    async def accessible(self, bucket: str) -> bool:
        """Whether the endpoint answers for a bucket."""
        try:
            await self._send("HEAD", bucket)
        except SandboxError:
            return False
        return True

    async def versioning(self, bucket: str, *, on: bool) -> None:
        """Keep old versions, or stop doing so."""
        status = {"Status": "Enabled" if on else "Suspended"}
        await self._aws.call("s3.put_bucket_versioning", Bucket=bucket, VersioningConfiguration=status)

    async def expire(self, bucket: str, days: int | None) -> None:
        """Delete objects after so many days; None: keep them for ever."""
        if days is None:
            await self._aws.call("s3.delete_bucket_lifecycle", Bucket=bucket)
            return
        rule = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": days}}
        await self._aws.call(
            "s3.put_bucket_lifecycle_configuration", Bucket=bucket, LifecycleConfiguration={"Rules": [rule]}
        )

    async def replicate(self, bucket: str, target: str | None) -> None:
        """Copy objects to another bucket that has versions; None: no longer."""
        if target is None:
            await self._aws.call("s3.delete_bucket_replication", Bucket=bucket)
            return
        rule = {
            "ID": "copy", "Priority": 1, "Status": "Enabled", "Filter": {"Prefix": ""},
            "DeleteMarkerReplication": {"Status": "Disabled"}, "Destination": {"Bucket": f"arn:aws:s3:::{target}"},
        }  # fmt: skip
        configuration = {"Role": "arn:aws:iam::123456789012:role/replication", "Rules": [rule]}
        await self._aws.call("s3.put_bucket_replication", Bucket=bucket, ReplicationConfiguration=configuration)

    async def _send(self, method: str, path: str, body: bytes = b"") -> None:
        try:
            async with self._aws.session.request(
                method, f"{self._aws.url}/{path}", data=body, headers=_SIGNED
            ) as response:
                if response.status >= 400:
                    raise SandboxError(f"S3 answered {response.status} to {method} {path}")
        except (ClientError, TimeoutError) as error:
            raise SandboxError(f"S3 is down ({error or 'no answer'})") from error
