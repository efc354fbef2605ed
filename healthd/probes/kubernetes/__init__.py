"""Kubernetes: nodes, pods, workloads, jobs, logs, usage, events, volumes, certificates, any resource."""

from healthd.probes.kubernetes.certificates import KubernetesCertificatesProbe
from healthd.probes.kubernetes.cronjobs import KubernetesCronJobsProbe
from healthd.probes.kubernetes.deployments import KubernetesDeploymentsProbe
from healthd.probes.kubernetes.events import KubernetesEventsProbe
from healthd.probes.kubernetes.hpa import KubernetesHpaProbe
from healthd.probes.kubernetes.jobs import KubernetesJobsProbe
from healthd.probes.kubernetes.logs import KubernetesLogsProbe
from healthd.probes.kubernetes.nodes import KubernetesNodesProbe
from healthd.probes.kubernetes.pods import KubernetesPodsProbe
from healthd.probes.kubernetes.pvcs import KubernetesPvcsProbe
from healthd.probes.kubernetes.resource import KubernetesResourceProbe
from healthd.probes.kubernetes.usage import KubernetesUsageProbe

__all__ = [
    "KubernetesCertificatesProbe",
    "KubernetesCronJobsProbe",
    "KubernetesDeploymentsProbe",
    "KubernetesEventsProbe",
    "KubernetesHpaProbe",
    "KubernetesJobsProbe",
    "KubernetesLogsProbe",
    "KubernetesNodesProbe",
    "KubernetesPodsProbe",
    "KubernetesPvcsProbe",
    "KubernetesResourceProbe",
    "KubernetesUsageProbe",
]
