"""An emulated Kubernetes cluster: see `Cluster`."""

from healthd.sandbox.parts.kubernetes.cluster import Cluster, Node
from healthd.sandbox.parts.kubernetes.namespace import Claim, Namespace
from healthd.sandbox.parts.kubernetes.pods import Pod
from healthd.sandbox.parts.kubernetes.times import Ago
from healthd.sandbox.parts.kubernetes.workloads import Autoscaler, Certificate, CronJob, Workload

__all__ = ["Ago", "Autoscaler", "Certificate", "Claim", "Cluster", "CronJob", "Namespace", "Node", "Pod", "Workload"]
