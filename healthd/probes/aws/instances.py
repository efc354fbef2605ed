"""What RDS says of its instances: asked once for all checks that want to know."""

from __future__ import annotations

from typing import Any

from healthd.probes.aws.operations import Operation
from healthd.probes.aws.probe import Asker
from healthd.probes.base import ProbeError

__all__ = ["DESCRIBE_INSTANCES", "the_instance"]

DESCRIBE_INSTANCES = Operation(
    "rds",
    "describe_db_instances",
    "rds:DescribeDBInstances",
    "DBInstances",
    "arn:aws:rds:*:*:db:{DBInstanceIdentifier}",
    absent=("DBInstanceNotFound", "DBInstanceNotFoundFault"),
)


async def the_instance(aws: Asker, name: str) -> dict[str, Any]:
    """The description of one instance. Raises ProbeError (missing) when there is none of that name."""
    found = await aws.items(DESCRIBE_INSTANCES, DBInstanceIdentifier=name)
    if not found:
        raise ProbeError(f"there is no RDS instance {name!r} in {aws.account.region('rds')}", "missing")
    instance: dict[str, Any] = found[0]
    return instance
