"""Every probe by the name it has in YAML. To add one: a module, a line here, a test module, a page in docs/probes/."""

from collections.abc import Mapping

from healthd.probes.aws import AWS_PROBES
from healthd.probes.base import Probe
from healthd.probes.command import CommandProbe
from healthd.probes.datadog import DatadogMonitorsProbe, DatadogProbe
from healthd.probes.dns import DnsProbe
from healthd.probes.docker import DockerComposeProbe, DockerContainersProbe, DockerDiskProbe, DockerLogsProbe
from healthd.probes.files import FilesProbe
from healthd.probes.host import ClockProbe, CpuProbe, DiskProbe, LoadProbe, MemoryProbe, ProcessProbe, UptimeProbe
from healthd.probes.http import HttpProbe
from healthd.probes.http_journey import HttpJourneyProbe
from healthd.probes.kubernetes import (
    KubernetesCertificatesProbe,
    KubernetesCronJobsProbe,
    KubernetesDeploymentsProbe,
    KubernetesEventsProbe,
    KubernetesHpaProbe,
    KubernetesJobsProbe,
    KubernetesLogsProbe,
    KubernetesNodesProbe,
    KubernetesPodsProbe,
    KubernetesPvcsProbe,
    KubernetesResourceProbe,
    KubernetesUsageProbe,
)
from healthd.probes.logs import LogsProbe
from healthd.probes.postgres import (
    PostgresActivityProbe,
    PostgresArchiverProbe,
    PostgresConnectionsProbe,
    PostgresLocksProbe,
    PostgresProbe,
    PostgresQueryProbe,
    PostgresReplicationProbe,
    PostgresRolesProbe,
    PostgresSettingsProbe,
    PostgresSizeProbe,
    PostgresStatementsProbe,
    PostgresTablesProbe,
)
from healthd.probes.prometheus import (
    PrometheusAlertsProbe,
    PrometheusCompareProbe,
    PrometheusForecastProbe,
    PrometheusProbe,
    PrometheusTargetsProbe,
)
from healthd.probes.redis import (
    RedisBigKeysProbe,
    RedisInfoProbe,
    RedisKeysProbe,
    RedisLatencyProbe,
    RedisLengthProbe,
    RedisMemoryProbe,
    RedisPersistenceProbe,
    RedisProbe,
    RedisReplicationProbe,
    RedisSlowlogProbe,
    RedisStatsProbe,
)
from healthd.probes.restore import RestoreDrillProbe
from healthd.probes.security_headers import HttpHeadersProbe
from healthd.probes.sentry import SentryProbe
from healthd.probes.tcp import TcpProbe
from healthd.probes.tls import TlsProbe
from healthd.probes.websocket import WebSocketProbe

PROBES: Mapping[str, Probe] = {
    "disk": DiskProbe(),
    "memory": MemoryProbe(),
    "cpu": CpuProbe(),
    "load": LoadProbe(),
    "clock": ClockProbe(),
    "process": ProcessProbe(),
    "uptime": UptimeProbe(),
    "files": FilesProbe(),
    "logs": LogsProbe(),
    "command": CommandProbe(),
    "http": HttpProbe(),
    "http_journey": HttpJourneyProbe(),
    "websocket": WebSocketProbe(),
    "http_headers": HttpHeadersProbe(),
    "dns": DnsProbe(),
    "tls": TlsProbe(),
    "tcp": TcpProbe(),
    "prometheus": PrometheusProbe(),
    "prometheus_alerts": PrometheusAlertsProbe(),
    "prometheus_forecast": PrometheusForecastProbe(),
    "prometheus_compare": PrometheusCompareProbe(),
    "prometheus_targets": PrometheusTargetsProbe(),
    "datadog": DatadogProbe(),
    "datadog_monitors": DatadogMonitorsProbe(),
    "sentry": SentryProbe(),
    "postgres": PostgresProbe(),
    "postgres_query": PostgresQueryProbe(),
    "postgres_connections": PostgresConnectionsProbe(),
    "postgres_activity": PostgresActivityProbe(),
    "postgres_locks": PostgresLocksProbe(),
    "postgres_statements": PostgresStatementsProbe(),
    "postgres_tables": PostgresTablesProbe(),
    "postgres_size": PostgresSizeProbe(),
    "postgres_replication": PostgresReplicationProbe(),
    "postgres_archiver": PostgresArchiverProbe(),
    "postgres_roles": PostgresRolesProbe(),
    "postgres_settings": PostgresSettingsProbe(),
    "redis": RedisProbe(),
    "redis_length": RedisLengthProbe(),
    "redis_info": RedisInfoProbe(),
    "redis_memory": RedisMemoryProbe(),
    "redis_persistence": RedisPersistenceProbe(),
    "redis_replication": RedisReplicationProbe(),
    "redis_stats": RedisStatsProbe(),
    "redis_slowlog": RedisSlowlogProbe(),
    "redis_latency": RedisLatencyProbe(),
    "redis_keys": RedisKeysProbe(),
    "redis_big_keys": RedisBigKeysProbe(),
    "kubernetes_nodes": KubernetesNodesProbe(),
    "kubernetes_pods": KubernetesPodsProbe(),
    "kubernetes_deployments": KubernetesDeploymentsProbe(),
    "kubernetes_cronjobs": KubernetesCronJobsProbe(),
    "kubernetes_jobs": KubernetesJobsProbe(),
    "kubernetes_logs": KubernetesLogsProbe(),
    "kubernetes_usage": KubernetesUsageProbe(),
    "kubernetes_hpa": KubernetesHpaProbe(),
    "kubernetes_pvcs": KubernetesPvcsProbe(),
    "kubernetes_events": KubernetesEventsProbe(),
    "kubernetes_certificates": KubernetesCertificatesProbe(),
    "kubernetes_resource": KubernetesResourceProbe(),
    "docker_compose": DockerComposeProbe(),
    "docker_containers": DockerContainersProbe(),
    "docker_logs": DockerLogsProbe(),
    "docker_disk": DockerDiskProbe(),
    "restore_drill": RestoreDrillProbe(),
    **AWS_PROBES,
}
