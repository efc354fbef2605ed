"""Objects of the emulated cluster as controllers leave them when all is well."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from healthd.sandbox.parts.kubernetes.store import AGE
from healthd.sandbox.parts.kubernetes.times import Ago, LastDue, Manifest

_HASH_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"  # as Kubernetes makes names of pods


def suffix(length: int) -> str:
    """The random end of a generated name."""
    return "".join(secrets.choice(_HASH_CHARACTERS) for _ in range(length))


def metadata(name: str, namespace: str = "", labels: Mapping[str, str] | None = None, **more: Any) -> Manifest:
    """The metadata of an object; `more` as it is (annotations, ownerReferences)."""
    placed = {"namespace": namespace} if namespace else {}
    return {"name": name, **placed, **({"labels": dict(labels)} if labels else {}), **more}


def owned_by(owner: Manifest) -> list[Manifest]:
    """The ownerReferences of what a controller made for `owner`."""
    names = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    kinds = {"apiVersion": owner["apiVersion"], "kind": owner["kind"]}
    return [{**kinds, **names, "controller": True, "blockOwnerDeletion": True}]


def node(name: str, cpu: int, memory: str, version: str, labels: Mapping[str, str]) -> Manifest:
    """A node that is ready and free of pressure."""
    given = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", **labels}
    well = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    has = {"cpu": str(cpu), "memory": memory, "pods": "110", "ephemeral-storage": "100Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata(name, labels=given),
        "spec": {"podCIDR": "10.244.0.0/24"},
        "status": {
            "capacity": has,
            "allocatable": dict(has),
            "conditions": [node_condition(kind, status) for kind, status in well.items()],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.10"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "kubeletVersion": version, "kubeProxyVersion": version, "osImage": "Ubuntu 22.04.4 LTS",
                "kernelVersion": "5.15.0-105-generic", "containerRuntimeVersion": "containerd://1.7.16",
                "operatingSystem": "linux", "architecture": "amd64", "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    }  # fmt: skip


def node_condition(kind: str, status: str, reason: str = "", since: timedelta = AGE) -> Manifest:
    """What a node says of itself: MemoryPressure, DiskPressure, PIDPressure, Ready."""
    usual = "KubeletReady" if kind == "Ready" else f"KubeletHasNo{kind}"
    return {
        "type": kind, "status": status, "reason": reason or usual, "message": f"kubelet: {kind} is {status}",
        "lastHeartbeatTime": Ago(timedelta(seconds=20)), "lastTransitionTime": Ago(since),
    }  # fmt: skip


def template(name: str, image: str, resources: Manifest, labels: Mapping[str, str], claims: Sequence[str]) -> Manifest:
    """The pod template of a workload with one container of its name."""
    mounts = {"volumeMounts": [{"name": claim, "mountPath": f"/{claim}"} for claim in claims]} if claims else {}
    container = {"name": name, "image": image, "resources": resources, **mounts}
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    spec = {"containers": [container], "restartPolicy": "Always", **({"volumes": volumes} if volumes else {})}
    return {"metadata": {"labels": dict(labels)}, "spec": spec}


def deployment(name: str, namespace: str, replicas: int, pod: Manifest, rolled_out: timedelta) -> Manifest:
    """A Deployment whose last change reached every pod `rolled_out` ago."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(
            name, namespace, pod["metadata"]["labels"], annotations={"deployment.kubernetes.io/revision": "4"},
            generation=4,
        ),
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": dict(pod["metadata"]["labels"])}, "template": pod,
            "strategy": {"type": "RollingUpdate"}, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
        },
        "status": {
            **_counts(replicas),
            "conditions": [
                _condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability.", AGE),
                _condition("Progressing", "NewReplicaSetAvailable", "ReplicaSet has progressed.", rolled_out),
            ],
        },
    }  # fmt: skip


def stateful_set(name: str, namespace: str, replicas: int, pod: Manifest) -> Manifest:
    """A StatefulSet all of whose pods run."""
    labels = pod["metadata"]["labels"]
    revision = f"{name}-{suffix(9)}"
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata(name, namespace, labels, generation=1),
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": dict(labels)}, "template": pod, "serviceName": name,
        },
        "status": {
            **_counts(replicas, generation=1), "currentRevision": revision, "updateRevision": revision,
            "currentReplicas": replicas,
        },
    }  # fmt: skip


def replica_set(owner: Manifest, template_hash: str) -> Manifest:
    """The ReplicaSet of a Deployment's present template."""
    spec, about = owner["spec"], owner["metadata"]
    labels = {**spec["template"]["metadata"]["labels"], "pod-template-hash": template_hash}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(
            f"{about['name']}-{template_hash}", about["namespace"], labels, ownerReferences=owned_by(owner),
            annotations=dict(about["annotations"]), generation=1,
        ),
        "spec": {"replicas": spec["replicas"], "selector": {"matchLabels": labels}, "template": spec["template"]},
        "status": {**_counts(spec["replicas"], generation=1), "fullyLabeledReplicas": spec["replicas"]},
    }  # fmt: skip


def pod(name: str, owner: Manifest, made_of: Manifest, labels: Mapping[str, str], node_name: str) -> Manifest:
    """A pod that a controller made of its template."""
    about = metadata(name, owner["metadata"]["namespace"], labels, ownerReferences=owned_by(owner))
    spec = {**made_of["spec"], "nodeName": node_name, "serviceAccountName": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}


def cron_job(name: str, namespace: str, schedule: str, image: str, took: timedelta) -> Manifest:
    """A CronJob that did its work each time it was due."""
    container = {"name": name, "image": image}
    job = {"spec": {"template": {"spec": {"containers": [container], "restartPolicy": "OnFailure"}}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata(name, namespace, {"app": name}),
        "spec": {
            "schedule": schedule, "jobTemplate": job, "suspend": False, "concurrencyPolicy": "Forbid",
            "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
        },
        "status": {"lastScheduleTime": LastDue(schedule), "lastSuccessfulTime": LastDue(schedule, took)},
    }  # fmt: skip


def job(owner: Manifest, name: str, began: Any, ended: Any, failure: str = "") -> Manifest:
    """A Job of a CronJob that is over; with `failure`, it went wrong and says why."""
    kind, reason = ("Failed", "BackoffLimitExceeded") if failure else ("Complete", "")
    condition = {"type": kind, "status": "True", "lastProbeTime": ended, "lastTransitionTime": ended}
    condition |= {"reason": reason, "message": failure} if failure else {}
    about = metadata(
        name, owner["metadata"]["namespace"], {"app": owner["metadata"]["name"]},
        ownerReferences=owned_by(owner), creationTimestamp=began,
    )  # fmt: skip
    times = {"startTime": began} if failure else {"startTime": began, "completionTime": ended}
    counts = {"failed": 7} if failure else {"succeeded": 1}
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": owner["spec"]["jobTemplate"]["spec"],
        "status": {**times, **counts, "conditions": [condition]},
    }  # fmt: skip


def autoscaler(name: str, target: Manifest, least: int, most: int, cpu: int) -> Manifest:
    """A HorizontalPodAutoscaler that keeps as many pods as there are; `cpu` is its target in percent."""
    replicas = target["spec"]["replicas"]
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": cpu}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(name, target["metadata"]["namespace"], target["metadata"].get("labels")),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": target["kind"], "name": target["metadata"]["name"]},
            "minReplicas": least, "maxReplicas": most, "metrics": [{"type": "Resource", "resource": resource}],
        },
        "status": autoscaler_status(replicas, replicas, cpu // 2, limited=""),
    }  # fmt: skip


def autoscaler_status(current: int, desired: int, cpu: int, limited: str) -> Manifest:
    """What an autoscaler sees: `cpu` is the utilisation now; `limited` the reason why it may not scale further."""
    resource = {"name": "cpu", "current": {"averageUtilization": cpu, "averageValue": f"{cpu * 5}m"}}
    within = "the desired count is within the acceptable range"
    return {
        "observedGeneration": 1, "lastScaleTime": Ago(timedelta(hours=5)), "currentReplicas": current,
        "desiredReplicas": desired, "currentMetrics": [{"type": "Resource", "resource": resource}],
        "conditions": [
            _condition("AbleToScale", "ReadyForNewScale", "recommended size matches current size", AGE),
            _condition("ScalingActive", "ValidMetricFound", "the HPA was able to calculate a replica count", AGE),
            _condition("ScalingLimited", limited or "DesiredWithinRange", limited or within, AGE, holds=bool(limited)),
        ],
    }  # fmt: skip


def claim(name: str, namespace: str, size: str, storage_class: str) -> Manifest:
    """A PersistentVolumeClaim that is bound."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "volumeMode": "Filesystem"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(name, namespace),
        "spec": {**spec, "storageClassName": storage_class, "volumeName": f"pvc-{name}"},
        "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}},
    }


def certificate(name: str, namespace: str, hosts: Sequence[str], left: timedelta) -> Manifest:
    """cert-manager's Certificate of 90 days, renewed 30 days before its end, which is `left` away."""
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": metadata(name, namespace),
        "spec": {
            "secretName": f"{name}-tls", "dnsNames": list(hosts), "duration": "2160h0m0s", "renewBefore": "720h0m0s",
            "issuerRef": {"name": "letsencrypt-prod", "kind": "ClusterIssuer"},
        },
        "status": certificate_status(left),
    }  # fmt: skip


def certificate_status(left: timedelta, trouble: str = "") -> Manifest:
    """Issued and valid; with `trouble`, not ready and why."""
    message = trouble or "Certificate is up to date and has not expired"
    ready = _condition("Ready", "Failed" if trouble else "Ready", message, timedelta(days=5), holds=not trouble)
    times = {"notBefore": Ago(timedelta(days=90) - left), "notAfter": Ago(-left)}
    return {"conditions": [ready], **times, "renewalTime": Ago(timedelta(days=30) - left), "revision": 3}


def event(about: Manifest, kind: str, reason: str, message: str, times: int) -> Manifest:
    """An event about an object, last seen just now."""
    place = about["metadata"].get("namespace", "default")
    involved = {key: about["metadata"][key] for key in ("name", "namespace", "uid") if key in about["metadata"]}
    seen = {"firstTimestamp": Ago(timedelta(minutes=20)), "lastTimestamp": Ago(timedelta(seconds=30)), "count": times}
    return {
        "apiVersion": "v1", "kind": "Event", "type": kind, "reason": reason, "message": message, **seen,
        "metadata": metadata(f"{about['metadata']['name']}.{suffix(16)}", place),
        "involvedObject": {"kind": about["kind"], "apiVersion": about["apiVersion"], **involved},
        "source": {"component": "kubelet"}, "reportingComponent": "kubelet", "reportingInstance": "", "eventTime": None,
    }  # fmt: skip


def _counts(replicas: int, generation: int = 4) -> Manifest:
    names = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")
    return {"observedGeneration": generation, **dict.fromkeys(names, replicas)}


def _condition(kind: str, reason: str, message: str, since: timedelta, *, holds: bool = True) -> Manifest:
    return {
        "type": kind, "status": "True" if holds else "False", "reason": reason, "message": message,
        "lastUpdateTime": Ago(since), "lastTransitionTime": Ago(since),
    }  # fmt: skip
