"""AWS: backups, databases, metrics, logs, load balancers, costs, permissions, certificates."""

from collections.abc import Mapping
from typing import Any

from healthd.probes.aws.acm import AcmProbe
from healthd.probes.aws.aws_cost import AwsCostProbe
from healthd.probes.aws.cloudfront import CloudFrontProbe
from healthd.probes.aws.cloudwatch_alarms import CloudWatchAlarmsProbe
from healthd.probes.aws.cloudwatch_log_groups import CloudWatchLogGroupsProbe
from healthd.probes.aws.cloudwatch_logs import CloudWatchLogsProbe
from healthd.probes.aws.cloudwatch_metric import CloudWatchMetricProbe
from healthd.probes.aws.ec2_security_groups import SecurityGroupsProbe
from healthd.probes.aws.ec2_unattached import UnattachedProbe
from healthd.probes.aws.elasticache import ElastiCacheProbe
from healthd.probes.aws.elb import ElbProbe
from healthd.probes.aws.iam import IamProbe
from healthd.probes.aws.operations import policy_document
from healthd.probes.aws.probe import AwsProbe
from healthd.probes.aws.rds_instance import RdsInstanceProbe
from healthd.probes.aws.rds_logs import RdsLogsProbe
from healthd.probes.aws.rds_snapshots import RdsSnapshotsProbe
from healthd.probes.aws.s3_backup import S3BackupProbe
from healthd.probes.aws.s3_bucket import S3BucketProbe
from healthd.probes.aws.secrets_manager import SecretsManagerProbe
from healthd.probes.aws.waf import WafProbe

__all__ = ["AWS_PROBES", "policy"]

AWS_PROBES: Mapping[str, AwsProbe] = {
    "s3_backup": S3BackupProbe(),
    "s3_bucket": S3BucketProbe(),
    "rds_instance": RdsInstanceProbe(),
    "rds_snapshots": RdsSnapshotsProbe(),
    "rds_logs": RdsLogsProbe(),
    "elasticache": ElastiCacheProbe(),
    "cloudwatch_metric": CloudWatchMetricProbe(),
    "cloudwatch_alarms": CloudWatchAlarmsProbe(),
    "cloudwatch_logs": CloudWatchLogsProbe(),
    "cloudwatch_log_groups": CloudWatchLogGroupsProbe(),
    "elb": ElbProbe(),
    "cloudfront": CloudFrontProbe(),
    "acm": AcmProbe(),
    "waf": WafProbe(),
    "aws_cost": AwsCostProbe(),
    "iam": IamProbe(),
    "ec2_security_groups": SecurityGroupsProbe(),
    "ec2_unattached": UnattachedProbe(),
    "secrets_manager": SecretsManagerProbe(),
}


def policy(*kinds: str) -> dict[str, Any]:
    """The least IAM policy document that the probes of these types need. Raises KeyError for one not of AWS."""
    return policy_document(operation for kind in kinds for operation in AWS_PROBES[kind].operations)
