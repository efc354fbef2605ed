"""Kubernetes: nodes, pods, workloads, jobs, logs, usage, events, volumes, certificates, any resource."""

from healthd.probes.kubernetes.cronjobs import KubernetesCronJobsProbe
from healthd.probes.kubernetes.deployments import KubernetesDeploymentsProbe
from healthd.probes.kubernetes.hpa import KubernetesHpaProbe
from healthd.probes.kubernetes.jobs import KubernetesJobsProbe
from healthd.probes.kubernetes.logs import KubernetesLogsProbe
from healthd.probes.kubernetes.nodes import KubernetesNodesProbe
from healthd.probes.kubernetes.pods import KubernetesPodsProbe
from healthd.probes.kubernetes.usage import KubernetesUsageProbe

__all__ = [
    "KubernetesCronJobsProbe",
    "KubernetesDeploymentsProbe",
    "KubernetesHpaProbe",
    "KubernetesJobsProbe",
    "KubernetesLogsProbe",
    "KubernetesNodesProbe",
    "KubernetesPodsProbe",
    "KubernetesUsageProbe",
]
