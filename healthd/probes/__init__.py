"""Every probe by the name it has in YAML. To add one: a module, a line here, a test module, a page in docs/probes/."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from healthd.probes.base import Probe

__all__ = ["PROBES", "prepare"]


class _Table(Mapping[str, Probe]):
    """Probes by name, each imported when it is first asked for: a daemon starts with those its catalogue uses."""

    def __init__(self, where: Mapping[str, str]) -> None:
        self._where = where
        self._made: dict[str, Probe] = {}

    def __getitem__(self, name: str) -> Probe:
        if name not in self._made:
            module, _, kind = self._where[name].partition(":")
            made: Probe = getattr(importlib.import_module(f"healthd.probes.{module}"), kind)()
            self._made[name] = made
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._where

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


_WHERE: Mapping[str, str] = MappingProxyType(
    {
        "disk": "host:DiskProbe",
        "memory": "host:MemoryProbe",
        "cpu": "host:CpuProbe",
        "load": "host:LoadProbe",
        "clock": "host:ClockProbe",
        "process": "host:ProcessProbe",
        "uptime": "host:UptimeProbe",
        "files": "files:FilesProbe",
        "logs": "logs:LogsProbe",
        "environment": "environment:EnvironmentProbe",
        "command": "command:CommandProbe",
        "audit": "audit:AuditProbe",
        "http": "http:HttpProbe",
        "http_journey": "http_journey:HttpJourneyProbe",
        "websocket": "websocket:WebSocketProbe",
        "http_headers": "security_headers:HttpHeadersProbe",
        "dns": "dns:DnsProbe",
        "load_benchmark": "load_benchmark:LoadBenchmarkProbe",
        "tls": "tls:TlsProbe",
        "tcp": "tcp:TcpProbe",
        "prometheus": "prometheus:PrometheusProbe",
        "prometheus_alerts": "prometheus:PrometheusAlertsProbe",
        "prometheus_forecast": "prometheus:PrometheusForecastProbe",
        "prometheus_compare": "prometheus:PrometheusCompareProbe",
        "prometheus_targets": "prometheus:PrometheusTargetsProbe",
        "datadog": "datadog:DatadogProbe",
        "datadog_monitors": "datadog:DatadogMonitorsProbe",
        "sentry": "sentry:SentryProbe",
        "postgres": "postgres:PostgresProbe",
        "postgres_query": "postgres:PostgresQueryProbe",
        "postgres_connections": "postgres:PostgresConnectionsProbe",
        "postgres_activity": "postgres:PostgresActivityProbe",
        "postgres_locks": "postgres:PostgresLocksProbe",
        "postgres_statements": "postgres:PostgresStatementsProbe",
        "postgres_tables": "postgres:PostgresTablesProbe",
        "postgres_size": "postgres:PostgresSizeProbe",
        "postgres_replication": "postgres:PostgresReplicationProbe",
        "postgres_archiver": "postgres:PostgresArchiverProbe",
        "postgres_roles": "postgres:PostgresRolesProbe",
        "postgres_settings": "postgres:PostgresSettingsProbe",
        "redis": "redis:RedisProbe",
        "redis_length": "redis:RedisLengthProbe",
        "redis_info": "redis:RedisInfoProbe",
        "redis_memory": "redis:RedisMemoryProbe",
        "redis_persistence": "redis:RedisPersistenceProbe",
        "redis_replication": "redis:RedisReplicationProbe",
        "redis_stats": "redis:RedisStatsProbe",
        "redis_slowlog": "redis:RedisSlowlogProbe",
        "redis_latency": "redis:RedisLatencyProbe",
        "redis_keys": "redis:RedisKeysProbe",
        "redis_big_keys": "redis:RedisBigKeysProbe",
        "kubernetes_nodes": "kubernetes:KubernetesNodesProbe",
        "kubernetes_pods": "kubernetes:KubernetesPodsProbe",
        "kubernetes_deployments": "kubernetes:KubernetesDeploymentsProbe",
        "kubernetes_cronjobs": "kubernetes:KubernetesCronJobsProbe",
        "kubernetes_jobs": "kubernetes:KubernetesJobsProbe",
        "kubernetes_logs": "kubernetes:KubernetesLogsProbe",
        "kubernetes_usage": "kubernetes:KubernetesUsageProbe",
        "kubernetes_hpa": "kubernetes:KubernetesHpaProbe",
        "kubernetes_pvcs": "kubernetes:KubernetesPvcsProbe",
        "kubernetes_events": "kubernetes:KubernetesEventsProbe",
        "kubernetes_certificates": "kubernetes:KubernetesCertificatesProbe",
        "kubernetes_resource": "kubernetes:KubernetesResourceProbe",
        "docker_compose": "docker:DockerComposeProbe",
        "docker_containers": "docker:DockerContainersProbe",
        "docker_logs": "docker:DockerLogsProbe",
        "docker_disk": "docker:DockerDiskProbe",
        "restore_drill": "restore:RestoreDrillProbe",
        "s3_backup": "aws.s3_backup:S3BackupProbe",
        "s3_bucket": "aws.s3_bucket:S3BucketProbe",
        "rds_instance": "aws.rds_instance:RdsInstanceProbe",
        "rds_snapshots": "aws.rds_snapshots:RdsSnapshotsProbe",
        "rds_logs": "aws.rds_logs:RdsLogsProbe",
        "elasticache": "aws.elasticache:ElastiCacheProbe",
        "cloudwatch_metric": "aws.cloudwatch_metric:CloudWatchMetricProbe",
        "cloudwatch_alarms": "aws.cloudwatch_alarms:CloudWatchAlarmsProbe",
        "cloudwatch_logs": "aws.cloudwatch_logs:CloudWatchLogsProbe",
        "cloudwatch_log_groups": "aws.cloudwatch_log_groups:CloudWatchLogGroupsProbe",
        "elb": "aws.elb:ElbProbe",
        "cloudfront": "aws.cloudfront:CloudFrontProbe",
        "acm": "aws.acm:AcmProbe",
        "waf": "aws.waf:WafProbe",
        "aws_cost": "aws.aws_cost:AwsCostProbe",
        "iam": "aws.iam:IamProbe",
        "ec2_security_groups": "aws.ec2_security_groups:SecurityGroupsProbe",
        "ec2_unattached": "aws.ec2_unattached:UnattachedProbe",
        "secrets_manager": "aws.secrets_manager:SecretsManagerProbe",
    }
)
PROBES: Mapping[str, Probe] = _Table(_WHERE)

# What looks import when there is a first one, by the module of the table above: clients that are heavy to load.
_HTTP = ("healthd.probes.http.exchange", "healthd.probes.http.observe", "healthd.probes.certificates")
_CLIENTS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "host": ("psutil",),
    "environment": ("psutil",),
    "logs": ("healthd.probes.logs.look",),
    "http": _HTTP,
    "http_journey": (*_HTTP, "healthd.probes.http_journey.walk"),
    "security_headers": _HTTP,
    "websocket": (*_HTTP, "healthd.probes.websocket.look"),
    "tls": ("healthd.probes.tls.remote", "healthd.probes.tls.pem", "healthd.probes.certificates"),
    "tcp": ("healthd.probes.certificates",),
    "prometheus": _HTTP,
    "datadog": _HTTP,
    "sentry": _HTTP,
    "docker": _HTTP,
    "postgres": ("healthd.probes.postgres.capped",),
    "restore": ("psycopg.sql", "botocore.session"),
    "redis": ("healthd.probes.redis.replies",),
    "kubernetes": (*_HTTP, "kubernetes.aio.config", "kubernetes.aio.client"),
    "aws": ("botocore.session", "botocore.parsers", "botocore.httpsession"),
})  # fmt: skip


def prepare(name: str) -> None:
    """Import what a look through this probe needs, which may take a second: better before its time runs."""
    if name in PROBES:
        for module in _CLIENTS.get(_WHERE[name].partition(":")[0].partition(".")[0], ()):
            importlib.import_module(module)
