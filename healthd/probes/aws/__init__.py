"""AWS: backups, databases, metrics, logs, load balancers, costs, permissions, certificates."""

from collections.abc import Mapping
from typing import Any

from healthd.probes.aws.cloudwatch_metric import CloudWatchMetricProbe
from healthd.probes.aws.operations import policy_document
from healthd.probes.aws.probe import AwsProbe
from healthd.probes.aws.s3_backup import S3BackupProbe
from healthd.probes.aws.s3_bucket import S3BucketProbe

__all__ = ["AWS_PROBES", "policy"]

AWS_PROBES: Mapping[str, AwsProbe] = {
    "s3_backup": S3BackupProbe(),
    "s3_bucket": S3BucketProbe(),
    "cloudwatch_metric": CloudWatchMetricProbe(),
}


def policy(*kinds: str) -> dict[str, Any]:
    """The least IAM policy document that the probes of these types need. Raises KeyError for one not of AWS."""
    return policy_document(operation for kind in kinds for operation in AWS_PROBES[kind].operations)
