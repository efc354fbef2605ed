"""Manifests and statuses as Kubernetes' own controllers and kubelets write them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Manifest = dict[str, Any]


def stamp(ago: timedelta = timedelta(0)) -> str:
    """A timestamp of the API, that long ago."""
    return f"{datetime.now(UTC) - ago:%Y-%m-%dT%H:%M:%SZ}"


def owned_by(kind: str, name: str, version: str = "apps/v1", uid: str = "11111111-2222-3333-4444-555555555555") -> Any:
    return [{"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True}]


def pod(name: str, namespace: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Manifest:
    """With one container `app` unless `containers` says otherwise; `owners` are its ownerReferences."""
    owners = spec.pop("owners", None)
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels or {})}
    if owners:
        metadata["ownerReferences"] = owners
    container = {"name": "app", "image": "shop/web:1.4.2", **({"resources": spec.pop("resources", {})})}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec},
    }  # fmt: skip


def running(*, ready: bool = True, restarts: int = 0, last: Manifest | None = None) -> Manifest:
    """The status of a pod whose container runs; `last` says how the previous one ended."""
    state = {"running": {"startedAt": stamp(timedelta(minutes=1))}}
    return {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [_container(state, ready, restarts, last)],
    }


def waiting(
    reason: str, *, phase: str = "Running", restarts: int = 0, last: Mapping[str, Any] | None = None
) -> Manifest:
    """The status of a pod whose container waits: CrashLoopBackOff, ImagePullBackOff."""
    state = {"waiting": {"reason": reason}}
    return {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [_container(state, False, restarts, last)],
    }


def ended(reason: str, code: int, ago: timedelta) -> Manifest:
    """How a container ended."""
    at = stamp(ago)
    return {"terminated": {"reason": reason, "exitCode": code, "startedAt": at, "finishedAt": at}}


def _container(state: Manifest, ready: bool, restarts: int, last: Manifest | None) -> Manifest:
    return {
        "name": "app", "image": "shop/web:1.4.2", "imageID": "", "ready": ready, "restartCount": restarts,
        "state": state, "lastState": dict(last or {}),
    }  # fmt: skip


def node(name: str, labels: Mapping[str, str] | None = None) -> Manifest:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": dict(labels or {})}}


def node_status(version: str = "v1.20.2", ready: str = "True", **pressures: str) -> Manifest:
    conditions = {"Ready": ready, "MemoryPressure": "False", "DiskPressure": "False", **pressures}
    return {
        "conditions": [
            {"type": kind, "status": status, "reason": f"Kubelet{kind}", "message": f"about {kind}",
             "lastTransitionTime": stamp(timedelta(minutes=4)), "lastHeartbeatTime": stamp()}
            for kind, status in conditions.items()
        ],
        "nodeInfo": {
            "kubeletVersion": version, "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "",
            "osImage": "", "containerRuntimeVersion": "", "kubeProxyVersion": "", "operatingSystem": "",
            "architecture": "",
        },
        "capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"},
        "allocatable": {"cpu": "3800m", "memory": "8Gi", "pods": "110"},
    }  # fmt: skip


def workload(kind: str, name: str, namespace: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Manifest:
    """A Deployment, StatefulSet or DaemonSet of `replicas` pods; `annotations` are its own."""
    annotations = spec.pop("annotations", {})
    chosen = {"app": name}
    template = {"metadata": {"labels": chosen}, "spec": {"containers": [{"name": "app", "image": "shop/web:1.4.2"}]}}
    wanted = {"selector": {"matchLabels": chosen}, "template": template, **spec}
    if kind == "StatefulSet":
        wanted["serviceName"] = name
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels or {}), "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": wanted}


def rollout(ago: timedelta, reason: str = "NewReplicaSetAvailable") -> list[Manifest]:
    """The conditions of a Deployment that was rolled out then."""
    status = "False" if reason == "ProgressDeadlineExceeded" else "True"
    at = stamp(ago)
    return [
        {"type": "Progressing", "status": status, "reason": reason, "message": f"it is {reason}",
         "lastUpdateTime": at, "lastTransitionTime": at}
    ]  # fmt: skip


def job(name: str, namespace: str, owners: Any = None, **spec: Any) -> Manifest:
    metadata: Manifest = {"name": name, "namespace": namespace}
    if owners:
        metadata["ownerReferences"] = owners
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": "shop/tidy:1"}]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template, **spec}}


def succeeded(ago: timedelta, took: timedelta = timedelta(minutes=1)) -> Manifest:
    """The status of a Job that ended well, that long ago."""
    end = stamp(ago)
    condition = {"type": "Complete", "status": "True", "lastTransitionTime": end}
    return {"conditions": [condition], "startTime": stamp(ago + took), "completionTime": end, "succeeded": 1}


def failed(ago: timedelta) -> Manifest:
    """The status of a Job that has failed."""
    condition = {"type": "Failed", "status": "True", "lastTransitionTime": stamp(ago)}
    condition |= {"reason": "BackoffLimitExceeded", "message": "it has reached the limit"}
    return {"conditions": [condition], "startTime": stamp(ago + timedelta(minutes=3)), "failed": 7}


def cron_job(name: str, namespace: str, schedule: str, version: str = "batch/v1beta1", **spec: Any) -> Manifest:
    template = {"spec": job("x", "x")["spec"]}
    metadata = {"name": name, "namespace": namespace}
    wanted = {"schedule": schedule, "jobTemplate": template, **spec}
    return {"apiVersion": version, "kind": "CronJob", "metadata": metadata, "spec": wanted}
