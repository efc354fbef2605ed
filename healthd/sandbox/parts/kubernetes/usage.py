"""What metrics-server and kubelets of the emulated cluster say is used."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from healthd.sandbox.parts.kubernetes.pods import Pod
from healthd.sandbox.parts.kubernetes.times import Ago, Manifest

_GIB = 2**30
_DISK = 100 * _GIB
_SUFFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "": 1}
_TAKEN = {"timestamp": Ago(timedelta(seconds=12)), "window": "15s"}


def cores(text: str) -> float:
    """Cores of a quantity: "500m", "2"."""
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


def size(text: str) -> float:
    """Bytes of a quantity: "512Mi", "10Gi"."""
    suffix = next(suffix for suffix in _SUFFIXES if text.endswith(suffix))
    return float(text.removesuffix(suffix)) * _SUFFIXES[suffix]


def node_usage(node: Manifest, cpu: float, memory: float) -> Manifest:
    """NodeMetrics of a node that uses these shares of what it can allocate."""
    has = node["status"]["allocatable"]
    used = _usage(cores(has["cpu"]) * cpu, size(has["memory"]) * memory)
    about = {"name": node["metadata"]["name"], "creationTimestamp": Ago(timedelta(0))}
    return {"metadata": about | {"labels": node["metadata"]["labels"]}, **_TAKEN, "usage": used}


def pod_usage(pod: Pod) -> Manifest:
    """PodMetrics; a container with neither limit nor request is taken to have one core and 1 GiB."""
    metadata = pod.manifest["metadata"]
    containers = []
    for container in pod.manifest["spec"]["containers"]:
        resources = container.get("resources") or {}
        whole = {"cpu": "1", "memory": "1Gi", **resources.get("requests", {}), **resources.get("limits", {})}
        used = _usage(cores(whole["cpu"]) * pod.cpu, size(whole["memory"]) * pod.memory)
        containers.append({"name": container["name"], "usage": used})
    about = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
    return {"metadata": about | {"creationTimestamp": Ago(timedelta(0))}, **_TAKEN, "containers": containers}


def summary(node: str, disk: float, network_errors: int, pods: Iterable[Pod]) -> Manifest:
    """A kubelet's /stats/summary, with the volumes its pods have mounted."""
    file_system = {"time": Ago(timedelta(seconds=5)), **_filled(disk, _DISK)}
    interface = {"name": "eth0", "rxBytes": 8 * 10**9, "txBytes": 5 * 10**9, "txErrors": 0}
    interface["rxErrors"] = network_errors
    return {
        "node": {
            "nodeName": node,
            "fs": file_system,
            "runtime": {"imageFs": file_system},
            "network": {"time": Ago(timedelta(seconds=5)), **interface, "interfaces": [interface]},
        },
        "pods": [_pod_summary(pod) for pod in pods],
    }


def _pod_summary(pod: Pod) -> Manifest:
    volumes = []
    for volume in pod.manifest["spec"].get("volumes") or ():
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim is not None:
            used = pod.volumes.get(claim)
            share, whole = used() if used is not None else (0.3, float(_GIB))
            reference = {"name": claim, "namespace": pod.namespace}
            volumes.append({"name": volume["name"], "pvcRef": reference, **_filled(share, whole)})
    return {"podRef": {"name": pod.name, "namespace": pod.namespace}, "volume": volumes}


def _filled(share: float, whole: float) -> dict[str, Any]:
    inodes = 6_553_600
    return {
        "capacityBytes": int(whole), "usedBytes": int(whole * share), "availableBytes": int(whole * (1 - share)),
        "inodes": inodes, "inodesUsed": inodes // 20, "inodesFree": inodes - inodes // 20,
    }  # fmt: skip


def _usage(cpu: float, memory: float) -> dict[str, str]:
    return {"cpu": f"{int(cpu * 1e9)}n", "memory": f"{int(memory) // 1024}Ki"}
