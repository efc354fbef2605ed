"""What goes wrong in Kubernetes."""

from __future__ import annotations

from datetime import timedelta

from healthd.sandbox.social_live.faults.common import HELD, MINUTE, Act, Faults, now
from healthd.sandbox.social_live.production import Production
from healthd.sandbox.world import Fault, Opens


def _crash_pod(world: Production) -> None:
    world.platform.frontend.pod.crash_loop()


def _end_pod(phase: str) -> Act:
    """One more pod of the backend, which has done its work."""

    async def act(world: Production) -> None:
        backend = world.platform.backend
        if phase:
            backend.pod.manifest["status"]["phase"] = phase
            backend.store.touch(backend.pod.manifest)
        else:
            backend.recover()

    return act


CLUSTER: Faults = (
    Fault(
        "node-down", "node-3 does not say how it is", ("nodes",), HELD,
        now(lambda w: w.platform.cluster.nodes["node-3"].go_silent()),
        now(lambda w: w.platform.cluster.nodes["node-3"].recover()), incident=Opens("cluster-degraded", "Severity 2"),
    ),
    Fault(
        "pod-crash-looping", "one of the frontend's two pods crashes again and again", ("pods", "frontend-pods"), HELD,
        now(_crash_pod), now(lambda w: w.platform.frontend.recover()), incident=Opens("service-down", "Severity 2"),
    ),
    Fault(
        "backend-gone", "the backend has no pod left", ("backend-pods",), HELD,
        now(lambda w: w.platform.backend.scale(0)), now(lambda w: w.platform.backend.scale(3)),
        quiet=("rollout", "scaling-cpu", "scaling-memory", "memory-warnings"),
        apart=("pod-logs-forbidden", "heap-large", "frontend-gone"),
        incident=Opens("service-down", "Severity 1"),
    ),
    Fault(
        "frontend-gone", "the frontend has no pod left", ("frontend-pods",), HELD,
        now(lambda w: w.platform.frontend.scale(0)), now(lambda w: w.platform.frontend.scale(2)),
        incident=Opens("service-down", "Severity 1"),
    ),
    Fault(
        "autoscaler-at-maximum", "the autoscaler has made 50 pods and wants more", ("autoscaler",), HELD,
        now(lambda w: w.platform.autoscaler.go_to_maximum()), now(lambda w: w.platform.autoscaler.recover()),
        incident=Opens("scale-up", "Severity 3"),
    ),
    Fault(
        "rollout-unfinished", "one of the backend's pods is not of the newest image yet", ("rollout",), MINUTE,
        now(lambda w: w.platform.leave_one_behind()), now(lambda w: w.platform.backend.recover()),
        incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "pods-ended", "a pod of the backend has done its work and is left over", ("ended-pods",), MINUTE,
        _end_pod("Succeeded"), _end_pod(""), incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "configmap-left", "a ConfigMap nobody uses is left over", ("configmaps",), MINUTE,
        now(lambda w: w.platform.leave_config()), now(lambda w: w.platform.remove_config()),
        incident=Opens("weekly-maintenance", "Severity 3"),
    ),
    Fault(
        "certificate-expiring", "the certificate of the API is valid for five more days", ("certificates",), MINUTE,
        now(lambda w: w.platform.certificate.expire_in(timedelta(days=5))),
        now(lambda w: w.platform.certificate.recover()), incident=Opens("certificates", "Severity 2"),
    ),
    Fault(
        "certificate-not-ready", "the certificate of the API could not be issued", ("certificates",), MINUTE,
        now(lambda w: w.platform.certificate.fail()), now(lambda w: w.platform.certificate.recover()),
        incident=Opens("certificates", "Severity 3"),
    ),
    Fault(
        "metrics-server-down", "metrics-server cannot be asked",
        ("memory-usage", "node-memory", "scaling-cpu", "node-usage", "pod-usage"), MINUTE,
        now(lambda w: w.platform.cluster.stop_metrics_server()),
        now(lambda w: w.platform.cluster.start_metrics_server()),
        quiet=("scaling-memory",), incident=Opens("high-memory-usage", "Severity 2"),
    ),
    Fault(
        "pod-logs-forbidden", "healthd may no longer read logs of pods",
        ("error-lines", "memory-warnings", "denied-requests"), MINUTE,
        now(lambda w: w.platform.cluster.forbid("pods/log")), now(lambda w: w.platform.cluster.allow("pods/log")),
        incident=Opens("monthly-maintenance", "Severity 3"),
    ),
    Fault(
        "kubelets-forbidden", "healthd may no longer ask kubelets", ("node-network",), MINUTE,
        now(lambda w: w.platform.cluster.forbid("nodes/proxy")),
        now(lambda w: w.platform.cluster.allow("nodes/proxy")),
    ),
)  # fmt: skip
